package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Discovery is a question to a random peer now and then: whom do you know? What comes back is a rumour. A connection to the address that proves the key
// makes it a peer, some failures make it forgotten.

const (
	// maxTold bounds one answer. maxKey fits the encodings of any suite's keys.
	maxTold = 32
	maxKey  = 96
	// discoverPause is the time between questions, discoverWanted the number of strangers with which a node is content.
	discoverPause  = 15 * time.Second
	discoverWanted = 16
	// maxRumours bounds the targets that came from discovery, rumourTries the attempts on each.
	maxRumours  = 64
	rumourTries = 3
)

var peersMethod = Method{Name: "peers", Priority: 100, MaxRequest: 0, MaxResponse: maxTold * (maxKey + maxEndpoint + 4), Parallel: 1, Timeout: 10 * time.Second}

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

// tellPeers answers with connected peers that say where they can be reached.
func (n *Network) tellPeers(_ context.Context, from chain.Peer, _ []byte) ([]byte, error) {
	if !n.cfg.Discovery {
		return nil, errors.New("discovery is off here")
	}
	var out []rumour
	for p := range n.book.conns() { // in random order
		if addresses := n.book.addresses(p); p != from && len(addresses) > 0 && len(out) < maxTold {
			out = append(out, rumour{p, addresses[len(addresses)-1]})
		}
	}
	return encodeRumours(out), nil
}

// discover asks around until ctx ends.
func (n *Network) discover(ctx context.Context) {
	timer := time.NewTimer(jitter(n.cfg.ReconnectMin))
	defer timer.Stop()
	for {
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
		who := conns[rand.N(len(conns))]
		answer, err := n.Request(ctx, who, peersMethod.Name, nil)
		if err != nil {
			n.log.Debug("peer tells of no peers", "peer", who.Short(), "err", err)
			continue
		}
		rumours, err := decodeRumours(answer)
		if err != nil {
			n.Report(who, Misbehaviour, err.Error())
			continue
		}
		for _, r := range rumours {
			n.hear(r)
		}
	}
}
