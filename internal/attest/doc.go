// Package attest is the fourth stage of pool → order → execute → attest → store → serve: every validator signs the header that it has
// executed, and a quorum of signatures is the block's certificate.
//
// It owns the signatures that are being gathered and the finalized height. It signs (Own) before a block is stored, so that the signature is
// in the block's own batch, and gathers (Executed, Handle, Run) after.
//
// Invariants: a validator signs one header at a height, across restarts; a certificate holds only verified signatures of members; the
// finalized height never goes back; a quorum for another header than ours is a halt, not a choice. What is gathered is bounded by a window of
// heights times the size of the validator set.
package attest
