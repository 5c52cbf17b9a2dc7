package store

import (
	"hash/maphash"
	"sync"
	"unsafe"

	"github.com/ethereum/go-ethereum/common"
)

const (
	// cacheWays is how many places a key has. Four neighbours are one or two cache lines of keys apart and give most of what full LRU would.
	cacheWays = 4
	// cacheShards is the number of locks: many more than the goroutines that read at once.
	cacheShards = 64
)

// cache keeps values of recent use under plain keys. Its memory is one fixed block of entries without pointers: bounded exactly, and nothing for the garbage
// collector to walk. A full set drops the entry that was not used since the set's last eviction. Safe for concurrent use.
type cache[K comparable, V any] struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard[K, V]
}

type cacheShard[K comparable, V any] struct {
	mu sync.Mutex
	// entries is a row of sets of cacheWays.
	entries []cacheEntry[K, V]
	_       [64]byte // keep the locks of neighbouring shards on different cache lines
}

type cacheEntry[K comparable, V any] struct {
	key   K
	value V
	// since is a height from which on value has been the newest one, without a gap up to now.
	since      uint64
	full, used bool
}

// newCache takes about size bytes, at least one set for each shard. The memory is touched only as it fills.
func newCache[K comparable, V any](size int64) *cache[K, V] {
	c := &cache[K, V]{seed: maphash.MakeSeed()}
	sets := max(1, int(size)/(cacheShards*cacheWays*int(unsafe.Sizeof(cacheEntry[K, V]{}))))
	for i := range c.shards {
		c.shards[i].entries = make([]cacheEntry[K, V], sets*cacheWays)
	}
	return c
}

// set locks the shard of key and returns the key's set. The caller unlocks.
func (c *cache[K, V]) set(key K) (*cacheShard[K, V], []cacheEntry[K, V]) {
	h := maphash.Comparable(c.seed, key)
	s := &c.shards[h%cacheShards]
	s.mu.Lock()
	i := int(h/cacheShards%uint64(len(s.entries)/cacheWays)) * cacheWays
	return s, s.entries[i : i+cacheWays]
}

// get returns the newest value of key if it is here and has been the newest since height or before.
func (c *cache[K, V]) get(key K, height uint64) (value V, ok bool) {
	s, set := c.set(key)
	defer s.mu.Unlock()
	for i := range set {
		if e := &set[i]; e.full && e.key == key {
			if e.since > height {
				return value, false
			}
			e.used = true
			return e.value, true
		}
	}
	return value, false
}

// put stores value as the newest of key since a height, unless valid, called under the lock that orders all puts of this key, says no.
func (c *cache[K, V]) put(key K, value V, since uint64, valid func() bool) {
	s, set := c.set(key)
	defer s.mu.Unlock()
	if valid != nil && !valid() {
		return
	}
	victim := -1
	for i := range set {
		e := &set[i]
		if e.full && e.key == key {
			victim = i
			break
		}
		if victim < 0 && !e.full {
			victim = i
		}
	}
	if victim < 0 {
		for i := range set {
			if !set[i].used {
				victim = i
			}
			set[i].used = false
		}
		victim = max(victim, 0)
	}
	set[victim] = cacheEntry[K, V]{key: key, value: value, since: since, full: true, used: true}
}

// clear empties the cache.
func (c *cache[K, V]) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		clear(s.entries)
		s.mu.Unlock()
	}
}

// slotID names a slot by its plain key.
type slotID struct {
	account common.Address
	slot    common.Hash
}

// codeCache keeps code by hash. Code never changes, so it needs no heights. A full cache drops an arbitrary entry. Safe for concurrent use.
type codeCache struct {
	mu    sync.RWMutex
	codes map[common.Hash][]byte
	size  int64
	limit int64
}

func newCodeCache(limit int64) *codeCache {
	return &codeCache{codes: make(map[common.Hash][]byte), limit: limit}
}

func (c *codeCache) get(hash common.Hash) ([]byte, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	code, ok := c.codes[hash]
	return code, ok
}

func (c *codeCache) put(hash common.Hash, code []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.codes[hash]; ok || int64(len(code)) > c.limit {
		return
	}
	for victim, old := range c.codes {
		if c.size+int64(len(code)) <= c.limit {
			break
		}
		delete(c.codes, victim)
		c.size -= int64(len(old))
	}
	c.codes[hash] = code
	c.size += int64(len(code))
}
