package serve

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// AccessConfig says who may call what, and how much.
type AccessConfig struct {
	// Anonymous are the roles of callers without token and certificate. "admin" is never among them; "debug" only if it is written here.
	Anonymous []string `toml:"anonymous"`
	// Tokens is the file that holds the hashes of the issued tokens, within the node's folder.
	Tokens string `toml:"tokens"`
	// Audit is the folder of the log of administrative calls, within the node's folder.
	Audit string `toml:"audit"`
	// Rate is how many units a second a named identity may use in the long run, Burst how many at once. A call is one unit; heavy methods are more. 0
	// is no limit.
	Rate  int `toml:"rate"`
	Burst int `toml:"burst"`
	// AnonymousRate and AnonymousBurst are those of one address without a name.
	AnonymousRate  int `toml:"anonymous_rate"`
	AnonymousBurst int `toml:"anonymous_burst"`
	// LimitLoopback applies the anonymous limit to this machine's own programs too, which are otherwise free of it.
	LimitLoopback bool `toml:"limit_loopback"`
	// MaxIdentities bounds how many callers are counted; of more, the one that has been idle longest is forgotten. Each costs some 150 bytes.
	MaxIdentities int `toml:"max_identities"`
	// Certificates give roles to client certificates. What all entries that fit a certificate grant adds up.
	Certificates []CertificateGrant `toml:"certificates,omitempty"`
}

// CertificateGrant is the roles of certificates by their subject. An empty field fits all; one of the two must say something.
type CertificateGrant struct {
	Organisation string   `toml:"organisation"`
	Name         string   `toml:"name"`
	Roles        []string `toml:"roles"`
}

// DefaultAccessConfig lets everybody read and submit, which is what Ethereum's tools expect, and nobody administer.
func DefaultAccessConfig() AccessConfig {
	return AccessConfig{
		Anonymous: []string{"read", "submit"}, Tokens: "tokens.json", Audit: "audit",
		Rate: 50_000, Burst: 100_000, AnonymousRate: 5_000, AnonymousBurst: 20_000, MaxIdentities: 65_536,
	}
}

// Validate names the first field that cannot be.
func (c *AccessConfig) Validate() error {
	anonymous, err := ParseRoles(c.Anonymous)
	if err != nil {
		return fmt.Errorf("access: anonymous: %w", err)
	}
	if anonymous.Has(Admin) {
		return errors.New("access: anonymous must not hold \"admin\": give who administers a token (jialing rpc token issue)")
	}
	if c.Tokens == "" || c.Audit == "" {
		return errors.New("access: tokens and audit must name a file and a folder")
	}
	for _, n := range []struct {
		name            string
		value, min, max int
	}{
		{"rate", c.Rate, 0, 1 << 30}, {"burst", c.Burst, 1, 1 << 30}, {"anonymous_rate", c.AnonymousRate, 0, 1 << 30},
		{"anonymous_burst", c.AnonymousBurst, 1, 1 << 30}, {"max_identities", c.MaxIdentities, 1, 1 << 24},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("access: %s must be %d to %d, is %d", n.name, n.min, n.max, n.value)
		}
	}
	for i, g := range c.Certificates {
		if g.Organisation == "" && g.Name == "" {
			return fmt.Errorf("access: certificates: entry %d fits every certificate: name an organisation, a name or both", i+1)
		}
		if _, err := ParseRoles(g.Roles); err != nil {
			return fmt.Errorf("access: certificates: entry %d: %w", i+1, err)
		}
	}
	return nil
}

// kind is how a caller is known.
type kind uint8

const (
	anonymous kind = iota
	byToken
	byCertificate
	kindCount
)

var kindNames = [kindCount]string{"anonymous", "token", "certificate"}

// caller is who sent a request, as it was when the request came. Immutable.
type caller struct {
	kind  kind
	name  string // for the audit log and sentences
	roles Roles
	// token is what it came with; for byToken alone.
	token *Token
	// until is when the certificate ends; for byCertificate alone.
	until time.Time
	key   limitKey
	// free is not limited.
	free bool
}

// access knows callers. Safe for concurrent use.
type access struct {
	cfg       AccessConfig
	anonymous Roles
	grants    []Roles // of cfg.Certificates
	tokens    *tokenFile
	limits    *limiter
	now       func() time.Time
}

