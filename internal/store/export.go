package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// An export is a stream of blocks that describes itself:
//
//	"jialing export 1\n"  then records:  kind(1) ‖ length(4) ‖ payload ‖ CRC-32C of all that(4)
//
//	'G'  from(8) ‖ to(8) ‖ canonical genesis JSON                                                         first, once
//	'B'  RLP [decision without its transaction list, [raw transaction…], header RLP, certificate or ""]   from … to, ascending
//	'E'  number of blocks(8) ‖ suite hash of everything before this record(32)                            last, once
//
// It holds no senders, receipts or state: import verifies the signatures and executes the blocks again, and so proves them.
const exportMagic = "jialing export 1\n"

const (
	exportGenesis = 'G'
	exportBlock   = 'B'
	exportEnd     = 'E'

	// maxExportBlock bounds a block's record in bytes: the largest block that a genesis allows (256 MiB of transactions) with room for the rest.
	maxExportBlock = 288 << 20
)

// ErrExport is wrapped by every error of a stream that is no whole export.
var ErrExport = errors.New("export file")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type exportedBlock struct {
	Decision    []byte
	Txs         [][]byte
	Header      []byte
	Certificate []byte
}

// Export writes the durable blocks from, at least 1, to to, both included, to w. to 0 is the head.
func (s *Store) Export(ctx context.Context, w io.Writer, from, to uint64, progress Progress) error {
	h := s.head.Load()
	if h == nil {
		return ErrEmpty
	}
	if to == 0 {
		to = h.header.Number.Uint64()
	}
	if from == 0 || from > to+1 || to > h.header.Number.Uint64() {
		return fmt.Errorf("export blocks %d to %d: the chain has blocks 1 to %d", from, to, h.header.Number)
	}
	genesis, err := s.get(metaGenesis)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	e := newExportWriter(w, s.suite)
	b := binary.BigEndian.AppendUint64(nil, from)
	b = binary.BigEndian.AppendUint64(b, to)
	if err := e.record(exportGenesis, append(b, genesis...)); err != nil {
		return err
	}
	for height := from; height <= to; height++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		payload, err := s.exportPayload(height)
		if err != nil {
			return fmt.Errorf("export block %d: %w", height, err)
		}
		if err := e.record(exportBlock, payload); err != nil {
			return err
		}
		progress.report("export", height-from+1, to-from+1)
	}
	return e.finish(to + 1 - from)
}

func (s *Store) exportPayload(height uint64) ([]byte, error) {
	header, _, err := s.header(s.db, height)
	if err != nil {
		return nil, err
	}
	d, txs, err := s.Decision(height)
	if err != nil {
		return nil, err
	}
	d.Txs = nil
	x := exportedBlock{Decision: d.Encode(), Txs: make([][]byte, len(txs))}
	for i, tx := range txs {
		x.Txs[i] = tx.Raw()
	}
	if x.Header, err = rlp.EncodeToBytes(header); err != nil {
		return nil, err
	}
	if x.Certificate, err = s.get(heightKey(tableCertificates, height)); err != nil {
		return nil, err
	}
	return rlp.EncodeToBytes(&x)
}

// exportWriter frames records and hashes the stream.
type exportWriter struct {
	w   *bufio.Writer
	sum io.Writer
	end func() crypto.Hash
}

func newExportWriter(w io.Writer, suite crypto.Suite) *exportWriter {
	h := suite.NewHash()
	e := &exportWriter{w: bufio.NewWriterSize(w, 1<<20), sum: h, end: func() (out crypto.Hash) {
		h.Sum(out[:0])
		return out
	}}
	e.write([]byte(exportMagic))
	return e
}

// write leaves errors to the buffered writer, which keeps the first one for Flush.
func (e *exportWriter) write(b []byte) {
	e.sum.Write(b) //nolint:errcheck // a hash never fails
	e.w.Write(b)   //nolint:errcheck // see above
}

