package pki

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/scrypt"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// The cost of trying one passphrase: 256 MiB and most of a second, as keystores of accounts have it. An authority's key is opened seldom.
const (
	scryptN    = 1 << 18
	scryptR    = 8
	scryptSalt = 32
	// MaxKeyFile bounds an authority's key file.
	MaxKeyFile = 4 << 10
)

// ErrPassphrase is returned where a key file does not open: the passphrase is another, or the file was altered.
var ErrPassphrase = errors.New("the authority's key cannot be opened: wrong passphrase, or the file was altered")

// keyFile is an authority's key, sealed by the suite's cipher under a key that scrypt makes of a passphrase.
type keyFile struct {
	Version int    `json:"version"`
	Suite   string `json:"suite"`
	N       int    `json:"scryptN"`
	Salt    []byte `json:"salt"`
	Sealed  []byte `json:"sealed"`
}

const keyContext = "jialing/authority/1"

// SealKey encrypts an authority's key under a passphrase. light makes trying a passphrase cheap, for tests.
func SealKey(suite crypto.Suite, rand io.Reader, key crypto.SecretKey, passphrase string, light bool) ([]byte, error) {
	f := keyFile{Version: 1, Suite: suite.Name(), N: scryptN, Salt: make([]byte, scryptSalt)}
	if light {
		f.N = 1 << 12
	}
	if _, err := io.ReadFull(rand, f.Salt); err != nil {
		return nil, fmt.Errorf("draw salt: %w", err)
	}
	under, err := f.key(suite, passphrase)
	if err != nil {
		return nil, err
	}
	secret := key.Bytes()
	defer clear(secret)
	defer clear(under)
	if f.Sealed, err = suite.Seal(rand, under, secret, []byte(keyContext)); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode key file: %w", err)
	}
	return append(b, '\n'), nil
}

// OpenKey reverses SealKey; a wrong passphrase is ErrPassphrase.
func OpenKey(suite crypto.Suite, file []byte, passphrase string) (crypto.SecretKey, error) {
	var f keyFile
	if len(file) > MaxKeyFile {
		return nil, fmt.Errorf("the authority's key file has %d bytes, at most %d", len(file), MaxKeyFile)
	}
	if err := json.Unmarshal(file, &f); err != nil {
		return nil, fmt.Errorf("read the authority's key file: %w", err)
	}
	switch {
	case f.Version != 1 || f.Suite != suite.Name():
		return nil, fmt.Errorf("the authority's key file is of version %d and suite %q, not 1 and %q", f.Version, f.Suite, suite.Name())
	case f.N < 2 || f.N > scryptN || f.N&(f.N-1) != 0 || len(f.Salt) != scryptSalt:
		return nil, errors.New("the authority's key file asks for a cost that it was not made with")
	}
	under, err := f.key(suite, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(under)
	secret, err := suite.Open(under, f.Sealed, []byte(keyContext))
	if err != nil {
		return nil, ErrPassphrase
	}
	defer clear(secret)
	return suite.ParsePrivateKey(secret)
}

func (f *keyFile) key(suite crypto.Suite, passphrase string) ([]byte, error) {
	key, err := scrypt.Key([]byte(passphrase), f.Salt, f.N, scryptR, 1, suite.KeySize())
	if err != nil {
		return nil, fmt.Errorf("make a key of the passphrase: %w", err)
	}
	return key, nil
}
