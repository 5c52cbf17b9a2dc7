package pow

import (
	"context"

	"github.com/jialing-chain/jialing/internal/order"
)

// maxReadings bounds the requests that wait to be answered from the ledger.
const maxReadings = 16

// reading is a request for headers that begins below the root: those up to it are read from the ledger, tail are the encoded ones above it.
type reading struct {
	to     order.PeerID
	places []place
	root   uint64
	tail   [][]byte
}

// hearAsk answers with the headers above the first place that is on this node's branch.
func (s *session) hearAsk(from order.PeerID, p *peer, b []byte) error {
	places, err := parseAsk(b)
	if err != nil {
		return err
	}
	if p.pages >= asksPerBeat {
		return nil
	}
	p.pages++
	root := s.tree.root
	for len(places) > 0 && places[0].height >= root.header.Height {
		at := places[0]
		if n := s.tipPath.at(at.height); n != nil && n.hash == at.hash || at.hash == root.hash {
			s.host.Send(from, headersFrame(s.page(at.height+1)))
			return nil
		}
		places = places[1:]
	}
	select {
	case s.readings <- reading{from, places, root.header.Height, s.page(root.header.Height + 1)}:
	default: // it will ask again
	}
	return nil
}

// page encodes the headers of the branch that counts from height on.
func (s *session) page(height uint64) (out [][]byte) {
	for n := s.tipPath.at(height); n != nil && len(out) < maxPage; n = s.tipPath.at(n.header.Height + 1) {
		out = append(out, n.header.Encode())
	}
	return out
}

// answer reads headers from the ledger for peers that are further behind than the tree reaches.
func (s *session) answer(ctx context.Context) error {
	for {
		var r reading
		select {
		case r = <-s.readings:
		case <-ctx.Done():
			return nil
		}
		out, err := s.headersFrom(r)
		if err != nil { // a ledger that began with a later state has no answer; one that is broken says so where it is written
			s.e.log.Debug("pow: headers for a peer", "peer", r.to, "err", err)
			continue
		}
		s.host.Send(r.to, headersFrame(out))
	}
}

func (s *session) headersFrom(r reading) (out [][]byte, err error) {
	from := uint64(0)
	for _, p := range r.places {
		if p.height >= r.root {
			continue
		}
		n, err := s.readHeader(p.height)
		if err != nil {
			return nil, err
		}
		if n.hash == p.hash {
			from = p.height
			break
		}
	}
	for h := from + 1; h <= r.root && len(out) < maxPage; h++ {
		proof, err := s.host.DeliveredProof(h)
		if err != nil {
			return nil, err
		}
		out = append(out, proof)
	}
	return append(out, r.tail[:min(len(r.tail), maxPage-len(out))]...), nil
}

// hearWant answers with the blocks that are here.
func (s *session) hearWant(from order.PeerID, p *peer, b []byte) error {
	hashes, err := parseWant(b)
	if err != nil {
		return err
	}
	for _, hash := range hashes {
		if n := s.tree.nodes[hash]; n != nil && n.held && n.decision != nil && p.blocks < blocksPerBeat {
			p.blocks++
			s.host.Send(from, blockFrame(n.decision))
		}
	}
	return nil
}

// locator names n and headers before it, dense first and then at doubling distances, down to the genesis. What cannot be read is left out: the locator is a
// hint.
func (s *session) locator(n *node) (places []place) {
	step, height := uint64(1), n.header.Height
	for len(places) < maxLocator {
		if a := n.at(height); a != nil && a.header.Height == height {
			n = a
			places = append(places, place{height, a.hash})
		} else if height <= s.tree.root.header.Height {
			if a, err := s.readHeader(height); err == nil {
				places = append(places, place{height, a.hash})
			}
		}
		if height == 0 {
			break
		}
		if len(places) >= 10 {
			step *= 2
		}
		height -= min(step, height)
	}
	return places
}
