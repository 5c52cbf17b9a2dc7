package p2p

import (
	"context"
	"errors"
	"net"

	"github.com/jialing-chain/jialing/internal/chain"
)

// known marks an address of Network.unknown at which a peer has answered: from then on it is told of under its key.
const known = "\x00"

// aim makes the targets those that are wanted: members, configured peers, configured addresses. Rumours stay until they fail.
func (n *Network) aim() {
	wanted := n.book.wanted()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil || n.leaving.Load() {
		return
	}
	for _, p := range wanted {
		if p == n.self {
			continue
		}
		t := n.targets[string(p)]
		if t != nil && t.tries > 0 { // was a rumour, which is given up at some point
			t.stop()
			delete(n.targets, string(p))
			t = nil
		}
		if t == nil {
			n.start(string(p), &target{key: p})
		} else {
			t.nudge() // its endpoint may be another one now
		}
	}
	for address := range n.unknown {
		if n.targets[address] == nil {
			n.start(address, &target{address: address})
		}
	}
	keep := make(map[string]bool, len(wanted))
	for _, p := range wanted {
		keep[string(p)] = true
	}
	for id, t := range n.targets {
		if t.key != "" && t.tries == 0 && !keep[id] {
			t.stop()
			delete(n.targets, id)
		}
	}
}

// start runs a target. Called with mu held.
func (n *Network) start(id string, t *target) {
	if len(n.targets) >= maxTargets {
		n.log.Warn("too many peers to connect to: some are left out", "limit", maxTargets)
		return
	}
	ctx, cancel := context.WithCancel(n.running)
	t.net, t.kick, t.stop = n, make(chan struct{}, 1), cancel
	n.targets[id] = t
	n.work.Go(func() {
		defer cancel()
		t.run(ctx)
	})
}

// aimedAt are the targets that may care about a peer.
func (n *Network) aimedAt(p chain.Peer) (out []*target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.targets {
		if t.key == p || t.key == "" {
			out = append(out, t)
		}
	}
	return out
}

// hear makes a rumour a target, if there is room.
func (n *Network) hear(r rumour) {
	if _, err := n.id.Suite.ParsePublicKey([]byte(r.peer)); err != nil || r.peer == n.self || n.book.connected(r.peer) != nil || n.book.bannedFor(r.peer) > 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.targets[string(r.peer)] != nil || n.running == nil || n.leaving.Load() {
		return
	}
	rumours, neighbours, network := 0, 0, neighbourhood(r.address)
	for _, t := range n.targets {
		if t.tries > 0 {
			rumours++
			if network != "" && t.network == network {
				neighbours++
			}
		}
	}
	if rumours >= maxRumours || neighbours >= maxNeighbours {
		return
	}
	n.book.rumoured(r)
	n.start(string(r.peer), &target{key: r.peer, tries: rumourTries, network: network})
}

// forget gives up a target of discovery.
func (n *Network) forget(t *target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.targets[string(t.key)] == t {
		delete(n.targets, string(t.key))
	}
}

// unreachable notes why there is no connection to a peer, and says so once.
func (n *Network) unreachable(p chain.Peer, address, why string) {
	if !n.book.failed(p, address, why) {
		return
	}
	if n.book.isReserved(p) {
		n.log.Info("no connection to peer", "peer", p.Short(), "address", address, "reason", why)
	} else {
		n.log.Debug("no connection to peer", "peer", p.Short(), "address", address, "reason", why)
	}
}

// noteAddress notes how it went with an address without key; "" when somebody answered.
func (n *Network) noteAddress(address, why string) {
	n.mu.Lock()
	news := n.unknown[address] != why
	if why == "" {
		n.unknown[address] = known
	} else {
		n.unknown[address] = why
	}
	n.mu.Unlock()
	if news && why != "" {
		n.log.Info("no connection to peer", "address", address, "reason", why)
	}
}

// plain is an error without the ephemeral ports and the layers that change nothing for who reads it.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return op.Err.Error()
	}
	if errors.As(err, &op) {
		return "handshake: " + op.Err.Error()
	}
	return err.Error()
}
