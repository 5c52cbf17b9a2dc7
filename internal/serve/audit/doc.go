// Package audit is the append-only log of what was administered: calls of administrative methods, starts and stops of the node, changes that the command
// line made to its folder. It belongs to serve, the last stage of pool → order → execute → attest → store → serve, whose administrative calls it
// records; internal/node hands it to whoever else has something to record.
//
// It owns the files of one folder, named by number. Each line is one record as JSON. A record holds the hash of the one before it and its own, by the chain's
// suite, over its canonical bytes; a new file goes on where the last one ended. So no record can be altered, put in or taken out without breaking the chain.
// What the chain cannot show by itself is a missing end: Head is shown outside (jl_nodeStatus), where it is compared.
//
// Invariants: Append returns after the record is on disk; a log has one writer (a lock on the folder); whatever lies in the folder, reading it costs one
// line's memory and never panics; what a crash left half written is kept aside, never thrown away and never taken for a record.
package audit
