package gm

import (
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// formSM2 is the key of GM/T 0015's certificates: an elliptic one on the curve of GB/T 32918.5.
var formSM2 = crypto.KeyForm{Algorithm: "1.2.840.10045.2.1", Curve: "1.2.156.10197.1.301"}

// ParseCertificate takes certificates with SM2 keys.
func (Suite) ParseCertificate(der []byte) (*x509.Certificate, error) {
	if form, err := crypto.CertificateForm(der); err != nil {
		return nil, err
	} else if form != formSM2 {
		return nil, fmt.Errorf("%w: its key is not SM2", crypto.ErrCertificateSuite)
	}
	c, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", crypto.ErrCertificate, err)
	}
	return c.ToX509(), nil
}

// CertifiedKey is an SM2 key.
func (s Suite) CertifiedKey(c *x509.Certificate) (crypto.PublicKey, error) {
	return s.nodeKey(c.PublicKey)
}

// CheckIssued takes signatures of SM2 with SM3, under the identifier of GM/T 0009.
func (Suite) CheckIssued(c, issuer *x509.Certificate) error {
	key, ok := issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != gmsm.P256() || c.SignatureAlgorithm != smx509.SM2WithSM3 {
		return fmt.Errorf("%w: it is not signed with SM2 and SM3", crypto.ErrCertificateSuite)
	}
	if err := (*smx509.Certificate)(issuer).CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return crypto.ErrSignature
	}
	return nil
}

// Issue signs with SM2 and SM3.
func (Suite) Issue(rand io.Reader, template, issuer *x509.Certificate, subject crypto.PublicKey, key crypto.PrivateKey) ([]byte, error) {
	public, err := curveKey(subject)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	by, err := newSigner(key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	der, err := smx509.CreateCertificate(rand, template, issuer, public, by)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return der, nil
}

// Request signs with SM2 and SM3.
func (Suite) Request(rand io.Reader, subject pkix.Name, key crypto.PrivateKey) ([]byte, error) {
	by, err := newSigner(key)
	if err != nil {
		return nil, fmt.Errorf("request certificate: %w", err)
	}
	der, err := smx509.CreateCertificateRequest(rand, &x509.CertificateRequest{Subject: subject}, by)
	if err != nil {
		return nil, fmt.Errorf("request certificate: %w", err)
	}
	return der, nil
}

// ParseRequest takes requests for SM2 keys.
func (s Suite) ParseRequest(der []byte) (*x509.CertificateRequest, crypto.PublicKey, error) {
	if form, err := crypto.RequestForm(der); err != nil {
		return nil, nil, err
	} else if form != formSM2 {
		return nil, nil, fmt.Errorf("%w: a node's key is SM2", crypto.ErrCertificateSuite)
	}
	r, err := smx509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", crypto.ErrCertificate, err)
	}
	if r.SignatureAlgorithm != smx509.SM2WithSM3 {
		return nil, nil, fmt.Errorf("%w: it is not signed with SM2 and SM3", crypto.ErrCertificateSuite)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, nil, crypto.ErrSignature
	}
	key, err := s.nodeKey(r.PublicKey)
	return r.ToX509(), key, err
}

// nodeKey is a key of gmsm's X.509 as a node has it.
func (s Suite) nodeKey(key any) (crypto.PublicKey, error) {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != gmsm.P256() {
		return nil, fmt.Errorf("%w: a node's key is SM2", crypto.ErrCertificateSuite)
	}
	point, err := gmsm.PublicKeyToECDH(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", crypto.ErrCertificate, err)
	}
	return s.ParsePublicKey(point.Bytes()[1:]) // X ‖ Y of 4 ‖ X ‖ Y
}

// curveKey is a node's key as gmsm has it.
func curveKey(key crypto.PublicKey) (*ecdsa.PublicKey, error) {
	parsed, err := sm2.ParsePublicKey(key.Bytes())
	if err != nil {
		return nil, err
	}
	return parsed.Key(), nil
}

// signer is a key as gmsm's X.509 has it: SM2 signs the message itself, and certificates carry signatures in DER (GM/T 0009).
type signer struct {
	key    crypto.PrivateKey
	public *ecdsa.PublicKey
}

func newSigner(key crypto.PrivateKey) (signer, error) {
	public, err := curveKey(key.Public())
	return signer{key, public}, err
}

func (s signer) Public() stdcrypto.PublicKey { return s.public }

func (s signer) Sign(_ io.Reader, msg []byte, opts stdcrypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, errors.New("SM2 signs messages, not digests")
	}
	sig, err := s.key.Sign(msg)
	if err != nil {
		return nil, err
	}
	return sm2.EncodeDER(sig) // which refuses what a device gives that is no signature
}
