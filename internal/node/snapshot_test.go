package node

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/store"
)

// wires connect catch-ups with each other directly.
type wires struct {
	mu      sync.Mutex
	nodes   map[chain.Peer]*catchup.CatchUp
	order   []chain.Peer
	altered chain.Peer // answers with a byte of every chunk altered
	reports map[chain.Peer]int
}

type wire struct {
	w  *wires
	id chain.Peer
}

func (x wire) Send(to chain.Peer, _ string, msg []byte) bool {
	x.w.nodes[to].Handle(x.id, msg)
	return true
}

func (x wire) Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error) {
	if method == catchup.Method {
		return x.w.nodes[to].Serve(ctx, x.id, request)
	}
	if to != x.w.altered {
		time.Sleep(10 * time.Millisecond) // or the state, which is small, is complete before the liar is heard
	}
	b, err := x.w.nodes[to].ServeSnapshot(ctx, x.id, request)
	const chunk = 4 // the kind of such a request
	if err == nil && to == x.w.altered && request[0] == chunk {
		b[len(b)/2] ^= 1
	}
	return b, err
}

func (x wire) Report(peer chain.Peer, offence int, _ string) {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.w.reports[peer] += offence
}

func (x wire) Connected() (out []chain.Peer) {
	for _, id := range x.w.order {
		if id != x.id {
			out = append(out, id)
		}
	}
	return out
}

func (x wire) add(t *testing.T, deps catchup.Deps, height uint64) *catchup.CatchUp {
	deps.Network, deps.Suite = x, intl.Suite{}
	cfg := catchup.DefaultConfig()
	cfg.SnapshotThreshold = 50
	c, err := catchup.New(cfg, deps)
	require.NoError(t, err)
	c.SetHeight(height)
	c.SetExecuted(height)
	c.SetFinalized(height)
	x.w.nodes[x.id] = c
	x.w.order = append(x.w.order, x.id)
	return c
}

// certify stores the certificate of the durable head, signed by all who rule.
func (m *blockmaker) certify(genesis crypto.Hash) {
	suite, height := intl.Suite{}, m.head.Number.Uint64()
	hash, err := chain.HeaderHash(suite, m.head)
	require.NoError(m.t, err)
	c := &chain.Certificate{Height: height, Block: m.head.Hash(), Header: hash}
	for _, v := range m.ruling(height) {
		key, err := suite.ParsePrivateKey(gethcrypto.Keccak256(fmt.Appendf(nil, "node %d", v.ID)))
		require.NoError(m.t, err)
		sig, err := key.Sign(chain.AttestationMessage(genesis, height, hash))
		require.NoError(m.t, err)
		c.Attestations = append(c.Attestations, chain.Attestation{Validator: v.ID, Signature: sig})
	}
	require.NoError(m.t, m.st.PutCertificate(c))
}

// TestJoinByState lets an empty folder become the chain of others that have lived through changes of the validators, and then execute on: contract, votes and
// all are there.
func TestJoinByState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const top = 8 + chain.ActivationDelay + 10
		m := newBlockmaker(t)
		founding, err := m.st.Header(0)
		require.NoError(t, err)
		genesis, err := chain.HeaderHash(intl.Suite{}, founding)
		require.NoError(t, err)
		for height := uint64(1); height <= top; height++ {
			m.story(height)
			m.commit(0)
			m.certify(genesis)
		}
		w := &wires{nodes: make(map[chain.Peer]*catchup.CatchUp), reports: make(map[chain.Peer]int), altered: "b"}
		for _, id := range []chain.Peer{"a", "b", "c"} {
			wire{w, id}.add(t, catchup.Deps{Ledger: m.st, States: states{m.st}, Genesis: m.genesis, GenesisHash: genesis}, top)
		}
		me := wire{w, "me"}.add(t, catchup.Deps{Genesis: m.genesis, GenesisHash: genesis}, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		for _, c := range w.nodes {
			running.Go(func() { _ = c.Run(ctx) })
		}
		time.Sleep(time.Second)
		require.True(t, me.FarBehind())

		cfg := store.DefaultConfig()
		cfg.Dir, cfg.FS = "data", vfs.NewMem()
		st, err := store.Open(cfg, intl.Suite{})
		require.NoError(t, err)
		defer func() { require.NoError(t, st.Close()) }()
		require.NoError(t, me.Join(ctx, stateImporter{st}))
		require.Equal(t, map[chain.Peer]int{"b": 100}, w.reports, "who alters is reported, and nobody else")
		require.Equal(t, m.head.Hash(), st.Head().Hash())
		require.NoError(t, st.Check(ctx, nil))

		other := &blockmaker{t: t, genesis: m.genesis, st: st, head: st.Head(), nonces: m.nonces}
		other.executor, err = execute.New(execute.DefaultConfig(), m.genesis, intl.Suite{})
		require.NoError(t, err)
		other.sets, err = govern.NewTracker(m.genesis, intl.Suite{}, st)
		require.NoError(t, err, "the fetched state and the installed sets agree")
		require.NoError(t, other.recent.load(st, top))
		e := m.block(m.call(1, "proposeRemove", uint64(6)), m.call(2, "vote", uint64(4)), m.call(6, "vote", uint64(4)), m.call(3, "vote", uint64(4)))
		require.NotNil(t, e.Change)
		require.NoError(t, st.AppendDecision(ctx, e.Decision, e.Block.Txs))
		same := other.execute(e.Decision, e.Block.Txs)
		require.Equal(t, e.Block.Hash, same.Block.Hash)
		other.commit(0)
		m.commit(0)
		require.Equal(t, m.st.Head().Hash(), st.Head().Hash())
		require.NoError(t, st.Check(ctx, nil))
	})
}
