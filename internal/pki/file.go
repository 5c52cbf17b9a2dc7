package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	certificateBlock = "CERTIFICATE"
	requestBlock     = "CERTIFICATE REQUEST"
	// MaxFile bounds a certificate file: MaxChain certificates in PEM with the text that openssl writes before each.
	MaxFile = 64 << 10
)

// EncodeChain is certificates in PEM, the node's own first.
func EncodeChain(chain [][]byte) []byte {
	var out bytes.Buffer
	for _, der := range chain {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der}))
	}
	return out.Bytes()
}

// DecodeChain reads a certificate file: PEM blocks of type CERTIFICATE, the node's own first, text between them ignored.
func DecodeChain(b []byte) (chain [][]byte, err error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("certificate file has %d bytes, at most %d", len(b), MaxFile)
	}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		if b = rest; block.Type != certificateBlock {
			return nil, fmt.Errorf("a certificate file holds nothing but certificates, this one has %q", block.Type)
		}
		if chain = append(chain, block.Bytes); len(chain) > MaxChain {
			return nil, fmt.Errorf("certificate file has more than %d certificates", MaxChain)
		}
	}
	if len(chain) == 0 {
		return nil, errors.New("certificate file holds no certificate in PEM")
	}
	return chain, nil
}

// EncodeRequest is a request in PEM.
func EncodeRequest(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der})
}

// DecodeRequest reads a request in PEM.
func DecodeRequest(b []byte) ([]byte, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("request file has %d bytes, at most %d", len(b), MaxFile)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != requestBlock {
		return nil, errors.New("request file holds no certificate request in PEM")
	}
	return block.Bytes, nil
}

// Shown is a certificate as people see it.
type Shown struct {
	Subject      string    `json:"subject"`
	Issuer       string    `json:"issuer"`
	Organisation string    `json:"organisation,omitempty"`
	Role         string    `json:"role,omitempty"`
	Name         string    `json:"name"`
	Serial       string    `json:"serial"`
	Authority    bool      `json:"authority"`
	NotBefore    time.Time `json:"notBefore"`
	NotAfter     time.Time `json:"notAfter"`
	PublicKey    string    `json:"publicKey,omitempty"`
}

// Describe reads a certificate for people.
func Describe(suite crypto.Certificates, der []byte) (*Shown, *x509.Certificate, error) {
	c, err := suite.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	s := &Shown{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Name: c.Subject.CommonName, Serial: fmt.Sprintf("%x", c.SerialNumber.Bytes()), Authority: c.IsCA,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter}
	if len(c.Subject.Organization) == 1 {
		s.Organisation = c.Subject.Organization[0]
	}
	if len(c.Subject.OrganizationalUnit) == 1 && !c.IsCA {
		s.Role = c.Subject.OrganizationalUnit[0]
	}
	if key, err := suite.CertifiedKey(c); err == nil {
		s.PublicKey = fmt.Sprintf("0x%x", key.Bytes())
	}
	return s, c, nil
}
