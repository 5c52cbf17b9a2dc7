package store

import "errors"

// Errors that callers tell apart.
var (
	// ErrLocked: another process, or another Store of this one, has the folder open.
	ErrLocked = errors.New("the data folder is in use by another process")
	// ErrFormat: the folder was written in another format.
	ErrFormat = errors.New("the data folder has another format")
	// ErrOtherGenesis: the folder holds another chain.
	ErrOtherGenesis = errors.New("the data folder holds another chain")
	// ErrCorrupt: what the folder holds contradicts itself. Nothing was written.
	ErrCorrupt = errors.New("the data folder is damaged")
	// ErrStorage: a write or sync failed (disk full, device error). The store refuses further writes until it is opened again; reads go on.
	ErrStorage = errors.New("storage failed")
	// ErrEmpty: the folder holds no chain yet, Init comes first.
	ErrEmpty = errors.New("the data folder holds no chain yet")
	// ErrUnknownBlock: no committed block has that height or hash.
	ErrUnknownBlock = errors.New("unknown block")
	// ErrNotKept: the block is older than the state that this folder's chain began with.
	ErrNotKept = errors.New("not kept here: this node began with a later state")
	// ErrPruned: the state at that height is no longer kept.
	ErrPruned = errors.New("state at this height is no longer kept (pruned)")
	// ErrTooManyLogs: a query's answer exceeds its MaxResults.
	ErrTooManyLogs = errors.New("query returns too many logs")
	// ErrTooManyTerms: a query names more addresses and topics than MaxLogTerms.
	ErrTooManyTerms = errors.New("query names too many addresses and topics")
	// ErrProofTooOld: the proof would need more changes undone than MaxProofChanges.
	ErrProofTooOld = errors.New("too much has changed since that height to prove it")
)
