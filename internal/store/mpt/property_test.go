package mpt

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// narrowKey draws keys that differ in few places, so that small tries have long extensions, deep branches and nodes shorter than a hash.
func narrowKey(t *rapid.T) (k key) {
	for range rapid.IntRange(0, 3).Draw(t, "places") {
		setNibble(&k, rapid.SampledFrom([]int{0, 1, 2, 30, 31, 61, 62, 63}).Draw(t, "place"), byte(rapid.IntRange(0, 15).Draw(t, "nibble")))
	}
	return k
}

// Any sequence of blocks gives go-ethereum's root after each, and a store that Check approves of and that holds no stray record.
func TestPropertyBlocks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db, m := newMemory(), &model{owner: key{1}, leaves: make(map[key][]byte), trie: newOracle()}
		f := must(NewForest(testConfig(), db, EmptyRoot))
		for gen := range uint64(rapid.IntRange(1, 8).Draw(rt, "blocks")) {
			tr, flat := must(f.Storage(m.owner, m.trie.Hash())), make(map[key][]byte)
			for range rapid.IntRange(0, 25).Draw(rt, "changes") {
				k := narrowKey(rt)
				v := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "value")
				m.change(t, k, v)
				flat[k] = v
				if err := tr.Update(k, v); err != nil {
					rt.Fatal(err)
				}
			}
			_, changes, err := f.Commit(gen)
			if err != nil {
				rt.Fatal(err)
			}
			if want := m.trie.Hash(); tr.Root() != want {
				rt.Fatalf("root %x, go-ethereum's is %x", tr.Root(), want)
			}
			if err := changes.Apply(db); err != nil {
				rt.Fatal(err)
			}
			for k, v := range flat {
				db.writeFlat(m.owner, k, v)
			}
			f.Durable(gen)
			if rapid.Bool().Draw(rt, "evict") {
				f.cfg.CacheBytes = 0
			}
			if err := Check(testLayout, db, m.owner, tr.Root()); err != nil {
				rt.Fatal(err)
			}
		}
		m.checkRecords(t, db)
		tr := must(f.Storage(m.owner, m.trie.Hash()))
		for k := range m.leaves {
			m.checkProof(t, tr, k)
		}
		m.checkProof(t, tr, narrowKey(rt))
	})
}

// What the decoder takes, the encoder gives back.
func FuzzRecord(f *testing.F) {
	r := record{explicit: 0x8001, hash: [32]byte{1, 2, 3}}
	f.Add(r.append(nil))
	r.skipLen, r.skip = 3, [32]byte{0x12, 0x30}
	f.Add(r.append(nil))
	r.skipLen = 63
	f.Add(r.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r record
		if err := r.decode(b); err != nil {
			return
		}
		if got := r.append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x decodes and encodes to %x", b, got)
		}
	})
}

func FuzzAccountRecord(f *testing.F) {
	f.Add(accountLeaf(7))
	f.Add(AppendAccountRecord(nil, accountLeaf(7)))
	f.Add([]byte{0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if leaf, err := AccountLeaf(nil, b); err != nil && len(b) > 0 {
			t.Fatalf("%x: %v (gives %x)", b, err, leaf)
		}
		if len(b) == 0 || b[0] == 0 {
			return // no leaf is empty or starts with 0
		}
		leaf, err := AccountLeaf([]byte{9}, AppendAccountRecord(nil, b))
		if err != nil || !bytes.Equal(leaf[1:], b) {
			t.Fatalf("leaf %x comes back as %x, %v", b, leaf, err)
		}
	})
}

// A store with arbitrary node and flat records never makes a trie panic.
func FuzzLoad(f *testing.F) {
	var r record
	f.Add(r.append(nil), r.append(nil), []byte{1}, []byte{0x12, 0x34}, byte(1))
	f.Fuzz(func(t *testing.T, root, child, leaf, at []byte, n byte) {
		db := newMemory()
		db.Set([]byte{'a', 0}, root)
		db.Set(append([]byte{'a', n}, at...), child)
		for i := range n % 32 {
			k := key{}
			copy(k[:], at)
			k[31] = i
			db.Set(append([]byte{'A'}, k[:]...), leaf)
			db.Set(append([]byte{'A'}, at...), leaf)
		}
		var rec record
		if rec.decode(root) != nil {
			rec.hash = key{1}
		}
		view := NewView(testLayout, db, key{}, rec.hash)
		view.Update(key{n}, nil)
		if _, err := view.Prove(key{n}); err == nil {
			t.Fatal("a made-up root is proved")
		}
	})
}
