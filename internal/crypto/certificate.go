package crypto

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// MaxCertificate bounds a certificate or request in DER, in bytes. Ours have some 500; an authority's with policies, addresses of revocation lists and a
// long name stay below it, and 4 of them fit into a handshake.
const MaxCertificate = 2048

var (
	// ErrCertificate is wrapped where bytes are no X.509 certificate or request.
	ErrCertificate = errors.New("not an X.509 certificate")
	// ErrCertificateSuite is wrapped where a certificate has a key or signature that the suite does not know.
	ErrCertificateSuite = errors.New("the certificate is of another cryptographic suite")
)

// Certificates are the operations on X.509 in which suites differ. They judge form and signatures and nothing else: what a certificate is good for is
// internal/pki's. Safe for concurrent use.
type Certificates interface {
	// ParseCertificate takes DER of at most MaxCertificate bytes. A key of another suite is ErrCertificateSuite, anything else ErrCertificate.
	ParseCertificate(der []byte) (*x509.Certificate, error)
	// CertifiedKey is the certificate's key as a node has it; ErrCertificateSuite where no node of the suite has such a key.
	CertifiedKey(c *x509.Certificate) (PublicKey, error)
	// CheckIssued returns nil when issuer's key signed c, else ErrSignature or ErrCertificateSuite. Neither usage nor time is looked at.
	CheckIssued(c, issuer *x509.Certificate) error
	// Issue signs a certificate for subject by the issuer's key; issuer is template itself for one that signs itself. rand is for the suites whose
	// signatures draw.
	Issue(rand io.Reader, template, issuer *x509.Certificate, subject PublicKey, key PrivateKey) ([]byte, error)
	// Request is a certificate request (PKCS#10) for the key, in DER.
	Request(rand io.Reader, subject pkix.Name, key PrivateKey) ([]byte, error)
	// ParseRequest takes DER of at most MaxCertificate bytes whose signature proves the key in it, and returns the key as a node has it.
	ParseRequest(der []byte) (*x509.CertificateRequest, PublicKey, error)
}

// KeyForm is what kind of key a certificate or request has: the algorithm and, for keys on a curve, the curve.
type KeyForm struct {
	Algorithm, Curve string
}

// CertificateForm reads the form of a certificate's key without understanding the key, so that a suite can tell another one's certificate from a
// damaged one.
func CertificateForm(der []byte) (KeyForm, error) {
	var c struct {
		TBS struct {
			Raw        asn1.RawContent
			Version    int `asn1:"optional,explicit,default:0,tag:0"`
			Serial     *big.Int
			Algorithm  pkix.AlgorithmIdentifier
			Issuer     asn1.RawValue
			Validity   asn1.RawValue
			Subject    asn1.RawValue
			SubjectKey subjectKey
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if err := unmarshal(der, &c); err != nil {
		return KeyForm{}, err
	}
	return c.TBS.SubjectKey.form()
}

// RequestForm is CertificateForm of a request.
func RequestForm(der []byte) (KeyForm, error) {
	var c struct {
		TBS struct {
			Raw        asn1.RawContent
			Version    int
			Subject    asn1.RawValue
			SubjectKey subjectKey
			Attributes []asn1.RawValue `asn1:"tag:0"`
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if err := unmarshal(der, &c); err != nil {
		return KeyForm{}, err
	}
	return c.TBS.SubjectKey.form()
}

type subjectKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

func (k *subjectKey) form() (KeyForm, error) {
	f := KeyForm{Algorithm: k.Algorithm.Algorithm.String()}
	var curve asn1.ObjectIdentifier
	if len(k.Algorithm.Parameters.FullBytes) > 0 {
		if _, err := asn1.Unmarshal(k.Algorithm.Parameters.FullBytes, &curve); err == nil {
			f.Curve = curve.String()
		}
	}
	return f, nil
}

func unmarshal(der []byte, to any) error {
	if len(der) > MaxCertificate {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrCertificate, len(der), MaxCertificate)
	}
	rest, err := asn1.Unmarshal(der, to)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes follow it", ErrCertificate, len(rest))
	}
	return nil
}
