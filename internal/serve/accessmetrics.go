package serve

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// judged counts n calls of a role. Labels are roles and kinds of identity, of which there is a fixed number; who called is the audit log's.
func (m *metrics) judged(c *caller, role Role, n int) {
	counters := &m.calls[role][c.kind]
	if c.roles.Has(role) {
		counters.allowed.Add(float64(n))
	} else {
		counters.forbidden.Add(float64(n))
	}
}

// watchAccess registers what there is to know of callers, tokens and the certificate.
func (m *metrics) watchAccess(s *Server) error {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jialing_rpc_calls_total", Help: "Calls by the role that they need, how the caller is known, and whether it has that role.",
	}, []string{"role", "identity", "result"})
	for role := range roleCount {
		for k := range kindCount {
			m.calls[role][k] = callMetrics{calls.WithLabelValues(role.String(), kindNames[k], "allowed"), calls.WithLabelValues(role.String(), kindNames[k], "forbidden")}
		}
	}
	m.unauthorized = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jialing_rpc_unauthorized_total", Help: "Requests and connections whose sender was not let in, by reason.",
	}, []string{"reason"})
	m.audited = prometheus.NewCounter(prometheus.CounterOpts{Name: "jialing_rpc_audit_records_total", Help: "Records of administrative calls in the audit log."})
	list := []prometheus.Collector{calls, m.unauthorized, m.audited,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jialing_rpc_tokens", Help: "Tokens that are valid now."}, func() float64 {
			return float64(s.access.tokens.count(time.Now()))
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "jialing_rpc_reload_failures_total", Help: "Changed token and TLS files that could not be used, so that the old ones stayed in force.",
		}, func() float64 {
			n := s.access.tokens.watch.failures.Load()
			if s.tls != nil {
				n += s.tls.watch.failures.Load()
			}
			return float64(n)
		}),
	}
	if s.tls != nil {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "jialing_rpc_certificate_expires_seconds", Help: "Unix time at which the TLS certificate of the RPC ports expires.",
		}, func() float64 { return float64(s.tls.expires.Load()) }))
	}
	for _, c := range list {
		if err := m.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// AccessStatus is what is worth knowing of who may call.
type AccessStatus struct {
	TLS bool
	// Expires is when the ports' certificate ends; zero without TLS.
	Expires time.Time
	// Tokens are those that are valid now, Failures the reloads that failed since the start.
	Tokens   int
	Failures int64
}

// AccessStatus tells it. It reads changed files first, so that an expiry forecast does not rest on a certificate that nobody has asked for since.
func (s *Server) AccessStatus() AccessStatus {
	now := time.Now()
	_ = s.access.tokens.refresh(now, false) // the count of failures tells
	out := AccessStatus{Tokens: s.access.tokens.count(now), Failures: s.access.tokens.watch.failures.Load()}
	if s.tls != nil {
		_ = s.tls.refresh(now, false)
		out.TLS, out.Expires = true, time.Unix(s.tls.expires.Load(), 0)
		out.Failures += s.tls.watch.failures.Load()
	}
	return out
}

// Reload reads tokens and TLS files now. What cannot be used is in the error, and the old one stays in force.
func (s *Server) Reload() (AccessStatus, error) {
	now := time.Now()
	err := s.access.tokens.refresh(now, true)
	if s.tls != nil {
		err = errors.Join(err, s.tls.refresh(now, true))
	}
	return s.AccessStatus(), err
}
