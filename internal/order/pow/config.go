package pow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Config is what an engine is made from. What binds all nodes comes from the genesis; mining is a node's own business.
type Config struct {
	Suite crypto.Suite
	// GenesisHash is the suite's hash of block 0's header, GenesisMillis its time.
	GenesisHash   crypto.Hash
	GenesisMillis uint64
	Params        chain.WorkParams
	// Executed waits until the block at height has been executed here and returns the suite's hash of its header. It is asked for ascending heights by one
	// goroutine, of blocks that are delivered and of some that will be.
	Executed func(ctx context.Context, height uint64) (crypto.Hash, error)
	// Coinbase is the account that own blocks credit. Without one nothing is mined and no work is given away.
	Coinbase common.Address
	// Threads is how many goroutines mine at the start (SetThreads changes it); 0: only those who ask for Work do.
	Threads int
	// Solver mines in place of threads on this machine's processors; tests have one of simulated hash power.
	Solver Solver
	// Misbehaved is told of peers that sent what no honest node sends; nil: nobody is. It must not block.
	Misbehaved func(peer order.PeerID, why string)
	// Journal outlives the process.
	Journal order.Journal
	// Now is the clock; time.Now when nil. It bounds the times of blocks that come and sets those of own ones.
	Now func() time.Time
	Log *slog.Logger
}

// Solver finds a nonce. It is asked by one goroutine at a time.
type Solver interface {
	// Solve tries extras and nonces until the job's header meets its target; false when ctx ended before.
	Solve(ctx context.Context, job Job) (extra, nonce uint64, ok bool)
	// Rate is the hashes per second of late, for people.
	Rate() float64
}

// Job is a header to be solved.
type Job struct {
	Suite  crypto.Suite
	Header Header
	// Threads is how many may be busy with it, at least one.
	Threads int
}

// Validate names the first field that is missing or wrong.
func (c *Config) Validate() error {
	switch {
	case c.Suite == nil:
		return errors.New("pow: no suite")
	case c.Executed == nil:
		return errors.New("pow: nothing to ask for executed headers")
	case c.Journal == nil:
		return errors.New("pow: no journal")
	case c.Threads < 0 || c.Threads > maxThreads:
		return fmt.Errorf("pow: threads must be 0 to %d", maxThreads)
	case c.Threads > 0 && c.Coinbase == (common.Address{}):
		return errors.New("pow: mining wants an account to credit")
	case c.Params.BlockMillis < 1 || c.Params.HalfLifeMillis < 1 || c.Params.Depth < 1:
		return errors.New("pow: interval, half-life and depth must be positive")
	}
	if _, ok := c.Params.Target(); !ok {
		return fmt.Errorf("pow: %#08x is no target", c.Params.Bits)
	}
	return nil
}

const (
	// maxThreads is more than machines have cores.
	maxThreads = 1024
	// medianOf is over how many blocks the median of times is taken that a new one must exceed: more than half of the miners of eleven blocks would have to
	// lie to move it.
	medianOf = 11
	// maxHeaders bounds the headers above the last delivered decision: three days of blocks each two seconds, about 50 MB. A node that is further behind
	// delivers those and goes on.
	maxHeaders = 1 << 17
	// minAhead and maxAhead bound how far a block's time may lie ahead of this node's clock: clocks that NTP keeps differ by far less. In between it is two
	// intervals, so that a lie about the time gains little difficulty.
	minAhead = time.Second
	maxAhead = 10 * time.Second
)

// ahead is how far in milliseconds a block's time may lie ahead of the clock.
func (c *Config) ahead() uint64 {
	return uint64(min(max(2*c.interval(), minAhead), maxAhead).Milliseconds())
}

func (c *Config) interval() time.Duration {
	return time.Duration(c.Params.BlockMillis) * time.Millisecond
}

func (c *Config) nowMillis() uint64 { return uint64(max(c.Now().UnixMilli(), 0)) }
