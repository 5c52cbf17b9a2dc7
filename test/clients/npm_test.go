package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// installed makes node_modules hold what package-lock.json says, once for all tests.
var installed = sync.OnceValues(func() (output []byte, err error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return nil, err
	}
	const stamp = "node_modules/.installed" // a copy of the lockfile that was installed
	if was, err := os.ReadFile(stamp); err == nil && string(was) == string(lock) {
		return nil, nil
	}
	if output, err := exec.Command("npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		return output, err
	}
	return nil, os.WriteFile(stamp, lock, 0o644)
})

// npm installs the clients. Without npm there is nothing to test with.
func npm(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed: no JavaScript client and no Foundry was tested")
	}
	output, err := installed()
	require.NoError(t, err, "npm ci: %s", output)
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
