// Package raft is the engine of a chain of validators of whom less than half may crash or be away, and none lies: Raft (etcd's library) behind
// order.Engine.
//
// It stands in the order stage of pool → order → execute → attest → store → serve. The library elects a leader and replicates its log; this package
// owns what goes into the log and what becomes of it:
//   - an entry is a proposal, a list of hashes, with its proposer's signature. Before a validator stores an entry it has the entry's transactions;
//   - one proposal is in flight at a time: the next one names the hash of the last decision. A committed entry whose parent is not the last decision
//     is of a leader that had lost its office, and is ignored;
//   - the log is compacted behind what is decided; who has lost more of it than the others keep fetches decisions from peers;
//   - the validators of the next height and the members of the library's configuration are brought together by the leader, by joint consensus;
//   - a validator that has lost its journal has lost its votes. It takes no part until the chain's decision gives it another number (birth.go).
//
// What crash tolerance does not cover: a validator that lies. Its decisions carry its signature alone, so one liar in the leader's seat can
// tell two halves of a network two things; a majority of attestations on the executed block is what stops that, after the fact.
//
// Invariants: nothing is sent before what it promises is in the journal; an entry is acknowledged only with its transactions kept.
package raft
