package catchup

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// A message of Protocol is a status:
//
//	version(1) ‖ first ‖ decided ‖ executed ‖ finalized ‖ clock ‖ echo ‖ held, 8 bytes each, big-endian
//
// A request of Method is one byte for its kind and
//
//	kindBlocks  from(8) ‖ blocks(4) ‖ bytes(4)    answered by up to that many blocks from height from on, ended by the one that crosses bytes
//	kindTxs     height(8) ‖ index(4) ‖ bytes(4)   answered by n × (uvarint length ‖ raw): transactions of a decision from index on
//	kindBrief   as kindBlocks                     answered by n × (part(RLP of the decision) ‖ part(header RLP) ‖ part(certificate RLP)), for who may have the
//	                                              transactions already
//
// and a block is
//
//	part(RLP of the decision without its transactions) ‖ uvarint total ‖ uvarint n ‖ n × part(raw transaction) ‖ part(header RLP) ‖ part(certificate RLP)
//	with part(x) = uvarint length ‖ x
//
// n < total only in the last block of an answer, whose other transactions kindTxs gets. Header and certificate are both there or both empty.
const (
	statusVersion = 1
	statusSize    = 1 + 7*8

	kindBlocks  = 1
	kindTxs     = 2
	kindBrief   = 3
	requestSize = 1 + 8 + 4 + 4
)

// Protocol and Method are the names under which internal/node announces them.
const (
	Protocol = "status"
	Method   = "getblocks"
)

const (
	// MaxRequest bounds a request of Method in bytes.
	MaxRequest = requestSize
	// maxAsk and leastAsk bound what a request may ask for in bytes.
	maxAsk   = 4 << 20
	leastAsk = 64 << 10
	// MaxResponse bounds an answer in bytes: what was asked for, one transaction that crosses it, and the proof, header and certificate of a block, which
	// take some 100 KiB with 512 validators. The last MiB is room for proofs of engines to come.
	MaxResponse = maxAsk + chain.MaxTxSize + 1<<20
	// maxBlocks bounds the blocks of one answer: each costs the other side some look-ups on disk.
	maxBlocks = 1024
	// maxHeight is where heights end: beyond it sums could overflow.
	maxHeight = 1 << 60
)

var errWire = errors.New("malformed")

// status is what a node tells.
type status struct {
	// First is the lowest height that it serves; Decided, Executed and Finalized are how far it is.
	First, Decided, Executed, Finalized uint64
	// Clock is its time in Unix milliseconds when it sent this, Echo the receiver's Clock that it heard last (0: none), held in milliseconds for Held.
	Clock, Echo, Held uint64
}

