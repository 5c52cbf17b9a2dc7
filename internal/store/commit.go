package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Commit makes the oldest staged block durable: everything of it in one batch with one sync. own is this node's attestation; nil when it has none to give. When
// it returns without an error, readers see the block and a crash does not lose it. One caller at a time, in height order.
func (s *Store) Commit(ctx context.Context, e *chain.Executed, own *chain.Attestation) error {
	height := e.Block.Height()
	if err := s.writable(ctx); err != nil {
		return fmt.Errorf("commit block %d: %w", height, err)
	}
	l, err := s.nextLayer(e)
	if err != nil {
		return fmt.Errorf("commit block %d: %w", height, err)
	}
	if err := s.throttle(ctx); err != nil {
		return fmt.Errorf("commit block %d: %w", height, err)
	}
	b := s.newBatch(batchSize(e, l))
	defer b.close()
	next, begun := s.epochs.Load().grow(height, s.epochEntries)
	if b.epoch = next.last(); begun {
		b.set(epochKey(b.epoch), binary.BigEndian.AppendUint64(nil, height))
	}
	if err := s.writeBlock(b, e, own); err != nil {
		return fmt.Errorf("commit block %d: %w", height, err)
	}
	if err := s.writeState(b, l); err != nil {
		return s.stop(fmt.Errorf("commit block %d: %w", height, err))
	}
	next.entries += b.entries
	writeHead(b, height, e.Block.Hash, next.entries)
	// Before the batch is applied: whoever sees a flat value of this block must find its index entries.
	s.epochs.Store(next)
	s.applying.Store(height)
	decided := s.decided.Load().height // durable with this batch: they stand before it in the log
	if err := s.apply(b, pebble.Sync); err != nil {
		return fmt.Errorf("commit block %d: %w", height, err)
	}
	if e.Change != nil {
		s.rememberSet(e.Change)
	}
	s.anchor.raise(height, decided)
	s.retire(l, e.Block.Header, e.Block.Hash)
	return nil
}

// nextLayer is the staged block that e must be.
func (s *Store) nextLayer(e *chain.Executed) (*layer, error) {
	head := s.head.Load()
	s.stageMu.Lock()
	defer s.stageMu.Unlock()
	h := e.Block.Header
	switch {
	case len(s.staged) == 0:
		return nil, fmt.Errorf("no block is staged")
	case s.staged[0].height != e.Block.Height():
		return nil, fmt.Errorf("the next staged block is %d", s.staged[0].height)
	case s.staged[0].root != h.Root:
		return nil, fmt.Errorf("its header says state root %s, staged is %s", h.Root, s.staged[0].root)
	case h.ParentHash != head.hash:
		return nil, fmt.Errorf("its parent is %s, the head is %s", h.ParentHash, head.hash)
	case e.Decision.Height != e.Block.Height() || s.decided.Load().height < e.Decision.Height:
		return nil, fmt.Errorf("its decision %d is not stored", e.Decision.Height)
	case e.Change != nil && e.Change.From != e.Block.Height()+chain.ActivationDelay:
		return nil, fmt.Errorf("the validator set that it settles rules from height %d, want %d", e.Change.From, e.Block.Height()+chain.ActivationDelay)
	case len(e.Block.Txs) != len(e.Receipts) || len(e.Block.Txs)+len(e.Excluded) != len(e.Decision.Txs):
		return nil, fmt.Errorf("%d transactions, %d receipts and %d exclusions of %d decided transactions",
			len(e.Block.Txs), len(e.Receipts), len(e.Excluded), len(e.Decision.Txs))
	}
	return s.staged[0], nil
}

// retire makes a durable layer part of the past.
func (s *Store) retire(l *layer, header *chain.Header, hash common.Hash) {
	s.forest.Durable(l.height)
	s.head.Store(&head{header, hash})
	s.stageMu.Lock()
	s.staged = slices.Delete(s.staged, 0, 1)
	if len(s.staged) > 0 {
		s.staged[0].parent.Store(nil)
	}
	s.stageMu.Unlock()
	s.holdReached(l.height)
	s.pruner.ring()
}

