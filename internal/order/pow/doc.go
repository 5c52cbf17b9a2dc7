// Package pow is the engine of a chain that anybody may extend: the blocks of the most work are the chain (Nakamoto's consensus) behind order.Engine.
//
// It stands in the order stage of pool → order → execute → attest → store → serve. A block is a chain.Decision whose proof is a work header: its
// hash, a number, must not exceed a target that follows from the blocks before it. Forks live and die in here: a decision is delivered when
// chain.WorkParams.Depth blocks, its own included, speak for it, and is never taken back. The package owns:
//   - the header and its rules (header.go, asert.go, rules.go): all that is consensus of strangers, in integers and without a clock but the bound on the future;
//   - the tree of headers above the last delivered decision (tree.go), with the blocks' transactions where they are here, and which branch counts;
//   - what peers say to each other (frame.go): tips are told, headers come first and in pages, blocks are asked for by those who lack them;
//   - mining (mine.go, grind.go), by own threads or by others who ask for work;
//   - what survives a crash of the blocks that are not delivered (journal.go).
//
// Invariants:
//   - of two branches the one of more work counts, of equal ones the one that was complete here first; a branch is complete as far as its blocks'
//     transactions are here and were checked;
//   - a block confirms those below it only when its executed hash, the header of the block Depth below it, is what this node executed;
//   - nothing is delivered that is not on the branch that counts, nor while headers of more work leave it out whose blocks may still come;
//   - a better chain that leaves out a delivered decision ends the engine with a DeepFork: execution does not unwind.
package pow
