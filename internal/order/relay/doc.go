// Package relay runs one engine after the other, as the chain's own decision says which rules a height.
//
// It stands in the order stage of pool → order → execute → attest → store → serve, between the driver and the engines, and is an engine itself. It owns the
// term, the time for which one engine rules without a break: it makes the engine of the term, gives it a host that lets it decide up to the term's last
// height and no further, and ends it there. Nodes that come to that height later fetch what is missing as any node that was away does.
//
// Invariants: a height is decided by the engine that the state 64 blocks before it names, on every node; what an engine wrote into its journal is read by no
// other term's; a message reaches the engine of the term in which it was sent, or nobody.
package relay
