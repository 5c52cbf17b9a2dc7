package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	// backdate lets a certificate be used at once where clocks differ a little.
	backdate = 5 * time.Minute
	// serialSize makes serial numbers unlike each other in an organisation whoever issues them, and small enough for the chain's 20 bytes.
	serialSize = 16
)

// Issuer is an authority that can issue.
type Issuer struct {
	Suite crypto.Suite
	// Chain is the authority's own certificate first, then intermediates up to but without the root, all in DER. A root has itself alone.
	Chain [][]byte
	Key   crypto.PrivateKey
	// Rand draws serial numbers and signatures.
	Rand io.Reader
}

// NewRoot makes the root certificate of an organisation's own authority.
func NewRoot(suite crypto.Suite, rand io.Reader, organisation string, key crypto.PrivateKey, now time.Time, lifetime time.Duration) ([]byte, error) {
	if !isName(organisation) {
		return nil, fmt.Errorf("the organisation's name must have 1 to %d characters", MaxName)
	}
	t, err := template(suite, rand, pkix.Name{Organization: []string{organisation}, CommonName: cut(organisation + " root")}, key.Public(), now, now.Add(lifetime))
	if err != nil {
		return nil, err
	}
	authority(t, MaxChain-1)
	return suite.Issue(rand, t, t, key.Public(), key)
}

// Intermediate issues the certificate of an authority under this one.
func (i *Issuer) Intermediate(name string, key crypto.PublicKey, now time.Time, lifetime time.Duration) ([]byte, error) {
	own, err := i.certificate()
	if err != nil {
		return nil, err
	}
	if own.MaxPathLen == 0 && own.MaxPathLenZero {
		return nil, fmt.Errorf("the authority %s may have no others under it", own.Subject.CommonName)
	}
	if !isName(name) {
		return nil, fmt.Errorf("the authority's name must have 1 to %d characters", MaxName)
	}
	t, err := template(i.Suite, i.Rand, pkix.Name{Organization: own.Subject.Organization, CommonName: name}, key, now, earlier(now.Add(lifetime), own.NotAfter))
	if err != nil {
		return nil, err
	}
	authority(t, max(own.MaxPathLen-1, 0))
	return i.Suite.Issue(i.Rand, t, own, key, i.Key)
}

// Node issues a node's certificate. Its life ends with the authority's at the latest.
func (i *Issuer) Node(organisation, name string, role Role, key crypto.PublicKey, now time.Time, lifetime time.Duration) ([]byte, error) {
	own, err := i.certificate()
	if err != nil {
		return nil, err
	}
	switch {
	case !isName(organisation) || !isName(name):
		return nil, fmt.Errorf("the names of organisation and node must have 1 to %d characters", MaxName)
	case !role.Known():
		return nil, fmt.Errorf("role %q is unknown, use validator, full, light or regulator", role)
	case lifetime <= 0:
		return nil, errors.New("the certificate must be valid for some time")
	}
	t, err := template(i.Suite, i.Rand, NodeName(organisation, name, role), key, now, earlier(now.Add(lifetime), own.NotAfter))
	if err != nil {
		return nil, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return i.Suite.Issue(i.Rand, t, own, key, i.Key)
}

// NodeName is the subject of a node's certificate: organisation in O, role in OU, the node's own name in CN.
func NodeName(organisation, name string, role Role) pkix.Name {
	return pkix.Name{Organization: []string{organisation}, OrganizationalUnit: []string{string(role)}, CommonName: name}
}

// certificate is the authority's own, which its key must fit.
func (i *Issuer) certificate() (*x509.Certificate, error) {
	if len(i.Chain) == 0 {
		return nil, errors.New("the authority has no certificate")
	}
	c, err := i.Suite.ParseCertificate(i.Chain[0])
	if err != nil {
		return nil, err
	}
	if refused := checkAuthority(c); refused != nil {
		return nil, refused
	}
	key, err := i.Suite.CertifiedKey(c)
	if err != nil {
		return nil, err
	}
	if string(key.Bytes()) != string(i.Key.Public().Bytes()) {
		return nil, errors.New("the authority's certificate is for another key than it has")
	}
	return c, nil
}

// template is what all our certificates have.
func template(suite crypto.Suite, rand io.Reader, subject pkix.Name, key crypto.PublicKey, now, until time.Time) (*x509.Certificate, error) {
	serial := make([]byte, serialSize)
	if _, err := io.ReadFull(rand, serial); err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	serial[0] = serial[0]&0x7f | 0x40 // positive, and always of that size
	if !until.After(now) {
		return nil, errors.New("the authority's own certificate has expired: renew it first (jialing ca renew --ca)")
	}
	id := suite.Sum(key.Bytes()) // by the suite's hash: nothing else is to be found in a certificate of a 国密 chain
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial), Subject: subject, NotBefore: now.Add(-backdate).UTC().Truncate(time.Second),
		NotAfter: until.UTC().Truncate(time.Second), BasicConstraintsValid: true, SubjectKeyId: id[:20]}, nil
}

// authority makes t one that may have so many levels of others under it.
func authority(t *x509.Certificate, levels int) {
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	t.MaxPathLen, t.MaxPathLenZero = levels, levels == 0
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// cut keeps a name within what certificates hold.
func cut(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), MaxName)])
}
