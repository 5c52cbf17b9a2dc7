package serve

import (
	"net/http"
	"reflect"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts what clients ask. Its labels come from the registered methods only, so clients cannot grow it. Safe for concurrent use.
type metrics struct {
	registry *prometheus.Registry
	known    map[string]bool
	methods  map[string]*methodMetrics
	sockets  prometheus.Gauge
	feeds    prometheus.Gauge
	refused  *prometheus.CounterVec
	// calls are by role and by how the caller is known.
	calls        [roleCount][kindCount]callMetrics
	unauthorized *prometheus.CounterVec
	audited      prometheus.Counter
}

// callMetrics are the calls of one role by callers of one kind.
type callMetrics struct{ allowed, forbidden prometheus.Counter }

// methodMetrics is one method's counters, looked up once at the start: a lookup by label costs more than a send's whole overhead.
type methodMetrics struct {
	ok, failed, batched prometheus.Counter
	seconds             prometheus.Observer
}

func newMetrics(reg *prometheus.Registry, known map[string]bool) (*metrics, error) {
	m := &metrics{registry: reg, known: known, methods: make(map[string]*methodMetrics)}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jialing_rpc_requests_total",
		Help: "JSON-RPC requests by method and result: ok, error, or batched (an item of a batch, whose own result is not counted).",
	}, []string{"method", "result"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "jialing_rpc_request_seconds",
		Help:    "Time to answer a request that is no batch; method \"batch\" is whole batches.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
	}, []string{"method"})
	m.sockets = prometheus.NewGauge(prometheus.GaugeOpts{Name: "jialing_rpc_websockets", Help: "Open WebSocket connections."})
	m.feeds = prometheus.NewGauge(prometheus.GaugeOpts{Name: "jialing_rpc_subscriptions", Help: "Open subscriptions."})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jialing_rpc_refused_total", Help: "What was refused or dropped to stay within a limit.",
	}, []string{"limit"})
	for _, c := range []prometheus.Collector{requests, seconds, m.sockets, m.feeds, m.refused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	names := []string{"batch", "pubsub", "unknown"}
	for name := range known {
		names = append(names, name)
	}
	for _, name := range names {
		m.methods[name] = &methodMetrics{
			ok: requests.WithLabelValues(name, "ok"), failed: requests.WithLabelValues(name, "error"),
			batched: requests.WithLabelValues(name, "batched"), seconds: seconds.WithLabelValues(name),
		}
	}
	return m, nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// method returns the counters of a method that a client named.
func (m *metrics) method(name []byte) *methodMetrics { return m.methods[methodLabel(m.known, name)] }

// frame counts a frame that was answered with response.
func (m *metrics) frame(f *frame, response []byte, start time.Time) {
	elapsed := time.Since(start).Seconds()
	if f.batch {
		for i := range f.items {
			m.method(f.items[i].method).batched.Inc()
		}
		m.methods["batch"].seconds.Observe(elapsed)
		return
	}
	c := m.method(f.items[0].method)
	c.seconds.Observe(elapsed)
	if isErrorResponse(response) {
		c.failed.Inc()
	} else {
		c.ok.Inc()
	}
}

// isErrorResponse looks at the first key after the id, which is how responses are written.
func isErrorResponse(response []byte) bool {
	const head = `{"jsonrpc":"2.0","id":`
	if len(response) < len(head) || string(response[:len(head)]) != head {
		return false
	}
	s := scanner{b: response, i: len(head)}
	s.value()
	return s.take(',') && s.is("error")
}

// addMethods lists what go-ethereum's rpc serves of a service: its exported methods, first letter lowered.
func addMethods(known map[string]bool, namespace string, service any) {
	t := reflect.TypeOf(service)
	for i := range t.NumMethod() {
		name := t.Method(i).Name
		first, size := utf8.DecodeRuneInString(name)
		known[namespace+"_"+string(unicode.ToLower(first))+name[size:]] = true
	}
}
