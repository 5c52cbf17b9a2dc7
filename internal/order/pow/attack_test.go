package pow_test

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
	"github.com/jialing-chain/jialing/internal/order/pow"
)

// TestPartitionsConverge has five nodes suffer an hour of random partitions, each shorter than the time that makes a block final: they always come back to one
// chain, and no decision is taken back.
func TestPartitionsConverge(t *testing.T) {
	for seed := range int64(seeds()) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewSource(seed))
				w := newWorld(t, seed, 5, func(p *chain.WorkParams) { p.Depth = 30 })
				w.start()
				txs, parted := 0, 0
				slowest := time.Duration(0)
				for start := time.Now(); time.Since(start) < time.Hour; parted++ {
					order := random.Perm(5)
					cut := 1 + random.Intn(3)
					groups := [][]int{order[:cut], order[cut:]}
					if cut < 3 && random.Intn(3) == 0 {
						groups = [][]int{order[:cut], order[cut : cut+1], order[cut+1:]}
					}
					w.split(groups...)
					for end := time.Now().Add(time.Duration(2000+random.Intn(28_000)) * time.Millisecond); time.Now().Before(end); txs++ {
						w.submit(txs, txs+1)
						time.Sleep(500 * time.Millisecond)
					}
					w.split()
					healed := time.Now()
					w.eventually(w.alike, time.Minute, "one tip again")
					slowest = max(slowest, time.Since(healed))
					time.Sleep(time.Duration(random.Intn(30_000)) * time.Millisecond)
				}
				last := w.nodes[0].tip()
				w.eventually(func() bool {
					for _, n := range w.nodes {
						if n.ledger.Height() < last {
							return false
						}
					}
					return true
				}, 10*time.Minute, "what was the tip is final everywhere")
				deepest, reorgs := 0, uint64(0)
				for _, n := range w.nodes {
					s := n.engine.Status().Work
					deepest, reorgs = max(deepest, s.Deepest), reorgs+s.Reorgs
				}
				t.Logf("%d partitions, %d blocks, %d changes of branch on all nodes, the deepest %d blocks, one tip again after %s at the most", parted, last, reorgs, deepest, slowest)
				require.Positive(t, reorgs)
				w.halt()
				w.agree()
				seen := make(map[[32]byte]bool)
				for _, d := range w.nodes[0].ledger.Decisions() {
					for _, h := range d.Txs {
						require.False(t, seen[h], "a transaction is decided twice")
						seen[h] = true
					}
				}
				require.Len(t, seen, txs, "every transaction is decided")
			})
		})
	}
}

// TestHashPower changes the hash power of an engine tenfold: the mean interval of blocks 101 to 200 after that is the target's.
func TestHashPower(t *testing.T) {
	var means [2]float64
	const runs = 3
	for run := range int64(2 * runs) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, run, 1, func(p *chain.WorkParams) { p.Bits = 0x2003ffff }) // 64 hashes
			w.start()
			n := w.nodes[0]
			reach := func(height uint64) time.Time {
				w.eventually(func() bool { return n.tip() >= height }, 2*time.Hour, "blocks")
				return time.Now()
			}
			reach(100)
			power := n.solver.Rate()
			if run%2 == 0 {
				n.solver.SetPower(10 * power)
			} else {
				n.solver.SetPower(power / 10)
			}
			start := reach(200)
			means[run%2] += reach(300).Sub(start).Seconds() / 100 / 2 / runs
			w.halt()
		})
	}
	t.Logf("mean interval of blocks 101 to 200 after the change, of the target's: ×10 %.3f, ÷10 %.3f", means[0], means[1])
	require.InDelta(t, 1, means[0], 0.1)
	require.InDelta(t, 1, means[1], 0.1)
}

// attacked has the last node mine in secret with that share of the hash power for a while, and then show what it has.
func attacked(t *testing.T, seed int64, share float64, secret time.Duration) *world {
	w := newWorld(t, seed, 4, nil)
	power := 512.0
	for _, n := range w.nodes[:3] {
		n.solver.SetPower(power * (1 - share) / 3)
	}
	w.nodes[3].solver.SetPower(power * share)
	w.start()
	time.Sleep(2 * time.Minute)
	w.eventually(w.alike, time.Minute, "one tip")
	w.split([]int{0, 1, 2}, []int{3})
	time.Sleep(secret)
	return w
}

// TestMinorityAttack: 30 % of the hash power cannot take back what is final after five minutes in secret: to have luck for 150 blocks is a matter of five
// standard deviations. The attacker is told that it is alone.
func TestMinorityAttack(t *testing.T) {
	for seed := range int64(seeds()) {
		synctest.Test(t, func(t *testing.T) {
			w := attacked(t, seed, 0.3, 5*time.Minute)
			before := w.nodes[0].ledger.Height()
			ours, theirs := w.nodes[0].engine.Status().Work, w.nodes[3].engine.Status().Work
			require.Positive(t, ours.Work.Cmp(theirs.Work))
			w.split()
			select {
			case err := <-w.nodes[3].result:
				var fork *pow.DeepFork
				require.ErrorAs(t, err, &fork)
				require.Positive(t, fork.Theirs.Work.Cmp(fork.Ours.Work))
				require.Greater(t, fork.Delivered, fork.Fork)
				w.nodes[3].gone()
			case <-time.After(5 * time.Minute):
				t.Fatal("the attacker still believes in its chain")
			}
			time.Sleep(2 * time.Minute)
			require.Greater(t, w.nodes[0].ledger.Height(), before+40, "the others go on")
			w.halt()
		})
	}
}

