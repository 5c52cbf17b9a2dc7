package ordertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Tx is a transaction that differs from those of all other numbers. Nobody signed it: ordering does not look.
func Tx(n int) *chain.Tx {
	to := common.Address{1}
	tx, err := chain.NewTx(types.NewTx(&types.LegacyTx{Nonce: uint64(n), Gas: 21_000, To: &to, GasPrice: new(big.Int), Value: new(big.Int),
		V: big.NewInt(37), R: big.NewInt(1), S: big.NewInt(1)}))
	if err != nil {
		panic(err)
	}
	return tx
}

// Pool is an order.Pool that is a queue.
type Pool struct {
	bell chan struct{}

	mu      sync.Mutex
	waiting []*chain.Tx
	all     map[common.Hash]*chain.Tx
	decided map[common.Hash]bool
	since   time.Time
	arrived map[common.Hash]time.Time
	waited  time.Duration
}

// NewPool returns an empty one.
func NewPool() *Pool {
	return &Pool{bell: make(chan struct{}, 1), all: make(map[common.Hash]*chain.Tx), decided: make(map[common.Hash]bool), arrived: make(map[common.Hash]time.Time)}
}

// Add queues txs that were never added before and rings.
func (p *Pool) Add(txs ...*chain.Tx) {
	p.mu.Lock()
	for _, tx := range txs {
		if p.all[tx.Hash()] == nil {
			p.all[tx.Hash()] = tx
			p.waiting = append(p.waiting, tx)
			p.arrived[tx.Hash()] = time.Now()
		}
	}
	if p.since.IsZero() {
		p.since = time.Now()
	}
	p.mu.Unlock()
	p.Ring()
}

// Ring rings the doorbell.
func (p *Pool) Ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// Forget drops transactions as if they had never come.
func (p *Pool) Forget(hashes ...common.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range hashes {
		delete(p.all, h)
		p.waiting = slices.DeleteFunc(p.waiting, func(tx *chain.Tx) bool { return tx.Hash() == h })
	}
}

// Notify implements order.Pool.
func (p *Pool) Notify() <-chan struct{} { return p.bell }

// Ready implements order.Pool.
func (p *Pool) Ready() (txs, bytes int, gas uint64, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tx := range p.waiting {
		bytes += len(tx.Raw())
		gas += tx.Gas()
	}
	return len(p.waiting), bytes, gas, p.since
}

// Build implements order.Pool.
func (p *Pool) Build(maxTxs, maxBytes int, maxGas uint64) []common.Hash {
	return p.BuildBeyond(func(*chain.Tx) bool { return false }, maxTxs, maxBytes, maxGas)
}

// BuildBeyond implements order.Pool.
func (p *Pool) BuildBeyond(taken func(*chain.Tx) bool, maxTxs, maxBytes int, maxGas uint64) []common.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Time{}
	var out []common.Hash
	for _, tx := range p.waiting {
		if taken(tx) {
			continue
		}
		if len(out) == maxTxs || len(tx.Raw()) > maxBytes || tx.Gas() > maxGas {
			break
		}
		maxBytes -= len(tx.Raw())
		maxGas -= tx.Gas()
		out = append(out, tx.Hash())
	}
	return out
}

// Stale implements order.Pool.
func (p *Pool) Stale(before time.Time, max int) (out []common.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tx := range p.waiting {
		if len(out) < max && p.arrived[tx.Hash()].Before(before) {
			out = append(out, tx.Hash())
		}
	}
	return out
}

// Waited says what LongestWait is to answer from now on.
func (p *Pool) Waited(longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waited = longest
}

// LongestWait implements order.Pool.
func (p *Pool) LongestWait(time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waited
}

// Bodies implements order.Pool.
func (p *Pool) Bodies(hashes []common.Hash) (txs chain.Txs, missing []common.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range hashes {
		txs = append(txs, p.all[h])
		if p.all[h] == nil {
			missing = append(missing, h)
		}
	}
	return txs, missing
}

// DecidedAlready implements order.Pool.
func (p *Pool) DecidedAlready(hashes []common.Hash) (common.Hash, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range hashes {
		if p.decided[h] {
			return h, true
		}
	}
	return common.Hash{}, false
}

// Bury keeps what blocks up to height have executed out of the pool, as the accounts' nonces would.
func (p *Pool) Bury(l *Ledger, height uint64) {
	l.mu.Lock()
	all := slices.Concat(l.txs[:height]...)
	l.mu.Unlock()
	p.Decided(all)
}

// Decided implements order.Pool.
func (p *Pool) Decided(txs chain.Txs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tx := range txs {
		p.decided[tx.Hash()] = true
		p.all[tx.Hash()] = tx
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(tx *chain.Tx) bool { return p.decided[tx.Hash()] })
}

// Ledger is an order.Ledger in memory that outlives its node. As the real one does, it makes a decision durable with the next entry of the journal that
// stands beside it.
type Ledger struct {
	mu        sync.Mutex
	decisions []*chain.Decision
	txs       []chain.Txs
	kept      []chain.Txs
	blocks    map[crypto.Hash]keptBlock
	// synced counts the durable decisions, and forgotten is what the others have made the ledger forget, which a crash brings back.
	synced    int
	forgotten []forgotten
	fail      error
	failing   failing
	delay     time.Duration
}

