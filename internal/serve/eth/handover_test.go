package eth

import (
	"context"
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// changedAt is a fake chain of n blocks whose validator set changes at each of heights.
func changedAt(t *testing.T, n int, heights ...uint64) *node {
	f := newFake(t)
	node := newNode(t, f, nil)
	f.changes = []chain.SetChange{{Rule: *f.genesis.Rule()}}
	for _, h := range heights {
		f.changes = append(f.changes, chain.SetChange{From: h, Rule: ruleOf(chain.Validator{ID: chain.ValidatorID(h), PublicKey: []byte{byte(h)}})})
	}
	for range n {
		node.publish(nil)
	}
	return node
}

func (n *node) setChanges(t *testing.T, from uint64) (out []Handover, err error) {
	t.Helper()
	err = n.client(t, n.url).Call(&out, "jl_getSetChanges", hexutil.Uint64(from))
	return out, err
}

func TestSetChangesGoUpToTheFinalizedHeight(t *testing.T) {
	n := changedAt(t, 12, 3, 5, 12, 13, 14, 70)
	n.finalized = 12
	all, err := n.setChanges(t, 0)
	require.NoError(t, err)
	var from []uint64
	for _, h := range all {
		from = append(from, uint64(h.From))
		header, _, err := n.api.header(uint64(h.From) - 1)
		require.NoError(t, err)
		require.EqualValues(t, headerRLP(header), h.Header)
		require.EqualValues(t, h.From-1, h.Certificate.Height)
		require.Equal(t, header.Hash(), h.Certificate.Block)
		require.Equal(t, []validatorJSON{{ID: h.From, PublicKey: []byte{byte(h.From)}}}, h.Validators)
	}
	require.Equal(t, []uint64{3, 5, 12, 13}, from, "block 13 is to come, block 12 that names its set is certified")
	for start, want := range map[uint64]int{1: 4, 3: 4, 4: 3, 13: 1, 14: 0, 1 << 62: 0} {
		some, err := n.setChanges(t, start)
		require.NoError(t, err)
		require.Len(t, some, want, "from %d", start)
	}
}

func TestSetChangesComeInPages(t *testing.T) {
	var heights []uint64
	for h := uint64(2); h <= 150; h++ {
		heights = append(heights, h)
	}
	n := changedAt(t, 150, heights...)
	seen := 0
	for from := uint64(0); ; {
		page, err := n.setChanges(t, from)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), setChangesPage)
		if len(page) == 0 {
			break
		}
		seen += len(page)
		from = uint64(page[len(page)-1].From) + 1
	}
	require.Equal(t, len(heights), seen)
}

func TestAChangeWithoutCertificateIsNotProven(t *testing.T) {
	n := changedAt(t, 6, 3, 5)
	n.uncertified = 4
	_, err := n.setChanges(t, 0)
	require.ErrorContains(t, err, "at block 5: this node has no certificate of the last block")
	some, err := n.setChanges(t, 6)
	require.NoError(t, err)
	require.Empty(t, some)
}

func TestProofsCarryTheChangesBeforeThem(t *testing.T) {
	n := changedAt(t, 3, 2, 3, 4)
	n.publish(n.kinds()[:1])
	p, err := n.api.receiptProof(context.Background(), 4, 0)
	require.NoError(t, err)
	var from []string
	for _, h := range p.Handovers {
		from = append(from, fmt.Sprint(uint64(h.From)))
	}
	require.Equal(t, []string{"2", "3", "4"}, from)
	n.changes = append(n.changes, chain.SetChange{From: 5})
	p, err = n.api.receiptProof(context.Background(), 4, 0)
	require.NoError(t, err)
	require.Len(t, p.Handovers, 3, "what comes later is no part")
	n.changes = n.changes[:4]
	for h := range uint64(MaxProofHandovers) {
		n.changes = append(n.changes, chain.SetChange{From: 4, Rule: ruleOf(chain.Validator{ID: chain.ValidatorID(h + 1)})})
	}
	_, err = n.api.receiptProof(context.Background(), 4, 0)
	require.ErrorContains(t, err, "more than 1024 times")
}

// TestNodesThatBeganWithASnapshot: they know the set of their first height as if it had begun there, and nothing of what was before.
func TestNodesThatBeganWithASnapshot(t *testing.T) {
	n := changedAt(t, 6)
	n.publish(n.kinds()[:1])
	n.changes = []chain.SetChange{{From: 5, Rule: *n.genesis.Rule()}}
	none, err := n.setChanges(t, 0)
	require.NoError(t, err)
	require.Empty(t, none, "it is no change")
	p, err := n.api.receiptProof(context.Background(), 7, 0)
	require.NoError(t, err)
	require.Empty(t, p.Handovers)

	n = changedAt(t, 6, 3, 7)
	n.publish(n.kinds()[:1])
	n.changes = append([]chain.SetChange{{From: 5, Rule: n.changes[1].Rule}}, n.changes[2])
	later, err := n.setChanges(t, 0)
	require.NoError(t, err)
	require.Len(t, later, 1, "of use to who trusts the set before it")
	_, err = n.api.receiptProof(context.Background(), 7, 0)
	require.ErrorIs(t, err, errEarlierChanges)
}
