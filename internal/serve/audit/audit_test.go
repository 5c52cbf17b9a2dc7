package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

var quiet = slog.New(slog.DiscardHandler)

func clock() time.Time { return time.UnixMilli(1_700_000_000_123) }

func open(t testing.TB, dir string, suite crypto.Suite) *Log {
	l, err := Open(dir, suite, clock, quiet)
	require.NoError(t, err)
	return l
}

// filled is the folder of a closed log with n records.
func filled(t testing.TB, suite crypto.Suite, n int) string {
	dir := t.TempDir()
	l := open(t, dir, suite)
	for i := range n {
		_, err := l.Append(Entry{Who: "token ops", Action: "jl_rekey", Params: []byte(fmt.Sprintf("[%d]", i)), Result: OK})
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
	return dir
}

func newest(t testing.TB, dir string) string {
	names, err := files(dir)
	require.NoError(t, err)
	return filepath.Join(dir, names[len(names)-1])
}

func TestChainGoesOn(t *testing.T) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) {
			dir := filled(t, suite, 3)
			l := open(t, dir, suite)
			seq, err := l.Begin("certificate bank/ops", "jl_reloadAccess", []byte("[]"))
			require.NoError(t, err)
			require.EqualValues(t, 4, seq)
			require.NoError(t, l.End(seq, "certificate bank/ops", "jl_reloadAccess", "it failed"))
			_, err = Open(dir, suite, clock, quiet)
			require.ErrorIs(t, err, ErrInUse)
			require.ErrorIs(t, Append(dir, suite, Entry{}), ErrInUse)
			seq, head := l.Head()
			require.NoError(t, l.Close())
			_, err = l.Append(Entry{})
			require.ErrorIs(t, err, os.ErrClosed)
			var records []Record
			rep, err := Verify(dir, suite, func(r *Record) error { records = append(records, *r); return nil })
			require.NoError(t, err)
			require.Equal(t, Report{Files: 1, First: 1, Seq: seq, Head: head}, rep)
			require.Len(t, records, 5)
			require.Equal(t, Begun, records[3].Result)
			require.Equal(t, "it failed", records[4].Result)
			require.EqualValues(t, 4, records[4].Of)
			require.Equal(t, clock(), records[4].Time())
			require.NoError(t, Append(dir, suite, Entry{Who: "command line", Action: "rescue", Result: OK}))
			rep, err = Verify(dir, suite, nil)
			require.NoError(t, err)
			require.EqualValues(t, 6, rep.Seq)
		})
	}
}

// TestAlteredRecordIsNamed alters every byte of every line, one at a time.
func TestAlteredRecordIsNamed(t *testing.T) {
	dir := filled(t, intl.Suite{}, 4)
	path := newest(t, dir)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range whole {
		harmed := bytes.Clone(whole)
		harmed[i] ^= 1
		require.NoError(t, os.WriteFile(path, harmed, 0o600))
		_, err := Verify(dir, intl.Suite{}, nil)
		var broken *Broken
		require.ErrorAs(t, err, &broken, "byte %d", i)
		require.Equal(t, bytes.Count(whole[:i], []byte("\n"))+1, broken.Line, "byte %d", i)
	}
}

