// Package chain holds the ledger's nouns and their encodings: transactions, blocks, headers, receipts, decisions, certificates,
// validators, the genesis, and what passes between the stages of pool → order → execute → attest → store → serve.
//
// It owns no state and starts no goroutine. Stages import it and not each other, so whatever one stage hands to another is defined here.
//
// Invariants: an encoding has exactly one byte form (what Decode accepts, Encode gives back); decoders bound their work by their input and
// never panic; block hashes, transaction hashes and roots are those that Ethereum's clients recompute; what validators sign is the
// suite's hash and never Keccak.
package chain
