package catchup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// serveFunc answers a request instead of CatchUp.Serve: a liar's.
type serveFunc func(ctx context.Context, req []byte) ([]byte, error)

// node is one member of a test's network, and its own Network.
type node struct {
	*CatchUp
	net    *network
	id     chain.Peer
	x      *history
	ledger *ledger
	pool   held
	delay  time.Duration
	// serve and serveState, when not nil, answer instead of the CatchUp.
	serve, serveState serveFunc
	log               *bytes.Buffer

	mu        sync.Mutex
	reports   map[chain.Peer]int
	why       map[chain.Peer]string
	asked     map[chain.Peer]int
	certified []uint64
	// clock is how far its clock is ahead.
	clock time.Duration
}

type network struct {
	t       *testing.T
	ctx     context.Context
	running sync.WaitGroup
	nodes   []*node
	// away are nodes that nobody reaches.
	mu   sync.Mutex
	away map[chain.Peer]bool
}

func newNetwork(t *testing.T) *network {
	ctx, cancel := context.WithCancel(context.Background())
	n := &network{t: t, ctx: ctx, away: make(map[chain.Peer]bool)}
	t.Cleanup(func() {
		cancel()
		n.running.Wait()
	})
	return n
}

// add makes a node that holds the first height blocks of x.
func (n *network) add(x *history, height int, delay time.Duration) *node {
	nd := &node{net: n, id: chain.Peer(fmt.Sprintf("node%02d", len(n.nodes))), x: x, delay: delay, pool: held{}, log: new(bytes.Buffer),
		ledger: &ledger{blocks: slices.Clone(x.blocks[:height]), height: height, finalized: height}, reports: make(map[chain.Peer]int),
		why: make(map[chain.Peer]string), asked: make(map[chain.Peer]int)}
	c, err := New(DefaultConfig(), Deps{Network: nd, Ledger: nd.ledger, Pool: nd.pool, Sets: x, Suite: suite, Genesis: x.genesis, GenesisHash: x.genesisHash,
		Certified: nd.take, Now: func() time.Time { return time.Now().Add(nd.clock) }, Log: slog.New(slog.NewTextHandler(nd.log, nil))})
	require.NoError(n.t, err)
	nd.CatchUp = c
	nd.SetHeight(uint64(height))
	nd.SetExecuted(uint64(height))
	nd.SetFinalized(uint64(height))
	n.nodes = append(n.nodes, nd)
	return nd
}

// start runs all nodes and lets them hear of each other.
func (n *network) start() {
	for _, nd := range n.nodes {
		n.running.Go(func() {
			if err := nd.Run(n.ctx); err != nil {
				n.t.Error(err)
			}
		})
	}
	time.Sleep(time.Second)
}

func (n *network) node(id chain.Peer) *node {
	for _, nd := range n.nodes {
		if nd.id == id {
			return nd
		}
	}
	return nil
}

func (n *network) reaches(a, b chain.Peer) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.away[a] && !n.away[b]
}

func (nd *node) take(c *chain.Certificate, h *chain.Header) {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	if h.Number.Uint64() != c.Height {
		nd.net.t.Errorf("certificate %d with header %d", c.Height, h.Number)
	}
	nd.certified = append(nd.certified, c.Height)
}

// fetch brings the node as far as it gets.
func (nd *node) fetch(ctx context.Context, to uint64) error {
	return nd.Fetch(ctx, uint64(nd.ledger.height)+1, to, nd.x.verify, nd.deliver)
}

func (nd *node) deliver(_ context.Context, d *chain.Decision, txs chain.Txs) error {
	if !txs.Are(d.Txs) {
		return errors.New("other transactions than decided")
	}
	for _, tx := range txs {
		if !tx.Verified() {
			return errors.New("unverified transaction")
		}
	}
	if err := nd.ledger.append(d, txs); err != nil {
		return err
	}
	nd.SetHeight(d.Height)
	return nil
}

// holds checks that the node has exactly the first height blocks of its history.
func (nd *node) holds(height int) error {
	if nd.ledger.height != height {
		return fmt.Errorf("%s is at height %d, not %d; reports %v", nd.id, nd.ledger.height, height, nd.why)
	}
	for i, b := range nd.ledger.blocks {
		if b.decision.Hash(suite) != nd.x.blocks[i].hash || !bytes.Equal(b.decision.Proof, nd.x.blocks[i].decision.Proof) {
			return fmt.Errorf("%s has another block %d", nd.id, i+1)
		}
	}
	return nil
}

func (nd *node) Send(to chain.Peer, protocol string, msg []byte) bool {
	if protocol != Protocol || !nd.net.reaches(nd.id, to) {
		return false
	}
	peer := nd.net.node(to)
	nd.net.running.Go(func() {
		time.Sleep(nd.delay + peer.delay)
		if nd.net.ctx.Err() == nil {
			peer.Handle(nd.id, msg)
		}
	})
	return true
}

func (nd *node) Request(ctx context.Context, to chain.Peer, method string, req []byte) ([]byte, error) {
	nd.mu.Lock()
	nd.asked[to]++
	nd.mu.Unlock()
	if !nd.net.reaches(nd.id, to) {
		return nil, errors.New("not connected")
	}
	peer := nd.net.node(to)
	serve, honest, limit := peer.serve, peer.Serve, MaxRequest
	if method == SnapshotMethod {
		serve, honest, limit = peer.serveState, peer.ServeSnapshot, MaxSnapshotRequest
	}
	if len(req) > limit {
		return nil, errors.New("too long")
	}
	if serve == nil {
		serve = func(ctx context.Context, req []byte) ([]byte, error) { return honest(ctx, nd.id, req) }
	}
	wait := func() error {
		select {
		case <-time.After(nd.delay + peer.delay):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := wait(); err != nil {
		return nil, err
	}
	b, err := serve(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := wait(); err != nil {
		return nil, err
	}
	if !nd.net.reaches(nd.id, to) {
		return nil, errors.New("disconnected")
	}
	return slices.Clone(b), nil
}

func (nd *node) Report(peer chain.Peer, offence int, why string) {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	nd.reports[peer] += offence
	nd.why[peer] = why
}

func (nd *node) reported(peer *node) int {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	return nd.reports[peer.id]
}

func (nd *node) Connected() (out []chain.Peer) {
	for _, other := range nd.net.nodes {
		if other != nd && nd.net.reaches(nd.id, other.id) {
			out = append(out, other.id)
		}
	}
	return out
}
