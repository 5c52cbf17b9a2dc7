package catchup

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// The offences that Network.Report is told; the numbers are p2p's.
const (
	nuisance     = 1
	misbehaviour = 10
	attack       = 100
)

// Network reaches the peers. Safe for concurrent use; Send and Report never block.
type Network interface {
	// Send is false when the peer is not connected or its queue is full. msg is not altered afterwards.
	Send(to chain.Peer, protocol string, msg []byte) bool
	Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error)
	// Report tells how badly a peer behaved: 1 what can happen to an honest one, 10 what cannot, 100 altered data.
	Report(peer chain.Peer, offence int, why string)
	// Connected are the peers that can be sent to now, sorted.
	Connected() []chain.Peer
}

// Ledger is what is here: executed blocks and certificates are durable, a decision may be so a moment later only. Safe for concurrent use.
type Ledger interface {
	Decision(height uint64) (*chain.Decision, chain.Txs, error)
	// Header is an executed block's.
	Header(height uint64) (*chain.Header, error)
	// Certificate is nil where there is none.
	Certificate(height uint64) (*chain.Certificate, error)
}

// Pool has transactions that are verified already. Safe for concurrent use.
type Pool interface {
	// Bodies returns nil in the places of the missing ones.
	Bodies(hashes []common.Hash) (chain.Txs, []common.Hash)
}

// noPool has nothing.
type noPool struct{}

func (noPool) Bodies(hashes []common.Hash) (chain.Txs, []common.Hash) {
	return make(chain.Txs, len(hashes)), hashes
}

// Sets says who the validators are. Safe for concurrent use.
type Sets interface {
	// At is the set of that height; it waits until the block that settles it has been executed here.
	At(ctx context.Context, height uint64) (*chain.Rule, error)
}

// Deps are what catching up works with.
type Deps struct {
	Network Network
	Ledger  Ledger
	// Pool may be nil: every transaction is then verified here.
	Pool Pool
	Sets Sets
	// States are what joining nodes are served; nil: none.
	States  States
	Suite   crypto.Suite
	Genesis *chain.Genesis
	// GenesisHash is the suite's hash of block 0's header.
	GenesisHash crypto.Hash
	// Certified takes certificates that hold, with their headers, before their decisions are delivered. It must not block for long; nil: nobody.
	Certified func(c *chain.Certificate, h *chain.Header)
	// Now is the clock that peers are told; time.Now when nil.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
}

// maxPeers bounds the peers whose heights are known at a time; the network admits fewer.
const maxPeers = 1024

// CatchUp knows how far the peers are and fetches from them. Run is called once; all other methods are safe for concurrent use.
type CatchUp struct {
	cfg      Config
	deps     Deps
	verifier *chain.Verifier

	// behind is the ring that Behind gives out, bell wakes the status loop; each holds one ring.
	behind, bell chan struct{}

	// mu guards all below and the peers' fields. Nothing is sent under it.
	mu    sync.Mutex
	peers map[chain.Peer]*peer
	// first, decided, executed and finalized are what we tell.
	first, decided, executed, finalized uint64
}

// New returns one that knows nobody and serves from height 1 on.
func New(cfg Config, deps Deps) (*CatchUp, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Pool == nil {
		deps.Pool = noPool{}
	}
	if deps.Certified == nil {
		deps.Certified = func(*chain.Certificate, *chain.Header) {}
	}
	return &CatchUp{cfg: cfg, deps: deps, verifier: chain.NewVerifier(deps.Genesis), behind: make(chan struct{}, 1), bell: make(chan struct{}, 1),
		peers: make(map[chain.Peer]*peer), first: 1}, nil
}

// Behind rings (holds one ring) when a peer that is believed is ahead of the height that SetHeight told last. It rings again with each status that
// says so.
func (c *CatchUp) Behind() <-chan struct{} { return c.behind }

// SetHeight tells the last decided height.
func (c *CatchUp) SetHeight(h uint64) { c.set(&c.decided, h) }

// SetExecuted tells the last executed height, durable here.
func (c *CatchUp) SetExecuted(h uint64) { c.set(&c.executed, h) }

// SetFinalized tells the last height with a certificate, durable here.
func (c *CatchUp) SetFinalized(h uint64) { c.set(&c.finalized, h) }

// SetFirst tells the lowest height that the ledger has decisions of, which is 1 but for a node that began with a snapshot.
func (c *CatchUp) SetFirst(h uint64) { c.set(&c.first, h) }

func (c *CatchUp) set(field *uint64, h uint64) {
	c.mu.Lock()
	*field = h
	c.mu.Unlock()
	ring(c.bell)
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
