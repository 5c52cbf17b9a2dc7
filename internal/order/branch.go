package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Branches is the Host of an engine whose decisions have been blocks before, on branches of which one is delivered in the end. The driver is one. What follows
// is safe for concurrent use.
type Branches interface {
	Host
	// BuildOn proposes a block of that height for the account on a parent that need not be delivered. Its transactions are none of those of the blocks named by
	// branch, which HoldBlock has accepted. It waits for nothing. Its time is not before atLeast, in milliseconds.
	BuildOn(height uint64, parent crypto.Hash, branch []crypto.Hash, coinbase common.Address, atLeast uint64) (*Proposal, chain.Txs)
	// HoldBlock checks p's transactions against the genesis' bounds and keeps them under p's hash, across a crash too from the engine's next entry in its
	// journal on, until p's height is delivered or DropBlock. Where txs is nil it waits for them, bounded, and asks from first. The error wraps ErrProposal when
	// they break a bound, and ErrMissing when they are not to be had now.
	HoldBlock(ctx context.Context, from PeerID, p *Proposal, hash crypto.Hash, txs chain.Txs) error
	// DropBlock lets go of what HoldBlock has kept.
	DropBlock(height uint64, hash crypto.Hash) error
	// LastDelivered is the last delivered decision, nil before the first.
	LastDelivered() *chain.Decision
	// Delivered is the decision at a delivered height, DeliveredProof its proof alone.
	Delivered(height uint64) (*chain.Decision, error)
	DeliveredProof(height uint64) ([]byte, error)
}

// Chooser is an engine for which a proof alone does not make a decision the chain's. Of what is fetched the driver takes what it has chosen.
type Chooser interface {
	// Chosen tells by nil that d is on the branch that counts, deep enough to be final. Safe for concurrent use.
	Chosen(d *chain.Decision) error
}

// branches holds the transactions of blocks by hash, which is the decision's. Safe for concurrent use.
type branches struct {
	mu     sync.Mutex
	blocks map[crypto.Hash]branchBlock
	// places are those that the blocks up to tip take: work on one tip is built again and again.
	tip    crypto.Hash
	places map[place]bool
}

type branchBlock struct {
	height uint64
	txs    chain.Txs
}

func (b *branches) keep(height uint64, hash crypto.Hash, txs chain.Txs) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.blocks == nil {
		b.blocks = make(map[crypto.Hash]branchBlock)
	}
	b.blocks[hash] = branchBlock{height, txs}
}

func (b *branches) drop(hash crypto.Hash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.blocks, hash)
}

// some tells whether there are any.
func (b *branches) some() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.blocks) > 0
}

func (b *branches) of(hash crypto.Hash) chain.Txs {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocks[hash].txs
}

// decided forgets the blocks up to height.
func (b *branches) decided(height uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for hash, block := range b.blocks {
		if block.height <= height {
			delete(b.blocks, hash)
		}
	}
}

// fill puts what the blocks have into the empty places of txs, whose hashes are given, and lists the hashes of those that stay empty.
func (b *branches) fill(txs chain.Txs, hashes []common.Hash) (missing []common.Hash) {
	lack := make(map[common.Hash]int)
	for i, tx := range txs {
		if tx == nil {
			lack[hashes[i]] = i
		}
	}
	b.mu.Lock()
	for _, block := range b.blocks {
		for _, tx := range block.txs {
			if i, ok := lack[tx.Hash()]; ok {
				txs[i] = tx
			}
		}
	}
	b.mu.Unlock()
	for i, tx := range txs {
		if tx == nil {
			missing = append(missing, hashes[i])
		}
	}
	return missing
}

// place is what can be taken once: an account's nonce.
type place struct {
	sender common.Address
	nonce  uint64
	// hash is of a transaction that nobody has verified, and whose sender is not known: pools hold none such.
	hash common.Hash
}

func placeOf(tx *chain.Tx) place {
	if !tx.Verified() {
		return place{hash: tx.Hash()}
	}
	return place{sender: tx.Sender(), nonce: tx.Nonce()}
}

// taken are the places of the transactions of these blocks, and of some before them that are delivered since. The map is not to be changed.
func (b *branches) taken(hashes []crypto.Hash) map[place]bool {
	if len(hashes) == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tip == hashes[len(hashes)-1] && b.places != nil {
		return b.places
	}
	out := make(map[place]bool)
	for _, hash := range hashes {
		for _, tx := range b.blocks[hash].txs {
			out[placeOf(tx)] = true
		}
	}
	b.tip, b.places = hashes[len(hashes)-1], out
	return out
}

// BuildOn implements Branches.
func (d *Driver) BuildOn(height uint64, parent crypto.Hash, branch []crypto.Hash, coinbase common.Address, atLeast uint64) (*Proposal, chain.Txs) {
	c := d.node.Genesis.Consensus
	p := &Proposal{Height: height, Parent: parent, Coinbase: coinbase, TimeMillis: max(d.nowMillis(), atLeast)}
	taken := d.branches.taken(branch)
	txs, missing := d.node.Pool.Bodies(d.node.Pool.BuildBeyond(func(tx *chain.Tx) bool { return taken[placeOf(tx)] },
		c.MaxBlockTxs, c.MaxBlockBytes, d.node.Genesis.GasLimit))
	if len(missing) > 0 {
		txs = slices.DeleteFunc(txs, func(tx *chain.Tx) bool { return tx == nil })
	}
	p.Txs = txs.Hashes()
	return p, txs
}

// HoldBlock implements Branches.
func (d *Driver) HoldBlock(ctx context.Context, from PeerID, p *Proposal, hash crypto.Hash, txs chain.Txs) error {
	if limit := d.node.Genesis.Consensus.MaxBlockTxs; len(p.Txs) > limit {
		return fmt.Errorf("%w: height %d: %d transactions, at most %d", ErrProposal, p.Height, len(p.Txs), limit)
	}
	if have := d.branches.of(hash); have.Are(p.Txs) && len(have) > 0 {
		txs = have
	}
	if txs == nil && len(p.Txs) > 0 {
		var err error
		if txs, err = d.await(ctx, from, p); err != nil {
			if errors.Is(err, ErrProposal) {
				return fmt.Errorf("%w: %s", ErrMissing, err)
			}
			return err
		}
	}
	if err := d.fits(p, txs); err != nil {
		return err
	}
	d.branches.keep(p.Height, hash, txs)
	if len(txs) == 0 {
		return nil
	}
	if err := d.node.Ledger.KeepBlock(p.Height, hash, txs); err != nil {
		d.branches.drop(hash)
		return fmt.Errorf("order: %w", err)
	}
	return nil
}

// DropBlock implements Branches.
func (d *Driver) DropBlock(height uint64, hash crypto.Hash) error {
	d.branches.drop(hash)
	if err := d.node.Ledger.DropBlock(height, hash); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	return nil
}

// LastDelivered implements Branches.
func (d *Driver) LastDelivered() *chain.Decision {
	if last := d.last.Load(); last != nil {
		return last.Decision
	}
	return nil
}

// Delivered implements Branches.
func (d *Driver) Delivered(height uint64) (*chain.Decision, error) {
	dec, _, err := d.node.Ledger.Decision(height)
	if err != nil {
		return nil, fmt.Errorf("order: read decision %d: %w", height, err)
	}
	return dec, nil
}

// DeliveredProof implements Branches.
func (d *Driver) DeliveredProof(height uint64) ([]byte, error) {
	proof, err := d.node.Ledger.DecisionProof(height)
	if err != nil {
		return nil, fmt.Errorf("order: read the proof of decision %d: %w", height, err)
	}
	return proof, nil
}
