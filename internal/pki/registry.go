package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Organisation is what the chain knows of one: DER certificates as they are registered.
type Organisation struct {
	// Name is what its nodes' certificates have as subject O.
	Name                 string
	Roots, Intermediates [][]byte
	// Revoked are serial numbers, big-endian.
	Revoked [][]byte
}

// Registry is the organisations after one block. It does not change; safe for concurrent use.
type Registry struct {
	suite         crypto.Certificates
	organisations []*organisation
	byName        map[string]*organisation
	problems      []error
}

type organisation struct {
	name                 string
	roots, intermediates []*x509.Certificate
	revoked              map[string]bool // by the serial number's bytes without leading zeros
}

// NewRegistry reads the organisations. What cannot be an authority's certificate, which voters should not have let in, counts as not there: see Problems.
func NewRegistry(suite crypto.Certificates, organisations []Organisation) *Registry {
	r := &Registry{suite: suite, byName: make(map[string]*organisation)}
	for _, o := range organisations {
		org := &organisation{name: o.Name, revoked: make(map[string]bool)}
		for _, der := range o.Roots {
			if c := r.authority(o.Name, "root", der); c != nil {
				org.roots = append(org.roots, c)
			}
		}
		for _, der := range o.Intermediates {
			if c := r.authority(o.Name, "intermediate", der); c != nil {
				org.intermediates = append(org.intermediates, c)
			}
		}
		for _, serial := range o.Revoked {
			org.revoked[serialKey(new(big.Int).SetBytes(serial))] = true
		}
		r.organisations = append(r.organisations, org)
		r.byName[o.Name] = org
	}
	return r
}

// authority is nil where der is none.
func (r *Registry) authority(name, what string, der []byte) *x509.Certificate {
	c, err := r.suite.ParseCertificate(der)
	if err == nil {
		if refused := checkAuthority(c); refused != nil {
			err = refused
		}
	}
	if err != nil {
		r.problems = append(r.problems, fmt.Errorf("a registered %s certificate of organisation %q is not used: %w", what, name, err))
		return nil
	}
	return c
}

// CheckRoot refuses a certificate that would be of no use as a registered root: of another suite, no authority's, or not signed by itself.
func CheckRoot(suite crypto.Certificates, der []byte) error {
	c, err := suite.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := checkAuthority(c); err != nil {
		return err
	}
	if !bytes.Equal(c.RawIssuer, c.RawSubject) {
		return refuse(WrongUsage, "the certificate of %s is no root: another authority issued it; register that one's, or add this as an intermediate", name(c))
	}
	if suite.CheckIssued(c, c) != nil {
		return refuse(Altered, "the root certificate of %s is not signed by its own key: it was altered; ask the authority for it again", name(c))
	}
	return nil
}

// Problems are the registered certificates that cannot be used.
func (r *Registry) Problems() []error { return r.problems }

// Organisations are the names, in the chain's order.
func (r *Registry) Organisations() []string {
	out := make([]string, len(r.organisations))
	for i, o := range r.organisations {
		out[i] = o.name
	}
	return out
}

// Authority is when a registered certificate expires.
type Authority struct {
	Organisation string    `json:"organisation"`
	Name         string    `json:"name"`
	Root         bool      `json:"root"`
	NotAfter     time.Time `json:"notAfter"`
}

// Authorities are all registered certificates that are used.
func (r *Registry) Authorities() (out []Authority) {
	for _, o := range r.organisations {
		for _, c := range o.roots {
			out = append(out, Authority{o.name, name(c), true, c.NotAfter})
		}
		for _, c := range o.intermediates {
			out = append(out, Authority{o.name, name(c), false, c.NotAfter})
		}
	}
	return out
}

// checkAuthority is what every certificate that signs others must be.
func checkAuthority(c *x509.Certificate) *Refusal {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return refuse(WrongUsage, "the certificate of %s is no authority's (basicConstraints CA is not set): have one issued with \"jialing ca init\" or CA:TRUE", name(c))
	case c.KeyUsage&x509.KeyUsageCertSign == 0:
		return refuse(WrongUsage, "the certificate of %s may not sign certificates: have it issued again with keyUsage keyCertSign", name(c))
	case len(c.UnhandledCriticalExtensions) > 0:
		return refuse(WrongUsage, "the certificate of %s has the critical extension %s, which is not understood: have it issued again without", name(c),
			c.UnhandledCriticalExtensions[0])
	}
	return nil
}

// serialKey is a serial number as the registry keeps it.
func serialKey(serial *big.Int) string { return string(serial.Bytes()) }

// maxShown bounds what a sentence repeats of a certificate.
const maxShown = 40

// name is the certificate's for people: its common name, cut, with what could play tricks on a terminal replaced.
func name(c *x509.Certificate) string { return shown(c.Subject.CommonName) }

func shown(s string) string {
	out := make([]rune, 0, maxShown)
	for _, r := range s {
		if len(out) == maxShown {
			return fmt.Sprintf("%q…", string(out))
		}
		out = append(out, r)
	}
	return fmt.Sprintf("%q", string(out))
}
