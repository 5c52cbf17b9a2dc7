package pow

import (
	"errors"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Why a header is not taken that breaks no rule.
var (
	errEarly  = errors.New("its time is ahead of the clock")
	errOrphan = errors.New("its parent is not here")
	errFull   = errors.New("there is no room for it")
)

// hear takes one message. The error ends the run; what peers do wrong does not.
func (s *session) hear(l letter) error {
	p := s.peers.of(l.from, s.e.cfg.Now())
	body := l.msg[1:]
	var err error
	switch l.msg[0] {
	case frameTip:
		err = s.hearTip(l.from, p, body)
	case frameAsk:
		err = s.hearAsk(l.from, p, body)
	case frameHeaders:
		err = s.hearHeaders(l.from, p, body)
	case frameWant:
		err = s.hearWant(l.from, p, body)
	case frameBlock:
		err = s.hearBlock(l.from, p, body)
	default:
		err = fmt.Errorf("%w: of kind %d", errFrame, l.msg[0])
	}
	return s.judge(l.from, err)
}

// judge counts what was not accepted, reports who breaks the rules, and passes on what is this node's own trouble.
func (s *session) judge(from order.PeerID, err error) error {
	switch {
	case err == nil:
	case errors.Is(err, errEarly):
		s.e.refused("future")
	case errors.Is(err, errFull):
		s.e.refused("full")
	case errors.Is(err, errOrphan):
		s.e.refused("orphan")
	case errors.Is(err, errRule):
		s.e.refused("rules")
		s.blame(from, err.Error())
	case errors.Is(err, errFrame) || errors.Is(err, errHeader):
		s.e.refused("malformed")
		s.blame(from, err.Error())
	default:
		return err
	}
	if err != nil {
		s.e.log.Debug("pow: refused", "peer", from, "err", err)
	}
	return nil
}

// read decodes a header and checks it for itself.
func (s *session) read(encoded []byte) (*Header, crypto.Hash, error) {
	h, err := DecodeHeader(encoded)
	if err != nil {
		return nil, crypto.Hash{}, err
	}
	if n := s.tree.nodes[Hash(s.e.cfg.Suite, encoded)]; n != nil && n != s.tree.root {
		return h, n.hash, nil // it was checked when it came first
	}
	hash, err := s.e.rules.alone(h, encoded)
	return h, hash, err
}

// accept puts a header that stands for itself into the tree, with the orphans that wait for it.
func (s *session) accept(h *Header, hash crypto.Hash, from order.PeerID) (*node, error) {
	if n := s.tree.nodes[hash]; n != nil {
		return n, nil
	}
	parent := s.tree.nodes[h.Parent]
	if parent == nil {
		return nil, fmt.Errorf("header %d: %w", h.Height, errOrphan)
	}
	n, err := s.join(parent, h, hash, from)
	if err != nil {
		return nil, err
	}
	for queue := []*node{n}; len(queue) > 0; queue = queue[1:] {
		for _, o := range s.orphans.take(queue[0].hash) {
			next, err := s.join(queue[0], &o.header, o.hash, o.from)
			if err != nil {
				if err := s.judge(o.from, err); err != nil {
					return nil, err
				}
				continue
			}
			queue = append(queue, next)
		}
	}
	return n, nil
}

// join adds a header to its parent.
func (s *session) join(parent *node, h *Header, hash crypto.Hash, from order.PeerID) (*node, error) {
	now := s.e.cfg.nowMillis()
	switch {
	case parent.invalid:
		return nil, fmt.Errorf("%w: header %d follows one that breaks them", errRule, h.Height)
	case h.Time > now+s.e.cfg.ahead():
		return nil, fmt.Errorf("header %d of %d at %d: %w", h.Height, h.Time, now, errEarly)
	}
	if err := s.e.rules.follows(parent, h); err != nil {
		return nil, err
	}
	if s.tree.full() && !s.makeRoom() {
		return nil, fmt.Errorf("header %d: %w", h.Height, errFull)
	}
	if len(parent.children) > 0 {
		s.e.note(func(w *order.WorkStatus) { w.Forks++ })
	}
	n := s.tree.add(parent, h, hash, from)
	if n.invalid {
		s.dispute(n, executed{n.header.Height - s.e.rules.depth, s.tree.executed[n.header.Height-s.e.rules.depth]})
	}
	return n, nil
}

// pruneEvery bounds the work of making room.
const pruneEvery = time.Second

func (s *session) makeRoom() bool {
	now := s.e.cfg.Now()
	if s.delivering || now.Sub(s.pruned) < pruneEvery {
		return false
	}
	s.pruned = now
	s.tree.prune()
	return !s.tree.full()
}

// hearTip follows a peer's tip: its header, or where that does not connect, the headers before it.
func (s *session) hearTip(from order.PeerID, p *peer, b []byte) error {
	h, hash, err := s.read(b)
	if err != nil {
		return err
	}
	if h.Work.Gt(&p.claim) {
		p.claim, p.height = h.Work, h.Height
	}
	n, err := s.accept(h, hash, from)
	switch {
	case errors.Is(err, errOrphan):
		if h.Work.Cmp(&s.tree.best.header.Work) <= 0 {
			return nil // it is behind, or on a branch of less work
		}
		s.orphans.put(&orphan{*h, hash, from, s.e.cfg.Now()})
		s.askHeaders(from, p, nil)
		return nil
	case err != nil:
		return err
	}
	s.offers(n, from)
	return nil
}

// askHeaders asks a peer for what follows after, or this node's own branch where that is nil, unless it has been asked.
func (s *session) askHeaders(from order.PeerID, p *peer, after *node) {
	if !p.asked.IsZero() {
		return
	}
	p.asked = s.e.cfg.Now()
	if after == nil {
		after = s.tree.best
	}
	s.host.Send(from, askFrame(s.locator(after)))
}

// hearHeaders takes a page of headers that was asked for.
func (s *session) hearHeaders(from order.PeerID, p *peer, b []byte) error {
	page, err := parseHeaders(b)
	if err != nil {
		return err
	}
	if p.asked.IsZero() && len(page) > 1 && s.e.cfg.Now().After(s.greeted) {
		s.e.refused("unasked")
		return nil
	}
	p.asked = time.Time{}
	var last *node
	for i, encoded := range page {
		h, hash, err := s.read(encoded)
		if err != nil {
			return err
		}
		if i == 0 && s.tree.nodes[h.Parent] == nil && s.tree.nodes[hash] == nil {
			return s.hearDeep(from, p, page)
		}
		if i > 0 && last != nil && h.Parent != last.hash {
			return fmt.Errorf("%w: a page of headers with a gap at %d", errRule, h.Height)
		}
		if last, err = s.accept(h, hash, from); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	s.offers(last, from)
	if len(page) == maxPage {
		s.askHeaders(from, p, last)
	}
	return nil
}

// hearDeep follows headers that branch off below the root, where this node has delivered something else. They end the run when they have more work.
func (s *session) hearDeep(from order.PeerID, p *peer, page [][]byte) error {
	first, err := DecodeHeader(page[0])
	if err != nil {
		return err
	}
	if p.deep == nil || first.Parent != p.deep.last.hash {
		p.deep = nil
		if first.Height == 0 || first.Height > s.tree.root.header.Height {
			s.e.refused("orphan")
			return nil
		}
		fork, err := s.readNode(first.Height - 1)
		if err != nil || fork.hash != first.Parent {
			s.e.refused("orphan")
			return nil
		}
		p.deep = &deepChain{fork.header.Height, fork}
	}
	for _, encoded := range page {
		h, hash, err := s.read(encoded)
		if err != nil {
			return err
		}
		if h.Time > s.e.cfg.nowMillis()+s.e.cfg.ahead() {
			return fmt.Errorf("header %d: %w", h.Height, errEarly)
		}
		if h.Parent != p.deep.last.hash {
			return fmt.Errorf("%w: a page of headers with a gap at %d", errRule, h.Height)
		}
		if err := s.e.rules.follows(p.deep.last, h); err != nil {
			return err
		}
		p.deep.last = &node{header: *h, hash: hash, parent: p.deep.last}
		if a := p.deep.last.at(h.Height - min(h.Height, medianOf)); a != nil {
			a.parent = nil
		}
	}
	s.e.refused("deep")
	if last := p.deep.last; last.header.Work.Gt(&s.tree.best.header.Work) {
		return s.deepFork(p.deep.fork, s.tree.root.header.Height, s.tree.best, last)
	}
	if len(page) == maxPage && p.claim.Gt(&s.tree.best.header.Work) {
		s.askHeaders(from, p, p.deep.last)
		return nil
	}
	p.deep = nil
	return nil
}

// hearBlock takes a block, asked for or told.
func (s *session) hearBlock(from order.PeerID, p *peer, b []byte) error {
	d, err := parseBlock(b)
	if err != nil {
		return err
	}
	h, hash, err := s.read(d.Proof)
	if err != nil {
		return err
	}
	if h.Work.Gt(&p.claim) {
		p.claim, p.height = h.Work, h.Height
	}
	n, err := s.accept(h, hash, from)
	if errors.Is(err, errOrphan) {
		return s.hearTip(from, p, d.Proof) // its block is asked for when its parents are here
	}
	if err != nil {
		return err
	}
	return s.take(n, d, from)
}

// take holds a block against its header and has its transactions waited for.
func (s *session) take(n *node, d *chain.Decision, from order.PeerID) error {
	if n.held || n.invalid || n.fetch.holding || n == s.tree.root {
		return nil
	}
	if ahead := s.maxAhead(); n.header.Height > s.tree.root.header.Height+ahead || s.tree.bodies >= int(2*ahead) && s.bestPath.at(n.header.Height) != n {
		s.e.refused("full")
		return nil
	}
	if d.Hash(s.e.cfg.Suite) != n.header.Decision {
		return fmt.Errorf("%w: block %d is another than its header's", errRule, d.Height)
	}
	if err := s.e.rules.block(n, d); err != nil {
		s.tree.invalidate(n)
		return err
	}
	select {
	case s.holds <- hold{node: n, decision: d, from: from}:
		n.fetch.holding = true
	default: // too many wait: it is asked for again
	}
	return nil
}

// maxAhead is how far above the root blocks are taken: what is not final, and some more while execution lags. Beside those of the best branch as many again
// are held twice; together that is fewer than a ledger keeps.
func (s *session) maxAhead() uint64 { return s.e.rules.depth + 2*fetchAhead }
