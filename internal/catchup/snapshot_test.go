package catchup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The state of these tests is made of stateParts chunks and stateCodeCount codes that follow from the block's hash.
const (
	stateParts     = 48
	stateCodeCount = 90
)

func statePart(i int) chain.StateRange {
	return chain.StateRange{Owner: common.Hash{31: byte(i % 3)}, From: common.Hash{byte(i)}, To: common.Hash{byte(i), 0xff}}
}

func chunkOf(h *chain.Header, r chain.StateRange) []byte {
	sum := suite.Sum(h.Hash().Bytes(), r.Owner[:], r.From[:], r.To[:])
	return sum[:]
}

func codeOf(h *chain.Header, i int) []byte { return append(h.Hash().Bytes(), byte(i)) }

func codeHash(code []byte) common.Hash { return common.Hash(suite.Sum(code)) }

// states serves what a node of a history holds.
type states struct {
	nd *node

	mu        sync.Mutex
	held      map[uint64]bool
	unsettled bool
}

func (s *states) HoldState(height uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nd.ledger.mu.Lock()
	head := uint64(s.nd.ledger.height)
	s.nd.ledger.mu.Unlock()
	if s.held[height] {
		return nil
	}
	if height < head || height > head+256 || len(s.held) >= 2 {
		return errors.New("cannot be held")
	}
	if s.held == nil {
		s.held = make(map[uint64]bool)
	}
	s.held[height] = true
	return nil
}

func (s *states) HeldStates() (out []chain.HeldState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nd.ledger.mu.Lock()
	head := uint64(s.nd.ledger.height)
	s.nd.ledger.mu.Unlock()
	for h := range s.held {
		out = append(out, chain.HeldState{Height: h, Ready: h <= head, Left: time.Minute})
	}
	return out
}

func (s *states) ready(height uint64) (*chain.Header, error) {
	for _, h := range s.HeldStates() {
		if h.Height == height && h.Ready {
			return s.nd.ledger.Header(height)
		}
	}
	return nil, errors.New("not held")
}

func (s *states) StateChunk(_ context.Context, height uint64, r chain.StateRange, _ int) ([]byte, error) {
	h, err := s.ready(height)
	if err != nil {
		return nil, err
	}
	return chunkOf(h, r), nil
}

func (s *states) StateCodes(hashes []common.Hash) (out [][]byte, err error) {
	for _, held := range s.HeldStates() {
		h, err := s.nd.ledger.Header(held.Height)
		if err != nil {
			continue
		}
		for i := range stateCodeCount {
			if code := codeOf(h, i); len(out) < len(hashes) && codeHash(code) == hashes[len(out)] {
				out = append(out, code)
			}
		}
	}
	return out[:(len(out)+1)/2], nil // as many as fit
}

func (s *states) Settled(uint64) (bool, error) { return !s.unsettled, nil }

func (s *states) Exclusions(uint64) ([]chain.Exclusion, error) { return nil, nil }

func (s *states) RuleAt(h uint64) (*chain.Rule, error) { return s.nd.x.rule(h), nil }

func (s *states) SetChanges(from uint64, _ int) ([]chain.SetChange, error) {
	if from > changeAt {
		return nil, nil
	}
	return []chain.SetChange{{From: changeAt, Rule: *s.nd.x.rule(changeAt)}}, nil
}

// folder is the empty ledger of a joining node. It keeps an import across calls of Join.
type folder struct {
	mu        sync.Mutex
	header    *chain.Header
	open      map[chain.StateRange]bool
	codes     map[common.Hash]bool
	begun     int
	added     int
	unsettled bool
	tail      *chain.StateTail
	broken    error
}

func (f *folder) Importing() (*chain.Header, error) { return f.header, nil }

func (f *folder) Begin(h *chain.Header) (Import, error) {
	if f.header == nil || f.header.Hash() != h.Hash() {
		f.header, f.open, f.codes = h, make(map[chain.StateRange]bool), make(map[common.Hash]bool)
		f.begun++
		for i := range stateParts {
			f.open[statePart(i)] = true
		}
		for i := range stateCodeCount {
			f.codes[codeHash(codeOf(h, i))] = true
		}
	}
	return f, nil
}

func (f *folder) Settled(chain.State, uint64) (bool, error) { return !f.unsettled, nil }

func (f *folder) Open(limit int) (out []chain.StateRange, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 0; i < stateParts && len(out) < limit; i++ {
		if r := statePart(i); f.open[r] {
			out = append(out, r)
		}
	}
	return out, nil
}

