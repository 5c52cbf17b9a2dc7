package catchup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// offer is what one peer holds.
type offer struct {
	peer chain.Peer
	head uint64
	held []chain.HeldState
}

// agree finds a state that peers hold, or gets them to hold one: that of an import that was begun; one that is held for long enough; one that the chain is about to
// reach; at last, on a chain that stands still, that of the head.
func (j *joining) agree(ctx context.Context) error {
	want := uint64(0)
	if h, err := j.im.Importing(); err != nil {
		return err
	} else if h != nil {
		want = h.Number.Uint64()
	}
	resuming, chosen := want > 0, time.Now()
	for time.Since(j.began) < agreeWait {
		offers := j.ask(ctx, want)
		if err := ctx.Err(); err != nil {
			return err
		}
		least, head := holdLeast, uint64(0)
		switch {
		case resuming:
			least = 0
		case time.Since(j.began) > 2*moveWait:
			least = holdLast // as many are held as may be
		}
		for _, o := range offers {
			head = max(head, o.head)
		}
		if height, holders := best(offers, want, least); height > 0 && (!resuming || height == want) {
			j.height, j.holders = height, holders
			return nil
		}
		// A height that is chosen is asked for at once: a busy chain passes it within half a second.
		switch {
		case len(offers) == 0:
		case resuming || head > want:
			want, chosen, resuming = head+holdAhead, time.Now(), false
			continue
		case time.Since(chosen) > moveWait && want != head:
			want, chosen = head, time.Now()
			continue
		}
		if err := sleep(ctx, agreeEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w within %s", ErrNoState, agreeWait)
}

// best is the state that most peers hold; the one that was asked for before others.
func best(offers []offer, want uint64, least time.Duration) (height uint64, holders []chain.Peer) {
	by := make(map[uint64][]chain.Peer)
	for _, o := range offers {
		for _, h := range o.held {
			if h.Ready && h.Height > 0 && (h.Height == want || h.Left >= least) {
				by[h.Height] = append(by[h.Height], o.peer)
			}
		}
	}
	if peers := by[want]; len(peers) > 0 {
		return want, peers
	}
	for h, peers := range by {
		if len(peers) > len(holders) || (len(peers) == len(holders) && h > height) {
			height, holders = h, peers
		}
	}
	return height, holders
}

// ask asks all believed peers at once to hold a state, and what they hold; those whose answer fails are left out.
func (j *joining) ask(ctx context.Context, height uint64) (out []offer) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, id := range j.believed() {
		asking.Go(func() {
			o := offer{peer: id}
			b, err := j.request(ctx, id, &stateRequest{kind: stateHold, height: height})
			if err == nil {
				if o.head, o.held, err = decodeHeld(b); err != nil {
					err = &lie{misbehaviour, err}
				}
			}
			if !j.judge(id, err) {
				return
			}
			mu.Lock()
			out = append(out, o)
			mu.Unlock()
		})
	}
	asking.Wait()
	slices.SortFunc(out, func(a, b offer) int { return comparePeers(a.peer, b.peer) })
	return out
}

func comparePeers(a, b chain.Peer) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// believed are the peers that may be asked, at most maxAsked of them.
func (j *joining) believed() (out []chain.Peer) {
	const maxAsked = 32 // more would not make fetching faster
	now := time.Now()
	j.c.mu.Lock()
	defer j.c.mu.Unlock()
	for id, p := range j.c.peers {
		if p.believed(now) && p.told.Decided > 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), maxAsked)]
}

// stateFetch fetches chunks and codes. One goroutine has it.
type stateFetch struct {
	*joining
	im Import
	// ranges and codes are being asked for.
	ranges map[chain.StateRange]bool
	codes  map[common.Hash]bool
	flying int
	done   chan *stateAnswer

	chunks, bytes int
	reported      time.Time
}

// stateAnswer is what came of one request. Its err is the peer's, fatal is ours.
type stateAnswer struct {
	peer       chain.Peer
	q          *stateRequest
	bytes      int
	err, fatal error
}

// lonely is how long fetching goes on without anybody to ask.
const lonely = 20 * time.Second

