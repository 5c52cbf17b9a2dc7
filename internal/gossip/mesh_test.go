package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

var (
	testGenesis = &chain.Genesis{ChainID: 77, Transactions: []chain.TxKind{chain.Secp256k1}}
	testKey, _  = gethcrypto.ToECDSA(common.LeftPadBytes([]byte{7}, 32))
	errFull     = errors.New("full")
	errKnown    = errors.New("already known")
)

// signed is a valid transaction that differs by its nonce.
func signed(t testing.TB, nonce int, chainID int64) []byte {
	to := common.Address{1}
	tx, err := types.SignNewTx(testKey, types.LatestSignerForChainID(big.NewInt(chainID)), &types.DynamicFeeTx{ChainID: big.NewInt(chainID), Nonce: uint64(nonce),
		Gas: 21_000, To: &to, GasFeeCap: new(big.Int), GasTipCap: new(big.Int), Value: new(big.Int), Data: make([]byte, 68)})
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return raw
}

func hashOf(raw []byte) common.Hash { return gethcrypto.Keccak256Hash(raw) }

// pool is a Pool without rules: what verifies is ready at once.
type pool struct {
	verifier *chain.Verifier

	mu     sync.Mutex
	all    map[common.Hash]*chain.Tx
	order  []common.Hash
	subs   []chan []*chain.Tx
	room   int
	stuck  chan struct{} // AddBatch waits for it when it is there
	added  [][]common.Hash
	closed bool
}

func newPool() *pool {
	return &pool{verifier: chain.NewVerifier(testGenesis), all: make(map[common.Hash]*chain.Tx), room: 1 << 20}
}

func (p *pool) AddBatch(ctx context.Context, raws [][]byte, local bool) ([]*chain.Tx, []error) {
	p.mu.Lock()
	stuck := p.stuck
	p.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
		}
	}
	return p.add(raws, local)
}

func (p *pool) add(raws [][]byte, local bool) ([]*chain.Tx, []error) {
	txs, errs := make([]*chain.Tx, len(raws)), make([]error, len(raws))
	var fresh []*chain.Tx
	var batch []common.Hash
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, raw := range raws {
		tx, err := chain.DecodeTx(raw)
		if err == nil && p.all[tx.Hash()] != nil {
			err = errKnown
		}
		if err == nil {
			err = p.verifier.Verify(tx)
		}
		if err == nil && len(p.order) >= p.room {
			err = errFull
		}
		if errs[i] = err; err != nil {
			continue
		}
		txs[i] = tx
		p.all[tx.Hash()] = tx
		p.order = append(p.order, tx.Hash())
		fresh = append(fresh, tx)
		batch = append(batch, tx.Hash())
	}
	p.added = append(p.added, batch)
	if !local || len(fresh) == 0 {
		return txs, errs
	}
	for i, c := range p.subs {
		if c == nil {
			continue
		}
		select {
		case c <- fresh:
		default:
			close(c)
			p.subs[i] = nil
		}
	}
	return txs, errs
}

// AddUrgent is never stuck.
func (p *pool) AddUrgent(ctx context.Context, raws [][]byte) ([]*chain.Tx, []error) {
	return p.add(raws, false)
}

func (p *pool) SubscribeLocal(buf int) (<-chan []*chain.Tx, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := make(chan []*chain.Tx, buf)
	if p.closed {
		close(c)
		return c, func() {}
	}
	p.subs = append(p.subs, c)
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.Index(p.subs, c); i >= 0 {
			close(c)
			p.subs[i] = nil
		}
	}
}

// lose ends all subscriptions, as the pool does for those that are too slow.
func (p *pool) lose(forEver bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = forEver
	for i, c := range p.subs {
		if c != nil {
			close(c)
			p.subs[i] = nil
		}
	}
}

func (p *pool) Bodies(hashes []common.Hash) (txs chain.Txs, missing []common.Hash) {
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

func (p *pool) Waiting(max int) []common.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.order[:min(max, len(p.order))])
}

