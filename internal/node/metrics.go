package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/store"
)

// stageMetrics counts what passes through the stages.
type stageMetrics struct {
	seconds  *prometheus.CounterVec
	blocks   prometheus.Counter
	txs      prometheus.Counter
	gas      prometheus.Counter
	excluded prometheus.Counter
	height   prometheus.Gauge
}

func newStageMetrics(r prometheus.Registerer, p *pool.Pool, st *store.Store, finalized func() uint64) (*stageMetrics, error) {
	m := &stageMetrics{
		seconds: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "jialing_stage_seconds_total",
			Help: "Wall time that the execute and store stages worked on blocks."}, []string{"stage"}),
		blocks:   prometheus.NewCounter(prometheus.CounterOpts{Name: "jialing_blocks_total", Help: "Blocks made durable since the start."}),
		txs:      prometheus.NewCounter(prometheus.CounterOpts{Name: "jialing_transactions_total", Help: "Transactions in these blocks."}),
		gas:      prometheus.NewCounter(prometheus.CounterOpts{Name: "jialing_gas_total", Help: "Gas that they used."}),
		excluded: prometheus.NewCounter(prometheus.CounterOpts{Name: "jialing_excluded_total", Help: "Decided transactions that were left out."}),
		height:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "jialing_height", Help: "Height of the last durable block."}),
	}
	m.height.Set(float64(st.Head().Number.Uint64()))
	collectors := []prometheus.Collector{m.seconds, m.blocks, m.txs, m.gas, m.excluded, m.height,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jialing_finalized_height", Help: "Height of the last certified block."},
			func() float64 { return float64(finalized()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jialing_pool_pending", Help: "Executable transactions in the pool."},
			func() float64 { pending, _ := p.Status(); return float64(pending) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jialing_pool_queued", Help: "Transactions that wait for a missing nonce."},
			func() float64 { _, queued := p.Status(); return float64(queued) }),
	}
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *stageMetrics) observe(stage string, start time.Time) {
	m.seconds.WithLabelValues(stage).Add(time.Since(start).Seconds())
}

func (m *stageMetrics) block(e *chain.Executed) {
	m.blocks.Inc()
	m.txs.Add(float64(len(e.Block.Txs)))
	m.gas.Add(float64(e.Block.Header.GasUsed))
	m.excluded.Add(float64(len(e.Excluded)))
	m.height.Set(float64(e.Block.Height()))
}
