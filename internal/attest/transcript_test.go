package attest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// world is attesters that are driven by hand, without goroutines or a clock: messages lie in a heap until they are delivered, lost or doubled.
type world struct {
	t       require.TestingT
	rng     *rand.Rand
	keys    *network
	nodes   []*member
	packets []packet
	// verified saves the tests from verifying a stored certificate again and again.
	verified map[*chain.Certificate]bool
	// set is the validator set of a height.
	set func(height uint64) chain.ValidatorSet
	// lost says how many of a hundred messages are lost.
	lost int
}

type packet struct {
	from, to int
	msg      []byte
}

// member is one node. A liar has no attester: it says what it likes.
type member struct {
	w        *world
	id       int
	liar     bool
	extra    string // what its blocks say; honest nodes agree
	attester *Attester
	store    *memory
	executed uint64
	halted   error
	refused  []error
}

func (m *member) peer() chain.Peer { return chain.Peer(m.w.keys.set[m.id].PublicKey) }

func (m *member) Send(to chain.Peer, msg []byte) {
	for i, n := range m.w.nodes {
		if n.peer() == to {
			m.w.packets = append(m.w.packets, packet{m.id, i, msg})
		}
	}
}

func (m *member) Broadcast(msg []byte) {
	for _, n := range m.w.nodes {
		if n != m {
			m.Send(n.peer(), msg)
		}
	}
}

func (m *member) Connected() (out []chain.Peer) {
	for _, n := range m.w.nodes {
		if n != m {
			out = append(out, n.peer())
		}
	}
	return out
}

// knownAhead is how far above its own blocks a node knows the validator sets.
const knownAhead = 12

func bft(n int) int { return chain.BFT.Quorum(n) }

func newWorld(t *testing.T, tr require.TestingT, n, liars int, seed uint64) *world {
	w := &world{t: tr, rng: rand.New(rand.NewPCG(seed, 9)), keys: newNetwork(t, n), verified: map[*chain.Certificate]bool{}}
	w.set = func(uint64) chain.ValidatorSet { return w.keys.set }
	for i := range n {
		m := &member{w: w, id: i, liar: i < liars, store: newMemory(), extra: "same"}
		m.store.headers[0] = header(0, "genesis")
		w.nodes = append(w.nodes, m)
		if !m.liar {
			m.start()
		}
	}
	return w
}

// start begins, or begins again, from what is stored.
func (m *member) start() {
	finalized := uint64(0)
	for h := range m.store.certs {
		finalized = max(finalized, h)
	}
	m.attester = New(Config{Suite: suite, Genesis: genesis, Key: m.w.keys.keys[m.id], Store: m.store,
		Finalized: finalized, Network: m, Refused: func(_ chain.Peer, err error) { m.refused = append(m.refused, err) },
		Rule: func(height uint64) *chain.Rule {
			if height > m.executed+knownAhead {
				return nil
			}
			return &chain.Rule{Engine: chain.BFT, Set: m.w.set(height)}
		}})
	for h := finalized + 1; h <= m.executed; h++ {
		require.NoError(m.w.t, m.attester.Executed(m.store.headers[h], m.store.own[h]))
	}
	m.settle()
}

// settle lets the attester do all that it can.
func (m *member) settle() {
	for _, r := range m.attester.inbox.take() {
		m.attester.verify(&r)
	}
	if err := m.attester.store(context.Background()); err != nil && m.halted == nil {
		m.halted = err
	}
}

// execute makes the next block.
func (m *member) execute() {
	if m.halted != nil || m.attester.Backlog() >= MaxBacklog {
		return
	}
	h := header(int64(m.executed+1), m.extra)
	own, err := m.attester.Own(h)
	require.NoError(m.w.t, err)
	m.executed++
	m.store.headers[m.executed] = h
	if own != nil {
		m.store.own[m.executed] = own
	}
	require.NoError(m.w.t, m.attester.Executed(h, own))
	m.settle()
}

// restart loses what was not durable: the last certificates.
func (m *member) restart() {
	top := m.attester.Finalized()
	for h := top; h > 0 && h+2 > top && m.w.rng.IntN(2) == 0; h-- {
		delete(m.store.certs, h)
	}
	m.start()
}

func (m *member) tick() {
	m.attester.repeat()
	m.settle()
}

