package main

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
)

// sick is a network of four healthy validators, asked twice; a test makes one thing wrong with it.
type sick struct{ facts }

var doctorNow = time.UnixMilli(1_790_000_000_000)

func newSick() *sick {
	s := &sick{facts{watched: 2 * time.Second, dir: "net", commonHeight: 100, heads: map[string]string{}}}
	for i := range 4 {
		name := fmt.Sprintf("node%d", i+1)
		n := &nodeFacts{name: name, url: "http://" + name, pid: 10 + i, first: healthyAnswer(i), second: healthyAnswer(i),
			folder: &nodeFolder{name: name, dir: "/net/" + name, key: testKey(i), cfg: node.DefaultConfig()}}
		s.nodes = append(s.nodes, n)
		s.heads[name] = "0xaa"
	}
	return s
}

func testKey(i int) chain.Peer { return chain.Peer([]byte{byte(i + 1), 7}) }

// healthyAnswer is what the i-th of four says of itself and the others.
func healthyAnswer(i int) *answer {
	leader, me := chain.ValidatorID(1), chain.ValidatorID(i+1)
	st := &nodeStatus{Version: "v1", Chain: "c", ChainID: 5, Engine: chain.BFT, PublicKey: []byte(testKey(i)), Validator: &me, Name: fmt.Sprintf("node%d", i+1),
		Quorum: 3, Ordered: 100, Executed: 100, Durable: 100, Finalized: 100, Leader: &leader, LeaderName: "node1", Peers: 3,
		StartedAt: doctorNow.UnixMilli() - 300_000 + int64(i), Now: doctorNow.UnixMilli()}
	st.Pool.Max, st.Disk.Free, st.Disk.Reserve = 1000, 100<<30, 256<<20
	a := &answer{url: fmt.Sprintf("http://node%d", i+1), status: st, asked: doctorNow, took: 2 * time.Millisecond}
	for j := range 4 {
		st.Validators = append(st.Validators, member{ID: chain.ValidatorID(j + 1), Name: fmt.Sprintf("node%d", j+1), PublicKey: []byte(testKey(j))})
		if j != i {
			id, height, offset, rtt := chain.ValidatorID(j+1), uint64(100), int64(0), 0.4
			a.peers = append(a.peers, peerStatus{PublicKey: []byte(testKey(j)), Validator: &id, Name: fmt.Sprintf("node%d", j+1), Connected: true,
				Address: fmt.Sprintf("10.0.0.%d:30301", j+1), Height: &height, ClockOffsetMs: &offset, RoundTripMs: &rtt})
		}
	}
	return a
}

// both changes what a node said, at both looks.
func (s *sick) both(i int, change func(*answer)) {
	change(s.nodes[i].first)
	change(s.nodes[i].second)
}

// down makes a node's process disappear; the others lose it.
func (s *sick) down(i int) {
	n := s.nodes[i]
	n.pid, n.first, n.second = 0, &answer{url: n.url, err: client.ErrUnreachable}, &answer{url: n.url, err: client.ErrUnreachable}
	delete(s.heads, n.name)
	for j := range s.nodes {
		if j != i {
			s.cut(j, i, "connection refused")
		}
	}
}

// cut makes node i lose peer j.
func (s *sick) cut(i, j int, why string) {
	s.both(i, func(a *answer) {
		for k := range a.peers {
			if chain.Peer(a.peers[k].PublicKey) == testKey(j) {
				a.peers[k].Connected, a.peers[k].LastError = false, why
				a.status.Peers--
			}
		}
	})
}

func (s *sick) peer(i, j int, change func(*peerStatus)) {
	s.both(i, func(a *answer) {
		for k := range a.peers {
			if chain.Peer(a.peers[k].PublicKey) == testKey(j) {
				change(&a.peers[k])
			}
		}
	})
}

func TestDoctorFindsNothingInAHealthyNetwork(t *testing.T) {
	require.Empty(t, diagnose(&newSick().facts))
	// Nor in one that is at work: blocks came, and heights differ by what is on its way.
	s := newSick()
	for i, n := range s.nodes {
		st := n.second.status
		st.Ordered, st.Executed, st.Durable, st.Finalized = 160+uint64(i), 158, 157, 155
		st.Pool.Pending = 200
	}
	require.Empty(t, diagnose(&s.facts))
	// Nor in a single node.
	one := healthyAnswer(0)
	one.status.Validators, one.status.Quorum, one.status.Peers, one.peers = one.status.Validators[:1], 1, 0, nil
	require.Empty(t, diagnose(&facts{nodes: []*nodeFacts{{name: "x", url: "http://x", first: one, second: one}}}))
}

