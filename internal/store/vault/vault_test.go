package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

var suites = []crypto.Suite{intl.Suite{}, gm.Suite{}}

// master is a master key that is there.
type master struct {
	suite crypto.Suite
	key   byte
}

func (m master) bytes() []byte { return bytes.Repeat([]byte{m.key}, m.suite.KeySize()) }

func (m master) Wrap(key, context []byte) ([]byte, error) {
	return m.suite.Seal(rand.Reader, m.bytes(), key, context)
}

func (m master) Unwrap(wrapped, context []byte) ([]byte, error) {
	key, err := m.suite.Open(m.bytes(), wrapped, context)
	if err != nil {
		return nil, ErrMasterKey
	}
	return key, nil
}

// eachSuite runs a test on both suites, with an empty encrypted folder "d" in memory.
func eachSuite(t *testing.T, test func(t *testing.T, mem *vfs.MemFS, v *FS)) {
	for _, s := range suites {
		t.Run(s.Name(), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			require.NoError(t, mem.MkdirAll("d", 0o755))
			require.NoError(t, syncDir(mem, "/"))
			require.NoError(t, Create(mem, "d", s, master{s, 1}, false))
			test(t, mem, reopen(t, mem, s))
		})
	}
}

func reopen(tb testing.TB, mem vfs.FS, s crypto.Suite) *FS {
	tb.Helper()
	v, err := Open(mem, "d", s, master{s, 1})
	require.NoError(tb, err)
	return v
}

func write(tb testing.TB, fs vfs.FS, name string, parts ...[]byte) {
	tb.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(tb, err)
	for _, p := range parts {
		n, err := f.Write(bytes.Clone(p))
		require.NoError(tb, err)
		require.Equal(tb, len(p), n)
	}
	require.NoError(tb, f.Sync())
	require.NoError(tb, f.Close())
}

func read(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

func text(n int) []byte {
	b := make([]byte, n)
	mrand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// edges are lengths around what frames hold.
var edges = []int{0, 1, 15, 16, 17, 4096, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, maxRecord, maxRecord + 1, writeBuffer, 5*writeBuffer + 7}

func TestReadsBack(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		for _, name := range []string{"d/000001.sst", "d/000002.log", "d/MANIFEST-000003", "d/OPTIONS-000004", "d/000005.blob"} {
			for _, n := range edges {
				for _, piece := range []int{1 << 30, 4096, 700} {
					b := text(n)
					var parts [][]byte
					for rest := b; len(rest) > 0; {
						k := min(piece, len(rest))
						parts, rest = append(parts, rest[:k]), rest[k:]
					}
					write(t, v, name, parts...)
					got, err := read(v, name)
					require.NoError(t, err, "%s %d by %d", name, n, piece)
					require.True(t, bytes.Equal(b, got), "%s %d by %d", name, n, piece)
				}
				checkReadAt(t, v, name, text(n))
			}
		}
		require.Empty(t, v.writers)
		require.Empty(t, v.readers)
	})
}

func checkReadAt(t *testing.T, v *FS, name string, want []byte) {
	t.Helper()
	f, err := v.Open(name, vfs.RandomReadsOption)
	require.NoError(t, err)
	defer f.Close()
	if formOf(name) == pages {
		info, err := f.Stat()
		require.NoError(t, err)
		require.EqualValues(t, len(want), info.Size())
		info, err = v.Stat(name)
		require.NoError(t, err)
		require.EqualValues(t, len(want), info.Size())
	}
	rng := mrand.New(mrand.NewPCG(uint64(len(want)), 1))
	for range 20 {
		off := rng.IntN(len(want) + 1)
		p := make([]byte, rng.IntN(3*pageSize))
		n, err := f.ReadAt(p, int64(off))
		require.True(t, bytes.Equal(want[off:min(off+len(p), len(want))], p[:n]))
		if off+len(p) > len(want) {
			require.ErrorIs(t, err, io.EOF)
		} else {
			require.NoError(t, err)
		}
	}
}

