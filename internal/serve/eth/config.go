package eth

import (
	"fmt"
	"time"
)

// Config bounds what one request can cost inside the node.
type Config struct {
	// CallGas caps eth_call, eth_estimateGas, traces and the sum of a simulation. 50 million is geth's; it is some 50 ms of EVM.
	CallGas uint64 `toml:"call_gas"`
	// CallTimeout ends a call that its gas alone does not end soon enough (reading cold state is slow for its gas).
	CallTimeout time.Duration `toml:"call_timeout"`
	// TraceTimeout ends a trace, which is ten to a hundred times a call.
	TraceTimeout time.Duration `toml:"trace_timeout"`
	// MaxCalls run at once, so that readers leave cores to the pipeline; MaxQueuedCalls wait for them, more are told to come back.
	MaxCalls       int `toml:"max_calls"`
	MaxQueuedCalls int `toml:"max_queued_calls"`
	// MaxTraces run at once; each can hold MaxTraceBytes.
	MaxTraces int `toml:"max_traces"`
	// MaxTraceBytes bounds the result of one trace request.
	MaxTraceBytes int `toml:"max_trace_bytes"`

	// MaxLogRange is how many blocks one log query spans. The index does not scan, so it is wide.
	MaxLogRange uint64 `toml:"max_log_range"`
	// MaxLogResults bounds a log query's answer: 10,000 logs are some 8 MB of JSON, and what other providers give.
	MaxLogResults int `toml:"max_log_results"`
	// MaxLogTerms bounds the addresses, and the topics per position, of a log query; it is geth's.
	MaxLogTerms int `toml:"max_log_terms"`
	// MaxFilters bounds the installed HTTP filters of all clients; one that nobody polls for FilterLifetime goes.
	MaxFilters     int           `toml:"max_filters"`
	FilterLifetime time.Duration `toml:"filter_lifetime"`
	// MaxStorageKeys bounds the slots of one eth_getProof; it is geth's.
	MaxStorageKeys int `toml:"max_storage_keys"`

	// FeeHistoryBlocks bounds eth_feeHistory; FeeHistoryRewardBlocks does where percentiles are asked, which reads whole blocks.
	FeeHistoryBlocks       uint64 `toml:"fee_history_blocks"`
	FeeHistoryRewardBlocks uint64 `toml:"fee_history_reward_blocks"`

	// RecentBlocks and RecentTxs bound the newest blocks that are answered from memory: whoever polls for a receipt asks for these.
	RecentBlocks int `toml:"recent_blocks"`
	RecentTxs    int `toml:"recent_txs"`
	// PendingWindow is how many of the pool's newest hashes a newPendingTransactions subscriber may be behind (32 bytes each).
	PendingWindow int `toml:"pending_window"`
	// MaxSubscriberLag is how many blocks a subscriber may be behind before it is dropped: it would only fall further.
	MaxSubscriberLag uint64 `toml:"max_subscriber_lag"`
	// ReceiptWait is how long eth_getTransactionReceipt waits for a transaction that is in the pool, so that who asks right after sending
	// needs not ask twice; some blocks' time, and too short for a client to notice. 0: not at all.
	ReceiptWait time.Duration `toml:"receipt_wait"`
	// SyncSendTimeout is how long eth_sendRawTransactionSync waits by itself, MaxSyncSendTimeout how long a client may make it wait.
	SyncSendTimeout    time.Duration `toml:"sync_send_timeout"`
	MaxSyncSendTimeout time.Duration `toml:"max_sync_send_timeout"`
}

// DefaultConfig suits one node on one machine.
func DefaultConfig() Config {
	return Config{
		CallGas: 50_000_000, CallTimeout: 5 * time.Second, TraceTimeout: 20 * time.Second,
		MaxCalls: 8, MaxQueuedCalls: 1024, MaxTraces: 2, MaxTraceBytes: 128 << 20,
		MaxLogRange: 100_000, MaxLogResults: 10_000, MaxLogTerms: 1000, MaxFilters: 10_000, FilterLifetime: 5 * time.Minute, MaxStorageKeys: 1024,
		FeeHistoryBlocks: 1024, FeeHistoryRewardBlocks: 100,
		RecentBlocks: 256, RecentTxs: 40_000, PendingWindow: 1 << 16, MaxSubscriberLag: 1024,
		ReceiptWait: 100 * time.Millisecond, SyncSendTimeout: 10 * time.Second, MaxSyncSendTimeout: 25 * time.Second,
	}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	for _, n := range []struct {
		name            string
		value, min, max uint64
	}{
		{"call_gas", c.CallGas, 21_000, 1 << 50},
		{"max_calls", uint64(c.MaxCalls), 1, 1 << 16},
		{"max_queued_calls", uint64(c.MaxQueuedCalls), 0, 1 << 20},
		{"max_traces", uint64(c.MaxTraces), 1, 1 << 10},
		{"max_trace_bytes", uint64(c.MaxTraceBytes), 1 << 10, 1 << 32},
		{"max_log_range", c.MaxLogRange, 1, 1 << 62},
		{"max_log_results", uint64(c.MaxLogResults), 1, 1 << 24},
		{"max_log_terms", uint64(c.MaxLogTerms), 1, 1 << 16},
		{"max_filters", uint64(c.MaxFilters), 1, 1 << 24},
		{"max_storage_keys", uint64(c.MaxStorageKeys), 1, 1 << 16},
		{"fee_history_blocks", c.FeeHistoryBlocks, 1, 1 << 16},
		{"fee_history_reward_blocks", c.FeeHistoryRewardBlocks, 1, 1 << 16},
		{"recent_blocks", uint64(c.RecentBlocks), 1, 1 << 20},
		{"recent_txs", uint64(c.RecentTxs), 1, 1 << 24},
		{"pending_window", uint64(c.PendingWindow), 1, 1 << 24},
		{"max_subscriber_lag", c.MaxSubscriberLag, 1, 1 << 32},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("rpc: %s must be %d to %d, is %d", n.name, n.min, n.max, n.value)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"call_timeout", c.CallTimeout}, {"trace_timeout", c.TraceTimeout}, {"filter_lifetime", c.FilterLifetime},
		{"sync_send_timeout", c.SyncSendTimeout}, {"max_sync_send_timeout", c.MaxSyncSendTimeout},
	} {
		if d.value < 10*time.Millisecond || d.value > time.Hour {
			return fmt.Errorf("rpc: %s must be 10ms to 1h, is %s", d.name, d.value)
		}
	}
	if c.ReceiptWait < 0 || c.ReceiptWait > time.Minute {
		return fmt.Errorf("rpc: receipt_wait must be 0 to 1m, is %s", c.ReceiptWait)
	}
	return nil
}
