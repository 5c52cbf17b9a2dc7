package eth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// fakeMiner gives one package and remembers what it was told.
type fakeMiner struct {
	status  WorkStatus
	problem error
	refuse  error
	solved  string
}

func (m *fakeMiner) Work() (*WorkPackage, error) {
	if m.problem != nil {
		return nil, m.problem
	}
	header := make([]byte, 176)
	header[0] = 9
	return &WorkPackage{Header: header, Target: [32]byte{0, 1}, Height: 12}, nil
}

func (m *fakeMiner) Submit(_ context.Context, header []byte, extra, nonce uint64) error {
	m.solved = fmt.Sprintf("%x %x %x", header[:1], extra, nonce)
	return m.refuse
}

func (m *fakeMiner) SetThreads(n int) error {
	if m.problem != nil {
		return m.problem
	}
	m.status.Threads = n
	return nil
}

func (m *fakeMiner) Status() WorkStatus { return m.status }

func TestMining(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(*Config, *serve.Config) {})
	c := n.client(t, n.url)
	// A chain whose blocks are not found by work says so.
	var out json.RawMessage
	require.False(t, call[bool](t, c, "eth_mining"))
	require.Equal(t, "0x0", call[string](t, c, "eth_hashrate"))
	require.ErrorContains(t, c.Call(&out, "eth_getWork"), `not found by work: its engine is "solo"`)
	require.ErrorContains(t, c.Call(&out, "eth_submitWork", "0x0000000000000000", "0x00", "0x0000000000000000"), "not found by work")
	status := call[map[string]any](t, c, "jl_nodeStatus")
	require.NotContains(t, status, "work")

	m := &fakeMiner{status: WorkStatus{Coinbase: common.HexToAddress("0x11"), Threads: 2, Rate: 12345.6, Tip: 12, Headers: 13, Work: big.NewInt(1 << 40),
		Difficulty: 65536, Deepest: 3, Reorgs: 4, Mined: 5}}
	n.api.miner, n.api.genesis.Consensus.Work = m, chain.DefaultWorkParams()
	require.True(t, call[bool](t, c, "eth_mining"))
	require.Equal(t, "0x3039", call[string](t, c, "eth_hashrate"))
	work := call[[4]string](t, c, "eth_getWork")
	require.Len(t, work[0], 2+2*176)
	require.Equal(t, [3]string{"intl", "0x0001" + strings.Repeat("0", 60), "0xc"}, [3]string{work[1], work[2], work[3]})

	require.True(t, call[bool](t, c, "eth_submitWork", "0x0102030405060708", work[0], "0x1112131415161718"))
	require.Equal(t, "09 1112131415161718 102030405060708", m.solved)
	m.refuse = ErrStaleWork
	require.False(t, call[bool](t, c, "eth_submitWork", "0x0102030405060708", work[0], "0x1112131415161718"))
	m.refuse = errors.New("it does not meet the target")
	require.ErrorContains(t, c.Call(&out, "eth_submitWork", "0x0102030405060708", work[0], "0x1112131415161718"), "does not meet")
	for _, bad := range [][]any{{"0x01", work[0], "0x1112131415161718"}, {"0x0102030405060708", work[0], "0x"}, {"0x0102030405060708"}} {
		require.Error(t, c.Call(&out, "eth_submitWork", bad...))
	}
	m.problem = errors.New("no account is named")
	require.ErrorContains(t, c.Call(&out, "eth_getWork"), "no account")

	got := call[struct{ Work workStatusJSON }](t, c, "jl_nodeStatus").Work
	require.Equal(t, uint64(12), got.Tip)
	require.Equal(t, 6, got.Depth)
	require.Equal(t, "0x10000000000", got.TotalWork.String())
	require.InDelta(t, 65536, got.HashesPerBlock, 0.01)

	m.problem = nil
	view, err := (&adminService{n.api}).SetMining(3)
	require.NoError(t, err)
	require.Equal(t, 3, view.Threads)
	_, err = (&adminService{n.api}).SetMining(maxMiners + 1)
	require.Error(t, err)
}
