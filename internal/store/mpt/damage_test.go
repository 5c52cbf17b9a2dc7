package mpt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// damagedStore is a trie of random keys and some that force extensions, with its store.
func damagedStore(t *testing.T, owner key) (*memory, *model) {
	w := newWorld(t, 21, 0)
	m := newModel(w.rng, owner)
	w.models[owner], w.roots[owner] = m, EmptyRoot
	var keys []key
	for range 400 {
		keys = append(keys, randomKey(w.rng))
	}
	for i := range 20 {
		k := m.stems[0]
		k[31], k[12] = byte(i), byte(i&1)
		keys = append(keys, k)
	}
	m.pool = keys
	w.batch(m, keys, false)
	if err := Check(testLayout, w.db, owner, m.trie.Hash()); err != nil {
		t.Fatal(err)
	}
	return w.db, m
}

// Every byte of every record matters: whichever is changed, removed or added, Check says so by owner and path, and a trie that reads it fails in the
// same way. None panics.
func TestDamageIsFound(t *testing.T) {
	for _, owner := range []key{{}, {0xaa, 1}} {
		db, m := damagedStore(t, owner)
		root := m.trie.Hash()
		rng := rand.New(rand.NewPCG(1, 1))
		kinds := map[string]int{}
		for _, k := range db.sorted() {
			if k[0] == 's' && owner == (key{}) || k[0] == 'a' && owner != (key{}) {
				continue
			}
			value := db.values[k]
			for name, harm := range map[string]func(c *memory){
				"missing":   func(c *memory) { c.Delete([]byte(k)) },
				"truncated": func(c *memory) { c.Set([]byte(k), value[:len(value)-1]) },
				"longer":    func(c *memory) { c.Set([]byte(k), append(bytes.Clone(value), 1)) },
				"empty":     func(c *memory) { c.Set([]byte(k), nil) },
				"changed": func(c *memory) {
					v := bytes.Clone(value)
					v[rng.IntN(len(v))] ^= 1 << rng.IntN(8)
					c.Set([]byte(k), v)
				},
			} {
				c := db.clone()
				harm(c)
				kinds[name]++
				what := fmt.Sprintf("%s record %x", name, k)
				requireDamage(t, what, owner, Check(testLayout, c, owner, root))
				view := NewView(testLayout, c, owner, root)
				var err error
				for k := range m.leaves {
					if _, err = view.Prove(k); err != nil {
						break
					}
				}
				requireDamage(t, what+" on reading", owner, err)
			}
		}
		t.Logf("%v", kinds)
	}
}

func requireDamage(t *testing.T, what string, owner key, err error) {
	t.Helper()
	var d *DamagedError
	if !errors.As(err, &d) {
		t.Fatalf("%s: error is %v, want a DamagedError", what, err)
	}
	if d.Owner != owner || strings.Trim(d.Path, "0123456789abcdef") != "" {
		t.Fatalf("%s: owner %x path %q", what, d.Owner, d.Path)
	}
}