func (f *stateFetch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	timer := time.NewTimer(lookAgain)
	defer timer.Stop()
	served := time.Now()
	for {
		left, err := f.assign(ctx, &running)
		if err != nil {
			return err
		}
		if !left && f.flying == 0 {
			return nil
		}
		if f.flying > 0 {
			served = time.Now()
		} else if time.Since(served) > lonely {
			return fmt.Errorf("%w any more", ErrNoState)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-f.done:
			if err := f.take(a); err != nil {
				return err
			}
		case <-timer.C:
			timer.Reset(lookAgain)
		}
	}
}

// assign asks for what is open, as far as holders are free. left tells whether anything is open or under way.
func (f *stateFetch) assign(ctx context.Context, running *sync.WaitGroup) (left bool, err error) {
	ranges, err := f.im.Open(len(f.ranges) + f.c.cfg.Ranges)
	if err != nil {
		return false, err
	}
	codes, err := f.im.Codes(len(f.codes) + maxCodes)
	if err != nil {
		return false, err
	}
	var work []*stateRequest
	for _, r := range ranges {
		if !f.ranges[r] {
			work = append(work, &stateRequest{kind: stateChunk, height: f.height, r: r})
		}
	}
	missing := slices.DeleteFunc(slices.Clone(codes), func(h common.Hash) bool { return f.codes[h] })
	if len(missing) > 0 {
		work = append(work, &stateRequest{kind: stateCodes, hashes: missing[:min(len(missing), maxCodes)]})
	}
	for _, q := range work {
		id := f.free()
		if id == "" || f.flying >= f.c.cfg.Ranges*f.c.cfg.PerPeer {
			break
		}
		f.flying++
		f.mark(q, true)
		running.Go(func() {
			a := f.serve(ctx, id, q)
			select {
			case f.done <- a:
			case <-ctx.Done():
			}
		})
	}
	return len(ranges)+len(codes) > 0, nil
}

func (f *stateFetch) mark(q *stateRequest, on bool) {
	if q.kind == stateChunk {
		if f.ranges[q.r] = on; !on {
			delete(f.ranges, q.r)
		}
	}
	for _, h := range q.hashes {
		if f.codes[h] = on; !on {
			delete(f.codes, h)
		}
	}
}

// free is the holder with the least to do, "" when all have enough; it counts as asked.
func (f *stateFetch) free() (best chain.Peer) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.holders {
		if f.asking[id] < f.c.cfg.PerPeer && f.c.mayAsk(id, now) && (best == "" || f.asking[id] < f.asking[best]) {
			best = id
		}
	}
	if best != "" {
		f.asking[best]++
	}
	return best
}

// mayAsk tells that a peer is connected and not left alone.
func (c *CatchUp) mayAsk(id chain.Peer, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	return p != nil && p.believed(now)
}

// serve asks one peer and gives the import what it sent.
func (f *stateFetch) serve(ctx context.Context, id chain.Peer, q *stateRequest) *stateAnswer {
	a := &stateAnswer{peer: id, q: q}
	b, err := f.request(ctx, id, q)
	if err != nil {
		a.err = err
		return a
	}
	a.bytes = len(b)
	if q.kind == stateChunk {
		err = f.im.Add(ctx, q.r, b)
	} else {
		var codes [][]byte
		switch codes, err = decodeCodes(b, len(q.hashes)); {
		case err != nil:
			a.err = &lie{misbehaviour, err}
			return a
		case len(codes) == 0:
			a.err = errors.New("the peer has none of the codes of its state")
			return a
		}
		err = f.im.AddCodes(codes)
	}
	switch {
	case errors.Is(err, chain.ErrStateChunk):
		a.err = &lie{attack, err}
	case err != nil:
		a.fatal = err
	}
	return a
}

// take files an answer.
func (f *stateFetch) take(a *stateAnswer) error {
	f.flying--
	f.mark(a.q, false)
	f.mu.Lock()
	f.asking[a.peer]--
	f.mu.Unlock()
	if a.fatal != nil {
		return a.fatal
	}
	if !f.judge(a.peer, a.err) {
		var l *lie
		if !errors.As(a.err, &l) {
			f.c.failed(a.peer, a.err)
		}
		return nil
	}
	f.chunks++
	f.bytes += a.bytes
	if now := time.Now(); now.Sub(f.reported) >= reportEvery {
		if !f.reported.IsZero() {
			f.c.deps.Log.Info("fetching the state", "height", f.height, "chunks", f.chunks, "bytes", f.bytes)
		}
		f.reported = now
	}
	return nil
}
