package raft

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Config is what an engine is made from. All times come from the genesis: no node's own setting may stop the others.
type Config struct {
	Suite crypto.Suite
	// GenesisHash is the suite's hash of block 0's header.
	GenesisHash crypto.Hash
	// Founders are the validators of From, the first height of this engine's term: with them and behind that height's parent the log begins. 0 or 1: the chain
	// began with this engine.
	Founders chain.ValidatorSet
	From     uint64
	// Public is this node's key as validator sets name it. A node whose key is in no set follows, until a set names it.
	Public []byte
	Params chain.RaftParams
	// Heartbeat makes an empty decision after that long without one; 0: never.
	Heartbeat time.Duration
	// Journal outlives the process.
	Journal order.Journal
	Log     *slog.Logger
}

// Validate names the first field that is missing.
func (c *Config) Validate() error {
	switch {
	case c.Suite == nil:
		return errors.New("raft: no suite")
	case len(c.Public) == 0:
		return errors.New("raft: no public key")
	case c.Journal == nil:
		return errors.New("raft: no journal")
	case c.Heartbeat < 0:
		return errors.New("raft: heartbeat must not be negative")
	case c.Params.ElectionTimeoutMillis < heartbeats:
		return fmt.Errorf("raft: election timeout must be at least %d ms", heartbeats)
	}
	return nil
}

const (
	// heartbeats is how many a leader sends within the election timeout: three may be lost or late.
	heartbeats = 4
	// maxMessageBytes bounds the entries of one message beyond its first, which is of any size up to the largest proposal.
	maxMessageBytes = 1 << 20
	// maxInflight is how many messages with entries may be on their way to one validator.
	maxInflight = 64
)

// tick is the pace of the library's clock.
func (c *Config) tick() time.Duration {
	return time.Duration(c.Params.ElectionTimeoutMillis) * time.Millisecond / heartbeats
}

// library is the library's configuration of the validator with that number.
func (c *Config) library(id chain.ValidatorID, s raft.Storage, applied uint64) *raft.Config {
	return &raft.Config{
		ID: uint64(id), ElectionTick: heartbeats, HeartbeatTick: 1, Storage: s, Applied: applied,
		MaxSizePerMsg: maxMessageBytes, MaxInflightMsgs: maxInflight, MaxUncommittedEntriesSize: 16 << 20,
		CheckQuorum: true, PreVote: true, DisableProposalForwarding: true, StepDownOnRemoval: true, Logger: libraryLog{c.Log},
	}
}
