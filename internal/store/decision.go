package store

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// decided is the end of the chain of decisions.
type decided struct {
	height uint64
	hash   crypto.Hash
}

// AppendDecision keeps the decision and the transactions that it names. d must follow the last decision; txs are its transactions, verified, in its order. It
// does not wait for the disk: whatever is made durable after it (its block by Commit, a vote on the next height in the EngineLog) makes it durable too, as all
// are in one log, and nothing that rests on it leaves the node before. A crash loses it together with all that came after. Who must not lose it calls SyncDecisions.
// One caller at a time.
func (s *Store) AppendDecision(ctx context.Context, d *chain.Decision, txs chain.Txs) error {
	if err := s.writable(ctx); err != nil {
		return fmt.Errorf("append decision %d: %w", d.Height, err)
	}
	s.decisionMu.Lock()
	defer s.decisionMu.Unlock()
	last := s.decided.Load()
	switch {
	case d.Height != last.height+1:
		return fmt.Errorf("append decision %d: the last one is %d", d.Height, last.height)
	case d.Height > maxHeight:
		return fmt.Errorf("append decision %d: heights end at %d", d.Height, uint64(maxHeight))
	case d.Parent != last.hash:
		return fmt.Errorf("append decision %d: its parent is %s, the last decision is %s", d.Height, d.Parent, last.hash)
	case len(txs) != len(d.Txs):
		return fmt.Errorf("append decision %d: it names %d transactions, given are %d", d.Height, len(d.Txs), len(txs))
	}
	size := 0
	for i, tx := range txs {
		if tx.Hash() != d.Txs[i] || !tx.Verified() {
			return fmt.Errorf("append decision %d: transaction %d is %s (verified: %t), decided is %s", d.Height, i, tx.Hash(), tx.Verified(), d.Txs[i])
		}
		size += len(tx.Raw()) + common.AddressLength + 4
	}
	next := &decided{d.Height, d.Hash(s.suite)}
	b := s.newBatch(size + 4096)
	defer b.close()
	writeDecision(b, d, txs, next.hash)
	forgotten, forgottenBlocks := s.forgetKept(b), s.forgetBlocks(b, d.Height)
	if err := s.apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("append decision %d: %w", d.Height, err)
	}
	forgotten()
	forgottenBlocks()
	s.decided.Store(next)
	return nil
}

// SyncDecisions makes durable what AppendDecision has written. Safe for concurrent use.
func (s *Store) SyncDecisions() error {
	if err := s.Err(); err != nil {
		return err
	}
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return s.stop(fmt.Errorf("sync decisions: %w: %w", ErrStorage, err))
	}
	return s.Err()
}

// writeDecision writes a decision, its transactions and the end of the chain of decisions.
func writeDecision(b *batch, d *chain.Decision, txs chain.Txs, hash crypto.Hash) {
	b.set(heightKey(tableDecisions, d.Height), encodeDecision(d, hash))
	buf := make([]byte, 0, chunkBytes+chunkBytes/4)
	splitChunks(len(txs), func(i int) int { return len(txs[i].Raw()) + common.AddressLength }, func(from, to int) {
		buf = appendBodyChunk(buf[:0], txs[from:to])
		b.set(chunkKey(tableBodies, d.Height, uint16(to-1)), buf)
	})
	b.set(metaDecided, append(binary.BigEndian.AppendUint64(nil, d.Height), hash[:]...))
}

// encodeDecision is hash ‖ uvarint(transactions) ‖ RLP of the decision without them: their hashes follow from the bodies.
func encodeDecision(d *chain.Decision, hash crypto.Hash) []byte {
	short := *d
	short.Txs = nil
	b := binary.AppendUvarint(append(make([]byte, 0, 256+len(d.Proof)), hash[:]...), uint64(len(d.Txs)))
	return append(b, short.Encode()...)
}

// decodeDecision reverses encodeDecision; Txs is empty.
func decodeDecision(b []byte) (d *chain.Decision, hash crypto.Hash, txs int, err error) {
	if len(b) < len(hash) {
		return nil, hash, 0, fmt.Errorf("decision: %w", errRecord)
	}
	copy(hash[:], b)
	n, rest, err := uvarint(b[len(hash):], chain.MaxDecisionTxs)
	if err != nil {
		return nil, hash, 0, fmt.Errorf("decision: %w: count", err)
	}
	d, err = chain.DecodeDecision(rest)
	return d, hash, int(n), err
}

// LastDecision returns the last decision, nil before the first. Safe for concurrent use.
func (s *Store) LastDecision() (*chain.Decision, error) {
	last := s.decided.Load()
	if last == nil || last.height == 0 {
		return nil, nil
	}
	d, _, err := s.Decision(last.height)
	return d, err
}

// Decision returns the decision at height with its transactions, verified. Safe for concurrent use; ErrUnknownBlock above the last one and for height 0.
func (s *Store) Decision(height uint64) (*chain.Decision, chain.Txs, error) {
	if last := s.decided.Load(); last == nil || height > last.height { // a batch is visible before it is durable
		return nil, nil, fmt.Errorf("decision %d: %w", height, ErrUnknownBlock)
	}
	return s.decisionFrom(s.db, height)
}

func (s *Store) decisionFrom(r pebble.Reader, height uint64) (*chain.Decision, chain.Txs, error) {
	record, err := s.getFrom(r, heightKey(tableDecisions, height))
	if err != nil {
		return nil, nil, fmt.Errorf("decision %d: %w", height, err)
	}
	if record == nil {
		return nil, nil, fmt.Errorf("decision %d: %w", height, s.absent(height))
	}
	d, _, n, err := decodeDecision(record)
	if err != nil || d.Height != height {
		return nil, nil, s.corrupt(fmt.Errorf("decision %d: %w", height, err))
	}
	txs, err := s.bodies(r, height, n)
	if err != nil {
		return nil, nil, err
	}
	d.Txs = txs.Hashes()
	return d, txs, nil
}

// bodies reads the n transactions of the decision at height, in decided order.
func (s *Store) bodies(r pebble.Reader, height uint64, n int) (chain.Txs, error) {
	txs := make(chain.Txs, 0, n)
	lo := heightKey(tableBodies, height)
	err := s.scan(r, lo, prefixEnd(lo), func(key, value []byte) error {
		c, err := decodeBodyChunk(append([]byte(nil), value...))
		if err != nil {
			return s.corrupt(fmt.Errorf("decision %d: %w", height, err))
		}
		for i := range c.raws {
			tx, err := c.tx(i)
			if err != nil {
				return s.corrupt(fmt.Errorf("decision %d, transaction %d: %w", height, len(txs), err))
			}
			txs = append(txs, tx)
		}
		if last := binary.BigEndian.Uint16(key[1+heightSize:]); int(last)+1 != len(txs) {
			return s.corrupt(fmt.Errorf("decision %d: transactions are missing before %d", height, last))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(txs) != n {
		return nil, s.corrupt(fmt.Errorf("decision %d names %d transactions, %d are there", height, n, len(txs)))
	}
	return txs, nil
}
