package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Importing is the header of the import that the folder holds, nil when there is none.
func (s *Store) Importing() (*chain.Header, error) {
	target, err := s.get(importKey(importTarget))
	if err != nil || target == nil {
		return nil, err
	}
	h := new(chain.Header)
	if err := rlp.DecodeBytes(target, h); err != nil {
		return nil, s.corrupt(fmt.Errorf("import: %w", err))
	}
	return h, nil
}

// State reads what has been imported so far: before the import is complete, what is missing reads as absent.
func (i *Import) State() chain.State { return importState{i.s} }

// Finish makes the folder a chain whose head is the imported block. All of t is checked against the block's header but for the signatures in the certificate, which
// are the caller's to check. An error that wraps chain.ErrStateChunk is t's; the import stays as it is.
func (i *Import) Finish(t *chain.StateTail) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return i.err
	}
	if err := i.complete(); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	founding, err := i.s.GenesisHeader(t.Genesis)
	if err != nil {
		return fmt.Errorf("import: block 0: %w", err)
	}
	excluded, err := i.checkTail(t, founding)
	if err != nil {
		return fmt.Errorf("import: %w: %w", chain.ErrStateChunk, err)
	}
	if err := i.install(t, founding, excluded); err != nil {
		i.err = fmt.Errorf("import: %w", err)
	}
	return i.err
}

// complete tells whether everything has been fetched.
func (i *Import) complete() error {
	ranges, err := i.Open(1)
	if err != nil {
		return err
	}
	codes, err := i.Codes(1)
	if err != nil {
		return err
	}
	if len(ranges)+len(codes)+len(i.roots) > 0 {
		return ErrImporting
	}
	if root := i.s.forest.Accounts().Root(); root != i.header.Root {
		return i.s.corrupt(fmt.Errorf("state root is %s, the header says %s", root, i.header.Root))
	}
	return nil
}

// GenesisHeader computes the header of block 0 of g, of this ledger's suite, in memory. It needs no chain in the folder.
func (s *Store) GenesisHeader(g *chain.Genesis) (*chain.Header, error) {
	cfg := Config{Dir: "genesis", FS: vfs.NewMem(), BlockCacheBytes: 1 << 20, StateCacheBytes: 1 << 20, CommitmentBytes: 1 << 20, MemTableBytes: 4 << 20}
	scratch, err := Open(cfg, s.suite)
	if err != nil {
		return nil, err
	}
	h, err := scratch.Init(g)
	return h, errors.Join(err, scratch.Close())
}

// checkTail compares all parts with the header.
func (i *Import) checkTail(t *chain.StateTail, founding *chain.Header) ([]exclusion, error) {
	h, suite := i.header, i.s.suite
	height := h.Number.Uint64()
	extra, err := chain.DecodeExtra(h.Extra)
	if err != nil {
		return nil, err
	}
	switch {
	case height == 0:
		return nil, errors.New("block 0 needs no import")
	case t.Decision.Height != height || t.Decision.Hash(suite) != extra.Decision:
		return nil, fmt.Errorf("decision %d is %s, the header names %s", t.Decision.Height, t.Decision.Hash(suite), extra.Decision)
	case len(t.Txs) != len(t.Decision.Txs):
		return nil, fmt.Errorf("%d transactions of %d", len(t.Txs), len(t.Decision.Txs))
	case t.Certificate.Height != height || t.Certificate.Block != h.Hash():
		return nil, fmt.Errorf("the certificate names block %d %s", t.Certificate.Height, t.Certificate.Block)
	case t.Rule.Hash(suite) != extra.Validators || t.Next.Hash(suite) != extra.Next:
		return nil, errors.New("the validator sets are others than the header names")
	}
	for k, tx := range t.Txs {
		if tx.Hash() != t.Decision.Txs[k] || !tx.Verified() {
			return nil, fmt.Errorf("transaction %d is %s (verified: %t), decided is %s", k, tx.Hash(), tx.Verified(), t.Decision.Txs[k])
		}
	}
	excluded, err := excludedPositions(&chain.Executed{Decision: t.Decision, Excluded: t.Exclusions})
	if err != nil {
		return nil, err
	}
	if root := included(t.Txs, excluded).Root(); root != h.TxHash {
		return nil, fmt.Errorf("transactions root is %s, the header says %s", root, h.TxHash)
	}
	return excluded, i.checkAncestors(t.Ancestors, founding)
}

