package pow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// session is one run of an engine. Its loop owns the tree and never waits for the network or for execution; others do that for it: one goroutine delivers,
// one waits for what is executed, some hold blocks, one mines, one answers from the ledger.
type session struct {
	e       *Engine
	host    order.Branches
	tree    *tree
	orphans orphans
	peers   peers
	journal *journal

	// tipPath and bestPath are the branches to the tree's tip and best.
	tipPath, bestPath path
	// relayed is the tip that the peers were told last, said when.
	relayed *node
	said    time.Time
	// delivering tells that the deliverer has something to do; syncAt is when catching up may be tried again, syncs how often it brought nothing.
	delivering bool
	syncAt     time.Time
	syncs      int
	// withheld are blocks whose branches are passed over, asked for now and then; lookedAt is when it was looked for more of them.
	withheld []*node
	lookedAt time.Time
	// offered is the template that is worked on, made when; fresh tells that the pool has more for it.
	offered   *template
	offeredAt time.Time
	fresh     bool
	mineAfter time.Time
	pruned    time.Time
	// greeted is until when peers may answer what all were asked at the start.
	greeted time.Time

	deliveries chan delivery
	outcomes   chan outcome
	holds      chan hold
	held       chan hold
	ran        chan executed
	readings   chan reading
}

// executed is the hash of a header that was executed.
type executed struct {
	height uint64
	hash   crypto.Hash
}

const (
	// holders is how many blocks' transactions are waited for at a time, maxHolds how many blocks wait for that.
	holders  = 4
	maxHolds = 64
)

func newSession(e *Engine, host order.Branches) (*session, error) {
	s := &session{e: e, host: host, peers: make(peers), deliveries: make(chan delivery, 1), outcomes: make(chan outcome, 1),
		holds: make(chan hold, maxHolds), held: make(chan hold, maxHolds), ran: make(chan executed, 1), readings: make(chan reading, maxReadings)}
	root, err := s.readRoot()
	if err != nil {
		return nil, err
	}
	s.tree = newTree(e.rules, root, maxHeaders)
	s.journal, err = openJournal(e.cfg.Journal)
	if err != nil {
		return nil, err
	}
	e.settled(root.header.Height, time.Time{})
	return s, nil
}

// readRoot is the last delivered decision's header with the ones before it that the median of times needs.
func (s *session) readRoot() (*node, error) {
	last := s.host.LastDelivered()
	if last == nil {
		return s.e.rules.genesis(), nil
	}
	return s.readNode(last.Height)
}

// readNode is the delivered header at height, with those before it that the median of times needs.
func (s *session) readNode(height uint64) (*node, error) {
	var n *node
	for h := height - min(height, medianOf-1); h <= height; h++ {
		next, err := s.readHeader(h)
		if err != nil {
			return nil, err
		}
		next.parent = n
		n = next
	}
	return n, nil
}

// readHeader is a delivered header; at height 0 the genesis stands for it.
func (s *session) readHeader(height uint64) (*node, error) {
	if height == 0 {
		return s.e.rules.genesis(), nil
	}
	proof, err := s.host.DeliveredProof(height)
	if err != nil {
		return nil, err
	}
	h, err := DecodeHeader(proof)
	if err != nil || h.Height != height || h.Chain != s.e.rules.chain {
		return nil, fmt.Errorf("delivered block %d: its proof is no header of this chain: %w", height, errors.Join(err, order.ErrProof))
	}
	return &node{header: *h, hash: Hash(s.e.cfg.Suite, proof), held: true, complete: true, checked: true}, nil
}

// run takes part until parent ends or it cannot go on.
func (s *session) run(parent context.Context) error {
	g, ctx := errgroup.WithContext(parent)
	root := s.tree.root.header.Height
	g.Go(func() error { return s.deliver(ctx) })
	g.Go(func() error { return s.follow(ctx, root) })
	for range holders {
		g.Go(func() error { return s.hold(ctx) })
	}
	if s.e.mines() {
		g.Go(func() error { return s.mine(ctx) })
	}
	g.Go(func() error { return s.answer(ctx) })
	g.Go(func() error {
		err := s.loop(ctx)
		s.e.work.offer(nil)
		return err
	})
	return order.Ended(parent, g.Wait())
}

// beat is the pace of what is done without an event.
func (s *session) beat() time.Duration {
	return min(max(s.e.cfg.interval()/4, 50*time.Millisecond), time.Second)
}

// lettersAtOnce is how many messages are read before other events have their turn.
const lettersAtOnce = 32

