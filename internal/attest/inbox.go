package attest

import (
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// inboxMessages, inboxBytes and inboxPerPeer bound what waits to be verified: a second's work, and for one peer a part of it that leaves room for the
	// others. A message that finds no room is dropped: whatever matters in it is repeated every second.
	inboxMessages = 512
	inboxBytes    = 4 << 20
	inboxPerPeer  = 64
)

// received is a decoded message with its sender.
type received struct {
	from chain.Peer
	size int
	m    *message
}

// inbox is the queue between the network's goroutines and the one that verifies. Safe for concurrent use.
type inbox struct {
	// bell holds one ring after something was put.
	bell chan struct{}

	mu      sync.Mutex
	waiting []received
	bytes   int
	of      map[chain.Peer]int
	dropped uint64
}

func newInbox() *inbox {
	return &inbox{bell: make(chan struct{}, 1), of: make(map[chain.Peer]int)}
}

// put never blocks.
func (q *inbox) put(r received) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= inboxMessages || q.bytes+r.size > inboxBytes || q.of[r.from] >= inboxPerPeer {
		q.dropped++
		return
	}
	q.waiting = append(q.waiting, r)
	q.bytes += r.size
	q.of[r.from]++
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *inbox) take() []received {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.waiting
	q.waiting, q.bytes = nil, 0
	clear(q.of)
	return out
}
