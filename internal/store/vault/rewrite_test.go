package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// files are what a test has written.
type files map[string][]byte

func (f files) check(tb testing.TB, v *FS) {
	tb.Helper()
	for name, want := range f {
		got, err := read(v, name)
		require.NoError(tb, err, name)
		require.True(tb, bytes.Equal(want, got), name)
	}
}

func someFiles(tb testing.TB, fs vfs.FS) files {
	tb.Helper()
	out := files{}
	for i, n := range edges {
		for _, name := range []string{"d/%06d.sst", "d/%06d.log", "d/MANIFEST-%06d", "d/OPTIONS-%06d"} {
			name = fmt.Sprintf(name, i)
			write(tb, fs, name, text(n))
			out[name] = text(n)
		}
	}
	require.NoError(tb, syncDir(fs, "d"))
	return out
}

func TestRekey(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		want := someFiles(t, v)
		table, err := v.Open("d/000012.sst")
		require.NoError(t, err)
		manifest, err := v.Create("d/MANIFEST-000100", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = manifest.Write(text(50_000))
		require.NoError(t, err)
		half, err := v.Create("d/000101.sst", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = half.Write(text(20_000))
		require.NoError(t, err)

		require.NoError(t, v.NewKey())
		u, err := v.Usage()
		require.NoError(t, err)
		require.Equal(t, uint32(2), u.Active)
		require.Equal(t, []uint32{1, 2}, u.Keys)
		require.True(t, u.Pending())
		require.Positive(t, u.OldFiles)
		require.NoError(t, v.NewKey(), "one at a time")
		require.ErrorContains(t, v.DropOldKeys(), "still need")

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- v.Rewrite(ctx, noPace, noOrphan) }()
		_, err = half.Write(text(100)) // Rewrite waits for this one
		require.NoError(t, err)
		require.NoError(t, half.Sync())
		require.NoError(t, half.Close())
		require.NoError(t, <-done)
		cancel()
		want["d/000101.sst"] = append(text(20_000), text(100)...)

		_, err = manifest.Write(text(3))
		require.NoError(t, err)
		require.NoError(t, manifest.Sync())
		want["d/MANIFEST-000100"] = append(text(50_000), text(3)...)
		want.check(t, v)
		p := make([]byte, edges[12])
		_, err = table.ReadAt(p, 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text(edges[12]), p), "a reader that was open")
		require.NoError(t, table.Close())

		require.NoError(t, v.DropOldKeys())
		u, err = v.Usage()
		require.NoError(t, err)
		require.Equal(t, []uint32{2}, u.Keys)
		require.Zero(t, u.OldFiles)
		want.check(t, v)
		left := mem.CrashClone(vfs.CrashCloneCfg{})
		want.check(t, reopen(t, left, v.suite))
		require.NoError(t, manifest.Close())
		require.Empty(t, v.writers)
		want.check(t, reopen(t, mem, v.suite))
	})
}

func TestConvert(t *testing.T) {
	for _, s := range suites {
		mem := vfs.NewMem()
		require.NoError(t, mem.MkdirAll("d", 0o755))
		want := someFiles(t, mem)
		require.NoError(t, Create(mem, "d", s, master{s, 1}, true))
		v := reopen(t, mem, s)
		u, err := v.Usage()
		require.NoError(t, err)
		require.True(t, u.Converting)
		want.check(t, v)
		table, err := v.Open("d/000012.sst")
		require.NoError(t, err)
		require.NoError(t, v.Rewrite(t.Context(), noPace, noOrphan))
		require.NoError(t, v.DropOldKeys())
		p := make([]byte, 100)
		_, err = table.ReadAt(p, 77)
		require.NoError(t, err)
		require.Equal(t, want["d/000012.sst"][77:177], p)
		require.NoError(t, table.Close())
		want.check(t, reopen(t, mem, s))
		for name, b := range want {
			sealed, err := read(mem, name)
			require.NoError(t, err)
			require.False(t, len(b) > 15 && bytes.Contains(sealed, b[:16]), name)
		}
	}
}

