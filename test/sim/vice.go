package sim

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// viceKind is a set of ways in which a member lies. The node behind it is a real one; what it says is bent on its way out.
type viceKind uint

const (
	// equivocate says one thing to some and another to others: proposals, votes, attestations, each signed where it must be.
	equivocate viceKind = 1 << iota
	// withhold keeps messages of some kinds from some peers.
	withhold
	// wrongRoot attests a header of another state.
	wrongRoot
	// garbage sends random bytes on every protocol and method, and messages altered in a few places.
	garbage
	// flood repeats what it sends many times over.
	flood
	// replay sends old messages again.
	replay
	// alter gives altered answers to requests: blocks, transactions, snapshots.
	alter
	// twin is a second process with the same key and another disk: it votes for what it sees.
	twin
	vices = iota
)

var viceNames = [...]string{"equivocates", "withholds", "attests a wrong root", "sends garbage", "floods", "replays", "alters answers", "has a twin"}

func (k viceKind) String() string {
	var out []string
	for i, name := range viceNames {
		if k&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// drawVice draws one to three ways.
func drawVice(rng *rand.Rand) (k viceKind) {
	for range 1 + rng.IntN(3) {
		k |= 1 << rng.IntN(vices)
	}
	return k
}

// vice is a Byzantine member's mind. It turns its vices on and off, so that it comes to be trusted in between.
type vice struct {
	w    *world
	m    *member
	kind viceKind

	// mu guards the rest; the node sends from many goroutines.
	mu sync.Mutex
	// rng is of the member alone.
	rng *rand.Rand
	// active tells whether it lies now.
	active bool
	// kept are the protocols that it keeps from each peer.
	kept map[chain.Peer]map[string]bool
	// side are the peers that hear the other version.
	side map[chain.Peer]bool
	// other is the digest of the last proposal that the other side heard.
	other string
	// old are messages that it may send again.
	old []oldMessage
}

type oldMessage struct {
	to       chain.Peer
	protocol string
	msg      []byte
}

// keptMessages bounds what a replaying member remembers.
const keptMessages = 256

func newVice(w *world, m *member, kind viceKind, rng *rand.Rand) *vice {
	return &vice{w: w, m: m, kind: kind, rng: rng, kept: make(map[chain.Peer]map[string]bool), side: make(map[chain.Peer]bool)}
}

// wrap puts the vice between a node and its network. A member without one has the network itself.
func (v *vice) wrap(e *endpoint) node.Network {
	if v == nil {
		return e
	}
	return &liar{e, v}
}

// liar is the network of a Byzantine member.
type liar struct {
	*endpoint
	v *vice
}

// Run implements node.Network.
func (l *liar) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.endpoint.Run(ctx) })
	g.Go(func() error {
		l.v.live(ctx, l.endpoint)
		return nil
	})
	return g.Wait()
}

// live changes the mind now and then, and does what needs no occasion.
func (v *vice) live(ctx context.Context, e *endpoint) {
	for {
		v.mu.Lock()
		wait := time.Duration(200+v.rng.IntN(4000)) * time.Millisecond
		if v.rng.IntN(8) == 0 {
			v.turn(e)
		}
		active := v.active
		v.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if active {
			v.act(ctx, e)
		}
	}
}

// turn draws anew whether it lies, to whom, and about what. The caller holds mu.
func (v *vice) turn(e *endpoint) {
	v.active = v.rng.IntN(3) > 0
	peers := e.Connected()
	clear(v.kept)
	clear(v.side)
	for _, p := range peers {
		v.side[p] = v.rng.IntN(2) == 0
		kept := make(map[string]bool)
		for _, name := range []string{orderProtocol, attestProtocol, statusProtocol, txsProtocol} {
			kept[name] = v.rng.IntN(2) == 0
		}
		v.kept[p] = kept
	}
	if v.kind&twin != 0 {
		v.w.net.shuffleTwins(e.host.index)
	}
}

