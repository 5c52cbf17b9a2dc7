package node

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/order"
)

// kindCounter counts the engine's messages by what they are. Safe for concurrent use.
type kindCounter struct {
	kinds order.Kinds
	total *prometheus.CounterVec

	mu sync.RWMutex
	// counters are looked up by words once: a look-up by labels costs more than the count.
	counters map[kindWay]prometheus.Counter
}

type kindWay struct{ kind, direction string }

// newKindCounter counts nothing where the engine does not tell.
func newKindCounter(e order.Engine, r prometheus.Registerer) (*kindCounter, error) {
	c := &kindCounter{counters: make(map[kindWay]prometheus.Counter), total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "jialing_engine_messages_total",
		Help: "Messages between consensus engines by what they are, one for each receiver."}, []string{"kind", "direction"})}
	c.kinds, _ = e.(order.Kinds)
	return c, r.Register(c.total)
}

// count counts n messages on their way in or out.
func (c *kindCounter) count(msg []byte, direction string, n int) {
	if c == nil || c.kinds == nil || n == 0 {
		return
	}
	key := kindWay{c.kinds.Kind(msg), direction}
	c.mu.RLock()
	counter := c.counters[key]
	c.mu.RUnlock()
	if counter == nil {
		counter = c.total.WithLabelValues(key.kind, key.direction)
		c.mu.Lock()
		c.counters[key] = counter
		c.mu.Unlock()
	}
	counter.Add(float64(n))
}
