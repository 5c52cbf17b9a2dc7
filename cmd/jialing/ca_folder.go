package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/pki"
)

// The files of an authority's folder.
const (
	authorityFile  = "ca.json"
	authorityKey   = "ca.key"
	authorityChain = "ca.crt"   // its own certificate, then those above it, without the root
	rootFile       = "root.crt" // what the chain registers
	issuedFolder   = "issued"
)

// errNoAuthority is a folder without an authority.
var errNoAuthority = errors.New("folder holds no certificate authority")

// authority is an organisation's own, in a folder.
type authority struct {
	dir   string
	about authorityAbout
	suite crypto.Suite
	// chain is its own certificate first, root the one that ends it.
	chain [][]byte
	root  []byte
	// sealed is the key file of one that is not written yet.
	sealed *keys.File
}

type authorityAbout struct {
	Organisation string `json:"organisation"`
	Suite        string `json:"suite"`
	Name         string `json:"name"`
}

// openAuthority reads a folder; the key stays sealed.
func openAuthority(dir string) (*authority, error) {
	b, err := readUpTo(filepath.Join(dir, authorityFile), keys.MaxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s", errNoAuthority, dir, authorityFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	a := &authority{dir: dir}
	if err := json.Unmarshal(b, &a.about); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, authorityFile), err)
	}
	if a.suite, err = node.SuiteByName(a.about.Suite); err != nil {
		return nil, err
	}
	if a.chain, err = readChain(filepath.Join(dir, authorityChain)); err != nil {
		return nil, err
	}
	root, err := readChain(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	a.root = root[0]
	return a, nil
}

// issuer opens the authority's key.
func (a *authority) issuer(passphrase string) (*pki.Issuer, error) {
	path := filepath.Join(a.dir, authorityKey)
	file, err := keys.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	key, err := file.Open(a.suite, []byte(passphrase))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &pki.Issuer{Suite: a.suite, Chain: a.chain, Key: key, Rand: rand.Reader}, nil
}

// isRoot tells that the authority is its organisation's root.
func (a *authority) isRoot() bool { return string(a.chain[0]) == string(a.root) }

// full is what a node shows: its own certificate and the authorities up to the root, which the chain has.
func (a *authority) full(leaf []byte) [][]byte {
	out := [][]byte{leaf}
	if !a.isRoot() {
		out = append(out, a.chain...)
	}
	return out
}

// keep leaves a copy of what was issued, so that it can be found when it must be revoked.
func (a *authority) keep(der []byte) (*pki.Shown, error) {
	s, _, err := pki.Describe(a.suite, der)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(a.dir, issuedFolder), 0o755); err != nil {
		return nil, fmt.Errorf("keep a copy of the certificate: %w", err)
	}
	if err := writeNew(filepath.Join(a.dir, issuedFolder, s.Serial+".crt"), pki.EncodeChain([][]byte{der}), 0o644); err != nil {
		return nil, fmt.Errorf("keep a copy of the certificate: %w", err)
	}
	return s, nil
}

// newAuthority makes an authority that is not written yet: a root, or an intermediate under parent.
func newAuthority(about authorityAbout, parent *pki.Issuer, up *authority, passphrase string, lifetime time.Duration, light bool) (*authority, error) {
	suite, err := node.SuiteByName(about.Suite)
	if err != nil {
		return nil, err
	}
	key, err := suite.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{about: about, suite: suite}
	if parent == nil {
		if a.root, err = pki.NewRoot(suite, rand.Reader, about.Organisation, key, time.Now(), lifetime); err != nil {
			return nil, err
		}
		a.chain = [][]byte{a.root}
	} else {
		der, err := parent.Intermediate(about.Name, key.Public(), time.Now(), lifetime)
		if err != nil {
			return nil, err
		}
		a.chain, a.root = up.full(der), up.root
	}
	strength := keys.Strong
	if light {
		strength = keys.ForRandom
	}
	a.sealed, err = keys.Seal(rand.Reader, suite, key, []byte(passphrase), strength)
	return a, err
}

// write makes the authority's folder.
func (a *authority) write(dir string) error {
	if err := checkNewFolder(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the authority's folder: %w", err)
	}
	text, err := json.MarshalIndent(a.about, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the authority: %w", err)
	}
	a.dir = dir
	if err := a.sealed.Write(filepath.Join(dir, authorityKey)); err != nil {
		return fmt.Errorf("write the authority's key: %w", err)
	}
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{{authorityChain, pki.EncodeChain(a.chain), 0o644}, {rootFile, pki.EncodeChain([][]byte{a.root}), 0o644},
		{authorityFile, append(text, '\n'), 0o644}} { // the last makes the folder an authority's
		if err := writeNew(filepath.Join(dir, f.name), f.content, f.mode); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return nil
}

func readChain(path string) ([][]byte, error) {
	b, err := readUpTo(path, pki.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	chain, err := pki.DecodeChain(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return chain, nil
}

// replaceFile puts content in a file's place whole, so that a node that watches it never reads half of it.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	draft, err := os.CreateTemp(filepath.Dir(path), ".jialing-")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(content)
	if err := errors.Join(err, draft.Chmod(mode), draft.Sync(), draft.Close()); err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}