func (f *folder) Codes(limit int) (out []common.Hash, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 0; i < stateCodeCount && len(out) < limit; i++ {
		if h := codeHash(codeOf(f.header, i)); f.codes[h] {
			out = append(out, h)
		}
	}
	return out, nil
}

func (f *folder) Add(_ context.Context, r chain.StateRange, chunk []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	if !bytes.Equal(chunk, chunkOf(f.header, r)) {
		return fmt.Errorf("%w: altered", chain.ErrStateChunk)
	}
	f.added++
	delete(f.open, r)
	return nil
}

func (f *folder) AddCodes(codes [][]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, code := range codes {
		if !f.codes[codeHash(code)] {
			return fmt.Errorf("%w: nobody wants it", chain.ErrStateChunk)
		}
	}
	for _, code := range codes {
		delete(f.codes, codeHash(code))
	}
	return nil
}

func (f *folder) State() chain.State { return nil }

func (f *folder) Finish(t *chain.StateTail) error {
	if len(f.open)+len(f.codes) > 0 {
		return errors.New("not complete")
	}
	f.tail = t
	return nil
}

// joiners makes a network of peers at a height, and a node without blocks.
func joiners(t *testing.T, x *history, peers, height int) (*network, []*node, *node) {
	n := newNetwork(t)
	var holders []*node
	for range peers {
		nd := n.add(x, height, time.Millisecond)
		nd.deps.States = &states{nd: nd}
		holders = append(holders, nd)
	}
	me := n.add(x, 0, time.Millisecond)
	me.deps.Pool = noPool{} // as in a node that has nothing yet
	me.cfg.SnapshotThreshold = uint64(height)
	return n, holders, me
}

// grow lets the peers' chain go on by a block every so often.
func (n *network) grow(x *history, nodes []*node, every time.Duration) {
	n.running.Go(func() {
		for height := nodes[0].ledger.height + 1; height <= len(x.blocks); height++ {
			select {
			case <-n.ctx.Done():
				return
			case <-time.After(every):
			}
			for _, nd := range nodes {
				nd.ledger.mu.Lock()
				nd.ledger.blocks, nd.ledger.height, nd.ledger.finalized = x.blocks[:height], height, height
				nd.ledger.mu.Unlock()
				nd.SetHeight(uint64(height))
				nd.SetExecuted(uint64(height))
				nd.SetFinalized(uint64(height))
			}
		}
	})
}

func (f *folder) joined(t *testing.T, x *history) uint64 {
	t.Helper()
	require.NotNil(t, f.tail)
	height := f.tail.Decision.Height
	require.Equal(t, x.blocks[height-1].header.Hash(), f.header.Hash())
	require.Equal(t, x.blocks[height-1].hash, f.tail.Decision.Hash(suite))
	require.Len(t, f.tail.Txs, len(x.blocks[height-1].txs))
	require.Equal(t, *x.rule(height), f.tail.Rule)
	require.Equal(t, *x.rule(height + 1), f.tail.Next)
	require.Len(t, f.tail.Ancestors, int(min(height-1, chain.AncestorHeaders)))
	return height
}

func TestJoinAnIdleChain(t *testing.T) {
	x := newHistory(t, "chain", 100, small)
	synctest.Test(t, func(t *testing.T) {
		n, holders, me := joiners(t, x, 4, 100)
		require.False(t, me.FarBehind())
		n.start()
		require.True(t, me.FarBehind())
		require.False(t, holders[0].FarBehind())
		f := new(folder)
		require.NoError(t, me.Join(n.ctx, f))
		require.EqualValues(t, 100, f.joined(t, x), "the head's state, since there comes no other")
		require.Equal(t, stateParts, f.added, "nothing is fetched twice")
		require.Len(t, me.asked, 4)
		for id, times := range me.asked {
			require.Greater(t, times, stateParts/8, "%s had its part", id)
		}
		require.Empty(t, me.reports)
		me.cfg.SnapshotThreshold = 0
		require.False(t, me.FarBehind())
	})
}

func TestJoinAChainThatMoves(t *testing.T) {
	x := newHistory(t, "chain", 300, small)
	synctest.Test(t, func(t *testing.T) {
		n, holders, me := joiners(t, x, 3, 60)
		n.start()
		n.grow(x, holders, 50*time.Millisecond)
		f := new(folder)
		require.NoError(t, me.Join(n.ctx, f))
		height := f.joined(t, x)
		require.GreaterOrEqual(t, height, uint64(60+holdAhead))
		require.Less(t, height, uint64(150))
		require.Empty(t, me.reports)
	})
}

