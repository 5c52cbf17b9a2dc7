package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
)

// MaxLogTerms bounds the addresses and topics of one query: each costs a seek for every block that any of them leads to.
const MaxLogTerms = 1024

// logCandidates bounds the receipts that one query decodes in vain, for each result that it may return. Postings are exact to the transaction, so vain ones are
// transactions that hold all terms but in different logs; a query made of such ones must end as well.
const logCandidates = 16

// Logs returns the logs that match q, in chain order. Work is proportional to the transactions that hold all of the query's terms: blocks and receipts without
// them are not read. A range beyond the head ends there. ErrTooManyLogs when there are more than q.MaxResults or q.MaxBytes, ErrTooManyTerms beyond
// MaxLogTerms. Safe for concurrent use.
func (s *Store) Logs(ctx context.Context, q chain.LogQuery) ([]*types.Log, error) {
	h := s.head.Load()
	if h == nil {
		return nil, ErrEmpty
	}
	to := min(q.To, h.header.Number.Uint64())
	if first := s.first.Load(); first > 0 && q.From <= first && to > 0 {
		return nil, fmt.Errorf("logs: %w, ask from block %d on", ErrNotKept, first+1)
	}
	groups, err := s.termGroups(&q)
	if err != nil {
		return nil, err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableLogs}, UpperBound: []byte{tableLogs + 1}})
	if err != nil {
		return nil, s.readError(err)
	}
	defer it.Close()
	m := logMatcher{s: s, q: &q, it: it, epochs: s.epochs.Load(), groups: groups, vain: logCandidates * (min(q.MaxResults, 1<<20) + 64)}
	for height := q.From; height <= to; height++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var txs []uint32
		if height, txs, err = m.next(height, to); err != nil {
			return nil, fmt.Errorf("logs: %w", err)
		}
		if height > to {
			break
		}
		if err := m.collect(height, txs); err != nil {
			return nil, fmt.Errorf("logs of block %d: %w", height, err)
		}
	}
	return m.out, nil
}

// termGroup is one condition of a query: any of its terms.
type termGroup []termCursor

// termCursor is a term's place in the index.
type termCursor struct {
	fragment uint64
	// height is the first block at or above the last one asked for that has the term; posting is its entry there.
	height  uint64
	posting []byte
	valid   bool
}

// termGroups lists the conditions. A query without any asks for all logs.
func (s *Store) termGroups(q *chain.LogQuery) ([]termGroup, error) {
	var groups []termGroup
	terms := len(q.Addresses)
	if len(q.Addresses) > 0 {
		g := make(termGroup, len(q.Addresses))
		for i := range q.Addresses {
			g[i].fragment = termFragment(termAddress, q.Addresses[i][:])
		}
		groups = append(groups, g)
	}
	if len(q.Topics) > 4 {
		return nil, fmt.Errorf("logs: %d topic positions, a log has at most 4", len(q.Topics))
	}
	for i, topics := range q.Topics {
		terms += len(topics)
		if len(topics) == 0 {
			continue
		}
		g := make(termGroup, len(topics))
		for j := range topics {
			g[j].fragment = termFragment(termTopic+byte(i), topics[j][:])
		}
		groups = append(groups, g)
	}
	if terms > MaxLogTerms {
		return nil, fmt.Errorf("logs: %w: %d, at most %d", ErrTooManyTerms, terms, MaxLogTerms)
	}
	if len(groups) == 0 {
		groups = []termGroup{{{fragment: anyFragment}}}
	}
	return groups, nil
}

// logMatcher runs one query.
type logMatcher struct {
	s      *Store
	q      *chain.LogQuery
	it     *pebble.Iterator
	epochs *epochs
	groups []termGroup
	vain   int
	out    []*types.Log
	bytes  int // of data in out
}

// next finds the first block in [height, to] that all groups have a term in, and the transactions that all groups name there. height > to when there is none.
func (m *logMatcher) next(height, to uint64) (uint64, []uint32, error) {
	for height <= to {
		target := height
		for _, g := range m.groups {
			first, err := m.seek(g, target, to)
			if err != nil {
				return 0, nil, err
			}
			target = max(target, first)
			if target > to {
				return target, nil, nil
			}
		}
		if target > height {
			height = target // a later group leapt ahead: ask the earlier ones again
			continue
		}
		txs, err := m.intersect(height)
		if err != nil || len(txs) > 0 {
			return height, txs, err
		}
		height++
	}
	return height, nil, nil
}

// seek moves a group's cursors to target or beyond and returns the lowest height among them; above to when there is none.
func (m *logMatcher) seek(g termGroup, target, to uint64) (uint64, error) {
	lowest := to + 1
	for i := range g {
		c := &g[i]
		if !c.valid || c.height < target {
			if err := m.seekTerm(c, target, to); err != nil {
				return 0, err
			}
		}
		lowest = min(lowest, c.height)
	}
	return lowest, nil
}

