// Package execute is the third stage of the sentence pool → order → execute → attest → store → serve: it runs decided transactions in
// go-ethereum's EVM and makes a block of them: header, receipts, exclusions and write set. It also runs what never becomes part of a block:
// calls, gas estimates, simulations and traces. It is the only package that imports geth's core, core/vm, core/state and tracers.
//
// It owns no durable state. It reads a chain.State and hands a chain.WriteSet to a Commitment; nothing of an unfinished block leaves it.
//
// Invariants:
//   - equal inputs give equal blocks on every node: no clock, no randomness, no map order, no node's own configuration decides anything;
//   - results are geth's: the same gas, receipts, logs and state root for the same transactions (test/conformance and the oracle test);
//   - a transaction that fails Ethereum's checks before execution is left out with a reason and leaves no trace; a transaction that fails
//     inside the EVM is in the block with status 0;
//   - an error of the underlying state fails the block or the call. Nothing is ever computed on a value that could not be read.
//
// Money: the base fee goes to whom the genesis names (geth burns it), in blocks, calls, simulations and traces alike; receipts do not tell. What is minted at
// the end of blocks follows from the genesis and the height (chain.WorkParams.RewardAt, chain.StakeParams.Ends). Nothing else differs from geth.
//
// System calls: the parent's hash goes into the EIP-2935 contract before the first transaction, where the genesis has that contract. On a chain of stake the
// contract Staking is called behind the last one, when seats are elected and when an epoch is settled (system.go): no gas is paid or counted, their logs are
// in no receipt, so tools learn what they did from the contract's own state; a simulation (eth_simulateV1) makes none of them and mints nothing. The
// calls that speak for Ethereum's beacon chain are not made (EIP-4788, 7002, 7251): there is no beacon chain, so a query for a beacon root
// reverts like one for an unknown time instead of answering zero, and the header's beacon root and request list are the empty ones.
package execute