// TestRekeyCrashes ends a re-keying before each of its steps in turn, with a crash; the next one ends it, and no file has lost anything.
func TestRekeyCrashes(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		want := files{}
		for i, n := range []int{10, 30_000} {
			for _, name := range []string{"d/%06d.sst", "d/%06d.log", "d/OPTIONS-%06d"} {
				name = fmt.Sprintf(name, i)
				write(t, v, name, text(n))
				want[name] = text(n)
			}
		}
		require.NoError(t, syncDir(v, "d"))
		steps := 0
		for step := 0; ; step++ {
			disk := mem.CrashClone(vfs.CrashCloneCfg{})
			fs := &cutFS{FS: disk, left: step}
			v2, err := Open(fs, "d", v.suite, v.master)
			require.NoError(t, err)
			err = rekeyAll(t.Context(), v2)
			if err == nil {
				steps = step
				break
			}
			require.ErrorIs(t, err, errCut, "step %d", step)
			rng := mrand.New(mrand.NewPCG(uint64(step), 1))
			after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: step * 37 % 101, RNG: rng})
			v3 := reopen(t, after, v.suite)
			want.check(t, v3)
			require.NoError(t, rekeyAll(t.Context(), v3), "step %d", step)
			want.check(t, v3)
			u, err := v3.Usage()
			require.NoError(t, err)
			require.Len(t, u.Keys, 1)
			require.Zero(t, u.OldFiles)
			want.check(t, reopen(t, after.CrashClone(vfs.CrashCloneCfg{}), v.suite))
		}
		require.Greater(t, steps, 30)
	})
}

func rekeyAll(ctx context.Context, v *FS) error {
	if err := v.NewKey(); err != nil {
		return err
	}
	if err := v.Rewrite(ctx, noPace, noOrphan); err != nil {
		return err
	}
	return v.DropOldKeys()
}

var errCut = errors.New("the disk is cut off")

// cutFS lets so many operations through that alter the disk, and none after.
type cutFS struct {
	vfs.FS
	mu   sync.Mutex
	left int
}

func (fs *cutFS) step() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.left--; fs.left < 0 {
		return errCut
	}
	return nil
}

func (fs *cutFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.step(); err != nil {
		return nil, err
	}
	f, err := fs.FS.Create(name, c)
	return &cutFile{f, fs}, err
}

func (fs *cutFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return &cutFile{f, fs}, err
}

func (fs *cutFS) Rename(from, to string) error {
	return errors.Join(fs.step(), fs.then(fs.FS.Rename, from, to))
}

func (fs *cutFS) Remove(name string) error {
	return errors.Join(fs.step(), fs.then(func(n, _ string) error { return fs.FS.Remove(n) }, name, ""))
}

func (fs *cutFS) then(do func(a, b string) error, a, b string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.left < 0 {
		return errCut
	}
	return do(a, b)
}

type cutFile struct {
	vfs.File
	fs *cutFS
}

func (f *cutFile) Write(p []byte) (int, error) {
	if err := f.fs.step(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *cutFile) Sync() error {
	if err := f.fs.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

// TestFilesThatGoWhileSealedAnew: a table that is removed meanwhile does not come back, a name that is written anew keeps what was written.
func TestFilesThatGoWhileSealedAnew(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		write(t, v, "d/000001.sst", text(100_000))
		write(t, v, "d/000002.log", text(100_000))
		require.NoError(t, v.NewKey())
		gone := map[int]func(){
			100_000: func() { require.NoError(t, v.Remove("d/000001.sst")) },
		}
		read := 0
		var f vfs.File
		require.NoError(t, v.Rewrite(t.Context(), func(_ context.Context, n int) error {
			read += n
			if do := gone[read]; do != nil {
				delete(gone, read)
				do()
			}
			if read > 150_000 && f == nil {
				var err error
				f, err = v.ReuseForWrite("d/000002.log", "d/000003.log", vfs.WriteCategoryUnspecified)
				require.NoError(t, err)
				_, err = f.Write([]byte("new"))
				require.NoError(t, err)
			}
			return nil
		}, noOrphan))
		require.Empty(t, gone)
		require.NotNil(t, f)
		require.NoError(t, f.Close())
		require.NoError(t, v.DropOldKeys())
		names, err := v.List("d")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"000003.log", "vault.json"}, names)
		files{"d/000003.log": []byte("new")}.check(t, v)
	})
}

// TestReadersWhileSealedAnew reads a table by several goroutines while it is sealed anew again and again.
func TestReadersWhileSealedAnew(t *testing.T) {
	eachSuite(t, func(t *testing.T, mem *vfs.MemFS, v *FS) {
		want := text(200_000)
		write(t, v, "d/000001.sst", want)
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for i := range 3 {
			f, err := v.Open("d/000001.sst")
			require.NoError(t, err)
			readers.Go(func() {
				defer f.Close()
				rng := mrand.New(mrand.NewPCG(uint64(i), 2))
				p := make([]byte, 20_000)
				for {
					select {
					case <-stop:
						return
					default:
					}
					off := rng.IntN(len(want) - len(p))
					if _, err := f.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, want[off:off+len(p)]) {
						t.Errorf("read at %d: %v", off, err)
						return
					}
				}
			})
		}
		for range 20 {
			require.NoError(t, rekeyAll(t.Context(), v))
		}
		close(stop)
		readers.Wait()
		u, err := v.Usage()
		require.NoError(t, err)
		require.Equal(t, []uint32{21}, u.Keys)
	})
}
