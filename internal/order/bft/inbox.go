package bft

import (
	"sync"

	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// inboxMessages bounds all waiting messages, perPeer those of one peer, so that a loud one leaves room for the others.
	inboxMessages = 8192
	perPeer       = 512
	// perPeerBytes bounds a peer's waiting bytes: a few of the largest proposals.
	perPeerBytes = 16 << 20
)

// letter is a message with its sender.
type letter struct {
	from order.PeerID
	msg  []byte
}

// inbox is the queue between Handle and a session. What finds no room is dropped: whoever sent it repeats itself.
type inbox struct {
	ch chan letter

	// mu guards waiting: what lies in ch, by sender.
	mu      sync.Mutex
	waiting map[order.PeerID]*load
}

type load struct{ messages, bytes int }

func newInbox() *inbox {
	return &inbox{ch: make(chan letter, inboxMessages), waiting: make(map[order.PeerID]*load)}
}

// put never blocks.
func (b *inbox) put(from order.PeerID, msg []byte) {
	b.mu.Lock()
	l := b.waiting[from]
	if l == nil {
		l = new(load)
		b.waiting[from] = l
	}
	room := l.messages < perPeer && l.bytes+len(msg) <= perPeerBytes
	if room {
		l.messages++
		l.bytes += len(msg)
	}
	b.mu.Unlock()
	if !room {
		return
	}
	m := letter{from, msg}
	select {
	case b.ch <- m:
	default:
		b.taken(m)
	}
}

// taken is called for each letter that was received from ch.
func (b *inbox) taken(m letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.waiting[m.from]
	l.messages--
	l.bytes -= len(m.msg)
	if l.messages == 0 {
		delete(b.waiting, m.from)
	}
}
