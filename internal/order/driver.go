package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Errors that callers branch on.
var (
	// ErrProof: a decision's proof does not show agreement.
	ErrProof = errors.New("decision is not proven")
	// ErrProposal: a proposal must not be agreed to.
	ErrProposal = errors.New("proposal refused")
	// ErrSequence: a decision does not follow the last one, or contradicts one of the same height. The engine or the ledger is broken.
	ErrSequence = errors.New("decision does not follow the ledger")
	// ErrMissing: transactions of a decision are not to be had.
	ErrMissing = errors.New("transactions of a decision are missing")
)

// Pool is where transactions wait. Safe for concurrent use.
type Pool interface {
	// Ready is what Build could give: transactions, bytes, gas limits, and since when the oldest that no Build has seen waits.
	Ready() (txs, bytes int, gas uint64, since time.Time)
	// Build lists transactions that are not decided, in an order that can be executed.
	Build(maxTxs, maxBytes int, maxGas uint64) []common.Hash
	// BuildBeyond is Build behind blocks that are not decided: what taken tells of is left out, and what follows it may come.
	BuildBeyond(taken func(*chain.Tx) bool, maxTxs, maxBytes int, maxGas uint64) []common.Hash
	// Bodies returns nil in the places of the missing ones.
	Bodies(hashes []common.Hash) (txs chain.Txs, missing []common.Hash)
	// DecidedAlready finds a hash that an earlier decision holds and no block has executed.
	DecidedAlready(hashes []common.Hash) (common.Hash, bool)
	// Decided takes them out of what Build gives.
	Decided(txs chain.Txs)
	// Stale lists up to max of the transactions that Build would give first and could have given since before then.
	Stale(before time.Time, max int) []common.Hash
	// LongestWait is the longest that transactions of the decisions since then had been ready when they were decided.
	LongestWait(since time.Time) time.Duration
	// Notify rings when Ready has grown.
	Notify() <-chan struct{}
}

// Ledger keeps decisions. Called by one goroutine at a time, where nothing else is said.
type Ledger interface {
	// AppendDecision keeps d, which follows the last one, and its transactions. It is durable at the latest when anything is that is written after it: an
	// entry of the engine's journal, the block. So a crash may lose it, never something that rests on it.
	AppendDecision(ctx context.Context, d *chain.Decision, txs chain.Txs) error
	// SyncDecisions makes all of them durable that AppendDecision has kept.
	SyncDecisions() error
	// KeepProposal remembers the transactions of a proposal across a crash, from the engine's next entry in its journal at the latest until the next decision.
	// Safe for concurrent use.
	KeepProposal(txs chain.Txs) error
	// KeptProposals are those that are remembered, oldest first.
	KeptProposals() ([]chain.Txs, error)
	// KeepBlock remembers the transactions of a block that is not decided, under its decision's hash, as KeepProposal does; until it is dropped or its height
	// is decided. DropBlock forgets them. Safe for concurrent use.
	KeepBlock(height uint64, hash crypto.Hash, txs chain.Txs) error
	DropBlock(height uint64, hash crypto.Hash) error
	// KeptBlocks calls fn with those that are remembered.
	KeptBlocks(fn func(height uint64, hash crypto.Hash, txs chain.Txs)) error
	// DecisionProof is the proof of the decision at height. Safe for concurrent use, and Decision too.
	DecisionProof(height uint64) ([]byte, error)
	// LastDecision is nil before the first.
	LastDecision() (*chain.Decision, error)
	Decision(height uint64) (*chain.Decision, chain.Txs, error)
}

// Network reaches the other nodes. Safe for concurrent use.
type Network interface {
	// Send and Broadcast never block.
	Send(to PeerID, msg []byte)
	Broadcast(msg []byte)
	// Fetch returns verified transactions, nil in the places of those that no peer had before ctx ended. It asks from first; 0 is anyone.
	// What it got it also offers to the pool.
	Fetch(ctx context.Context, from PeerID, hashes []common.Hash) (chain.Txs, error)
}

// Sets says who the validators are. Safe for concurrent use.
type Sets interface {
	// At is the rule of that height; it waits until the block that settles it (height−chain.ActivationDelay) has been executed here.
	At(ctx context.Context, height uint64) (*chain.Rule, error)
}

// CatchUp fetches what peers have decided. Safe for concurrent use.
type CatchUp interface {
	// Fetch gets decisions from height from on, to height to (0: as far as known peers are), in order, and calls deliver for each, verified by
	// verify. It returns nil when it has delivered what could be had.
	Fetch(ctx context.Context, from, to uint64, verify func(ctx context.Context, d *chain.Decision) error,
		deliver func(ctx context.Context, d *chain.Decision, txs chain.Txs) error) error
	// Behind rings (holds one ring) when peers are known to be ahead of the height that SetHeight told last.
	Behind() <-chan struct{}
	SetHeight(h uint64)
}

