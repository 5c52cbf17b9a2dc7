package pow

import (
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// maxOrphans bounds the headers that wait for their parent, orphansPerPeer those that one peer sent. A parent is on its way for as long as a page of
	// headers takes; who has more to tell is asked for pages.
	maxOrphans     = 256
	orphansPerPeer = 16
	// orphanLife is how long a header waits: several answers of a slow peer.
	orphanLife = 20 * time.Second
)

// orphan is a header that stands for itself, whose parent is not here.
type orphan struct {
	header Header
	hash   crypto.Hash
	from   order.PeerID
	since  time.Time
}

// orphans are bounded: of a peer that sends more than its share its own oldest goes, of all the oldest.
type orphans struct {
	// list is in order of arrival.
	list []*orphan
}

// put adds o unless it is there.
func (s *orphans) put(o *orphan) {
	of, oldest := 0, -1
	for i, have := range s.list {
		if have.hash == o.hash {
			return
		}
		if have.from == o.from {
			if of++; oldest < 0 {
				oldest = i
			}
		}
	}
	switch {
	case of >= orphansPerPeer:
		s.remove(oldest)
	case len(s.list) >= maxOrphans:
		s.remove(0)
	}
	s.list = append(s.list, o)
}

func (s *orphans) remove(i int) { s.list = append(s.list[:i], s.list[i+1:]...) }

// take returns, and lets go of, those whose parent has that hash.
func (s *orphans) take(parent crypto.Hash) (out []*orphan) {
	rest := s.list[:0]
	for _, o := range s.list {
		if o.header.Parent == parent {
			out = append(out, o)
		} else {
			rest = append(rest, o)
		}
	}
	clear(s.list[len(rest):])
	s.list = rest
	return out
}

// expire drops those that have waited too long.
func (s *orphans) expire(now time.Time) {
	n := 0
	for n < len(s.list) && now.Sub(s.list[n].since) > orphanLife {
		n++
	}
	s.list = append(s.list[:0], s.list[n:]...)
}