func TestBestOfferedState(t *testing.T) {
	state := func(height uint64, ready bool, left time.Duration) chain.HeldState {
		return chain.HeldState{Height: height, Ready: ready, Left: left}
	}
	offers := []offer{
		{"a", 100, []chain.HeldState{state(70, true, time.Hour), state(90, true, time.Minute)}},
		{"b", 100, []chain.HeldState{state(80, true, time.Hour), state(90, true, time.Minute)}},
		{"c", 100, []chain.HeldState{state(80, true, time.Hour), state(120, false, time.Hour)}},
	}
	for _, c := range []struct {
		want    uint64
		least   time.Duration
		height  uint64
		holders []chain.Peer
	}{
		{0, holdLeast, 80, []chain.Peer{"b", "c"}}, {70, holdLeast, 70, []chain.Peer{"a"}}, {90, holdLeast, 90, []chain.Peer{"a", "b"}},
		{0, time.Second, 90, []chain.Peer{"a", "b"}}, {120, holdLeast, 80, []chain.Peer{"b", "c"}}, {0, 2 * time.Hour, 0, nil},
	} {
		height, holders := best(offers, c.want, c.least)
		require.Equal(t, c.height, height)
		require.Equal(t, c.holders, holders)
	}
}

func TestJoinBeforeTheFirstChangeOfValidators(t *testing.T) {
	x := newHistory(t, "chain", changeAt-1, small)
	synctest.Test(t, func(t *testing.T) {
		n, _, me := joiners(t, x, 1, changeAt-1)
		n.start()
		f := new(folder)
		require.NoError(t, me.Join(n.ctx, f))
		require.EqualValues(t, changeAt-1, f.joined(t, x), "the next set is known, the walk has no step")
	})
}