func (s *status) encode() []byte {
	b := append(make([]byte, 0, statusSize), statusVersion)
	for _, v := range []uint64{s.First, s.Decided, s.Executed, s.Finalized, s.Clock, s.Echo, s.Held} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func decodeStatus(b []byte) (*status, error) {
	if len(b) != statusSize || b[0] != statusVersion {
		return nil, fmt.Errorf("%w: status of %d bytes", errWire, len(b))
	}
	s := new(status)
	for i, v := range []*uint64{&s.First, &s.Decided, &s.Executed, &s.Finalized, &s.Clock, &s.Echo, &s.Held} {
		*v = binary.BigEndian.Uint64(b[1+8*i:])
	}
	const maxClock = 1 << 50 // Unix milliseconds of the year 37,000: sums of clocks cannot overflow
	switch {
	case s.Decided > maxHeight || s.Executed > s.Decided || s.Finalized > s.Executed || s.First == 0 || s.First > s.Decided+1:
		return nil, fmt.Errorf("%w: status of heights %d, %d, %d from %d on", errWire, s.Decided, s.Executed, s.Finalized, s.First)
	case s.Clock > maxClock || s.Echo > maxClock || s.Held > maxClock:
		return nil, fmt.Errorf("%w: status with a clock of %d, %d, %d", errWire, s.Clock, s.Echo, s.Held)
	}
	return s, nil
}

// request is a request of either kind; Index counts transactions, for kindTxs only.
type request struct {
	kind   byte
	height uint64
	// count is the blocks that are asked for, or the index of the first transaction.
	count, bytes uint32
}

func (r *request) encode() []byte {
	b := append(make([]byte, 0, requestSize), r.kind)
	b = binary.BigEndian.AppendUint64(b, r.height)
	b = binary.BigEndian.AppendUint32(b, r.count)
	return binary.BigEndian.AppendUint32(b, r.bytes)
}

func decodeRequest(b []byte) (*request, error) {
	if len(b) != requestSize {
		return nil, fmt.Errorf("%w: request of %d bytes", errWire, len(b))
	}
	r := &request{kind: b[0], height: binary.BigEndian.Uint64(b[1:]), count: binary.BigEndian.Uint32(b[9:]), bytes: binary.BigEndian.Uint32(b[13:])}
	switch {
	case r.kind != kindBlocks && r.kind != kindTxs && r.kind != kindBrief:
		return nil, fmt.Errorf("%w: request of kind %d", errWire, r.kind)
	case r.height == 0 || r.height > maxHeight || r.bytes < leastAsk || r.bytes > maxAsk:
		return nil, fmt.Errorf("%w: request for %d bytes from height %d on", errWire, r.bytes, r.height)
	case r.kind != kindTxs && (r.count == 0 || r.count > maxBlocks), r.kind == kindTxs && r.count > chain.MaxDecisionTxs:
		return nil, fmt.Errorf("%w: request for %d", errWire, r.count)
	}
	return r, nil
}

// block is a decided block as it travels. Decision.Txs is empty until the transactions are decoded.
type block struct {
	decision *chain.Decision
	// total counts the decision's transactions, raws are the first of them.
	total int
	raws  [][]byte
	// txs are raws, verified; hash is the decision's. Both are known once decode has seen the block.
	txs  chain.Txs
	hash crypto.Hash
	// header and certificate are nil where there is none.
	header      *chain.Header
	certificate *chain.Certificate
	// size is what it took in the answer.
	size int
}

func appendPart(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// appendBlock appends a block to an answer, whose transactions end when the answer has limit bytes. It tells whether all fitted.
func appendBlock(b []byte, d *chain.Decision, txs chain.Txs, header *chain.Header, c *chain.Certificate, limit int) (out []byte, whole bool, err error) {
	short := *d
	short.Txs = nil
	b = appendPart(b, short.Encode())
	n, size := 0, len(b)
	for n < len(txs) && size < limit {
		size += len(txs[n].Raw()) + 3
		n++
	}
	b = binary.AppendUvarint(b, uint64(len(txs)))
	b = binary.AppendUvarint(b, uint64(n))
	for _, tx := range txs[:n] {
		b = appendPart(b, tx.Raw())
	}
	out, err = appendCertified(b, header, c)
	return out, n == len(txs), err
}

func appendCertified(b []byte, header *chain.Header, c *chain.Certificate) ([]byte, error) {
	if c == nil {
		return append(b, 0, 0), nil
	}
	h, err := rlp.EncodeToBytes(header)
	if err != nil {
		return nil, fmt.Errorf("encode header %d: %w", c.Height, err)
	}
	return appendPart(appendPart(b, h), c.Encode()), nil
}

// reader takes an answer apart. The parts point into it.
type reader struct{ rest []byte }

func (r *reader) count(limit int, what string) (int, error) {
	v, used := binary.Uvarint(r.rest)
	if used <= 0 || v > uint64(limit) {
		return 0, fmt.Errorf("%w: number of %s", errWire, what)
	}
	r.rest = r.rest[used:]
	return int(v), nil
}

func (r *reader) part(limit int, what string) ([]byte, error) {
	n, err := r.count(min(limit, len(r.rest)), "bytes of "+what)
	if err != nil {
		return nil, err
	}
	if n > len(r.rest) {
		return nil, fmt.Errorf("%w: %s is cut off", errWire, what)
	}
	p := r.rest[:n:n]
	r.rest = r.rest[n:]
	return p, nil
}

// parts reads n transactions. Each takes two bytes at the least, so n is bounded by what is there.
func (r *reader) parts(n int) ([][]byte, error) {
	if n > len(r.rest)/2 {
		return nil, fmt.Errorf("%w: %d transactions in %d bytes", errWire, n, len(r.rest))
	}
	out := make([][]byte, n)
	for i := range out {
		p, err := r.part(chain.MaxTxSize, "a transaction")
		if err != nil {
			return nil, err
		}
		if len(p) == 0 {
			return nil, fmt.Errorf("%w: empty transaction", errWire)
		}
		out[i] = p
	}
	return out, nil
}

// block reads the next one. It checks form only.
func (r *reader) block() (*block, error) {
	start := len(r.rest)
	p, err := r.part(MaxResponse, "a decision")
	if err != nil {
		return nil, err
	}
	b := new(block)
	if b.decision, err = chain.DecodeDecision(p); err != nil {
		return nil, fmt.Errorf("%w: %w", errWire, err)
	}
	if len(b.decision.Txs) > 0 {
		return nil, fmt.Errorf("%w: decision %d with a list of its transactions", errWire, b.decision.Height)
	}
	if b.total, err = r.count(chain.MaxDecisionTxs, "transactions"); err != nil {
		return nil, err
	}
	n, err := r.count(b.total, "transactions")
	if err != nil {
		return nil, err
	}
	if b.raws, err = r.parts(n); err != nil {
		return nil, err
	}
	if err := r.certified(b); err != nil {
		return nil, err
	}
	b.size = start - len(r.rest)
	return b, nil
}

// certified reads header and certificate.
func (r *reader) certified(b *block) error {
	h, err := r.part(64<<10, "a header")
	if err != nil {
		return err
	}
	c, err := r.part(MaxResponse, "a certificate")
	if err != nil {
		return err
	}
	if (len(h) == 0) != (len(c) == 0) {
		return fmt.Errorf("%w: header without certificate, or the other way round", errWire)
	}
	if len(h) == 0 {
		return nil
	}
	b.header = new(chain.Header)
	if err := rlp.DecodeBytes(h, b.header); err != nil {
		return fmt.Errorf("%w: header: %w", errWire, err)
	}
	if b.certificate, err = chain.DecodeCertificate(c); err != nil {
		return fmt.Errorf("%w: %w", errWire, err)
	}
	return nil
}

// decodeBlocks takes an answer to a request for limit blocks from height from on apart. It checks form, heights and that only the last is in part.
func decodeBlocks(b []byte, from uint64, limit int) ([]*block, error) {
	var out []*block
	r := reader{b}
	for len(r.rest) > 0 {
		if len(out) == limit {
			return nil, fmt.Errorf("%w: more than %d blocks", errWire, limit)
		}
		if n := len(out); n > 0 && len(out[n-1].raws) < out[n-1].total {
			return nil, fmt.Errorf("%w: block %d is not whole and not the last", errWire, out[n-1].decision.Height)
		}
		x, err := r.block()
		if err != nil {
			return nil, err
		}
		if want := from + uint64(len(out)); x.decision.Height != want {
			return nil, fmt.Errorf("%w: block %d where %d belongs", errWire, x.decision.Height, want)
		}
		out = append(out, x)
	}
	return out, nil
}

// decodeBrief takes an answer to kindBrief apart. The blocks have their decisions' hashes and no transactions.
func decodeBrief(b []byte, from uint64, limit int) ([]*block, error) {
	var out []*block
	r := reader{b}
	for len(r.rest) > 0 {
		if len(out) == limit {
			return nil, fmt.Errorf("%w: more than %d blocks", errWire, limit)
		}
		start := len(r.rest)
		p, err := r.part(MaxResponse, "a decision")
		if err != nil {
			return nil, err
		}
		x := new(block)
		if x.decision, err = chain.DecodeDecision(p); err != nil {
			return nil, fmt.Errorf("%w: %w", errWire, err)
		}
		if want := from + uint64(len(out)); x.decision.Height != want {
			return nil, fmt.Errorf("%w: block %d where %d belongs", errWire, x.decision.Height, want)
		}
		if err := r.certified(x); err != nil {
			return nil, err
		}
		x.size = start - len(r.rest)
		out = append(out, x)
	}
	return out, nil
}

// decodeTxs takes an answer of transactions apart, at most limit of them.
func decodeTxs(b []byte, limit int) ([][]byte, error) {
	r := reader{b}
	var out [][]byte
	for len(r.rest) > 0 {
		if len(out) == limit {
			return nil, fmt.Errorf("%w: more than %d transactions", errWire, limit)
		}
		p, err := r.parts(1)
		if err != nil {
			return nil, err
		}
		out = append(out, p[0])
	}
	return out, nil
}
