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

// A node without blocks whose peers have very many does not execute them all again: it fetches the state after a recent block, verifies every chunk by the state root
// in that block's header, and goes on from there. The header is believed for its certificate, and the validators who gave that for the certified headers in
// which one set hands over to the next, from the founding set on. So nothing is believed but the genesis and that, at each height, fewer than a third of
// the validators of that height lie, also later: who once was a validator must guard the old key as long as nodes join by such a walk.

// Import is a state on its way into an empty ledger. Safe for concurrent use.
type Import interface {
	// Open lists ranges, and Codes hashes of codes, that are still to be fetched; none of both is the end.
	Open(limit int) ([]chain.StateRange, error)
	Codes(limit int) ([]common.Hash, error)
	// Add and AddCodes take what a peer sent; an error that wraps chain.ErrStateChunk is the peer's.
	Add(ctx context.Context, r chain.StateRange, chunk []byte) error
	AddCodes(codes [][]byte) error
	// State reads what is there.
	State() chain.State
	// Finish makes a ledger of it whose head is the state's block.
	Finish(t *chain.StateTail) error
}

// Importer is the empty ledger.
type Importer interface {
	// Importing is the header of an import that was begun, nil when there is none.
	Importing() (*chain.Header, error)
	// Begin begins the import of the state that the header commits to, or goes on with it.
	Begin(h *chain.Header) (Import, error)
	// Settled tells that the state after that height knows of no change of validators later than for the next block.
	Settled(st chain.State, height uint64) (bool, error)
}

const (
	// holdAhead is how far above the highest head a state is asked to be held, so that all peers can: a second of a busy chain.
	holdAhead = 32
	// holdLeast is for how long a state that is held already must be held yet for it to be worth beginning with; holdLast where no other is to be had.
	holdLeast = 5 * time.Minute
	holdLast  = 30 * time.Second
	// agreeWait bounds how long peers are asked for one state that they hold; moveWait is how long the chain is given to move to it.
	agreeWait = 30 * time.Second
	moveWait  = 5 * time.Second
	// agreeEvery is how often they are asked.
	agreeEvery = 500 * time.Millisecond
	// holderFailures is how many failures in a row make a peer no holder any more.
	holderFailures = 4
)

// Errors of Join that callers tell apart.
var (
	// ErrNoState: no peer could be got to serve a state. Trying again later, or fetching all blocks, helps.
	ErrNoState = errors.New("no peer serves a state")
	// ErrUnsettled: a change of validators was under way at the state's height. Another height helps.
	ErrUnsettled = errors.New("a change of the validators is under way in the fetched state")
)

// FarBehind tells whether Join is for this node: it has no block, and believed peers have at least Config.SnapshotThreshold.
func (c *CatchUp) FarBehind() bool {
	c.mu.Lock()
	decided := c.decided
	c.mu.Unlock()
	return c.cfg.SnapshotThreshold > 0 && decided == 0 && c.highest(time.Now()) >= c.cfg.SnapshotThreshold
}

// Join fetches the state after a recent block from several peers at once, verifies it and installs it. On nil the ledger's head is that block. After an error
// what has been fetched stays, and Join goes on with it if peers still hold that state.
func (c *CatchUp) Join(ctx context.Context, im Importer) error {
	j := &joining{c: c, im: im, failures: make(map[chain.Peer]int), asking: make(map[chain.Peer]int), began: time.Now()}
	if err := j.run(ctx); err != nil {
		return fmt.Errorf("catchup: join by snapshot: %w", err)
	}
	return nil
}

// joining is one call of Join. Its goroutine has all but what mu guards.
type joining struct {
	c      *CatchUp
	im     Importer
	height uint64
	began  time.Time

	mu sync.Mutex
	// holders hold the state at height. failures count their failures in a row, asking what they are asked for now.
	holders  []chain.Peer
	failures map[chain.Peer]int
	asking   map[chain.Peer]int
}

func (j *joining) run(ctx context.Context) error {
	if err := j.agree(ctx); err != nil {
		return err
	}
	m, err := anyHolder(ctx, j, j.manifest)
	if err != nil {
		return err
	}
	im, err := j.im.Begin(m.Header)
	if err != nil {
		return err
	}
	j.c.deps.Log.Info("fetching the state instead of all blocks", "height", j.height, "peers", len(j.holders))
	f := &stateFetch{joining: j, im: im, ranges: make(map[chain.StateRange]bool), codes: make(map[common.Hash]bool), done: make(chan *stateAnswer)}
	if err := f.run(ctx); err != nil {
		return err
	}
	settled, err := j.im.Settled(im.State(), j.height)
	if err != nil {
		return err
	}
	if !settled {
		return ErrUnsettled
	}
	tail := &chain.StateTail{Genesis: j.c.deps.Genesis, Ancestors: m.Ancestors, Exclusions: m.Exclusions, Certificate: &m.Certificate, Rule: m.Rule, Next: m.Next}
	b, err := anyHolder(ctx, j, j.block)
	if err != nil {
		return err
	}
	tail.Decision, tail.Txs = b.decision, b.txs
	if err := im.Finish(tail); err != nil {
		return err
	}
	j.c.deps.Log.Info("the state is fetched and verified", "height", j.height, "chunks", f.chunks, "bytes", f.bytes,
		"took", time.Since(j.began).Round(time.Millisecond))
	return nil
}

