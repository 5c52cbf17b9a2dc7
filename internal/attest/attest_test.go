package attest

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

var suite crypto.Suite = intl.Suite{}

type memory struct {
	mu      sync.Mutex
	own     map[uint64]*chain.Attestation
	certs   map[uint64]*chain.Certificate
	headers map[uint64]*chain.Header
	err     error
}

func newMemory() *memory {
	return &memory{own: map[uint64]*chain.Attestation{}, certs: map[uint64]*chain.Certificate{}, headers: map[uint64]*chain.Header{}}
}

func (m *memory) Certificate(height uint64) (*chain.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.certs[height], nil
}

func (m *memory) Header(height uint64) (*chain.Header, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.headers[height]; h != nil {
		return h, nil
	}
	return nil, errors.New("unknown block")
}

func (m *memory) Attestation(height uint64) (*chain.Attestation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.own[height], nil
}

func (m *memory) PutCertificate(c *chain.Certificate) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.certs[c.Height] = c
	return nil
}

type network struct {
	keys []crypto.PrivateKey
	set  chain.ValidatorSet
}

func newNetwork(t testing.TB, n int) *network {
	w := new(network)
	for i := range n {
		key, err := suite.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{byte(i + 1)}, 64)))
		require.NoError(t, err)
		w.keys = append(w.keys, key)
		w.set = append(w.set, chain.Validator{ID: chain.ValidatorID(i + 1), PublicKey: key.Public().Bytes(), Address: common.Address{byte(i + 1)}})
	}
	return w
}

// rule is solo's for one validator, bft's for more.
func (w *network) rule() *chain.Rule {
	if len(w.set) == 1 {
		return &chain.Rule{Engine: chain.Solo, Set: w.set}
	}
	return &chain.Rule{Engine: chain.BFT, Set: w.set}
}

var genesis = suite.Sum([]byte("genesis"))

func (w *network) attester(i int) (*Attester, *memory) {
	m := newMemory()
	var key crypto.PrivateKey
	if i >= 0 {
		key = w.keys[i]
	}
	return New(Config{Suite: suite, Genesis: genesis, Key: key, Rule: func(uint64) *chain.Rule { return w.rule() }, Store: m}), m
}

func header(height int64, extra string) *chain.Header {
	return &chain.Header{Number: big.NewInt(height), Difficulty: new(big.Int), Extra: []byte(extra)}
}

func hashOf(t *testing.T, h *chain.Header) crypto.Hash {
	out, err := chain.HeaderHash(suite, h)
	require.NoError(t, err)
	return out
}

// run starts Run and returns a function that stops it and gives its error.
func run(t *testing.T, a *Attester) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestSingleSignerFinalizesAtOnce(t *testing.T) {
	w := newNetwork(t, 1)
	a, m := w.attester(0)
	stop := run(t, a)
	for height := int64(1); height <= 3; height++ {
		moved := a.Moved()
		h := header(height, "ours")
		own, err := a.Own(h)
		require.NoError(t, err)
		require.NoError(t, a.Executed(h, own))
		<-moved
		require.EqualValues(t, height, a.Finalized())
		c := m.certs[uint64(height)]
		require.NoError(t, c.Verify(suite, genesis, w.set, 1))
		require.Equal(t, h.Hash(), c.Block)
	}
	require.NoError(t, stop())
}

func TestQuorumGathersBeforeAndAfterExecution(t *testing.T) {
	w := newNetwork(t, 4)
	a, m := w.attester(0)
	stop := run(t, a)
	h := header(1, "ours")
	at := hashOf(t, h)
	for i := 1; i < 3; i++ { // two peers are ahead of us
		peer, _ := w.attester(i)
		att, err := peer.Own(h)
		require.NoError(t, err)
		require.NoError(t, a.Handle(1, at, att))
		require.NoError(t, a.Handle(1, at, att), "a repeated attestation is no error")
	}
	require.Zero(t, a.Finalized(), "nothing is final before we executed it ourselves")
	moved := a.Moved()
	own, err := a.Own(h)
	require.NoError(t, err)
	require.NoError(t, a.Executed(h, own))
	<-moved
	require.Len(t, m.certs[1].Attestations, 3)
	require.NoError(t, m.certs[1].Verify(suite, genesis, w.set, 3))
	require.NoError(t, stop())
}

