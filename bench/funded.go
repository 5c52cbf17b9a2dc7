package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// funded is a folder that keeps the chain, the folders of all its nodes, as it is after funding, because funding a million holders takes longer than measuring them. It is
// bound to the node's program: another one may write another format.
type funded struct {
	dir string
	// others matches the folders that dir replaces.
	others string
}

func fundedFolder(s *settings, accounts int) (funded, error) {
	f, err := os.Open(s.Binary)
	if err != nil {
		return funded{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return funded{}, fmt.Errorf("read the node's program: %w", err)
	}
	fmt.Fprintf(h, "%x", funderCode)
	name := fmt.Sprintf("funded-%s-%s-%s-%t-%d-%d-%d-", s.Consensus, s.Suite, s.Kind, s.Encrypt, s.Nodes, accounts, s.Seed)
	return funded{filepath.Join(s.Out, fmt.Sprintf("%s%x", name, h.Sum(nil)[:8])), filepath.Join(s.Out, name+"*")}, nil
}

// restore copies the kept chain to dir; found is false when there is none.
func (f funded) restore(dir string) (found bool, err error) {
	if _, err := os.Stat(f.dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	// cp copies into a folder that exists.
	if err := os.RemoveAll(dir); err != nil {
		return true, err
	}
	return true, copyFolder(f.dir, dir)
}

// keep copies the chain in dir, which no node runs, and removes what older programs left.
func (f funded) keep(dir string) error {
	old, err := filepath.Glob(f.others)
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := os.RemoveAll(o); err != nil {
			return err
		}
	}
	// Under another name first: a copy that was cut off must not be taken for a whole one.
	part := f.dir + ".part"
	if err := copyFolder(dir, part); err != nil {
		return err
	}
	return os.Rename(part, f.dir)
}

// copyFolder keeps the files' modes: a node's key is refused when others may read it.
func copyFolder(from, to string) error {
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the funded chain: %w: %s", err, out)
	}
	return nil
}
