package attest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// BenchmarkGather is what a validator does for one block of four: sign, and take the others' signatures as they come.
func BenchmarkGather(b *testing.B) {
	w := newNetwork(b, 4)
	a, m := w.attester(0)
	peers := make([]*Attester, 3)
	for i := range peers {
		peers[i], _ = w.attester(i + 1)
	}
	for height := int64(1); b.Loop(); height++ {
		b.StopTimer()
		h := header(height, "x")
		hash, err := chain.HeaderHash(suite, h)
		require.NoError(b, err)
		var msgs [][]byte
		for _, p := range peers {
			att, err := p.Own(h)
			require.NoError(b, err)
			msgs = append(msgs, encodeMessage(&message{Signed: []signed{{uint64(height), hash, *att}}}))
		}
		b.StartTimer()
		own, err := a.Own(h)
		require.NoError(b, err)
		require.NoError(b, a.Executed(h, own))
		for _, msg := range msgs {
			require.NoError(b, a.Receive("b", msg))
			for _, r := range a.inbox.take() {
				a.verify(&r)
			}
		}
		require.NoError(b, a.store(b.Context()))
		require.NotNil(b, m.certs[uint64(height)])
	}
}
