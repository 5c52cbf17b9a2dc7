package catchup

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// SnapshotMethod is the name under which internal/node announces requests for a state. A request is one byte for its kind and
//
//	stateHold       height(8)                                    holds that state, 0: none; answered by what is held:
//	                                                             head(8) ‖ n × (height(8) ‖ ready(1) ‖ milliseconds left(4))
//	stateManifest   height(8)                                    answered by the RLP of manifest
//	stateHandovers  from(8)                                      answered by the RLP of handovers from that height on, a page of them
//	stateChunk      height(8) ‖ owner(32) ‖ from(32) ‖ to(32)    answered by a chunk of the store
//	stateCodes      n × hash(32)                                 answered by the RLP of a list of codes, the first ones of those
const SnapshotMethod = "getsnapshot"

const (
	stateHold      = 1
	stateManifest  = 2
	stateHandovers = 3
	stateChunk     = 4
	stateCodes     = 5
)

const (
	// MaxSnapshotRequest bounds a request of SnapshotMethod in bytes: maxCodes hashes.
	MaxSnapshotRequest = 1 + 32*maxCodes
	// MaxSnapshotResponse bounds an answer: a manifest with 255 headers and two sets of 512 validators takes some 600 KiB, a page of handovers maxPage, a
	// chunk 1 MiB; the rest is room for the exclusions of a strange block.
	MaxSnapshotResponse = 4 << 20
	// maxPage ends a page of handovers.
	maxPage = 1 << 20
	// maxHandovers bounds the handovers of a page: each costs two look-ups.
	maxHandovers = 256
	// maxCodes bounds the codes of a request: as many as fit into an answer if they are as large as they may be.
	maxCodes = 40
	// maxHeldTold bounds the states of an answer; a node holds two.
	maxHeldTold = 16
)

// manifest is all that a joining node needs beside the state and the block's transactions.
type manifest struct {
	Header      *chain.Header
	Certificate chain.Certificate
	Ancestors   []*chain.Header
	Exclusions  []chain.Exclusion
	Rule, Next  chain.Rule
}

// handover leads from one rule to the next: the header, certified by the old one's set, of the last block before the new one rules.
type handover struct {
	Header      *chain.Header
	Certificate chain.Certificate
	Rule        chain.Rule
}

// stateRequest is a request of any kind.
type stateRequest struct {
	kind   byte
	height uint64
	r      chain.StateRange
	hashes []common.Hash
}

func (q *stateRequest) encode() []byte {
	b := []byte{q.kind}
	if q.kind == stateCodes {
		for _, h := range q.hashes {
			b = append(b, h[:]...)
		}
		return b
	}
	b = binary.BigEndian.AppendUint64(b, q.height)
	if q.kind == stateChunk {
		b = append(b, q.r.Owner[:]...)
		b = append(b, q.r.From[:]...)
		b = append(b, q.r.To[:]...)
	}
	return b
}

func decodeStateRequest(b []byte) (*stateRequest, error) {
	bad := fmt.Errorf("%w: snapshot request of %d bytes", errWire, len(b))
	if len(b) == 0 || len(b) > MaxSnapshotRequest {
		return nil, bad
	}
	q := &stateRequest{kind: b[0]}
	if q.kind == stateCodes {
		if len(b) == 1 || (len(b)-1)%32 != 0 {
			return nil, bad
		}
		for rest := b[1:]; len(rest) > 0; rest = rest[32:] {
			q.hashes = append(q.hashes, common.Hash(rest[:32]))
		}
		return q, nil
	}
	size := 9
	switch q.kind {
	case stateHold, stateManifest, stateHandovers:
	case stateChunk:
		size += 96
	default:
		return nil, fmt.Errorf("%w: snapshot request of kind %d", errWire, q.kind)
	}
	if len(b) != size {
		return nil, bad
	}
	if q.height = binary.BigEndian.Uint64(b[1:]); q.height > maxHeight {
		return nil, fmt.Errorf("%w: snapshot request for height %d", errWire, q.height)
	}
	if q.kind == stateChunk {
		q.r = chain.StateRange{Owner: common.Hash(b[9:41]), From: common.Hash(b[41:73]), To: common.Hash(b[73:])}
	}
	return q, nil
}

