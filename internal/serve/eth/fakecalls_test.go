package eth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// What the first byte of a call's data makes the fake EVM do.
const (
	doReturn = iota
	doRevertReason
	doRevertBare
	doOutOfGas
	doWait
	doPanic
	doInvalid
)

func revertData(reason string) []byte {
	// Error(string)
	out := common.FromHex("0x08c379a0")
	out = append(out, common.BigToHash(big.NewInt(32)).Bytes()...)
	out = append(out, common.BigToHash(big.NewInt(int64(len(reason)))).Bytes()...)
	return append(out, common.RightPadBytes([]byte(reason), 32)...)
}

func (f *fake) run(ctx context.Context, call *chain.Call) error {
	if len(call.Data) == 0 {
		return nil
	}
	switch call.Data[0] {
	case doRevertReason:
		return &chain.RevertError{Data: revertData("not enough")}
	case doRevertBare:
		return &chain.RevertError{Data: []byte{0xca, 0xfe, 0xba, 0xbe}}
	case doOutOfGas:
		return errors.New("out of gas")
	case doWait:
		<-ctx.Done()
		return chain.ErrCallTimeout
	case doPanic:
		panic("the fake EVM breaks")
	case doInvalid:
		return errors.New("invalid opcode: INVALID")
	}
	return nil
}

// Call returns where and how it ran, so that tests see what reached it.
func (f *fake) Call(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (*chain.CallResult, error) {
	if f.block != nil {
		select {
		case <-f.block:
		case <-ctx.Done():
			return nil, chain.ErrCallTimeout
		}
	}
	err := f.run(ctx, call)
	if errors.Is(err, chain.ErrCallTimeout) {
		return nil, err
	}
	if err != nil {
		return &chain.CallResult{Err: err}, nil
	}
	out := common.BigToHash(cc.Header.Number).Bytes()
	if o, ok := cc.Accounts[testToken]; ok && o.Balance != nil {
		out = append(out, common.BigToHash(o.Balance.ToBig()).Bytes()...)
	}
	if cc.Block != nil && cc.Block.Number != nil {
		out = append(out, common.BigToHash(new(big.Int).SetUint64(*cc.Block.Number)).Bytes()...)
	}
	return &chain.CallResult{Return: out, GasUsed: gasCap}, nil
}

func (f *fake) EstimateGas(ctx context.Context, _ *chain.CallContext, call *chain.Call, gasCap uint64) (uint64, error) {
	err := f.run(ctx, call)
	if err != nil && err.Error() == "out of gas" {
		return 0, fmt.Errorf("gas required exceeds allowance (%d)", gasCap)
	}
	return 21000, err
}

func (f *fake) AccessList(ctx context.Context, _ *chain.CallContext, call *chain.Call, _ uint64) (*chain.AccessListResult, error) {
	return &chain.AccessListResult{AccessList: types.AccessList{{Address: testToken, StorageKeys: []common.Hash{topicA}}}, GasUsed: 30000, Err: f.run(ctx, call)}, nil
}

func (f *fake) Simulate(ctx context.Context, cc *chain.CallContext, blocks []chain.SimulatedBlock, _ chain.SimulationOptions, _ uint64) ([]chain.SimulatedResult, error) {
	var out []chain.SimulatedResult
	for i, b := range blocks {
		h := types.CopyHeader(cc.Header)
		h.Number = new(big.Int).Add(h.Number, big.NewInt(int64(i+1)))
		r := chain.SimulatedResult{Header: h}
		for n, c := range b.Calls {
			r.Txs = append(r.Txs, types.NewTx(&types.DynamicFeeTx{ChainID: big.NewInt(testChainID), Nonce: uint64(n), Gas: 21000, To: c.To, Data: c.Data, Value: new(big.Int), GasFeeCap: new(big.Int), GasTipCap: new(big.Int)}))
			r.Senders = append(r.Senders, c.From)
			r.Results = append(r.Results, chain.CallResult{Return: []byte{byte(n)}, GasUsed: 21000, Err: f.run(ctx, &c)})
		}
		out = append(out, r)
	}
	return out, nil
}

func (f *fake) TraceCall(ctx context.Context, cc *chain.CallContext, call *chain.Call, opts chain.TraceOptions, _ uint64) (json.RawMessage, error) {
	if err := f.run(ctx, call); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"at": cc.Header.Number.Uint64(), "tracer": opts.Tracer, "logger": opts.Logger})
}

func (f *fake) TraceBlock(_ context.Context, in *chain.Replay, only *int, opts chain.TraceOptions) ([]json.RawMessage, error) {
	if uint64(in.State.(fakeState))+1 != in.Block.Height() || in.BlockHash(in.Block.Height()-1) != in.Block.Header.ParentHash {
		return nil, errors.New("not the parent's state")
	}
	var out []json.RawMessage
	for i := range in.Block.Txs {
		if only == nil || *only == i {
			out = append(out, json.RawMessage(fmt.Sprintf(`{"index":%d,"tracer":%q}`, i, opts.Tracer)))
		}
	}
	return out, nil
}

func (f *fake) NextBaseFee(*chain.Header) *big.Int { return big.NewInt(7) }

func (f *fake) Finalized() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.finalized
}

func (f *fake) Rule(uint64) (*chain.Rule, error) { return f.genesis.Rule(), nil }
func (f *fake) Status() NodeStatus {
	h := f.Head().Number.Uint64()
	return NodeStatus{Version: "jialing/v0-test/linux-amd64/go1.26", Executed: h, Durable: h, Coinbase: common.HexToAddress("0x11"), Peers: 3, Engine: json.RawMessage(`{"leader":1}`)}
}

func (f *fake) Details() NodeDetails {
	at := time.UnixMilli(1_700_000_000_000)
	return NodeDetails{PublicKey: f.genesis.Validators[0].PublicKey, Validator: 1, Ordered: f.Head().Number.Uint64() + 1, Leader: 1, View: 2, LeaderChanges: 1,
		Conflicts: []string{"another node with this key is at 10.0.0.9"},
		Evidence:  []string{"validator 2 attested two blocks at height 1"}, Abstains: "its data folder is a copy", Contradictions: []*chain.Contradiction{
			{Validator: 2, PublicKey: []byte{2}, Messages: [2][]byte{chain.AttestationMessage(crypto.Hash{}, 1, crypto.Hash{1}), chain.AttestationMessage(crypto.Hash{}, 1, crypto.Hash{2})},
				Signatures: [2][]byte{{3}, {4}}}},
		Unsigned: []chain.ValidatorID{2}, Names: map[chain.Peer]string{chain.Peer(f.genesis.Validators[0].PublicKey): "uno"},
		PoolMax: 100, DiskFree: 5 << 30, DiskReserve: 256 << 20, Started: at, Now: at.Add(90 * time.Second)}
}

func (f *fake) Peers() []PeerStatus {
	at := time.UnixMilli(1_700_000_000_000)
	return []PeerStatus{
		{PublicKey: []byte{1, 2}, Validator: 2, Name: "second", Address: "10.0.0.2:30301", Connected: true, Inbound: true, Channel: "Noise_XX_25519_ChaChaPoly_SHA256", Since: at, Height: 3, Finalized: 2,
			Heard: at.Add(time.Second), ClockOffset: -1500 * time.Millisecond, RoundTrip: 1234 * time.Microsecond, Sent: 10, Received: 20, Dropped: 1},
		{PublicKey: []byte{3}, Address: "10.0.0.3:30301", Score: -100, BannedUntil: at.Add(time.Hour), LastError: "connection refused"},
	}
}
