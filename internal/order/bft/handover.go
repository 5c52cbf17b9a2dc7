package bft

import (
	"runtime"
	"sync/atomic"
	"time"
)

// handover keeps the library's goroutines from waiting for ever for one that has gone. In v1.0.1 the controller hands a decision over and waits for
// the view's receipt, but a view that was told to end meanwhile gives none; the view changer then waits for the controller, and the library's Stop
// for the view changer. The same happens to a proposal taken over from an earlier view that asks to catch up when nobody listens any more. Upstream
// knows both (its pull request 681). Here the words that the library logs on the way are where such a goroutine can be held, or let go. libraryLog calls
// hear; stands is safe for concurrent use.
type handover struct {
	// aborts holds what the view changer has told the controller to end and the controller has not taken. It has the room of the library's own
	// channel, so what gets in here does not wait there.
	aborts chan struct{}
	// changes tells that the controller changes the view by itself. It is the controller's goroutine's.
	changes bool
	// handed is since when the controller waits for a receipt, in nanoseconds of Unix time; 0 when it does not.
	handed atomic.Int64
}

// What the library says of it.
const (
	saysAbort    = "AbortView, the current view num is %d"
	saysAborts   = "view for abort %d, current view %d"
	saysNewView  = "get newView from viewChange"
	saysSync     = "get msg from syncChan"
	saysOldView  = "Got view change to %d but already at %d"
	saysSameView = "Got view change to %d but view is already running"
	saysHanded   = "Node %d delivered proposal"
	saysReceipt  = "view(%d) + (decisionsInView(%d) / decisionsPerLeader(%d)), N(%d), blacklist(%v)"
	saysAskSync  = "Node %d is calling sync because the in flight proposal view has asked to sync"
)

func newHandover() handover { return handover{aborts: make(chan struct{}, 1)} }

// hear is told what the library says, on the goroutine that says it.
func (h *handover) hear(s *session, format string) {
	switch format {
	case saysAbort:
		if s.dead() {
			runtime.Goexit()
		}
		select {
		case h.aborts <- struct{}{}:
		case <-s.over:
			runtime.Goexit() // nobody may be left to take it
		}
	case saysNewView, saysSync:
		h.changes = true
	case saysOldView, saysSameView:
		h.changes = false
	case saysAborts:
		if h.changes {
			h.changes = false
			return
		}
		select {
		case <-h.aborts:
		default:
		}
	case saysHanded:
		h.handed.Store(time.Now().UnixNano())
	case saysReceipt:
		h.handed.Store(0)
	case saysAskSync:
		s.askCatchUp(true)
		runtime.Goexit() // the view has ended; what it would wait for may have as well
	}
}

// receiptPatience is how long the controller may wait for a receipt. The view that gives one waits to do so, so it takes no time at all.
const receiptPatience = 300 * time.Millisecond

// stands tells that the controller waits for a view that has gone: this node takes part no more.
func (h *handover) stands(now time.Time) bool {
	since := h.handed.Load()
	return since != 0 && now.Sub(time.Unix(0, since)) >= receiptPatience
}
