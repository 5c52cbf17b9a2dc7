package chain

import (
	"errors"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// StateRange is a piece of one of the state's tries: hashed keys from From to To, both included. A zero Owner stands for the accounts, else it is the hash of the
// address whose slots these are.
type StateRange struct {
	Owner, From, To common.Hash
}

// HeldState is a state that other nodes can fetch, or will be able to.
type HeldState struct {
	Height uint64
	// Ready is false while the height is above the head.
	Ready bool
	// Left is for how long it is held yet.
	Left time.Duration
}

// ErrStateChunk is wrapped by every error of a part of a fetched state that does not prove what was asked for: its sender is wrong.
var ErrStateChunk = errors.New("part of the state does not hold")

// AncestorHeaders is how many headers before its first block a chain that begins with a fetched state needs: BLOCKHASH of the next block sees 256 with
// the first one's own.
const AncestorHeaders = 255

// StateTail is what a chain that begins with a fetched state needs beside it. All of it is checked against the header of the state's block.
type StateTail struct {
	Genesis *Genesis
	// Ancestors are the headers before the block, ascending: AncestorHeaders of them, or all down to block 1.
	Ancestors []*Header
	// Decision is the block's, Txs what was decided, verified, Exclusions those of them that the block left out.
	Decision   *Decision
	Txs        Txs
	Exclusions []Exclusion
	// Certificate is the block's; its signatures have been verified.
	Certificate *Certificate
	// Set attested the block, Next attests the one after. No later change may be settled in the state.
	Rule, Next Rule
}