func encodeHeld(head uint64, held []chain.HeldState) []byte {
	b := binary.BigEndian.AppendUint64(nil, head)
	for _, h := range held[:min(len(held), maxHeldTold)] {
		b = binary.BigEndian.AppendUint64(b, h.Height)
		ready := byte(0)
		if h.Ready {
			ready = 1
		}
		b = append(b, ready)
		b = binary.BigEndian.AppendUint32(b, uint32(min(max(h.Left.Milliseconds(), 0), 1<<31)))
	}
	return b
}

func decodeHeld(b []byte) (head uint64, held []chain.HeldState, err error) {
	if len(b) < 8 || (len(b)-8)%13 != 0 || (len(b)-8)/13 > maxHeldTold {
		return 0, nil, fmt.Errorf("%w: held states of %d bytes", errWire, len(b))
	}
	if head = binary.BigEndian.Uint64(b); head > maxHeight {
		return 0, nil, fmt.Errorf("%w: head %d", errWire, head)
	}
	for rest := b[8:]; len(rest) > 0; rest = rest[13:] {
		h := chain.HeldState{Height: binary.BigEndian.Uint64(rest), Ready: rest[8] == 1, Left: time.Duration(binary.BigEndian.Uint32(rest[9:])) * time.Millisecond}
		if h.Height > maxHeight || rest[8] > 1 {
			return 0, nil, fmt.Errorf("%w: held state at height %d", errWire, h.Height)
		}
		held = append(held, h)
	}
	return head, held, nil
}

// decodeManifest checks form and bounds.
func decodeManifest(b []byte, height uint64) (*manifest, error) {
	m := new(manifest)
	if err := rlp.DecodeBytes(b, m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", errWire, err)
	}
	if len(m.Ancestors) > chain.AncestorHeaders || len(m.Exclusions) > chain.MaxDecisionTxs {
		return nil, fmt.Errorf("%w: manifest of %d ancestors, %d exclusions", errWire, len(m.Ancestors), len(m.Exclusions))
	}
	if err := cmp.Or(m.Rule.CheckForm(), m.Next.CheckForm(), m.Certificate.CheckForm()); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", errWire, err)
	}
	if !isHeight(m.Header, height) {
		return nil, fmt.Errorf("%w: manifest of block %v where %d was asked for", errWire, m.Header.Number, height)
	}
	return m, nil
}

// decodeHandovers checks form and bounds.
func decodeHandovers(b []byte) ([]handover, error) {
	var out []handover
	if err := rlp.DecodeBytes(b, &out); err != nil {
		return nil, fmt.Errorf("%w: handovers: %w", errWire, err)
	}
	if len(out) > maxHandovers {
		return nil, fmt.Errorf("%w: %d handovers", errWire, len(out))
	}
	for i := range out {
		if err := cmp.Or(out[i].Certificate.CheckForm(), out[i].Rule.CheckForm()); err != nil {
			return nil, fmt.Errorf("%w: handover %d: %w", errWire, i, err)
		}
		if !isHeight(out[i].Header, out[i].Certificate.Height) {
			return nil, fmt.Errorf("%w: handover %d", errWire, i)
		}
	}
	return out, nil
}

func isHeight(h *chain.Header, height uint64) bool {
	return h.Number != nil && h.Number.IsUint64() && h.Number.Uint64() == height
}

// decodeCodes checks form and bounds.
func decodeCodes(b []byte, limit int) (codes [][]byte, err error) {
	if err := rlp.DecodeBytes(b, &codes); err != nil {
		return nil, fmt.Errorf("%w: codes: %w", errWire, err)
	}
	if len(codes) > limit {
		return nil, fmt.Errorf("%w: %d codes where %d were asked for", errWire, len(codes), limit)
	}
	return codes, nil
}
