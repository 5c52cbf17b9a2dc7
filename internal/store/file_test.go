package store

import (
	"io"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

func readAll(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func usageOf(tb testing.TB, s *Store, names ...string) (out []uint64) {
	tb.Helper()
	require.NoError(tb, s.db.Flush())
	u, err := s.Usage()
	require.NoError(tb, err)
	for _, t := range u.Tables {
		if slices.Contains(names, t.Name) {
			out = append(out, t.Bytes)
		}
	}
	require.Len(tb, out, len(names))
	return out
}
