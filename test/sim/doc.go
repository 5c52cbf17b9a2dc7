// Package sim runs whole networks of nodes in one process: the real composition of internal/node with its stages, on a clock (testing/synctest), a
// network and disks that are simulated. What goes wrong is drawn from one seed: power cuts that lose what was not synced, full and slow and lost
// disks, partitions of all shapes, loss, delay, duplicates, reordering, wrong clocks, votes on the validator set, and up to f members that lie
// (vice.go) or run as two processes with one key.
//
// It owns the network (network.go, endpoint.go), the disks (disk.go), the clients (workload.go, ballot.go), the faults (faults.go) and the invariants
// (check.go). In the sentence pool → order → execute → attest → store → serve it takes the place of what surrounds the first five; serve's sockets
// and p2p's transport are not in it.
//
// The invariants, looked at after every step and at the end:
//   - no two honest members execute, decide or attest different things at one height, and none attests twice, whatever it has been through;
//   - what was durable on a member's disk is there after a crash; what an honest node told a client never changes; every transfer happens at most
//     once, and the balances are what the transfers in the chain leave;
//   - every certificate holds by the set of its height; finalized never goes back while a node runs;
//   - no honest member has reason to complain of another, none ends by itself, none holds up the network, all stop when they are told to;
//   - within a bound after faults have ended, the network commits again and all honest members agree.
//
// A seed decides the plan and all that is drawn; before it may stand a suite ("gm-17"). The scheduler of Go does not: a child process (process.go) runs one seed on one thread without
// preemption, so that most failures repeat; the event log of one that does not says what happened. Before it may also stand the engine ("raft-17", "pow-17", "gm-raft-17").
//
// What it cannot judge: Pebble changes its log under a lock, and when the simulated disk is slow just then while others wait for that lock, the bubble's
// time stands still, as waiting for a mutex does not let it go on. Such a seed, about one in a thousand, ends with "no end within" and a dump that
// shows commitPipeline.prepare.
package sim
