package catchup

import (
	"fmt"
	"time"
)

// Config bounds catching up. All of it is local to a node.
type Config struct {
	// RangeBytes is what one request asks for at the most: enough to hide a round trip, little enough that a slow peer's part is soon done by another.
	RangeBytes int `toml:"range_bytes"`
	// RangeBlocks bounds the blocks of one request, for chains of small blocks.
	RangeBlocks int `toml:"range_blocks"`
	// Ranges bounds the ranges that are in flight or wait for delivery, and so the memory: each is at most RangeBytes and one transaction more.
	Ranges int `toml:"ranges"`
	// PerPeer is how many ranges one peer is asked for at a time: the second is on its way while the first is verified.
	PerPeer int `toml:"per_peer"`
	// RequestWait is how long an answer may take. A peer that takes longer is asked for half as much next time.
	RequestWait time.Duration `toml:"request_wait"`
	// HedgeWait is how long delivery waits for the range that it needs next before another peer is asked for it too.
	HedgeWait time.Duration `toml:"hedge_wait"`
	// IgnoreWait is how long a peer that lied is not asked.
	IgnoreWait time.Duration `toml:"ignore_wait"`
	// StatusLeast and StatusMost are the times between two messages about our heights: the first bounds what a fast chain costs, the second is how
	// long peers believe that we are alive.
	StatusLeast time.Duration `toml:"status_least"`
	StatusMost  time.Duration `toml:"status_most"`
	// SnapshotThreshold is how many blocks peers must have for a node without any to fetch a state instead of executing them all: some minutes of
	// execution. 0: never.
	SnapshotThreshold uint64 `toml:"snapshot_threshold"`
}

// DefaultConfig fits a local network.
func DefaultConfig() Config {
	return Config{RangeBytes: 4 << 20, RangeBlocks: 256, Ranges: 8, PerPeer: 2, RequestWait: 8 * time.Second, HedgeWait: time.Second,
		IgnoreWait: 30 * time.Second, StatusLeast: 50 * time.Millisecond, StatusMost: 2 * time.Second, SnapshotThreshold: 10_000}
}

// Validate names the first field that is out of range.
func (c *Config) Validate() error {
	bad := func(field, rule string) error { return fmt.Errorf("catchup: %s %s", field, rule) }
	switch {
	case c.RangeBytes < leastAsk || c.RangeBytes > maxAsk:
		return bad("range_bytes", fmt.Sprintf("must be %d to %d", leastAsk, maxAsk))
	case c.RangeBlocks < 1 || c.RangeBlocks > maxBlocks:
		return bad("range_blocks", fmt.Sprintf("must be 1 to %d", maxBlocks))
	case c.Ranges < 1 || c.Ranges > 256:
		return bad("ranges", "must be 1 to 256")
	case c.PerPeer < 1 || c.PerPeer > 16:
		return bad("per_peer", "must be 1 to 16")
	case c.RequestWait <= 0:
		return bad("request_wait", "must be positive")
	case c.HedgeWait <= 0:
		return bad("hedge_wait", "must be positive")
	case c.IgnoreWait <= 0:
		return bad("ignore_wait", "must be positive")
	case c.StatusLeast <= 0 || c.StatusMost < c.StatusLeast:
		return bad("status_least", "must be positive and at most status_most")
	}
	return nil
}
