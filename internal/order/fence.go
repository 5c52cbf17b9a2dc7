package order

import (
	"log/slog"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Fence keeps a validator that may have forgotten what it signed from signing again. What a validator signs is in its journal before anybody sees it, so a crash
// forgets nothing; a folder that was restored from a backup, copied or made anew does, and its node would sign a second time where the first is out there
// as evidence against it.
//
// Such a node follows until a decision comes that was surely made after it started: everything that its key has ever signed was then about earlier heights, as
// nobody signs for a height before the one below is decided. It needs no answer of anybody for that, and no trust in one. Safe for concurrent use.
type Fence struct {
	now    func() time.Time
	log    *slog.Logger
	opened func() error

	// mu guards what follows.
	mu    sync.Mutex
	state FenceState
	// from is the lowest height that may be signed for when open; after is, in Unix milliseconds, what a decision's time must exceed to open the fence.
	from  uint64
	after uint64
	why   string
}

// FenceState is what a validator knows of its own past.
type FenceState int

const (
	// FenceOpen: the journal holds all that the key has signed, as far as anybody knows.
	FenceOpen FenceState = iota
	// FenceUnsure: the folder is new. Whether the key is too, the others must say first.
	FenceUnsure
	// FenceShut: the folder is a copy, or a signature came to light that the journal does not know.
	FenceShut
)

// fenceMargin is by how much a decision's time must exceed a node's start for the decision to have been made after that: a proposer's clock may run ahead of
// the validators' by maxDrift, and theirs of this node's as much.
const fenceMargin = 2 * maxDrift

// NewFence returns the fence of a node that starts now. opened, which may be nil, is called when a shut fence opens, before anything is signed: it makes the
// folder one that has a past again.
func NewFence(state FenceState, why string, now func() time.Time, log *slog.Logger, opened func() error) *Fence {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Fence{now: now, log: log, opened: opened, state: state, why: why}
	if state == FenceShut {
		f.shut(why)
	}
	return f
}

// May tells whether this node may sign for a height.
func (f *Fence) May(height uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state == FenceOpen && height >= f.from
}

// State is what the node knows of its past; why says what is wrong with it when it is FenceShut.
func (f *Fence) State() (state FenceState, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, f.why
}

// Sure tells that enough of the others know of no signature that the journal does not: it opens a fence that was unsure.
func (f *Fence) Sure() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == FenceUnsure {
		f.state = FenceOpen
	}
}

// Forgot shuts the fence, for a signature of this node's key came to light that its journal does not know.
func (f *Fence) Forgot(why string) {
	f.mu.Lock()
	known := f.state == FenceShut
	if !known {
		f.shut(why)
	}
	f.mu.Unlock()
	if !known {
		f.log.Error("this validator signs nothing for now: its folder does not know all that its key has signed, as after a backup was restored. It follows until "+
			"a block is decided that cannot concern what it signed before", "err", why)
	}
}

// shut runs under mu, or before anybody else knows f.
func (f *Fence) shut(why string) {
	f.state, f.why = FenceShut, why
	f.after = uint64(f.now().Add(fenceMargin).UnixMilli())
}

// Decided tells of a durable decision. It opens a shut fence above it if it was made late enough; the error is opened's, and leaves the fence shut.
func (f *Fence) Decided(d *chain.Decision) error {
	f.mu.Lock()
	late := d != nil && f.state == FenceShut && d.TimeMillis > f.after
	f.mu.Unlock()
	if !late {
		return nil
	}
	if f.opened != nil {
		if err := f.opened(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.state, f.why, f.from = FenceOpen, "", d.Height+1
	f.mu.Unlock()
	f.log.Info("this validator signs again", "height", d.Height+1)
	return nil
}