func (e *exportWriter) record(kind byte, payload []byte) error {
	if len(payload) > maxExportBlock {
		return fmt.Errorf("export: record of %d bytes, at most %d", len(payload), maxExportBlock)
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
	e.write(head)
	e.write(payload)
	e.write(binary.BigEndian.AppendUint32(nil, sum))
	if kind == exportEnd || e.w.Available() == 0 {
		if err := e.w.Flush(); err != nil {
			return fmt.Errorf("export: write: %w", err)
		}
	}
	return nil
}

func (e *exportWriter) finish(blocks uint64) error {
	sum := e.end()
	return e.record(exportEnd, append(binary.BigEndian.AppendUint64(nil, blocks), sum[:]...))
}

// ExportReader reads an export. It checks the form, the checksums and how the blocks hang together; signatures, execution and certificates are the importer's.
// It belongs to one goroutine.
type ExportReader struct {
	// Genesis is the exported chain's. From and To are the heights that follow.
	Genesis  *chain.Genesis
	From, To uint64

	r       *bufio.Reader
	suite   crypto.Suite
	sum     io.Writer
	end     func() crypto.Hash
	next    uint64
	header  *chain.Header
	parent  crypto.Hash
	decided bool
}

// ExportedBlock is one block of an export. Txs are the decided ones, raw; Certificate is nil when there was none.
type ExportedBlock struct {
	Header      *chain.Header
	Decision    *chain.Decision
	Txs         [][]byte
	Certificate *chain.Certificate
}

// ReadExport reads the head of the stream. Every error wraps ErrExport.
func ReadExport(r io.Reader, suite crypto.Suite) (*ExportReader, error) {
	h := suite.NewHash()
	e := &ExportReader{r: bufio.NewReaderSize(r, 1<<20), suite: suite, sum: h, end: func() (out crypto.Hash) {
		h.Sum(out[:0])
		return out
	}}
	magic := make([]byte, len(exportMagic))
	if _, err := io.ReadFull(e.r, magic); err != nil || string(magic) != exportMagic {
		return nil, fmt.Errorf("%w: it does not begin with %q: not an export, or of another version", ErrExport, exportMagic)
	}
	h.Write(magic)
	payload, err := e.record(exportGenesis, chain.MaxGenesisSize+16)
	if err != nil {
		return nil, err
	}
	if len(payload) < 16 {
		return nil, fmt.Errorf("%w: genesis record of %d bytes", ErrExport, len(payload))
	}
	e.From, e.To = binary.BigEndian.Uint64(payload), binary.BigEndian.Uint64(payload[8:])
	if e.From == 0 || e.To > maxHeight || e.From > e.To+1 {
		return nil, fmt.Errorf("%w: it claims blocks %d to %d", ErrExport, e.From, e.To)
	}
	if e.Genesis, err = chain.ParseGenesis(payload[16:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExport, err)
	}
	if e.Genesis.Suite != suite.Name() {
		return nil, fmt.Errorf("%w: its chain uses suite %q, this is %q", ErrExport, e.Genesis.Suite, suite.Name())
	}
	e.next = e.From
	return e, nil
}

// Next returns the next block, and io.EOF after the last one once the end of the stream has proved to be whole.
func (e *ExportReader) Next() (*ExportedBlock, error) {
	if e.next > e.To {
		return nil, e.finish()
	}
	payload, err := e.record(exportBlock, maxExportBlock)
	if err != nil {
		return nil, err
	}
	b, err := e.block(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", ErrExport, e.next, err)
	}
	e.next++
	return b, nil
}

func (e *ExportReader) block(payload []byte) (*ExportedBlock, error) {
	var x exportedBlock
	if err := rlp.DecodeBytes(payload, &x); err != nil {
		return nil, err
	}
	if len(x.Txs) > chain.MaxDecisionTxs {
		return nil, fmt.Errorf("%d transactions, at most %d", len(x.Txs), chain.MaxDecisionTxs)
	}
	d, err := chain.DecodeDecision(x.Decision)
	if err != nil {
		return nil, err
	}
	b := &ExportedBlock{Header: new(chain.Header), Decision: d, Txs: x.Txs}
	d.Txs = make([]common.Hash, len(x.Txs))
	for i, raw := range x.Txs {
		d.Txs[i] = gethcrypto.Keccak256Hash(raw)
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if err := rlp.DecodeBytes(x.Header, b.Header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if len(x.Certificate) > 0 {
		if b.Certificate, err = chain.DecodeCertificate(x.Certificate); err != nil {
			return nil, err
		}
	}
	return b, e.link(b)
}

// link checks that the block follows the one before it in the stream.
func (e *ExportReader) link(b *ExportedBlock) error {
	h := b.Header
	if h.Number == nil || !h.Number.IsUint64() || h.Number.Uint64() != e.next || b.Decision.Height != e.next {
		return fmt.Errorf("it holds header %v and decision %d", h.Number, b.Decision.Height)
	}
	extra, err := chain.DecodeExtra(h.Extra)
	if err != nil {
		return err
	}
	hash := b.Decision.Hash(e.suite)
	switch {
	case extra.Decision != hash:
		return fmt.Errorf("its header names decision %s, it holds %s", extra.Decision, hash)
	case e.header != nil && h.ParentHash != e.header.Hash():
		return fmt.Errorf("its parent is %s, the block before is %s", h.ParentHash, e.header.Hash())
	case e.decided && b.Decision.Parent != e.parent:
		return fmt.Errorf("its decision follows %s, the decision before is %s", b.Decision.Parent, e.parent)
	case b.Certificate != nil && (b.Certificate.Height != e.next || b.Certificate.Block != h.Hash()):
		return fmt.Errorf("its certificate names block %d %s", b.Certificate.Height, b.Certificate.Block)
	}
	e.header, e.parent, e.decided = h, hash, true
	return nil
}

// record reads one record of the given kind. Memory grows with what really arrives, whatever length is claimed.
func (e *ExportReader) record(kind byte, limit int) ([]byte, error) {
	cut := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it ends in the middle, after block %d", ErrExport, e.next-min(e.next, 1))
		}
		return fmt.Errorf("%w: read: %w", ErrExport, err)
	}
	var head [5]byte
	if _, err := io.ReadFull(e.r, head[:]); err != nil {
		return nil, cut(err)
	}
	length := int64(binary.BigEndian.Uint32(head[1:]))
	if head[0] != kind || length > int64(limit) {
		return nil, fmt.Errorf("%w: record %q of %d bytes, where %q of at most %d belongs", ErrExport, head[0], length, kind, limit)
	}
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, e.r, length); err != nil {
		return nil, cut(err)
	}
	var sum [4]byte
	if _, err := io.ReadFull(e.r, sum[:]); err != nil {
		return nil, cut(err)
	}
	if crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, buf.Bytes()) != binary.BigEndian.Uint32(sum[:]) {
		return nil, fmt.Errorf("%w: checksum of record %q after block %d does not match: the file is damaged", ErrExport, kind, e.next-min(e.next, 1))
	}
	if kind != exportEnd {
		for _, b := range [][]byte{head[:], buf.Bytes(), sum[:]} {
			e.sum.Write(b) //nolint:errcheck // a hash never fails
		}
	}
	return buf.Bytes(), nil
}

func (e *ExportReader) finish() error {
	payload, err := e.record(exportEnd, 8+hashSize)
	if err != nil {
		return err
	}
	if len(payload) != 8+hashSize || binary.BigEndian.Uint64(payload) != e.To+1-e.From || crypto.Hash(payload[8:]) != e.end() {
		return fmt.Errorf("%w: its end does not match what came before: the file is damaged", ErrExport)
	}
	if _, err := e.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrExport)
	}
	return io.EOF
}
