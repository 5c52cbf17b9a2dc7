// Package catchup brings a node that was away, is new or only follows to where its peers are. It stands before order in pool → order → execute →
// attest → store → serve: what it fetches is delivered as the engine's own decisions are, and everything behind order works as always.
//
// Nodes tell each other their heights and clocks (Protocol). A node that sees others ahead fetches ranges of decided blocks from several of them at
// once (Method): the decision with its transactions, and the header with its certificate where there is one. Signatures of transactions are verified
// in parallel ahead of delivery; delivery is in order, and before each decision the engine's proof and the certificate, by the set of that height,
// must hold. A crash loses nothing: the ledger's height is where it goes on.
//
// It owns what is known of the peers' heights. Invariants:
//   - nothing is believed because a peer says it, and nothing is served that is not durable in the own ledger;
//   - what is in flight or waits for delivery is bounded in ranges and each of them in bytes;
//   - a peer that lies or cannot serve what it claims is reported and left alone for a while, its range goes to another.
package catchup