// request asks a peer.
func (j *joining) request(ctx context.Context, id chain.Peer, q *stateRequest) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, j.c.cfg.RequestWait)
	defer cancel()
	b, err := j.c.deps.Network.Request(ctx, id, SnapshotMethod, q.encode())
	if err != nil {
		return nil, fmt.Errorf("snapshot request: %w", err)
	}
	if len(b) > MaxSnapshotResponse {
		return nil, &lie{misbehaviour, fmt.Errorf("%w: answer of %d bytes", errWire, len(b))}
	}
	return b, nil
}

// judge keeps book of a peer's answers, and tells whether the request was well served.
func (j *joining) judge(id chain.Peer, err error) bool {
	var l *lie
	j.mu.Lock()
	switch {
	case err == nil:
		j.failures[id] = 0
	case errors.As(err, &l):
		j.failures[id] = holderFailures
	default:
		j.failures[id]++
	}
	if j.failures[id] >= holderFailures {
		j.holders = slices.DeleteFunc(j.holders, func(p chain.Peer) bool { return p == id })
	}
	j.mu.Unlock()
	if l != nil {
		j.c.lied(id, l.offence, l.err)
	}
	return err == nil
}

// anyHolder asks the holders one after the other until one answers well.
func anyHolder[T any](ctx context.Context, j *joining, ask func(ctx context.Context, id chain.Peer) (T, error)) (out T, err error) {
	why := ErrNoState
	for round := range holderFailures {
		j.mu.Lock()
		holders := slices.Clone(j.holders)
		j.mu.Unlock()
		for _, id := range holders {
			if out, err = ask(ctx, id); j.judge(id, err) {
				return out, nil
			}
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			why = fmt.Errorf("%w: %w", ErrNoState, err)
		}
		if round == holderFailures-1 || len(holders) == 0 {
			break
		}
		if err := sleep(ctx, agreeEvery<<round); err != nil { // the certificate of the block may be on its way
			return out, err
		}
	}
	return out, why
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// manifest gets and verifies what a peer says of the block.
func (j *joining) manifest(ctx context.Context, id chain.Peer) (*manifest, error) {
	b, err := j.request(ctx, id, &stateRequest{kind: stateManifest, height: j.height})
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(b, j.height)
	if err != nil {
		return nil, &lie{misbehaviour, err}
	}
	rule, err := j.walk(ctx, id)
	if err != nil {
		return nil, err
	}
	extra, err := j.certified(m.Header, &m.Certificate, rule)
	if err != nil {
		return nil, &lie{attack, err}
	}
	if m.Rule.Hash(j.c.deps.Suite) != extra.Validators || m.Next.Hash(j.c.deps.Suite) != extra.Next {
		return nil, &lie{attack, fmt.Errorf("%w: it names other validators than the header", chain.ErrStateChunk)}
	}
	return m, nil
}

// certified verifies a header by the set that must have attested it.
func (j *joining) certified(h *chain.Header, cert *chain.Certificate, rule *chain.Rule) (*chain.Extra, error) {
	deps := &j.c.deps
	extra, err := chain.DecodeExtra(h.Extra)
	if err != nil {
		return nil, err
	}
	hash, err := chain.HeaderHash(deps.Suite, h)
	if err != nil {
		return nil, err
	}
	if !isHeight(h, cert.Height) || cert.Header != hash || cert.Block != h.Hash() {
		return nil, fmt.Errorf("%w: it is of another header", chain.ErrCertificate)
	}
	if extra.Validators != rule.Hash(deps.Suite) {
		return nil, fmt.Errorf("%w: header %d names validators %s, those that rule are %s", chain.ErrCertificate, cert.Height, extra.Validators, rule.Hash(deps.Suite))
	}
	return extra, cert.Verify(deps.Suite, deps.GenesisHash, rule.Set, rule.Quorum())
}

// walk goes from the founding rule to the one by which the block at height is attested, by certified headers.
func (j *joining) walk(ctx context.Context, id chain.Peer) (*chain.Rule, error) {
	rule, at := j.c.deps.Genesis.Rule(), uint64(0)
	for {
		b, err := j.request(ctx, id, &stateRequest{kind: stateHandovers, height: at + 1})
		if err != nil {
			return nil, err
		}
		page, err := decodeHandovers(b)
		if err != nil {
			return nil, &lie{misbehaviour, err}
		}
		for i := range page {
			h := &page[i]
			if h.Certificate.Height >= j.height {
				return rule, nil
			}
			// The set that rules from the block after a height is asked for by that next height, so at+1 itself comes once.
			if h.Certificate.Height < at {
				return nil, &lie{misbehaviour, fmt.Errorf("%w: handover at height %d after %d", errWire, h.Certificate.Height, at)}
			}
			extra, err := j.certified(h.Header, &h.Certificate, rule)
			if err != nil {
				return nil, &lie{attack, err}
			}
			if extra.Next != h.Rule.Hash(j.c.deps.Suite) {
				return nil, &lie{attack, fmt.Errorf("%w: the header before a change names other ones", chain.ErrCertificate)}
			}
			rule, at = &h.Rule, h.Certificate.Height+1
		}
		if len(page) == 0 {
			return rule, nil
		}
	}
}

// block gets the decision of the state's block, with its transactions.
func (j *joining) block(ctx context.Context, id chain.Peer) (*block, error) {
	blocks, err := j.c.get(ctx, id, &request{kind: kindBlocks, height: j.height, count: 1, bytes: maxAsk})
	if err != nil {
		return nil, err
	}
	return blocks[0], nil
}
