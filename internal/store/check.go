package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Progress is told how far long work has come: the name of the step, and done of total units of it (blocks, or accounts, whose total is unknown and 0).
// It may be nil.
type Progress func(step string, done, total uint64)

func (p Progress) report(step string, done, total uint64) {
	if p != nil {
		p(step, done, total)
	}
}

// Check reads everything and verifies it against the hashes that hold it together, on one snapshot; the chain may go on meanwhile. The first contradiction ends it
// with an error that wraps ErrCorrupt and names the place.
//
//   - every block: hash, parent links (Keccak and suite), the validator sets that its header names, decision and its link, transactions with their signatures and senders, transactions root, receipts root,
//     bloom, gas used, indexes of block, transactions and logs, what the certificate names;
//   - the state: every node of the account trie and all storage tries recomputed from the flat state, up to the head's state root; code by its hash;
//   - the history: every index entry leads to its diff entry and back, and every retained block's state root follows from undoing the diffs, as far as
//     MaxProofChanges goes.
//
// What it cannot verify: the ledger digests, which cover plain keys and need re-execution (export and import do that), and what no hash covers: the engine's proofs in
// decisions, the reasons of exclusions, the signatures of attestations, and validator sets that rule later than the next block (a node compares them with the state
// when it starts).
func (s *Store) Check(ctx context.Context, progress Progress) error {
	if s.head.Load() == nil {
		return ErrEmpty
	}
	genesis, err := s.Genesis()
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	snap := s.db.NewSnapshot()
	defer snap.Close()
	c := checker{s: s, snap: snap, ctx: ctx, progress: progress, verifier: chain.NewVerifier(genesis)}
	for _, step := range []struct {
		name string
		run  func() error
	}{{"blocks", c.blocks}, {"state", c.state}, {"history", c.history}} {
		if err := step.run(); err != nil {
			if errors.Is(err, ErrUnknownBlock) {
				err = fmt.Errorf("%w: a record is missing: %w", ErrCorrupt, err)
			}
			return fmt.Errorf("check %s: %w", step.name, err)
		}
	}
	return nil
}

type checker struct {
	s        *Store
	snap     *pebble.Snapshot
	ctx      context.Context //nolint:containedctx // lives for one call of Check
	progress Progress
	verifier *chain.Verifier
	head     *chain.Header
	epochs   *epochs
	// set is the hash of the validator set of the block that comes next.
	set crypto.Hash
}

func (c *checker) bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

func (c *checker) get(key []byte) ([]byte, error) { return c.s.getFrom(c.snap, key) }

// blocks walks the chain from the genesis.
func (c *checker) blocks() error {
	record, err := c.get(metaHead)
	if err != nil {
		return err
	}
	top, head, entries, err := decodeHead(record)
	if err != nil {
		return c.bad("%v", err)
	}
	if c.epochs, err = c.s.loadEpochs(c.snap, entries); err != nil {
		return err
	}
	var parent *chain.Header
	var decision crypto.Hash
	start := uint64(0)
	if first := c.s.first.Load(); first > 0 {
		if parent, err = c.first(first, &decision); err != nil {
			return err
		}
		start = first + 1
	}
	for height := start; height <= top; height++ {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		header, hash, err := c.s.header(c.snap, height)
		if err != nil {
			return fmt.Errorf("block %d: %w", height, err)
		}
		if err := c.block(header, hash, parent, &decision); err != nil {
			return fmt.Errorf("block %d: %w", height, err)
		}
		parent = header
		c.progress.report("blocks", height+1, top+1)
	}
	if hash := parent.Hash(); hash != head {
		return c.bad("the head is block %d with hash %s, recorded is %s", top, hash, head)
	}
	c.head = parent
	return c.decisionsAbove(top, decision)
}

// decisionsAbove checks those that wait to be executed.
func (c *checker) decisionsAbove(top uint64, parent crypto.Hash) error {
	record, err := c.get(metaDecided)
	if err != nil {
		return err
	}
	if len(record) != 8+hashSize {
		return c.bad("decided record of %d bytes", len(record))
	}
	last := binary.BigEndian.Uint64(record)
	for height := top + 1; height <= last; height++ {
		if _, _, err := c.decision(height, &parent); err != nil {
			return fmt.Errorf("decision %d: %w", height, err)
		}
	}
	if parent != crypto.Hash(record[8:]) && last > 0 {
		return c.bad("decision %d has hash %s, recorded is %s", last, parent, crypto.Hash(record[8:]))
	}
	return nil
}