// deliver hands over the packet at i.
func (w *world) deliver(i int) {
	p := w.packets[i]
	w.packets[i] = w.packets[len(w.packets)-1]
	w.packets = w.packets[:len(w.packets)-1]
	if w.rng.IntN(100) < w.lost {
		return
	}
	if w.lost > 0 && w.rng.IntN(5) == 0 {
		w.packets = append(w.packets, p)
	}
	to := w.nodes[p.to]
	if to.liar || to.halted != nil {
		return
	}
	err := to.attester.Receive(w.nodes[p.from].peer(), slices.Clone(p.msg))
	if err != nil {
		require.ErrorIs(w.t, err, ErrMessage)
		require.True(w.t, w.nodes[p.from].liar, "an honest node's message is refused: %v", err)
	}
	to.settle()
}

func (w *world) sign(i int, height uint64, h crypto.Hash) chain.Attestation {
	sig, err := w.keys.keys[i].Sign(chain.AttestationMessage(genesis, height, h))
	require.NoError(w.t, err)
	return chain.Attestation{Validator: w.keys.set[i].ID, Signature: sig}
}

// lie sends something wrong to somebody.
func (m *member) lie() {
	w := m.w
	height := uint64(1 + w.rng.IntN(int(w.top())+3))
	if w.rng.IntN(20) == 0 {
		height = w.rng.Uint64()
	}
	forged := suite.Sum([]byte(fmt.Sprint("forged", height, w.rng.IntN(2))))
	honest, err := chain.HeaderHash(suite, header(int64(height&0xffff), "same"))
	require.NoError(w.t, err)
	h := []crypto.Hash{forged, honest}[w.rng.IntN(2)]
	att := w.sign(m.id, height, h)
	msg := new(message)
	switch w.rng.IntN(7) {
	case 0: // a header of its own, or the right one
		msg.Signed = []signed{{height, h, att}}
	case 1: // another's name
		att.Validator = w.keys.set[w.rng.IntN(len(w.keys.set))].ID
		msg.Signed = []signed{{height, h, att}}
	case 2: // nobody's name
		att.Validator = 1000
		msg.Signed = []signed{{height, h, att}}
	case 3: // all liars together, in one certificate, padded with forgeries
		c := chain.Certificate{Height: height, Header: forged}
		for i, n := range w.nodes {
			if n.liar || w.rng.IntN(2) == 0 {
				a := w.sign(m.id, height, forged)
				if n.liar {
					a = w.sign(i, height, forged)
				}
				a.Validator = w.keys.set[i].ID
				c.Attestations = append(c.Attestations, a)
			}
		}
		msg.Certificates = []chain.Certificate{c}
	case 4: // a true certificate with another block hash
		for _, n := range w.nodes {
			if c := n.store.certs[height]; c != nil {
				lie := *c
				lie.Block[0]++
				msg.Certificates = append(msg.Certificates, lie)
				break
			}
		}
	case 5:
		msg.Lacks = height
	default:
		b := make([]byte, w.rng.IntN(40))
		for i := range b {
			b[i] = byte(w.rng.Uint32())
		}
		m.Broadcast(b)
		return
	}
	m.Broadcast(encodeMessage(msg))
}

func (w *world) top() (top uint64) {
	for _, n := range w.nodes {
		top = max(top, n.executed)
	}
	return top
}

// invariants: one header is certified at a height, by members, whatever the liars do.
func (w *world) invariants() {
	headers := map[uint64]crypto.Hash{}
	for _, n := range w.nodes {
		if n.liar {
			continue
		}
		finalized := n.attester.Finalized()
		require.LessOrEqual(w.t, finalized, n.executed)
		for h, c := range n.store.certs {
			if other, ok := headers[h]; ok {
				require.Equal(w.t, other, c.Header, "two certificates at height %d", h)
			}
			headers[h] = c.Header
			require.Equal(w.t, n.store.headers[h].Hash(), c.Block)
			if !w.verified[c] {
				require.NoError(w.t, c.Verify(suite, genesis, w.set(h), bft(len(w.set(h)))))
				w.verified[c] = true
			}
		}
		require.LessOrEqual(w.t, len(n.attester.heights), MaxBacklog+Window)
		for _, e := range n.attester.Evidence() {
			require.NoError(w.t, e.Verify(suite, genesis, w.set(e.Height)))
			require.LessOrEqual(w.t, int(e.Validator), w.liars(), "an honest validator is accused")
		}
	}
}

func (w *world) liars() (n int) {
	for _, m := range w.nodes {
		if m.liar {
			n++
		}
	}
	return n
}

// calm ends the faults: everybody executes what there is and all messages arrive. Then all must be final within a few ticks.
func (w *world) calm() {
	w.lost = 0
	top := w.top()
	for _, n := range w.nodes {
		for !n.liar && n.halted == nil && n.executed < top {
			n.execute()
		}
	}
	done := func() bool {
		for _, n := range w.nodes {
			if !n.liar && n.halted == nil && n.attester.Finalized() < top {
				return false
			}
		}
		return true
	}
	for round := 0; !done(); round++ {
		require.Less(w.t, round, 8+int(top)/maxSigned, "not final after the faults ended")
		for len(w.packets) > 0 {
			w.deliver(len(w.packets) - 1)
		}
		for _, n := range w.nodes {
			if !n.liar && n.halted == nil {
				n.tick()
			}
		}
	}
}

