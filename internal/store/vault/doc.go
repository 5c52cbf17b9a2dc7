// Package vault encrypts what the store writes: a vfs.FS between Pebble and the disk. It is a part of store, stage 5 of the sentence
// pool → order → execute → attest → store → serve; nothing else opens a ledger's files.
//
// It owns the file vault.json of a ledger's folder (keyfile.go): the data keys, each wrapped by a master key that this package never sees. Every other file is sealed with
// a key of its own, derived from a data key and a random salt in the file's header (header.go). Two forms follow from how Pebble uses its files:
//
//   - Tables (page.go) are written once, from the front, and then read at random: pages of a fixed size, each sealed under its number, the last one marked as the last. The
//     place of a byte follows from its offset. A table counts when it has been closed, as for Pebble, which names it in its manifest after that.
//   - Everything else (log.go) is appended to, synced in the middle of whatever, and read from the front: one sealed record per write. Nothing that was written is ever
//     written again, so that a crash can take back only what was not synced, and no nonce is used twice.
//
// # Invariants
//
// No (key, nonce) pair seals twice: a file's key is new with every header, and within a file page and record numbers only rise.
//
// What is read is what was written under that name by the holder of the key, or an error that names file and offset (ErrAltered). The exception is the end of a log, where
// a crash may have torn what was not synced: there the file ends earlier, as Pebble knows it. Each record tells how many before it were synced, so a record that fails is
// taken for a tear only if no later one says that it had been there; a log that was closed ends with a record that vouches for all.
//
// # Re-keying
//
// A new data key seals what is written from then on; Rekey then seals the old files anew, one by one, under the same names (rewrite.go). Pebble notices nothing: readers that
// are open change over between two reads, the writer of a log between two writes. Files that are not sealed at all are read only while a ledger is being converted.
package vault

import "errors"

// Errors that callers tell apart.
var (
	// ErrAltered: a file is not what was written: altered, cut, or moved here from elsewhere.
	ErrAltered = errors.New("file was altered, cut, or is not this folder's")
	// ErrMasterKey: the master key does not open the data keys. Nothing was opened or written.
	ErrMasterKey = errors.New("the master key is not the one that protects this ledger's keys")
	// ErrKeyFile: vault.json is missing where it must be, or cannot be read.
	ErrKeyFile = errors.New("the ledger's key file vault.json cannot be used")
	// ErrNotEncrypted: a folder with a ledger in plain text.
	ErrNotEncrypted = errors.New("the ledger is not encrypted")
)