// Finality is what is known of blocks that are certified. Safe for concurrent use.
type Finality interface {
	// Finalized is the last one's height.
	Finalized() uint64
	// Moved is closed when Finalized next moves.
	Moved() <-chan struct{}
}

// Config is what of ordering is a node's own business; what binds all nodes stands in the genesis.
type Config struct {
	// Pipeline is how many decisions may wait for execution: enough to keep execution busy, few enough that their memory is small and a
	// restart replays little. At most maxPipeline.
	Pipeline int `toml:"pipeline"`
	// VerifyWait is how long Verify waits for transactions on their way: longer holds up the engine's view, shorter refuses good proposals.
	VerifyWait time.Duration `toml:"verify_wait"`
	// FetchWait is how long Deliver tries to get a decided transaction from the peers before it says so and begins again.
	FetchWait time.Duration `toml:"fetch_wait"`
	// Pace is how long a proposal of several validators that has room left waits for the block before it to be final; 0: not at all. Nodes whose
	// processors are busy agree faster when they do not execute meanwhile, and fewer blocks cost them less; where it is the network that takes long, the
	// wait is short beside that.
	Pace time.Duration `toml:"pace"`
}

// maxPipeline keeps what is ordered and not executed well below chain.ActivationDelay: whoever has ordered a block can then know the set of the
// next one by waiting for blocks that are in the queue already.
const maxPipeline = chain.ActivationDelay / 2

// DefaultConfig fits a local network.
func DefaultConfig() Config {
	return Config{Pipeline: 4, VerifyWait: 500 * time.Millisecond, FetchWait: 30 * time.Second, Pace: 25 * time.Millisecond}
}

// Validate names the first field that is out of range.
func (c *Config) Validate() error {
	switch {
	case c.Pipeline < 1 || c.Pipeline > maxPipeline:
		return fmt.Errorf("order: pipeline must be 1 to %d", maxPipeline)
	case c.VerifyWait <= 0:
		return fmt.Errorf("order: verify_wait must be positive")
	case c.FetchWait <= 0:
		return fmt.Errorf("order: fetch_wait must be positive")
	case c.Pace < 0 || c.Pace > maxPace:
		return fmt.Errorf("order: pace must be 0 to %s", maxPace)
	}
	return nil
}

// maxPace keeps proposals from waiting so long that the validators would take the leader for one that leaves transactions out.
const maxPace = 500 * time.Millisecond

// maxDrift is how far a proposal's time may lie ahead of this node's clock: clocks that NTP keeps differ by far less, and a proposer that
// runs ahead would drag the chain's time with it for ever, as it never decreases.
const maxDrift = 10 * time.Second

// Node is who orders, with what, and where it goes.
type Node struct {
	Genesis *chain.Genesis
	// GenesisHash is the suite's hash of block 0's header.
	GenesisHash crypto.Hash
	Suite       crypto.Suite
	// ID is this node's number where no validator set names its key.
	ID     chain.ValidatorID
	Key    crypto.PrivateKey
	Pool   Pool
	Ledger Ledger
	// Network is nil where there are no other nodes.
	Network Network
	// Sets says which validators order and attest a height, and how; nil: as the genesis says, for ever.
	Sets Sets
	// CatchUp fetches what peers have decided; nil where there are no other nodes.
	CatchUp CatchUp
	// Final is what Config.Pace waits for; nil: no proposal waits.
	Final Finality
	// Now is the clock of proposals; time.Now when nil.
	Now func() time.Time
	Log *slog.Logger
}

// Work is one decision for execution, durable with its block at the latest, with its transactions in decided order.
type Work struct {
	Decision *chain.Decision
	Txs      chain.Txs
}

// Driver is the Host of every engine. See Host for concurrency.
type Driver struct {
	cfg  Config
	node Node
	out  chan Work
	last atomic.Pointer[tip]
	// rule is the one of the next height.
	rule atomic.Pointer[chain.Rule]
	held held
	// branches are blocks that are not decided, of engines that have such.
	branches branches
	// wants are the peers' wishes that wait for wish; full is when the last decision without room came, in Unix nanoseconds.
	wants chan want
	full  atomic.Int64
	// engine verifies what Sync fetches; set by Run before the engine runs.
	engine Engine
	// replayed is closed when Run has told the pool of all decisions of former lives.
	replayed chan struct{}

	// mu guards bell, which is closed and replaced when the pool's doorbell rings.
	mu   sync.Mutex
	bell chan struct{}
}

// NewDriver reads the last decision from the ledger.
func NewDriver(cfg Config, n Node) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if n.Now == nil {
		n.Now = time.Now
	}
	if n.Log == nil {
		n.Log = slog.New(slog.DiscardHandler)
	}
	last, err := n.Ledger.LastDecision()
	if err != nil {
		return nil, fmt.Errorf("order: read the last decision: %w", err)
	}
	d := &Driver{cfg: cfg, node: n, out: make(chan Work, cfg.Pipeline-1), wants: make(chan want, maxWants), replayed: make(chan struct{}),
		bell: make(chan struct{})}
	d.rule.Store(n.Genesis.Rule())
	if last != nil {
		d.last.Store(d.tip(last))
	}
	promised, err := n.Ledger.KeptProposals()
	if err != nil {
		return nil, fmt.Errorf("order: read the kept proposals: %w", err)
	}
	for _, txs := range promised {
		d.held.keep(txs)
	}
	if err := n.Ledger.KeptBlocks(d.branches.keep); err != nil {
		return nil, fmt.Errorf("order: read the kept blocks: %w", err)
	}
	return d, nil
}

