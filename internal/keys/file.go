package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// MaxFile bounds a key file in bytes: real ones have about 500.
const MaxFile = 16 << 10

// fileVersion is the format that is written and the only one that is read.
const fileVersion = 1

var (
	// ErrPassphrase: the passphrase does not open the file, or the file was altered; the cipher cannot tell which.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrPlaintext is a key file of former versions, which had no encryption.
	ErrPlaintext = errors.New("the private key in it is not encrypted")
	// ErrFile is a key file that cannot be one.
	ErrFile = errors.New("not a key file")
)

// File is a node's key as it lies on a disk: the suite and the public key for everybody, the private key for who has the passphrase. A key that lives in a
// device has a file too, which says so and holds no secret: who reads a node's folder sees its public key without the device.
type File struct {
	Version int    `json:"version"`
	Suite   string `json:"suite"`
	// PublicKey is the suite's encoding in hex.
	PublicKey string `json:"publicKey"`
	// Device names the kind of device that holds the key, "" where Sealed does.
	Device string      `json:"device,omitempty"`
	Scrypt *Derivation `json:"scrypt,omitempty"`
	// Sealed is nonce ‖ ciphertext ‖ tag of the suite's AEAD in hex, over the suite's encoding of the private key. Its context is all of the above.
	Sealed string `json:"sealed,omitempty"`
}

// Seal encrypts key under a passphrase.
func Seal(rand io.Reader, suite crypto.Suite, key crypto.SecretKey, passphrase []byte, strength Strength) (*File, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("seal key: the passphrase is empty")
	}
	d, err := newDerivation(rand, strength)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	f := &File{Version: fileVersion, Suite: suite.Name(), PublicKey: hex.EncodeToString(key.Public().Bytes()), Scrypt: d}
	k, err := d.key(suite, passphrase)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	defer clear(k)
	secret := key.Bytes()
	defer clear(secret)
	sealed, err := suite.Seal(rand, k, secret, f.context())
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	f.Sealed = hex.EncodeToString(sealed)
	return f, nil
}

// Reference is the file of a key that a device holds.
func Reference(suite crypto.Suite, public crypto.PublicKey, device string) *File {
	return &File{Version: fileVersion, Suite: suite.Name(), PublicKey: hex.EncodeToString(public.Bytes()), Device: device}
}

// Parse checks all that can be checked without the passphrase. A file of former versions is ErrPlaintext.
func Parse(b []byte) (*File, error) {
	var f struct {
		File
		PrivateKey *string `json:"privateKey"`
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: exceeds %d bytes", ErrFile, MaxFile)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	switch {
	case f.PrivateKey != nil:
		return nil, ErrPlaintext
	case f.Version != fileVersion:
		return nil, fmt.Errorf("%w: version %d, this program reads version %d", ErrFile, f.Version, fileVersion)
	case f.Suite == "":
		return nil, fmt.Errorf("%w: it names no suite", ErrFile)
	case f.Device != "" && (f.Sealed != "" || f.Scrypt != nil):
		return nil, fmt.Errorf("%w: it names a device and holds a key too", ErrFile)
	}
	if _, err := hex.DecodeString(f.PublicKey); err != nil || f.PublicKey == "" {
		return nil, fmt.Errorf("%w: publicKey is no hex", ErrFile)
	}
	if f.Device != "" {
		return &f.File, nil
	}
	if f.Scrypt == nil {
		return nil, fmt.Errorf("%w: scrypt is missing", ErrFile)
	}
	if err := f.Scrypt.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if _, err := hex.DecodeString(f.Sealed); err != nil || f.Sealed == "" {
		return nil, fmt.Errorf("%w: sealed is no hex", ErrFile)
	}
	return &f.File, nil
}

// Read reads a key file. Errors name it, and say what to do about a plain one.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read node key: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	defer clear(b) // a former version's has the key in it
	if err != nil {
		return nil, fmt.Errorf("read node key: %w", err)
	}
	out, err := Parse(b)
	if errors.Is(err, ErrPlaintext) {
		return nil, fmt.Errorf("read node key %s: %w; run: jialing key encrypt %s", path, err, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	return out, nil
}

// Public is the public key, for a chain of that suite.
func (f *File) Public(suite crypto.Suite) (crypto.PublicKey, error) {
	if f.Suite != suite.Name() {
		return nil, fmt.Errorf("it is of suite %q, the chain's is %q", f.Suite, suite.Name())
	}
	b, err := hex.DecodeString(f.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%w: publicKey is no hex", ErrFile)
	}
	return suite.ParsePublicKey(b)
}

// Open decrypts the key. A wrong passphrase is ErrPassphrase.
func (f *File) Open(suite crypto.Suite, passphrase []byte) (crypto.SecretKey, error) {
	if f.Device != "" {
		return nil, fmt.Errorf("%w: the key lives in a device (%s)", ErrFile, f.Device)
	}
	if _, err := f.Public(suite); err != nil {
		return nil, err
	}
	sealed, err := hex.DecodeString(f.Sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: sealed is no hex", ErrFile)
	}
	k, err := f.Scrypt.key(suite, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(k)
	secret, err := suite.Open(k, sealed, f.context())
	if errors.Is(err, crypto.ErrSealed) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	key, err := suite.ParsePrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if hex.EncodeToString(key.Public().Bytes()) != f.PublicKey {
		return nil, fmt.Errorf("%w: the public key in it is another key's", ErrFile)
	}
	return key, nil
}

// Encode is the file's text.
func (f *File) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode key file: %w", err)
	}
	return append(b, '\n'), nil
}

// Write writes a new file of mode 0600, durably; one that is there is fs.ErrExist.
func (f *File) Write(path string) error {
	b, err := f.Encode()
	if err != nil {
		return err
	}
	return writeSecret(path, b)
}

// Replace writes the file in place of one that is there, durably and at once: a crash leaves the one or the other.
func (f *File) Replace(path string) error {
	b, err := f.Encode()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	defer os.Remove(tmp.Name()) // gone after the renaming
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// context binds what is sealed to everything that stands beside it.
func (f *File) context() []byte {
	d := f.Scrypt
	return fmt.Appendf(nil, "jialing node key %d\n%s\n%s\n%d %d %d %s\n", f.Version, f.Suite, f.PublicKey, d.N, d.R, d.P, d.Salt)
}

func writeSecret(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