func TestStrayRecords(t *testing.T) {
	db, m := damagedStore(t, key{})
	root := m.trie.Hash()
	layout := testLayout
	table := layout.table(key{})
	var r record
	for name, k := range map[string][]byte{
		"below a leaf":        table.nodeKey(nil, &m.pool[0], 40),
		"beside the siblings": table.nodeKey(nil, &m.pool[0], 2),
		"odd padding":         append(table.nodeKey(nil, &key{}, 2), 1),
		"deeper than a key":   {'a', 70, 1, 2},
		"without depth":       {'a'},
	} {
		c := db.clone()
		if c.values[string(k)] != nil {
			k = table.nodeKey(nil, &key{0x12}, 3)
		}
		c.Set(k, r.append(nil))
		err := Check(testLayout, c, key{}, root)
		if requireDamage(t, name, key{}, err); !strings.Contains(err.Error(), "stray") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := db.clone()
	c.writeFlat(key{}, key{1, 2, 3}, []byte{1})
	requireDamage(t, "flat record added", key{}, Check(testLayout, c, key{}, root))
	c = newMemory()
	c.writeFlat(key{9}, key{1}, []byte{1})
	requireDamage(t, "flat record under an empty root", key{9}, Check(testLayout, c, key{9}, EmptyRoot))
	requireDamage(t, "another root", key{}, Check(testLayout, db, key{}, common.Hash{1}))
	small := newMemory()
	w := newWorld(t, 1, 0)
	w.db = small
	w.open()
	w.batch(w.models[key{}], []key{{1}, {2}}, false)
	small.Set([]byte{'a', 0}, (&record{hash: w.roots[key{}]}).append(nil))
	requireDamage(t, "root record of a tiny trie", key{}, Check(testLayout, small, key{}, w.roots[key{}]))
}

// failing is a store whose reads begin to fail.
type failing struct {
	*memory
	after int
}

var errDisk = errors.New("disk on fire")

func (f *failing) Get(key []byte) ([]byte, error) {
	if f.after--; f.after < 0 {
		return nil, errDisk
	}
	return f.memory.Get(key)
}

func (f *failing) Scan(lo, hi []byte, fn func(k, v []byte) error) error {
	if f.after--; f.after < 0 {
		return errDisk
	}
	return f.memory.Scan(lo, hi, fn)
}

// A read error comes out as it is, at whatever read it happens, and the forest stays failed.
func TestReadErrorsAreFinal(t *testing.T) {
	db, m := damagedStore(t, key{})
	root := m.trie.Hash()
	completed := false
	for after := 0; !completed; after++ {
		f := &failing{memory: db, after: after}
		forest, err := NewForest(testConfig(), f, root)
		if err == nil {
			for _, k := range m.pool {
				forest.Accounts().Update(k, nil)
			}
			_, _, err = forest.Commit(1)
		}
		if err == nil {
			completed = f.after >= 0
			continue
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("after %d reads: %v", after, err)
		}
		if forest != nil {
			f.after = 1 << 30
			if _, _, err := forest.Commit(2); !errors.Is(err, errDisk) {
				t.Fatalf("a failed forest commits: %v", err)
			}
			if _, err := forest.Storage(key{1}, EmptyRoot); !errors.Is(err, errDisk) {
				t.Fatalf("a failed forest opens tries: %v", err)
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"same tables":   func(c *Config) { c.Slots = c.Accounts },
		"last table":    func(c *Config) { c.Slots = 0xff },
		"no cache":      func(c *Config) { c.CacheBytes = 0 },
		"workers":       func(c *Config) { c.Workers = -1 },
		"many workers":  func(c *Config) { c.Workers = 1000 },
		"without table": func(c *Config) { c.Layout = Layout{} },
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := NewForest(cfg, newMemory(), EmptyRoot); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	view := NewView(Layout{}, newMemory(), key{}, EmptyRoot)
	if _, err := view.Hash(); err == nil {
		t.Error("a view without a layout works")
	}
	f := must(NewForest(testConfig(), newMemory(), EmptyRoot))
	if err := f.Accounts().Update(key{}, make([]byte, MaxValue+1)); err == nil {
		t.Error("too long a value is taken")
	}
	if err := f.Accounts().Update(key{}, make([]byte, MaxValue)); err != nil {
		t.Error(err)
	}
	if root, _, err := f.Commit(1); err != nil || root == EmptyRoot {
		t.Error(root, err)
	}
	tr := must(f.Storage(key{1}, EmptyRoot))
	tr.Update(key{}, []byte{1})
	if _, err := tr.Hash(); err != nil {
		t.Error(err)
	}
	if _, err := f.Storage(key{1}, EmptyRoot); err == nil {
		t.Error("a storage trie is handed out under another root")
	}
	if _, err := NewForest(testConfig(), newMemory(), common.Hash{1}); err == nil {
		t.Error("a forest opens on a root that the store does not have")
	}
}

// refusing is a writer whose n-th operation fails.
type refusing struct {
	sink
	left int
}

func (r *refusing) Set(k, v []byte) error {
	if r.left--; r.left < 0 {
		return errDisk
	}
	return r.sink.Set(k, v)
}

func TestWriteErrorStopsApply(t *testing.T) {
	f := must(NewForest(testConfig(), newMemory(), EmptyRoot))
	rng := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		f.Accounts().Update(randomKey(rng), []byte{1})
	}
	_, c, err := f.Commit(1)
	if err != nil {
		t.Fatal(err)
	}
	var s sink
	if err := c.Apply(&s); err != nil || s.records != c.Records() || s.bytes != c.Bytes() {
		t.Fatalf("%v: %+v, want %d records of %d bytes", err, s, c.Records(), c.Bytes())
	}
	r := &refusing{left: 5}
	if err := c.Apply(r); !errors.Is(err, errDisk) || r.records != 5 {
		t.Fatalf("%v after %d records", err, r.records)
	}
}
