package node

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// storedKey is the file of a node's signing key, readable by its owner alone.
type storedKey struct {
	Suite      string `json:"suite"`
	PublicKey  string `json:"publicKey"`
	PrivateKey string `json:"privateKey"`
}

// Suites are all that a chain can have.
func Suites() []crypto.Suite { return []crypto.Suite{intl.Suite{}, gm.Suite{}} }

// SuiteByName is the one place where a genesis' word becomes a suite.
func SuiteByName(name string) (crypto.Suite, error) {
	for _, suite := range Suites() {
		if name == suite.Name() {
			return suite, nil
		}
	}
	return nil, fmt.Errorf("cryptographic suite %q is unknown, use \"intl\" or \"gm\"", name)
}

func writeKey(path string, suite crypto.Suite, key crypto.SecretKey) error {
	b, err := json.MarshalIndent(storedKey{suite.Name(), hex.EncodeToString(key.Public().Bytes()), hex.EncodeToString(key.Bytes())}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode node key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write node key: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write node key: %w", err)
	}
	return nil
}

// ReadKey reads a node.key file: a key of that suite whose public half matches.
func ReadKey(path string, suite crypto.Suite) (crypto.SecretKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read node key: %w", err)
	}
	var stored storedKey
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	if stored.Suite != suite.Name() {
		return nil, fmt.Errorf("read node key %s: it is of suite %q, the chain's is %q", path, stored.Suite, suite.Name())
	}
	secret, err := hex.DecodeString(stored.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	key, err := suite.ParsePrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	if hex.EncodeToString(key.Public().Bytes()) != stored.PublicKey {
		return nil, fmt.Errorf("read node key %s: the public key in it is another key's", path)
	}
	return key, nil
}
