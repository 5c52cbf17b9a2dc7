package p2p

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// traffic counts one protocol's or method's messages over all peers. Safe for concurrent use.
type traffic struct {
	sent, received           atomic.Uint64
	sentBytes, receivedBytes atomic.Uint64
	dropped                  atomic.Uint64
}

// counters are the network's own. Safe for concurrent use.
type counters struct {
	names   []string // in order of registration
	traffic map[string]*traffic

	rejected, refused, bans, dialFailures atomic.Uint64
}

func (c *counters) add(name string) *traffic {
	t := new(traffic)
	c.names = append(c.names, name)
	c.traffic[name] = t
	return t
}

// They are read when asked for, so that counting costs an addition and no look-up by label.
var (
	messagesDesc = prometheus.NewDesc("jialing_p2p_messages_total", "Messages and requests by protocol or method.", []string{"protocol", "direction"}, nil)
	bytesDesc    = prometheus.NewDesc("jialing_p2p_bytes_total", "Bytes of messages, requests and responses by protocol or method, without framing and encryption.",
		[]string{"protocol", "direction"}, nil)
	droppedDesc   = prometheus.NewDesc("jialing_p2p_dropped_total", "Messages that found a peer's queue full or were lost with its connection.", []string{"protocol"}, nil)
	connectedDesc = prometheus.NewDesc("jialing_p2p_peers", "Connected peers.", []string{"kind"}, nil)
	rejectedDesc  = prometheus.NewDesc("jialing_p2p_rejected_total", "Inbound connections that failed to prove a key.", nil, nil)
	refusedDesc   = prometheus.NewDesc("jialing_p2p_refused_total", "Connections refused after the handshake: other chain, banned, no room, one key twice, certificate.", nil, nil)
	bansDesc      = prometheus.NewDesc("jialing_p2p_bans_total", "Bans imposed on peers.", nil, nil)
	dialDesc      = prometheus.NewDesc("jialing_p2p_dial_failures_total", "Attempts to reach a peer that failed.", nil, nil)
)

// Describe implements prometheus.Collector.
func (n *Network) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{messagesDesc, bytesDesc, droppedDesc, connectedDesc, rejectedDesc, refusedDesc, bansDesc, dialDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Register the network once all protocols are handled.
func (n *Network) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, name := range n.count.names {
		t := n.count.traffic[name]
		counter(messagesDesc, t.sent.Load(), name, "out")
		counter(messagesDesc, t.received.Load(), name, "in")
		counter(bytesDesc, t.sentBytes.Load(), name, "out")
		counter(bytesDesc, t.receivedBytes.Load(), name, "in")
		counter(droppedDesc, t.dropped.Load(), name)
	}
	members, others := n.book.connectedKinds()
	ch <- prometheus.MustNewConstMetric(connectedDesc, prometheus.GaugeValue, float64(members), "member")
	ch <- prometheus.MustNewConstMetric(connectedDesc, prometheus.GaugeValue, float64(others), "other")
	counter(rejectedDesc, n.count.rejected.Load())
	counter(refusedDesc, n.count.refused.Load())
	counter(bansDesc, n.count.bans.Load())
	counter(dialDesc, n.count.dialFailures.Load())
}
