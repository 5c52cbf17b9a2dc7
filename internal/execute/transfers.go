package execute

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
)

var (
	// transferTopic is ERC-20's Transfer(address,address,uint256).
	transferTopic = common.HexToHash("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
	// etherAddress stands for ether in such logs (ERC-7528).
	etherAddress = common.HexToAddress("0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE")
)

// transferTracer collects a call's logs and, where asked to, a log of ERC-20's shape for every transfer of ether. What a reverted frame wrote
// is dropped with it.
type transferTracer struct {
	transfers    bool
	height, time uint64
	txHash       common.Hash
	txIndex      uint
	// frames are the logs of the open call frames, outermost first; count numbers logs within the block.
	frames [][]*types.Log
	count  uint
	// own are the last call's logs without the transfers: what its receipt holds.
	own []*types.Log
}

func (t *transferTracer) hooks() *tracing.Hooks {
	return &tracing.Hooks{OnEnter: t.enter, OnExit: t.exit, OnLog: t.log}
}

func (t *transferTracer) reset(hash common.Hash, index uint) {
	t.frames, t.txHash, t.txIndex = nil, hash, index
}

// logs are the last call's, once its outermost frame is closed.
func (t *transferTracer) logs() []*types.Log {
	if len(t.frames) == 0 {
		return nil
	}
	return t.frames[0]
}

func (t *transferTracer) enter(_ int, op byte, from, to common.Address, _ []byte, _ uint64, value *big.Int) {
	t.frames = append(t.frames, nil)
	moves := vm.OpCode(op) != vm.DELEGATECALL && vm.OpCode(op) != vm.CALLCODE && value != nil && value.Sign() > 0
	if t.transfers && moves {
		t.add(etherAddress, []common.Hash{transferTopic, common.BytesToHash(from[:]), common.BytesToHash(to[:])}, common.BigToHash(value).Bytes())
	}
}

func (t *transferTracer) exit(depth int, _ []byte, _ uint64, _ error, reverted bool) {
	last := len(t.frames) - 1
	if last < 0 {
		return
	}
	if reverted {
		t.count -= uint(len(t.frames[last]))
		t.frames[last] = nil
	}
	if depth > 0 && last > 0 {
		t.frames[last-1] = append(t.frames[last-1], t.frames[last]...)
		t.frames = t.frames[:last]
	}
}

func (t *transferTracer) log(l *types.Log) {
	if len(t.frames) > 0 {
		t.add(l.Address, l.Topics, l.Data)
	}
}

func (t *transferTracer) add(addr common.Address, topics []common.Hash, data []byte) {
	last := len(t.frames) - 1
	t.frames[last] = append(t.frames[last], &types.Log{Address: addr, Topics: topics, Data: data, BlockNumber: t.height, BlockTimestamp: t.time,
		TxHash: t.txHash, TxIndex: t.txIndex, Index: t.count})
	t.count++
}
