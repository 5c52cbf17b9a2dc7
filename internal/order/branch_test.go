package order_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// open makes the rig's chain one of work.
func open(r *rig) {
	r.node.Genesis.Consensus.Engine, r.node.Genesis.Validators = chain.PoW, nil
}

var miner = common.Address{1}

// block is a proposal of nobody for the miner.
func block(height uint64, parent crypto.Hash, txs ...*chain.Tx) *order.Proposal {
	return &order.Proposal{Height: height, Parent: parent, Coinbase: miner, TimeMillis: 5000, Txs: hashes(txs...)}
}

func TestBuildOnBranches(t *testing.T) {
	r := newRig(t, open)
	ctx := context.Background()
	a, b, c := ordertest.Tx(1), ordertest.Tx(2), ordertest.Tx(3)
	r.pool.Add(a, b, c)
	first := block(1, crypto.Hash{}, a)
	one := first.Hash(suite)
	require.NoError(t, r.HoldBlock(ctx, 0, first, one, nil))
	p, txs := r.BuildOn(2, one, []crypto.Hash{one}, miner, 4000)
	require.Equal(t, block(2, one, b, c), p)
	require.Equal(t, chain.Txs{b, c}, txs)
	p, _ = r.BuildOn(1, crypto.Hash{}, nil, miner, 7777)
	require.Equal(t, hashes(a, b, c), p.Txs, "on another branch they are all to be had")
	require.EqualValues(t, 7777, p.TimeMillis)

	second := block(2, one, b)
	two := second.Hash(suite)
	require.NoError(t, r.HoldBlock(ctx, 0, second, two, chain.Txs{b}))
	r.pool.Forget(a.Hash(), b.Hash())
	got, missing := r.Bodies(hashes(a, b, c))
	require.Empty(t, missing, "peers are served from the blocks")
	require.Equal(t, chain.Txs{a, b, c}, got)

	require.Nil(t, r.LastDelivered())
	_, err := r.Deliver(ctx, first.Decide([]byte{7}))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.LastDelivered().Height)
	proof, err := r.DeliveredProof(1)
	require.NoError(t, err)
	require.Equal(t, []byte{7}, proof)
	d, err := r.Delivered(1)
	require.NoError(t, err)
	require.Equal(t, first.Txs, d.Txs)
	_, missing = r.Bodies(hashes(b))
	require.Empty(t, missing, "the block above it is still there")

	// Another driver on the same ledger has it too: it outlives a restart.
	again := newRig(t, func(o *rig) { open(o); o.ledger, o.node.Ledger = r.ledger, r.ledger })
	_, missing = again.Bodies(hashes(b))
	require.Empty(t, missing)
	require.NoError(t, again.HoldBlock(ctx, 0, second, two, nil))
	require.NoError(t, again.DropBlock(2, two))
	_, missing = again.Bodies(hashes(b))
	require.Equal(t, hashes(b), missing)
}

func TestHoldBlockBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, open)
		ctx := context.Background()
		var many []*chain.Tx
		for i := range 11 {
			many = append(many, ordertest.Tx(i))
		}
		r.pool.Add(many...)
		p := block(1, crypto.Hash{}, many...)
		require.ErrorIs(t, r.HoldBlock(ctx, 0, p, p.Hash(suite), nil), order.ErrProposal, "more than the genesis allows")
		p = block(1, crypto.Hash{}, ordertest.Tx(99))
		err := r.HoldBlock(ctx, 0, p, p.Hash(suite), nil)
		require.ErrorIs(t, err, order.ErrMissing)
		require.NotErrorIs(t, err, order.ErrProposal, "they may come")
		r.node.Genesis.Consensus.MaxBlockBytes = 10
		p = block(1, crypto.Hash{}, many[0])
		require.ErrorIs(t, r.HoldBlock(ctx, 0, p, p.Hash(suite), nil), order.ErrProposal)
	})
}

// TestNobodyProposes: a decision of nobody is refused where validators order, one of a validator where nobody is one.
func TestNobodyProposes(t *testing.T) {
	ctx := context.Background()
	closed := newRig(t, nil)
	_, err := closed.Deliver(ctx, block(1, crypto.Hash{}).Decide(nil))
	require.ErrorIs(t, err, order.ErrSequence)
	r := newRig(t, open)
	_, err = r.Deliver(ctx, r.first().Decide(nil))
	require.ErrorIs(t, err, order.ErrSequence)
	_, err = r.Deliver(ctx, block(1, crypto.Hash{}).Decide(nil))
	require.NoError(t, err)
}
