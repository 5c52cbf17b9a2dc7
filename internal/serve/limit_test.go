package serve

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLimiter(t *testing.T) {
	l, now := newLimiter(2), time.Unix(1000, 0)
	a, b, c := limitKey{name: "a"}, limitKey{name: "b"}, limitKey{addr: netip.MustParseAddr("10.0.0.1")}
	require.Zero(t, l.take(a, 10, 5, 10, now), "a burst")
	require.Equal(t, 200*time.Millisecond+1, l.take(a, 1, 5, 10, now), "and then at the rate")
	require.Zero(t, l.take(a, 1, 5, 10, now.Add(200*time.Millisecond+1)))
	require.Zero(t, l.take(b, 1, 5, 10, now), "others have their own")
	require.Zero(t, l.take(c, 100, 5, 10, now), "what costs more than a burst is granted to a full bucket,")
	require.Positive(t, l.take(c, 1, 5, 10, now.Add(18*time.Second)), "which owes it")
	require.Zero(t, l.take(c, 1, 5, 10, now.Add(19*time.Second)))
	require.Len(t, l.buckets, 2)
	require.NotContains(t, l.buckets, a, "the one that was idle longest is forgotten")
	require.Zero(t, l.take(b, 1, 5, 10, now.Add(-time.Hour)), "a clock that is set back gives and takes nothing")
}

// TestLimiterGrantsNoMore: over any time, no caller gets more than a burst, the rate and what one call may owe.
func TestLimiterGrantsNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate, burst := rapid.IntRange(1, 100).Draw(t, "rate"), rapid.IntRange(1, 100).Draw(t, "burst")
		l, start := newLimiter(4), time.Unix(1000, 0)
		now, granted, largest := start, 0, 0
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
			cost := rapid.IntRange(1, 150).Draw(t, "cost")
			if wait := l.take(limitKey{name: "a"}, cost, rate, burst, now); wait == 0 {
				granted, largest = granted+cost, max(largest, cost)
			} else if wait > time.Duration(float64(time.Second)*float64(burst+200)/float64(rate)) {
				t.Fatalf("told to wait %s", wait)
			}
		}
		if most := float64(burst+max(0, largest-burst)) + float64(rate)*now.Sub(start).Seconds() + 1; float64(granted) > most {
			t.Fatalf("granted %d, at most %.1f", granted, most)
		}
	})
}

func TestOneNetworkIsOneCaller(t *testing.T) {
	require.Equal(t, network(netip.MustParseAddr("2001:db8:1:2:3::1")), network(netip.MustParseAddr("2001:db8:1:2:ffff::9")))
	require.NotEqual(t, network(netip.MustParseAddr("2001:db8:1:2::1")), network(netip.MustParseAddr("2001:db8:1:3::1")))
	require.NotEqual(t, network(netip.MustParseAddr("10.0.0.1")), network(netip.MustParseAddr("10.0.0.2")))
}

// BenchmarkAccess is what a call costs before it is made: who sends it, may it, and how much.
func BenchmarkAccess(b *testing.B) {
	var token string
	s, _ := startTokens(b, func(path string) { token = issue(b, path, "a", time.Hour, "read", "submit") }, func(a *AccessConfig) {
		a.LimitLoopback, a.AnonymousRate, a.Rate = true, 1<<30, 1<<30
	})
	f := scanFrame([]byte(call("test_echo", "x")), 10)
	for name, header := range map[string]string{"anonymous": "", "token": "Bearer " + token} {
		b.Run(name, func(b *testing.B) {
			r := requestWith(b, header)
			for b.Loop() {
				c, err := s.access.identify(r)
				if err != nil {
					b.Fatal(err)
				}
				if j := s.judge(c, &f); !j.plain || s.access.take(c, j.cost) > 0 {
					b.Fatal("refused")
				}
			}
		})
	}
}
