package gossip

import (
	"fmt"
	"time"
)

// Config bounds gossip. All of it is local to a node.
type Config struct {
	// BatchBytes closes a batch by size: large enough that the cost of a message is spread over some hundred transactions, small enough that the
	// receiver's pool begins while the next one is on its way.
	BatchBytes int `toml:"batch_bytes"`
	// BatchWait is how long a batch waits for more after the last one was sent; a transaction that comes later than that goes at once. While batches
	// that waited are small the wait grows, to BatchWaitMax: each message costs the two ends about as much as verifying a transaction.
	BatchWait    time.Duration `toml:"batch_wait"`
	BatchWaitMax time.Duration `toml:"batch_wait_max"`
	// Workers hand batches of peers to the pool, which verifies in parallel itself: two keep it busy while results are read.
	Workers int `toml:"workers"`
	// QueueBytes bounds what one peer may have waiting for the pool: about a second of full load.
	QueueBytes int `toml:"queue_bytes"`
	// Comparisons is how many pools are compared with ours at a time.
	Comparisons int `toml:"comparisons"`
	// CompareWait is the least time between two comparisons with one peer. It doubles, to CompareWaitMax, while our pool has no room.
	CompareWait    time.Duration `toml:"compare_wait"`
	CompareWaitMax time.Duration `toml:"compare_wait_max"`
	// RequestWait is how long one answer may take, HedgeWait after how long the next peer is asked as well: a proposal waits half a second for its
	// transactions, so there must be time for a second and third try.
	RequestWait time.Duration `toml:"request_wait"`
	HedgeWait   time.Duration `toml:"hedge_wait"`
}

// DefaultConfig fits a local network.
func DefaultConfig() Config {
	return Config{BatchBytes: 32 << 10, BatchWait: 2 * time.Millisecond, BatchWaitMax: 6 * time.Millisecond, Workers: 2, QueueBytes: 8 << 20, Comparisons: 2, CompareWait: time.Second,
		CompareWaitMax: 16 * time.Second, RequestWait: 5 * time.Second, HedgeWait: 100 * time.Millisecond}
}

// Validate names the first field that is out of range.
func (c *Config) Validate() error {
	bad := func(field, rule string) error { return fmt.Errorf("gossip: %s %s", field, rule) }
	switch {
	case c.BatchBytes < 1 || c.BatchBytes > 256<<10:
		return bad("batch_bytes", "must be 1 to 256 KiB")
	case c.BatchWait < 0 || c.BatchWaitMax < c.BatchWait || c.BatchWaitMax > time.Second:
		return bad("batch_wait", "must be 0 to batch_wait_max, and that at most 1s")
	case c.Workers < 1 || c.Workers > 64:
		return bad("workers", "must be 1 to 64")
	case c.QueueBytes < MaxMessage:
		return bad("queue_bytes", fmt.Sprintf("must be at least %d, the largest message", MaxMessage))
	case c.Comparisons < 1 || c.Comparisons > 64:
		return bad("comparisons", "must be 1 to 64")
	case c.CompareWait <= 0 || c.CompareWaitMax < c.CompareWait:
		return bad("compare_wait", "must be positive and at most compare_wait_max")
	case c.RequestWait <= 0:
		return bad("request_wait", "must be positive")
	case c.HedgeWait <= 0:
		return bad("hedge_wait", "must be positive")
	}
	return nil
}
