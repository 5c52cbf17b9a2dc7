package node

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/store"
)

// blockmaker is what of a node turns decisions into durable blocks: executor, tracker and store, in the order in which the pipeline calls them.
// Decisions come from the test.
type blockmaker struct {
	t       *testing.T
	fs      vfs.FS
	genesis *chain.Genesis
	nonces  map[uint64]uint64

	st       *store.Store
	executor *execute.Executor
	sets     *govern.Tracker
	recent   recentHashes
	// executed are the blocks that are not durable yet.
	executed []*chain.Executed
	head     *chain.Header
	decision crypto.Hash
}

// voter is the account of the validator that was the n-th to be known.
func voter(t *testing.T, n uint64) *ecdsa.PrivateKey {
	key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256(fmt.Appendf(nil, "voter %d", n)))
	require.NoError(t, err)
	return key
}

func voterEntry(t *testing.T, n uint64) chain.GenesisValidator {
	key, err := intl.Suite{}.ParsePrivateKey(gethcrypto.Keccak256(fmt.Appendf(nil, "node %d", n)))
	require.NoError(t, err)
	return chain.GenesisValidator{ID: chain.ValidatorID(n), Name: fmt.Sprintf("node%d", n), PublicKey: key.Public().Bytes(),
		Address: gethcrypto.PubkeyToAddress(voter(t, n).PublicKey), Endpoint: fmt.Sprintf("node%d.example:30301", n)}
}

func newBlockmaker(t *testing.T) *blockmaker {
	key, err := intl.Suite{}.GenerateKey(newDeterministic())
	require.NoError(t, err)
	g := testGenesis(t, key)
	g.Consensus.Engine, g.Consensus.BFT, g.Validators = chain.BFT, chain.DefaultBFTParams(), nil
	for n := uint64(1); n <= 4; n++ {
		g.Validators = append(g.Validators, voterEntry(t, n))
	}
	g.Alloc[govern.Address] = govern.Account(g)
	require.NoError(t, g.Validate())
	require.NoError(t, govern.Check(g))
	m := &blockmaker{t: t, fs: vfs.NewMem(), genesis: g, nonces: map[uint64]uint64{}}
	m.open()
	t.Cleanup(func() { require.NoError(t, m.st.Close()) })
	return m
}

func (m *blockmaker) open() {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.FS = "data", m.fs
	var err error
	m.st, err = store.Open(cfg, intl.Suite{})
	require.NoError(m.t, err)
	founding, err := m.st.Init(m.genesis)
	require.NoError(m.t, err)
	run := execute.DefaultConfig()
	run.ChainHash, err = chain.HeaderHash(intl.Suite{}, founding)
	require.NoError(m.t, err)
	m.executor, err = execute.New(run, m.genesis, intl.Suite{})
	require.NoError(m.t, err)
	m.sets, err = govern.NewTracker(m.genesis, intl.Suite{}, m.st)
	require.NoError(m.t, err)
	m.head = m.st.Head()
	m.recent = recentHashes{}
	require.NoError(m.t, m.recent.load(m.st, m.head.Number.Uint64()))
}

// restart loses what is executed and not durable, as a crash does, and executes it again from the stored decisions.
func (m *blockmaker) restart() {
	lost := m.executed
	m.executed = nil
	require.NoError(m.t, m.st.Close())
	m.open()
	for _, e := range lost {
		d, txs, err := m.st.Decision(e.Decision.Height)
		require.NoError(m.t, err)
		m.execute(d, txs)
		require.Equal(m.t, e.Block.Hash, m.head.Hash())
	}
}

func (m *blockmaker) call(from uint64, method string, args ...any) *chain.Tx {
	data, err := govern.ABI().Pack(method, args...)
	require.NoError(m.t, err)
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(m.genesis.ChainID))
	inner, err := types.SignNewTx(voter(m.t, from), signer, &types.LegacyTx{Nonce: m.nonces[from], To: &govern.Address, Gas: 5_000_000, GasPrice: new(big.Int), Data: data})
	require.NoError(m.t, err)
	m.nonces[from]++
	tx, err := chain.NewTx(inner)
	require.NoError(m.t, err)
	require.NoError(m.t, chain.NewVerifier(m.genesis).Verify(tx))
	return tx
}

// block decides and executes the next block; it lies in wait for commit.
func (m *blockmaker) block(txs ...*chain.Tx) *chain.Executed {
	height := m.head.Number.Uint64() + 1
	d := &chain.Decision{Height: height, Parent: m.decision, TimeMillis: m.genesis.TimeMillis + height, Proposer: 1, Txs: chain.Txs(txs).Hashes()}
	require.NoError(m.t, m.st.AppendDecision(context.Background(), d, txs))
	m.decision = d.Hash(intl.Suite{})
	e := m.execute(d, txs)
	for i, r := range e.Receipts {
		require.Equal(m.t, types.ReceiptStatusSuccessful, r.Status, "transaction %d of block %d", i, height)
	}
	return e
}

