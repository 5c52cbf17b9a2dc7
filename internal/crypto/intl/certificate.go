package intl

import (
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// The keys that certificates of this suite have: Ed25519 (RFC 8410), and on the curve P-256 those of authorities elsewhere.
var (
	formEd25519 = crypto.KeyForm{Algorithm: "1.3.101.112"}
	formP256    = crypto.KeyForm{Algorithm: "1.2.840.10045.2.1", Curve: "1.2.840.10045.3.1.7"}
)

// ParseCertificate takes certificates with Ed25519 or P-256 keys.
func (Suite) ParseCertificate(der []byte) (*x509.Certificate, error) {
	if form, err := crypto.CertificateForm(der); err != nil {
		return nil, err
	} else if form != formEd25519 && form != formP256 {
		return nil, fmt.Errorf("%w: its key is neither Ed25519 nor P-256", crypto.ErrCertificateSuite)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", crypto.ErrCertificate, err)
	}
	return c, nil
}

// CertifiedKey is an Ed25519 key; P-256 is for authorities alone.
func (s Suite) CertifiedKey(c *x509.Certificate) (crypto.PublicKey, error) {
	key, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: a node's key is Ed25519, this one is %s", crypto.ErrCertificateSuite, c.PublicKeyAlgorithm)
	}
	return s.ParsePublicKey(key)
}

// CheckIssued takes signatures by Ed25519, and by P-256 with SHA-256.
func (Suite) CheckIssued(c, issuer *x509.Certificate) error {
	switch key := issuer.PublicKey.(type) {
	case ed25519.PublicKey:
		if c.SignatureAlgorithm != x509.PureEd25519 {
			return fmt.Errorf("%w: it is signed with %s", crypto.ErrCertificateSuite, c.SignatureAlgorithm)
		}
	case *ecdsa.PublicKey:
		if c.SignatureAlgorithm != x509.ECDSAWithSHA256 || key.Curve != elliptic.P256() {
			return fmt.Errorf("%w: it is signed with %s", crypto.ErrCertificateSuite, c.SignatureAlgorithm)
		}
	default:
		return fmt.Errorf("%w: the issuer's key is %s", crypto.ErrCertificateSuite, issuer.PublicKeyAlgorithm)
	}
	if err := issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return crypto.ErrSignature
	}
	return nil
}

// Issue signs with Ed25519.
func (Suite) Issue(rand io.Reader, template, issuer *x509.Certificate, subject crypto.PublicKey, key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand, template, issuer, ed25519.PublicKey(subject.Bytes()), signer{key})
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return der, nil
}

// Request signs with Ed25519.
func (Suite) Request(rand io.Reader, subject pkix.Name, key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand, &x509.CertificateRequest{Subject: subject}, signer{key})
	if err != nil {
		return nil, fmt.Errorf("request certificate: %w", err)
	}
	return der, nil
}

// ParseRequest takes requests for Ed25519 keys.
func (s Suite) ParseRequest(der []byte) (*x509.CertificateRequest, crypto.PublicKey, error) {
	if form, err := crypto.RequestForm(der); err != nil {
		return nil, nil, err
	} else if form != formEd25519 {
		return nil, nil, fmt.Errorf("%w: a node's key is Ed25519", crypto.ErrCertificateSuite)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", crypto.ErrCertificate, err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, nil, crypto.ErrSignature
	}
	key, err := s.ParsePublicKey(r.PublicKey.(ed25519.PublicKey))
	return r, key, err
}

// signer is a key as crypto/x509 has it. Ed25519 signs the message itself.
type signer struct{ key crypto.PrivateKey }

func (s signer) Public() stdcrypto.PublicKey { return ed25519.PublicKey(s.key.Public().Bytes()) }

func (s signer) Sign(_ io.Reader, msg []byte, _ stdcrypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(msg)
}
