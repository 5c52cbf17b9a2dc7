package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// KeyFileName is the file of a ledger's folder that holds its data keys.
const KeyFileName = "vault.json"

const (
	keyFileVersion = 1
	// maxKeyFile bounds what is read: a few keys of some hundred bytes.
	maxKeyFile = 64 << 10
	// maxKeys bounds the data keys at one time: one, and while a ledger is sealed anew two; more only after re-keying was begun again and again without an end.
	maxKeys = 64
)

// Master wraps data keys. What Wrap returns is all that Unwrap needs beside the master key; context is authenticated. Unwrap returns ErrMasterKey when the master key is
// another one. Called one at a time.
type Master interface {
	Wrap(key, context []byte) ([]byte, error)
	Unwrap(wrapped, context []byte) ([]byte, error)
}

// keyFile is vault.json.
type keyFile struct {
	Version int    `json:"version"`
	Suite   string `json:"suite"`
	// Active is the key of new files.
	Active uint32 `json:"active"`
	// Plain tells that files may be there that are not sealed: the ledger is being converted.
	Plain bool         `json:"plain,omitempty"`
	Keys  []wrappedKey `json:"keys"`
	// Tag authenticates all above under the active key.
	Tag string `json:"tag"`
}

type wrappedKey struct {
	ID      uint32 `json:"id"`
	Wrapped string `json:"wrapped"`
}

// ring is the data keys in the clear.
type ring struct {
	active uint32
	plain  bool
	keys   map[uint32][]byte
	// wrapped are the same, as they are in the file.
	wrapped map[uint32]string
}

func newDataKey() ([]byte, error) {
	key := make([]byte, dataKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("draw data key: %w", err)
	}
	return key, nil
}

// keyContext is what a wrapped key is bound to.
func keyContext(suite crypto.Suite, id uint32) []byte {
	return fmt.Appendf(nil, "jialing vault key %d %s", id, suite.Name())
}

// add draws a key and makes it the active one.
func (r *ring) add(suite crypto.Suite, m Master) error {
	if len(r.keys) >= maxKeys {
		return fmt.Errorf("%w: it has %d keys already; let re-keying come to its end", ErrKeyFile, len(r.keys))
	}
	key, err := newDataKey()
	if err != nil {
		return err
	}
	id := r.active + 1
	wrapped, err := m.Wrap(key, keyContext(suite, id))
	if err != nil {
		return fmt.Errorf("wrap data key: %w", err)
	}
	r.keys[id], r.wrapped[id], r.active = key, hex.EncodeToString(wrapped), id
	return nil
}

func (r *ring) clone() *ring {
	out := &ring{active: r.active, plain: r.plain, keys: make(map[uint32][]byte), wrapped: make(map[uint32]string)}
	for id, key := range r.keys {
		out.keys[id], out.wrapped[id] = bytes.Clone(key), r.wrapped[id]
	}
	return out
}

// wipe overwrites the keys. Copies that the runtime has made of them are out of reach.
func (r *ring) wipe() {
	for _, key := range r.keys {
		clear(key)
	}
}

// rewrap wraps all keys with another master key.
func (r *ring) rewrap(suite crypto.Suite, m Master) error {
	for id, key := range r.keys {
		wrapped, err := m.Wrap(key, keyContext(suite, id))
		if err != nil {
			return fmt.Errorf("wrap data key: %w", err)
		}
		r.wrapped[id] = hex.EncodeToString(wrapped)
	}
	return nil
}

// tag authenticates the file, so that nobody without the master key makes plain files welcome or old keys active.
func (k *keyFile) tag(suite crypto.Suite, active []byte) (string, error) {
	k2 := *k
	k2.Tag = ""
	text, err := json.Marshal(&k2)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", KeyFileName, err)
	}
	key, err := hkdf.Key(suite.NewHash, active, nil, "jialing vault key file", dataKeySize)
	if err != nil {
		return "", fmt.Errorf("derive key: %w", err)
	}
	mac := hmac.New(suite.NewHash, key)
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

func (r *ring) encode(suite crypto.Suite) ([]byte, error) {
	k := &keyFile{Version: keyFileVersion, Suite: suite.Name(), Active: r.active, Plain: r.plain}
	for id, wrapped := range r.wrapped {
		k.Keys = append(k.Keys, wrappedKey{id, wrapped})
	}
	slices.SortFunc(k.Keys, func(a, b wrappedKey) int { return int(int64(a.ID) - int64(b.ID)) })
	var err error
	if k.Tag, err = k.tag(suite, r.keys[r.active]); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(k, "", "  ")
	return append(text, '\n'), err
}