func (c *checker) block(header *chain.Header, hash common.Hash, parent *chain.Header, decision *crypto.Hash) error {
	height := header.Number.Uint64()
	if got := header.Hash(); got != hash {
		return c.bad("its header hashes to %s, recorded is %s", got, hash)
	}
	if value, err := c.get(hashKey(hashFragment(hash), height)); err != nil || value == nil {
		return c.missing("block index entry", err)
	}
	if parent == nil {
		return c.genesis(header)
	}
	extra, err := chain.DecodeExtra(header.Extra)
	if err != nil {
		return c.bad("%v", err)
	}
	suiteParent, err := chain.HeaderHash(c.s.suite, parent)
	if err != nil {
		return err
	}
	if header.ParentHash != parent.Hash() || extra.Parent != suiteParent {
		return c.bad("it does not follow block %d", height-1)
	}
	d, txs, err := c.decision(height, decision)
	if err != nil {
		return err
	}
	if err := c.validators(height, extra); err != nil {
		return err
	}
	if extra.Decision != *decision {
		return c.bad("its header names decision %s, stored is %s", extra.Decision, *decision)
	}
	excluded, err := c.exclusions(height, len(d.Txs))
	if err != nil {
		return err
	}
	if err := c.txIndex(d); err != nil {
		return err
	}
	txs = included(txs, excluded)
	if root := txs.Root(); root != header.TxHash {
		return c.bad("transactions root is %s, the header says %s", root, header.TxHash)
	}
	receipts, err := c.receipts(header, hash, txs)
	if err != nil {
		return err
	}
	if err := c.logIndex(height, receipts); err != nil {
		return err
	}
	return c.certificate(height, hash)
}

// genesis checks block 0 against the stored genesis, whose identifier is in its header.
func (c *checker) genesis(header *chain.Header) error {
	g, err := c.s.Genesis()
	if err != nil {
		return err
	}
	extra, err := chain.DecodeExtra(header.Extra)
	if err != nil {
		return c.bad("%v", err)
	}
	if id := g.ID(c.s.suite); extra.Decision != id {
		return c.bad("the stored genesis is %s, block 0 was made from %s", id, extra.Decision)
	}
	return c.validators(0, extra)
}

// validators checks that the header names the recorded validator sets of its height and of the next one.
func (c *checker) validators(height uint64, extra *chain.Extra) error {
	if height == 0 {
		if found, err := c.setFrom(0); err != nil || !found {
			return c.missing("the founding validator set", err)
		}
	}
	if extra.Validators != c.set {
		return c.bad("its header names validator set %s, recorded is %s", extra.Validators, c.set)
	}
	if _, err := c.setFrom(height + 1); err != nil {
		return err
	}
	if extra.Next != c.set {
		return c.bad("its header names validator set %s for the next block, recorded is %s", extra.Next, c.set)
	}
	return nil
}

// setFrom takes up the set that rules from height on, if one begins there.
func (c *checker) setFrom(height uint64) (found bool, err error) {
	record, err := c.get(heightKey(tableSets, height))
	if err != nil || record == nil {
		return false, err
	}
	var rule chain.Rule
	if err := decodeRule(record, &rule); err != nil {
		return false, c.bad("rule from height %d: %v", height, err)
	}
	c.set = rule.Hash(c.s.suite)
	return true, nil
}

func (c *checker) missing(what string, err error) error {
	if err != nil {
		return err
	}
	return c.bad("%s is missing", what)
}

// decision checks the decision at height against its parent, which becomes its hash.
func (c *checker) decision(height uint64, parent *crypto.Hash) (*chain.Decision, chain.Txs, error) {
	d, txs, err := c.s.decisionFrom(c.snap, height)
	if err != nil {
		return nil, nil, err
	}
	record, err := c.get(heightKey(tableDecisions, height))
	if err != nil {
		return nil, nil, err
	}
	hash := d.Hash(c.s.suite)
	switch {
	case d.Parent != *parent:
		return nil, nil, c.bad("its decision does not follow decision %d", height-1)
	case len(record) < hashSize || crypto.Hash(record[:hashSize]) != hash:
		return nil, nil, c.bad("its decision hashes to %s, recorded is another", hash)
	}
	*parent = hash
	return d, txs, c.senders(txs)
}

