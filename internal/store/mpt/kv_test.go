package mpt

import (
	"bytes"
	"slices"
	"sync"
)

// memory is a sorted key-value store: the durable state of a test.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	keys   []string // sorted; nil when stale
}

func newMemory() *memory { return &memory{values: make(map[string][]byte)} }

func (m *memory) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[string(key)], nil
}

func (m *memory) sorted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = make([]string, 0, len(m.values))
		for k := range m.values {
			m.keys = append(m.keys, k)
		}
		slices.Sort(m.keys)
	}
	return m.keys
}

func (m *memory) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	keys := m.sorted()
	for i, _ := slices.BinarySearch(keys, string(lo)); i < len(keys) && keys[i] < string(hi); i++ {
		value, _ := m.Get([]byte(keys[i]))
		if err := fn([]byte(keys[i]), bytes.Clone(value)); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Set(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.values[string(key)]; !ok {
		m.keys = nil
	}
	m.values[string(key)] = bytes.Clone(value)
	return nil
}

func (m *memory) Delete(key []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.values[string(key)]; ok {
		m.keys = nil
		delete(m.values, string(key))
	}
	return nil
}

func (m *memory) DeleteRange(lo, hi []byte) error {
	for _, k := range m.sorted() {
		if k >= string(lo) && k < string(hi) {
			m.Delete([]byte(k))
		}
	}
	return nil
}

func (m *memory) clone() *memory {
	c := newMemory()
	for k, v := range m.values {
		c.values[k] = v
	}
	return c
}

var testLayout = Layout{AccountNodes: 'a', StorageNodes: 's', Accounts: 'A', Slots: 'S', AccountLeaf: AccountLeaf}

func testConfig() Config {
	c := DefaultConfig()
	c.Layout = testLayout
	return c
}

// flatKey is the key of a flat record.
func flatKey(owner, key [32]byte) []byte {
	t := testLayout.table(owner)
	return append(t.leaves[:t.prefix:t.prefix], key[:]...)
}

// flatValue is the flat record of a leaf.
func flatValue(owner [32]byte, leaf []byte) []byte {
	if owner == ([32]byte{}) {
		return AppendAccountRecord(nil, leaf)
	}
	return bytes.Clone(leaf)
}

// writeFlat writes or, for an empty leaf, deletes a flat record.
func (m *memory) writeFlat(owner, key [32]byte, leaf []byte) {
	if len(leaf) == 0 {
		m.Delete(flatKey(owner, key))
	} else {
		m.Set(flatKey(owner, key), flatValue(owner, leaf))
	}
}

// must returns v; a test has no use for the error but its text and place.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
