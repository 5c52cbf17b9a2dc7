package node

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// storyInterval is the least time between two lines about blocks: a busy chain makes a hundred a second, and nobody reads those one by one.
	storyInterval = 5 * time.Second
	// storyBlocks bounds the blocks whose times are remembered until they are certified; attestation lets execution run ahead by less.
	storyBlocks = 1024
)

// blockTimes are the moments of one block's life, this node's clock.
type blockTimes struct {
	txs, excluded              int
	ordered, executed, durable time.Time
}

// story tells what becomes of blocks: histograms for machines, and for people a line for the first block after a pause and then one for every few
// seconds of blocks. Safe for concurrent use.
type story struct {
	log     *slog.Logger
	now     func() time.Time
	seconds *prometheus.HistogramVec

	mu     sync.Mutex
	blocks map[uint64]*blockTimes
	// told is when the last line was written.
	told time.Time
	sum  storySum
}

// storySum is what the next line will say.
type storySum struct {
	blocks, txs, excluded                int
	execute, store, certify, certifyMost time.Duration
}

func newStory(log *slog.Logger, now func() time.Time, r prometheus.Registerer) (*story, error) {
	s := &story{log: log, now: now, blocks: make(map[uint64]*blockTimes), seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "jialing_block_seconds", Help: "Time of blocks from one stage to the next: ordered to executed, to durable, to certified.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}, []string{"to"})}
	if r != nil {
		if err := r.Register(s.seconds); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ordered begins a block's story: its decision is durable here.
func (s *story) ordered(d *chain.Decision) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blocks) >= storyBlocks {
		clear(s.blocks) // no quorum for long: what is forgotten is missing in the figures only
	}
	s.blocks[d.Height] = &blockTimes{txs: len(d.Txs), ordered: now}
}

func (s *story) executed(e *chain.Executed) {
	s.step(e.Block.Height(), "executed", func(b *blockTimes, now time.Time) time.Duration {
		b.executed, b.txs, b.excluded = now, len(e.Block.Txs), len(e.Excluded)
		return now.Sub(b.ordered)
	})
}

func (s *story) durable(height uint64) {
	s.step(height, "durable", func(b *blockTimes, now time.Time) time.Duration {
		b.durable = now
		return now.Sub(b.executed)
	})
}

func (s *story) step(height uint64, to string, set func(*blockTimes, time.Time) time.Duration) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.blocks[height]; b != nil {
		s.seconds.WithLabelValues(to).Observe(set(b, now).Seconds())
	}
}

// certified ends the story of all blocks up to height.
func (s *story) certified(height uint64) {
	now := s.now()
	s.mu.Lock()
	sum, tell := storySum{}, false
	for h, b := range s.blocks {
		if h <= height && !b.durable.IsZero() {
			s.sum.add(b, now)
			s.seconds.WithLabelValues("certified").Observe(now.Sub(b.durable).Seconds())
			delete(s.blocks, h)
		}
	}
	elapsed := now.Sub(s.told)
	if elapsed >= storyInterval && s.sum.blocks > 0 {
		sum, tell = s.sum, true
		s.told, s.sum = now, storySum{}
	}
	s.mu.Unlock()
	if tell {
		sum.tell(s.log, height)
	}
}

func (s *storySum) add(b *blockTimes, now time.Time) {
	s.blocks++
	s.txs += b.txs
	s.excluded += b.excluded
	s.execute += b.executed.Sub(b.ordered)
	s.store += b.durable.Sub(b.executed)
	c := now.Sub(b.durable)
	s.certify += c
	s.certifyMost = max(s.certifyMost, c)
}

// tell writes the means over the blocks since the last line.
func (s *storySum) tell(log *slog.Logger, height uint64) {
	n := time.Duration(s.blocks)
	log.Info("blocks are final", "height", height, "blocks", s.blocks, "txs", s.txs, "excluded", s.excluded, "execute", short(s.execute/n),
		"store", short(s.store/n), "certify", short(s.certify/n), "certify_most", short(s.certifyMost))
}

// short rounds for people.
func short(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
