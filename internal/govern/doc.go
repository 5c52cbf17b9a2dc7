// Package govern knows who the validators are, who has staked to become one, and which organisations certify nodes: it reads them from the chain's own
// state and says who rules at every height.
//
// In the sentence pool → order → execute → attest → store → serve it stands beside execute: after each block it looks whether the block's writes
// changed the system contract Validators (contract/Validators.sol, at Address from the genesis on), and if so what set rules ActivationDelay
// heights later. Order, execute and attest ask it for the set of a height; the network asks for the members with their endpoints.
//
// It owns the contracts (Validators, Organisations, and Staking, which elects validators on a chain of stake and judges evidence against them), their storage
// layouts as Go reads and writes them and the founding accounts in the genesis. It neither runs the EVM nor writes anything: the set of a block's batch
// is the store's.
//
// Invariants: the set of height h follows from the state after block h−ActivationDelay alone (the founding set up to ActivationDelay), so every
// node that has executed that block has the same; what is in the store and what the state says never differ, or the node does not start.
package govern
