package pow_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/order/pow/powtest"
)

// world is a network of nodes with the real driver and engine over fake pools and ledgers, on virtual time.
type world struct {
	testing.TB
	params  *chain.WorkParams
	genesis *chain.Genesis
	nodes   []*sim
	// delay bounds how long a message travels, at least a third of it.
	delay time.Duration

	mu     sync.Mutex
	random *rand.Rand
	// group says who hears whom: those of one group do.
	group map[order.PeerID]int
	// tap sees what is sent to those who are no nodes.
	tap map[order.PeerID]func(from order.PeerID, msg []byte)
}

// sim is a node.
type sim struct {
	w       *world
	id      order.PeerID
	key     crypto.PrivateKey
	ledger  *ordertest.Ledger
	journal *ordertest.Journal
	solver  *powtest.Solver
	threads int
	// lies makes it say that it has executed something else.
	lies bool
	// checkpoints are its genesis' own.
	checkpoints []chain.WorkCheckpoint
	// gate, where it is not nil, is closed for execution to go on.
	gate chan struct{}

	mu       sync.Mutex
	pool     *ordertest.Pool
	engine   *pow.Engine
	up       bool
	executed uint64
	ran      chan struct{}
	blamed   []string

	stop   context.CancelFunc
	result chan error
}

// hashes of a block by the first target: few enough to be found for real, many enough for the difficulty to move.
const firstBits = 0x1f3fffff // 1,024

func newWorld(t testing.TB, seed int64, nodes int, change func(*chain.WorkParams)) *world {
	p := &chain.WorkParams{BlockMillis: 2000, Depth: 6, Bits: firstBits, HalfLifeMillis: 20_000}
	if change != nil {
		change(p)
	}
	w := &world{TB: t, params: p, delay: 60 * time.Millisecond, random: rand.New(rand.NewSource(seed)), group: make(map[order.PeerID]int),
		tap: make(map[order.PeerID]func(order.PeerID, []byte)),
		genesis: &chain.Genesis{ChainID: 1, TimeMillis: 1, GasLimit: 1 << 40,
			Consensus: chain.Consensus{Engine: chain.PoW, Work: p, MaxBlockTxs: 100, MaxBlockBytes: 1 << 20, BatchMillis: 5}}}
	power := powtest.Hashes(p.Bits) / (float64(p.BlockMillis) / 1000)
	for i := range nodes {
		key, err := intl.Suite{}.GenerateKey(rand.New(rand.NewSource(int64(i + 1))))
		require.NoError(t, err)
		w.nodes = append(w.nodes, &sim{w: w, id: order.PeerID(i + 1), key: key, ledger: new(ordertest.Ledger), journal: new(ordertest.Journal), threads: 1,
			solver: powtest.New(seed*1000+int64(i), power/float64(nodes)), ran: make(chan struct{})})
	}
	for _, n := range w.nodes {
		n.journal.Beside(n.ledger)
	}
	return w
}

func (w *world) start() {
	for _, n := range w.nodes {
		n.start()
	}
}

// halt ends all nodes; every one must end without an error.
func (w *world) halt() {
	w.Helper()
	for _, n := range w.nodes {
		if n.up {
			require.NoError(w, n.end(), "node %d", n.id)
		}
	}
}

// split puts nodes, by index, into groups that do not hear each other; without groups all hear all.
func (w *world) split(groups ...[]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group = make(map[order.PeerID]int)
	for g, members := range groups {
		for _, i := range members {
			w.group[w.nodes[i].id] = g + 1
		}
	}
}

func (w *world) hears(a, b order.PeerID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.group[a] == w.group[b]
}

// listen has f see what is sent to id, which is no node.
func (w *world) listen(id order.PeerID, f func(from order.PeerID, msg []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tap[id] = f
}

func (w *world) travel() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.delay/3 + time.Duration(w.random.Int63n(int64(w.delay)))
}

