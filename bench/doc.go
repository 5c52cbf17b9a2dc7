// Command bench measures a chain as its users meet it: real jialing processes, real signatures, JSON-RPC over WebSocket.
//
// It makes a fresh chain with that many funded token holders, signs ERC-20 transfers between random ones of them, and then
//
//   - sends them as fast as the chain takes them: committed transactions per second and CPU microseconds of the node per transaction, split
//     by stage;
//   - sends at half of that rate: latency from a transaction's turn to the arrival of the block that holds it;
//   - stops the node and weighs its folder: bytes per transaction.
//
// Before, during and after it times the yardstick, one decode with sender recovery on one thread, and gives costs as multiples of it: machines
// and their neighbours differ, the multiple stays. A transaction that is refused, fails or goes missing ends the run with an error.
//
//	make bench                                   100,000 and 1,000,000 holders
//	make bench ACCOUNTS=100000 TXS=50000         smaller
//	go run ./bench -help                         all settings
//
// It stands outside the sentence pool → order → execute → attest → store → serve; of the node it imports internal/chain alone, for the yardstick.
package main
