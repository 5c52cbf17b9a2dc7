package keys

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// ReadPlain takes the key out of a file of former versions, which had it in plain text, so that it can be sealed. suites finds one by its name.
func ReadPlain(b []byte, suites func(string) (crypto.Suite, error)) (crypto.Suite, crypto.SecretKey, error) {
	var f struct {
		Suite, PublicKey, PrivateKey string
	}
	if len(b) > MaxFile {
		return nil, nil, fmt.Errorf("%w: exceeds %d bytes", ErrFile, MaxFile)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, nil, fmt.Errorf("%w: not JSON", ErrFile) // the decoder's words could show some of it
	}
	if f.PrivateKey == "" {
		return nil, nil, fmt.Errorf("%w: it holds no key in plain text", ErrFile)
	}
	suite, err := suites(f.Suite)
	if err != nil {
		return nil, nil, err
	}
	secret, err := hex.DecodeString(f.PrivateKey)
	defer clear(secret)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: privateKey is no hex", ErrFile)
	}
	key, err := suite.ParsePrivateKey(secret)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if hex.EncodeToString(key.Public().Bytes()) != f.PublicKey {
		return nil, nil, fmt.Errorf("%w: the public key in it is another key's", ErrFile)
	}
	return suite, key, nil
}