func TestBrokenChains(t *testing.T) {
	lines := func(b []byte) [][]byte { return bytes.SplitAfter(b, []byte("\n")) }
	for name, c := range map[string]struct {
		harm func(l [][]byte) [][]byte
		line int
		says error
	}{
		"a record taken out":  {func(l [][]byte) [][]byte { return append(l[:1:1], l[2:]...) }, 2, errPrev},
		"the first taken out": {func(l [][]byte) [][]byte { return l[1:] }, 0, nil}, // older files may have been moved away: only who knows better can tell
		"two swapped":         {func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }, 2, errPrev},
		"one twice":           {func(l [][]byte) [][]byte { return append(l[:2:2], l[1:]...) }, 3, errPrev},
		"a blank line":        {func(l [][]byte) [][]byte { return append([][]byte{l[0], []byte("\n")}, l[1:]...) }, 2, errForm},
		"white space":         {func(l [][]byte) [][]byte { l[1] = append([]byte(" "), l[1]...); return l }, 2, errForm},
		"an unknown field":    {func(l [][]byte) [][]byte { l[1] = bytes.Replace(l[1], []byte(`{`), []byte(`{"x":1,`), 1); return l }, 2, errForm},
		"a long line":         {func(l [][]byte) [][]byte { l[1] = append(bytes.Repeat([]byte("x"), 10*maxLine), '\n'); return l }, 2, errForm},
		"no end":              {func(l [][]byte) [][]byte { l[3] = l[3][:len(l[3])-1]; return l[:4] }, 4, errTorn},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t, intl.Suite{}, 4)
			path := newest(t, dir)
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, bytes.Join(c.harm(lines(whole)), nil), 0o600))
			_, err = Verify(dir, intl.Suite{}, nil)
			if c.says == nil {
				require.NoError(t, err)
				return
			}
			var broken *Broken
			require.ErrorAs(t, err, &broken)
			require.Equal(t, c.line, broken.Line)
			require.ErrorIs(t, err, c.says)
			require.Contains(t, err.Error(), fmt.Sprintf("line %d", c.line))
		})
	}
}

// TestForgedRecordBreaksTheNext: a record with a right hash of its own breaks the chain behind it.
func TestForgedRecordBreaksTheNext(t *testing.T) {
	dir := filled(t, intl.Suite{}, 3)
	var records []Record
	_, err := Verify(dir, intl.Suite{}, func(r *Record) error { records = append(records, *r); return nil })
	require.NoError(t, err)
	records[1].Who = "token somebody else"
	records[1].Hash = records[1].sum(intl.Suite{})
	var b []byte
	for _, r := range records {
		line, err := r.encode()
		require.NoError(t, err)
		b = append(b, line...)
	}
	require.NoError(t, os.WriteFile(newest(t, dir), b, 0o600))
	_, err = Verify(dir, intl.Suite{}, nil)
	require.ErrorIs(t, err, errPrev)
	require.ErrorContains(t, err, "line 3")
}

// TestTornRecordIsPutAside cuts the last record at every byte, as a crash may.
func TestTornRecordIsPutAside(t *testing.T) {
	whole, err := os.ReadFile(newest(t, filled(t, intl.Suite{}, 3)))
	require.NoError(t, err)
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for end := last + 1; end < len(whole); end++ {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(1)), whole[:end], 0o600))
		l := open(t, dir, intl.Suite{})
		require.NoError(t, l.Close())
		var records []Record
		_, err := Verify(dir, intl.Suite{}, func(r *Record) error { records = append(records, *r); return nil })
		require.NoError(t, err)
		require.Len(t, records, 3, "two whole ones and one that tells of the third")
		require.Equal(t, "audit log torn", records[2].Action)
		aside, err := os.ReadFile(filepath.Join(dir, "torn-3"))
		require.NoError(t, err)
		require.Equal(t, whole[last:end], aside)
	}
}

