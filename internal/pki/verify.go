package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	// MaxChain is how many certificates a node may show: its own and three intermediates; nobody has more levels, and each costs a signature.
	MaxChain = 4
	// maxChecks bounds the signatures that one verification checks: more than any path has, with some room for authorities that renewed a certificate
	// under their old name.
	maxChecks = 16
	// MaxName bounds organisations' and nodes' names in characters, as X.520 does.
	MaxName = 64
)

// Certified is what a certificate says of a node.
type Certified struct {
	Organisation string
	Role         Role
	// Name is the node's common name.
	Name   string
	Serial []byte
	// NotBefore and NotAfter are the certificate's own, Until is when the first of those that it rests on expires.
	NotBefore, NotAfter, Until time.Time
}

// Verify judges the certificates that a node shows, its own first, for the node whose proven key is key, at time now. Certificates that expired at most
// grace ago are still taken: 0 but in a rescue. Every error is a *Refusal.
func (r *Registry) Verify(chain [][]byte, key []byte, now time.Time, grace time.Duration) (*Certified, error) {
	certs, refused := r.parse(chain)
	if refused != nil {
		return nil, refused
	}
	leaf := certs[0]
	public, err := r.suite.CertifiedKey(leaf)
	if err != nil {
		return nil, refuse(WrongSuite, "the certificate of %s has a key that no node of this chain can have: request one for the node's own key (jialing ca request)", name(leaf))
	}
	if !bytes.Equal(public.Bytes(), key) {
		return nil, refuse(WrongKey, "the certificate of %s is for another key than the node has: have one issued for its own (jialing ca issue --node DIR)", name(leaf))
	}
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) && r.suite.CheckIssued(leaf, leaf) == nil {
		return nil, refuse(SelfSigned, "the certificate of %s is signed by itself: have its organisation's authority issue one (jialing ca issue)", name(leaf))
	}
	if refused := checkNode(leaf); refused != nil {
		return nil, refused
	}
	s := &search{suite: r.suite, shown: certs[1:], now: now, grace: grace, checks: maxChecks}
	until, refused := r.trace(s, leaf)
	if refused != nil {
		return nil, refused
	}
	if refused := s.inTime(leaf); refused != nil {
		return nil, refused
	}
	if leaf.NotAfter.Before(until) {
		until = leaf.NotAfter
	}
	return &Certified{Organisation: leaf.Subject.Organization[0], Role: Role(leaf.Subject.OrganizationalUnit[0]), Name: leaf.Subject.CommonName,
		Serial: leaf.SerialNumber.Bytes(), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Until: until}, nil
}

// parse reads what a node shows.
func (r *Registry) parse(chain [][]byte) ([]*x509.Certificate, *Refusal) {
	if len(chain) == 0 {
		return nil, refuse(Missing, "the node shows no certificate, which this chain asks for: have its organisation issue one (jialing ca issue --node DIR)")
	}
	if len(chain) > MaxChain {
		return nil, refuse(TooLong, "the node shows %d certificates, at most %d are read: leave out the root, or issue under fewer intermediates", len(chain), MaxChain)
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		c, err := r.suite.ParseCertificate(der)
		if errors.Is(err, crypto.ErrCertificateSuite) {
			return nil, refuse(WrongSuite, "a certificate is of another cryptographic suite than the chain: have one issued by an authority of the chain's suite (jialing ca init --suite)")
		}
		if err != nil {
			return nil, refuse(Malformed, "certificate %d of %d cannot be read: write the file again from what the authority issued", i+1, len(chain))
		}
		certs[i] = c
	}
	return certs, nil
}

// checkNode is what a node's certificate must be, whoever issued it.
func checkNode(c *x509.Certificate) *Refusal {
	has := func(usage x509.ExtKeyUsage) bool {
		return slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	}
	s := &c.Subject
	switch {
	case c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return refuse(WrongUsage, "the certificate of %s is an authority's and not for a node: have one issued for the node (jialing ca issue)", name(c))
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse(WrongUsage, "the certificate of %s is not for signing: have it issued again with keyUsage digitalSignature", name(c))
	case !has(x509.ExtKeyUsageServerAuth) || !has(x509.ExtKeyUsageClientAuth):
		return refuse(WrongUsage, "the certificate of %s is not for nodes: have it issued again with extendedKeyUsage serverAuth and clientAuth", name(c))
	case len(c.UnhandledCriticalExtensions) > 0:
		return refuse(WrongUsage, "the certificate of %s has the critical extension %s, which is not understood: have it issued again without", name(c),
			c.UnhandledCriticalExtensions[0])
	case len(s.Organization) != 1 || !isName(s.Organization[0]):
		return refuse(WrongOrganisation, "the certificate of %s must name one organisation (subject O): have it issued again with the name that the chain has registered", name(c))
	case len(s.OrganizationalUnit) != 1 || !Role(s.OrganizationalUnit[0]).Known():
		return refuse(WrongRole, "the certificate of %s must name one role (subject OU): validator, full, light or regulator", name(c))
	case !isName(s.CommonName):
		return refuse(Malformed, "the certificate must name its node (subject CN) in 1 to %d characters: have it issued again", MaxName)
	}
	return nil
}

func isName(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= MaxName
}

