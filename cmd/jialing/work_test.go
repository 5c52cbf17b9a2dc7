package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
)

// newMine is a healthy network of work, whose blocks come each two seconds.
func newMine() *sick {
	s := newSick()
	for i := range s.nodes {
		s.both(i, func(a *answer) {
			st := a.status
			st.Engine, st.Validators, st.Validator, st.Leader, st.LeaderName, st.Quorum = chain.PoW, nil, nil, nil, "", 0
			st.LastBlockAt = st.Now - 14_000 // the last final one is six deep
			w := workStatus{Threads: 1, HashesPerSecond: 1000, HashesPerBlock: 8000, Tip: 106, Headers: 106, Depth: 6, BlockMillis: 2000}
			st.Work = &w
			for j := range a.peers {
				a.peers[j].Validator, a.peers[j].Name = nil, ""
			}
		})
	}
	return s
}

func TestDoctorOfWork(t *testing.T) {
	require.Empty(t, diagnose(&newMine().facts))
	require.Contains(t, newMine().facts.summary(), "height 106, finalized 100, 4 threads mining here, 4000 hashes/s")

	old := func(s *sick, threads int) {
		for i := range s.nodes {
			s.both(i, func(a *answer) { a.status.LastBlockAt, a.status.Work.Threads = a.status.Now-60_000, threads })
		}
	}
	s := newMine()
	old(s, 0)
	found := diagnose(&s.facts)
	require.Len(t, found, 1)
	require.Equal(t, "nobody_mines", found[0].Rule)
	require.Contains(t, found[0].Evidence, "the tip stays at 106")
	s = newMine()
	old(s, 2)
	found = diagnose(&s.facts)
	require.Len(t, found, 1)
	require.Equal(t, "blocks_slow", found[0].Rule)
	// A block that comes while the doctor looks is a chain that moves.
	w := *s.nodes[2].second.status.Work
	w.Tip++
	s.nodes[2].second.status.Work = &w
	require.Empty(t, diagnose(&s.facts))

	// Transactions that wait for a block are no fault, strangers that have gone are none, and one that mines alone is told.
	s = newMine()
	for i := range s.nodes {
		s.both(i, func(a *answer) { a.status.Pool.Pending = 5 })
	}
	s.both(0, func(a *answer) {
		a.peers = append(a.peers, peerStatus{PublicKey: []byte("gone"), Address: "192.0.2.1:1", LastError: "connection refused"})
	})
	require.Empty(t, diagnose(&s.facts))
	for j := 1; j < 4; j++ {
		s.cut(0, j, "no route")
	}
	found = diagnose(&s.facts)
	require.Len(t, found, 1)
	require.Equal(t, "no_peers", found[0].Rule)
}

func TestHaltOfWork(t *testing.T) {
	h := describeHalt(&node.Halt{Height: 5, Advice: "do this", Fork: &node.ForkHalt{Last: 2, Final: 5, Ours: node.ForkEnd{Height: 6, Hash: crypto.Hash{1}, Work: "100"},
		Theirs: node.ForkEnd{Height: 9, Hash: crypto.Hash{2}, Work: "200"}, Checkpoint: "3:0x33"}})
	require.True(t, h.forked)
	require.Contains(t, h.evidence, "work 200")
	s := newMine()
	s.nodes[1].halt = h
	found := diagnose(&s.facts)
	require.Equal(t, "forked", found[0].Rule)
	require.Equal(t, "do this", found[0].Remedy)
}

func TestStatusOfWork(t *testing.T) {
	v := healthyView()
	v.Status.Work = &workStatus{Threads: 2, HashesPerSecond: 1234, HashesPerBlock: 65536, Tip: 106, Depth: 6, Mined: 3, Forks: 4, Reorgs: 1, Deepest: 2}
	got := strings.Join(v.lines(160, 24, plainStyle), "\n")
	require.Contains(t, got, "\nwork      tip 106, final after 6; mines 1.23 kH/s, 3 found; next takes 65.5 kH; 4 forks, deepest 2\n")
	require.NotContains(t, got, "leader")
	v.Status.Work.Threads = 0
	require.Contains(t, strings.Join(v.lines(160, 24, plainStyle), "\n"), "; does not mine;")
}
