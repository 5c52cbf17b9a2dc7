package e2e

import (
	"context"
	"fmt"
	"math/big"
	"syscall"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// tip is the height of a node's best branch.
func (nw *network) tip(node int) uint64 {
	nw.t.Helper()
	s, err := statusOf(context.Background(), nw.processes()[node].client)
	require.NoError(nw.t, err)
	return s.Work.Tip
}

// oneTip waits until all nodes that run are at most some blocks apart on one branch: they have found each other's blocks.
func (nw *network) oneTip() {
	nw.t.Helper()
	for i, p := range nw.processes() {
		if p != nil {
			nw.caughtUp(i)
		}
	}
}

// TestNetworkOfWork kills and freezes miners under load: the chain goes on with whoever is left, those who come back follow it, a newcomer fetches it, and no
// acknowledged payment is lost.
func TestNetworkOfWork(t *testing.T) {
	seed := drawSeed(t)
	nw := createNetwork(t, 4, "--consensus", "pow", "--block-interval", "500ms", "--depth", "8", "--half-life", "5s")
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments that all mine for", 12)

	nw.kill(0, 1)
	b.progress("payments while two of four miners are dead", 6)
	nw.start(0, 1)
	nw.oneTip()

	nw.signal(2, syscall.SIGSTOP)
	begin := nw.tip(3)
	eventually(t, "blocks while a miner is frozen", func() error {
		if tip := nw.tip(3); tip < begin+3 {
			return fmt.Errorf("the tip is %d", tip)
		}
		return nil
	})
	nw.signal(2, syscall.SIGCONT)
	nw.oneTip()

	nw.kill(nw.all()...)
	nw.start(nw.all()...)
	b.progress("payments after all were killed", 6)
	newcomer := nw.join(t, "--peers", nw.endpoint(3))
	nw.caughtUp(newcomer)
	stop()
	b.audit()

	// What was minted went to the miners: the sum follows from the height.
	height := nw.settled()
	minted := new(big.Int)
	for i := range 4 {
		miner := gethcrypto.PubkeyToAddress(devAccount(t, i).PublicKey)
		var then, now hexutil.Big
		nw.processes()[newcomer].call(&then, "eth_getBalance", miner, "0x0")
		nw.processes()[newcomer].call(&now, "eth_getBalance", miner, hexutil.Uint64(height))
		minted.Add(minted, now.ToInt()).Sub(minted, then.ToInt())
	}
	require.Equal(t, new(big.Int).Mul(big.NewInt(2e18), new(big.Int).SetUint64(height)), minted)
	nw.stop()
}

// TestPartitionOfWork gives each miner a machine of its own and parts them for less than the depth: each part goes on with a chain of its own, and when they meet again
// the one of more work is everybody's. Nothing that was final is lost, as nothing was final that only a part had.
func TestPartitionOfWork(t *testing.T) {
	seed := drawSeed(t)
	ns := openNamespaces(t, 4)
	hosts := fmt.Sprintf("%s,%s,%s,%s", ns.address(0), ns.address(1), ns.address(2), ns.address(3))
	nw := createNetwork(t, 4, "--hosts", hosts, "--p2p-port", fmt.Sprint(p2pPort), "--consensus", "pow", "--block-interval", "500ms", "--depth", "12", "--half-life", "5s")
	nw.behind = func(node int) []string { return []string{"ip", "netns", "exec", ns.names[node]} }
	nw.listen = func(node int) string { return ns.address(node) + ":8545" }
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments on a healthy network", 6)

	for _, part := range [][]int{{0}, {0, 1}} {
		before := [2]uint64{nw.tip(0), nw.tip(3)}
		ns.split(part...)
		// Parts are measured in blocks: long enough to differ, and far below the depth.
		eventually(t, "both parts go on", func() error {
			if a, c := nw.tip(0), nw.tip(3); a < before[0]+2 || c < before[1]+2 {
				return fmt.Errorf("tips %d and %d, were %v", a, c, before)
			}
			return nil
		})
		ns.heal()
		nw.oneTip()
		eventually(t, "one chain", func() error {
			var hashes [2]*block
			height := min(nw.tip(0), nw.tip(3)) - 12 // final on both, and after the parting once enough blocks have come
			if height < max(before[0], before[1])+2 {
				return fmt.Errorf("the tips are %d and %d", nw.tip(0), nw.tip(3))
			}
			for i, node := range []int{0, 3} {
				if err := ask(nw.processes()[node].client, &hashes[i], "eth_getBlockByNumber", hexutil.Uint64(height), false); err != nil {
					return err
				}
			}
			if hashes[0] == nil || hashes[1] == nil {
				return fmt.Errorf("block %d is not final everywhere", height)
			}
			require.Equal(t, hashes[0].Hash, hashes[1].Hash)
			return nil
		})
	}
	b.progress("payments after the partitions", 6)
	stop()
	b.audit()
	nw.stop()
}
