// Package order is the second stage of pool → order → execute → attest → store → serve: it turns waiting transactions into decisions, an agreed
// sequence of transaction hashes. It never executes and never looks into a transaction.
//
// It owns the contract between consensus engines (Engine) and the node (Host), and the Driver, which is the Host of every engine: it fills
// proposals from the pool, checks those of others, keeps decisions together with the transactions that they name, and hands them on to
// execution through a bounded queue. Engines live in child packages; ordertest holds the tests that all of them pass.
// An engine whose decisions have been blocks on branches before (pow) has the driver as Branches too, and chooses what of fetched decisions is the chain's.
//
// Invariants:
//   - a decision is in the ledger before anything downstream sees it, and before the engine goes on, and durable before anything that rests on it is;
//   - heights have no gap, each decision names the hash of the one before, time never decreases;
//   - at most Config.Pipeline decisions wait for execution: behind that, Deliver waits and so does the engine.
package order
