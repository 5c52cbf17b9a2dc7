package execute_test

import (
	"context"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

func (w *world) simulate(blocks []chain.SimulatedBlock, opts chain.SimulationOptions) ([]chain.SimulatedResult, error) {
	return w.exec.Simulate(context.Background(), w.callContext(), blocks, opts, 0)
}

func TestSimulationChainsBlocks(t *testing.T) {
	w := newWorld(t, withSystemContracts, execute.DefaultConfig())
	w.block()
	rich := common.HexToAddress("0x71c4")
	blocks := []chain.SimulatedBlock{
		{
			Accounts: map[common.Address]chain.AccountOverride{rich: {Balance: uint256.NewInt(1000)}},
			Calls: []chain.Call{
				{From: rich, To: &w.addrs[0], Value: uint256.NewInt(600)},
				{From: rich, To: &w.addrs[0], Value: uint256.NewInt(300)},
			},
		},
		{
			Block:    &chain.BlockOverride{Number: ptr(uint64(4)), Time: ptr(w.head().Time + 1000)},
			Accounts: map[common.Address]chain.AccountOverride{contract: {Code: ptr(returning(vm.CALLER, vm.BALANCE))}},
			Calls:    []chain.Call{{From: rich, To: &contract}},
		},
	}
	out, err := w.simulate(blocks, chain.SimulationOptions{})
	require.NoError(t, err)
	require.Len(t, out, 3, "block 3 fills the gap")
	parent := w.head()
	for i, b := range out {
		require.Equal(t, uint64(2+i), b.Header.Number.Uint64())
		require.Equal(t, parent.Hash(), b.Header.ParentHash)
		require.Greater(t, b.Header.Time, parent.Time)
		require.Equal(t, types.DeriveSha(types.Transactions(b.Txs), trie.NewStackTrie(nil)), b.Header.TxHash)
		parent = b.Header
	}
	require.Equal(t, w.head().Time+12, out[0].Header.Time)
	require.Equal(t, w.head().Time+1000, out[2].Header.Time)
	require.Equal(t, uint64(42_000), out[0].Header.GasUsed)
	require.Equal(t, uint64(1), out[0].Txs[1].Nonce(), "nonces count up within a simulation")
	require.Equal(t, []common.Address{rich, rich}, out[0].Senders)
	require.NoError(t, out[0].Results[1].Err)
	require.Equal(t, word(100), out[2].Results[0].Return)

	again, err := w.simulate(blocks, chain.SimulationOptions{})
	require.NoError(t, err)
	require.Equal(t, out[2].Header.Hash(), again[2].Header.Hash(), "nothing of a simulation stays")
}

func TestSimulationSeesItsOwnHashes(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	ask := func(n byte) chain.Call { return chain.Call{To: &contract, Data: common.LeftPadBytes([]byte{n}, 32)} }
	code := returning(vm.PUSH0, vm.CALLDATALOAD, vm.BLOCKHASH)
	out, err := w.simulate([]chain.SimulatedBlock{
		{Accounts: map[common.Address]chain.AccountOverride{contract: {Code: &code}}}, {}, {Calls: []chain.Call{ask(0), ask(1), ask(2), ask(3)}},
	}, chain.SimulationOptions{})
	require.NoError(t, err)
	want := []common.Hash{w.headers[0].Hash(), out[0].Header.Hash(), out[1].Header.Hash(), {}}
	for i, res := range out[2].Results {
		require.Equal(t, want[i][:], res.Return)
	}
}

func TestSimulationTracesTransfers(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	to, lost := common.HexToAddress("0x2222"), common.HexToAddress("0x3333")
	var p program // log, send 5 on, and send 7 from a frame that reverts
	p.op(vm.PUSH0, vm.PUSH0, vm.LOG0)
	send := func(to common.Address, wei byte) {
		for range 4 {
			p.op(vm.PUSH0)
		}
		p.push([]byte{wei})
		p.push(to[:])
		p.op(vm.GAS, vm.CALL, vm.POP)
	}
	send(to, 5)
	send(lost, 7)
	var bad program
	bad.op(vm.PUSH0, vm.PUSH0, vm.LOG0, vm.PUSH0, vm.PUSH0, vm.REVERT)
	code, badCode := []byte(p), []byte(bad)
	blocks := []chain.SimulatedBlock{{
		Accounts: map[common.Address]chain.AccountOverride{contract: {Code: &code}, lost: {Code: &badCode}},
		Calls: []chain.Call{
			{From: w.addrs[0], To: &contract, Value: uint256.NewInt(20)},
			{From: w.addrs[0], To: &lost, Value: uint256.NewInt(1)},
			{From: w.addrs[0], To: &to, Value: uint256.NewInt(1)},
		},
	}}
	out, err := w.simulate(blocks, chain.SimulationOptions{TraceTransfers: true})
	require.NoError(t, err)
	transfer := func(from, to common.Address, wei uint64) []common.Hash {
		return []common.Hash{common.HexToHash("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"), common.BytesToHash(from[:]), common.BytesToHash(to[:])}
	}
	first := out[0].Results[0]
	require.NoError(t, first.Err)
	require.Len(t, first.Logs, 3)
	require.Equal(t, transfer(w.addrs[0], contract, 20), first.Logs[0].Topics)
	require.Equal(t, word(20), first.Logs[0].Data)
	require.Equal(t, contract, first.Logs[1].Address)
	require.Equal(t, transfer(contract, to, 5), first.Logs[2].Topics)
	require.ErrorContains(t, out[0].Results[1].Err, "execution reverted")
	require.Empty(t, out[0].Results[1].Logs)
	require.Len(t, out[0].Results[2].Logs, 1)
	require.Equal(t, uint(3), out[0].Results[2].Logs[0].Index)
	require.Equal(t, out[0].Header.Hash(), first.Logs[0].BlockHash)

	plain, err := w.simulate(blocks, chain.SimulationOptions{})
	require.NoError(t, err)
	require.Len(t, plain[0].Results[0].Logs, 1)
	require.Equal(t, plain[0].Header.ReceiptHash, out[0].Header.ReceiptHash, "the invented logs are in no receipt")
}

func TestSimulationRefuses(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) {
		g.Fees = chain.Fees{Mode: chain.FeesFixed, BaseFee: hexBig(1000)}
	}, execute.DefaultConfig())
	w.block()
	many := make([]chain.Call, execute.MaxSimulatedCallsPerBlock)
	valid := chain.SimulationOptions{Validation: true}
	call := func(alter func(*chain.Call)) []chain.SimulatedBlock {
		c := chain.Call{From: w.addrs[0], To: &w.addrs[1], Gas: ptr(uint64(21_000)), FeeCap: uint256.NewInt(1000)}
		alter(&c)
		return []chain.SimulatedBlock{{Calls: []chain.Call{c}}}
	}
	for name, c := range map[string]struct {
		blocks []chain.SimulatedBlock
		opts   chain.SimulationOptions
		code   int
	}{
		"numbers in order":   {[]chain.SimulatedBlock{{Block: &chain.BlockOverride{Number: ptr(uint64(1))}}}, chain.SimulationOptions{}, -38020},
		"times in order":     {[]chain.SimulatedBlock{{Block: &chain.BlockOverride{Time: ptr(w.head().Time)}}}, chain.SimulationOptions{}, -38021},
		"blocks":             {[]chain.SimulatedBlock{{Block: &chain.BlockOverride{Number: ptr(uint64(258))}}}, chain.SimulationOptions{}, -38026},
		"number overflows":   {[]chain.SimulatedBlock{{Block: &chain.BlockOverride{Number: ptr(^uint64(0))}}}, chain.SimulationOptions{}, -38026},
		"calls in a block":   {[]chain.SimulatedBlock{{Calls: append(many, chain.Call{})}}, chain.SimulationOptions{}, -38026},
		"calls in all":       {[]chain.SimulatedBlock{{Calls: many}, {Calls: many}, {Calls: many[:1]}}, chain.SimulationOptions{}, -38026},
		"block gas":          {call(func(c *chain.Call) { c.Gas = ptr(uint64(1 << 60)) }), chain.SimulationOptions{}, -38015},
		"nonce too low":      {[]chain.SimulatedBlock{{Accounts: map[common.Address]chain.AccountOverride{w.addrs[0]: {Nonce: ptr(uint64(5))}}, Calls: call(func(c *chain.Call) { c.Nonce = ptr(uint64(4)) })[0].Calls}}, valid, -38010},
		"nonce too high":     {call(func(c *chain.Call) { c.Nonce = ptr(uint64(9)) }), valid, -38011},
		"fee below base fee": {call(func(c *chain.Call) { c.FeeCap = uint256.NewInt(999) }), valid, -38012},
		"intrinsic gas":      {call(func(c *chain.Call) { c.Gas = ptr(uint64(20_999)) }), valid, -38013},
		"funds":              {call(func(c *chain.Call) { c.From = common.Address{9} }), valid, -38014},
		"init code":          {call(func(c *chain.Call) { c.To, c.Data, c.Gas = nil, make([]byte, 50_000), ptr(uint64(10_000_000)) }), valid, -38025},
		"two prices":         {call(func(c *chain.Call) { c.GasPrice = uint256.NewInt(1) }), chain.SimulationOptions{}, -32602},
		"two storages": {[]chain.SimulatedBlock{{Accounts: map[common.Address]chain.AccountOverride{contract: {Storage: map[common.Hash]common.Hash{}, StorageDiff: map[common.Hash]common.Hash{}}}}},
			chain.SimulationOptions{}, -32602},
	} {
		_, err := w.simulate(c.blocks, c.opts)
		var refused *chain.SimulationError
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, c.code, refused.ErrorCode(), "%s: %v", name, err)
	}
	// The same calls are fine where nothing is validated.
	for _, alter := range []func(*chain.Call){
		func(c *chain.Call) { c.Nonce = ptr(uint64(9)) }, func(c *chain.Call) { c.FeeCap = nil },
	} {
		out, err := w.simulate(call(alter), chain.SimulationOptions{})
		require.NoError(t, err)
		require.NoError(t, out[0].Results[0].Err)
		require.Zero(t, out[0].Header.BaseFee.Sign())
	}
	out, err := w.simulate(call(func(*chain.Call) {}), valid)
	require.NoError(t, err)
	require.Equal(t, int64(1000), out[0].Header.BaseFee.Int64())

	// The gas cap is for all calls together.
	code := append([]byte(nil), loop...)
	greedy := []chain.SimulatedBlock{{Accounts: map[common.Address]chain.AccountOverride{contract: {Code: &code}}, Calls: []chain.Call{{To: &contract}, {To: &contract}}}}
	_, err = w.exec.Simulate(context.Background(), w.callContext(), greedy, chain.SimulationOptions{}, 100_000)
	require.ErrorContains(t, err, "intrinsic gas too low", "the first call took it all")
}

func hexBig(n int64) *math.HexOrDecimal256 { return (*math.HexOrDecimal256)(big.NewInt(n)) }
