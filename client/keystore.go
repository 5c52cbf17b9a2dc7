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
	id, err := keystoreID()
	if err != nil {
		return nil, err
	}
	out, err := keystore.EncryptKey(&keystore.Key{Id: id, Address: a.address, PrivateKey: a.key}, passphrase, strength.N, strength.P)
	if err != nil {
		return nil, fmt.Errorf("encrypt account: %w", err)
	}
	return out, nil
}

// Keystore is the account encrypted under passphrase in the format of Secp256k1.Keystore with one field more, "kind":"sm2". Ethereum's tools cannot use
// it: they take any key for one of secp256k1 and then find that it has another address.
func (a *SM2) Keystore(passphrase string, strength KeystoreStrength) ([]byte, error) {
	id, err := keystoreID()
	if err != nil {
		return nil, err
	}
	secret := a.secret()
	defer clear(secret)
	sealed, err := keystore.EncryptDataV3(secret, []byte(passphrase), strength.N, strength.P)
	if err != nil {
		return nil, fmt.Errorf("encrypt account: %w", err)
	}
	out, err := json.Marshal(&keystoreFile{Address: hex.EncodeToString(a.address[:]), Kind: KindSM2, Crypto: sealed, ID: fmt.Sprintf("%x-%x-%x-%x-%x",
		id[:4], id[4:6], id[6:8], id[8:10], id[10:]), Version: 3})
	if err != nil {
		return nil, fmt.Errorf("encrypt account: %w", err)
	}
	return out, nil
}

func keystoreID() (id [16]byte, err error) {
	if _, err := rand.Read(id[:]); err != nil {
		return id, fmt.Errorf("encrypt account: %w", err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562, version 4
	return id, nil
}

// AccountFromKeystore opens a keystore file of any kind. A wrong passphrase is ErrPassphrase. The work that the file may ask for is bounded.
func AccountFromKeystore(file []byte, passphrase string) (KeyAccount, error) {
	k, err := parseKeystore(file)
	if err != nil {
		return nil, fmt.Errorf("keystore file: %w", err)
	}
	secret, err := keystore.DecryptDataV3(k.Crypto, passphrase)
	defer clear(secret)
	if errors.Is(err, keystore.ErrDecrypt) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("keystore file: %w", err)
	}
	if k.kind() == KindSM2 {
		a, err := sm2FromBytes(secret)
		if err != nil {
			return nil, errors.New("keystore file: what it holds is no SM2 key")
		}
		return a, nil
	}
	key, err := crypto.ToECDSA(secret)
	if err != nil {
		return nil, errors.New("keystore file: what it holds is no secp256k1 key")
	}
	return Secp256k1FromKey(key), nil
}

// Secp256k1FromKeystore is AccountFromKeystore for a file that must hold that kind.
func Secp256k1FromKeystore(file []byte, passphrase string) (*Secp256k1, error) {
	return openAs[*Secp256k1](file, passphrase, KindSecp256k1)
}

// SM2FromKeystore is AccountFromKeystore for a file that must hold that kind.
func SM2FromKeystore(file []byte, passphrase string) (*SM2, error) {
	return openAs[*SM2](file, passphrase, KindSM2)
}

func openAs[A KeyAccount](file []byte, passphrase, kind string) (none A, err error) {
	if got, err := KeystoreKind(file); err != nil {
		return none, err
	} else if got != kind {
		return none, fmt.Errorf("keystore file: holds an account of kind %q, not %q", got, kind)
	}
	a, err := AccountFromKeystore(file, passphrase)
	if err != nil {
		return none, err
	}
	return a.(A), nil
}

// KeystoreKind reads what kind of account a keystore file names, without opening it.
func KeystoreKind(file []byte) (string, error) {
	k, err := parseKeystore(file)
	if err != nil {
		return "", fmt.Errorf("keystore file: %w", err)
	}
	return k.kind(), nil
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
	Address string `json:"address"`
	// Kind is absent in files of Ethereum's tools.
	Kind    string              `json:"kind,omitempty"`
	Crypto  keystore.CryptoJSON `json:"crypto"`
	ID      string              `json:"id"`
	Version int                 `json:"version"`
}

func (k *keystoreFile) kind() string {
	if k.Kind == "" {
		return KindSecp256k1
	}
	return k.Kind
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
	case k.kind() != KindSecp256k1 && k.kind() != KindSM2:
		return nil, errKind(k.Kind)
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
