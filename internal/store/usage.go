package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// TableUsage is the disk space of one table.
type TableUsage struct {
	// Name is the table's in words, as in schema.go.
	Name string `json:"name"`
	// Bytes is what its part of Pebble's tables takes, compressed. What is in the log only is not counted.
	Bytes uint64 `json:"bytes"`
}

// Usage is the disk space of the store.
type Usage struct {
	Tables []TableUsage `json:"tables"`
	// Log is Pebble's write-ahead log; what is in it and in no table yet is not in Tables.
	Log uint64 `json:"log"`
	// Total is everything in the folder that Pebble accounts for.
	Total uint64 `json:"total"`
}

// Usage estimates the disk space by table, from the metadata of Pebble's files. Safe for concurrent use.
func (s *Store) Usage() (*Usage, error) {
	m := s.db.Metrics()
	u := &Usage{Log: m.WAL.Size, Total: m.DiskSpaceUsage()}
	for _, t := range tables {
		n, err := s.db.EstimateDiskUsage([]byte{t.prefix}, []byte{t.prefix + 1})
		if err != nil {
			return nil, fmt.Errorf("usage of %s: %w", t.name, s.readError(err))
		}
		u.Tables = append(u.Tables, TableUsage{t.name, n})
	}
	return u, nil
}

// Metrics are Pebble's figures. Safe for concurrent use.
func (s *Store) Metrics() *pebble.Metrics { return s.db.Metrics() }

// CommitmentStats are the trie cache's figures as of the last staged block. Safe for concurrent use after Init.
func (s *Store) CommitmentStats() mpt.Stats { return s.forest.Stats() }

// Staged is the number of blocks between the last durable one and the tip. Safe for concurrent use.
func (s *Store) Staged() int {
	s.stageMu.Lock()
	defer s.stageMu.Unlock()
	return len(s.staged)
}
