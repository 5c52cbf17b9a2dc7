package bft

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Config is what an engine is made from. All times come from the genesis: no node's own setting may stop the others.
type Config struct {
	// Kind is what Status calls this engine: chain.BFT, the same as saying nothing, or chain.PoS, where stake elects the sets that it is given.
	Kind  chain.EngineKind
	Suite crypto.Suite
	// GenesisHash is the suite's hash of block 0's header.
	GenesisHash crypto.Hash
	// Public is this node's key as validator sets name it. A node whose key is in no set follows, until a set names it.
	Public []byte
	// From is the first height of this engine's term: what was decided before it bears another engine's proof. 0 or 1: the chain began with it.
	From   uint64
	Params chain.BFTParams
	// Heartbeat makes an empty decision after that long without one; 0: never.
	Heartbeat time.Duration
	// Fence keeps a validator that may have forgotten what it signed from signing; nil: one that is open.
	Fence *order.Fence
	// Journal outlives the process.
	Journal order.Journal
	Log     *slog.Logger
}

// Validate names the first field that is missing.
func (c *Config) Validate() error {
	switch {
	case c.Kind != "" && c.Kind != chain.BFT && c.Kind != chain.PoS:
		return fmt.Errorf("bft: engine %q is another", c.Kind)
	case c.Suite == nil:
		return errors.New("bft: no suite")
	case len(c.Public) == 0:
		return errors.New("bft: no public key")
	case c.Journal == nil:
		return errors.New("bft: no journal")
	case c.Heartbeat < 0:
		return errors.New("bft: heartbeat must not be negative")
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"leader", c.Params.LeaderTimeoutMillis}, {"request", c.Params.RequestTimeoutMillis}, {"view change", c.Params.ViewChangeTimeoutMillis}} {
		if f.value <= 0 {
			return fmt.Errorf("bft: %s timeout must be positive", f.name)
		}
	}
	return nil
}

func (c *Config) leaderTimeout() time.Duration {
	return time.Duration(c.Params.LeaderTimeoutMillis) * time.Millisecond
}

func (c *Config) requestTimeout() time.Duration {
	return time.Duration(c.Params.RequestTimeoutMillis) * time.Millisecond
}

func (c *Config) viewChangeTimeout() time.Duration {
	return time.Duration(c.Params.ViewChangeTimeoutMillis) * time.Millisecond
}

const (
	// heartbeats is how many a leader sends within the leader timeout: nine may be lost.
	heartbeats = 10
	// longestTick bounds the pace of the library's clocks: a change of the leader waits for up to three ticks.
	longestTick = 100 * time.Millisecond
	// never is for the library's timers of requests: its requests are only our ticks, see proposer.go.
	never = 24 * time.Hour
	// messageQueue is the length of the library's queues: a burst of all phases of the next decisions from 512 validators fits.
	messageQueue = 4096
)

// tick is the pace of the library's clocks.
func (c *Config) tick() time.Duration { return min(c.leaderTimeout()/heartbeats, longestTick) }

// library is the library's configuration of the validator with that id.
func (c *Config) library(id uint64) types.Configuration {
	return types.Configuration{
		SelfID:                        id,
		RequestBatchMaxCount:          1,
		RequestBatchMaxBytes:          tickSize,
		RequestMaxBytes:               tickSize,
		RequestBatchMaxInterval:       time.Second, // an idle leader looks again; ticks wake it before
		IncomingMessageBufferSize:     messageQueue,
		RequestPoolSize:               16, // one tick is there at most
		RequestForwardTimeout:         never,
		RequestComplainTimeout:        never,
		RequestAutoRemoveTimeout:      never,
		RequestPoolSubmitTimeout:      time.Second,
		ViewChangeResendInterval:      min(500*time.Millisecond, c.viewChangeTimeout()/3),
		ViewChangeTimeout:             c.viewChangeTimeout(),
		LeaderHeartbeatTimeout:        c.leaderTimeout(),
		LeaderHeartbeatCount:          heartbeats,
		NumOfTicksBehindBeforeSyncing: heartbeats,
		CollectTimeout:                time.Second, // never waited for, see comm.go
	}
}
