package catchup

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// direct is a network whose only peer answers at once.
type direct struct {
	peer *CatchUp
}

func (direct) Send(chain.Peer, string, []byte) bool { return true }
func (d direct) Request(ctx context.Context, _ chain.Peer, _ string, req []byte) ([]byte, error) {
	return d.peer.Serve(ctx, "me", req)
}
func (direct) Report(chain.Peer, int, string) { panic("an honest peer is reported") }
func (direct) Connected() []chain.Peer        { return []chain.Peer{"peer"} }

// BenchmarkFetch is what catching up costs per transaction, in blocks of 500, without execution; all of it with no transaction known, and with all
// of them in the pool. Compare it with one decode and recovery (BenchmarkDecodeVerify).
func BenchmarkFetch(b *testing.B) {
	const height, txs = 20, 500
	x := newHistory(b, "chain", height, func(int) (int, int) { return txs, 68 })
	all := held{}
	for _, block := range x.blocks {
		for _, tx := range block.txs {
			all[tx.Hash()] = tx
		}
	}
	peer, err := New(DefaultConfig(), Deps{Ledger: &ledger{blocks: x.blocks, height: height, finalized: height}, Genesis: x.genesis})
	if err != nil {
		b.Fatal(err)
	}
	peer.SetHeight(height)
	for name, pool := range map[string]held{"unknown": {}, "pooled": all} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			start, rounds := cpuTime(), 0
			for i := 0; i < b.N; i += height * txs {
				rounds++
				c, err := New(DefaultConfig(), Deps{Network: direct{peer}, Pool: pool, Sets: x, Suite: suite, Genesis: x.genesis, GenesisHash: x.genesisHash})
				if err != nil {
					b.Fatal(err)
				}
				c.Handle("peer", good(func(s *status) { s.Decided = height }))
				got := 0
				err = c.Fetch(context.Background(), 1, 0, x.verify, func(_ context.Context, _ *chain.Decision, txs chain.Txs) error { got += len(txs); return nil })
				if err != nil || got != height*txs {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(cpuTime()-start)/float64(rounds*height*txs), "cpu-ns/tx")
		})
	}
}

func BenchmarkDecodeVerify(b *testing.B) {
	raw := tx(b, 1, 68).Raw()
	v := chain.NewVerifier(&chain.Genesis{ChainID: chainID, Transactions: []chain.TxKind{chain.Secp256k1}})
	var last common.Hash
	start := cpuTime()
	for b.Loop() {
		tx, err := chain.DecodeTx(raw)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(tx); err != nil {
			b.Fatal(err)
		}
		last = tx.Hash()
	}
	_ = last
	b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/tx")
}

// cpuTime is the processor time that this process has used: what other processes do meanwhile is not in it.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
