package pow

import (
	"sync"

	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// inboxMessages and inboxBytes bound what waits for the session, perPeer and perPeerBytes what one peer may have waiting, so that a loud one leaves room:
	// a page of wanted blocks of usual size, or a few of the largest. What finds no room is dropped: everything is said again.
	inboxMessages = 2048
	inboxBytes    = 128 << 20
	perPeer       = 128
	perPeerBytes  = 16 << 20
)

// letter is a message with its sender.
type letter struct {
	from order.PeerID
	msg  []byte
}

// inbox is the queue between Handle and the session.
type inbox struct {
	// bell is rung when something waits; it holds one ring.
	bell chan struct{}

	// mu guards what follows.
	mu    sync.Mutex
	queue []letter
	bytes int
	peers map[order.PeerID]share
}

// share is what one peer has waiting.
type share struct{ count, bytes int }

func newInbox() *inbox {
	return &inbox{bell: make(chan struct{}, 1), peers: make(map[order.PeerID]share)}
}

// put never blocks.
func (b *inbox) put(from order.PeerID, msg []byte) {
	b.mu.Lock()
	s := b.peers[from]
	if len(b.queue) >= inboxMessages || b.bytes+len(msg) > inboxBytes || s.count >= perPeer || s.bytes+len(msg) > perPeerBytes {
		b.mu.Unlock()
		return
	}
	b.queue = append(b.queue, letter{from, msg})
	b.bytes += len(msg)
	b.peers[from] = share{s.count + 1, s.bytes + len(msg)}
	b.mu.Unlock()
	b.ring()
}

// ring rings if something waits.
func (b *inbox) ring() {
	b.mu.Lock()
	some := len(b.queue) > 0
	b.mu.Unlock()
	if !some {
		return
	}
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// take returns the oldest message; false when there is none.
func (b *inbox) take() (letter, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return letter{}, false
	}
	l := b.queue[0]
	b.queue[0] = letter{}
	if b.queue = b.queue[1:]; len(b.queue) == 0 {
		b.queue = nil
	}
	b.bytes -= len(l.msg)
	if s := b.peers[l.from]; s.count <= 1 {
		delete(b.peers, l.from)
	} else {
		b.peers[l.from] = share{s.count - 1, s.bytes - len(l.msg)}
	}
	return l, true
}
