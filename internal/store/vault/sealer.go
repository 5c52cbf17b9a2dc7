package vault

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// sealedPrefix is key id(4) ‖ salt(16) ‖ count(8), in front of each piece that a Sealer seals.
const (
	sealerSalt   = 16
	sealedPrefix = 4 + sealerSalt + 8
)

// SealedOverhead is by how much a sealed piece is longer than the piece.
const SealedOverhead = sealedPrefix + tagSize

// Sealer seals pieces that live outside the folder, for one purpose. Each Sealer has a key of its own, derived with a random salt; pieces count up under it. A new data key is
// taken up by itself, so what was sealed before has to be sealed again before old keys are dropped. Safe for concurrent use.
type Sealer struct {
	fs      *FS
	purpose string

	// mu guards all below.
	mu    sync.Mutex
	keyID uint32
	salt  [sealerSalt]byte
	count uint64
	aead  cipher.AEAD
	// opener is the last key that Open derived.
	opener  cipher.AEAD
	opening [4 + sealerSalt]byte
}

// NewSealer makes a sealer. Two purposes never open each other's pieces.
func (v *FS) NewSealer(purpose string) *Sealer { return &Sealer{fs: v, purpose: purpose} }

// Seal appends the sealed plain to dst.
func (s *Sealer) Seal(dst, plain []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	active := s.fs.active()
	if s.aead == nil || s.keyID != active || s.count == math.MaxUint64 {
		if _, err := rand.Read(s.salt[:]); err != nil {
			return nil, fmt.Errorf("draw salt: %w", err)
		}
		aead, err := s.derive(active, s.salt[:])
		if err != nil {
			return nil, err
		}
		s.aead, s.keyID, s.count = aead, active, 0
	}
	dst = binary.BigEndian.AppendUint32(dst, s.keyID)
	dst = append(dst, s.salt[:]...)
	dst = binary.BigEndian.AppendUint64(dst, s.count)
	var nonce [nonceSize]byte
	binary.BigEndian.PutUint64(nonce[4:], s.count)
	s.count++
	return s.aead.Seal(dst, nonce[:], plain, nil), nil
}

// Open reverses Seal, or returns ErrAltered.
func (s *Sealer) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < SealedOverhead {
		return nil, fmt.Errorf("%w: a sealed piece of %d bytes", ErrAltered, len(sealed))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := [4 + sealerSalt]byte(sealed[:4+sealerSalt]); s.opener == nil || id != s.opening {
		aead, err := s.derive(binary.BigEndian.Uint32(id[:]), id[4:])
		if err != nil {
			return nil, err
		}
		s.opener, s.opening = aead, id
	}
	var nonce [nonceSize]byte
	copy(nonce[4:], sealed[4+sealerSalt:sealedPrefix])
	plain, err := s.opener.Open(nil, nonce[:], sealed[sealedPrefix:], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: a sealed piece does not open", ErrAltered)
	}
	return plain, nil
}

func (s *Sealer) derive(keyID uint32, salt []byte) (cipher.AEAD, error) {
	v := s.fs
	v.mu.Lock()
	defer v.mu.Unlock()
	key := v.ring.keys[keyID]
	if key == nil {
		return nil, fmt.Errorf("%w: sealed with key %d, which %s does not hold", ErrAltered, keyID, KeyFileName)
	}
	okm, err := hkdf.Key(v.suite.NewHash, key, salt, "jialing vault "+s.purpose, v.suite.KeySize())
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	defer clear(okm)
	return v.suite.AEAD(okm)
}

func (v *FS) active() uint32 { v.mu.Lock(); defer v.mu.Unlock(); return v.ring.active }
