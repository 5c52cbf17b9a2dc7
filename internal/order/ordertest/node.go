package ordertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// node is one of a cluster, running or not.
type node struct {
	Node
	c       *cluster
	peer    order.PeerID
	ledger  *Ledger
	journal *Journal
	engine  order.Engine
	inbox   chan message
	catchUp *catchUp
	// proven is up to where the proofs in the ledger were checked.
	proven uint64
	// evil may stand between the engine and its host.
	evil func(order.Host) order.Host
	// past is what the node knows of its own when it starts.
	past order.FenceState

	// executed is how far the node executed before it stopped; only changed while it is stopped, or by its consumer.
	mu       sync.Mutex
	pool     *Pool
	up       bool
	executed uint64
	// ran is closed and replaced when executed has grown.
	ran    chan struct{}
	paused bool
	resume chan struct{}
	stop   context.CancelFunc
	result chan error
}

// ended waits for the node's end. Its pool does not outlive it.
func (n *node) ended() error {
	err := <-n.result
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up, n.pool = false, nil
	return err
}

// errCrash is what a crashed node's disk says.
var errCrash = errors.New("the node has crashed")

// crash ends the node between two writes: what it would write from now on is lost, and so is what was not durable. The last block that it executed may have
// been on its way to the disk.
func (n *node) crash() {
	n.ledger.Fail(errCrash)
	n.journal.Fail(errCrash)
	n.stop()
	_ = n.ended() // how it took that is of no interest
	n.mu.Lock()
	left := n.ledger.Lose(max(n.executed, 1) - 1)
	n.executed, n.proven = min(n.executed, left), min(n.proven, left)
	n.mu.Unlock()
	n.crashed()
}

// crashed makes the disk of a node that has ended work again.
func (n *node) crashed() {
	n.ledger.Fail(nil)
	n.journal.Fail(nil)
}

func (n *node) start() {
	n.mu.Lock()
	if n.pool == nil {
		n.pool = NewPool()
		n.pool.Bury(n.ledger, n.executed)
	}
	n.up = true
	n.mu.Unlock()
	for len(n.inbox) > 0 {
		<-n.inbox
	}
	n.Fence = order.NewFence(n.past, "its disk is another one", nil, n.Log, func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.past = order.FenceOpen
		return nil
	})
	n.Last = n.ledger.Height()
	n.engine = n.c.engine.New(n.c, n.Node)
	cfg := order.DefaultConfig()
	node := order.Node{Genesis: n.c.genesis, GenesisHash: n.GenesisHash, Suite: n.Suite, ID: n.ID, Key: n.Key, Pool: n.pool, Ledger: n.ledger,
		Sets: sets{n}, Log: n.Log}
	n.catchUp = &catchUp{n: n, bell: make(chan struct{}, 1)}
	if len(n.c.nodes) > 1 {
		node.Network, node.CatchUp = network{n}, n.catchUp
	}
	d, err := order.NewDriver(cfg, node)
	require.NoError(n.c, err)
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.result, n.resume = cancel, make(chan error, 1), make(chan struct{}, 1)
	n.c.Cleanup(n.stop) // for a test that fails: what still runs would hide why
	executed := n.executed
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() { n.consume(d.Work(), over) })
	running.Go(func() { n.hear(over) })
	go func() {
		err := d.Run(ctx, watched{n.engine, n}, executed)
		close(over)
		running.Wait()
		n.result <- err
	}()
}

// announceEvery is the pace at which nodes tell each other their heights.
const announceEvery = 50 * time.Millisecond

// hear gives the engine what arrives.
func (n *node) hear(over <-chan struct{}) {
	ticker := time.NewTicker(announceEvery)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case m := <-n.inbox:
			n.engine.Handle(m.from, m.body)
		case <-ticker.C:
			n.catchUp.announce()
		}
	}
}

// put is called when a message arrives.
func (n *node) put(m message) {
	n.mu.Lock()
	up := n.up
	n.mu.Unlock()
	if !up {
		return
	}
	select {
	case n.inbox <- m:
	default:
	}
}

