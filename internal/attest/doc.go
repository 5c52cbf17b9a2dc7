// Package attest is the fourth stage of pool → order → execute → attest → store → serve: every validator signs the header that it has
// executed, and a quorum of signatures is the block's certificate.
//
// It owns the signatures that are being gathered and the finalized height. It signs (Own) before a block is stored, so that the signature is
// in the block's own batch, and tells the others (Executed) only after that batch is durable. It gathers what peers send (Receive, Run) whether
// or not this node is a validator, and takes certificates that were fetched whole (Certified).
//
// # Messages
//
// There is one kind of message (message.go): signatures, certificates, and a question for certificates. A signature is sent once, when its block is
// durable. Messages may be lost, so while the finalized height of a node does not move it repeats its own oldest signatures every second and asks two
// peers for the certificates that it lacks; a peer that has them sends them instead of signatures. Signatures of others are not passed on.
//
// # What a signature costs
//
// Verification is the price. It is done by one goroutine behind a bounded queue, never on the network's; what would change nothing any more is not
// verified: a known signature, one for a certified height, one more where our own will complete the quorum. With four validators that is two
// verifications per block and node.
//
// # When there is no quorum
//
// Execution may run ahead of the finalized height by MaxBacklog blocks, then Wait holds it back. A chain whose certificates do not come stops with the
// names of the validators that are silent (Missing); it does not grow a tail that nobody has vouched for, nor the memory to gather for it.
//
// # Where nobody signs
//
// On a chain of work (Config.Unsigned) there are no validators: what the engine delivers is buried under enough work already, so a block is final as soon as
// it is durable here, and nothing is signed, sent or gathered. The work itself stands for the certificate; serve reads it from the decisions' proofs.
//
// # Invariants
//
// A validator signs one header at a height, across restarts; a certificate holds only verified signatures of members; the finalized height never
// goes back while the process lives; a quorum for another header than ours is a halt, not a choice. Certificates are stored in order of height;
// a height that stays without one while a later block has its own is passed over after three seconds, since the later certificate vouches for it
// through the parent hashes. What is gathered is bounded by Window+MaxBacklog heights times the size of the validator set.
package attest
