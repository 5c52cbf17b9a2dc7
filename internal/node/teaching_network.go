package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// teachingNetwork stands before the network of a node in teaching mode: peers that it is cut off from seem to have gone, though their connections stay,
// and what the node says of ordering and attesting may be kept back or be followed by a lie. It implements Network.
type teachingNetwork struct {
	Network
	t *teaching
	// lie makes, of a message that is about to be sent, the ones that are sent instead.
	lie func(protocol string, msg []byte) [][]byte
	// watchers are told when a peer goes or comes; fixed before Run.
	watchers []func(peer chain.Peer, connected bool)
}

// wrap puts a node's network into the hands of its lesson; without one it stays what it is.
func (t *teaching) wrap(n Network, lie func(protocol string, msg []byte) [][]byte) Network {
	if t == nil || n == nil {
		return n
	}
	w := &teachingNetwork{Network: n, t: t, lie: lie}
	t.mu.Lock()
	t.network = w
	t.mu.Unlock()
	return w
}

// Handle implements Network.
func (n *teachingNetwork) Handle(p p2p.Protocol, h p2p.Handler) {
	n.Network.Handle(p, func(from chain.Peer, msg []byte) {
		if !n.t.isCut(from) {
			h(from, msg)
		}
	})
}

// Serve implements Network.
func (n *teachingNetwork) Serve(m p2p.Method, r p2p.Responder) {
	n.Network.Serve(m, func(ctx context.Context, from chain.Peer, request []byte) ([]byte, error) {
		if n.t.isCut(from) {
			return nil, fmt.Errorf("%w: cut off", ErrTeaching)
		}
		return r(ctx, from, request)
	})
}

// Watch implements Network.
func (n *teachingNetwork) Watch(f func(peer chain.Peer, connected bool)) {
	n.watchers = append(n.watchers, f)
	n.Network.Watch(func(peer chain.Peer, connected bool) {
		if !n.t.isCut(peer) {
			f(peer, connected)
		}
	})
}

// moved tells the watchers who has gone and who has come with a new cut.
func (n *teachingNetwork) moved(was, cut map[chain.Peer]bool) {
	for _, peer := range n.Network.Connected() {
		if was[peer] == cut[peer] {
			continue
		}
		for _, f := range n.watchers {
			f(peer, !cut[peer])
		}
	}
}

// Send implements Network.
func (n *teachingNetwork) Send(to chain.Peer, protocol string, msg []byte) bool {
	if n.t.isCut(to) {
		return false
	}
	sent := true
	for _, m := range n.lie(protocol, msg) {
		sent = n.Network.Send(to, protocol, m) && sent
	}
	return sent
}

// Request implements Network.
func (n *teachingNetwork) Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error) {
	if n.t.isCut(to) {
		return nil, fmt.Errorf("%w: cut off", ErrTeaching)
	}
	return n.Network.Request(ctx, to, method, request)
}

// Connected implements Network.
func (n *teachingNetwork) Connected() []chain.Peer {
	return slices.DeleteFunc(slices.Clone(n.Network.Connected()), n.t.isCut)
}

// Peers implements Network.
func (n *teachingNetwork) Peers() []p2p.Info {
	out := n.Network.Peers()
	for i := range out {
		if n.t.isCut(out[i].Peer) {
			out[i].Connected, out[i].Channel, out[i].LastError = false, "", "cut off in teaching mode"
		}
	}
	return out
}

// Conflicts are the network's own, where it can tell.
func (n *teachingNetwork) Conflicts() []string {
	if c, ok := n.Network.(interface{ Conflicts() []string }); ok {
		return c.Conflicts()
	}
	return nil
}
