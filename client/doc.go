// Package client is the Go SDK of the platform: accounts, signing, sending, contracts, and the verification of evidence without any node.
//
// It stands outside the sentence pool → order → execute → attest → store → serve, on the other side of the RPC: it imports nothing of the
// node. It owns connections and keys that its caller gave it, nothing else.
//
// Everything but evidence is plain Ethereum JSON-RPC: a Client works against any Ethereum node, and RPC and Eth give the clients beneath it
// for whatever has no method here. Evidence (Proof, Trust, Verify) is this platform's: it is a second implementation of the formats, written
// from their description, so that who trusts a proof need not trust the code that made it.
//
// Invariants: a Client is safe for concurrent use; nothing here retries a transaction on its own; Verify reads no network, no disk and no clock.
package client
