// Package clients runs the Ethereum clients that people use against live nodes of ours, one chain with fees and one
// without: ethers, viem, web3.js, Hardhat, Foundry, and go-ethereum's ethclient with abigen bindings. It stands outside
// the node and reaches it through JSON-RPC only.
//
// Every client goes through the same steps (deploy, call, send, revert, events, subscription, EIP-712, EIP-7702, ...) and
// reports the transactions that it had mined. The harness looks each of them up on the node, so that no client passes
// without having talked to it. Invariant: a client that leaves a step out fails, unless the table in clients_test.go
// says, with the reason, that it cannot do it.
//
//	go test ./test/clients                     # builds cmd/jialing and starts the two chains
//	REFERENCE=anvil go test ./test/clients     # the same tests against Foundry's anvil
//	JIALING_HTTP_URL=http://... JIALING_WS_URL=ws://... go test ./test/clients
//	                                           # against a running chain without fees, whose account "clients.funder" has
//	                                           # money, or JIALING_KEY; JIALING_HTTP_URL_FEES and JIALING_WS_URL_FEES
//	                                           # likewise name a chain with fees
//
// Accounts with SM2 keys come from client/js: a viem program runs with one by the same code as with another account, and Go and JavaScript read what
// the other signs.
//
// The clients come from npm, by the versions of package-lock.json, the first time the tests run.
package clients
