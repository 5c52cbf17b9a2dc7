package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The log index maps a term to the blocks, and in them the transactions, that have a log with it. A term is an address, a topic at a position, or "any
// log". Its fragment is 8 bytes of a SHA-256: whoever wants to slow down queries for a term would have to find logs that collide with it, at 2^64 tries
// for each.
//
// A posting lists ascending transaction indexes as runs: uvarint(2 × gap + more) [‖ uvarint(length−2) if more] for each run, where gap counts the
// indexes left out since the last run, and more tells a run of at least two. A token's own address in a block of transfers takes three bytes.

// Kinds of terms. Topic position i is termTopic + i.
const (
	termAny     = 0
	termAddress = 1
	termTopic   = 2
)

// anyFragment is the term that every log has.
var anyFragment = termFragment(termAny, nil)

func termFragment(kind byte, value []byte) uint64 {
	var b [33]byte
	b[0] = kind
	n := copy(b[1:], value)
	sum := sha256.Sum256(b[:1+n])
	return binary.BigEndian.Uint64(sum[:])
}

type logTerm struct {
	fragment uint64
	tx       uint32
}

// termCollector gathers a block's terms. It remembers the last fragment of each kind: neighbouring logs mostly share address and first topic.
type termCollector struct {
	terms []logTerm
	last  [6]struct {
		value    [32]byte
		fragment uint64
		full     bool
	}
}

func (c *termCollector) add(kind byte, value []byte, tx uint32) {
	l := &c.last[kind]
	var v [32]byte
	copy(v[:], value)
	if !l.full || l.value != v {
		l.value, l.fragment, l.full = v, termFragment(kind, value), true
	}
	c.terms = append(c.terms, logTerm{l.fragment, tx})
}

// writeLogIndex puts a block's postings into the batch.
func writeLogIndex(b *batch, height uint64, receipts types.Receipts) {
	_ = eachPosting(receipts, func(fragment uint64, posting []byte) error { // fails only if the function does
		b.setFragment(tableLogs, fragment, height, posting)
		return nil
	})
}

// eachPosting calls fn for every term of a block, ascending by fragment, until it fails; posting is valid during the call only.
func eachPosting(receipts types.Receipts, fn func(fragment uint64, posting []byte) error) error {
	c := termCollector{terms: make([]logTerm, 0, 5*len(receipts))}
	for i, r := range receipts {
		if len(r.Logs) > 0 {
			c.add(termAny, nil, uint32(i))
		}
		for _, l := range r.Logs {
			c.add(termAddress, l.Address[:], uint32(i))
			for j := range l.Topics {
				c.add(termTopic+byte(j), l.Topics[j][:], uint32(i))
			}
		}
	}
	slices.SortFunc(c.terms, func(a, b logTerm) int {
		if d := cmp.Compare(a.fragment, b.fragment); d != 0 {
			return d
		}
		return cmp.Compare(a.tx, b.tx)
	})
	var posting []byte
	var txs []uint32
	for i := 0; i < len(c.terms); {
		fragment := c.terms[i].fragment
		txs = txs[:0]
		for ; i < len(c.terms) && c.terms[i].fragment == fragment; i++ {
			if tx := c.terms[i].tx; len(txs) == 0 || txs[len(txs)-1] != tx {
				txs = append(txs, tx)
			}
		}
		posting = appendPosting(posting[:0], txs)
		if err := fn(fragment, posting); err != nil {
			return err
		}
	}
	return nil
}

// appendPosting encodes ascending indexes without duplicates.
func appendPosting(b []byte, txs []uint32) []byte {
	next := uint32(0)
	for i := 0; i < len(txs); {
		run := 1
		for i+run < len(txs) && txs[i+run] == txs[i]+uint32(run) {
			run++
		}
		gap := uint64(txs[i]-next) * 2
		if run == 1 {
			b = binary.AppendUvarint(b, gap)
		} else {
			b = binary.AppendUvarint(b, gap+1)
			b = binary.AppendUvarint(b, uint64(run-2))
		}
		next = txs[i] + uint32(run)
		i += run
	}
	return b
}

// decodePosting appends the indexes to dst.
func decodePosting(dst []uint32, b []byte) ([]uint32, error) {
	next := uint64(0)
	for len(b) > 0 {
		gap, rest, err := uvarint(b, 2*chain.MaxDecisionTxs+1)
		if err != nil {
			return nil, fmt.Errorf("log index: %w: gap", errRecord)
		}
		run := uint64(1)
		if gap&1 == 1 {
			var n uint64
			if n, rest, err = uvarint(rest, chain.MaxDecisionTxs); err != nil {
				return nil, fmt.Errorf("log index: %w: run", errRecord)
			}
			run = n + 2
		}
		next += gap / 2
		if next+run > chain.MaxDecisionTxs {
			return nil, fmt.Errorf("log index: %w: transaction %d", errRecord, next+run-1)
		}
		for range run {
			dst = append(dst, uint32(next))
			next++
		}
		b = rest
	}
	return dst, nil
}
