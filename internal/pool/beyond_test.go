package pool

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestBuildBeyond builds behind blocks that are not decided, with free gas and with fees: what they hold is left out, what follows it comes, and nothing of
// that is remembered.
func TestBuildBeyond(t *testing.T) {
	for name, s := range map[string]setup{"turns": {}, "market": {mode: chain.FeesFixed, baseFee: 1}} {
		t.Run(name, func(t *testing.T) {
			f := start(t, s)
			a, b := person(1), person(2)
			f.rich(a, b)
			tx := func(from who, nonce, tip uint64) common.Hash {
				return f.must(spec{from: from, nonce: nonce, feeCap: 1_000_000_000, tipCap: tip})
			}
			a0, a1, a2, b0 := tx(a, 0, 9), tx(a, 1, 9), tx(a, 2, 9), tx(b, 0, 5)
			all := f.build()
			require.ElementsMatch(t, []common.Hash{a0, a1, a2, b0}, all)
			beyond := func(pending ...common.Hash) []common.Hash {
				type place struct {
					from  common.Address
					nonce uint64
				}
				taken := make(map[place]bool)
				for _, h := range pending {
					taken[place{f.Get(h).Sender(), f.Get(h).Nonce()}] = true
				}
				return f.BuildBeyond(func(tx *chain.Tx) bool { return taken[place{tx.Sender(), tx.Nonce()}] }, 1<<20, 1<<30, 1<<60)
			}
			require.ElementsMatch(t, []common.Hash{a1, a2, b0}, beyond(a0))
			require.Equal(t, []common.Hash{a2}, beyond(a0, a1, b0))
			require.Empty(t, beyond(a0, a1, a2, b0))
			require.Equal(t, all, f.build(), "an orphaned block's transactions are there again")
			f.decide(a0)
			require.Equal(t, []common.Hash{b0}, beyond(a1, a2))
		})
	}
}