// batchSize estimates the batch in bytes, so that it is not copied while it grows.
func batchSize(e *chain.Executed, l *layer) int {
	changes := len(l.writes)
	for i := range l.writes {
		changes += len(l.writes[i].Slots)
	}
	return 4096 + 300*changes + 600*len(e.Receipts) + l.nodes.Bytes() + 8*l.nodes.Records()
}

// writeBlock writes everything but the state.
func (s *Store) writeBlock(b *batch, e *chain.Executed, own *chain.Attestation) error {
	height := e.Block.Height()
	excluded, err := excludedPositions(e)
	if err != nil {
		return err
	}
	if err := writeHeader(b, e.Block.Header, e.Block.Hash); err != nil {
		return err
	}
	if len(excluded) > 0 {
		record, err := rlp.EncodeToBytes(excluded)
		if err != nil {
			return fmt.Errorf("encode exclusions: %w", err)
		}
		b.set(heightKey(tableExclusions, height), record)
	}
	writeReceipts(b, height, e.Receipts)
	writeTxIndex(b, height, e.Decision.Txs)
	writeLogIndex(b, height, e.Receipts)
	if e.Change != nil {
		if err := writeSet(b, e.Change); err != nil {
			return err
		}
	}
	if own != nil {
		record, err := rlp.EncodeToBytes(own)
		if err != nil {
			return fmt.Errorf("encode attestation: %w", err)
		}
		b.set(heightKey(tableAttestations, height), record)
	}
	return nil
}

// writeHeader writes header and hash index.
func writeHeader(b *batch, header *chain.Header, hash common.Hash) error {
	record, err := rlp.EncodeToBytes(header)
	if err != nil {
		return fmt.Errorf("encode header: %w", err)
	}
	height := header.Number.Uint64()
	b.set(heightKey(tableHeaders, height), append(hash[:], record...))
	b.set(hashKey(hashFragment(hash), height), nil)
	return nil
}

// headSize is the size of the head's record.
const headSize = 8 + hashSize + 8

func writeHead(b *batch, height uint64, hash common.Hash, entries uint64) {
	record := append(binary.BigEndian.AppendUint64(make([]byte, 0, headSize), height), hash[:]...)
	b.set(metaHead, binary.BigEndian.AppendUint64(record, entries))
}

func decodeHead(record []byte) (height uint64, hash common.Hash, entries uint64, err error) {
	if len(record) != headSize {
		return 0, hash, 0, fmt.Errorf("head: %w: %d bytes", errRecord, len(record))
	}
	return binary.BigEndian.Uint64(record), common.Hash(record[8:]), binary.BigEndian.Uint64(record[8+hashSize:]), nil
}

// exclusion is the stored form of chain.Exclusion: the position in the decision names the transaction.
type exclusion struct {
	Position uint32
	Reason   string
}

func excludedPositions(e *chain.Executed) ([]exclusion, error) {
	out := make([]exclusion, 0, len(e.Excluded))
	at := 0
	for _, x := range e.Excluded {
		for at < len(e.Decision.Txs) && e.Decision.Txs[at] != x.Tx {
			at++
		}
		if at == len(e.Decision.Txs) {
			return nil, fmt.Errorf("excluded transaction %s is not in the decision, or out of order", x.Tx)
		}
		out = append(out, exclusion{uint32(at), x.Reason})
	}
	return out, nil
}

func writeTxIndex(b *batch, height uint64, txs []common.Hash) {
	order := make([]uint16, len(txs))
	for i := range order {
		order[i] = uint16(i)
	}
	slices.SortFunc(order, func(x, y uint16) int { return bytes.Compare(txs[x][:fragmentSize], txs[y][:fragmentSize]) })
	for _, i := range order {
		b.setTx(hashFragment(txs[i]), height, i)
	}
}

