package node

import (
	"cmp"
	"fmt"

	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

// Details is what jialing status and jialing doctor ask about beyond Status. What cannot be read stays zero: an answer with a gap is worth more than none.
func (n serveNode) Details() eth.NodeDetails {
	engine := n.p.engine.Status()
	d := eth.NodeDetails{
		Genesis: n.p.genesisHash, PublicKey: n.key.Public().Bytes(), Ordered: engine.Height, Leader: engine.Leader, View: engine.View,
		LeaderChanges: int(engine.LeaderChanges), PoolMax: n.cfg.Pool.MaxTxs,
		DiskReserve: uint64(n.cfg.Store.MinFreeMiB) << 20, Started: n.started, Now: n.now(),
	}
	if me := n.me(); me != nil {
		d.Validator = me.ID
	}
	d.Names, d.Unsigned, d.Evidence = n.names(), n.p.attest.Missing(), n.evidence(engine.Evidence)
	d.Contradictions, d.Abstains = n.p.docket.All(), engine.Abstains
	d.Teaching, d.Stake = n.teaching.status(), n.p.operator.Status()
	if n.p.rekey != nil {
		d.Encryption = n.p.rekey.status()
	}
	if c, ok := n.p.network.(interface{ Conflicts() []string }); ok { // a simulated network has none
		d.Conflicts = c.Conflicts()
	}
	if n.p.admission != nil {
		d.Certificate = n.p.admission.status()
	}
	if s := n.serving(); s != nil {
		status := s.AccessStatus()
		d.Access = &status
	}
	d.AuditSeq, d.AuditHead = n.auditHead()
	if free, err := freeBytes(n.cfg.Dir); err == nil {
		d.DiskFree = free
	}
	return d
}

// Peers are the other nodes that this one knows of, connected or not.
func (n serveNode) Peers() []eth.PeerStatus {
	if n.p.network == nil {
		return nil
	}
	states := make(map[chain.Peer]catchup.PeerState)
	for _, s := range n.p.catchup.States() {
		states[s.Peer] = s
	}
	names := n.names()
	infos := n.p.network.Peers()
	out := make([]eth.PeerStatus, len(infos))
	for i, f := range infos {
		s := states[f.Peer]
		out[i] = eth.PeerStatus{
			PublicKey: []byte(f.Peer), Validator: chain.ValidatorID(n.p.members.id(f.Peer)), Name: names[f.Peer], Address: f.Address,
			Connected: f.Connected, Inbound: f.Inbound, Channel: f.Channel, Since: f.Since, Height: s.Decided, Finalized: s.Finalized, Heard: s.Heard,
			ClockOffset: s.ClockOffset, RoundTrip: cmp.Or(f.RoundTrip, s.RoundTrip), Score: f.Score, BannedUntil: f.BannedUntil, LastError: f.LastError,
			Sent: f.Sent, Received: f.Received, Dropped: f.Dropped,
		}
		if s.IgnoredUntil.After(n.now()) {
			out[i].LastError = "what it says of its blocks is ignored: " + s.Why
		}
	}
	return out
}

// evidence tells of validators that contradicted themselves, in ordering and in attesting.
func (n serveNode) evidence(ordering []order.Evidence) (out []string) {
	for _, e := range ordering {
		out = append(out, fmt.Sprintf("validator %d made two %ss at height %d, view %d: %s and %s", e.Validator, e.What, e.Height, e.View, e.First, e.Second))
	}
	for _, e := range n.p.attest.Evidence() {
		out = append(out, fmt.Sprintf("validator %d attested two blocks at height %d: %s and %s", e.Validator, e.Height, e.Headers[0], e.Headers[1]))
	}
	return out
}

// names are the validators' by key, as they have agreed on them.
func (n serveNode) names() map[chain.Peer]string {
	if n.p.network == nil {
		return nil
	}
	names := make(map[chain.Peer]string)
	for _, m := range n.p.sets.Members() {
		names[chain.Peer(m.PublicKey)] = m.Name
	}
	return names
}
