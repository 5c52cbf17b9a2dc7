package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// Importing fills an empty folder with the state after one block. Every chunk is verified by the block's state root before anything of it is written; a
// chunk's leaves, the commitment's records that follow from them and how far the import has come are in one batch. The tries grow as they do when blocks are
// committed, so memory is bounded by Config.CommitmentBytes whatever the state's size. Batches are not synced one by one: what a crash takes is an end of
// them, and is fetched again. Until Finish the folder holds no chain (Head is nil); Finish installs the block and all that goes with it in one synced batch.

// Keys of tableImport, which is empty but for an import under way.
const (
	// importTarget → RLP of the header whose state is imported.
	importTarget byte = iota
	// importRoots: owner(32) → root so far(32) ‖ root in the end(32), of a trie that has open ranges.
	importRoots
	// importRanges: owner(32) ‖ last key(32) → first key(32) of what is still to be fetched.
	importRanges
	// importCodes: code hash(32) → nothing, of code that is missing.
	importCodes
)

const (
	// accountRanges is how many pieces the account trie is fetched in at a time, and splitRanges those of a storage that proves to be larger than a chunk.
	accountRanges = 16
	splitRanges   = 8
	// syncChunks is how many batches a crash may take.
	syncChunks = 64
)

// ErrImporting: the folder holds an import that has not been finished.
var ErrImporting = errors.New("the data folder holds a state that has not been fetched to its end")

// Import is an import under way. Its methods are safe for concurrent use: chunks are verified side by side and written one after another.
type Import struct {
	s      *Store
	header *chain.Header

	mu     sync.Mutex
	gen    uint64
	chunks int
	// roots are the tries that have open ranges, accounts included.
	roots map[common.Hash]importRoot
	err   error
}

type importRoot struct{ now, want common.Hash }

// BeginImport starts the import of the state that header commits to, or resumes it where the folder holds one of the same header; of another, the folder's is
// dropped. The header is trusted: its certificate is the caller's to check. The folder must hold no chain.
func (s *Store) BeginImport(header *chain.Header) (*Import, error) {
	if s.head.Load() != nil {
		return nil, fmt.Errorf("import: %s holds a chain", s.cfg.Dir)
	}
	i := &Import{s: s, header: header, roots: make(map[common.Hash]importRoot)}
	target, err := rlp.EncodeToBytes(header)
	if err != nil {
		return nil, fmt.Errorf("import: encode header: %w", err)
	}
	have, err := s.get(importKey(importTarget))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if string(have) != string(target) {
		if err := i.start(target); err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
	}
	if err := i.resume(); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return i, nil
}

func importKey(kind byte, parts ...common.Hash) []byte {
	b := append(make([]byte, 0, 2+hashSize*len(parts)), tableImport, kind)
	for i := range parts {
		b = append(b, parts[i][:]...)
	}
	return b
}

// start empties the folder and opens the ranges of the accounts.
func (i *Import) start(target []byte) error {
	b := i.s.newBatch(4096)
	defer b.close()
	for _, table := range []byte{tableAccounts, tableSlots, tableAccountNodes, tableStorageNodes, tableCode, tableImport} {
		b.deleteRange([]byte{table}, []byte{table + 1})
	}
	b.set(importKey(importTarget), target)
	if root := i.header.Root; root != types.EmptyRootHash {
		i.openRanges(b, chain.StateRange{To: lastKey}, accountRanges)
		setRoots(b, common.Hash{}, importRoot{types.EmptyRootHash, root})
	}
	return i.s.apply(b, pebble.Sync)
}

// openRanges cuts a range, which reaches to the end of its trie, into n.
func (i *Import) openRanges(b *batch, r chain.StateRange, n int) {
	// The first two bytes tell the pieces apart: keys are hashes, so equal pieces hold about as many.
	from, end := int(r.From[0])<<8|int(r.From[1]), 1<<16
	if end-from < 2*n {
		n = 1
	}
	next := r.From
	for k := range n {
		to := r.To
		if k < n-1 {
			cut := from + (end-from)*(k+1)/n
			to = lastKey
			to[0], to[1] = byte((cut-1)>>8), byte(cut-1)
		}
		b.set(importKey(importRanges, r.Owner, to), next[:])
		next = successor(to)
	}
}

