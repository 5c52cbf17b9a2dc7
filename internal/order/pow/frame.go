package pow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// A frame is one message between engines: its kind, then what the kind says.
const (
	// frameTip: header. The sender's tip.
	frameTip byte = iota + 1
	// frameAsk: places, height(8) ‖ hash(32) each, the highest first. Asks for the headers of the receiver's branch above the first place that is on it.
	frameAsk
	// frameHeaders: headers, ascending, each the parent of the next. The answer to frameAsk, a full page when there are more.
	frameHeaders
	// frameWant: hashes of headers whose blocks are wanted.
	frameWant
	// frameBlock: a decision with its proof.
	frameBlock
)

const (
	// maxPage is how many headers one message holds: 90 KB, checked within 2 ms.
	maxPage = 512
	// maxLocator bounds the places of frameAsk: the last ten one by one, then at doubling distances, which reaches back 2^38 blocks.
	maxLocator = 48
	// maxWant bounds the blocks asked for by one message. Each answer is a message of its own.
	maxWant = 16
	// maxBlock bounds a block's message: the largest list of transactions and 4 KB for what stands beside it.
	maxBlock = chain.MaxDecisionTxs*33 + 4096
)

// Kind implements order.Kinds.
func (e *Engine) Kind(msg []byte) string {
	if len(msg) == 0 {
		return order.KindOther
	}
	switch msg[0] {
	case frameTip:
		return order.KindHeartbeat
	case frameBlock:
		return order.KindProposal
	case frameAsk, frameHeaders, frameWant:
		return order.KindSync
	}
	return order.KindOther
}

var errFrame = errors.New("malformed frame")

// place is a header by height and hash.
type place struct {
	height uint64
	hash   crypto.Hash
}

func tipFrame(h *Header) []byte { return append([]byte{frameTip}, h.Encode()...) }

func askFrame(places []place) []byte {
	b := make([]byte, 1, 1+len(places)*40)
	b[0] = frameAsk
	for _, p := range places {
		b = append(binary.BigEndian.AppendUint64(b, p.height), p.hash[:]...)
	}
	return b
}

func parseAsk(b []byte) ([]place, error) {
	if len(b) == 0 || len(b)%40 != 0 || len(b)/40 > maxLocator {
		return nil, fmt.Errorf("%w: %d bytes of places", errFrame, len(b))
	}
	places := make([]place, len(b)/40)
	for i := range places {
		at := b[40*i:]
		places[i] = place{binary.BigEndian.Uint64(at), crypto.Hash(at[8:40])}
	}
	return places, nil
}

// headersFrame takes encoded headers.
func headersFrame(encoded [][]byte) []byte {
	b := make([]byte, 1, 1+len(encoded)*HeaderSize)
	b[0] = frameHeaders
	for _, h := range encoded {
		b = append(b, h...)
	}
	return b
}

// parseHeaders returns the encoded headers: who checks them decodes one after the other, so that a bad one ends the work.
func parseHeaders(b []byte) ([][]byte, error) {
	if len(b)%HeaderSize != 0 || len(b)/HeaderSize > maxPage {
		return nil, fmt.Errorf("%w: %d bytes of headers", errFrame, len(b))
	}
	out := make([][]byte, len(b)/HeaderSize)
	for i := range out {
		out[i] = b[i*HeaderSize : (i+1)*HeaderSize]
	}
	return out, nil
}

func wantFrame(hashes []crypto.Hash) []byte {
	b := make([]byte, 1, 1+len(hashes)*32)
	b[0] = frameWant
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func parseWant(b []byte) ([]crypto.Hash, error) {
	if len(b) == 0 || len(b)%32 != 0 || len(b)/32 > maxWant {
		return nil, fmt.Errorf("%w: %d bytes of hashes", errFrame, len(b))
	}
	out := make([]crypto.Hash, len(b)/32)
	for i := range out {
		out[i] = crypto.Hash(b[32*i:])
	}
	return out, nil
}

func blockFrame(d *chain.Decision) []byte { return append([]byte{frameBlock}, d.Encode()...) }

func parseBlock(b []byte) (*chain.Decision, error) {
	if len(b) > maxBlock {
		return nil, fmt.Errorf("%w: a block of %d bytes", errFrame, len(b))
	}
	d, err := chain.DecodeDecision(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return d, nil
}