func newAccess(cfg AccessConfig, suite crypto.Suite, log *slog.Logger) (*access, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &access{cfg: cfg, limits: newLimiter(cfg.MaxIdentities), now: time.Now}
	a.anonymous, _ = ParseRoles(cfg.Anonymous) // Validate has read them
	for _, g := range cfg.Certificates {
		roles, _ := ParseRoles(g.Roles)
		a.grants = append(a.grants, roles)
	}
	var err error
	a.tokens, err = openTokens(cfg.Tokens, suite, log)
	return a, err
}

// errUnauthorized is why a caller is not let in; reason is the metrics' label.
type errUnauthorized struct{ reason, sentence string }

// Error implements error.
func (e *errUnauthorized) Error() string { return e.sentence }

var errNoIdentity = &errUnauthorized{"missing", "this node answers nobody without a name: send the header \"Authorization: Bearer TOKEN\" with a token that its " +
	"operator issues (jialing rpc token issue), or a client certificate that it knows"}

// identify finds out who sends r; the error is an *errUnauthorized.
func (a *access) identify(r *http.Request) (*caller, error) {
	if header := r.Header["Authorization"]; len(header) > 0 {
		return a.bearer(header)
	}
	addr := addressOf(r)
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return a.certified(r.TLS.VerifiedChains[0][0], addr)
	}
	if a.anonymous == 0 {
		return nil, errNoIdentity
	}
	return a.stranger(addr), nil
}

func (a *access) stranger(addr netip.Addr) *caller {
	free := a.cfg.AnonymousRate == 0 || addr.IsLoopback() && !a.cfg.LimitLoopback
	return &caller{name: kindNames[anonymous], roles: a.anonymous, key: limitKey{addr: network(addr)}, free: free}
}

func (a *access) bearer(header []string) (*caller, error) {
	scheme, text, _ := strings.Cut(header[0], " ")
	if len(header) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return nil, &errUnauthorized{"broken", "the Authorization header must be \"Bearer TOKEN\", once; other schemes are not known here"}
	}
	p, ok := parseToken(strings.TrimSpace(text))
	if !ok {
		return nil, &errUnauthorized{"broken", "the token is broken: a whole one begins with " + tokenPrefix + " and has " + fmt.Sprint(tokenLength) +
			" characters; copy it again, or ask the node's operator for a new one (jialing rpc token issue)"}
	}
	t, err := a.tokens.check(p, a.now())
	if err != nil {
		return nil, err
	}
	return &caller{kind: byToken, name: t.who, roles: t.roles, token: t, key: t.key, free: a.cfg.Rate == 0}, nil
}

// certified maps a certificate that TLS has verified. One that no entry fits is known by name, and may what everybody may.
func (a *access) certified(cert *x509.Certificate, addr netip.Addr) (*caller, error) {
	organisation := ""
	if len(cert.Subject.Organization) > 0 {
		organisation = cert.Subject.Organization[0]
	}
	roles, fits := Roles(0), false
	for i, g := range a.cfg.Certificates {
		if (g.Organisation == "" || g.Organisation == organisation) && (g.Name == "" || g.Name == cert.Subject.CommonName) {
			roles, fits = roles|a.grants[i], true
		}
	}
	if !fits {
		roles = a.anonymous
	}
	name := printable(organisation) + "/" + printable(cert.Subject.CommonName)
	if roles == 0 {
		return nil, &errUnauthorized{"unmapped", "the client certificate of " + name + " has no roles here: the node's operator grants them under [[access.certificates]]"}
	}
	return &caller{kind: byCertificate, name: "certificate " + name, roles: roles, until: cert.NotAfter, key: limitKey{name: "c" + name}, free: a.cfg.Rate == 0}, nil
}

// still tells whether c is who it was: tokens are revoked and certificates end while a connection lasts.
func (a *access) still(c *caller) error {
	switch c.kind {
	case byToken:
		return a.tokens.still(c.token, a.now())
	case byCertificate:
		if a.now().After(c.until) {
			return &errUnauthorized{"expired", "the client certificate has expired: connect again with a renewed one"}
		}
	}
	return nil
}

// take asks for cost units; wait is how long to come back later, 0 when they are granted.
func (a *access) take(c *caller, cost int) (wait time.Duration) {
	if c.free {
		return 0
	}
	rate, burst := a.cfg.Rate, a.cfg.Burst
	if c.kind == anonymous {
		rate, burst = a.cfg.AnonymousRate, a.cfg.AnonymousBurst
	}
	return a.limits.take(c.key, cost, rate, burst, a.now())
}

// addressOf is the zero Addr where the connection has none, as in tests.
func addressOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// network is what one caller can be counted by: whoever has an IPv6 address has a whole /64 of them.
func network(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}
