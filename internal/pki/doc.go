// Package pki judges and issues the certificates by which organisations admit nodes.
//
// Beside the sentence pool → order → execute → attest → store → serve it stands at the door: the network asks, by internal/node, whether a peer's
// certificate lets it in. Which organisations there are, with their roots and what they revoked, is in the chain's state (internal/govern); this package
// is given it as a Registry and asks nobody. It owns the meaning of certificates: organisation in subject O, role in OU, usages, lengths.
//
// Invariants: a certificate that Verify accepts binds the key that the peer has proven to one organisation that the chain lists, by signatures of the
// chain's suite alone; the caller brings the time; every refusal is a sentence that says what to do; work and memory are bounded whatever a peer sends.
package pki