// A file of a table is never right when it is altered; one of a log never reads as something else, and once closed it is never less.
func TestEveryAlteredByteIsFound(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		want := text(700)
		for _, name := range []string{"d/000001.sst", "d/000002.log", "d/MANIFEST-000003", "d/OPTIONS-000004"} {
			write(t, v, name, want[:300], want[300:301], want[301:])
			sealed, err := read(mem, name)
			require.NoError(t, err)
			for i := range sealed {
				bad := bytes.Clone(sealed)
				bad[i] ^= 1 << (i % 8)
				write(t, mem, name, bad)
				got, err := read(v, name)
				// The end mark is the only thing that may be lost without a trace: it stands where the text has ended.
				if i >= len(sealed)-recordHeader-tagSize && formOf(name) == log && mayTear(name) {
					require.NoError(t, err)
					require.Equal(t, want, got)
					continue
				}
				require.ErrorIs(t, err, ErrAltered, "%s byte %d", name, i)
				require.ErrorContains(t, err, name)
			}
			for i := range sealed {
				write(t, mem, name, sealed[:i])
				got, err := read(v, name)
				if formOf(name) == log && (mayTear(name) || i == 0) {
					require.NoError(t, err, "%s cut at %d", name, i)
					require.True(t, bytes.HasPrefix(want, got))
				} else if i > 0 {
					require.ErrorIs(t, err, ErrAltered, "%s cut at %d", name, i)
				}
			}
			write(t, mem, name, sealed, []byte("more"))
			got, err := read(v, name)
			if formOf(name) == pages {
				require.ErrorIs(t, err, ErrAltered)
			} else {
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
}

// Files do not take each other's place, be it under another name, from another folder, or in plain text.
func TestExchangedFilesAreRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		require.NoError(t, mem.MkdirAll("e", 0o755))
		require.NoError(t, Create(mem, "e", v.suite, v.master, false))
		other, err := Open(mem, "e", v.suite, v.master)
		require.NoError(t, err)
		for _, ext := range []string{".sst", ".log"} {
			for _, n := range []int{100, 40_000} {
				write(t, v, "d/1"+ext, text(n))
				require.NoError(t, vfs.Copy(mem, "d/1"+ext, "d/2"+ext))
				_, err = read(v, "d/2"+ext)
				require.ErrorIs(t, err, ErrAltered)
				write(t, other, "e/1"+ext, text(n))
				require.NoError(t, vfs.Copy(mem, "e/1"+ext, "d/1"+ext))
				_, err = read(v, "d/1"+ext)
				require.ErrorIs(t, err, ErrAltered)
				write(t, mem, "d/1"+ext, text(n))
				_, err = read(v, "d/1"+ext)
				require.ErrorIs(t, err, ErrAltered)
				require.ErrorContains(t, err, "not encrypted")
			}
		}
		require.Error(t, v.Rename("d/1.sst", "d/3.sst"))
		require.Error(t, v.Link("d/1.sst", "d/3.sst"))
	})
}

// What was synced outlives a crash; of the rest a beginning may; nothing is ever read that was not written.
func TestCrashesTearLogsOnly(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		for seed := range uint64(200) {
			rng := mrand.New(mrand.NewPCG(seed, 7))
			name := fmt.Sprintf("d/%06d.log", seed)
			var f vfs.File
			var err error
			if old := fmt.Sprintf("d/%06d.log", seed-1); seed%2 == 1 { // a log that was used before
				f, err = v.ReuseForWrite(old, name, vfs.WriteCategoryUnspecified)
			} else {
				f, err = v.Create(name, vfs.WriteCategoryUnspecified)
			}
			require.NoError(t, err)
			require.NoError(t, syncDir(v, "d"))
			var all []byte
			synced := 0
			for range rng.IntN(12) {
				b := text(rng.IntN(20_000))
				_, err := f.Write(bytes.Clone(b))
				require.NoError(t, err)
				all = append(all, b...)
				if rng.IntN(2) == 0 {
					require.NoError(t, f.Sync())
					synced = len(all)
				}
			}
			closed := rng.IntN(3) == 0
			if closed {
				require.NoError(t, f.Close())
			}
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			got, err := read(reopen(t, left, v.suite), name)
			require.NoError(t, err, "seed %d", seed)
			require.GreaterOrEqual(t, len(got), synced, "seed %d", seed)
			require.True(t, bytes.HasPrefix(all, got), "seed %d", seed)
			if !closed {
				require.NoError(t, f.Close())
			}
		}
	})
}