// checkAncestors walks from the block down by both hashes.
func (i *Import) checkAncestors(ancestors []*chain.Header, founding *chain.Header) error {
	height := i.header.Number.Uint64()
	if want := min(height-1, chain.AncestorHeaders); uint64(len(ancestors)) != want {
		return fmt.Errorf("%d headers before block %d, want %d", len(ancestors), height, want)
	}
	line := append([]*chain.Header{}, ancestors...)
	if height <= chain.AncestorHeaders+1 {
		line = append([]*chain.Header{founding}, line...)
	}
	line = append(line, i.header)
	for k := len(line) - 1; k > 0; k-- {
		extra, err := chain.DecodeExtra(line[k].Extra)
		if err != nil {
			return err
		}
		parent, err := chain.HeaderHash(i.s.suite, line[k-1])
		if err != nil {
			return err
		}
		if n := line[k-1].Number; line[k].ParentHash != line[k-1].Hash() || extra.Parent != parent || !n.IsUint64() ||
			n.Uint64()+1 != line[k].Number.Uint64() {
			return fmt.Errorf("header %s does not follow the one before it", line[k].Number)
		}
	}
	return nil
}

// install writes the block with everything of it, and with that ends the import.
func (i *Import) install(t *chain.StateTail, founding *chain.Header, excluded []exclusion) error {
	s, height := i.s, i.header.Number.Uint64()
	hash := i.header.Hash()
	size := 0
	for _, tx := range t.Txs {
		size += len(tx.Raw()) + 32
	}
	b := s.newBatch(size + 1<<20)
	defer b.close()
	b.set(metaGenesis, t.Genesis.Encode())
	for _, h := range append([]*chain.Header{founding, i.header}, t.Ancestors...) {
		if err := writeHeader(b, h, h.Hash()); err != nil {
			return err
		}
	}
	if len(excluded) > 0 {
		record, err := rlp.EncodeToBytes(excluded)
		if err != nil {
			return fmt.Errorf("encode exclusions: %w", err)
		}
		b.set(heightKey(tableExclusions, height), record)
	}
	writeDecision(b, t.Decision, t.Txs, t.Decision.Hash(s.suite))
	b.set(heightKey(tableCertificates, height), t.Certificate.Encode())
	sets := []chain.SetChange{{From: height, Rule: t.Rule}}
	if t.Next.Hash(s.suite) != t.Rule.Hash(s.suite) {
		sets = append(sets, chain.SetChange{From: height + 1, Rule: t.Next})
	}
	for k := range sets {
		if err := writeSet(b, &sets[k]); err != nil {
			return err
		}
	}
	for _, key := range [][]byte{metaFinalized, metaOldest, metaFirst} {
		b.set(key, binary.BigEndian.AppendUint64(nil, height))
	}
	b.set(epochKey(0), make([]byte, 8))
	writeHead(b, height, hash, 0)
	b.deleteRange([]byte{tableImport}, []byte{tableImport + 1})
	if err := s.apply(b, pebble.Sync); err != nil {
		return err
	}
	// The import numbered its commits by chunks; blocks number theirs by height.
	if err := s.openForest(i.header.Root); err != nil {
		return err
	}
	if err := s.loadHead(); err != nil {
		return err
	}
	s.anchor.raise(height, height)
	return nil
}

// importState reads the flat state as it is.
type importState struct{ s *Store }

// Account implements chain.State.
func (v importState) Account(addr common.Address) (*chain.Account, error) {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	record, err := v.s.get(h.accountKey(addr))
	if err != nil {
		return nil, err
	}
	a, err := decodeAccount(record)
	if err != nil {
		return nil, v.s.corrupt(err)
	}
	return a.public(), nil
}

// Slot implements chain.State.
func (v importState) Slot(addr common.Address, slot common.Hash) (common.Hash, error) {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	record, err := v.s.get(h.slotKey(slotID{addr, slot}))
	if err != nil {
		return common.Hash{}, err
	}
	value, err := decodeSlot(record)
	if err != nil {
		return common.Hash{}, v.s.corrupt(err)
	}
	return value, nil
}

// Code implements chain.State.
func (v importState) Code(hash common.Hash) ([]byte, error) {
	if hash == chain.EmptyCodeHash {
		return nil, nil
	}
	code, err := v.s.get(codeKey(hash))
	if err == nil && !bytes.Equal(gethcrypto.Keccak256(code), hash[:]) {
		err = fmt.Errorf("code %s: %w: no such record", hash, ErrCorrupt)
	}
	return code, err
}