// TestCrashWhilePuttingAside: the torn bytes are aside already and still in the file.
func TestCrashWhilePuttingAside(t *testing.T) {
	dir := filled(t, intl.Suite{}, 2)
	path := newest(t, dir)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"seq":`)
	require.NoError(t, errors.Join(err, f.Close()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "torn-3"), []byte(`{"seq":`), 0o600))
	require.NoError(t, open(t, dir, intl.Suite{}).Close())
	rep, err := Verify(dir, intl.Suite{}, nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, rep.Seq)
}

func TestBrokenLogGoesOnInANewFile(t *testing.T) {
	dir := filled(t, intl.Suite{}, 3)
	path := newest(t, dir)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	harmed := bytes.Replace(whole, []byte("token ops"), []byte("token oqs"), 1)
	require.NoError(t, os.WriteFile(path, harmed, 0o600))
	require.NoError(t, open(t, dir, intl.Suite{}).Close())
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, harmed, kept, "evidence is not touched")
	_, err = Verify(dir, intl.Suite{}, nil)
	require.ErrorContains(t, err, "000000001.jsonl, line 1", "and stays to be found")
	var records []Record
	_, err = Verify(newest(t, dir), intl.Suite{}, func(r *Record) error { records = append(records, *r); return nil })
	require.NoError(t, err)
	require.Equal(t, "audit log broken", records[0].Action)
}

func TestRotationKeepsTheChain(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, gm.Suite{})
	l.limit = 1000
	for range 20 {
		_, err := l.Append(Entry{Who: "node", Action: "start", Result: OK})
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
	rep, err := Verify(dir, gm.Suite{}, nil)
	require.NoError(t, err)
	require.Greater(t, rep.Files, 3)
	require.EqualValues(t, 20, rep.Seq)
	names, err := files(dir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, names[0])))
	rep, err = Verify(dir, gm.Suite{}, nil)
	require.NoError(t, err, "old files may be moved away")
	require.Greater(t, rep.First, uint64(1))
	require.NoError(t, os.Remove(filepath.Join(dir, names[2])))
	_, err = Verify(dir, gm.Suite{}, nil)
	require.ErrorIs(t, err, errPrev, "but none in between")
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(99)), nil, 0o600))
	l = open(t, dir, gm.Suite{})
	seq, _ := l.Head()
	require.EqualValues(t, 20, seq, "a file that a crash left empty says nothing")
	require.NoError(t, l.Close())
}

func TestRecordsAreBounded(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, intl.Suite{})
	for _, s := range []string{strings.Repeat("\x00", 100_000), strings.Repeat("嘉", 50_000), "\xff\xfe\n\"", "\u2028<>&"} {
		r, err := l.Append(Entry{Who: s, Action: s, Params: []byte(s), Result: s})
		require.NoError(t, err)
		line, err := r.encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(line), maxLine)
		require.Equal(t, intl.Suite{}.Sum([]byte("jialing audit params 1"), []byte(s)), r.Digest, "the digest is of all")
	}
	require.NoError(t, l.Close())
	rep, err := Verify(dir, intl.Suite{}, nil)
	require.NoError(t, err)
	require.EqualValues(t, 4, rep.Seq)
}

// TestGolden keeps the canonical bytes what they are.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		suite crypto.Suite
		hash  string
	}{
		{intl.Suite{}, "0x82a8ecb646df670e1d4eef63ef3a6b1ee1aeec9286cd83748548cbdba7bd8823"},
		{gm.Suite{}, "0x2dfe506f1afa35149f03a21c3cabfa0f633af876c8807a1cffcba8fdbbbe896f"},
	} {
		r := newRecord(c.suite, 2, crypto.Hash{1}, clock(), Entry{Who: "token ops", Action: "jl_rekey", Params: []byte("[]"), Result: OK, Of: 1})
		require.Equal(t, c.hash, r.Hash.String())
	}
}

func FuzzRead(f *testing.F) {
	dir := filled(f, intl.Suite{}, 2)
	whole, err := os.ReadFile(newest(f, dir))
	require.NoError(f, err)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte("{}\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(1)), b, 0o600))
		rep, err := Verify(dir, intl.Suite{}, nil)
		if err == nil && rep.Seq > 0 {
			require.True(t, bytes.HasSuffix(b, []byte("\n")))
		}
		l, err := Open(dir, intl.Suite{}, clock, quiet)
		require.NoError(t, err, "whatever lies there, the log goes on")
		_, err = l.Append(Entry{Who: "node", Action: "start", Result: OK})
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = Verify(newest(t, dir), intl.Suite{}, nil)
		require.NoError(t, err, "in a file that is whole")
	})
}
