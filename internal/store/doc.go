// Package store is stage 5 of the sentence pool → order → execute → attest → store → serve: everything that lasts, in one Pebble database.
//
// It owns the folder of a chain's data: decisions with their transactions, blocks, receipts, indexes, the state, its history, its commitment (child
// mpt) and certificates. schema.go lists every key. No other package opens the database.
//
// # A block's way through
//
// AppendDecision writes a decision and the transactions it names, before execution, without waiting for the disk: all is in one log, so the next sync of
// anything, a vote on the next height or the block itself, makes it durable, and nothing that rests on it leaves the node before that. Stage
// takes the block's write set, computes the state root and makes the writes visible to Tip at once, in memory. Commit puts everything of the block into one batch with one sync: header, receipts, indexes, flat
// state, reverse diffs, commitment records, head. A crash leaves the block before or the block after, never a mixture, and nothing is replayed but the
// decisions behind the head. Stage and Commit each have one caller; the distance between them is the pipeline's (a few blocks), and all that lies between is
// a list of layers in memory.
//
// # Reading at a height
//
// The flat state holds the newest value of every account and slot under hashed keys. For each block the previous values of what it changed are kept (reverse
// diffs), with an index from key to the heights where it changed. A value at height h is the previous value in the first change after h, or, if there is
// none, the flat value. No snapshot is taken, so a view costs nothing to hold and needs no closing. What makes that right while blocks are committed is
// the order of the steps (view.go):
//
//  1. read the flat value;
//  2. if no block above h had begun to be applied by then (one atomic counter, raised before a batch is applied), it is the value at h;
//  3. else look for the first change after h in the index. A batch becomes visible as a whole: if the flat value of step 1 came from a batch above h, the
//     index entry from that batch is visible now, and its previous value is used. If no entry is found, no visible batch has changed the key since h, so
//     the flat value read before is the one at h;
//  4. then check that h has not been pruned meanwhile: the low-water mark is raised before history goes.
//
// # Beginning with a fetched state
//
// A state can be fetched instead of computed. The node that has it holds it with a database snapshot (hold.go) and cuts it into chunks, runs of neighbouring leaves with
// the Merkle proofs of their ends (chunk.go). The node that wants it verifies each chunk by the state root of an attested header before it writes anything of it, in
// any order, side by side, and across crashes (import.go). When nothing is open any more, the block with all that belongs to it is installed in one batch
// (install.go) and the folder is a chain that begins there: First. Below it there are headers for BLOCKHASH, and ErrNotKept.
//
// # When a write fails
//
// A failed write or sync cuts the store off its disk (failstop.go): from then on nothing changes there, as if the machine had stopped at that instant, which
// is the case the crash tests cover. Commit and AppendDecision return ErrStorage until the store is closed and opened again; reads go on.
//
// # Choices
//
// Keys of the flat state are hashed: the commitment needs the hashes, range proofs need their order, and the commitment keeps no leaves of its own but
// reads the flat state. A cache keyed by plain address and slot stands in front, so that the EVM's hot reads pay no hash.
//
// The hashes in a decision are not stored: they are the Keccak of the transactions stored beside it.
//
// The indexes by hash are cut into epochs (epoch.go), so that writing stays as cheap on a long chain as on a short one.
//
// A small file beside the database (anchor.go) knows how far it had come: a log that lost its end is refused, not taken for a crash's.
package store
