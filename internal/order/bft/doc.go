// Package bft is the engine of a chain of validators of whom less than a third may lie or be away: SmartBFT's three-phase agreement behind
// order.Engine.
//
// It stands in the order stage of pool → order → execute → attest → store → serve. SmartBFT (a library) runs the phases and the changes of the
// leader; this package owns what the library leaves to its user or gets wrong for us:
//   - what is agreed on is a hash (a proposal's Header); the list of transactions, its body, travels beside the leader's pre-prepare and lies in
//     the journal with it, so nothing that the library copies, hashes or logs grows with the block;
//   - messages that come too early for the library are held back, and those that may have been lost are sent again;
//   - goroutines of the library that would wait for one that has gone are let go;
//   - a session is one run of the library: one validator set, begun at one decision in one view. Whatever does not come from agreement itself (a
//     new set, decisions fetched from peers, a view that others are in) ends the session, and the next one begins from the ledger and the journal;
//   - the library's callbacks return at once: it holds locks around them. Decisions are kept by a goroutine behind them, and all that
//     depends on one (the next vote, the next entry of the journal, a signature) waits for that.
//
// Invariants: a vote is in the journal before it is sent; nothing leaves a session after it has ended; a decision's proof holds exactly a quorum of
// commit signatures.
package bft