// config is what its engine is made from.
func (n *sim) config() pow.Config {
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("POW_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n.id)
	}
	params := *n.w.params
	params.Checkpoints = n.checkpoints
	return pow.Config{Suite: intl.Suite{}, GenesisHash: crypto.Hash{7}, GenesisMillis: n.w.genesis.TimeMillis, Params: params, Executed: n.header,
		Coinbase: common.Address{byte(n.id)}, Threads: n.threads, Solver: n.solver, Journal: n.journal, Log: log,
		Misbehaved: func(_ order.PeerID, why string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.blamed = append(n.blamed, why)
		}}
}

func (n *sim) start() {
	pool := ordertest.NewPool()
	pool.Bury(n.ledger, n.executed)
	engine, err := pow.New(n.config())
	require.NoError(n.w, err)
	d, err := order.NewDriver(order.DefaultConfig(), order.Node{Genesis: n.w.genesis, GenesisHash: crypto.Hash{7}, Suite: intl.Suite{}, Key: n.key, Pool: pool,
		Ledger: n.ledger, Network: net{n}, CatchUp: fetcher{n}})
	require.NoError(n.w, err)
	ctx, cancel := context.WithCancel(context.Background())
	n.mu.Lock()
	n.pool, n.engine, n.up, n.stop, n.result = pool, engine, true, cancel, make(chan error, 1)
	n.mu.Unlock()
	n.w.Cleanup(cancel)
	executed := n.executed
	var running sync.WaitGroup
	running.Go(func() {
		for x := range d.Work() {
			n.execute(x)
		}
	})
	go func() {
		err := d.Run(ctx, engine, executed)
		running.Wait()
		n.result <- err
	}()
}

// end stops the node and says how it took that.
func (n *sim) end() error {
	n.stop()
	return n.ended()
}

func (n *sim) ended() error {
	err := <-n.result
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up = false
	return err
}

// gone notes that the node has ended by itself.
func (n *sim) gone() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up = false
}

// crash ends the node between two writes; what was not durable is lost, and the last block that it executed may have been on its way to the disk.
func (n *sim) crash() {
	crashed := errors.New("crashed")
	n.ledger.Fail(crashed)
	n.journal.Fail(crashed)
	_ = n.end()
	n.mu.Lock()
	n.executed = min(n.executed, n.ledger.Lose(max(n.executed, 1)-1))
	n.mu.Unlock()
	n.ledger.Fail(nil)
	n.journal.Fail(nil)
}

