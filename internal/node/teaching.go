package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

// TeachingConfig turns a node into one for lessons: whoever may call its debug methods can cut it off from others and make it lie.
type TeachingConfig struct {
	// Enabled is never on by default and never on a node of any worth.
	Enabled bool `toml:"enabled"`
}

// The ways in which a node in teaching mode misbehaves. What it does stands around the stages, in teaching_network.go and teaching_lies.go; none of them
// knows of it.
const (
	// LieDoubleSign attests and commits to something else as well, each time: what evidence is made of.
	LieDoubleSign = "double-sign"
	// LieInvalid proposes what nobody may agree to, once it leads.
	LieInvalid = "invalid"
	// LieSilent hears everything and says nothing of ordering and attesting, connected all the while.
	LieSilent = "silent"
)

// teachable are the lies that mean something to an engine's other nodes. One node alone lies to nobody.
var teachable = map[chain.EngineKind][]string{
	chain.Raft: {LieDoubleSign, LieInvalid, LieSilent},
	chain.BFT:  {LieDoubleSign, LieInvalid, LieSilent},
	chain.PoS:  {LieDoubleSign, LieInvalid, LieSilent},
	chain.PoW:  {LieInvalid, LieSilent},
}

// maxCut bounds the peers of one call: more than a lesson has.
const maxCut = 1024

// ErrTeaching is a chain on which no lessons are given.
var ErrTeaching = errors.New("teaching mode")

// teaching is what a node in teaching mode has been told to do. It outlives the rounds of Node.Run, not the process. Safe for concurrent use.
type teaching struct {
	engine chain.EngineKind
	suite  crypto.Suite
	key    crypto.PrivateKey
	log    *slog.Logger
	// say bounds what is logged of single lies.
	say occasionally

	mu sync.Mutex
	// cut are the peers that this node does not hear and that do not hear it. It is replaced, never altered.
	cut map[chain.Peer]bool
	lie string
	// network is the one of the run under way; nil without.
	network *teachingNetwork
}

// newTeaching is nil for a node that is not in teaching mode.
func newTeaching(cfg TeachingConfig, g *chain.Genesis, suite crypto.Suite, key crypto.PrivateKey, log *slog.Logger) (*teaching, error) {
	if !cfg.Enabled {
		return nil, nil
	}
	if g.Admission == chain.AdmitCertificates {
		return nil, fmt.Errorf("%w: not on a chain whose organisations certify nodes; set teaching.enabled to false", ErrTeaching)
	}
	log.Warn("teaching mode: who may call debug methods can cut this node off and make it lie; for lessons only")
	return &teaching{engine: g.Consensus.Engine, suite: suite, key: key, log: log, say: occasionally{every: time.Second}}, nil
}

// isolate cuts this node off from these peers and binds it to all others again.
func (t *teaching) isolate(peers []chain.Peer) {
	cut := make(map[chain.Peer]bool)
	var names []string
	for _, p := range peers {
		cut[p] = true
		names = append(names, p.Short())
	}
	t.mu.Lock()
	was, network := t.cut, t.network
	t.cut = cut
	t.mu.Unlock()
	t.log.Warn("teaching mode: cut off", "from", names)
	if network != nil {
		network.moved(was, cut)
	}
}

// isCut tells whether a peer is out of reach. A nil teaching has none.
func (t *teaching) isCut(p chain.Peer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut[p]
}

// misbehave makes this node lie from now on; "" makes it honest again.
func (t *teaching) misbehave(how string) error {
	if lies := teachable[t.engine]; how != "" && !slices.Contains(lies, how) {
		return fmt.Errorf("%w: %q is no way to lie to nodes of engine %q, use one of %q, or \"\" for honesty", ErrTeaching, how, t.engine, lies)
	}
	t.mu.Lock()
	t.lie = how
	t.mu.Unlock()
	if how == "" {
		t.log.Warn("teaching mode: this node is honest again")
	} else {
		t.log.Warn("teaching mode: this node lies", "how", how)
	}
	return nil
}

// lies tells whether this node misbehaves that way now.
func (t *teaching) lies(how string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lie == how
}

// told notes one lie, for whoever reads the log.
func (t *teaching) told(what string, args ...any) {
	if t.say.now(what) {
		t.log.Warn("teaching mode: a lie", append([]any{"what", what}, args...)...)
	}
}

// status is what jl_nodeStatus tells; nil for a node that is not in teaching mode.
func (t *teaching) status() *eth.TeachingStatus {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &eth.TeachingStatus{Lie: t.lie, Cut: []hexutil.Bytes{}}
	for _, p := range slices.Sorted(maps.Keys(t.cut)) {
		s.Cut = append(s.Cut, hexutil.Bytes(p))
	}
	return s
}

// lessons is teaching as JSON-RPC reaches it.
type lessons struct {
	t *teaching
	n serveNode
}

// Isolate implements eth.Teaching.
func (l lessons) Isolate(_ context.Context, who []string) error {
	if len(who) > maxCut {
		return fmt.Errorf("%w: %d peers, at most %d", ErrTeaching, len(who), maxCut)
	}
	known := l.n.Peers()
	var peers []chain.Peer
	for _, w := range who {
		i := slices.IndexFunc(known, func(p eth.PeerStatus) bool { return p.Name == w && w != "" || namesKey(w, p.PublicKey) })
		if i < 0 {
			return fmt.Errorf("%w: %q is neither the name nor the public key of another node", ErrTeaching, w)
		}
		peers = append(peers, chain.Peer(known[i].PublicKey))
	}
	l.t.isolate(peers)
	return nil
}

// Misbehave implements eth.Teaching.
func (l lessons) Misbehave(_ context.Context, how string) error { return l.t.misbehave(how) }

// namesKey tells whether a word is the hex of that key.
func namesKey(word string, key []byte) bool {
	b, err := hexutil.Decode(strings.ToLower(word))
	return err == nil && len(b) > 0 && bytes.Equal(b, key)
}

// occasionally says yes once in a time for each word. Safe for concurrent use.
type occasionally struct {
	every time.Duration

	mu   sync.Mutex
	last map[string]time.Time
}

func (o *occasionally) now(word string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		o.last = make(map[string]time.Time)
	}
	if time.Since(o.last[word]) < o.every {
		return false
	}
	o.last[word] = time.Now()
	return true
}

// lessons are nil for a node that is not in teaching mode.
func (n *Node) lessons(p *pipeline) eth.Teaching {
	if n.teaching == nil {
		return nil
	}
	return lessons{n.teaching, serveNode{n, p}}
}