// A node that the validators have voted for does not count before it rules.
func TestDoctorCountsWhoRules(t *testing.T) {
	s := newSick()
	fifth := chain.ValidatorID(5)
	for i := range s.nodes {
		s.both(i, func(a *answer) {
			a.peers = append(a.peers, peerStatus{PublicKey: []byte{5, 5, 5, 5}, Validator: &fifth, Connected: true})
		})
	}
	require.Len(t, s.reachableValidators(), 4)
	require.Equal(t, 4, connectedValidators(s.nodes[0].second))
	require.Empty(t, diagnose(&s.facts))
}

func TestDoctor(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		harm func(*sick)
		// want are "severity rule" of all findings, cause and evidence parts of the first one's.
		want                    []string
		cause, evidence, remedy string
	}{
		"a node is down": {
			harm: func(s *sick) { s.down(2) },
			want: []string{"error not_running", "warning away"}, cause: "node3 does not run", remedy: "jialing network start --dir net node3",
		},
		"a node is down whose port is taken": {
			harm:  func(s *sick) { s.down(2); s.nodes[2].taken = []string{"127.0.0.1:8547"} },
			want:  []string{"error not_running", "warning away"},
			cause: "node3 does not run", evidence: "something else listens on 127.0.0.1:8547", remedy: "Stop what listens",
		},
		"a node crashed": {
			harm:  func(s *sick) { s.down(2); s.nodes[2].lastWords = "one\npanic: two" },
			want:  []string{"error not_running", "warning away"},
			cause: "node3 does not run", evidence: "its log ends with: one\npanic: two",
		},
		"a key does not open": {
			harm: func(s *sick) {
				s.down(2)
				s.nodes[2].lastWords = "jialing: read node key: wrong passphrase for x (attempt 1 of 1)"
			},
			want: []string{"error not_running", "error node_key", "warning away"}, cause: "node3 does not run", evidence: "wrong passphrase for x",
		},
		"a stopped node's key did not open once": {
			harm: func(s *sick) { s.down(2); s.nodes[2].lastWords = "the key device does not work\nstopped" },
			want: []string{"error not_running", "warning away"},
		},
		"a key's device is pulled": {
			harm: func(s *sick) {
				s.both(1, func(a *answer) {
					why := "the node neither votes nor takes transactions: the key device does not work: token gone"
					a.status.Problem = &why
				})
			},
			want: []string{"error key_device"}, cause: "node2 does not vote", evidence: "token gone", remedy: "Put the device back",
		},
		"a node hangs": {
			harm: func(s *sick) { s.down(1); s.nodes[1].pid = 77 },
			want: []string{"error not_answering", "warning away"}, cause: "node2 runs (pid 77) but does not answer",
		},
		"a URL does not answer": {
			harm: func(s *sick) {
				s.nodes = []*nodeFacts{{name: "http://h", url: "http://h", first: &answer{err: client.ErrUnreachable}, second: &answer{err: client.ErrUnreachable}}}
				s.heads = nil
			},
			want: []string{"error not_answering"}, cause: "no node answers at http://h", remedy: "firewall",
		},
		"something else answers": {
			harm: func(s *sick) {
				s.nodes = []*nodeFacts{{name: "http://h", url: "http://h", first: &answer{err: errors.New("x")}, second: &answer{err: errors.New("the method jl_nodeStatus does not exist")}}}
				s.heads = nil
			},
			want: []string{"error not_answering"}, cause: "not as a node of this version", evidence: "does not exist",
		},
		"a node is on another machine": {
			harm: func(s *sick) { s.down(3); s.nodes[3].elsewhere = "b.example.org" },
			want: []string{"warning away", "note elsewhere"}, cause: "away: node4",
		},
		"no quorum": {
			harm: func(s *sick) { s.down(2); s.down(3) },
			want: []string{"error not_running", "error not_running", "error no_quorum"},
		},
		"no quorum, nothing known but URLs": {
			harm: func(s *sick) {
				s.down(2)
				s.down(3)
				s.nodes = s.nodes[:2]
			},
			want: []string{"error no_quorum"}, cause: "no quorum, so no blocks: node3, node4 missing (2 of 4 validators are up, 3 must be)", evidence: "node4 at 10.0.0.4:30301: connection refused",
			remedy: "at least 1 validator of those",
		},
		"a partition in halves": {
			harm: func(s *sick) {
				for _, p := range [][2]int{{0, 2}, {0, 3}, {1, 2}, {1, 3}} {
					s.cut(p[0], p[1], "i/o timeout")
					s.cut(p[1], p[0], "i/o timeout")
				}
			},
			want: []string{"error partitioned", "error partitioned", "error partitioned", "error partitioned", "warning unreachable", "warning unreachable", "warning unreachable",
				"warning unreachable"},
			cause: "node1 reaches only 2 of 4 validators", evidence: "node3 at 10.0.0.3:30301 (i/o timeout)",
		},
		"one link is broken": {
			harm: func(s *sick) { s.cut(0, 3, "i/o timeout") },
			want: []string{"warning unreachable"}, cause: "node1 cannot reach node4 at 10.0.0.4:30301", evidence: "i/o timeout",
		},
		"a node is alone": {
			harm: func(s *sick) {
				for j := 1; j < 4; j++ {
					s.cut(0, j, "no route to host")
				}
			},
			want: []string{"error no_peers", "warning unreachable", "warning unreachable", "warning unreachable"}, cause: "node1 is connected to no other node",
			evidence: "no route to host",
		},
		"a node knows nobody": {
			harm: func(s *sick) { s.both(0, func(a *answer) { a.peers, a.status.Peers = nil, 0 }) },
			want: []string{"error no_peers"}, cause: "node1 is connected to no other node", evidence: "it knows of none", remedy: "[network] peers",
		},
		"another genesis, both asked": {
			harm: func(s *sick) {
				s.both(1, func(a *answer) { a.status.Genesis = crypto.Hash{9} })
				s.heads["node2"] = "0xbb"
			},
			want: []string{"error other_genesis"}, cause: "different chains", evidence: "node2: genesis 0x0900", remedy: "sha256sum",
		},
		"another genesis, told by a peer": {
			harm:  func(s *sick) { s.cut(0, 3, "is of another chain: genesis 0x12, chain id 6") },
			want:  []string{"error other_genesis"},
			cause: "node4 has another genesis", evidence: "chain id 6 (said by node1)",
		},
		"another genesis, a stranger": {
			harm: func(s *sick) {
				s.both(0, func(a *answer) {
					a.peers = append(a.peers, peerStatus{PublicKey: []byte{9, 9, 9, 9, 9}, Address: "10.0.0.9:4000", LastError: "is of another chain: genesis 0x12"})
				})
			},
			want: []string{"note other_genesis"}, cause: "a node of another chain was refused: 09090909 at 10.0.0.9:4000",
		},
		"another genesis, it is this node's": {
			harm: func(s *sick) {
				for j := 1; j < 4; j++ {
					s.cut(0, j, "peer refuses this node: of another chain")
				}
				s.nodes, s.heads = s.nodes[:1], nil
			},
			want:  []string{"error other_genesis", "error no_quorum", "error no_peers"},
			cause: "node1 has another genesis than the nodes that it knows", evidence: "node2 at 10.0.0.2:30301: peer refuses",
		},
		"diverged, the node halted": {
			harm: func(s *sick) {
				s.down(3)
				s.nodes[3].halt = describeHalt(&node.Halt{Height: 77, FirstKey: "account 0xab, nonce: ours 1, theirs 2", Signers: []chain.ValidatorID{1, 2, 3}})
			},
			want:  []string{"error diverged", "error not_running", "warning away"},
			cause: "node4 halted itself", evidence: "account 0xab, nonce: ours 1, theirs 2", remedy: "Keep a copy",
		},
		"diverged, seen over RPC": {
			harm: func(s *sick) { s.heads["node3"] = "0xbb" },
			want: []string{"error diverged"}, cause: "different blocks at height 100", evidence: "node1, node2, node4: 0xaa\nnode3: 0xbb",
		},
		"two folders with one key": {
			harm: func(s *sick) {
				s.nodes[3].folder.key = testKey(0)
				s.both(3, func(a *answer) { a.status.PublicKey = []byte(testKey(0)) })
			},
			want: []string{"error one_key"}, cause: "node1 and node4 have one key", remedy: "Stop one of them at once",
		},
		"the network has found a second key": {
			harm: func(s *sick) {
				s.both(2, func(a *answer) {
					a.status.Conflicts = []string{"another node with this node's key is at 10.9.9.9:30301"}
				})
			},
			want: []string{"error one_key"}, cause: "another node uses the key of node3", evidence: "10.9.9.9",
		},
		"the peers have found a second key": {
			harm: func(s *sick) {
				for j := range 3 {
					s.cut(3, j, "peer refuses this node: another node with the same key is connected")
				}
				s.nodes, s.heads = s.nodes[3:], nil
			},
			want: []string{"error one_key", "error no_quorum", "error no_peers"}, cause: "another node uses the key of node4", evidence: "the same key",
		},
		"another node at the port": {
			harm: func(s *sick) { s.nodes[3].folder.key = "other" },
			want: []string{"error wrong_node"}, cause: "another node answers at http://node4, where node4 should",
		},
		"a validator contradicts itself": {
			harm: func(s *sick) {
				for i := range 2 {
					s.both(i, func(a *answer) {
						a.status.Evidence = []string{"validator 3 attested two blocks at height 7: 0x1 and 0x2"}
					})
				}
			},
			want: []string{"warning contradiction"}, cause: "contradicted itself", evidence: "validator 3 attested two blocks at height 7: 0x1 and 0x2 (seen by node1, node2)",
			remedy: "jialing validator remove",
		},
		"a validator was restored": {
			harm: func(s *sick) {
				s.both(2, func(a *answer) { why := "its data folder is a copy"; a.status.Abstains = &why })
			},
			want: []string{"warning abstains"}, cause: "node3 signs nothing", evidence: "its data folder is a copy", remedy: "20 seconds after its start",
		},
		"a seat shows itself nowhere": {
			harm: func(s *sick) {
				s.both(1, func(a *answer) { a.status.Stake = &stakeStatus{Validator: 2, Epoch: 4, BlocksLeft: 17, Seat: true} })
				s.both(2, func(a *answer) { a.status.Stake = &stakeStatus{Validator: 3, Seat: true, Attended: true} })
			},
			want: []string{"warning attendance"}, cause: "node2 has a seat and has not shown", evidence: "epoch 4 ends in 17 blocks", remedy: "jialing stake attend",
		},
		"an operator's account is empty": {
			harm: func(s *sick) {
				s.both(1, func(a *answer) {
					a.status.Stake = &stakeStatus{Validator: 2, Seat: true, Operator: &common.Address{1}, Problem: "attend: account 0x01 must hold 5 wei"}
				})
				s.both(2, func(a *answer) { a.status.Stake = &stakeStatus{Validator: 3, Seat: true, Operator: &common.Address{1}} })
			},
			want: []string{"warning attendance"}, cause: "node2 has a seat and cannot show", evidence: "must hold 5 wei", remedy: "0x0100",
		},
		"a validator was slashed": {
			harm: func(s *sick) {
				s.both(1, func(a *answer) { a.status.Stake = &stakeStatus{Validator: 2, Tombstoned: true} })
			},
			want: []string{"warning slashed"}, cause: "node2 was slashed", evidence: "validator 2 is tombstoned", remedy: "new key",
		},
		"a peer's blocks are ignored": {
			harm: func(s *sick) {
				s.peer(0, 3, func(p *peerStatus) { p.LastError = "what it says of its blocks is ignored: bad certificate" })
			},
			want: []string{"warning ignored"}, cause: "node1 does not take blocks from node4", evidence: "bad certificate",
		},
		"banned": {
			harm: func(s *sick) {
				s.cut(1, 3, "malformed message")
				s.peer(1, 3, func(p *peerStatus) { until := doctorNow.Add(time.Hour).UnixMilli(); p.BannedUntil = &until })
			},
			want: []string{"warning banned"}, cause: "node2 has banned node4 until 2026-", evidence: "malformed message",
		},
		"a clock is off, the node asked": {
			harm: func(s *sick) { s.both(1, func(a *answer) { a.status.Now += 3000 }) },
			want: []string{"warning clock"}, cause: "the clock of node2 is 3s ahead of the others", remedy: "timedatectl",
		},
		"a clock is far off": {
			harm: func(s *sick) { s.both(1, func(a *answer) { a.status.Now -= 60_000 }) },
			want: []string{"error clock"}, cause: "the clock of node2 is 1m0s behind the others: more than 10s",
		},
		"a clock is off, told by a peer": {
			harm: func(s *sick) {
				s.nodes, s.heads = s.nodes[:1], nil
				s.peer(0, 3, func(p *peerStatus) { off := int64(-5000); p.ClockOffsetMs = &off })
			},
			want: []string{"warning clock"}, cause: "the clock of node4 is 5s behind the others", evidence: "by node1",
		},
		"this machine's clock is off": { // which is no node's fault
			harm: func(s *sick) {
				for i := range s.nodes {
					s.both(i, func(a *answer) { a.status.Now += 7000 })
				}
			},
		},
		"disk full": {
			harm: func(s *sick) {
				s.both(2, func(a *answer) { why := "disk is full"; a.status.Problem, a.status.Disk.Free = &why, 100<<20 })
			},
			want: []string{"error disk_full"}, cause: "the disk of node3 is full", evidence: "100 MiB are free, the node keeps 256 MiB",
		},
		"disk full, which took the node out of the network": {
			harm: func(s *sick) {
				s.both(2, func(a *answer) {
					why := "disk is full"
					a.status.Problem, a.status.Disk.Free, a.status.Leader = &why, 100<<20, nil
				})
				for j := range 4 {
					if j != 2 {
						s.cut(j, 2, "connection refused")
						s.cut(2, j, "")
					}
				}
			},
			want: []string{"error disk_full", "warning away"}, cause: "the disk of node3 is full",
		},
		"disk nearly full": {
			harm: func(s *sick) { s.both(2, func(a *answer) { a.status.Disk.Free = 1 << 30 }) },
			want: []string{"warning disk_low"}, cause: "nearly full", evidence: "1024 MiB are free",
		},
		"disk full and the node gone": {
			harm: func(s *sick) { s.down(2); s.nodes[2].diskFree, s.nodes[2].diskKnown = 0, true },
			want: []string{"error not_running", "error disk_full", "warning away"},
		},
		"pool full": {
			harm: func(s *sick) { s.nodes[0].second.status.Pool.Pending = 1000 },
			want: []string{"error pool_full"}, cause: "the transaction pool of node1 is full", evidence: "1000 executable",
		},
		"pool nearly full of gaps": {
			harm: func(s *sick) { p := &s.nodes[0].second.status.Pool; p.Pending, p.Queued = 100, 850 },
			want: []string{"warning pool_full"}, cause: "nearly full", remedy: "earlier nonce",
		},
		"a gap": {
			harm: func(s *sick) { s.nodes[0].second.status.Pool.Queued = 1 },
			want: []string{"note nonce_gap"}, cause: "1 transaction waits in the pool of node1",
		},
		"the leader proposes nothing": {
			harm: func(s *sick) {
				for i := range s.nodes {
					s.both(i, func(a *answer) { a.status.Pool.Pending = 5 })
				}
			},
			want: []string{"error stuck"}, cause: "transactions wait and no block is ordered; the leader is node1", evidence: "in 2s no height moved; waiting: 5 in the pool of node1",
		},
		"execution is behind": {
			harm: func(s *sick) {
				for _, n := range s.nodes {
					st := n.second.status
					st.Ordered, st.Executed, st.Durable, st.Finalized = 150, 150, 150, 150
				}
				st := s.nodes[1].second.status
				st.Executed, st.Durable, st.Finalized = 121, 120, 120
			},
			want: []string{"warning execution_slow"}, cause: "node2 executes slower", evidence: "ordered 150, executed 121, on disk 120",
		},
		"execution has stopped": {
			harm: func(s *sick) { s.both(1, func(a *answer) { a.status.Ordered = 130 }) },
			want: []string{"error execution_stuck"}, cause: "node2 has stopped executing: 30 blocks wait",
		},
		"no certificates": {
			harm: func(s *sick) {
				s.both(1, func(a *answer) { a.status.Finalized, a.status.Unsigned = 50, []chain.ValidatorID{3} })
			},
			want: []string{"error not_finalized"}, cause: "node2 lacks signatures for the last 50", evidence: "3 of 4 validators; block 51 lacks node3",
		},
		"no leader": {
			harm: func(s *sick) { s.both(1, func(a *answer) { a.status.Leader = nil }) },
			want: []string{"error no_leader"}, cause: "node2 sees no leader",
		},
		"leaders change": {
			harm: func(s *sick) { s.nodes[1].second.status.LeaderChanges = 5 },
			want: []string{"warning leader_changes"}, evidence: "node2 saw 5 changes in 5m0s",
		},
		"leaders changed in a year": {
			harm: func(s *sick) {
				st := s.nodes[1].second.status
				st.LeaderChanges, st.StartedAt = 500, st.Now-365*24*3_600_000
			},
		},
		"leaders change now": {
			harm: func(s *sick) { s.nodes[1].second.status.View++ },
			want: []string{"warning leader_changes"}, evidence: "it changed while the doctor watched",
		},
		"the leader is slow": {
			harm: func(s *sick) { s.peer(2, 0, func(p *peerStatus) { ms := 400.0; p.RoundTripMs = &ms }) },
			want: []string{"warning leader_slow"}, cause: "the leader node1 is slow", evidence: "node3: 400 ms",
		},
		"a node is behind": {
			harm: func(s *sick) {
				s.both(3, func(a *answer) { st := a.status; st.Ordered, st.Executed, st.Durable, st.Finalized = 40, 40, 40, 40 })
			},
			want: []string{"warning behind"}, cause: "node4 is 60 blocks behind and does not catch up", evidence: "it is at 40, others at 100",
		},
		"a node catches up": {
			harm: func(s *sick) {
				s.both(3, func(a *answer) { st := a.status; st.Ordered, st.Executed, st.Durable, st.Finalized = 40, 40, 40, 40 })
				st := s.nodes[3].second.status
				st.Ordered, st.Executed, st.Durable, st.Finalized = 60, 60, 60, 60
			},
			want: []string{"note catching_up"}, cause: "40 blocks to go", remedy: "about 4s at this pace",
		},
		"a peer lies about its height": {
			harm: func(s *sick) { s.peer(0, 3, func(p *peerStatus) { h := uint64(1 << 40); p.Height, p.Score = &h, -20 }) },
		},
		"a problem of its own": {
			harm: func(s *sick) { s.both(2, func(a *answer) { why := "the node is starting"; a.status.Problem = &why }) },
			want: []string{"error problem"}, cause: "node3 takes no transactions", evidence: "the node is starting",
		},
		"validators without balance": {
			harm: func(s *sick) { s.baseFee, s.poor = big.NewInt(1e9), []string{"node2", "node3"} },
			want: []string{"note no_balance"}, cause: "cannot pay for a vote: node2, node3", evidence: "gas costs 1 gwei",
		},
		"an altered audit log": {
			harm: func(s *sick) { s.nodes[1].audit = errAuditHead },
			want: []string{"error audit"}, cause: "the audit log of node2 is not what the node wrote", evidence: "records are missing at the end", remedy: "jialing audit verify --dir",
		},
		"the ports' certificate runs out": {
			harm: func(s *sick) {
				s.both(0, func(a *answer) { a.status.Access = ends(a, 20*24*time.Hour) })
				s.both(1, func(a *answer) { a.status.Access = ends(a, -time.Hour) })
				s.both(2, func(a *answer) { a.status.Access = ends(a, 100*24*time.Hour) })
			},
			want: []string{"error rpc_certificate", "warning rpc_certificate"}, cause: "RPC ports of node2 has expired", remedy: "without a restart",
		},
		"a tokens file that cannot be read": {
			harm: func(s *sick) { s.both(3, func(a *answer) { a.status.Access = &accessStatus{ReloadFailures: 2} }) },
			want: []string{"warning access_files"}, cause: "node4 could not take a changed token", evidence: "2 failures", remedy: "jl_reloadAccess",
		},
		"versions": {
			harm: func(s *sick) { s.both(2, func(a *answer) { a.status.Version = "v2" }) },
			want: []string{"note versions"}, evidence: "v1: node1, node2, node4\nv2: node3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSick()
			tc.harm(s)
			found := diagnose(&s.facts)
			var got []string
			for _, d := range found {
				got = append(got, string(d.Severity)+" "+d.Rule)
				require.NotEmpty(t, d.Cause)
				require.NotEmpty(t, d.Remedy)
				require.Contains(t, string(doc), "`"+d.Rule+"`", "docs/operations.md explains every finding")
			}
			require.Equal(t, tc.want, got, "%+v", found)
			if len(found) > 0 {
				require.Contains(t, found[0].Cause, tc.cause)
				require.Contains(t, found[0].Evidence, tc.evidence)
				require.Contains(t, found[0].Remedy, tc.remedy)
			}
		})
	}
}

// ends is the access of a node whose certificate ends after so long.
func ends(a *answer, left time.Duration) *accessStatus {
	at := a.status.Now + left.Milliseconds()
	return &accessStatus{TLS: true, Expires: &at}
}