func TestJoinRefusesLies(t *testing.T) {
	x := newHistory(t, "chain", 100, small)
	forged := newHistory(t, "chain", 100, func(int) (int, int) { return 1, 5 }) // another chain of the same validators' keys but fewer signatures
	for _, b := range forged.blocks {
		forged.certify(t, b, 2)
	}
	other := newHistory(t, "other", 100, small)
	// answer replaces the answers to requests of one kind.
	answer := func(kind byte, with func(q *stateRequest, honest []byte) []byte) func(nd *node) {
		return func(nd *node) {
			nd.serveState = func(ctx context.Context, req []byte) ([]byte, error) {
				b, err := nd.ServeSnapshot(ctx, "me", req)
				if q, _ := decodeStateRequest(req); err == nil && q.kind == kind {
					return with(q, b), nil
				}
				return b, err
			}
		}
	}
	manifestOf := func(change func(m *manifest)) func(*node) {
		return answer(stateManifest, func(q *stateRequest, b []byte) []byte {
			m, err := decodeManifest(b, q.height)
			require.NoError(t, err)
			change(m)
			b, err = rlp.EncodeToBytes(m)
			require.NoError(t, err)
			return b
		})
	}
	handoversOf := func(change func(h []handover) []handover) func(*node) {
		return answer(stateHandovers, func(_ *stateRequest, b []byte) []byte {
			h, err := decodeHandovers(b)
			require.NoError(t, err)
			b, err = rlp.EncodeToBytes(change(h))
			require.NoError(t, err)
			return b
		})
	}
	garbage := func(*stateRequest, []byte) []byte { return []byte("garbage") }
	for name, c := range map[string]lieCase{
		"garbage of what is held": {answer(stateHold, garbage), misbehaviour},
		"garbage for a manifest":  {answer(stateManifest, garbage), misbehaviour},
		"garbage for handovers":   {answer(stateHandovers, garbage), misbehaviour},
		"garbage for codes":       {answer(stateCodes, garbage), misbehaviour},
		"garbage for a chunk":     {answer(stateChunk, garbage), attack},
		"nothing for a chunk":     {answer(stateChunk, func(*stateRequest, []byte) []byte { return nil }), attack},
		"too long":                {answer(stateChunk, func(*stateRequest, []byte) []byte { return make([]byte, MaxSnapshotResponse+1) }), misbehaviour},
		"another range's chunk": {answer(stateChunk, func(_ *stateRequest, _ []byte) []byte {
			return chunkOf(x.blocks[99].header, chain.StateRange{From: common.Hash{0xee}})
		}), attack},
		"codes that nobody asked for": {answer(stateCodes, func(*stateRequest, []byte) []byte {
			b, _ := rlp.EncodeToBytes([][]byte{[]byte("virus")})
			return b
		}), attack},
		"more codes than asked for": {answer(stateCodes, func(*stateRequest, []byte) []byte {
			b, _ := rlp.EncodeToBytes(make([][]byte, maxCodes+1))
			return b
		}), misbehaviour},
		"header altered":      {manifestOf(func(m *manifest) { m.Header.Root[0]++ }), attack},
		"header of its own":   {manifestOf(func(m *manifest) { m.Header, m.Certificate = forged.blocks[99].header, *forged.blocks[99].certificate }), attack},
		"another chain's":     {manifestOf(func(m *manifest) { m.Header, m.Certificate = other.blocks[99].header, *other.blocks[99].certificate }), attack},
		"another height":      {manifestOf(func(m *manifest) { m.Header, m.Certificate = x.blocks[98].header, *x.blocks[98].certificate }), misbehaviour},
		"set of its own":      {manifestOf(func(m *manifest) { m.Rule.Set = m.Rule.Set[:3] }), attack},
		"next set of its own": {manifestOf(func(m *manifest) { m.Next.Set = m.Next.Set[:3] }), attack},
		"certificate unsorted": {manifestOf(func(m *manifest) {
			slices.Reverse(m.Certificate.Attestations)
		}), misbehaviour},
		"handover to a set of its own": {handoversOf(func(h []handover) []handover {
			for i := range h {
				h[i].Rule.Set = h[i].Rule.Set[:1]
			}
			return h
		}), attack},
		"handover with too few signatures": {handoversOf(func(h []handover) []handover {
			for i := range h {
				h[i].Certificate.Attestations = h[i].Certificate.Attestations[:2]
			}
			return h
		}), attack},
		"engine of its own": {manifestOf(func(m *manifest) { m.Rule.Engine = chain.Raft }), attack},
		"handover to another engine": {handoversOf(func(h []handover) []handover {
			for i := range h {
				h[i].Rule.Engine = chain.Raft
			}
			return h
		}), attack},
		"handover left out": {handoversOf(func([]handover) []handover { return nil }), attack},
		"handovers for ever": {handoversOf(func(h []handover) []handover {
			return []handover{{x.blocks[changeAt-2].header, *x.blocks[changeAt-2].certificate, *x.rule(changeAt)}}
		}), misbehaviour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, holders, me := joiners(t, x, 3, 100)
				c.how(holders[0])
				n.start()
				f := new(folder)
				require.NoError(t, me.Join(n.ctx, f))
				require.EqualValues(t, 100, f.joined(t, x))
				require.Equal(t, c.offence, me.reported(holders[0]), "%v", me.why)
				require.Zero(t, me.reported(holders[1])+me.reported(holders[2]), "honest peers: %v", me.why)
				require.Equal(t, 1, f.begun)
			})
		})
	}
}

func TestJoinGoesOn(t *testing.T) {
	x := newHistory(t, "chain", 200, small)
	synctest.Test(t, func(t *testing.T) {
		n, holders, me := joiners(t, x, 2, 100)
		n.start()
		f := new(folder)
		ctx, cancel := context.WithCancel(n.ctx)
		defer cancel()
		for _, h := range holders {
			h.serveState = func(c context.Context, req []byte) ([]byte, error) {
				if q, _ := decodeStateRequest(req); q.kind == stateChunk && q.r.From[0] == 20 {
					cancel() // the node dies on the way
				}
				return h.ServeSnapshot(c, "me", req)
			}
		}
		require.ErrorIs(t, me.Join(ctx, f), context.Canceled)
		before := f.added
		require.Greater(t, before, 5)
		require.Less(t, before, stateParts)
		for _, h := range holders {
			h.serveState = nil
		}
		n.grow(x, holders, 200*time.Millisecond)
		require.NoError(t, me.Join(n.ctx, f))
		require.EqualValues(t, 100, f.joined(t, x), "the state that was begun with")
		require.Equal(t, stateParts, f.added, "nothing is fetched twice")
		require.Equal(t, 1, f.begun)

		// Nobody holds it any more: another state is begun.
		f = &folder{header: x.blocks[49].header}
		require.NoError(t, me.Join(n.ctx, f))
		require.Greater(t, f.joined(t, x), uint64(50))
		require.Equal(t, 1, f.begun)
	})
}

