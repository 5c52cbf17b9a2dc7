package store

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// EngineLog is what the consensus engine must remember across a crash: an order.Journal in the ledger's own database, so that a crash loses the same
// moment of both. One goroutine at a time.
type EngineLog struct {
	store *Store
	// first and next bound the numbers of the entries that are remembered: first ≤ number < next.
	first, next uint64
}

// maxEngineLog bounds one entry: the largest proposal, and what an engine writes beside it.
const maxEngineLog = 4 << 20

// EngineLog reads where the log begins and ends.
func (s *Store) EngineLog() (*EngineLog, error) {
	l := &EngineLog{store: s, first: 1, next: 1}
	err := l.scan(func(number uint64, _ []byte) {
		if l.next == 1 {
			l.first = number
		}
		l.next = number + 1
	})
	if err != nil {
		return nil, fmt.Errorf("engine log: %w", err)
	}
	return l, nil
}

// Append makes entry durable behind those before it. With truncate the earlier ones are forgotten in the same atomic step.
func (l *EngineLog) Append(entry []byte, truncate bool) error {
	if len(entry) > maxEngineLog {
		return fmt.Errorf("engine log: an entry of %d bytes, at most %d", len(entry), maxEngineLog)
	}
	b := l.store.newBatch(len(entry) + 64)
	defer b.close()
	first := l.first
	if truncate {
		for ; first < l.next; first++ { // an engine truncates every few entries, so single deletes are fewer than a range's tombstone is dear
			b.delete(engineLogKey(first))
		}
	}
	b.set(engineLogKey(l.next), entry)
	if err := l.store.apply(b, pebble.Sync); err != nil {
		return fmt.Errorf("engine log: %w", err)
	}
	l.first = first
	l.next++
	return nil
}

// Entries are what is remembered, oldest first.
func (l *EngineLog) Entries() (out [][]byte, err error) {
	err = l.scan(func(_ uint64, entry []byte) { out = append(out, entry) })
	if err != nil {
		return nil, fmt.Errorf("engine log: %w", err)
	}
	return out, nil
}

// scan calls fn with a copy of each entry; numbers must have no gap.
func (l *EngineLog) scan(fn func(number uint64, entry []byte)) error {
	var last uint64
	lo := []byte{tableEngineLog}
	return l.store.scan(l.store.db, lo, prefixEnd(lo), func(key, value []byte) error {
		if len(key) != 1+8 {
			return l.store.corrupt(fmt.Errorf("engine log: a key of %d bytes", len(key)))
		}
		number := binary.BigEndian.Uint64(key[1:])
		if number == 0 || (last != 0 && number != last+1) {
			return l.store.corrupt(fmt.Errorf("engine log: entry %d after %d", number, last))
		}
		last = number
		fn(number, append([]byte(nil), value...))
		return nil
	})
}

func engineLogKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableEngineLog}, number)
}
