package execute

import (
	"encoding/binary"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// nothing is the empty state.
type nothing struct{}

func (nothing) Account(common.Address) (*chain.Account, error)        { return nil, nil }
func (nothing) Slot(common.Address, common.Hash) (common.Hash, error) { return common.Hash{}, nil }
func (nothing) Code(common.Hash) ([]byte, error)                      { return nil, nil }

// TestTransactionsPayForThemselves: after a transaction that touched very much, the next one's end looks at what that one touched alone.
func TestTransactionsPayForThemselves(t *testing.T) {
	st, rules := NewStateDB(nothing{}), params.Rules{IsEIP158: true, IsBerlin: true}
	at := func(i int) common.Address {
		var a common.Address
		binary.BigEndian.PutUint32(a[:], uint32(i+1))
		return a
	}
	for i := range 20_000 {
		st.AddBalance(at(i), uint256.NewInt(1), tracing.BalanceChangeUnspecified)
		st.SetTransientState(at(i), common.Hash{}, common.Hash{1})
		st.AddSlotToAccessList(at(i), common.Hash{})
	}
	st.Finalise(rules)
	require.Empty(t, st.journal)
	require.Empty(t, st.transient)
	st.Prepare(rules, at(0), at(1), nil, nil, nil)
	st.SubBalance(at(0), uint256.NewInt(1), tracing.BalanceChangeUnspecified)
	st.AddBalance(at(1), uint256.NewInt(1), tracing.BalanceChangeUnspecified)
	require.Len(t, st.touched, 2)
	require.Len(t, st.journal, 2)
	require.False(t, st.AddressInAccessList(at(2)))
	st.Finalise(rules)
	require.Len(t, st.WriteSet(), 19_999)

	// And the next block does not hold the memory of that one for ever.
	for i := range 40_000 {
		st.SetState(at(i), common.Hash{}, common.Hash{1})
	}
	st.Reset(nothing{})
	require.LessOrEqual(t, len(st.slotArena.chunks), arenaKeep)
	require.LessOrEqual(t, len(st.accountArena.chunks), arenaKeep)
}