// writeState writes the flat state, the reverse diff with its index, new code and the commitment's records. Keys are written in ascending order: Pebble's memtable
// then finds each one's place from the last one's.
func (s *Store) writeState(b *batch, l *layer) error {
	order := make([]int, len(l.accounts))
	changes := len(order)
	for i := range order {
		order[i] = i
		changes += len(l.accounts[i].slots)
	}
	slices.SortFunc(order, func(x, y int) int { return l.accounts[x].hash.Cmp(l.accounts[y].hash) })
	diff := newDiffWriter(b, l.height, changes)
	var record, prev []byte
	for _, i := range order {
		a := &l.accounts[i]
		record, prev = a.now.appendRecord(record[:0]), a.prev.appendRecord(prev[:0])
		if bytes.Equal(record, prev) {
			continue
		}
		key := accountKey(&a.hash)
		b.setOrDelete(key[:], record)
		diff.add(key[:], nilIfEmpty(prev))
	}
	for _, i := range order {
		if err := s.writeSlots(b, diff, &l.writes[i], &l.accounts[i]); err != nil {
			return err
		}
	}
	if err := diff.finish(); err != nil {
		return err
	}
	for i := range l.writes {
		if c := &l.writes[i]; len(c.Code) > 0 && c.Account != nil {
			b.set(codeKey(c.Account.CodeHash), c.Code)
		}
	}
	return l.nodes.Apply(batchWriter{b.b})
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// slotWrite is one slot's change in hash order. prev and now are nil for zero.
type slotWrite struct {
	hash      common.Hash
	prev, now []byte
}

func (s *Store) writeSlots(b *batch, diff *diffWriter, c *chain.AccountChange, a *stagedAccount) error {
	if len(a.slots) == 0 && !a.wiped {
		return nil
	}
	writes := make([]slotWrite, len(a.slots))
	buf := make([]byte, 0, 66*len(a.slots))
	encode := func(v *common.Hash) []byte {
		from := len(buf)
		buf = appendSlot(buf, v)
		return nilIfEmpty(buf[from:len(buf):len(buf)])
	}
	for j := range a.slots {
		writes[j] = slotWrite{hash: a.slots[j], now: encode(&c.Slots[j].Value)}
		if !a.wiped {
			writes[j].prev = encode(&c.Slots[j].Prev)
		}
	}
	slices.SortFunc(writes, func(x, y slotWrite) int { return x.hash.Cmp(y.hash) })
	if a.wiped {
		var err error
		if writes, err = s.mergeWiped(a, writes); err != nil {
			return err
		}
	}
	for j := range writes {
		w := &writes[j]
		if bytes.Equal(w.prev, w.now) {
			continue
		}
		key := slotKey(&a.hash, &w.hash)
		b.setOrDelete(key[:], w.now)
		diff.add(key[:], w.prev)
	}
	return nil
}

// mergeWiped adds to the writes of a wiped account all slots that it has on disk, which is the state just before the block.
func (s *Store) mergeWiped(a *stagedAccount, writes []slotWrite) ([]slotWrite, error) {
	lo := append([]byte{tableSlots}, a.hash[:]...)
	out := make([]slotWrite, 0, len(writes))
	next := 0
	err := s.scan(s.db, lo, prefixEnd(lo), func(key, value []byte) error {
		hash := common.Hash(key[1+hashSize:])
		for ; next < len(writes) && writes[next].hash.Cmp(hash) < 0; next++ {
			out = append(out, writes[next])
		}
		w := slotWrite{hash: hash, prev: bytes.Clone(value)}
		if next < len(writes) && writes[next].hash == hash {
			w.now = writes[next].now
			next++
		}
		out = append(out, w)
		return nil
	})
	return append(out, writes[next:]...), err
}
