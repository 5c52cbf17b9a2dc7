//go:build linux

package keys_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/keys"
)

func past(t *testing.T, dir string) keys.Past {
	t.Helper()
	m, err := keys.OpenMark(dir)
	require.NoError(t, err)
	return m.Past
}

func TestMark(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Equal(t, keys.NewFolder, past(t, dir))
	require.Equal(t, keys.OwnFolder, past(t, dir))
	require.NoError(t, os.Rename(dir, dir+"2"))
	dir += "2"
	require.Equal(t, keys.OwnFolder, past(t, dir), "moved within a disk")

	// Copies, as people make them.
	copied := filepath.Join(base, "copy")
	require.NoError(t, exec.Command("cp", "-a", dir, copied).Run())
	require.Equal(t, keys.CopiedFolder, past(t, copied))
	require.Equal(t, keys.CopiedFolder, past(t, copied), "until it is settled")
	m, err := keys.OpenMark(copied)
	require.NoError(t, err)
	require.NoError(t, m.Settle())
	require.Equal(t, keys.OwnFolder, past(t, copied))
	require.Equal(t, keys.OwnFolder, past(t, dir), "the original stays one")

	// An older copy in its place.
	archive := filepath.Join(base, "backup.tar")
	require.NoError(t, exec.Command("tar", "-C", dir, "-cf", archive, ".").Run())
	require.Equal(t, keys.OwnFolder, past(t, dir))
	require.NoError(t, exec.Command("tar", "-C", dir, "-xf", archive).Run())
	require.Equal(t, keys.CopiedFolder, past(t, dir))

	// What broke off while it was written, or was thrown away, is a new one.
	path := filepath.Join(dir, keys.MarkFile)
	for _, b := range []string{"", "{", `{"inode":0}`, "null"} {
		require.NoError(t, os.WriteFile(path, []byte(b), 0o600))
		require.Equal(t, keys.NewFolder, past(t, dir), b)
		require.Equal(t, keys.OwnFolder, past(t, dir), b)
	}
	require.NoError(t, os.Remove(path))
	require.Equal(t, keys.NewFolder, past(t, dir))

	_, err = keys.OpenMark(filepath.Join(base, "nowhere"))
	require.Error(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}