func TestJoinWithoutHelp(t *testing.T) {
	x := newHistory(t, "chain", 100, small)
	synctest.Test(t, func(t *testing.T) {
		n, holders, me := joiners(t, x, 2, 100)
		for _, h := range holders {
			h.deps.States = nil
		}
		n.start()
		f, began := new(folder), time.Now()
		require.ErrorIs(t, me.Join(n.ctx, f), ErrNoState)
		require.Less(t, time.Since(began), agreeWait+time.Minute)
		require.Zero(t, f.begun)

		for _, h := range holders { // they refuse a state that does not say who rules next
			h.deps.States = &states{nd: h, unsettled: true}
		}
		time.Sleep(2 * failMost)
		require.ErrorIs(t, me.Join(n.ctx, f), ErrNoState)
		require.Zero(t, f.begun)
		require.Empty(t, me.reports)

		for _, h := range holders { // they would have us believe one
			h.deps.States = &states{nd: h}
		}
		f.unsettled = true
		time.Sleep(2 * failMost)
		require.ErrorIs(t, me.Join(n.ctx, f), ErrUnsettled)
		require.Nil(t, f.tail)

		f.unsettled, f.header, f.broken = false, nil, errors.New("disk on fire")
		require.ErrorIs(t, me.Join(n.ctx, f), f.broken)
		require.Empty(t, me.reports, "our own failure is nobody else's")
	})
}

func TestHoldersThatLeave(t *testing.T) {
	x := newHistory(t, "chain", 100, small)
	for _, all := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, holders, me := joiners(t, x, 3, 100)
			n.start()
			served := 0
			for _, h := range holders {
				h.serveState = func(c context.Context, req []byte) ([]byte, error) {
					if q, _ := decodeStateRequest(req); q.kind == stateChunk {
						n.mu.Lock()
						if served++; served == 20 {
							n.away[holders[0].id], n.away[holders[1].id], n.away[holders[2].id] = true, true, all
						}
						n.mu.Unlock()
					}
					return h.ServeSnapshot(c, "me", req)
				}
			}
			f := new(folder)
			err := me.Join(n.ctx, f)
			if all {
				require.ErrorIs(t, err, ErrNoState)
				require.Greater(t, f.added, 5, "what was fetched stays")
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, 100, f.joined(t, x))
		})
	}
}

func FuzzSnapshotMessages(f *testing.F) {
	f.Add((&stateRequest{kind: stateHold, height: 5}).encode())
	f.Add((&stateRequest{kind: stateChunk, height: 5, r: statePart(1)}).encode())
	f.Add((&stateRequest{kind: stateCodes, hashes: []common.Hash{{1}, {2}}}).encode())
	f.Add(encodeHeld(9, []chain.HeldState{{Height: 5, Ready: true, Left: time.Second}}))
	x := newHistory(f, "chain", 3, small)
	m, err := rlp.EncodeToBytes(&manifest{Header: x.blocks[2].header, Certificate: *x.blocks[2].certificate, Ancestors: []*chain.Header{x.blocks[0].header},
		Rule: *x.rule(1), Next: *x.rule(changeAt)})
	require.NoError(f, err)
	f.Add(m)
	h, err := rlp.EncodeToBytes([]handover{{x.blocks[0].header, *x.blocks[0].certificate, *x.rule(changeAt)}})
	require.NoError(f, err)
	f.Add(h)
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := decodeStateRequest(b); err == nil && !bytes.Equal(q.encode(), b) {
			t.Fatal("two forms of one request")
		}
		if head, held, err := decodeHeld(b); err == nil && len(encodeHeld(head, held)) != len(b) {
			t.Fatal("held states change their size")
		}
		for _, height := range []uint64{0, 3} {
			if m, err := decodeManifest(b, height); err == nil && m.Header.Number.Uint64() != height {
				t.Fatal("manifest of another height")
			}
		}
		if hs, err := decodeHandovers(b); err == nil {
			for _, h := range hs {
				_ = h.Rule.Hash(suite)
			}
		}
		if codes, err := decodeCodes(b, 3); err == nil && len(codes) > 3 {
			t.Fatal("more codes than asked for")
		}
	})
}
