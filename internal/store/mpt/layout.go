package mpt

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/ethereum/go-ethereum/common"
)

// Layout says where the four tables live. Keys handed to a Reader or Writer are complete, table byte included.
type Layout struct {
	AccountNodes byte // node records of the account trie: owned by this package
	StorageNodes byte // node records of the storage tries: owned by this package
	Accounts     byte // flat state, hash(address): read only
	Slots        byte // flat state, hash(address) ‖ hash(slot): read only

	// AccountLeaf and SlotLeaf append to dst the leaf value (the RLP that Ethereum puts into the trie) of a flat record. Nil: the record is the leaf
	// value. They are called from several goroutines at once, must keep no reference to record, and fail on a malformed one.
	AccountLeaf func(dst, record []byte) ([]byte, error)
	SlotLeaf    func(dst, record []byte) ([]byte, error)
}

// Config of a Forest.
type Config struct {
	Layout
	// CacheBytes bounds the memory of the live tries, in bytes. It is a soft bound: what a block not yet durable has changed stays.
	CacheBytes int64
	// Workers bounds the goroutines of one commit. 0 stands for GOMAXPROCS.
	Workers int
}

// minCacheBytes keeps at least the upper levels of a large trie live, without which every update would read them again.
const minCacheBytes = 1 << 20

// maxWorkers is the root's fan-out: more goroutines would find no subtree to work on.
const maxWorkers = 16

// DefaultConfig lacks only the tables. A million accounts and a million slots take about 180 MB live; 1 GiB holds some ten million keys.
func DefaultConfig() Config { return Config{CacheBytes: 1 << 30} }

// Validate names the first field that cannot work.
func (c *Config) Validate() error {
	if err := c.Layout.validate(); err != nil {
		return err
	}
	if c.CacheBytes < minCacheBytes {
		return fmt.Errorf("commitment CacheBytes is %d: at least %d are needed", c.CacheBytes, minCacheBytes)
	}
	if c.Workers < 0 || c.Workers > maxWorkers {
		return fmt.Errorf("commitment Workers is %d: want 0 to %d", c.Workers, maxWorkers)
	}
	return nil
}

func (c *Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return min(runtime.GOMAXPROCS(0), maxWorkers)
}

func (l *Layout) validate() error {
	tables := map[byte]bool{l.AccountNodes: true, l.StorageNodes: true, l.Accounts: true, l.Slots: true}
	if len(tables) != 4 {
		return errors.New("commitment Layout: the four table bytes must differ")
	}
	if tables[0xff] {
		return errors.New("commitment Layout: table byte 0xff has no successor to end a range")
	}
	return nil
}

// Reader reads the store: for a Forest the latest durable state, for a View or a Check one consistent snapshot. It is used by several goroutines at once.
type Reader interface {
	// Get returns nil without an error when the key is absent. The result stays valid after the call and is not modified.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for the records of [lo, hi) in ascending order; key and value are valid during the call of fn only. An error of fn ends the scan and is
	// returned as it is.
	Scan(lo, hi []byte, fn func(key, value []byte) error) error
}

// table is the part of the layout that one trie sees: the prefixes of its node and leaf keys. A zero owner is the account trie.
type table struct {
	owner  common.Hash
	nodes  [33]byte
	leaves [33]byte
	prefix int // bytes in use of nodes and leaves: 1 or 33
	decode func(dst, record []byte) ([]byte, error)
}

func (l *Layout) table(owner common.Hash) table {
	t := table{owner: owner, prefix: 1, decode: l.AccountLeaf}
	t.nodes[0], t.leaves[0] = l.AccountNodes, l.Accounts
	if owner != (common.Hash{}) {
		t.prefix, t.decode = 33, l.SlotLeaf
		t.nodes[0], t.leaves[0] = l.StorageNodes, l.Slots
		copy(t.nodes[1:], owner[:])
		copy(t.leaves[1:], owner[:])
	}
	return t
}

// maxKey is the longest key: table byte, owner, and either depth and path or a leaf's key.
const maxKey = 1 + 32 + 1 + 32

// nodeKey appends the key of the record of the node at the first depth nibbles of path.
func (t *table) nodeKey(dst []byte, path *[32]byte, depth int) []byte {
	dst = append(dst, t.nodes[:t.prefix]...)
	dst = append(dst, byte(depth))
	dst = append(dst, path[:(depth+1)/2]...)
	if depth&1 == 1 {
		dst[len(dst)-1] &= 0xf0
	}
	return dst
}

// childRange returns the half-open range of keys that holds exactly the records of the children of the branch at path.
func (t *table) childRange(dst []byte, path *[32]byte, depth int) (lo, hi []byte) {
	p := *path
	setNibble(&p, depth, 0)
	lo = t.nodeKey(dst, &p, depth+1)
	setNibble(&p, depth, 15)
	hi = append(t.nodeKey(lo[len(lo):], &p, depth+1), 0)
	return lo, hi
}

// nodeRange is the range of all node records of the trie.
func (t *table) nodeRange() (lo, hi []byte) {
	lo = append([]byte(nil), t.nodes[:t.prefix]...)
	return lo, successor(append([]byte(nil), lo...))
}

// leafRange returns the half-open range of flat keys whose nibble at depth lies in [from, to] under path.
func (t *table) leafRange(path *[32]byte, depth, from, to int) (lo, hi []byte) {
	lo = append(make([]byte, 0, 2*maxKey), t.leaves[:t.prefix]...)
	p := *path
	setNibble(&p, depth, byte(from))
	lo = append(lo, p[:depth/2+1]...)
	if depth&1 == 0 {
		lo[len(lo)-1] &= 0xf0
	}
	setNibble(&p, depth, byte(to))
	hi = append(lo[len(lo):], t.leaves[:t.prefix]...)
	hi = append(hi, p[:depth/2+1]...)
	if depth&1 == 0 {
		hi[len(hi)-1] |= 0x0f
	}
	return lo, successor(hi)
}

// successor turns a prefix into the smallest key after everything that starts with it, in place. Its first byte is a table's, hence not 0xff.
func successor(k []byte) []byte {
	for k[len(k)-1] == 0xff {
		k = k[:len(k)-1]
	}
	k[len(k)-1]++
	return k
}