// senders recovers all signatures, on all processors, and compares with the senders stored.
func (c *checker) senders(txs chain.Txs) error {
	workers := min(runtime.GOMAXPROCS(0), len(txs))
	errs := make([]error, workers)
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := w; i < len(txs) && errs[w] == nil; i += workers {
				errs[w] = c.sender(txs[i])
			}
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

func (c *checker) sender(stored *chain.Tx) error {
	tx, err := chain.DecodeTx(stored.Raw())
	if err == nil {
		err = c.verifier.Verify(tx)
	}
	if err != nil {
		return c.bad("transaction %s: %v", stored.Hash(), err)
	}
	if tx.Sender() != stored.Sender() {
		return c.bad("transaction %s was sent by %s, stored is %s", tx.Hash(), tx.Sender(), stored.Sender())
	}
	return nil
}

func (c *checker) exclusions(height uint64, decided int) ([]exclusion, error) {
	excluded, err := c.s.excludedFrom(c.snap, height)
	if err == nil && len(excluded) > 0 && int(excluded[len(excluded)-1].Position) >= decided {
		err = c.bad("it leaves out transaction %d of %d", excluded[len(excluded)-1].Position, decided)
	}
	return excluded, err
}

func (c *checker) txIndex(d *chain.Decision) error {
	for i, hash := range d.Txs {
		key := binary.BigEndian.AppendUint16(fragmentKey(tableTxs, c.epochs.of(d.Height), hashFragment(hash), d.Height), uint16(i))
		if value, err := c.get(key); err != nil || value == nil {
			return c.missing(fmt.Sprintf("index entry of transaction %s", hash), err)
		}
	}
	return nil
}

func (c *checker) receipts(header *chain.Header, hash common.Hash, txs chain.Txs) (types.Receipts, error) {
	receipts, err := c.s.receiptsFrom(c.snap, &chain.Block{Header: header, Hash: hash, Txs: txs})
	if err != nil {
		return nil, err
	}
	records := chain.NewRecords(txs, receipts)
	if root := records.ReceiptsRoot(); root != header.ReceiptHash {
		return nil, c.bad("receipts root is %s, the header says %s", root, header.ReceiptHash)
	}
	extra, err := chain.DecodeExtra(header.Extra)
	if err != nil {
		return nil, err
	}
	if root := records.Root(c.s.suite); root != extra.Records {
		return nil, c.bad("records root is %s, the header says %s", root, extra.Records)
	}
	if n := len(receipts); n > 0 && receipts[n-1].CumulativeGasUsed != header.GasUsed {
		return nil, c.bad("its receipts used %d gas, the header says %d", receipts[n-1].CumulativeGasUsed, header.GasUsed)
	}
	if bloom := types.MergeBloom(receipts); bloom != header.Bloom {
		return nil, c.bad("its logs do not give the header's bloom")
	}
	return receipts, nil
}

// logIndex builds the block's postings again and compares.
func (c *checker) logIndex(height uint64, receipts types.Receipts) error {
	return eachPosting(receipts, func(fragment uint64, posting []byte) error {
		value, err := c.get(fragmentKey(tableLogs, c.epochs.of(height), fragment, height))
		if err != nil {
			return err
		}
		if value == nil || !bytes.Equal(value, posting) {
			return c.bad("its log index differs from its receipts")
		}
		return nil
	})
}

func (c *checker) certificate(height uint64, hash common.Hash) error {
	value, err := c.get(heightKey(tableCertificates, height))
	if err != nil || value == nil {
		return err
	}
	cert, err := chain.DecodeCertificate(value)
	if err != nil {
		return c.bad("%v", err)
	}
	if cert.Height != height || cert.Block != hash {
		return c.bad("its certificate names block %d %s", cert.Height, cert.Block)
	}
	return nil
}
