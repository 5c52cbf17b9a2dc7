package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certifiedNetwork is four nodes whose certificates and roots are valid for so many days.
func certifiedNetwork(own, chain, root int) *sick {
	s := newSick()
	for i := range s.nodes {
		s.both(i, func(a *answer) {
			at := func(days int) *int64 { t := doctorNow.Add(time.Duration(days) * caDay).UnixMilli(); return &t }
			a.status.Certificate = &certificateStatus{File: "/net/node.crt", Organisation: "Bank A", Role: "validator", Serial: "ab", NotAfter: at(own), Until: at(chain),
				Authorities: []authorityStatus{{"Bank A", "root", true, *at(root)}, {"Bank A", "root", true, *at(-100)}, {"Bank B", "sub", false, *at(5000)}}}
		})
	}
	return s
}

func TestDoctorForecastsExpiry(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	require.Empty(t, diagnose(&certifiedNetwork(91, 91, 91).facts))
	for _, c := range []struct {
		own, chain, root int
		want             severity
		rule, says, do   string
		count            int
	}{
		{90, 90, 999, remark, "certificate_expiry", "the certificate of node1 expires in 90 days", "jialing ca renew --dir AUTHORITY --node /net/node1", 4},
		{30, 30, 999, ailing, "certificate_expiry", "in 30 days", "jialing ca renew", 4},
		{7, 7, 999, broken, "certificate_expiry", "in 7 days", "jialing ca renew", 4},
		{300, 20, 999, ailing, "certificate_expiry", "an authority of Bank A expires in 20 days", "jialing ca register", 4},
		{300, 300, 60, remark, "authority_expiry", "the root root of organisation Bank A expires in 60 days", "jialing ca renew --ca", 1},
		{300, 300, 1, broken, "authority_expiry", "in 24 hours", "jialing ca register root.crt", 1},
		{300, 300, -3, broken, "authority_expiry", "has expired 3 days ago", "jialing ca register root.crt", 1},
	} {
		found := diagnose(&certifiedNetwork(c.own, c.chain, c.root).facts)
		require.Len(t, found, c.count, "%+v", c)
		require.Equal(t, c.want, found[0].Severity)
		require.Equal(t, c.rule, found[0].Rule)
		require.Contains(t, found[0].Cause, c.says)
		require.Contains(t, found[0].Remedy, c.do)
		require.Contains(t, string(doc), "`"+c.rule+"`")
	}
}

func TestDoctorFindsRefusedCertificatesAndRescues(t *testing.T) {
	s := certifiedNetwork(300, 300, 300)
	s.both(1, func(a *answer) {
		why := "the certificate of \"node2\" was revoked"
		a.status.Certificate.Problem = &why
	})
	s.both(2, func(a *answer) {
		until := doctorNow.Add(time.Hour).UnixMilli()
		a.status.Certificate.Rescue, a.status.Certificate.RescueReason = &until, "the holidays"
	})
	found := diagnose(&s.facts)
	require.Len(t, found, 2)
	require.Equal(t, "certificate", found[0].Rule)
	require.Contains(t, found[0].Evidence, "was revoked")
	require.Contains(t, found[0].Remedy, "/net/node.crt")
	require.Equal(t, "rescue", found[1].Rule)
	require.Equal(t, "the holidays", found[1].Evidence)
	require.Contains(t, found[1].Remedy, "--end")
}
