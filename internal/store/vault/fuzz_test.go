package vault

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzFiles gives files of any content to the readers: what comes is what was written, a beginning of it where the file may tear, or an error.
func FuzzFiles(f *testing.F) {
	text := text(40_000)
	names := []string{"d/000001.sst", "d/000002.log", "d/OPTIONS-000003"}
	s := suites[0]
	mem := vfs.NewMem()
	if err := errors.Join(mem.MkdirAll("d", 0o755), Create(mem, "d", s, master{s, 1}, false)); err != nil {
		f.Fatal(err)
	}
	v, err := Open(mem, "d", s, master{s, 1})
	if err != nil {
		f.Fatal(err)
	}
	sealed := make([][]byte, len(names))
	for i, name := range names {
		write(f, v, name, text[:100], text[100:])
		if sealed[i], err = read(mem, name); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), uint16(0), []byte{}, uint16(0))
		f.Add(uint8(i), uint16(70), []byte{1, 2, 3}, uint16(0))
		f.Add(uint8(i), uint16(0), sealed[i][:100], uint16(50))
	}
	// kind says which file, at where bytes replace its own; cut is taken from its end.
	f.Fuzz(func(t *testing.T, kind uint8, at uint16, put []byte, cut uint16) {
		i := int(kind) % len(names)
		content := bytes.Clone(sealed[i])
		content = content[:len(content)-min(len(content), int(cut))]
		copy(content[min(int(at), len(content)):], put)
		name := names[i]
		write(t, mem, name, content)
		got, err := read(v, name)
		if err != nil && !errors.Is(err, ErrAltered) {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(text, got) {
			t.Fatalf("%s reads as something that was never written", name)
		}
		if err == nil && len(got) < len(text) && !mayTear(name) && len(content) > 0 {
			t.Fatalf("%s lost its end without an error", name)
		}
	})
}

// FuzzHeader gives any first bytes to the reader of headers and records.
func FuzzHeader(f *testing.F) {
	s := suites[1]
	key := bytes.Repeat([]byte{1}, dataKeySize)
	h, err := newHeader(s, log, 7, key, "000002.log")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h.raw[:], h.sealRecord(nil, record{5, 0, 0}, []byte("hello")))
	f.Add([]byte(magic), []byte{})
	f.Fuzz(func(t *testing.T, head, rec []byte) {
		got, err := parseHeader(s, head, key, log, "000002.log")
		if err != nil {
			if !errors.Is(err, ErrAltered) {
				t.Fatal(err)
			}
			return
		}
		for i := range headerSize { // a header that is good is good as it is only
			bad := bytes.Clone(head)
			bad[i] ^= 1
			if _, err := parseHeader(s, bad, key, log, "000002.log"); err == nil {
				t.Fatalf("byte %d of the header may be altered", i)
			}
		}
		if len(rec) < recordHeader {
			return
		}
		if r, ok := parseRecord(rec, got.seed()); ok && r.size() > maxSealed {
			t.Fatalf("a record of %d bytes", r.size())
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	s := suites[0]
	r := &ring{keys: make(map[uint32][]byte), wrapped: make(map[uint32]string)}
	if err := r.add(s, master{s, 1}); err != nil {
		f.Fatal(err)
	}
	good, err := r.encode(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := decodeRing(s, text, master{s, 1})
		if err == nil && (got.active == 0 || len(got.keys) == 0) {
			t.Fatalf("%q is a key file without a key", text)
		}
		if err != nil && !errors.Is(err, ErrKeyFile) && !errors.Is(err, ErrMasterKey) {
			t.Fatal(err)
		}
	})
}
