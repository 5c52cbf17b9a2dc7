package chain_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestQuorums(t *testing.T) {
	for _, c := range []struct {
		engine               chain.EngineKind
		n, quorum, lie, away int
	}{{chain.Solo, 1, 1, 0, 0}, {chain.BFT, 4, 3, 1, 1}, {chain.BFT, 5, 4, 1, 1}, {chain.PoS, 4, 3, 1, 1}, {chain.PoS, 7, 5, 2, 2}, {chain.Raft, 5, 3, 0, 2}, {chain.PoW, 0, 0, 0, -1}} {
		require.Equal(t, c.quorum, c.engine.Quorum(c.n), "%s of %d", c.engine, c.n)
		require.Equal(t, c.lie, c.engine.Faulty(c.n), "%s of %d", c.engine, c.n)
		if c.engine.Signed() {
			require.Equal(t, c.away, c.engine.Away(c.n), "%s of %d", c.engine, c.n)
		}
	}
}

func TestCompactTarget(t *testing.T) {
	for bits, want := range map[uint32]string{0x03008000: "8000", 0x1d00ffff: "ffff0000000000000000000000000000000000000000000000000000", 0x207fffff: "7fffff" +
		"0000000000000000000000000000000000000000000000000000000000"} {
		target, ok := chain.CompactTarget(bits)
		require.True(t, ok, "%x", bits)
		require.Equal(t, want, target.Text(16))
	}
	for _, bits := range []uint32{0, 0x1d00007f, 0x1d800000, 0x02008000, 0x21008000, 0xff7fffff} {
		_, ok := chain.CompactTarget(bits)
		require.False(t, ok, "%x", bits)
	}
	target, ok := chain.DefaultWorkParams().Target()
	require.True(t, ok)
	require.Equal(t, 240, new(big.Int).Add(target, big.NewInt(1)).BitLen())
}
