package catchup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

type (
	verifyFunc  = func(ctx context.Context, d *chain.Decision) error
	deliverFunc = func(ctx context.Context, d *chain.Decision, txs chain.Txs) error
)

// span is a range of heights on its way from a peer to delivery. The fetching goroutine has it; blocks are read-only once they are there.
type span struct {
	from, count uint64
	// blocks are verified as far as that needs no set of validators; nil until they are there. source sent them.
	blocks []*block
	source chain.Peer
	// asked are the peers that are asked for it now, since the first of them.
	asked []chain.Peer
	since time.Time
}

// answer is what came of asking one peer for a span.
type answer struct {
	span   *span
	peer   chain.Peer
	blocks []*block
	took   time.Duration
	err    error
}

// fetching is one call of Fetch. One goroutine has it.
type fetching struct {
	c        *CatchUp
	to       uint64
	next     uint64 // the first height that is in no span
	spans    []*span
	inFlight int
	answers  chan *answer
	// ready takes spans to delivery, one at a time; results come back.
	ready   chan *span
	results chan *delivered
	busy    bool
	// average is the size of a block in bytes, as far as is known.
	average int
	report  progress
	// ended is since when there is nothing to do; zero while there is.
	ended time.Time
}

// Fetch gets the decisions from height from to height to (0: as far as believed peers are), verifies them and delivers them in order. It returns nil
// when it has delivered what could be had, and the error of deliver, after which nothing more is delivered. The decision before from is in the ledger.
// Where to is given it waits a moment for a peer to say that it has got there: whoever asks knows of that height from faster messages than ours.
func (c *CatchUp) Fetch(ctx context.Context, from, to uint64, verify func(ctx context.Context, d *chain.Decision) error,
	deliver func(ctx context.Context, d *chain.Decision, txs chain.Txs) error) error {
	if to == 0 {
		to = maxHeight
	}
	if from == 0 || from > to || to > maxHeight {
		return fmt.Errorf("catchup: fetch heights %d to %d", from, to)
	}
	if to == maxHeight && c.highest(time.Now()) < from {
		return nil
	}
	parent, err := c.parentOf(from)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &fetching{c: c, to: to, next: from, answers: make(chan *answer), ready: make(chan *span), results: make(chan *delivered),
		average: firstAverage, report: progress{log: c.deps.Log, from: from, at: from - 1, began: time.Now()}}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() {
		d := &delivery{c: c, parent: parent, verify: verify, deliver: deliver}
		d.run(ctx, f.ready, f.results)
	})
	err = f.run(ctx, &running)
	f.report.end(err)
	return err
}

// parentOf is the hash of the decision that the one at height follows.
func (c *CatchUp) parentOf(height uint64) (crypto.Hash, error) {
	if height == 1 {
		return crypto.Hash{}, nil
	}
	d, _, err := c.deps.Ledger.Decision(height - 1)
	if err != nil {
		return crypto.Hash{}, fmt.Errorf("catchup: %w", err)
	}
	return d.Hash(c.deps.Suite), nil
}

const (
	// firstAverage is a guess at a block's size that makes the first requests small.
	firstAverage = 64 << 10
	// lookAgain is how often spans that nobody could be asked for are looked at again, and slow ones.
	lookAgain = 100 * time.Millisecond
)

// run plans, asks and hands on until there is nothing more to be had.
func (f *fetching) run(ctx context.Context, running *sync.WaitGroup) error {
	timer := time.NewTimer(lookAgain)
	defer timer.Stop()
	for {
		f.plan()
		f.assign(ctx, running)
		var ready chan *span
		var head *span
		if len(f.spans) > 0 && f.spans[0].blocks != nil && !f.busy {
			ready, head = f.ready, f.spans[0]
		}
		if f.over(head) {
			return nil // who is still being asked was too slow to be needed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-f.answers:
			f.take(a)
		case ready <- head:
			f.spans, f.busy = f.spans[1:], true
		case r := <-f.results:
			f.busy = false
			if err := f.delivered(r); err != nil {
				return err
			}
		case <-timer.C:
			timer.Reset(lookAgain)
		}
	}
}

// lagWait is how long a peer's status may lag behind what it has: it tells at most every StatusLeast, and the message travels.
const lagWait = 250 * time.Millisecond