// An altered record that was synced is told from a tear wherever a later record is left.
func TestAlteredLogIsNoTear(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		f, err := v.Create("d/000001.log", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		for i := range 30 {
			_, err := f.Write(text(3000 + i))
			require.NoError(t, err)
			require.NoError(t, f.Sync())
		}
		sealed, err := read(mem, "d/000001.log") // never closed: no end mark
		require.NoError(t, err)
		last := len(sealed) - (3029 + recordHeader + tagSize)
		before := last - (3028 + recordHeader + tagSize)
		for i := headerSize; i < len(sealed); i += 97 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 0x10
			write(t, mem, "d/000001.log", bad)
			_, err := read(v, "d/000001.log")
			if i < last {
				require.ErrorIs(t, err, ErrAltered, "byte %d of %d, %d", i, len(sealed), before)
			} else {
				require.NoError(t, err, "the last record has no witness")
			}
		}
	})
}

func TestKeyFile(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		good, err := read(mem, "d/vault.json")
		require.NoError(t, err)
		_, err = Open(mem, "d", v.suite, master{v.suite, 2})
		require.ErrorIs(t, err, ErrMasterKey)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 4
			write(t, mem, "d/vault.json", bad)
			_, err := Open(mem, "d", v.suite, v.master)
			require.Error(t, err, "byte %d: %q for %q", i, bad[i], good[i])
			require.True(t, errors.Is(err, ErrKeyFile) || errors.Is(err, ErrMasterKey), "byte %d: %v", i, err)
		}
		write(t, mem, "d/vault.json", []byte(strings.Replace(string(good), `"keys"`, `"plain": true, "keys"`, 1)))
		_, err = Open(mem, "d", v.suite, v.master)
		require.ErrorContains(t, err, "its tag fails")
		write(t, mem, "d/vault.json", good, []byte("{}"))
		_, err = Open(mem, "d", v.suite, v.master)
		require.ErrorIs(t, err, ErrKeyFile)
		require.NoError(t, mem.Remove("d/vault.json"))
		_, err = Open(mem, "d", v.suite, v.master)
		require.ErrorIs(t, err, ErrKeyFile)
	})
}

func TestMasterKeyChanges(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		write(t, v, "d/1.sst", []byte("text"))
		require.ErrorIs(t, ChangeMaster(mem, "d", v.suite, master{v.suite, 3}, master{v.suite, 2}), ErrMasterKey)
		require.NoError(t, ChangeMaster(mem, "d", v.suite, v.master, master{v.suite, 2}))
		_, err := Open(mem, "d", v.suite, v.master)
		require.ErrorIs(t, err, ErrMasterKey)
		again, err := Open(mem, "d", v.suite, master{v.suite, 2})
		require.NoError(t, err)
		got, err := read(again, "d/1.sst")
		require.NoError(t, err)
		require.Equal(t, "text", string(got))
	})
}

func TestSealer(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		s := v.NewSealer("a")
		var sealed [][]byte
		for i := range 5 {
			b, err := s.Seal(nil, text(i*100))
			require.NoError(t, err)
			require.Len(t, b, i*100+SealedOverhead)
			sealed = append(sealed, b)
		}
		require.NoError(t, v.NewKey())
		b, err := s.Seal([]byte("before"), text(7))
		require.NoError(t, err)
		require.Equal(t, "before", string(b[:6]))
		other := v.NewSealer("a")
		got, err := other.Open(b[6:])
		require.NoError(t, err)
		require.Equal(t, text(7), got)
		for i, b := range sealed {
			got, err := other.Open(b)
			require.NoError(t, err)
			require.True(t, bytes.Equal(text(i*100), got))
			_, err = v.NewSealer("b").Open(b)
			require.ErrorIs(t, err, ErrAltered)
			for j := range b {
				bad := bytes.Clone(b)
				bad[j] ^= 1
				_, err := other.Open(bad)
				require.ErrorIs(t, err, ErrAltered, "byte %d", j)
			}
		}
		_, err = other.Open([]byte("short"))
		require.ErrorIs(t, err, ErrAltered)
		require.NoError(t, v.Rewrite(t.Context(), noPace, noOrphan))
		require.NoError(t, v.DropOldKeys())
		_, err = v.NewSealer("a").Open(sealed[0])
		require.ErrorContains(t, err, "key 1")
	})
}

func noPace(context.Context, int) error { return nil }

func noOrphan(string) (bool, error) { return false, nil }
