package pow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order/pow"
)

// TestInitialSync: a newcomer comes to a chain of several pages of headers and of several rounds of catching up, from nothing, and again after days away.
func TestInitialSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, 3, func(p *chain.WorkParams) { p.Bits = 0x2003ffff })
		w.nodes[2].threads = 0
		w.nodes[0].start()
		w.nodes[1].start()
		txs := 0
		for w.nodes[0].ledger.Height() < 2500 {
			time.Sleep(time.Minute)
			w.submit(txs, txs+1)
			txs++
		}
		late := w.nodes[2]
		late.start()
		start := time.Now()
		w.eventually(func() bool { return late.ledger.Height() >= 2500 }, 10*time.Minute, "the newcomer has caught up")
		t.Logf("2,500 blocks in %s", time.Since(start))
		w.eventually(w.alike, time.Minute, "one tip")
		late.crash()
		for w.nodes[0].ledger.Height() < 3200 {
			time.Sleep(time.Minute)
		}
		late.start()
		w.eventually(func() bool { return late.ledger.Height() >= 3200 }, 10*time.Minute, "it has caught up again")
		w.eventually(w.alike, time.Minute, "one tip")
		w.halt()
		w.agree()
		for _, d := range late.ledger.Decisions() {
			require.NoError(t, late.engine.VerifyDecision(nil, d))
		}
	})
}

// TestCheckpoint: a node whose genesis names a block of the chain follows no other, however much work there is.
func TestCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 9, 3, nil)
		w.nodes[2].threads = 0
		w.split([]int{0}, []int{1})
		w.nodes[0].solver.SetPower(100)
		w.nodes[1].solver.SetPower(500)
		w.nodes[0].start()
		w.nodes[1].start()
		time.Sleep(5 * time.Minute)
		checkpoint := w.nodes[0].ledger.Decisions()[4]
		w.nodes[2].checkpoints = []chain.WorkCheckpoint{{Height: 5, Hash: hashOf(checkpoint)}}
		w.split([]int{0, 2}, []int{1})
		more, less := w.nodes[1].engine.Status().Work.Work, w.nodes[0].engine.Status().Work.Work
		require.Positive(t, more.Cmp(less))
		w.split([]int{0}, []int{1, 2})
		w.nodes[2].start()
		time.Sleep(time.Minute)
		require.Zero(t, w.nodes[2].ledger.Height(), "the chain of more work goes past the checkpoint")
		require.Positive(t, w.nodes[2].engine.Status().Work.Refused["rules"])
		w.split([]int{0, 2}, []int{1})
		w.eventually(func() bool { return w.nodes[2].ledger.Height() > 5 }, 5*time.Minute, "it follows the other")
		require.Equal(t, checkpoint.Hash(intl.Suite{}), w.nodes[2].ledger.Decisions()[4].Hash(intl.Suite{}))
		w.halt()
	})
}

func hashOf(d *chain.Decision) crypto.Hash { return pow.Hash(intl.Suite{}, d.Proof) }