// Fail makes appending fail with err, or work again with nil.
func (l *Ledger) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail, l.failing = err, failing{}
}

// FailAfter makes appending fail with err once n more have succeeded.
func (l *Ledger) FailAfter(n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = failing{n, err}
}

// Delay makes appending take d.
func (l *Ledger) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// forgotten is what one decision made the ledger forget.
type forgotten struct {
	kept   []chain.Txs
	blocks map[crypto.Hash]keptBlock
}

// Sync makes all that is written durable.
func (l *Ledger) Sync() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced, l.forgotten = len(l.decisions), nil
}

// SyncDecisions implements order.Ledger.
func (l *Ledger) SyncDecisions() error {
	l.mu.Lock()
	err := l.fail
	l.mu.Unlock()
	if err == nil {
		l.Sync()
	}
	return err
}

// Durable is the height of the last decision that outlives a crash, whatever else does.
func (l *Ledger) Durable() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(l.synced)
}

// Lose drops the decisions that are not durable, but none up to keep, as a crash may, and returns the height that is left.
func (l *Ledger) Lose(keep uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for height := len(l.decisions); height > max(l.synced, int(keep)); height-- {
		f := l.forgotten[len(l.forgotten)-1]
		l.forgotten = l.forgotten[:len(l.forgotten)-1]
		l.kept = append(slices.Clone(f.kept), l.kept...)
		if l.blocks == nil {
			l.blocks = make(map[crypto.Hash]keptBlock)
		}
		maps.Copy(l.blocks, f.blocks)
		l.decisions, l.txs = l.decisions[:height-1:height-1], l.txs[:height-1:height-1]
	}
	l.synced, l.forgotten = len(l.decisions), nil
	return uint64(len(l.decisions))
}

// Height is the last decision's.
func (l *Ledger) Height() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.decisions))
}

// Decisions are all of them, from height 1 on.
func (l *Ledger) Decisions() []*chain.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.decisions)
}

// AppendDecision implements order.Ledger.
func (l *Ledger) AppendDecision(ctx context.Context, d *chain.Decision, txs chain.Txs) error {
	l.mu.Lock()
	delay, fail := l.delay, l.fail
	l.mu.Unlock()
	if fail != nil {
		return fail
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail = l.failing.write(l.fail); l.fail != nil { // it crashed meanwhile
		return l.fail
	}
	if d.Height != uint64(len(l.decisions))+1 {
		return fmt.Errorf("height %d after %d", d.Height, len(l.decisions))
	}
	for i, tx := range txs {
		if tx == nil || tx.Hash() != d.Txs[i] {
			return errors.New("transactions are not the decision's")
		}
	}
	f := forgotten{kept: l.kept, blocks: make(map[crypto.Hash]keptBlock)}
	l.decisions, l.txs, l.kept = append(l.decisions, d), append(l.txs, txs), nil
	maps.DeleteFunc(l.blocks, func(hash crypto.Hash, b keptBlock) bool {
		if b.height <= d.Height {
			f.blocks[hash] = b
		}
		return b.height <= d.Height
	})
	l.forgotten = append(l.forgotten, f)
	return nil
}

// KeepProposal implements order.Ledger.
func (l *Ledger) KeepProposal(txs chain.Txs) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, txs)
	return nil
}

// KeptProposals implements order.Ledger.
func (l *Ledger) KeptProposals() ([]chain.Txs, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept), nil
}

type keptBlock struct {
	height uint64
	txs    chain.Txs
}

// KeepBlock implements order.Ledger.
func (l *Ledger) KeepBlock(height uint64, hash crypto.Hash, txs chain.Txs) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	if l.blocks == nil {
		l.blocks = make(map[crypto.Hash]keptBlock)
	}
	l.blocks[hash] = keptBlock{height, txs}
	return nil
}

// DropBlock implements order.Ledger.
func (l *Ledger) DropBlock(_ uint64, hash crypto.Hash) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.blocks, hash)
	return l.fail
}

// KeptBlocks implements order.Ledger.
func (l *Ledger) KeptBlocks(fn func(height uint64, hash crypto.Hash, txs chain.Txs)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for hash, b := range l.blocks {
		fn(b.height, hash, b.txs)
	}
	return nil
}

// DecisionProof implements order.Ledger.
func (l *Ledger) DecisionProof(height uint64) ([]byte, error) {
	d, _, err := l.Decision(height)
	if err != nil {
		return nil, err
	}
	return d.Proof, nil
}

// LastDecision implements order.Ledger.
func (l *Ledger) LastDecision() (*chain.Decision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.decisions) == 0 {
		return nil, nil
	}
	return l.decisions[len(l.decisions)-1], nil
}

// Decision implements order.Ledger.
func (l *Ledger) Decision(height uint64) (*chain.Decision, chain.Txs, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if height == 0 || height > uint64(len(l.decisions)) {
		return nil, nil, fmt.Errorf("no decision %d", height)
	}
	return l.decisions[height-1], l.txs[height-1], nil
}
