package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// certificateStatus is what a node says of its certificate, on a chain whose organisations certify nodes. Times are Unix milliseconds.
type certificateStatus struct {
	File         string            `json:"file"`
	Problem      *string           `json:"problem"`
	Organisation string            `json:"organisation"`
	Role         string            `json:"role"`
	Name         string            `json:"name"`
	Serial       string            `json:"serial"`
	NotAfter     *int64            `json:"notAfter"`
	Until        *int64            `json:"until"`
	Authorities  []authorityStatus `json:"authorities"`
	Rescue       *int64            `json:"rescue"`
	RescueReason string            `json:"rescueReason"`
}

type authorityStatus struct {
	Organisation string `json:"organisation"`
	Name         string `json:"name"`
	Root         bool   `json:"root"`
	NotAfter     int64  `json:"notAfter"`
}

// How long before a certificate expires the doctor speaks, and how loud: time to plan, time to act, and hardly any.
const (
	expiryNote    = 90 * caDay
	expiryWarning = 30 * caDay
	expiryError   = 7 * caDay
)

// expirySeverity is "" while there is time.
func expirySeverity(left time.Duration) severity {
	switch {
	case left <= expiryError:
		return broken
	case left <= expiryWarning:
		return ailing
	case left <= expiryNote:
		return remark
	}
	return ""
}

// ruleCertificate: a node whose certificate others do not accept is alone.
func ruleCertificate(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Certificate == nil || s.Certificate.Problem == nil {
			return nil
		}
		return &finding{broken, "certificate", "the other nodes do not accept the certificate of " + n.name, *s.Certificate.Problem,
			fmt.Sprintf("Put a good one into %s; the node takes it without a restart: jialing ca issue --dir AUTHORITY --node %s (docs/certificates.md)", s.Certificate.File, n.place())}
	})
}

// place is the node's folder where it is known.
func (n *nodeFacts) place() string {
	if n.folder == nil {
		return "FOLDER"
	}
	return n.folder.dir
}

// ruleExpiry forecasts the end of nodes' certificates.
func ruleExpiry(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		c := s.Certificate
		if c == nil || c.NotAfter == nil || c.Until == nil {
			return nil
		}
		left := time.UnixMilli(*c.Until).Sub(time.UnixMilli(s.Now))
		how := expirySeverity(left)
		if how == "" || left < 0 { // what has expired is ruleCertificate's
			return nil
		}
		d := &finding{how, "certificate_expiry", fmt.Sprintf("the certificate of %s expires %s", n.name, untilText(left)),
			fmt.Sprintf("serial %s of %s, on %s", c.Serial, c.Organisation, time.UnixMilli(*c.NotAfter).UTC().Format(time.DateOnly)),
			"Renew it; the node takes it without a restart: jialing ca renew --dir AUTHORITY --node " + n.place()}
		if *c.Until < *c.NotAfter {
			d.Cause = fmt.Sprintf("an authority of %s expires %s, and with it the certificate of %s", c.Organisation, untilText(left), n.name)
			d.Remedy = "Renew the authority (jialing ca renew --ca, or ca init --parent for an intermediate), have its root registered (jialing ca register), then renew the node's certificate."
		}
		return d
	})
}

// ruleAuthorities forecasts the end of the organisations' registered certificates, once for the network.
func ruleAuthorities(f *facts) (out []finding) {
	s := f.anyStatus()
	if s == nil || s.Certificate == nil {
		return nil
	}
	// Of one name the latest counts: the former ones have a successor.
	latest := make(map[[2]string]authorityStatus)
	for _, a := range s.Certificate.Authorities {
		if key := [2]string{a.Organisation, a.Name}; a.NotAfter > latest[key].NotAfter {
			latest[key] = a
		}
	}
	keys := slices.SortedFunc(maps.Keys(latest), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, key := range keys {
		a := latest[key]
		left := time.UnixMilli(a.NotAfter).Sub(time.UnixMilli(s.Now))
		how := expirySeverity(left)
		if how == "" {
			continue
		}
		what, remedy := "intermediate", fmt.Sprintf("Its admin replaces it: jialing ca intermediates %q FILE --from ADMIN", a.Organisation)
		if a.Root {
			what = "root"
			remedy = fmt.Sprintf("Renew it (jialing ca renew --ca --dir AUTHORITY) and let the validators register it: jialing ca register root.crt ADMIN %q --from VALIDATOR", a.Organisation)
		}
		verb := "expires " + untilText(left)
		if left < 0 {
			verb = "has " + untilText(left)
		}
		out = append(out, finding{how, "authority_expiry", fmt.Sprintf("the %s %s of organisation %s %s", what, a.Name, a.Organisation, verb),
			"valid until " + time.UnixMilli(a.NotAfter).UTC().Format(time.DateOnly), remedy})
	}
	return out
}

// ruleRescue reminds of a door that stands open.
func ruleRescue(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Certificate == nil || s.Certificate.Rescue == nil {
			return nil
		}
		until := time.UnixMilli(*s.Certificate.Rescue)
		return &finding{ailing, "rescue", fmt.Sprintf("%s takes expired certificates until %s", n.name, until.UTC().Format(time.RFC3339)), s.Certificate.RescueReason,
			fmt.Sprintf("Renew all certificates, then end it: jialing node rescue --dir %s --end", n.place())}
	})
}