func (m *blockmaker) execute(d *chain.Decision, txs chain.Txs) *chain.Executed {
	ctx := context.Background()
	set, err := m.sets.At(ctx, d.Height)
	require.NoError(m.t, err)
	next, err := m.sets.At(ctx, d.Height+1)
	require.NoError(m.t, err)
	e, err := m.executor.Execute(ctx, execute.Input{Parent: m.head, Decision: d, Txs: txs, State: m.st.Tip(), Rule: set, Next: next,
		BlockHash: m.recent.hash}, m.st)
	require.NoError(m.t, err)
	e.Change, err = m.sets.Executed(d.Height, e.Writes, m.st.Tip())
	require.NoError(m.t, err)
	m.executed = append(m.executed, e)
	m.head = e.Block.Header
	m.recent.add(d.Height, e.Block.Hash)
	return e
}

// commit makes all but the last keep executed blocks durable.
func (m *blockmaker) commit(keep int) {
	for len(m.executed) > keep {
		require.NoError(m.t, m.st.Commit(context.Background(), m.executed[0], nil))
		m.executed = m.executed[1:]
	}
}

// story makes the membership change at blocks 5, 7 and 8: five join, five leave, six join.
func (m *blockmaker) story(height uint64) *chain.Executed {
	five, six := voterEntry(m.t, 5), voterEntry(m.t, 6)
	add := func(from uint64, v chain.GenesisValidator) *chain.Tx {
		return m.call(from, "proposeAdd", []byte(v.PublicKey), v.Address, v.Name, v.Endpoint)
	}
	switch height {
	case 3:
		return m.block(add(1, five))
	case 4:
		return m.block(m.call(2, "vote", uint64(1)))
	case 5:
		return m.block(m.call(3, "vote", uint64(1)))
	case 7: // of five four must agree; the one who leaves votes too
		return m.block(m.call(1, "proposeRemove", uint64(5)), m.call(2, "vote", uint64(2)), m.call(5, "vote", uint64(2)), m.call(3, "vote", uint64(2)))
	case 8:
		return m.block(add(4, six), m.call(1, "vote", uint64(3)), m.call(2, "vote", uint64(3)))
	}
	return m.block()
}

// rules is who attests height in that story.
func (m *blockmaker) rules(height uint64) *chain.Rule {
	return &chain.Rule{Engine: chain.BFT, Set: m.ruling(height)}
}

func (m *blockmaker) ruling(height uint64) chain.ValidatorSet {
	set := m.genesis.ValidatorSet()
	extra := func(n uint64, id chain.ValidatorID) chain.Validator {
		v := voterEntry(m.t, n)
		return chain.Validator{ID: id, PublicKey: v.PublicKey, Address: v.Address}
	}
	switch {
	case height >= 8+chain.ActivationDelay:
		return append(set, extra(6, 6))
	case height >= 7+chain.ActivationDelay:
		return set
	case height >= 5+chain.ActivationDelay:
		return append(set, extra(5, 5))
	}
	return set
}

// TestSetsRuleFromTheirHeightOn runs the story by the real executor and store: without restarts, with one after every block, and with blocks that
// are executed before the ones below are durable, with and without crashes that lose them. All four give the same chain, and every header names
// the sets of its height and of the next.
func TestSetsRuleFromTheirHeightOn(t *testing.T) {
	const top = 8 + chain.ActivationDelay + 4
	var reference []common.Hash
	for _, mode := range []struct {
		name    string
		behind  int
		restart bool
	}{{"straight", 0, false}, {"restarted after every block", 0, true}, {"durable two blocks later", 2, false}, {"losing two blocks each time", 2, true}} {
		t.Run(mode.name, func(t *testing.T) {
			m := newBlockmaker(t)
			var hashes []common.Hash
			for height := uint64(1); height <= top; height++ {
				e := m.story(height)
				hashes = append(hashes, e.Block.Hash)
				extra, err := chain.DecodeExtra(e.Block.Header.Extra)
				require.NoError(t, err)
				require.Equal(t, m.rules(height).Hash(intl.Suite{}), extra.Validators, "block %d", height)
				require.Equal(t, m.rules(height+1).Hash(intl.Suite{}), extra.Next, "block %d", height)
				require.Equal(t, height == 5 || height == 7 || height == 8, e.Change != nil, "block %d", height)
				m.commit(mode.behind)
				if mode.restart {
					m.restart()
				}
				for h := max(height, chain.ActivationDelay) - 1; h <= height+chain.ActivationDelay; h++ {
					require.Equal(t, m.rules(h), m.sets.Of(h), "set of height %d after block %d", h, height)
				}
				require.Nil(t, m.sets.Of(height+chain.ActivationDelay+1))
				require.Len(t, m.sets.Members(), len(m.ruling(height+chain.ActivationDelay)))
			}
			m.commit(0)
			require.NoError(t, m.st.Check(context.Background(), nil))
			changes, err := m.st.SetChanges(1, 10)
			require.NoError(t, err)
			require.Len(t, changes, 3)
			for _, c := range changes {
				require.Equal(t, m.rules(c.From), &c.Rule)
			}
			if reference == nil {
				reference = hashes
			}
			require.Equal(t, reference, hashes)
		})
	}
}
