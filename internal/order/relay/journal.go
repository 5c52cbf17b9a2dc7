package relay

import (
	"encoding/binary"
	"errors"

	"github.com/jialing-chain/jialing/internal/order"
)

// journal is one term's part of the journal. Entries of other terms are not seen, and go with the first truncation. It implements order.Journal.
type journal struct {
	all  order.Journal
	from uint64
}

// Append implements order.Journal.
func (j *journal) Append(entry []byte, truncate bool) error {
	b := make([]byte, 0, binary.MaxVarintLen64+len(entry))
	return j.all.Append(append(binary.AppendUvarint(b, j.from), entry...), truncate)
}

// Entries implements order.Journal.
func (j *journal) Entries() (own [][]byte, err error) {
	all, err := j.all.Entries()
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		from, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errors.New("relay: a journal entry that says nothing of its term")
		}
		if from == j.from {
			own = append(own, b[n:])
		}
	}
	return own, nil
}

// silent is the journal of an engine that only checks proofs.
type silent struct{}

func (silent) Append([]byte, bool) error {
	return errors.New("relay: an engine that does not run writes its journal")
}
func (silent) Entries() ([][]byte, error) { return nil, nil }
