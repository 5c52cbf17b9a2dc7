// Package node composes the stages into one node and holds nothing else: pipeline.go is the sentence
// pool → order → execute → attest → store → serve, adapters.go fits each stage's small interfaces to its neighbours, init.go makes a node's
// folder, key.go holds its key.
//
// It is the only package that knows more than one stage. Invariants: a block is published (to the pool, to attestation, to clients) only
// after the store has made it durable; what fails in one stage stops all of them, in order, and names itself.
package node
