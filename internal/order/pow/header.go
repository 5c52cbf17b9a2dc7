package pow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// HeaderSize is the length of every header's encoding in bytes. All of it but the last 16 is fixed when a miner begins: hashing can start from there.
const HeaderSize = 176

// version is the only one that there is.
const version = 1

// Offsets of the fields, all big-endian. Extra and nonce are the miner's to choose.
const (
	offVersion    = 0
	offChain      = 4
	offHeight     = 12
	offParent     = 20
	offDecision   = 52
	offExecuted   = 84
	offAnchor     = 116
	offParentTime = 124
	offTime       = 132
	offBits       = 140
	offWork       = 144
	offExtra      = 160
	offNonce      = 168
)

// Header is the proof of a decision. Times are Unix milliseconds.
type Header struct {
	// Chain is the first eight bytes of the genesis header's suite hash: work on one chain is none on another.
	Chain [8]byte
	// Height is the decision's.
	Height uint64
	// Parent is the work hash of the header before; Root's at height 1.
	Parent crypto.Hash
	// Decision is the suite's hash of the decision that the work is for.
	Decision crypto.Hash
	// Executed is the suite's hash of the executed header WorkParams.Depth heights below; zero where that is the genesis or below it.
	Executed crypto.Hash
	// Anchor is the time of the block at height 1, by which the difficulty counts; ParentTime that of the block before (the genesis' at height 1). They are
	// here so that the difficulty can be checked by the header alone.
	Anchor, ParentTime uint64
	// Time is the decision's.
	Time uint64
	// Bits is the target in compact form, see chain.CompactTarget.
	Bits uint32
	// Work is the sum of the work of this header and all before it, below 2^128.
	Work uint256.Int
	// Extra and Nonce are tried until the hash meets the target.
	Extra, Nonce uint64
}

var errHeader = errors.New("malformed work header")

// Encode is the fixed form that is hashed and travels.
func (h *Header) Encode() []byte {
	b := make([]byte, HeaderSize)
	binary.BigEndian.PutUint32(b[offVersion:], version)
	copy(b[offChain:], h.Chain[:])
	binary.BigEndian.PutUint64(b[offHeight:], h.Height)
	copy(b[offParent:], h.Parent[:])
	copy(b[offDecision:], h.Decision[:])
	copy(b[offExecuted:], h.Executed[:])
	binary.BigEndian.PutUint64(b[offAnchor:], h.Anchor)
	binary.BigEndian.PutUint64(b[offParentTime:], h.ParentTime)
	binary.BigEndian.PutUint64(b[offTime:], h.Time)
	binary.BigEndian.PutUint32(b[offBits:], h.Bits)
	work := h.Work.Bytes32()
	copy(b[offWork:], work[16:])
	binary.BigEndian.PutUint64(b[offExtra:], h.Extra)
	binary.BigEndian.PutUint64(b[offNonce:], h.Nonce)
	return b
}

// DecodeHeader reverses Encode. It checks the form only.
func DecodeHeader(b []byte) (*Header, error) {
	if len(b) != HeaderSize {
		return nil, fmt.Errorf("%w: %d bytes, must be %d", errHeader, len(b), HeaderSize)
	}
	if v := binary.BigEndian.Uint32(b); v != version {
		return nil, fmt.Errorf("%w: version %d", errHeader, v)
	}
	h := &Header{
		Height:     binary.BigEndian.Uint64(b[offHeight:]),
		Anchor:     binary.BigEndian.Uint64(b[offAnchor:]),
		ParentTime: binary.BigEndian.Uint64(b[offParentTime:]),
		Time:       binary.BigEndian.Uint64(b[offTime:]),
		Bits:       binary.BigEndian.Uint32(b[offBits:]),
		Extra:      binary.BigEndian.Uint64(b[offExtra:]),
		Nonce:      binary.BigEndian.Uint64(b[offNonce:]),
	}
	copy(h.Chain[:], b[offChain:])
	copy(h.Parent[:], b[offParent:])
	copy(h.Decision[:], b[offDecision:])
	copy(h.Executed[:], b[offExecuted:])
	h.Work.SetBytes(b[offWork:offExtra])
	return h, nil
}

// Hash is the work hash of an encoded header: the suite's hash of its hash.
func Hash(suite crypto.Suite, encoded []byte) crypto.Hash {
	once := suite.Sum(encoded)
	return suite.Sum(once[:])
}

// Root is what the header at height 1 names as its parent: it binds the chain to its genesis header's suite hash.
func Root(suite crypto.Suite, genesis crypto.Hash) crypto.Hash {
	return suite.Sum([]byte("jialing/work/1"), genesis[:])
}

// Solved tells whether the header's hash meets its target.
func Solved(suite crypto.Suite, h *Header) bool {
	target, ok := expand(h.Bits)
	return ok && meets(Hash(suite, h.Encode()), target)
}
