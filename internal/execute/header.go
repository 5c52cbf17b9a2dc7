package execute

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
)

// prepareHeader checks that the input fits together and fills what is known before execution.
func (e *Executor) prepareHeader(in *Input) (*chain.Header, *chain.Extra, error) {
	d := in.Decision
	height := in.Parent.Number.Uint64() + 1
	switch {
	case d.Height != height:
		return nil, nil, fmt.Errorf("decision %d does not follow block %d", d.Height, height-1)
	case in.Rule == nil || in.Next == nil:
		return nil, nil, fmt.Errorf("decision %d: the rule of it or of the one after it was not given", d.Height)
	case len(in.Txs) != len(d.Txs):
		return nil, nil, fmt.Errorf("decision %d lists %d transactions, %d were given", d.Height, len(d.Txs), len(in.Txs))
	}
	coinbase, err := proposer(in)
	if err != nil {
		return nil, nil, err
	}
	for i, tx := range in.Txs {
		if tx.Hash() != d.Txs[i] || !tx.Verified() {
			return nil, nil, fmt.Errorf("decision %d: transaction %d is %s, verified %t, decided is %s", d.Height, i, tx.Hash(), tx.Verified(), d.Txs[i])
		}
	}
	before, err := chain.DecodeExtra(in.Parent.Extra)
	if err != nil {
		return nil, nil, fmt.Errorf("block %d: %w", height-1, err)
	}
	validators := in.Rule.Hash(e.suite)
	if validators != before.Next {
		return nil, nil, fmt.Errorf("decision %d: the rule is %s, block %d announced %s", d.Height, validators, height-1, before.Next)
	}
	parent, err := chain.HeaderHash(e.suite, in.Parent)
	if err != nil {
		return nil, nil, err
	}
	decision := d.Hash(e.suite)
	millis := max(d.TimeMillis, in.Parent.Time*1000+uint64(before.Millis))
	extra := &chain.Extra{
		Millis: uint16(millis % 1000), Parent: parent, Decision: decision, Validators: validators, Next: in.Next.Hash(e.suite),
		// The digest before this block; seal puts the one after it here.
		Ledger: before.Ledger,
	}
	return &chain.Header{
		ParentHash: in.Parent.Hash(), UncleHash: types.EmptyUncleHash, Coinbase: coinbase,
		Difficulty: new(big.Int), Number: new(big.Int).SetUint64(height), GasLimit: e.genesis.GasLimit, Time: millis / 1000,
		MixDigest: chain.Prevrandao(decision), BaseFee: e.NextBaseFee(in.Parent), WithdrawalsHash: &types.EmptyWithdrawalsHash,
		BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64), ParentBeaconRoot: new(common.Hash), RequestsHash: &types.EmptyRequestsHash,
	}, extra, nil
}

// proposer is the account that the block credits.
func proposer(in *Input) (common.Address, error) {
	d := in.Decision
	if !in.Rule.Engine.Signed() {
		if d.Proposer != 0 {
			return common.Address{}, fmt.Errorf("decision %d: proposer %d, engine %q has none", d.Height, d.Proposer, in.Rule.Engine)
		}
		return d.Coinbase, nil
	}
	v := in.Rule.Set.Find(d.Proposer)
	if v == nil {
		return common.Address{}, fmt.Errorf("decision %d: proposer %d is no validator", d.Height, d.Proposer)
	}
	return v.Address, nil
}

// seal computes roots, bloom and digest beside the commitment, completes the header and with its hash the receipts.
func (e *Executor) seal(ctx context.Context, header *chain.Header, extra *chain.Extra, txs chain.Txs, out *chain.Executed, c Commitment) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if header.Root, err = c.Stage(ctx, header.Number.Uint64(), out.Writes); err != nil {
			return fmt.Errorf("stage block %d: %w", header.Number, err)
		}
		return nil
	})
	deriveReceipts(out.Receipts, txs, header)
	records := chain.NewRecords(txs, out.Receipts)
	txRoot, receiptRoot := txs.Root(), records.ReceiptsRoot()
	extra.Records = records.Root(e.suite)
	bloom := types.MergeBloom(out.Receipts)
	extra.Ledger = out.Writes.Digest(e.suite, extra.Ledger)
	if err := g.Wait(); err != nil {
		return err
	}
	header.TxHash, header.ReceiptHash, header.Bloom, header.Extra = txRoot, receiptRoot, bloom, extra.Encode()
	out.Block = chain.NewBlock(header, txs)
	for _, r := range out.Receipts {
		r.BlockHash = out.Block.Hash
		for _, l := range r.Logs {
			l.BlockHash = out.Block.Hash
		}
	}
	return nil
}

// deriveReceipts fills all fields but the block's hash.
func deriveReceipts(receipts types.Receipts, txs chain.Txs, header *chain.Header) {
	var at chain.ReceiptPosition
	for i, r := range receipts {
		at.Index = uint32(i)
		chain.DeriveReceipt(r, txs[i], header, common.Hash{}, at)
		at.GasBefore += r.GasUsed
		at.LogsBefore += uint32(len(r.Logs))
	}
}
