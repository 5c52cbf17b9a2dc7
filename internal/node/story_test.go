package node

import (
	"bytes"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestStoryTellsBlocksWithoutDebug walks blocks through their stages and reads the lines that people get.
func TestStoryTellsBlocksWithoutDebug(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var out bytes.Buffer
	s, err := newStory(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now }, prometheus.NewRegistry())
	require.NoError(t, err)
	block := func(height int64, txs int) {
		s.ordered(&chain.Decision{Height: uint64(height)})
		now = now.Add(2 * time.Millisecond)
		s.executed(&chain.Executed{Block: &chain.Block{Header: &chain.Header{Number: big.NewInt(height)}, Txs: make(chain.Txs, txs)}})
		now = now.Add(3 * time.Millisecond)
		s.durable(uint64(height))
	}
	block(1, 7)
	require.Empty(t, out.String(), "nothing is told of a block that is not final")
	now = now.Add(4 * time.Millisecond)
	s.certified(1)
	require.Contains(t, out.String(), "height=1 blocks=1 txs=7 excluded=0 execute=2ms store=3ms certify=4ms")
	out.Reset()
	for h := int64(2); h <= 11; h++ {
		block(h, 10)
		s.certified(uint64(h))
	}
	require.Empty(t, out.String(), "within the interval there is no second line")
	now = now.Add(storyInterval)
	block(12, 10)
	s.certified(12)
	require.Contains(t, out.String(), "height=12 blocks=11 txs=110")
	require.Empty(t, s.blocks)
	for h := int64(20); h < 20+2*storyBlocks; h++ {
		block(h, 1)
	}
	require.LessOrEqual(t, len(s.blocks), storyBlocks, "a chain without a quorum must not fill memory")
}