func (m *logMatcher) seekTerm(c *termCursor, target, to uint64) error {
	c.valid, c.height, c.posting = true, to+1, c.posting[:0]
	for epoch, last := m.epochs.of(target), m.epochs.of(to); epoch <= last; epoch++ {
		if !m.it.SeekPrefixGE(fragmentKey(tableLogs, epoch, c.fragment, target)) {
			if err := m.it.Error(); err != nil {
				return m.s.readError(err)
			}
			continue
		}
		key := m.it.Key()
		if len(key) != fragmentHead+heightSize {
			return m.s.corrupt(fmt.Errorf("log index: %w", errRecord))
		}
		if at := decodeHeight(key[fragmentHead:]); at <= to {
			value, err := m.it.ValueAndErr()
			if err != nil {
				return m.s.readError(err)
			}
			c.height, c.posting = at, append(c.posting, value...)
		}
		return nil
	}
	return nil
}

// intersect lists, ascending, the transactions of the block that every group has a term in.
func (m *logMatcher) intersect(height uint64) ([]uint32, error) {
	var all []uint32
	for i, g := range m.groups {
		var any []uint32
		var err error
		for j := range g {
			if g[j].height == height {
				if any, err = decodePosting(any, g[j].posting); err != nil {
					return nil, m.s.corrupt(err)
				}
			}
		}
		slices.Sort(any)
		any = slices.Compact(any)
		if i == 0 {
			all = any
			continue
		}
		all = slices.DeleteFunc(all, func(tx uint32) bool {
			_, ok := slices.BinarySearch(any, tx)
			return !ok
		})
	}
	return all, nil
}

var errVainLogs = errors.New("too many transactions hold all terms in different logs; narrow the range")

// collect appends the matching logs of the given transactions.
func (m *logMatcher) collect(height uint64, txs []uint32) error {
	header, hash, err := m.s.header(m.s.db, height)
	if err != nil {
		return err
	}
	excluded, err := m.s.excluded(height)
	if err != nil {
		return err
	}
	reader := blockReader{s: m.s, height: height, excluded: excluded}
	for _, tx := range txs {
		head, r, err := reader.receipt(tx)
		if err != nil {
			return err
		}
		var txHash common.Hash
		for i, l := range r.Logs {
			if !matches(m.q, l) {
				continue
			}
			if len(m.out) >= m.q.MaxResults {
				return fmt.Errorf("%w: more than %d; narrow the range or the filter", ErrTooManyLogs, m.q.MaxResults)
			}
			if m.bytes += len(l.Data); m.q.MaxBytes > 0 && m.bytes > m.q.MaxBytes {
				return fmt.Errorf("%w: their data exceeds %d bytes; narrow the range or the filter", ErrTooManyLogs, m.q.MaxBytes)
			}
			if txHash == (common.Hash{}) {
				if txHash, err = reader.txHash(tx); err != nil {
					return err
				}
			}
			l.BlockNumber, l.BlockHash, l.BlockTimestamp = height, hash, header.Time
			l.TxHash, l.TxIndex, l.Index = txHash, uint(tx), uint(head.at.LogsBefore)+uint(i)
			m.out = append(m.out, l)
		}
		if txHash == (common.Hash{}) {
			if m.vain--; m.vain < 0 {
				return fmt.Errorf("%w: %w", ErrTooManyLogs, errVainLogs)
			}
		}
	}
	return nil
}

// matches is eth_getLogs' rule.
func matches(q *chain.LogQuery, l *types.Log) bool {
	if len(q.Addresses) > 0 && !slices.Contains(q.Addresses, l.Address) || len(q.Topics) > len(l.Topics) {
		return false
	}
	for i, topics := range q.Topics {
		if len(topics) > 0 && !slices.Contains(topics, l.Topics[i]) {
			return false
		}
	}
	return true
}

// blockReader reads receipts and transaction hashes of one block in ascending order, each chunk once.
type blockReader struct {
	s        *Store
	height   uint64
	excluded []exclusion

	receipts receiptChunk
	bodies   bodyChunk
	// firstBody is the position in the decision of the first transaction of bodies.
	firstBody int
}

// receipt reads the receipt at index; derived fields are empty.
func (r *blockReader) receipt(index uint32) (*receiptHead, *chain.Receipt, error) {
	i := -1
	if n := len(r.receipts.heads); n > 0 && index <= r.receipts.heads[n-1].at.Index {
		i = int(index) - int(r.receipts.heads[0].at.Index)
	}
	if i < 0 {
		var err error
		if r.receipts, i, err = r.s.receiptChunkAt(r.height, index); err != nil {
			return nil, nil, err
		}
	}
	receipt, err := r.receipts.receipt(i)
	if err != nil {
		return nil, nil, r.s.corrupt(err)
	}
	return &r.receipts.heads[i], receipt, nil
}

// txHash is the hash of the transaction at index in the block.
func (r *blockReader) txHash(index uint32) (common.Hash, error) {
	position := int(index)
	for _, x := range r.excluded {
		if int(x.Position) <= position {
			position++
		}
	}
	i := position - r.firstBody
	if i < 0 || i >= len(r.bodies.raws) {
		chunk, last, err := r.s.chunkAt(tableBodies, r.height, uint32(position))
		if err != nil {
			return common.Hash{}, err
		}
		if r.bodies, err = decodeBodyChunk(chunk); err != nil {
			return common.Hash{}, r.s.corrupt(err)
		}
		r.firstBody = int(last) + 1 - len(r.bodies.raws)
		if i = position - r.firstBody; i < 0 {
			return common.Hash{}, r.s.corrupt(fmt.Errorf("decision %d: transaction %d is missing", r.height, position))
		}
	}
	return gethcrypto.Keccak256Hash(r.bodies.raws[i]), nil
}