// trace finds the way from a node's certificate to a root of the organisation that it names, and says until when the way holds.
func (r *Registry) trace(s *search, leaf *x509.Certificate) (time.Time, *Refusal) {
	claimed := leaf.Subject.Organization[0]
	var why *Refusal
	if org := r.byName[claimed]; org != nil {
		until, refused := s.from(org, leaf)
		if refused == nil {
			return until, nil
		}
		why = refused
	}
	if why != nil && why.Reason != UnknownRoot {
		return time.Time{}, why
	}
	// Nobody of that name has issued it. If another organisation has, say so.
	for _, org := range r.organisations {
		if org.name == claimed {
			continue
		}
		if _, refused := s.from(org, leaf); refused == nil {
			return time.Time{}, refuse(WrongOrganisation, "the certificate of %s names organisation %s but %s issued it: have its own organisation issue one", name(leaf),
				shown(claimed), shown(org.name))
		}
	}
	if why == nil {
		why = refuse(UnknownRoot, "the certificate of %s names organisation %s, which this chain does not know: have the validators register it (jialing ca register)", name(leaf),
			shown(claimed))
	}
	return time.Time{}, why
}

// search is one verification's state.
type search struct {
	suite crypto.Certificates
	// shown are the intermediates that the node shows.
	shown  []*x509.Certificate
	now    time.Time
	grace  time.Duration
	checks int
}

// from looks for the way from a root of org to leaf.
func (s *search) from(org *organisation, leaf *x509.Certificate) (time.Time, *Refusal) {
	until, refused := s.issuer(org, leaf, 0)
	if refused == nil && org.revoked[serialKey(leaf.SerialNumber)] {
		return until, refuse(Revoked, "the certificate of %s (serial %x) was revoked by %s: have a new one issued (jialing ca issue)", name(leaf), leaf.SerialNumber.Bytes(),
			shown(org.name))
	}
	return until, refused
}

// issuer finds who issued c and whether a way leads on to a root; below is how many intermediates stand under the issuer.
func (s *search) issuer(org *organisation, c *x509.Certificate, below int) (time.Time, *Refusal) {
	var why *Refusal
	for i, candidate := range slices.Concat(org.roots, s.shown, org.intermediates) {
		root := i < len(org.roots)
		if !bytes.Equal(candidate.RawSubject, c.RawIssuer) || s.checks == 0 || !root && bytes.Equal(candidate.RawSubject, candidate.RawIssuer) {
			continue // a root that a node shows itself counts for nothing
		}
		until, refused := s.judge(org, candidate, c, below, root)
		if refused == nil {
			return until, nil
		}
		// The reason that is told is one of a candidate that did sign, if any did.
		if why == nil || why.Reason == Altered || why.Reason == UnknownRoot {
			why = refused
		}
	}
	if why == nil {
		why = refuse(UnknownRoot, "the certificate of %s was issued by %s, which is no authority that the chain knows of its organisation: show the intermediates, or have the root registered (jialing ca register)",
			name(c), shown(c.Issuer.CommonName))
	}
	return time.Time{}, why
}

// judge tells whether candidate issued c, may do so, and is a root or leads to one.
func (s *search) judge(org *organisation, candidate, c *x509.Certificate, below int, root bool) (time.Time, *Refusal) {
	s.checks--
	if s.suite.CheckIssued(c, candidate) != nil {
		return time.Time{}, refuse(Altered, "the certificate of %s does not carry the signature of %s, which it names as issuer: it was altered or is forged; ask the authority for it again",
			name(c), name(candidate))
	}
	if refused := checkAuthority(candidate); refused != nil {
		return time.Time{}, refused
	}
	if (candidate.MaxPathLen > 0 || candidate.MaxPathLenZero) && below > candidate.MaxPathLen {
		return time.Time{}, refuse(WrongUsage, "the authority %s may have %d intermediates under it and has %d: issue under fewer", name(candidate), candidate.MaxPathLen, below)
	}
	if !root && org.revoked[serialKey(candidate.SerialNumber)] {
		return time.Time{}, refuse(Revoked, "the authority %s (serial %x) was revoked by %s: have certificates issued by another one", name(candidate),
			candidate.SerialNumber.Bytes(), shown(org.name))
	}
	if refused := s.inTime(candidate); refused != nil {
		return time.Time{}, refused
	}
	if root {
		return candidate.NotAfter, nil
	}
	if below+1 >= MaxChain {
		return time.Time{}, refuse(TooLong, "more than %d intermediates stand between %s and a root: issue under fewer", MaxChain-1, name(c))
	}
	until, refused := s.issuer(org, candidate, below+1)
	if candidate.NotAfter.Before(until) {
		until = candidate.NotAfter
	}
	return until, refused
}

// inTime refuses what is not valid at the search's time.
func (s *search) inTime(c *x509.Certificate) *Refusal {
	const day = "2006-01-02 15:04 MST"
	switch {
	case s.now.Before(c.NotBefore):
		return refuse(NotYetValid, "the certificate of %s is valid from %s only: check this machine's clock, or wait", name(c), c.NotBefore.UTC().Format(day))
	case s.now.After(c.NotAfter.Add(s.grace)) && c.IsCA:
		return refuse(AuthorityExpired, "the authority %s expired on %s: its organisation must renew it (jialing ca renew --ca) and have the new one registered", name(c),
			c.NotAfter.UTC().Format(day))
	case s.now.After(c.NotAfter.Add(s.grace)):
		return refuse(Expired, "the certificate of %s expired on %s: renew it (jialing ca renew) and replace the node's certificate file", name(c), c.NotAfter.UTC().Format(day))
	}
	return nil
}
