package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// A message of Protocol is one byte for its kind and
//
//	kindTxs    n × (uvarint length ‖ raw transaction)                 transactions for the receiver's pool
//	kindLinks  n × (length(1) ‖ peer)                                 all links of the sender; replaces what it said before
//	kindLacks                                                         the receiver may lack something that the sender holds: compare
//
// A request of Method is one byte for its kind and
//
//	kindTxs    n × hash                                answered by n' ≤ n × (uvarint length ‖ raw transaction): the first n' of them, length 0 where there is none
//	kindList   snapshot(8) ‖ offset(4)                 answered by snapshot(8) ‖ total(4) ‖ n × hash: what the pool holds ready, from offset on. Snapshot 0
//	                                                   asks for a new one; one that is forgotten is refused
const (
	kindTxs   = 1
	kindLinks = 2
	kindLacks = 3
	kindList  = 4
)

// Protocol and Method are the names under which internal/node announces them.
const (
	Protocol = "txs"
	Method   = "gettxs"
)

const (
	// maxBatchTxs bounds the transactions of one message: the smallest take some 90 bytes, so a full batch has fewer.
	maxBatchTxs = 4096
	// MaxMessage bounds a message of Protocol in bytes: a batch that was not full yet and the largest transaction, or the links.
	MaxMessage = 256<<10 + chain.MaxTxSize + 16
	// maxPeer bounds a peer's name: public keys have 32 to 65 bytes, the genesis allows 128.
	maxPeer = 128
	// maxLinks bounds what one node may say of its links: twice the largest validator set.
	maxLinks = 2 * chain.MaxValidators
	// maxAsk bounds the hashes of one request: each may cost the other side a look-up on disk.
	maxAsk = 512
	// MaxRequest bounds a request of Method in bytes.
	MaxRequest = 1 + maxAsk*common.HashLength
	// answerBytes ends an answer; the transaction that crosses it is the last one.
	answerBytes = 1 << 20
	// MaxResponse bounds an answer of Method in bytes.
	MaxResponse = answerBytes + chain.MaxTxSize + 16
	// listPage is how many hashes one answer lists, maxList how many a pool is asked for in all: twice the pool's default size.
	listPage = 4096
	maxList  = 262_144
	listHead = 8 + 4
)

var errWire = errors.New("malformed")

// appendTx appends one transaction of a batch.
func appendTx(b, raw []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(raw))), raw...)
}

// decodeTxs splits a batch, at most limit transactions. The result points into b; with gaps, empty ones are allowed. It allocates once.
func decodeTxs(b []byte, limit int, gaps bool) ([][]byte, error) {
	n, rest := 0, b
	for len(rest) > 0 {
		size, used := binary.Uvarint(rest)
		switch {
		case used <= 0 || size > uint64(len(rest)-used):
			return nil, fmt.Errorf("%w: transaction %d is cut off", errWire, n)
		case size > chain.MaxTxSize:
			return nil, fmt.Errorf("%w: transaction %d has %d bytes", errWire, n, size)
		case size == 0 && !gaps:
			return nil, fmt.Errorf("%w: transaction %d is empty", errWire, n)
		case n == limit:
			return nil, fmt.Errorf("%w: more than %d transactions", errWire, limit)
		}
		n++
		rest = rest[used+int(size):]
	}
	out := make([][]byte, n)
	for i := range out {
		size, used := binary.Uvarint(b)
		end := used + int(size)
		out[i], b = b[used:end:end], b[end:]
	}
	return out, nil
}

// encodeLinks is the message that tells peers, of which there are at most maxLinks.
func encodeLinks(peers []chain.Peer) []byte {
	b := []byte{kindLinks}
	for _, p := range peers[:min(len(peers), maxLinks)] {
		b = append(append(b, byte(len(p))), p...)
	}
	return b
}

func decodeLinks(b []byte) (map[chain.Peer]struct{}, error) {
	out := make(map[chain.Peer]struct{})
	for len(b) > 0 {
		size := int(b[0])
		switch {
		case size == 0 || size > maxPeer || size >= len(b):
			return nil, fmt.Errorf("%w: link of %d bytes", errWire, size)
		case len(out) == maxLinks:
			return nil, fmt.Errorf("%w: more than %d links", errWire, maxLinks)
		}
		out[chain.Peer(b[1:1+size])] = struct{}{}
		b = b[1+size:]
	}
	return out, nil
}

func appendHashes(b []byte, hashes []common.Hash) []byte {
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

func decodeHashes(b []byte, limit int) ([]common.Hash, error) {
	if len(b)%common.HashLength != 0 || len(b)/common.HashLength > limit {
		return nil, fmt.Errorf("%w: %d bytes of hashes, at most %d hashes", errWire, len(b), limit)
	}
	out := make([]common.Hash, len(b)/common.HashLength)
	for i := range out {
		copy(out[i][:], b[i*common.HashLength:])
	}
	return out, nil
}

// page is an answer to kindList.
type page struct {
	snapshot uint64
	total    int
	hashes   []common.Hash
}

func (p *page) encode() []byte {
	b := make([]byte, 0, listHead+len(p.hashes)*common.HashLength)
	b = binary.BigEndian.AppendUint64(b, p.snapshot)
	b = binary.BigEndian.AppendUint32(b, uint32(p.total))
	return appendHashes(b, p.hashes)
}

func decodePage(b []byte) (*page, error) {
	if len(b) < listHead {
		return nil, fmt.Errorf("%w: list of %d bytes", errWire, len(b))
	}
	p := &page{snapshot: binary.BigEndian.Uint64(b)}
	total := binary.BigEndian.Uint32(b[8:])
	var err error
	if p.hashes, err = decodeHashes(b[listHead:], listPage); err != nil {
		return nil, err
	}
	if total > maxList || int(total) < len(p.hashes) || p.snapshot == 0 {
		return nil, fmt.Errorf("%w: list of %d hashes in all", errWire, total)
	}
	p.total = int(total)
	return p, nil
}

func encodeListRequest(snapshot uint64, offset int) []byte {
	b := binary.BigEndian.AppendUint64([]byte{kindList}, snapshot)
	return binary.BigEndian.AppendUint32(b, uint32(offset))
}

// decodeListRequest takes what follows the kind.
func decodeListRequest(b []byte) (snapshot uint64, offset int, err error) {
	if len(b) != listHead {
		return 0, 0, fmt.Errorf("%w: request of %d bytes", errWire, len(b))
	}
	at := binary.BigEndian.Uint32(b[8:])
	if at > maxList {
		return 0, 0, fmt.Errorf("%w: offset %d", errWire, at)
	}
	return binary.BigEndian.Uint64(b), int(at), nil
}
