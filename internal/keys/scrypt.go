package keys

import (
	"crypto/hkdf"
	"encoding/hex"
	"fmt"
	"io"

	"golang.org/x/crypto/scrypt"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Strength is scrypt's cost parameter N; r is 8 and p is 1.
type Strength int

const (
	// Strong takes 128 MiB and some tenths of a second: for passphrases that people choose.
	Strong Strength = 1 << 17
	// ForRandom takes 4 MiB and some milliseconds. It is for passphrases of NewPassphrase alone, which nobody can guess: 256 bits need no stretching.
	ForRandom Strength = 1 << 12
)

// Bounds of what a key file may ask of the machine: four times the memory and time of Strong.
const (
	maxScryptBytes = 512 << 20
	maxScryptLanes = 4
	saltSize       = 32
)

// Derivation is how a passphrase becomes the key of the suite's cipher: scrypt (RFC 7914, which rests on SHA-256 on every chain) makes guessing
// expensive, then HKDF-Extract and -Expand (RFC 5869) with the suite's hash make the key. So on every suite the secrecy of the file rests on the suite's
// hash and cipher; scrypt only adds to what a guess costs.
type Derivation struct {
	N    int    `json:"n"`
	R    int    `json:"r"`
	P    int    `json:"p"`
	Salt string `json:"salt"`
}

func newDerivation(rand io.Reader, s Strength) (*Derivation, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, fmt.Errorf("draw salt: %w", err)
	}
	d := &Derivation{N: int(s), R: 8, P: 1, Salt: hex.EncodeToString(salt)}
	return d, d.check()
}

// check bounds time and memory before either is spent.
func (d *Derivation) check() error {
	switch {
	case d.N < 2 || d.N&(d.N-1) != 0:
		return fmt.Errorf("scrypt.n is %d: it must be a power of two", d.N)
	case d.R < 1 || d.P < 1 || d.P > maxScryptLanes || d.N > maxScryptBytes/128/d.R:
		return fmt.Errorf("scrypt asks for too much: n·r·128 may be %d MiB at most and p %d, got n=%d r=%d p=%d", maxScryptBytes>>20, maxScryptLanes, d.N, d.R, d.P)
	}
	if salt, err := hex.DecodeString(d.Salt); err != nil || len(salt) != saltSize {
		return fmt.Errorf("scrypt.salt must be %d bytes in hex", saltSize)
	}
	return nil
}

// key is the cipher's key. The caller clears it.
func (d *Derivation) key(suite crypto.Suite, passphrase []byte) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	salt, err := hex.DecodeString(d.Salt)
	if err != nil {
		return nil, err
	}
	stretched, err := scrypt.Key(passphrase, salt, d.N, d.R, d.P, 32)
	if err != nil {
		return nil, fmt.Errorf("scrypt: %w", err)
	}
	defer clear(stretched)
	// The passphrase goes in beside its stretched form: what the file is worth does not then depend on SHA-256.
	secret := append(append(make([]byte, 0, len(stretched)+len(passphrase)), stretched...), passphrase...)
	defer clear(secret)
	key, err := hkdf.Key(suite.NewHash, secret, salt, "jialing node key", suite.KeySize())
	if err != nil {
		return nil, fmt.Errorf("hkdf: %w", err)
	}
	return key, nil
}
