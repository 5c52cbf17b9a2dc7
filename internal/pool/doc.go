// Package pool is the first stage of pool → order → execute → attest → store → serve: it admits transactions and holds them until a
// block has executed them.
//
// A transaction is decoded once and its signature verified once, by a bounded set of workers; the checked form travels through all later
// stages. The pool owns the waiting transactions, their order and the journal of the locally submitted ones. It reads the chain's state
// and never writes it, and nothing it does is part of consensus: two nodes may hold different pools.
//
// Invariants:
//   - inside a sender transactions leave in nonce order, each nonce once; a decided transaction's nonce is used from that moment on;
//   - the sum of what a sender's pooled transactions may cost never exceeds its balance as of the last executed block;
//   - count, bytes and the share of one account are bounded (Config); decided transactions alone may exceed them, they leave with their block;
//   - one mutex guards all of it, is never held over I/O and is held for a time proportional to the result, not to the pool.
//
// Order: on a chain without fees senders take turns, one transaction each, so that no sender can starve others. With fees it is by
// effective tip at the next block's base fee.
package pool
