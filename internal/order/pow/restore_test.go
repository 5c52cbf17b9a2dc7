package pow

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// entries is a journal's content.
type entries [][]byte

func (e entries) Append([]byte, bool) error  { return nil }
func (e entries) Entries() ([][]byte, error) { return e, nil }

// TestJournalGivesParentsFirst: blocks are noted as their transactions come, which may be before their parents'.
func TestJournalGivesParentsFirst(t *testing.T) {
	var noted entries
	for _, d := range []chain.Decision{{Height: 9, TimeMillis: 1}, {Height: 7, TimeMillis: 2}, {Height: 8, TimeMillis: 3}, {Height: 7, TimeMillis: 4}} {
		d.Coinbase = common.Address{1}
		noted = append(noted, d.Encode())
	}
	j, err := openJournal(noted)
	require.NoError(t, err)
	var got [][2]uint64
	for _, d := range j.restored {
		got = append(got, [2]uint64{d.Height, d.TimeMillis})
	}
	require.Equal(t, [][2]uint64{{7, 2}, {7, 4}, {8, 3}, {9, 1}}, got, "of one height, who was here first")
}