// TestMajorityAttack: more than half of the hash power can. The nodes that have delivered otherwise end with both chains in hand rather than take it back; a
// node that starts anew follows the chain of the most work.
func TestMajorityAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := attacked(t, 5, 0.65, 8*time.Minute)
		before := make([]uint64, 3)
		for i, n := range w.nodes[:3] {
			before[i] = n.ledger.Height()
		}
		w.split()
		for i, n := range w.nodes[:3] {
			select {
			case err := <-n.result:
				var fork *pow.DeepFork
				require.ErrorAs(t, err, &fork)
				require.Less(t, fork.Fork, fork.Delivered)
				require.Positive(t, fork.Theirs.Work.Cmp(fork.Ours.Work))
				require.ErrorContains(t, err, "more work")
				require.GreaterOrEqual(t, n.ledger.Height(), before[i], "nothing is taken back")
				n.gone()
			case <-time.After(5 * time.Minute):
				t.Fatalf("node %d still runs on the chain of less work", n.id)
			}
		}
		// The way out: a new folder.
		n := w.nodes[0]
		n.ledger, n.journal, n.executed = new(ordertest.Ledger), new(ordertest.Journal), 0
		n.start()
		w.eventually(func() bool { return n.ledger.Height()+20 > w.nodes[3].ledger.Height() }, 10*time.Minute, "it follows")
		w.halt()
		a, b := n.ledger.Decisions(), w.nodes[3].ledger.Decisions()
		for i := range min(len(a), len(b)) {
			require.Equal(t, b[i].Proof, a[i].Proof)
		}
	})
}

// TestShortAttack: what is not final yet can be taken back by who works more for a while; that is what depth is for. No node ends.
func TestShortAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 4, func(p *chain.WorkParams) { p.Depth = 40 })
		for _, n := range w.nodes[:3] {
			n.solver.SetPower(512 * 0.05)
		}
		w.nodes[3].solver.SetPower(512 * 0.85)
		w.start()
		time.Sleep(2 * time.Minute)
		w.split([]int{0, 1, 2}, []int{3})
		time.Sleep(time.Minute)
		w.split()
		w.eventually(w.alike, time.Minute, "one tip again")
		require.Positive(t, w.nodes[0].engine.Status().Work.Deepest)
		w.halt()
		w.agree()
	})
}

// TestRestart: blocks that are not final outlive a crash of all nodes at once, with their transactions.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4, 3, func(p *chain.WorkParams) { p.Depth = 20 })
		w.start()
		w.submit(0, 30)
		w.eventually(func() bool { return w.nodes[0].tip() >= 15 && w.alike() }, 5*time.Minute, "blocks")
		before := w.nodes[0].engine.Status().Work
		for _, n := range w.nodes {
			n.solver.SetPower(1e-9) // nobody finds anything until all have come back
			n.crash()
		}
		require.Zero(t, w.nodes[0].ledger.Height(), "nothing was final")
		w.start()
		time.Sleep(5 * time.Second)
		for _, n := range w.nodes {
			require.Equal(t, before.TipHash, n.engine.Status().Work.TipHash)
			n.solver.SetPower(171)
		}
		w.eventually(func() bool { return w.nodes[0].ledger.Height() >= 15 }, 10*time.Minute, "it is final")
		decided := 0
		for _, d := range w.nodes[0].ledger.Decisions() {
			decided += len(d.Txs)
		}
		require.Equal(t, 30, decided, "their transactions were nowhere else than with the kept blocks")
		w.halt()
		w.agree()
	})
}

// TestOtherState: a node that executes something else than all others stops agreeing with them, and the chain is none of its blocks'.
func TestOtherState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6, 4, nil)
		w.nodes[3].lies = true
		w.start()
		time.Sleep(3 * time.Minute)
		for _, n := range w.nodes[:3] {
			require.Greater(t, n.ledger.Height(), uint64(30))
			require.Positive(t, n.engine.Status().Work.Refused["executed"])
			require.NotEmpty(t, n.blamed)
		}
		require.Less(t, w.nodes[3].ledger.Height(), w.nodes[0].ledger.Height())
		for _, n := range w.nodes {
			err := n.end()
			var fork *pow.DeepFork
			require.True(t, err == nil || n == w.nodes[3] && errors.As(err, &fork), "node %d: %v", n.id, err)
		}
		for _, d := range w.nodes[0].ledger.Decisions()[7:] {
			require.NotEqual(t, byte(4), d.Coinbase[0], "height %d is the liar's", d.Height)
		}
	})
}
