// Package keys keeps the secrets of a node and of who operates it: the encrypted file of a node's key, the passphrases that open it, and devices that sign
// without giving their key away.
//
// It stands beside the sentence pool → order → execute → attest → store → serve: order and attest sign with what it opens, and see no more of it than a
// crypto.PrivateKey. It owns nothing but the connection to a device.
//
// Invariants: no private key reaches a disk in plain text; what a key file asks of the machine is bounded before any of it is done; the secrets that pass
// through (passphrases, derived keys, encodings of private keys) are overwritten once they have served. Go gives no more than that: the garbage collector
// may have copied what grew, the opened key itself lives in the heap as long as the node, and memory may be swapped. Nodes need encrypted swap or none.
package keys
