// Package mpt is the state commitment: Ethereum's Merkle-Patricia trie over hashed keys, with the roots and proofs that go-ethereum computes for
// the same content. In the sentence pool → order → execute → attest → store → serve it stands inside store: execution's write set goes in, the
// block's state root and a few node records come out. It owns the node tables and the live nodes in memory; it owns no leaf.
//
// # Layout
//
// The leaves of a trie are the store's flat state itself, read in key order: what the EVM reads is exactly what the root commits to, nothing is
// stored twice, and a damaged flat record shows up as a hash that does not match. Above the leaves, a subtree with at most eight leaves
// ([pageLeaves]) is not stored at all: it is rebuilt from its leaves, which takes fewer hashes than a record costs to write. Only a branch with
// more than eight leaves beneath has a record, and the record holds no children, only what the parent needs to know of it:
//
//	account trie   AccountNodes ‖ depth(1) ‖ path packed to bytes                → explicit(2) ‖ hash(32) ‖ skip
//	storage trie   StorageNodes ‖ hash(address)(32) ‖ depth(1) ‖ path            → the same
//
// depth counts the nibbles of path; an odd path ends in a zero nibble. Because the depth stands before the path, the records of a node's children
// are neighbours. explicit has bit n set when child n has a record of its own. hash is the node's reference (such a node always encodes to 32 bytes
// or more). skip is empty, or the packed nibbles of an extension above the branch with their count in front; hash is then the extension's.
//
// An example: a trie of 1,000,000 random keys is a full tree of branches down to depth 4 (65,536 of them with about 15 leaves each). The branch at
// path 4.7.1.c has the record  depth=4 path=471c → explicit=0000 hash=…;  its leaves are the flat records whose key starts with 471c, and the ten or so
// children it has below, leaves and tiny branches, are rebuilt from them. Loading it is one scan of about 15 neighbouring flat records. Loading its
// parent (path 4.7.1, explicit=ffff) is one scan of 16 neighbouring node records. Changing one leaf writes the records at paths 471c, 471, 47, 4 and the
// root; in a block of 10,000 changes that is 1.3 records of about 70 bytes a key, where whole branches would be 1.9 × 570.
//
// Every load recomputes the hash of what it read and compares it with what the parent expected, so damage is found where it is, by owner and path.
//
// # In memory
//
// A live branch keeps the references of its 16 children, handles to the live ones among its explicit children, and one block of bytes with the
// leaves of all its other children (key ‖ length ‖ value, sorted). Branches and blocks lie in slabs without pointers and are named by 32-bit handles:
// the garbage collector never walks the tree, however large. An update sorts the block's keys, walks each touched branch once, then hashes level by
// level, deepest first, four messages at a time where the processor has AVX2. The subtrees under the root's 16 nibbles are worked on in parallel.
//
// Memory is bounded by Config.CacheBytes: after a commit that exceeds it, the subtrees untouched for longest are dropped, but never one that a block
// not yet durable has changed. Hence what is not live is by construction unchanged since the durable state, and is loaded back from there at any time,
// whatever is pending. The store must therefore show a block's flat records and node records together, after the block's Commit.
//
// # Invariants
//
//   - A subtree is explicit (has a record, and a branch of its own in memory) exactly when it holds more than eight leaves. The records are a pure
//     function of the leaves.
//   - The root branch always stands at depth 0 in memory; its canonical form (one child: no branch) is made when it is hashed.
//   - Between two calls no branch is dirty: a Forest whose call failed is dead and says so.
package mpt