func (p *pool) has(h common.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[h] != nil
}

// blocks are transactions that left the pool.
type blocks map[common.Hash]*chain.Tx

func (b blocks) Tx(h common.Hash) (*chain.TxLookup, error) {
	if tx := b[h]; tx != nil {
		return &chain.TxLookup{Tx: tx}, nil
	}
	return nil, nil
}

// node is one member of a mesh. It is its own Network.
type node struct {
	*Gossip
	mesh   *mesh
	id     chain.Peer
	pool   *pool
	blocks blocks
	// requests, when set, answers instead of Serve: a liar.
	requests func(ctx context.Context, from chain.Peer, req []byte) ([]byte, error)
	reports  map[chain.Peer]int
	asked    []chain.Peer // by Request, in order
}

// mesh is a network in one bubble of virtual time.
type mesh struct {
	t       *testing.T
	ctx     context.Context
	nodes   []*node
	running sync.WaitGroup

	mu    sync.Mutex
	links map[[2]chain.Peer]*link
	// sent counts bytes of batches, messages batches, carried the crossings of each transaction.
	sent, messages int
	carried        map[common.Hash]int
	// lose, when it says so, drops a message for want of room.
	lose func(from, to chain.Peer, msg []byte) bool
}

// link is one direction of a connection: in order, each message after a delay.
type link struct {
	delay time.Duration
	queue chan carriage
	stop  chan struct{}
}

// carriage is a message on its way.
type carriage struct {
	msg []byte
	at  time.Time
}

