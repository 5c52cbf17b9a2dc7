package store

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config is what a node may choose. What binds all nodes of a chain is in its genesis.
type Config struct {
	// Dir is the folder; it is created when missing.
	Dir string
	// FS is where Dir is. Nil: the operating system's. Tests use memory.
	FS vfs.FS
	// BlockCacheBytes bounds Pebble's cache of uncompressed blocks.
	BlockCacheBytes int64
	// StateCacheBytes bounds the cache of accounts, slots and code in front of the flat state.
	StateCacheBytes int64
	// CommitmentBytes bounds the trie nodes held in memory.
	CommitmentBytes int64
	// MemTableBytes is the size of Pebble's memtable. Larger ones flush and compact less often and so write less in all.
	MemTableBytes uint64
	// StateHistory is the number of past blocks whose state can be read; 0 keeps all. Older history is removed behind the head, pruneStep blocks at a time.
	StateHistory uint64
	// Log receives Pebble's messages and the store's own. Nil discards them.
	Log *slog.Logger
	// Encryption seals the folder's files; nil: they are in plain text. See package vault.
	Encryption *Encryption
}

// DefaultConfig is for a validator with 8 GiB of memory. Dir is the caller's.
func DefaultConfig() Config {
	return Config{
		BlockCacheBytes: 256 << 20,
		StateCacheBytes: 256 << 20,
		CommitmentBytes: 1 << 30,
		MemTableBytes:   64 << 20,
	}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name       string
		value, min int64
	}{
		{"BlockCacheBytes", c.BlockCacheBytes, 1 << 20},
		{"StateCacheBytes", c.StateCacheBytes, 1 << 20},
		{"CommitmentBytes", c.CommitmentBytes, 1 << 20},
		{"MemTableBytes", int64(c.MemTableBytes), 256 << 10},
	} {
		if f.value < f.min {
			return fmt.Errorf("store: %s is %d, at least %d", f.name, f.value, f.min)
		}
	}
	switch {
	case c.Dir == "":
		return errors.New("store: Dir is empty")
	case c.MemTableBytes > 1<<30:
		return fmt.Errorf("store: MemTableBytes is %d, at most 1 GiB", c.MemTableBytes)
	}
	return nil
}
