package node

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/pool"
)

// link gives what peers send to the stages that it is for.
func (p *pipeline) link() {
	n := p.network
	n.Handle(p.orderProtocol(), func(from chain.Peer, msg []byte) {
		if id := p.members.speaker(from); id != 0 && (p.admission == nil || p.admission.heard(from)) {
			p.kinds.count(msg, "in", 1)
			p.engine.Handle(id, msg)
		}
	})
	n.Handle(protocolAttest, func(from chain.Peer, msg []byte) {
		if err := p.attest.Receive(from, msg); err != nil {
			n.Report(from, p2p.Misbehaviour, err.Error())
		}
	})
	n.Handle(protocolStatus, p.catchup.Handle)
	n.Handle(protocolTxs, p.gossip.Handle)
	n.Serve(methodTxs, p.gossip.Serve)
	n.Serve(methodBlocks, p.catchup.Serve)
	n.Serve(methodSnapshot, p.catchup.ServeSnapshot)
	n.Serve(methodWrites, p.serveWrites)
	n.Watch(func(peer chain.Peer, connected bool) {
		p.members.changed(peer, connected)
		p.gossip.Changed(peer, connected)
		p.catchup.Changed(peer, connected)
		if connected {
			p.attest.Joined(peer)
		}
	})
}

// orderProtocol is how the engine's messages travel.
func (p *pipeline) orderProtocol() p2p.Protocol {
	if p.members.guests != nil {
		return protocolWork
	}
	return protocolOrder
}

// known is the pool as gossip serves it: with the transactions of proposals that this node has agreed to and the pool has let go of. Safe for
// concurrent use, once the pipeline is composed.
type known struct {
	*pool.Pool
	p *pipeline
}

func (k known) Bodies(hashes []common.Hash) (chain.Txs, []common.Hash) {
	return k.p.order.Bodies(hashes)
}

// orderFinality is the attest stage as the order stage sees it, which is made before it. Safe for concurrent use.
type orderFinality struct{ p *pipeline }

func (f orderFinality) Finalized() uint64      { return f.p.attest.Finalized() }
func (f orderFinality) Moved() <-chan struct{} { return f.p.attest.Moved() }

// orderLinks is the network as the order stage sees it: validators by number, or whoever is connected where there are none. Safe for concurrent use.
type orderLinks struct{ p *pipeline }

func (l orderLinks) Send(to order.PeerID, msg []byte) {
	if peer, ok := l.p.members.peer(to); ok {
		l.p.kinds.count(msg, "out", 1)
		l.p.network.Send(peer, protocolOrder.Name, msg)
	}
}

func (l orderLinks) Broadcast(msg []byte) {
	peers := l.p.members.listeners()
	l.p.kinds.count(msg, "out", len(peers))
	for _, peer := range peers {
		l.p.network.Send(peer, protocolOrder.Name, msg)
	}
}

func (l orderLinks) Fetch(ctx context.Context, from order.PeerID, hashes []common.Hash) (chain.Txs, error) {
	peer, _ := l.p.members.peer(from)
	return l.p.gossip.Fetch(ctx, peer, hashes)
}

// attestLinks is the network as attestation sees it: everybody, as followers gather certificates too. Safe for concurrent use.
type attestLinks struct{ Network }

func (l attestLinks) Send(to chain.Peer, msg []byte) { l.Network.Send(to, protocolAttest.Name, msg) }

func (l attestLinks) Broadcast(msg []byte) {
	for _, peer := range l.Connected() {
		l.Network.Send(peer, protocolAttest.Name, msg)
	}
}

// refused weighs what attestation found wrong with a peer's message.
func (p *pipeline) refused(from chain.Peer, err error) {
	offence := p2p.Misbehaviour
	if errors.Is(err, attest.ErrMember) {
		offence = p2p.Nuisance // sets change, and peers hear of it at different times
	}
	p.network.Report(from, offence, err.Error())
}

// exchange is the network as gossip and catch-up see it. Safe for concurrent use.
type exchange struct{ Network }

func (x exchange) Report(peer chain.Peer, offence int, why string) {
	x.Network.Report(peer, p2p.Offence(offence), why)
}

// certified hands attestation a certificate that catch-up has verified.
func (p *pipeline) certified(c *chain.Certificate, _ *chain.Header) {
	if err := p.attest.Verified(c); err != nil {
		p.log.Debug("a fetched certificate is not needed", "height", c.Height, "err", err)
	}
}