func setRoots(b *batch, owner common.Hash, r importRoot) {
	b.set(importKey(importRoots, owner), append(r.now[:], r.want[:]...))
}

// resume loads what is open.
func (i *Import) resume() error {
	accounts := i.header.Root
	lo := importKey(importRoots)
	err := i.s.scan(i.s.db, lo, prefixEnd(lo), func(key, value []byte) error {
		if len(key) != 2+hashSize || len(value) != 2*hashSize {
			return i.s.corrupt(fmt.Errorf("import: %w", errRecord))
		}
		r := importRoot{common.Hash(value), common.Hash(value[hashSize:])}
		owner := common.Hash(key[2:])
		i.roots[owner] = r
		if owner == (common.Hash{}) {
			accounts = r.now
		}
		return nil
	})
	if err != nil {
		return err
	}
	return i.s.openForest(accounts)
}

// Header is the one whose state is imported.
func (i *Import) Header() *chain.Header { return i.header }

// Open lists ranges that are still to be fetched, at most limit, those of storages first. None, with no Codes, is the time for Finish.
func (i *Import) Open(limit int) (out []chain.StateRange, err error) {
	for _, lo := range [][]byte{importKey(importRanges, successor(common.Hash{})), importKey(importRanges, common.Hash{})} {
		err := i.s.scan(i.s.db, lo, rangesEnd(lo), func(key, value []byte) error {
			if len(out) == limit {
				return errEnough
			}
			if len(key) != 2+2*hashSize || len(value) != hashSize {
				return i.s.corrupt(fmt.Errorf("import: %w", errRecord))
			}
			out = append(out, chain.StateRange{Owner: common.Hash(key[2:]), From: common.Hash(value), To: common.Hash(key[2+hashSize:])})
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, fmt.Errorf("import: %w", err)
		}
	}
	return out, nil
}

// rangesEnd ends the storages' ranges with their kind, the accounts' where the storages' begin.
func rangesEnd(lo []byte) []byte {
	if common.Hash(lo[2:]) == (common.Hash{}) {
		return importKey(importRanges, successor(common.Hash{}))
	}
	return importKey(importRanges + 1)
}

// Codes lists codes that are missing, at most limit.
func (i *Import) Codes(limit int) (out []common.Hash, err error) {
	lo := importKey(importCodes)
	err = i.s.scan(i.s.db, lo, prefixEnd(lo), func(key, _ []byte) error {
		if len(out) == limit {
			return errEnough
		}
		out = append(out, common.Hash(key[2:]))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("import: %w", err)
	}
	return out, nil
}

// Add verifies a peer's chunk for a range that Open listed, and writes it. A range that has been served meanwhile is no error. The error wraps chain.ErrStateChunk when the peer
// is wrong; every other one ends the import.
func (i *Import) Add(ctx context.Context, r chain.StateRange, b []byte) error {
	i.mu.Lock()
	root, open := i.roots[r.Owner]
	i.mu.Unlock()
	if !open {
		return nil
	}
	v, err := verifyChunk(root.want, r, b)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return i.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := i.write(v); err != nil {
		i.err = fmt.Errorf("import: %w", err)
	}
	return i.err
}

// write puts a verified chunk into the folder. The caller holds mu.
func (i *Import) write(v *verified) error {
	key := importKey(importRanges, v.r.Owner, v.r.To)
	if from, err := i.s.get(key); err != nil || string(from) != string(v.r.From[:]) {
		return err // served meanwhile
	}
	b := i.s.newBatch(2 * MaxChunk)
	defer b.close()
	b.delete(key)
	if !v.done {
		rest := chain.StateRange{Owner: v.r.Owner, From: v.next, To: v.r.To}
		if v.r.Owner != (common.Hash{}) && v.r.To == lastKey && v.r.From == (common.Hash{}) {
			i.openRanges(b, rest, splitRanges)
		} else {
			b.set(key, rest.From[:])
		}
	}
	if v.accounts != nil {
		if err := i.writeAccounts(b, v); err != nil {
			return err
		}
		return i.commit(b, common.Hash{}, i.s.forest.Accounts())
	}
	t, err := i.writeSlots(b, v.r.Owner, v.leafs)
	if err != nil {
		return err
	}
	return i.commit(b, v.r.Owner, t)
}

func (i *Import) writeAccounts(b *batch, v *verified) error {
	f := i.s.forest
	for k := range v.leafs {
		leaf, a := &v.leafs[k], &v.accounts[k]
		flat := accountKey(&leaf.Key)
		b.set(flat[:], mpt.AppendAccountRecord(nil, leaf.Value))
		if err := f.Accounts().Update(leaf.Key, leaf.Value); err != nil {
			return err
		}
		if a.hasCode() {
			if err := i.wantCode(b, a.CodeHash); err != nil {
				return err
			}
		}
		switch {
		case a.root == types.EmptyRootHash:
		case len(v.slots[k]) > 0:
			t, err := f.Storage(leaf.Key, types.EmptyRootHash)
			if err != nil {
				return err
			}
			for _, slot := range v.slots[k] {
				flat := slotKey(&leaf.Key, &slot.Key)
				b.set(flat[:], slot.Value)
				if err := t.Update(slot.Key, slot.Value); err != nil {
					return err
				}
			}
		default:
			i.roots[leaf.Key] = importRoot{types.EmptyRootHash, a.root}
			setRoots(b, leaf.Key, i.roots[leaf.Key])
			b.set(importKey(importRanges, leaf.Key, lastKey), make([]byte, hashSize))
		}
	}
	return nil
}

func (i *Import) writeSlots(b *batch, owner common.Hash, slots []chunkLeaf) (*mpt.Trie, error) {
	t, err := i.s.forest.Storage(owner, i.roots[owner].now)
	if err != nil {
		return nil, err
	}
	for k := range slots {
		flat := slotKey(&owner, &slots[k].Key)
		b.set(flat[:], slots[k].Value)
		if err := t.Update(slots[k].Key, slots[k].Value); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// wantCode notes code that is not there yet.
func (i *Import) wantCode(b *batch, hash common.Hash) error {
	have, err := i.s.get(codeKey(hash))
	if err == nil && have == nil {
		b.set(importKey(importCodes, hash), nil)
	}
	return err
}

// commit computes the tries' new roots, and writes the batch with all that follows. t is the trie of the chunk.
func (i *Import) commit(b *batch, owner common.Hash, t *mpt.Trie) error {
	i.gen++
	_, nodes, err := i.s.forest.Commit(i.gen)
	if err != nil {
		return err
	}
	i.setRoot(b, owner, t.Root())
	if err := nodes.Apply(batchWriter{b.b}); err != nil {
		return err
	}
	i.chunks++
	sync := pebble.NoSync
	if i.chunks%syncChunks == 0 {
		sync = pebble.Sync
	}
	if err := i.s.apply(b, sync); err != nil {
		return err
	}
	i.s.forest.Durable(i.gen)
	return nil
}

// setRoot notes a trie's new root. One that has come to its end is complete, whatever ranges of it are open: there is nothing in them.
func (i *Import) setRoot(b *batch, owner, root common.Hash) {
	r := i.roots[owner]
	if r.now = root; r.now != r.want {
		i.roots[owner] = r
		setRoots(b, owner, r)
		return
	}
	delete(i.roots, owner)
	b.delete(importKey(importRoots, owner))
	ranges := importKey(importRanges, owner)
	b.deleteRange(ranges, prefixEnd(ranges))
}

// AddCodes takes codes that Codes listed, in any order. A code that is not wanted is an error that wraps chain.ErrStateChunk.
func (i *Import) AddCodes(codes [][]byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return i.err
	}
	b := i.s.newBatch(MaxChunk)
	defer b.close()
	for _, code := range codes {
		hash := gethcrypto.Keccak256Hash(code)
		key := importKey(importCodes, hash)
		wanted, err := i.s.get(key)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		have, err := i.s.get(codeKey(hash))
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if wanted == nil && have == nil {
			return fmt.Errorf("import: %w: code %s is not wanted", chain.ErrStateChunk, hash)
		}
		b.set(codeKey(hash), code)
		b.delete(key)
	}
	if err := i.s.apply(b, pebble.NoSync); err != nil {
		i.err = fmt.Errorf("import: %w", err)
	}
	return i.err
}
