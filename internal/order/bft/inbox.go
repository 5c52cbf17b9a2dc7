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

// inbox is the queue between Handle and a session. Where there is no room the oldest message of the same peer gives way: while a node catches up nobody
// reads here, and what it needs to go on where that ends is the newest. Where there is none of the same peer, the peer that has most waiting gives one.
type inbox struct {
	// bell is rung when something waits; it holds one ring.
	bell chan struct{}

	// mu guards what follows. turn are the peers that have something waiting; they are read in turn.
	mu    sync.Mutex
	peers map[order.PeerID]*letters
	turn  []order.PeerID
	count int
}

// letters are a peer's, oldest first.
type letters struct {
	msgs  [][]byte
	bytes int
}

func (l *letters) pop() []byte {
	msg := l.msgs[0]
	l.msgs[0], l.msgs = nil, l.msgs[1:]
	l.bytes -= len(msg)
	return msg
}

func newInbox() *inbox {
	return &inbox{bell: make(chan struct{}, 1), peers: make(map[order.PeerID]*letters)}
}

// put never blocks.
func (b *inbox) put(from order.PeerID, msg []byte) {
	if len(msg) > perPeerBytes {
		return // larger than what any engine sends
	}
	b.mu.Lock()
	l := b.peers[from]
	if l == nil {
		l = new(letters)
		b.peers[from] = l
		b.turn = append(b.turn, from)
	}
	for len(l.msgs) >= perPeer || l.bytes+len(msg) > perPeerBytes {
		l.pop()
		b.count--
	}
	if b.count >= inboxMessages {
		b.makeRoom(l)
	}
	l.msgs = append(l.msgs, msg)
	l.bytes += len(msg)
	b.count++
	b.mu.Unlock()
	b.ring()
}

// makeRoom drops the oldest of l, or of whoever has most. It runs under mu.
func (b *inbox) makeRoom(l *letters) {
	if len(l.msgs) == 0 {
		for _, id := range b.turn {
			if other := b.peers[id]; len(other.msgs) > len(l.msgs) {
				l = other
			}
		}
	}
	l.pop()
	b.count--
}

// take returns the oldest letter of the peer whose turn it is, and rings again if there are more; false when there is none.
func (b *inbox) take() (letter, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.turn) > 0 {
		id := b.turn[0]
		b.turn = b.turn[1:]
		l := b.peers[id]
		if len(l.msgs) == 0 { // another took its room
			delete(b.peers, id)
			continue
		}
		msg := l.pop()
		b.count--
		if len(l.msgs) > 0 {
			b.turn = append(b.turn, id)
		} else {
			delete(b.peers, id)
		}
		if b.count > 0 {
			b.ring()
		}
		return letter{id, msg}, true
	}
	return letter{}, false
}

// clear drops all.
func (b *inbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.peers)
	b.turn, b.count = nil, 0
}

func (b *inbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}