// decodeKeyFile checks what can be checked without the master key.
func decodeKeyFile(suite crypto.Suite, text []byte) (*keyFile, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrKeyFile}, args...)...)
	}
	k := new(keyFile)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(k); err != nil {
		return nil, bad("%w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("something follows its end")
	}
	switch {
	case k.Version != keyFileVersion:
		return nil, bad("it has version %d, this program reads %d", k.Version, keyFileVersion)
	case k.Suite != suite.Name():
		return nil, bad("its suite is %q, the chain's is %q", k.Suite, suite.Name())
	case len(k.Keys) == 0 || len(k.Keys) > maxKeys:
		return nil, bad("it has %d keys", len(k.Keys))
	}
	for i, w := range k.Keys {
		if w.ID == 0 || (i > 0 && w.ID <= k.Keys[i-1].ID) {
			return nil, bad("its keys' numbers do not rise from 1")
		}
	}
	if k.Active != k.Keys[len(k.Keys)-1].ID {
		return nil, bad("its active key is not the last one")
	}
	return k, nil
}

func decodeRing(suite crypto.Suite, text []byte, m Master) (*ring, error) {
	k, err := decodeKeyFile(suite, text)
	if err != nil {
		return nil, err
	}
	r := &ring{active: k.Active, plain: k.Plain, keys: make(map[uint32][]byte), wrapped: make(map[uint32]string)}
	for _, w := range k.Keys {
		wrapped, err := hex.DecodeString(w.Wrapped)
		if err != nil {
			return nil, fmt.Errorf("%w: key %d: %w", ErrKeyFile, w.ID, err)
		}
		key, err := m.Unwrap(wrapped, keyContext(suite, w.ID))
		if err != nil {
			r.wipe()
			return nil, fmt.Errorf("data key %d: %w", w.ID, err)
		}
		if len(key) != dataKeySize {
			return nil, fmt.Errorf("%w: key %d has %d bytes", ErrKeyFile, w.ID, len(key))
		}
		r.keys[w.ID], r.wrapped[w.ID] = key, w.Wrapped
	}
	tag, err := k.tag(suite, r.keys[r.active])
	if err != nil {
		return nil, err
	}
	if !hmac.Equal([]byte(tag), []byte(k.Tag)) {
		r.wipe()
		return nil, fmt.Errorf("%w: it was altered: its tag fails", ErrKeyFile)
	}
	return r, nil
}

// store replaces the key file in one step and returns when that is durable.
func (r *ring) store(fs vfs.FS, dir string, suite crypto.Suite) error {
	text, err := r.encode(suite)
	if err != nil {
		return err
	}
	name := fs.PathJoin(dir, KeyFileName)
	f, err := fs.Create(name+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fs.Rename(name+".tmp", name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return syncDir(fs, dir)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func readKeyFile(fs vfs.FS, dir string) ([]byte, error) {
	f, err := fs.Open(fs.PathJoin(dir, KeyFileName))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	return text, nil
}

// ChangeMaster wraps a folder's data keys with another master key. No file but vault.json is touched. The folder must be locked by the caller.
func ChangeMaster(fs vfs.FS, dir string, suite crypto.Suite, from, to Master) error {
	text, err := readKeyFile(fs, dir)
	if err != nil {
		return err
	}
	r, err := decodeRing(suite, text, from)
	if err != nil {
		return err
	}
	defer r.wipe()
	if err := r.rewrap(suite, to); err != nil {
		return err
	}
	return r.store(fs, dir, suite)
}

// AnySealed names a file of the folder that is sealed, for a folder without a key file.
func AnySealed(fs vfs.FS, dir string) (string, error) {
	names, err := fs.List(dir)
	if err != nil {
		return "", fmt.Errorf("list folder: %w", err)
	}
	for _, base := range names {
		name := fs.PathJoin(dir, base)
		if isClear(name) {
			continue
		}
		f, err := fs.Open(name)
		if err != nil {
			return "", fmt.Errorf("open %s: %w", name, err)
		}
		var b [headerSize]byte
		n, err := readAt(f, b[:], 0)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		if _, ok := sealedWith(b[:n]); ok {
			return base, nil
		}
	}
	return "", nil
}