// loop handles one event after the other. After each it does what has become possible.
func (s *session) loop(ctx context.Context) error {
	start := s.e.cfg.Now()
	s.mineAfter = start.Add(min(s.e.cfg.interval(), time.Second)) // peers say first what there is
	if err := s.restore(ctx); err != nil {
		return err
	}
	s.greeted = start.Add(askMost)
	s.host.Broadcast(askFrame(s.locator(s.tree.tip)))
	ticker := time.NewTicker(s.beat())
	defer ticker.Stop()
	s.fresh = true
	for {
		if err := s.advance(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.e.inbox.bell:
			for range lettersAtOnce {
				l, ok := s.e.inbox.take()
				if !ok {
					break
				}
				if err := s.hear(l); err != nil {
					return err
				}
			}
			s.e.inbox.ring()
		case h := <-s.held:
			if err := s.holding(ctx, h); err != nil {
				return err
			}
		case o := <-s.outcomes:
			if err := s.delivered(o); err != nil {
				return err
			}
		case x := <-s.ran:
			s.executed(x)
		case found := <-s.e.work.solved:
			if err := s.solved(ctx, found); err != nil {
				return err
			}
		case <-s.e.bell:
			s.fresh = true
		case <-ticker.C:
			s.tick()
		}
	}
}

// advance does what the last event has made possible.
func (s *session) advance(ctx context.Context) error {
	s.tipPath.follow(s.tree.root, s.tree.tip)
	s.bestPath.follow(s.tree.root, s.tree.best)
	if err := s.deliverNext(); err != nil {
		return err
	}
	s.fetchBlocks()
	s.offerWork()
	s.tellTip()
	s.show()
	return ctx.Err()
}

// tellTip tells the peers where this node is, when that has changed and now and then.
func (s *session) tellTip() {
	tip, now := s.tree.tip, s.e.cfg.Now()
	if tip.header.Height == 0 || tip == s.relayed && now.Sub(s.said) < s.sayEvery() {
		return
	}
	s.relayed, s.said = tip, now
	s.host.Broadcast(tipFrame(&tip.header))
}

// sayEvery is how often peers that may have missed it are told the tip.
func (s *session) sayEvery() time.Duration {
	return min(max(s.e.cfg.interval(), time.Second), 10*time.Second)
}

// askWait is how long a peer may take to answer.
func (s *session) askWait() time.Duration { return min(max(4*s.e.cfg.interval(), askLeast), askMost) }

// tick does what is due by the clock.
func (s *session) tick() {
	now := s.e.cfg.Now()
	s.orphans.expire(now)
	s.peers.tick(now, s.askWait())
	s.passOver(now)
}

// executed notes a header that this node has executed. Blocks that name another one at that height do not count.
func (s *session) executed(x executed) {
	for _, n := range s.tree.ran(x.height, x.hash) {
		s.dispute(n, x)
	}
}

func (s *session) dispute(n *node, x executed) {
	s.e.refused("executed")
	s.e.log.Error("a block names another executed header than this node's", "height", n.header.Height, "of", x.height, "theirs", n.header.Executed, "ours", x.hash, "peer", n.from)
	s.blame(n.from, "a block that names another executed header")
}

// blame reports a peer.
func (s *session) blame(from order.PeerID, why string) {
	if from != 0 {
		s.e.cfg.Misbehaved(from, why)
	}
}

// show publishes where the session is.
func (s *session) show() {
	t := s.tree
	tip := &t.tip.header
	s.e.note(func(w *order.WorkStatus) {
		if w.TipHash != t.tip.hash {
			w.Tip, w.TipHash, w.TipTime, w.Work = tip.Height, t.tip.hash, time.UnixMilli(int64(tip.Time)), tip.Work.ToBig()
			w.Bits = s.e.rules.asert.bits(tip.Height+1, tip.Anchor, tip.Time)
			if target, ok := expand(w.Bits); ok {
				w.Difficulty = worth(target).Float64()
			}
		}
		w.Headers, w.Blocks, w.Orphans = t.best.header.Height, t.bodies, len(s.orphans.list)
	})
}

// journaled notes a block in the journal, before anybody hears of it.
func (s *session) journaled(d *chain.Decision) error {
	return s.journal.add(d, func() []*chain.Decision { // what is still of use when the journal has grown
		var live []*node
		for _, n := range s.tree.nodes {
			if n.held && n.decision != nil && !n.invalid {
				live = append(live, n)
			}
		}
		slices.SortFunc(live, func(a, b *node) int { // parents first, and of equal height who was here first
			return cmp.Or(cmp.Compare(a.header.Height, b.header.Height), cmp.Compare(a.seq, b.seq))
		})
		out := make([]*chain.Decision, len(live))
		for i, n := range live {
			out[i] = n.decision
		}
		return out
	})
}
