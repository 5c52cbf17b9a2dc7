package chain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Header is Ethereum's, so that every client recomputes the block hash as keccak(RLP). Extra carries this platform's fields, see Extra.
type Header = types.Header

// extraVersion is the first byte of Header.Extra; another one is another format.
const extraVersion = 3

// ExtraSize is the length of Header.Extra in bytes.
const ExtraSize = 1 + 2 + 6*32

// ErrExtra is returned for a Header.Extra that is not of this format.
var ErrExtra = errors.New("header extra is not of this platform's format")

// Extra is what a header says beyond Ethereum's fields.
type Extra struct {
	// Millis is the millisecond within Header.Time's second, 0 to 999.
	Millis uint16
	// Parent is the suite's hash of the parent header.
	Parent crypto.Hash
	// Decision is the hash of the decision that the block executes.
	Decision crypto.Hash
	// Validators is the hash of the rule by which this block is attested: the engine and the validator set, see Rule.Hash.
	Validators crypto.Hash
	// Next is that of the block after this one: whoever trusts one set walks by certified headers to the next.
	Next crypto.Hash
	// Ledger is the ledger digest after this block, see WriteSet.Digest.
	Ledger crypto.Hash
	// Records commits to the block's transactions and receipts by the suite's hash, see Records.Root.
	Records crypto.Hash
}

// Encode is the form in Header.Extra: version(1) ‖ millis(2, big-endian) ‖ parent ‖ decision ‖ validators ‖ next ‖ ledger ‖ records.
func (e *Extra) Encode() []byte {
	b := make([]byte, 0, ExtraSize)
	b = append(b, extraVersion)
	b = binary.BigEndian.AppendUint16(b, e.Millis)
	for _, h := range []*crypto.Hash{&e.Parent, &e.Decision, &e.Validators, &e.Next, &e.Ledger, &e.Records} {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeExtra reverses Encode or returns an error wrapping ErrExtra.
func DecodeExtra(b []byte) (*Extra, error) {
	if len(b) != ExtraSize {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrExtra, len(b), ExtraSize)
	}
	if b[0] != extraVersion {
		return nil, fmt.Errorf("%w: version %d, want %d", ErrExtra, b[0], extraVersion)
	}
	e := &Extra{Millis: binary.BigEndian.Uint16(b[1:])}
	if e.Millis > 999 {
		return nil, fmt.Errorf("%w: millisecond %d", ErrExtra, e.Millis)
	}
	for i, h := range []*crypto.Hash{&e.Parent, &e.Decision, &e.Validators, &e.Next, &e.Ledger, &e.Records} {
		copy(h[:], b[3+32*i:])
	}
	return e, nil
}

// HeaderHash is the suite's hash of a header's RLP: what validators sign. The block's identifier stays Header.Hash().
func HeaderHash(suite crypto.Suite, h *Header) (crypto.Hash, error) {
	b, err := rlp.EncodeToBytes(h)
	if err != nil {
		return crypto.Hash{}, fmt.Errorf("encode header: %w", err)
	}
	return suite.Sum(b), nil
}

// Prevrandao is the block's PREVRANDAO (EIP-4399). It comes from the decision, so every node has the same; it is no secret and no lottery:
// a proposer that may choose the order of transactions may choose among values of it.
func Prevrandao(decision crypto.Hash) common.Hash { return common.Hash(decision) }