func (n *sim) execute(x order.Work) {
	if n.gate != nil {
		<-n.gate
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.executed = x.Decision.Height
	close(n.ran)
	n.ran = make(chan struct{})
}

// header stands for the hash of the executed header.
func (n *sim) header(ctx context.Context, height uint64) (crypto.Hash, error) {
	for {
		n.mu.Lock()
		done, ran := n.executed >= height, n.ran
		n.mu.Unlock()
		if done {
			d, _, err := n.ledger.Decision(height)
			if err != nil {
				return crypto.Hash{}, err
			}
			hash := d.Hash(intl.Suite{})
			if n.lies {
				hash[0] ^= 1
			}
			return intl.Suite{}.Sum([]byte("executed"), hash[:]), nil
		}
		select {
		case <-ran:
		case <-ctx.Done():
			return crypto.Hash{}, ctx.Err()
		}
	}
}

func (n *sim) running() (*pow.Engine, *ordertest.Pool, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.engine, n.pool, n.up
}

func (n *sim) tip() uint64 { return n.engine.Status().Work.Tip }

// net is a node's order.Network.
type net struct{ n *sim }

func (x net) Send(to order.PeerID, msg []byte) {
	w := x.n.w
	w.mu.Lock()
	tap := w.tap[to]
	w.mu.Unlock()
	if tap != nil {
		tap(x.n.id, msg)
		return
	}
	for _, other := range w.nodes {
		if other.id == to && other != x.n {
			msg := append([]byte(nil), msg...)
			time.AfterFunc(w.travel(), func() {
				if engine, _, up := other.running(); up && w.hears(x.n.id, to) {
					engine.Handle(x.n.id, msg)
				}
			})
		}
	}
}

func (x net) Broadcast(msg []byte) {
	for _, other := range x.n.w.nodes {
		x.Send(other.id, msg)
	}
}

// Fetch asks the pools of the nodes that are heard.
func (x net) Fetch(ctx context.Context, _ order.PeerID, hashes []common.Hash) (chain.Txs, error) {
	out := make(chain.Txs, len(hashes))
	for {
		select {
		case <-ctx.Done():
			return out, nil
		case <-time.After(2 * x.n.w.travel()):
		}
		lack := false
		for i, h := range hashes {
			for _, other := range x.n.w.nodes {
				if _, pool, up := other.running(); out[i] == nil && up && x.n.w.hears(x.n.id, other.id) {
					txs, _ := pool.Bodies([]common.Hash{h})
					out[i] = txs[0]
				}
			}
			lack = lack || out[i] == nil
		}
		if !lack {
			return out, nil
		}
	}
}

// fetcher is a node's order.CatchUp.
type fetcher struct{ n *sim }

func (f fetcher) Behind() <-chan struct{} { return nil }
func (f fetcher) SetHeight(uint64)        {}

func (f fetcher) Fetch(ctx context.Context, from, to uint64, verify func(context.Context, *chain.Decision) error,
	deliver func(context.Context, *chain.Decision, chain.Txs) error) error {
	for h := from; h <= to; h++ {
		select {
		case <-time.After(f.n.w.travel()):
		case <-ctx.Done():
			return ctx.Err()
		}
		found := false
		for _, other := range f.n.w.nodes {
			if _, _, up := other.running(); other == f.n || !up || !f.n.w.hears(f.n.id, other.id) {
				continue
			}
			d, txs, err := other.ledger.Decision(h)
			if err != nil || verify(ctx, d) != nil {
				continue
			}
			if err := deliver(ctx, d, txs); err != nil {
				return err
			}
			found = true
			break
		}
		if !found {
			return nil
		}
	}
	return nil
}

// submit brings transactions [from, to) to all pools.
func (w *world) submit(from, to int) {
	for _, n := range w.nodes {
		if _, pool, up := n.running(); up {
			for i := from; i < to; i++ {
				pool.Add(ordertest.Tx(i))
			}
		}
	}
}

// alike tells whether all running nodes have one tip.
func (w *world) alike() bool {
	var first *crypto.Hash
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		hash := n.engine.Status().Work.TipHash
		if first == nil {
			first = &hash
		} else if *first != hash {
			return false
		}
	}
	return true
}

// eventually waits in virtual time.
func (w *world) eventually(cond func() bool, within time.Duration, what string) {
	w.Helper()
	for end := time.Now().Add(within); !cond(); time.Sleep(10 * time.Millisecond) {
		w.alive()
		require.True(w, time.Now().Before(end), "not in %s: %s", within, what)
	}
}

// alive fails when a node ended by itself.
func (w *world) alive() {
	w.Helper()
	for _, n := range w.nodes {
		if n.up && len(n.result) > 0 {
			require.NoError(w, n.ended(), "node %d", n.id)
			w.Fatalf("node %d ended", n.id)
		}
	}
}

// agree checks that no two ledgers differ where both have something.
func (w *world) agree() {
	w.Helper()
	for _, n := range w.nodes[1:] {
		a, b := w.nodes[0].ledger.Decisions(), n.ledger.Decisions()
		for i := range min(len(a), len(b)) {
			require.Equal(w, a[i].Hash(intl.Suite{}), b[i].Hash(intl.Suite{}), "node %d differs at height %d", n.id, i+1)
		}
	}
}
