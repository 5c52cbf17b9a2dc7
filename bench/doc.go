// Command bench measures a chain as its users meet it: real jialing processes, real signatures, JSON-RPC over WebSocket.
//
// It makes a fresh chain with that many funded token holders, signs ERC-20 transfers between random ones of them, and then, by section:
//
//   - load: sends them to all nodes in turn, as fast as the chain takes them: committed transactions per second, CPU microseconds of all nodes
//     per transaction, split by stage, and who used the machine's cores. Then it sends at half of that rate: latency from a transaction's turn to
//     the arrival of the block that holds it; with several nodes, until a receipt that is final has come from another node. What the nodes sent
//     each other and what lies on their disks, per transaction.
//   - idle: the nodes' CPU while nothing is asked.
//   - leader, follower: kills a node under a steady load, again and again: the longest pause between two blocks on a node that lives, and the
//     time that the killed one takes to have everything again.
//   - away: keeps a node down for a minute under load; how long it takes to catch up.
//
// Before, during and after the load it times the yardstick, one decode with sender recovery on one thread, and gives costs as multiples of it:
// machines and their neighbours differ, the multiple stays. Where the holders sign with SM2, the yardstick verifies such a signature, and that of
// Ethereum's kind is timed beside it. A transaction that is refused, fails or goes missing ends the run with an error, in
// the sections with faults too: there a client goes on to the next node when one dies. The load generator shares the machine with the nodes; its
// CPU time is given apart.
//
//	make bench                                   one node; 100,000 and 1,000,000 holders
//	make bench NODES=4                           a network of four validators, all sections
//	make bench NODES=4 SECTIONS=leader           one section of it
//	make bench ACCOUNTS=100000 TXS=50000         smaller
//	make bench NODES=4 SUITE=gm KIND=sm2         holders that sign with SM2, on a chain of that suite
//	go run ./bench -help                         all settings
//
// It stands outside the sentence pool → order → execute → attest → store → serve; of the node it imports internal/chain alone, for the yardstick.
package main
