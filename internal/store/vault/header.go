package vault

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// A sealed file begins with magic(8) ‖ form(1) ‖ log2 of the page size(1) ‖ zero(2) ‖ key id(4) ‖ salt(32) ‖ check(16). The file's key and check are HKDF over the data key with
// the salt and everything else of the header, and the file's name where Pebble never renames such a file. Nothing in the header is secret.
const (
	magic      = "\x8fJLV\r\n\x1a\x01"
	headerSize = 64
	saltOffset = 16
	saltSize   = 32
	checkSize  = headerSize - saltOffset - saltSize
)

// dataKeySize is that of the secrets from which file keys are derived, whatever the suite's cipher takes.
const dataKeySize = 32

// tagSize and nonceSize are those of crypto.Suite.AEAD.
const (
	tagSize   = 16
	nonceSize = 12
)

// form is how a file is cut and sealed.
type form byte

const (
	pages form = 1
	log   form = 2
)

// formOf goes by the name, as Pebble does.
func formOf(name string) form {
	if ext := filepath.Ext(name); ext == ".sst" || ext == ".blob" {
		return pages
	}
	return log
}

// boundName is what a file's key is bound to, so that files cannot be exchanged: their name, unless Pebble may rename them.
func boundName(name string) string {
	base := filepath.Base(name)
	switch filepath.Ext(base) {
	case ".sst", ".blob", ".log":
		return base
	}
	if strings.HasPrefix(base, "MANIFEST-") {
		return base
	}
	return ""
}

// mayTear tells the files of which a crash may leave a part, and which Pebble reads as far as they go.
func mayTear(name string) bool {
	base := filepath.Base(name)
	return filepath.Ext(base) == ".log" || strings.HasPrefix(base, "MANIFEST-")
}

// header is the beginning of one sealed file, with the cipher that it stands for.
type header struct {
	raw   [headerSize]byte
	form  form
	keyID uint32
	aead  cipher.AEAD
}

// newHeader draws a salt for a new file.
func newHeader(suite crypto.Suite, f form, keyID uint32, dataKey []byte, bound string) (*header, error) {
	h := &header{form: f, keyID: keyID}
	copy(h.raw[:], magic)
	h.raw[8] = byte(f)
	if f == pages {
		h.raw[9] = pageBits
	}
	binary.BigEndian.PutUint32(h.raw[12:], keyID)
	if _, err := rand.Read(h.raw[saltOffset : saltOffset+saltSize]); err != nil {
		return nil, fmt.Errorf("draw salt: %w", err)
	}
	check, err := h.derive(suite, dataKey, bound)
	if err != nil {
		return nil, err
	}
	copy(h.raw[saltOffset+saltSize:], check)
	return h, nil
}

// sealedWith reads the key id of a file's first bytes; ok is false where they begin no sealed file.
func sealedWith(b []byte) (keyID uint32, ok bool) {
	if len(b) < headerSize || !bytes.HasPrefix(b, []byte(magic)) {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[12:]), true
}

// parseHeader checks the first headerSize bytes of a file under its name. The caller has looked up the key that sealedWith names.
func parseHeader(suite crypto.Suite, b, dataKey []byte, f form, bound string) (*header, error) {
	keyID, ok := sealedWith(b)
	if !ok {
		return nil, fmt.Errorf("%w: no header", ErrAltered)
	}
	h := &header{raw: [headerSize]byte(b), form: form(b[8]), keyID: keyID}
	check, err := h.derive(suite, dataKey, bound)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(check, b[saltOffset+saltSize:headerSize]) != 1 {
		return nil, fmt.Errorf("%w: the header fails under key %d and this name", ErrAltered, keyID)
	}
	if h.form != f || (f == pages && b[9] != pageBits) {
		return nil, fmt.Errorf("%w: written in a form that this program does not read", ErrAltered)
	}
	return h, nil
}

// derive makes the file's cipher and returns the check.
func (h *header) derive(suite crypto.Suite, dataKey []byte, bound string) ([]byte, error) {
	info := "jialing vault file" + string(h.raw[:saltOffset]) + bound
	okm, err := hkdf.Key(suite.NewHash, dataKey, h.raw[saltOffset:saltOffset+saltSize], info, suite.KeySize()+checkSize)
	if err != nil {
		return nil, fmt.Errorf("derive file key: %w", err)
	}
	h.aead, err = suite.AEAD(okm[:suite.KeySize()])
	clear(okm[:suite.KeySize()])
	return okm[suite.KeySize():], err
}

func (h *header) salt() []byte { return h.raw[saltOffset : saltOffset+saltSize] }