// tip is the last decision with its hash, which costs a pass over all its transactions.
type tip struct {
	*chain.Decision
	hash crypto.Hash
}

func (d *Driver) tip(dec *chain.Decision) *tip { return &tip{dec, dec.Hash(d.node.Suite)} }

// Work is the queue to execution, in height order without gaps. It is closed when Run ends.
func (d *Driver) Work() <-chan Work { return d.out }

// Replayed is closed when Run has told the pool of all that was decided and not executed when the node stopped.
func (d *Driver) Replayed() <-chan struct{} { return d.replayed }

// Run hands on the decisions after height executed that the ledger holds already, then runs engine until ctx ends (nil) or it fails. It
// returns when its goroutines have, and may be called once.
func (d *Driver) Run(ctx context.Context, engine Engine, executed uint64) error {
	defer close(d.out)
	d.engine = engine
	if err := d.replay(ctx, executed); err != nil {
		return Ended(ctx, err)
	}
	close(d.replayed)
	if _, err := d.settle(ctx, d.height()); err != nil {
		return Ended(ctx, err)
	}
	g, ctx2 := errgroup.WithContext(ctx)
	over := make(chan struct{})
	g.Go(func() error {
		d.forward(ctx2, engine, over)
		return nil
	})
	g.Go(func() error {
		d.fetchWanted(ctx2, over)
		return nil
	})
	g.Go(func() error {
		defer close(over)
		return engine.Run(ctx2, d)
	})
	return Ended(ctx, g.Wait())
}

// Ended is err, but nil where err only says that ctx ended: how engines and the driver return after a cancellation.
func Ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// replay hands on what was ordered and not executed when the node stopped.
func (d *Driver) replay(ctx context.Context, executed uint64) error {
	if last := d.height(); executed > last {
		return fmt.Errorf("%w: block %d is executed, the last decision is %d", ErrSequence, executed, last)
	}
	for h := executed + 1; h <= d.height(); h++ {
		dec, txs, err := d.node.Ledger.Decision(h)
		if err != nil {
			return fmt.Errorf("order: read decision %d: %w", h, err)
		}
		d.node.Pool.Decided(txs)
		if err := d.handOn(ctx, Work{dec, txs}); err != nil {
			return err
		}
	}
	return nil
}

// forward carries the pool's rings to whoever waits here and to the engine.
func (d *Driver) forward(ctx context.Context, engine Engine, over <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-d.node.Pool.Notify():
			d.mu.Lock()
			close(d.bell)
			d.bell = make(chan struct{})
			d.mu.Unlock()
			engine.Pending()
		}
	}
}

// rung is closed at the next ring.
func (d *Driver) rung() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bell
}

func (d *Driver) height() uint64 {
	if last := d.last.Load(); last != nil {
		return last.Height
	}
	return 0
}

// Sign implements Host.
func (d *Driver) Sign(msg []byte) ([]byte, error) {
	sig, err := d.node.Key.Sign(SigningMessage(d.node.GenesisHash, msg))
	if err != nil {
		return nil, fmt.Errorf("order: sign: %w", err)
	}
	return sig, nil
}

// VerifySig implements Host.
func (d *Driver) VerifySig(v *chain.Validator, msg, sig []byte) error {
	return VerifySig(d.node.Suite, d.node.GenesisHash, v, msg, sig)
}

// VerifySig checks a signature of Host.Sign on the chain of genesis.
func VerifySig(suite crypto.Suite, genesis crypto.Hash, v *chain.Validator, msg, sig []byte) error {
	key, err := suite.ParsePublicKey(v.PublicKey)
	if err != nil {
		return fmt.Errorf("order: key of validator %d: %w", v.ID, err)
	}
	if err := key.Verify(SigningMessage(genesis, msg), sig); err != nil {
		return fmt.Errorf("order: validator %d: %w", v.ID, err)
	}
	return nil
}

// Behind implements Host.
func (d *Driver) Behind() <-chan struct{} {
	if d.node.CatchUp == nil {
		return nil // nobody can be ahead
	}
	return d.node.CatchUp.Behind()
}

// Send implements Host.
func (d *Driver) Send(to PeerID, msg []byte) {
	if d.node.Network != nil {
		d.node.Network.Send(to, msg)
	}
}

// Broadcast implements Host.
func (d *Driver) Broadcast(msg []byte) {
	if d.node.Network != nil {
		d.node.Network.Broadcast(msg)
	}
}
