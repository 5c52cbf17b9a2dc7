package client

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// ErrPassphrase is a keystore that the passphrase does not open.
var ErrPassphrase = errors.New("the passphrase does not open this account")

// MaxKeystoreSize bounds a keystore file in bytes: real ones have about 500.
const MaxKeystoreSize = 64 << 10

// Bounds of what a keystore file may ask of the machine: four times the memory of what every tool writes, and a few seconds.
const (
	maxScryptBytes      = 1 << 30
	maxScryptLanes      = 16
	maxPBKDF2Iterations = 10_000_000
)

// KeystoreStrength is scrypt's N and P.
type KeystoreStrength struct{ N, P int }

var (
	// StandardKeystore takes about a second and 256 MiB: for keys of value.
	StandardKeystore = KeystoreStrength{keystore.StandardScryptN, keystore.StandardScryptP}
	// LightKeystore takes a tenth of it: for tests and small machines.
	LightKeystore = KeystoreStrength{keystore.LightScryptN, keystore.LightScryptP}
)

// Keystore is the account encrypted under passphrase as Web3 Secret Storage version 3 (scrypt), which geth, Foundry, MetaMask and others read.
func (a *Secp256k1) Keystore(passphrase string, strength KeystoreStrength) ([]byte, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("encrypt account: %w", err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562, version 4
	out, err := keystore.EncryptKey(&keystore.Key{Id: id, Address: a.address, PrivateKey: a.key}, passphrase, strength.N, strength.P)
	if err != nil {
		return nil, fmt.Errorf("encrypt account: %w", err)
	}
	return out, nil
}

// Secp256k1FromKeystore opens a version 3 keystore. A wrong passphrase is ErrPassphrase. The work that the file may ask for is bounded.
func Secp256k1FromKeystore(file []byte, passphrase string) (*Secp256k1, error) {
	k, err := parseKeystore(file)
	if err != nil {
		return nil, fmt.Errorf("keystore file: %w", err)
	}
	secret, err := keystore.DecryptDataV3(k.Crypto, passphrase)
	if errors.Is(err, keystore.ErrDecrypt) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("keystore file: %w", err)
	}
	key, err := crypto.ToECDSA(secret)
	if err != nil {
		return nil, errors.New("keystore file: what it holds is no secp256k1 key")
	}
	return Secp256k1FromKey(key), nil
}

// KeystoreAddress reads the address that a keystore file names, without opening it.
func KeystoreAddress(file []byte) (common.Address, error) {
	k, err := parseKeystore(file)
	if err != nil {
		return common.Address{}, fmt.Errorf("keystore file: %w", err)
	}
	if !common.IsHexAddress(k.Address) {
		return common.Address{}, errors.New("keystore file: names no address")
	}
	return common.HexToAddress(k.Address), nil
}

type keystoreFile struct {
	Address string              `json:"address"`
	Crypto  keystore.CryptoJSON `json:"crypto"`
	Version int                 `json:"version"`
}

// parseKeystore refuses what the decryption would panic on or spend without bound.
func parseKeystore(file []byte) (*keystoreFile, error) {
	if len(file) > MaxKeystoreSize {
		return nil, fmt.Errorf("exceeds %d bytes", MaxKeystoreSize)
	}
	k := new(keystoreFile)
	if err := json.Unmarshal(file, k); err != nil {
		return nil, fmt.Errorf("is not a version 3 keystore: %w", err)
	}
	iv, err := hex.DecodeString(k.Crypto.CipherParams.IV)
	switch {
	case k.Version != 3:
		return nil, fmt.Errorf("is not a version 3 keystore: version is %d", k.Version)
	case k.Crypto.Cipher != "aes-128-ctr":
		return nil, fmt.Errorf("cipher is %q, only aes-128-ctr is supported", k.Crypto.Cipher)
	case err != nil || len(iv) != 16:
		return nil, errors.New("cipherparams.iv must be 16 bytes of hex")
	}
	return k, checkKDF(k.Crypto.KDF, k.Crypto.KDFParams)
}

func checkKDF(kdf string, params map[string]any) error {
	// A number that is absent or of another type counts as -1, which every bound below refuses.
	number := func(name string) float64 {
		if v, ok := params[name].(float64); ok && v == float64(int64(v)) {
			return v
		}
		return -1
	}
	if _, ok := params["salt"].(string); !ok {
		return errors.New("kdfparams.salt must be hex")
	}
	if number("dklen") != 32 {
		return errors.New("kdfparams.dklen must be 32")
	}
	switch kdf {
	case "scrypt":
		n, r, p := number("n"), number("r"), number("p")
		if n < 2 || r < 1 || p < 1 || n*r*128 > maxScryptBytes || p > maxScryptLanes {
			return fmt.Errorf("kdfparams ask scrypt for n=%g r=%g p=%g; %d MiB and %d lanes are granted at most", n, r, p, maxScryptBytes>>20, maxScryptLanes)
		}
	case "pbkdf2":
		if c := number("c"); c < 1 || c > maxPBKDF2Iterations {
			return fmt.Errorf("kdfparams ask pbkdf2 for c=%g; 1 to %d are granted", c, maxPBKDF2Iterations)
		}
		if _, ok := params["prf"].(string); !ok {
			return errors.New("kdfparams.prf is missing")
		}
	default:
		return fmt.Errorf("kdf is %q, only scrypt and pbkdf2 are supported", kdf)
	}
	return nil
}
