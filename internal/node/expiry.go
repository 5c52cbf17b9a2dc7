package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/pki"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

var (
	ownExpiryDesc = prometheus.NewDesc("jialing_certificate_expires_seconds",
		"Seconds until the node's certificate (own) and the first of those that it rests on (chain) expire; negative afterwards. Absent without a certificate.", []string{"what"}, nil)
	rootExpiryDesc = prometheus.NewDesc("jialing_organisation_certificate_expires_seconds",
		"Seconds until a registered certificate of an organisation expires; negative afterwards.", []string{"organisation", "name", "kind"}, nil)
	admittedDesc = prometheus.NewDesc("jialing_certificate_accepted", "1 when the other nodes accept this node's certificate.", nil, nil)
	rescueDesc   = prometheus.NewDesc("jialing_rescue_seconds", "Seconds for which expired certificates are still taken; 0 without a rescue.", nil, nil)
)

// expiries are the metrics of certificates.
type expiries struct{ a *admission }

// Describe implements prometheus.Collector.
func (e expiries) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ownExpiryDesc, rootExpiryDesc, admittedDesc, rescueDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e expiries) Collect(ch chan<- prometheus.Metric) {
	s := e.a.status()
	now := e.a.now()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if !s.NotAfter.IsZero() {
		gauge(ownExpiryDesc, s.NotAfter.Sub(now).Seconds(), "own")
		gauge(ownExpiryDesc, s.Until.Sub(now).Seconds(), "chain")
	}
	// Two certificates of one name are one authority that renewed: the later one counts, and labels must not be there twice.
	latest := make(map[[3]string]time.Time)
	for _, c := range s.Authorities {
		kind := "intermediate"
		if c.Root {
			kind = "root"
		}
		key := [3]string{c.Organisation, c.Name, kind}
		if c.NotAfter.After(latest[key]) {
			latest[key] = c.NotAfter
		}
	}
	for key, notAfter := range latest {
		gauge(rootExpiryDesc, notAfter.Sub(now).Seconds(), key[:]...)
	}
	accepted := 0.0
	if s.Problem == "" {
		accepted = 1
	}
	gauge(admittedDesc, accepted)
	gauge(rescueDesc, max(0, s.Rescue.Sub(now).Seconds()))
}

// status is what this node knows of its own certificate and of its chain's authorities.
func (a *admission) status() *eth.CertificateStatus {
	s := &eth.CertificateStatus{File: a.file}
	if problem := a.problem(); problem != nil {
		s.Problem = problem.Error()
	}
	a.mu.Lock()
	shown, registry, grace := a.shown, a.registry, a.grace
	a.mu.Unlock()
	now := a.now()
	if len(shown) > 0 {
		if c, _, err := pki.Describe(a.suite, shown[0]); err == nil {
			s.Organisation, s.Role, s.Name, s.Serial, s.NotAfter, s.Until = c.Organisation, c.Role, c.Name, c.Serial, c.NotAfter, c.NotAfter
		}
		if c, err := registry.Verify(shown, a.public.Bytes(), now, pki.MaxGraceDays*24*time.Hour); err == nil {
			s.Until = c.Until
		}
	}
	for _, c := range registry.Authorities() {
		s.Authorities = append(s.Authorities, eth.AuthorityStatus{Organisation: c.Organisation, Name: c.Name, Root: c.Root, NotAfter: c.NotAfter})
	}
	if grace.At(now) > 0 {
		s.Rescue, s.RescueReason = grace.Until, grace.Reason
	}
	return s
}