// storm does random things.
func (w *world) storm(steps int) {
	for range steps {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		switch r := w.rng.IntN(100); {
		case r < 60 && len(w.packets) > 0:
			w.deliver(w.rng.IntN(len(w.packets)))
		case n.liar:
			n.lie()
		case n.halted != nil:
		case r < 85:
			if n.executed < w.top()+1 && n.executed < 60 && n.executed < w.slowest()+40 {
				n.execute()
			}
		case r < 95:
			n.tick()
		case r < 97:
			n.attester.Joined(w.nodes[w.rng.IntN(len(w.nodes))].peer())
		case r < 99:
			n.restart()
		}
	}
	w.invariants()
}

func (w *world) slowest() uint64 {
	low := uint64(1 << 62)
	for _, n := range w.nodes {
		if !n.liar && n.halted == nil {
			low = min(low, n.executed)
		}
	}
	return low
}

func TestOneCertificateAtAHeight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(4, 7).Draw(rt, "validators")
		w := newWorld(t, rt, n, rapid.IntRange(0, chain.BFT.Faulty(n)).Draw(rt, "liars"), rapid.Uint64().Draw(rt, "seed"))
		w.lost = rapid.SampledFrom([]int{0, 10, 60}).Draw(rt, "lost")
		for range 4 {
			w.storm(120)
		}
		w.calm()
		w.invariants()
		for _, m := range w.nodes {
			require.NoError(rt, m.halted)
		}
	})
}

// TestChangingSets: every five heights another set rules, and who is out gathers all the same.
func TestChangingSets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt, 7, 1, rapid.Uint64().Draw(rt, "seed"))
		salt := rapid.Uint64().Draw(rt, "sets")
		w.set = func(height uint64) chain.ValidatorSet {
			rng := rand.New(rand.NewPCG(salt, height/5))
			set := slices.Clone(w.keys.set)
			for size := 4 + rng.IntN(4); len(set) > size; {
				at := 1 + rng.IntN(len(set)-1) // the liar stays: one of four may lie
				set = slices.Delete(set, at, at+1)
			}
			return set
		}
		w.lost = 20
		w.storm(300)
		w.calm()
		w.invariants()
		for _, m := range w.nodes {
			require.NoError(rt, m.halted)
		}
	})
}

// TestSickNodeHalts: a node that executes something else halts, never certifies its own, and the others go on.
func TestSickNodeHalts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(4, 7).Draw(rt, "validators")
		w := newWorld(t, rt, n, chain.BFT.Faulty(n)-1, rapid.Uint64().Draw(rt, "seed"))
		sick := w.nodes[n-1]
		sick.extra = "sick"
		w.lost = 20
		w.storm(300)
		for w.top() < 2 {
			w.nodes[n-2].execute()
		}
		w.calm()
		require.ErrorIs(rt, sick.halted, ErrDivergence)
		require.Empty(rt, sick.store.certs)
		d := new(Divergence)
		require.True(rt, errors.As(sick.halted, &d))
		require.Equal(rt, hashOf(t, header(int64(d.Height), "sick")), d.Ours)
		require.Equal(rt, hashOf(t, header(int64(d.Height), "same")), d.Theirs)
		for _, m := range w.nodes[:n-1] {
			require.True(rt, m.liar || m.halted == nil)
			require.True(rt, m.liar || m.attester.Finalized() == w.top())
		}
	})
}

// TestLateJoinerIsToldWhatItMissed: a node that was away while all was certified asks and gets the certificates.
func TestLateJoinerIsToldWhatItMissed(t *testing.T) {
	w := newWorld(t, t, 4, 0, 1)
	late := w.nodes[3]
	for range 40 {
		for _, m := range w.nodes[:3] {
			m.execute()
		}
		for len(w.packets) > 0 {
			if p := &w.packets[len(w.packets)-1]; p.to == 3 {
				p.msg = encodeMessage(new(message)) // lost
			}
			w.deliver(len(w.packets) - 1)
		}
	}
	require.EqualValues(t, 40, w.nodes[0].attester.Finalized())
	require.Zero(t, late.attester.Finalized())
	w.calm()
	require.EqualValues(t, 40, late.attester.Finalized())
	require.Len(t, late.store.certs, 40, "no height is left out")
	require.Empty(t, late.refused)
}
