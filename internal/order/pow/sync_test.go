package pow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
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

// TestExecutionStalls: a node whose execution stands still while the others go on holds a bounded part of what they make, mines nothing, and comes back.
func TestExecutionStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 12, 3, nil)
		slow := w.nodes[2]
		slow.gate = make(chan struct{})
		w.start()
		txs := 0
		for range 20 {
			w.submit(txs, txs+5)
			txs += 5
			time.Sleep(time.Minute)
		}
		require.Greater(t, w.nodes[0].ledger.Height(), uint64(400))
		require.LessOrEqual(t, slow.ledger.Height(), uint64(order.DefaultConfig().Pipeline)+1)
		require.LessOrEqual(t, slow.engine.Status().Work.Blocks, 3*(6+64))
		mined := slow.engine.Status().Work.Mined
		time.Sleep(time.Minute)
		require.Equal(t, mined, slow.engine.Status().Work.Mined)
		close(slow.gate)
		w.eventually(func() bool { return slow.ledger.Height()+3 > w.nodes[0].ledger.Height() }, 10*time.Minute, "it has caught up")
		w.eventually(w.alike, time.Minute, "one tip")
		w.halt()
		w.agree()
	})
}

// TestLowWorkFlood: a newcomer whose first peer answers every question with another page of a long chain of next to no work comes to the honest chain all the
// same, though that has far fewer blocks.
func TestLowWorkFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 11, 2, nil)
		late := w.nodes[1]
		late.threads = 0
		w.nodes[0].start()
		time.Sleep(10 * time.Minute)

		// A schedule that began in 1970 is behind for ever: its blocks are the easiest that there are.
		forge := pow.NewForge(late.config())
		flood := []*chain.Decision{forge.Make(1000, nil)}
		at := map[[32]byte]int{hashOf(flood[0]): 0}
		for i := range 6 * pow.MaxPage {
			flood = append(flood, forge.Make(uint64(946_000_000_000+i), nil))
			at[hashOf(flood[i+1])] = i + 1
		}
		asked := 0
		w.listen(stranger, func(_ order.PeerID, msg []byte) {
			if !pow.IsAsk(msg) {
				return // its blocks are not to be had
			}
			asked++
			from := 0
			for _, h := range pow.AskedAfter(msg) {
				if i, ok := at[h]; ok {
					from = i + 1
					break
				}
			}
			page := pow.HeadersFrame(flood[from:min(from+pow.MaxPage, len(flood))]...)
			time.AfterFunc(time.Millisecond, func() { late.engine.Handle(stranger, page) })
		})
		w.split([]int{0}, []int{1})
		late.start()
		for range 10 {
			late.engine.Handle(stranger, pow.TipFrame(flood[len(flood)-1]))
			time.Sleep(time.Second)
		}
		require.Greater(t, asked, 5)
		require.EqualValues(t, len(flood), late.engine.Status().Work.Headers, "it is all that the newcomer knows of")
		require.Zero(t, late.ledger.Height(), "nothing is delivered of what is not to be had")
		w.split()
		w.eventually(func() bool { return late.ledger.Height()+20 > w.nodes[0].ledger.Height() && w.alike() }, 5*time.Minute, "the honest chain")
		require.Less(t, late.engine.Status().Work.Headers, uint64(len(flood)))
		w.halt()
		w.agree()
	})
}
