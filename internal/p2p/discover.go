package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Discovery is a question now and then: whom do you know near this place? Every node has a place, the suite's hash of its key, and nearness is the exclusive
// or of two places, as in Kademlia (near.go). By turns a node asks about its own place and about one drawn at random, and asks those of its peers that are
// nearest to it, so that answers lead on to who is nearer still. What comes back is a rumour. A connection to the address that proves the key makes it a
// peer, some failures make it forgotten.

const (
	// maxTold bounds one answer. maxKey fits the encodings of any suite's keys.
	maxTold = 32
	maxKey  = 96
	// discoverPause is the time between questions, discoverWanted the number of strangers with which a node is content.
	discoverPause  = 15 * time.Second
	discoverWanted = 16
	// discoverAsked is how many peers are asked about one place: one that lies does not decide who is met.
	discoverAsked = 3
	// maxRumours bounds the targets that came from discovery, rumourTries the attempts on each.
	maxRumours  = 64
	rumourTries = 3
	// maxNeighbours bounds the rumours of one network (/24, or /48 of IPv6), loopback apart: addresses there are cheap to have by the hundred.
	maxNeighbours = 8
)

var peersMethod = Method{Name: "peers", Priority: 100, MaxRequest: placeSize, MaxResponse: maxTold * (maxKey + maxEndpoint + 4), Parallel: 1, Timeout: 10 * time.Second}

// rumour is a peer as another one tells it.
type rumour struct {
	peer    chain.Peer
	address string
}

func encodeRumours(rumours []rumour) (out []byte) {
	for _, r := range rumours {
		out = appendFrame(appendFrame(out, []byte(r.peer)), []byte(r.address))
	}
	return out
}

// decodeRumours checks form only.
func decodeRumours(b []byte) (out []rumour, err error) {
	for len(b) > 0 {
		if len(out) == maxTold {
			return nil, fmt.Errorf("more than %d peers", maxTold)
		}
		n, w := binary.Uvarint(b)
		if w <= 0 || n == 0 || n > maxKey || n > uint64(len(b)-w) {
			return nil, errors.New("peer's key cut short or too long")
		}
		r := rumour{peer: chain.Peer(b[w : w+int(n)])}
		if r.address, b, err = takeText(b[w+int(n):], maxEndpoint); err != nil {
			return nil, fmt.Errorf("peer's address: %w", err)
		}
		if err := checkEndpoint(r.address, false); err != nil {
			return nil, fmt.Errorf("peer's address: %w", err)
		}
		out = append(out, r)
	}
	return out, nil
}

// tellPeers answers with connected peers that say where they can be reached: those nearest to the place asked about, or any where none is named.
func (n *Network) tellPeers(_ context.Context, from chain.Peer, request []byte) ([]byte, error) {
	if !n.cfg.Discovery {
		return nil, errors.New("discovery is off here")
	}
	var known []chain.Peer
	for p := range n.book.conns() { // in random order
		if p != from && len(n.book.addresses(p)) > 0 {
			known = append(known, p)
		}
	}
	switch len(request) {
	case 0: // of an earlier version
	case placeSize:
		n.nearestFirst(known, place(request))
	default:
		n.Report(from, Misbehaviour, "asks for peers near no place")
		return nil, fmt.Errorf("a place has %d bytes, this has %d", placeSize, len(request))
	}
	var out []rumour
	for _, p := range known[:min(len(known), maxTold)] {
		if addresses := n.book.addresses(p); len(addresses) > 0 {
			out = append(out, rumour{p, addresses[len(addresses)-1]})
		}
	}
	return encodeRumours(out), nil
}

// discover asks around until ctx ends.
func (n *Network) discover(ctx context.Context) {
	timer := time.NewTimer(jitter(n.cfg.ReconnectMin))
	defer timer.Stop()
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(jitter(n.asks))
		_, strangers := n.book.connectedKinds()
		conns := n.Connected()
		if len(conns) == 0 {
			timer.Reset(jitter(n.cfg.ReconnectMin * 4)) // nobody to ask yet
			continue
		}
		if strangers >= min(discoverWanted, n.cfg.MaxPeers) {
			continue
		}
		about := n.placeOf(n.self)
		if turn%2 == 1 {
			about = randomPlace()
		}
		turn++
		n.nearestFirst(conns, about)
		for _, who := range conns[:min(len(conns), discoverAsked)] {
			n.askAround(ctx, who, about)
		}
	}
}

// askAround asks one peer about a place.
func (n *Network) askAround(ctx context.Context, who chain.Peer, about place) {
	answer, err := n.Request(ctx, who, peersMethod.Name, about[:])
	if err != nil {
		n.log.Debug("peer tells of no peers", "peer", who.Short(), "err", err)
		return
	}
	rumours, err := decodeRumours(answer)
	if err != nil {
		n.Report(who, Misbehaviour, err.Error())
		return
	}
	for _, r := range rumours {
		n.hear(r)
	}
}