// over tells that nothing more is to be had.
func (f *fetching) over(head *span) bool {
	if f.busy || (len(f.spans) > 0 && (head != nil || f.inFlight > 0)) {
		f.ended = time.Time{}
		return false
	}
	now := time.Now()
	if f.to == maxHeight || f.next > f.to || f.c.highest(now) == 0 {
		return true
	}
	if f.ended.IsZero() {
		f.ended = now
	}
	return now.Sub(f.ended) >= lagWait
}

// plan cuts what is ahead into spans, as many as may be under way.
func (f *fetching) plan() {
	target := min(f.to, f.c.highest(time.Now()))
	f.report.target = target
	// What nobody believed has any more is given up: the peer that claimed it has turned out a liar.
	for n := len(f.spans) - 1; n >= 0; n-- {
		if s := f.spans[n]; s.from <= target || s.blocks != nil || len(s.asked) > 0 {
			break
		}
		f.next = f.spans[n].from
		f.spans = f.spans[:n]
	}
	for len(f.spans) < f.c.cfg.Ranges && f.next <= target {
		fit := uint64(max(f.c.cfg.RangeBytes/max(f.average, 1), 1))
		count := min(target-f.next+1, fit, uint64(f.c.cfg.RangeBlocks))
		f.spans = append(f.spans, &span{from: f.next, count: count})
		f.next += count
	}
}

// assign asks peers for spans that nobody is asked for, the lowest first, and a second one for the span that delivery waits for where the first is slow.
func (f *fetching) assign(ctx context.Context, running *sync.WaitGroup) {
	now := time.Now()
	for i, s := range f.spans {
		slow := i == 0 && !f.busy && len(s.asked) == 1 && now.Sub(s.since) >= f.c.cfg.HedgeWait
		if s.blocks != nil || (len(s.asked) > 0 && !slow) {
			continue
		}
		id, r := f.c.choose(now, s)
		if id == "" {
			continue
		}
		if len(s.asked) == 0 {
			s.since = now
		}
		s.asked = append(s.asked, id)
		f.inFlight++
		running.Go(func() {
			start := time.Now()
			blocks, err := f.c.get(ctx, id, r)
			f.c.asked(id)
			select {
			case f.answers <- &answer{s, id, blocks, time.Since(start), err}:
			case <-ctx.Done():
			}
		})
	}
}

// take files an answer: what it has is ready, what it lacks of the span is asked for again.
func (f *fetching) take(a *answer) {
	f.inFlight--
	s := a.span
	s.asked = slices.DeleteFunc(s.asked, func(id chain.Peer) bool { return id == a.peer })
	f.c.judge(a)
	if a.err != nil || s.blocks != nil {
		return
	}
	size := 0
	for _, b := range a.blocks {
		size += b.size
	}
	f.average = (f.average + size/len(a.blocks)) / 2
	s.blocks, s.source = a.blocks, a.peer
	if got := uint64(len(a.blocks)); got < s.count {
		rest := &span{from: s.from + got, count: s.count - got}
		s.count = got
		f.spans = slices.Insert(f.spans, slices.Index(f.spans, s)+1, rest)
	}
}

// delivered files what became of a span: after bad blocks they are fetched from another peer, after an error of deliver all is over.
func (f *fetching) delivered(r *delivered) error {
	f.report.moved(r.done, r.height)
	if r.err != nil {
		return r.err
	}
	if r.lie == nil {
		return nil
	}
	f.c.lied(r.span.source, r.offence, r.lie)
	for _, s := range f.spans {
		if s.source == r.span.source { // what else it sent is not worth trying
			s.blocks, s.source = nil, ""
		}
	}
	last := r.span.from + r.span.count - 1
	f.spans = slices.Insert(f.spans, 0, &span{from: r.height + 1, count: last - r.height})
	return nil
}

// errClaim is a peer that has not what it says it has.
var errClaim = errors.New("it claims heights that it does not serve")

// judge draws the consequences of an answer for its peer.
func (c *CatchUp) judge(a *answer) {
	var lie *lie
	switch {
	case a.err == nil:
		c.served(a)
	case errors.As(a.err, &lie):
		c.lied(a.peer, lie.offence, lie.err)
	case errors.Is(a.err, context.Canceled):
	default:
		c.failed(a.peer, a.err)
	}
}

// lie is an error that is the peer's doing.
type lie struct {
	offence int
	err     error
}

func (l *lie) Error() string { return l.err.Error() }
func (l *lie) Unwrap() error { return l.err }
