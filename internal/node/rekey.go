package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// rekeyer seals the ledger anew while the node works. Run owns the work; the other methods are safe for concurrent use.
type rekeyer struct {
	store  *store.Store
	pool   *pool.Pool
	rate   int64 // bytes per second
	log    *slog.Logger
	wanted chan struct{}

	mu sync.Mutex
	// failed is why the last re-keying ended without an end.
	failed error
}

// newRekeyer is nil for a ledger in plain text.
func newRekeyer(cfg *EncryptionConfig, st *store.Store, p *pool.Pool, r prometheus.Registerer, log *slog.Logger) (*rekeyer, error) {
	status, err := st.Encryption()
	if err != nil || status == nil {
		return nil, err
	}
	k := &rekeyer{store: st, pool: p, rate: cfg.RekeyMiBPerSecond << 20, log: log, wanted: make(chan struct{}, 1)}
	gauge := func(name, help string, value func(*store.EncryptionStatus) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			s, err := st.Encryption()
			if err != nil || s == nil {
				return 0
			}
			return value(s)
		})
	}
	for _, c := range []prometheus.Collector{
		gauge("jialing_ledger_key", "Number of the key that seals new files of the ledger.", func(s *store.EncryptionStatus) float64 { return float64(s.Active) }),
		gauge("jialing_rekey_pending_bytes", "Bytes of the ledger that are not sealed with that key yet.",
			func(s *store.EncryptionStatus) float64 { return float64(s.OldBytes) }),
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return k, nil
}

// Run ends what an earlier run has begun, and then begins whenever it is asked to. A failure is told and leaves the node alone: all files can still be read.
func (k *rekeyer) Run(ctx context.Context) error {
	k.rekey(ctx, true)
	for {
		select {
		case <-k.wanted:
			k.rekey(ctx, false)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (k *rekeyer) rekey(ctx context.Context, resume bool) {
	err := k.store.Rekey(ctx, store.RekeyOptions{Resume: resume, BytesPerSecond: k.rate, Release: k.pool.RewriteJournal})
	if ctx.Err() != nil {
		return // the next start goes on
	}
	k.mu.Lock()
	k.failed = err
	k.mu.Unlock()
	if err != nil {
		k.log.Error("the ledger could not be re-keyed; it works on, and the next start or request goes on", "err", err)
	}
}

// Rekey begins a re-keying, or goes on with one that failed, and returns at once. One that works already is store.ErrRekeying.
func (k *rekeyer) Rekey() error {
	s, err := k.store.Encryption()
	if err != nil {
		return err
	}
	if s.Running {
		return store.ErrRekeying
	}
	select {
	case k.wanted <- struct{}{}:
		return nil
	default:
		return store.ErrRekeying
	}
}

// status is what jl_nodeStatus tells.
func (k *rekeyer) status() *eth.EncryptionStatus {
	s, err := k.store.Encryption()
	if err != nil {
		return &eth.EncryptionStatus{Problem: err.Error()}
	}
	out := &eth.EncryptionStatus{Key: s.Active, Keys: s.Keys, Converting: s.Converting, Running: s.Running, Pending: s.Pending(), OldFiles: s.OldFiles,
		OldBytes: s.OldBytes, Bytes: s.Bytes, Done: s.Done}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed != nil {
		out.Problem = k.failed.Error()
	}
	return out
}

// poolOptions seal the pool's journal where the ledger is encrypted.
func poolOptions(st *store.Store, log *slog.Logger, now func() time.Time) pool.Options {
	o := pool.Options{Log: log, Now: now}
	if s := st.Sealer("pool journal"); s != nil {
		o.Sealer = s
	}
	return o
}

// errPlainLedger is a request to re-key a ledger that has no key.
var errPlainLedger = errors.New("the ledger is not encrypted")

// Rekey makes the running node seal its ledger with a new key; it returns at once, and Details tell how far that is.
func (n *Node) Rekey() error {
	n.mu.Lock()
	p := n.running
	n.mu.Unlock()
	switch {
	case p == nil:
		return errStarting
	case p.rekey == nil:
		return errPlainLedger
	}
	return p.rekey.Rekey()
}
