package gossip

import (
	"context"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// still is a pool that answers at once, so that benchmarks see gossip's own cost.
type still struct {
	txs  []*chain.Tx
	errs []error
}

func (s *still) AddBatch(_ context.Context, raws [][]byte, _ bool) ([]*chain.Tx, []error) {
	return s.txs[:len(raws)], s.errs[:len(raws)]
}
func (s *still) AddUrgent(ctx context.Context, raws [][]byte) ([]*chain.Tx, []error) {
	return s.AddBatch(ctx, raws, false)
}
func (s *still) SubscribeLocal(int) (<-chan []*chain.Tx, func())   { return nil, func() {} }
func (s *still) Bodies(h []common.Hash) (chain.Txs, []common.Hash) { return make(chain.Txs, len(h)), h }
func (s *still) Waiting(int) []common.Hash                         { return nil }

// mesh4 is one node of a full mesh of four.
func mesh4(b *testing.B) (*Gossip, *still, [][]byte) {
	const n = 200
	s := &still{errs: make([]error, n)}
	var raws [][]byte
	for i := range n {
		raw := signed(b, i, 77)
		tx, err := chain.DecodeTx(raw)
		if err != nil {
			b.Fatal(err)
		}
		raws, s.txs = append(raws, raw), append(s.txs, tx)
	}
	g, err := New(DefaultConfig(), Deps{Network: quiet{}, Pool: s, Blocks: blocks{}, Verifier: chain.NewVerifier(testGenesis)})
	if err != nil {
		b.Fatal(err)
	}
	peers := []chain.Peer{"a", "b", "c"}
	for i, p := range peers {
		g.Changed(p, true)
		g.Handle(p, encodeLinks([]chain.Peer{"self", peers[(i+1)%3], peers[(i+2)%3]}))
	}
	return g, s, raws
}

// BenchmarkOut is what spreading one local transaction to three peers costs.
func BenchmarkOut(b *testing.B) {
	g, s, _ := mesh4(b)
	sp := newSpreader(g)
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(s.txs) {
		sp.add(s.txs)
	}
}

// BenchmarkIn is what taking one transaction of a peer to the pool costs, without the pool's own work.
func BenchmarkIn(b *testing.B) {
	g, _, raws := mesh4(b)
	msg := []byte{kindTxs}
	for _, raw := range raws {
		msg = appendTx(msg, raw)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(raws) {
		g.Handle("a", msg)
		g.admitQueued(ctx, <-g.work)
	}
}