// act does one thing that needs no occasion.
func (v *vice) act(ctx context.Context, e *endpoint) {
	peers := e.Connected()
	if len(peers) == 0 {
		return
	}
	v.mu.Lock()
	to := peers[v.rng.IntN(len(peers))]
	var send []oldMessage
	var ask string
	junk := v.junk()
	if v.kind&garbage != 0 {
		names := sortedKeys(e.protocols)
		send = append(send, oldMessage{to, names[v.rng.IntN(len(names))], junk})
		if len(v.old) > 0 {
			o := v.old[v.rng.IntN(len(v.old))]
			send = append(send, oldMessage{to, o.protocol, v.damage(o.msg)})
		}
		methods := sortedKeys(e.methods)
		ask = methods[v.rng.IntN(len(methods))]
	}
	if v.kind&replay != 0 {
		for range min(len(v.old), 4) {
			o := v.old[v.rng.IntN(len(v.old))]
			o.to = to
			send = append(send, o)
		}
	}
	if v.kind&flood != 0 && len(v.old) > 0 {
		o := v.old[v.rng.IntN(len(v.old))]
		for range 50 {
			send = append(send, o)
		}
	}
	v.mu.Unlock()
	for _, o := range send {
		e.Send(o.to, o.protocol, o.msg)
	}
	if ask != "" {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, _ = e.Request(ctx, to, ask, junk) // whatever comes back
	}
}

// Send implements node.Network.
func (l *liar) Send(to chain.Peer, protocol string, msg []byte) bool {
	v := l.v
	v.mu.Lock()
	if v.kind&(replay|garbage|flood) != 0 {
		if len(v.old) == keptMessages {
			v.old[v.rng.IntN(keptMessages)] = oldMessage{to, protocol, bytes.Clone(msg)}
		} else {
			v.old = append(v.old, oldMessage{to, protocol, bytes.Clone(msg)})
		}
	}
	keep := false
	if v.active {
		keep = v.kind&withhold != 0 && v.kept[to][protocol]
		switch {
		case protocol == attestProtocol && (v.kind&wrongRoot != 0 || v.kind&equivocate != 0 && v.side[to]):
			msg = v.otherHeader(msg)
		case protocol == orderProtocol && v.kind&equivocate != 0 && v.side[to]:
			msg = v.otherProposal(msg)
		}
	}
	v.mu.Unlock()
	if keep {
		return true
	}
	return l.endpoint.Send(to, protocol, msg)
}

// Serve implements node.Network.
func (l *liar) Serve(m p2p.Method, r p2p.Responder) {
	v := l.v
	var last []byte
	l.endpoint.Serve(m, func(ctx context.Context, from chain.Peer, request []byte) ([]byte, error) {
		body, err := r(ctx, from, request)
		v.mu.Lock()
		defer v.mu.Unlock()
		if !v.active || v.kind&alter == 0 {
			return body, err
		}
		defer func() { last = bytes.Clone(body) }()
		switch v.rng.IntN(5) {
		case 0:
			return v.junk(), nil
		case 1:
			return bytes.Clone(last), nil
		case 2:
			return body[:len(body)/2], nil
		}
		return v.damage(body), err
	})
}

// junk is random bytes. The caller holds mu.
func (v *vice) junk() []byte {
	b := make([]byte, v.rng.IntN(600))
	for i := range b {
		b[i] = byte(v.rng.Uint32())
	}
	return b
}

// damage alters a few bytes. The caller holds mu.
func (v *vice) damage(b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + v.rng.IntN(3) {
		if len(b) > 0 {
			b[v.rng.IntN(len(b))] ^= byte(1 + v.rng.IntN(255))
		}
	}
	return b
}

// otherHeader makes of attestations those of another header, signed as they must be. The caller holds mu.
func (v *vice) otherHeader(msg []byte) []byte {
	genesis := v.w.genesisHash.Load()
	return editAttestations(msg, func(a *wireSigned) {
		if a.Attestation.Validator != v.w.idOf(v.m.peer) || genesis == nil {
			return
		}
		a.Header = crypto.Hash(seedBytes(a.Height^v.w.seed, "another root"))
		if sig, err := v.m.key.Sign(chain.AttestationMessage(*genesis, a.Height, a.Header)); err == nil {
			a.Attestation.Signature = sig
		}
	})
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