// reach are the running nodes that n hears.
func (c *cluster) reach(n *node) (out []*node) {
	for _, other := range c.nodes {
		other.mu.Lock()
		up := other.up
		other.mu.Unlock()
		if other != n && up && c.wires.open(other.peer, n.peer) {
			out = append(out, other)
		}
	}
	return out
}

// body is the transaction with that hash, if the node has it.
func (n *node) body(h common.Hash) *chain.Tx {
	n.mu.Lock()
	pool := n.pool
	n.mu.Unlock()
	if pool == nil {
		return nil
	}
	txs, _ := pool.Bodies([]common.Hash{h})
	return txs[0]
}

// offer gives the pool what the node has fetched.
func (n *node) offer(txs chain.Txs) {
	n.mu.Lock()
	pool := n.pool
	n.mu.Unlock()
	if pool != nil {
		pool.Add(txs...)
	}
}

// sets are the validator sets as the node knows them: that of a height is settled by the block chain.ActivationDelay before it.
type sets struct{ n *node }

func (s sets) At(ctx context.Context, height uint64) (*chain.Rule, error) {
	for s.n.done()+chain.ActivationDelay < height {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return s.n.c.ruleAt(height), nil
}

// watched checks what the driver would forgive: after a cancellation Run returns nil.
type watched struct {
	order.Engine
	n *node
}

func (w watched) Run(ctx context.Context, h order.Host) error {
	if w.n.evil != nil {
		h = w.n.evil(h)
	} else if !w.n.c.engine.Open { // nobody signs there
		h = audited{h, w.n}
	}
	err := w.Engine.Run(ctx, h)
	if err != nil && errors.Is(err, context.Canceled) {
		w.n.c.Errorf("the engine returned %q for a cancellation", err)
	}
	return err
}

// consume executes: it checks that the work is in the ledger and without gaps.
func (n *node) consume(work <-chan order.Work, over <-chan struct{}) {
	for {
		n.mu.Lock()
		paused := n.paused
		n.mu.Unlock()
		if paused {
			select {
			case <-n.resume:
				continue
			case <-over:
				return
			}
		}
		select {
		case w, ok := <-work:
			if !ok {
				return
			}
			n.execute(w)
		case <-n.resume:
		}
	}
}

func (n *node) execute(w order.Work) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.executed+1 != w.Decision.Height {
		n.c.Errorf("node %d: height %d handed on after %d", n.ID, w.Decision.Height, n.executed)
	}
	if n.ledger.Height() < w.Decision.Height {
		n.c.Errorf("node %d: height %d handed on before it was in the ledger", n.ID, w.Decision.Height)
	}
	for i, tx := range w.Txs {
		if tx == nil || tx.Hash() != w.Decision.Txs[i] {
			n.c.Errorf("node %d: height %d: transaction %d is not the decided one", n.ID, w.Decision.Height, i)
		}
	}
	n.executed = w.Decision.Height
	close(n.ran)
	n.ran = make(chan struct{})
}

// executedHash stands for the hash of the header that executing the block at height gives.
func (n *node) executedHash(ctx context.Context, height uint64) (crypto.Hash, error) {
	for {
		n.mu.Lock()
		done, ran := n.executed >= height, n.ran
		n.mu.Unlock()
		if done {
			d, _, err := n.ledger.Decision(height)
			if err != nil {
				return crypto.Hash{}, err
			}
			hash := d.Hash(n.Suite)
			return n.Suite.Sum([]byte("executed"), hash[:]), nil
		}
		select {
		case <-ran:
		case <-ctx.Done():
			return crypto.Hash{}, ctx.Err()
		}
	}
}

// pause stops or resumes execution.
func (n *node) pause(on bool) {
	n.mu.Lock()
	n.paused = on
	n.mu.Unlock()
	select {
	case n.resume <- struct{}{}:
	default:
	}
}

func (n *node) done() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.executed
}