func newMesh(t *testing.T, n int, change func(i int, c *Config)) *mesh {
	ctx, cancel := context.WithCancel(context.Background())
	m := &mesh{t: t, ctx: ctx, links: make(map[[2]chain.Peer]*link), carried: make(map[common.Hash]int)}
	for i := range n {
		nd := &node{mesh: m, id: chain.Peer(fmt.Sprintf("node%02d", i)), pool: newPool(), blocks: blocks{}, reports: make(map[chain.Peer]int)}
		cfg := DefaultConfig()
		if change != nil {
			change(i, &cfg)
		}
		g, err := New(cfg, Deps{Network: nd, Pool: nd.pool, Blocks: nd.blocks, Verifier: nd.pool.verifier, Full: func(err error) bool { return errors.Is(err, errFull) }})
		require.NoError(t, err)
		nd.Gossip = g
		m.nodes = append(m.nodes, nd)
		m.running.Go(func() {
			if err := g.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		m.running.Wait()
	})
	return m
}

func (m *mesh) node(id chain.Peer) *node {
	for _, n := range m.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

// connect links two nodes, or parts them.
func (m *mesh) connect(i, j int, delay time.Duration) {
	for _, pair := range [][2]*node{{m.nodes[i], m.nodes[j]}, {m.nodes[j], m.nodes[i]}} {
		from, to := pair[0], pair[1]
		l := &link{delay: delay, queue: make(chan carriage, 4096), stop: make(chan struct{})}
		m.mu.Lock()
		m.links[[2]chain.Peer{from.id, to.id}] = l
		m.mu.Unlock()
		m.running.Go(func() {
			for {
				select {
				case <-m.ctx.Done():
					return
				case <-l.stop:
					return
				case c := <-l.queue:
					time.Sleep(time.Until(c.at))
					select {
					case <-l.stop:
						return
					default:
					}
					to.Handle(from.id, slices.Clone(c.msg))
				}
			}
		})
	}
	m.nodes[i].Changed(m.nodes[j].id, true)
	m.nodes[j].Changed(m.nodes[i].id, true)
}

func (m *mesh) part(i, j int) {
	a, b := m.nodes[i], m.nodes[j]
	m.mu.Lock()
	for _, key := range [][2]chain.Peer{{a.id, b.id}, {b.id, a.id}} {
		close(m.links[key].stop)
		delete(m.links, key)
	}
	m.mu.Unlock()
	a.Changed(b.id, false)
	b.Changed(a.id, false)
}

func (m *mesh) linked(i, j int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links[[2]chain.Peer{m.nodes[i].id, m.nodes[j].id}] != nil
}

// full links every pair.
func (m *mesh) full(delay time.Duration) *mesh {
	for i := range m.nodes {
		for j := range i {
			m.connect(i, j, delay)
		}
	}
	m.settle()
	return m
}

// settle lets all that is under way arrive.
func (m *mesh) settle() {
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// reset forgets the counts.
func (m *mesh) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent, m.messages = 0, 0
	clear(m.carried)
}

// submit enters a transaction at node i, as a client does.
func (m *mesh) submit(i int, raws ...[]byte) {
	_, errs := m.nodes[i].pool.AddBatch(m.ctx, raws, true)
	for _, err := range errs {
		if err != nil && !errors.Is(err, errKnown) {
			m.t.Error(err)
		}
	}
}

// lacking lists what nodes do not have of raws.
func (m *mesh) lacking(raws [][]byte) (out []string) {
	for _, n := range m.nodes {
		for i, raw := range raws {
			if !n.pool.has(hashOf(raw)) {
				out = append(out, fmt.Sprintf("%s lacks %d", n.id, i))
			}
		}
	}
	return out
}

func (n *node) Send(to chain.Peer, protocol string, msg []byte) bool {
	m := n.mesh
	if protocol != Protocol {
		m.t.Errorf("message of protocol %q", protocol)
	}
	if len(msg) > MaxMessage {
		m.t.Errorf("message of %d bytes", len(msg))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.links[[2]chain.Peer{n.id, to}]
	if l == nil || (m.lose != nil && m.lose(n.id, to, msg)) {
		return false
	}
	select {
	case l.queue <- carriage{msg, time.Now().Add(l.delay)}:
	default:
		return false
	}
	if msg[0] == kindTxs {
		m.count(msg[1:])
	}
	return true
}

// batches counts the messages with transactions since the last reset.
func (m *mesh) batches() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.messages
}

func (m *mesh) count(batch []byte) {
	m.sent += 1 + len(batch)
	m.messages++
	raws, err := decodeTxs(batch, maxBatchTxs, false)
	if err != nil {
		m.t.Error(err)
	}
	for _, raw := range raws {
		m.carried[hashOf(raw)]++
	}
}

func (n *node) Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error) {
	m := n.mesh
	m.mu.Lock()
	l := m.links[[2]chain.Peer{n.id, to}]
	n.asked = append(n.asked, to)
	m.mu.Unlock()
	if l == nil || method != Method || len(request) > MaxRequest {
		return nil, fmt.Errorf("no such peer or method, or too long")
	}
	peer := m.node(to)
	serve := peer.requests
	if serve == nil {
		serve = peer.Serve
	}
	select {
	case <-time.After(l.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b, err := serve(ctx, n.id, request)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxResponse {
		m.t.Errorf("answer of %d bytes", len(b))
	}
	select {
	case <-time.After(l.delay):
	case <-l.stop:
		return nil, errors.New("disconnected")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return slices.Clone(b), nil
}

func (n *node) Report(peer chain.Peer, offence int, _ string) {
	n.mesh.mu.Lock()
	defer n.mesh.mu.Unlock()
	n.reports[peer] += offence
}

func (n *node) reported(peer chain.Peer) int {
	n.mesh.mu.Lock()
	defer n.mesh.mu.Unlock()
	return n.reports[peer]
}

func (n *node) Connected() (out []chain.Peer) {
	n.mesh.mu.Lock()
	defer n.mesh.mu.Unlock()
	for key := range n.mesh.links {
		if key[0] == n.id {
			out = append(out, key[1])
		}
	}
	slices.Sort(out)
	return out
}