func TestDivergenceHalts(t *testing.T) {
	w := newNetwork(t, 4)
	a, m := w.attester(0)
	theirs := header(1, "theirs")
	for i := 1; i < 4; i++ {
		peer, _ := w.attester(i)
		att, err := peer.Own(theirs)
		require.NoError(t, err)
		require.NoError(t, a.Handle(1, hashOf(t, theirs), att))
	}
	ours := header(1, "ours")
	own, err := a.Own(ours)
	require.NoError(t, err)
	require.NoError(t, a.Executed(ours, own))
	err = a.Run(context.Background())
	require.ErrorIs(t, err, ErrDivergence)
	require.ErrorContains(t, err, hashOf(t, ours).String())
	require.ErrorContains(t, err, hashOf(t, theirs).String())
	require.Empty(t, m.certs)
}

// TestSignsWhereItMay: a validator that may have forgotten what it signed signs nothing, and gathers all the same.
func TestSignsWhereItMay(t *testing.T) {
	w := newNetwork(t, 1)
	a, _ := w.attester(0)
	from := uint64(6)
	a.cfg.May = func(height uint64) bool { return height >= from }
	own, err := a.Own(header(5, "first"))
	require.NoError(t, err)
	require.Nil(t, own)
	require.NoError(t, a.Executed(header(5, "first"), own))
	own, err = a.Own(header(6, "first"))
	require.NoError(t, err)
	require.NotNil(t, own)
}

func TestNeverSignsTwiceAtAHeight(t *testing.T) {
	w := newNetwork(t, 1)
	a, m := w.attester(0)
	own, err := a.Own(header(5, "first"))
	require.NoError(t, err)
	m.own[5] = own // stored with the block, then the node restarts
	again, _ := w.attester(0)
	again.cfg.Store = m
	same, err := again.Own(header(5, "first"))
	require.NoError(t, err)
	require.Equal(t, own, same)
	_, err = again.Own(header(5, "second"))
	require.ErrorIs(t, err, ErrDoubleSign)
}

func TestRefuses(t *testing.T) {
	w := newNetwork(t, 4)
	a, _ := w.attester(0)
	h := header(1, "x")
	peer, _ := w.attester(1)
	good, err := peer.Own(h)
	require.NoError(t, err)

	require.ErrorIs(t, a.Handle(1, hashOf(t, h), &chain.Attestation{Validator: 9, Signature: good.Signature}), ErrMember)
	require.ErrorIs(t, a.Handle(1, hashOf(t, h), &chain.Attestation{Validator: 3, Signature: good.Signature}), crypto.ErrSignature)
	require.ErrorIs(t, a.Handle(2, hashOf(t, h), good), crypto.ErrSignature, "a signature is for one height")
	require.ErrorIs(t, a.Handle(Window+1, hashOf(t, h), good), ErrWindow)
	require.Empty(t, a.heights, "what is refused is not kept")

	require.NoError(t, a.Handle(1, hashOf(t, h), good))
	other := header(1, "y")
	second, err := peer.Own(other)
	require.NoError(t, err)
	require.ErrorIs(t, a.Handle(1, hashOf(t, other), second), ErrEquivocation)
	require.NoError(t, a.Handle(1, hashOf(t, other), second), "accused once")
	evidence := a.Evidence()
	require.Len(t, evidence, 1)
	require.NoError(t, evidence[0].Verify(suite, genesis, w.set))
}

func TestFollowerSignsNothing(t *testing.T) {
	w := newNetwork(t, 1)
	a, _ := w.attester(-1)
	own, err := a.Own(header(1, "x"))
	require.NoError(t, err)
	require.Nil(t, own)
}

func TestStorageErrorEndsRun(t *testing.T) {
	w := newNetwork(t, 1)
	a, m := w.attester(0)
	m.err = errors.New("disk on fire")
	h := header(1, "x")
	own, err := a.Own(h)
	require.NoError(t, err)
	require.NoError(t, a.Executed(h, own))
	require.ErrorIs(t, a.Run(context.Background()), m.err)
	require.Zero(t, a.Finalized())
}
