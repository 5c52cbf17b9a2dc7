package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethdb/memorydb"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// A chunk is the RLP of a run of neighbouring leaves of one trie with the Merkle proofs of its ends, so that it is verified by the trie's root alone. In the account
// trie's, every account brings its storage along if that is small; a large one is fetched by chunks of its own. Code is fetched by hash.

const (
	// MaxChunk bounds a chunk in bytes: chunkTarget, one account with a small storage that crosses it, and two proofs of some 35 KiB at most.
	MaxChunk = 1 << 20
	// chunkTarget is where a chunk ends.
	chunkTarget = 768 << 10
	// smallStorage is the number of slots of a storage that travels with its account: about 18 KiB.
	smallStorage = 256
)

// lastKey is the end of every trie.
var lastKey = common.Hash(bytes.Repeat([]byte{0xff}, hashSize))

type chunkLeaf struct {
	Key   common.Hash
	Value []byte // as the trie has it
}

type chunkAccount struct {
	Key   common.Hash
	Value []byte
	// Slots is the whole storage, or empty where that is large.
	Slots []chunkLeaf
}

// chunk is what travels: Accounts or Slots, the other is empty.
type chunk struct {
	Accounts []chunkAccount
	Slots    []chunkLeaf
	Proof    [][]byte
}

var errEnough = errors.New("enough")

// StateChunk makes the chunk that begins at r.From. It ends with the first leaf behind r.To, or with the one that makes it limit bytes long, proofs not counted; a
// limit beyond chunkTarget is that. ErrNotHeld when that height's state is not held. Safe for concurrent use.
func (s *Store) StateChunk(ctx context.Context, height uint64, r chain.StateRange, limit int) (out []byte, err error) {
	err = s.withHeld(height, func(snap *pebble.Snapshot, root common.Hash) error {
		m := chunkMaker{s: s, ctx: ctx, snap: snap, r: r, limit: min(limit, chunkTarget)}
		if r.Owner != (common.Hash{}) {
			key := accountKey(&r.Owner)
			record, err := s.getFrom(snap, key[:])
			if err != nil {
				return err
			}
			a, err := decodeAccount(record)
			if err != nil {
				return s.corrupt(err)
			}
			root = a.root
		}
		out, err = m.chunk(root)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("state chunk at height %d: %w", height, err)
	}
	return out, nil
}

// StateCodes returns codes by their hashes, as many of the first ones as fit into a chunk; one that is unknown ends the list. Safe for concurrent use.
func (s *Store) StateCodes(hashes []common.Hash) (out [][]byte, err error) {
	size := 0
	for _, h := range hashes {
		code, err := s.get(codeKey(h))
		if err != nil {
			return nil, fmt.Errorf("code %s: %w", h, err)
		}
		if size += len(code) + 4; code == nil || (size > MaxChunk && len(out) > 0) {
			break
		}
		out = append(out, code)
	}
	return out, nil
}

// chunkMaker makes one chunk.
type chunkMaker struct {
	s    *Store
	ctx  context.Context //nolint:containedctx // lives for one call of StateChunk
	snap *pebble.Snapshot
	r    chain.StateRange
	// limit and size are of the leaves in bytes.
	limit, size int
	c           chunk
	last        common.Hash
}

func (m *chunkMaker) chunk(root common.Hash) ([]byte, error) {
	if root == types.EmptyRootHash {
		return nil, fmt.Errorf("%w: that trie is empty", ErrNotHeld)
	}
	lo, hi := m.bounds()
	err := m.s.scan(m.snap, lo, hi, func(key, record []byte) error {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		m.last = common.Hash(key[len(key)-hashSize:])
		if err := m.leaf(record); err != nil {
			return err
		}
		if m.size >= m.limit || m.last.Cmp(m.r.To) > 0 {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	view := mpt.NewView(layout, dbReader{m.s, m.snap}, m.r.Owner, root)
	ends := []common.Hash{m.r.From}
	if m.size > 0 {
		ends = append(ends, m.last)
	}
	for _, end := range ends {
		nodes, err := view.Prove(end)
		if err != nil {
			return nil, m.s.corrupt(err)
		}
		for _, n := range nodes { // the two ways share their beginning
			if !slices.ContainsFunc(m.c.Proof, func(have []byte) bool { return bytes.Equal(have, n) }) {
				m.c.Proof = append(m.c.Proof, n)
			}
		}
	}
	return rlp.EncodeToBytes(&m.c)
}

// bounds are the flat keys from From to the end of the trie.
func (m *chunkMaker) bounds() (lo, hi []byte) {
	if m.r.Owner == (common.Hash{}) {
		key := accountKey(&m.r.From)
		return key[:], []byte{tableAccounts + 1}
	}
	key := slotKey(&m.r.Owner, &m.r.From)
	return key[:], prefixEnd(key[:1+hashSize])
}

func (m *chunkMaker) leaf(record []byte) error {
	if m.r.Owner != (common.Hash{}) {
		m.c.Slots = append(m.c.Slots, chunkLeaf{m.last, bytes.Clone(record)})
		m.size += hashSize + len(record) + 4
		return nil
	}
	a, err := decodeAccount(record)
	if err != nil {
		return m.s.corrupt(err)
	}
	out := chunkAccount{Key: m.last, Value: a.appendLeaf(nil)}
	if a.root != types.EmptyRootHash {
		if out.Slots, err = m.small(m.last); err != nil {
			return err
		}
	}
	m.c.Accounts = append(m.c.Accounts, out)
	m.size += hashSize + len(out.Value) + 8
	for i := range out.Slots {
		m.size += hashSize + len(out.Slots[i].Value) + 4
	}
	return nil
}

// small is an account's whole storage; empty if it is large.
func (m *chunkMaker) small(owner common.Hash) (slots []chunkLeaf, err error) {
	lo := append([]byte{tableSlots}, owner[:]...)
	err = m.s.scan(m.snap, lo, prefixEnd(lo), func(key, value []byte) error {
		if len(slots) == smallStorage {
			slots = nil
			return errEnough
		}
		slots = append(slots, chunkLeaf{common.Hash(key[1+hashSize:]), bytes.Clone(value)})
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return slots, err
}

// verified is a chunk that is proved by a root.
type verified struct {
	r     chain.StateRange
	leafs []chunkLeaf
	// accounts and slots run parallel to leafs in a chunk of accounts.
	accounts []account
	slots    [][]chunkLeaf
	// done tells that there is nothing behind leafs up to r.To; else next is where the range goes on.
	done bool
	next common.Hash
}

// verifyChunk checks a chunk by the root of its trie. The error wraps chain.ErrStateChunk.
func verifyChunk(root common.Hash, r chain.StateRange, b []byte) (*verified, error) {
	bad := func(format string, args ...any) (*verified, error) {
		return nil, fmt.Errorf("%w: %w", chain.ErrStateChunk, fmt.Errorf(format, args...))
	}
	if len(b) > MaxChunk {
		return bad("%d bytes, at most %d", len(b), MaxChunk)
	}
	c := new(chunk)
	if err := rlp.DecodeBytes(b, c); err != nil {
		return bad("%w", err)
	}
	v := &verified{r: r}
	isAccounts := r.Owner == (common.Hash{})
	if (isAccounts && len(c.Slots) > 0) || (!isAccounts && len(c.Accounts) > 0) {
		return bad("it is of the other kind")
	}
	v.leafs = c.Slots
	for i := range c.Accounts {
		v.leafs = append(v.leafs, chunkLeaf{c.Accounts[i].Key, c.Accounts[i].Value})
		v.slots = append(v.slots, c.Accounts[i].Slots)
	}
	more, err := verifyRange(root, r.From, v.leafs, c.Proof)
	if err != nil {
		return bad("%w", err)
	}
	v.cut(more)
	if isAccounts {
		err = v.verifyAccounts()
	} else {
		err = verifySlots(v.leafs)
	}
	if err != nil {
		return bad("%w", err)
	}
	return v, nil
}

// verifyWhole checks that leaves are all that the trie of that root has.
func verifyWhole(root common.Hash, leafs []chunkLeaf) error {
	keys, values := split(leafs)
	_, err := trie.VerifyRangeProof(root, nil, keys, values, nil)
	return err
}

func split(leafs []chunkLeaf) (keys, values [][]byte) {
	keys, values = make([][]byte, len(leafs)), make([][]byte, len(leafs))
	for i := range leafs {
		keys[i], values[i] = leafs[i].Key[:], leafs[i].Value
	}
	return keys, values
}

// verifyRange checks leaves against a root: they are all that the trie has from from to the last of them. more tells whether it has more behind.
func verifyRange(root, from common.Hash, leafs []chunkLeaf, proof [][]byte) (more bool, err error) {
	keys, values := split(leafs)
	nodes := memorydb.New()
	for _, n := range proof {
		if err := nodes.Put(gethcrypto.Keccak256(n), n); err != nil {
			return false, err
		}
	}
	return trie.VerifyRangeProof(root, from[:], keys, values, nodes)
}

// cut drops what is behind the range.
func (v *verified) cut(more bool) {
	v.done = !more
	for n := len(v.leafs); n > 0 && v.leafs[n-1].Key.Cmp(v.r.To) > 0; n-- {
		v.leafs, v.done = v.leafs[:n-1], true
		if v.slots != nil {
			v.slots = v.slots[:n-1]
		}
	}
	if n := len(v.leafs); n > 0 && !v.done {
		last := v.leafs[n-1].Key
		v.done = last == v.r.To
		v.next = successor(last)
	}
}

// successor is the next key; of the last one it is zero.
func successor(k common.Hash) common.Hash {
	for i := len(k) - 1; i >= 0; i-- {
		if k[i]++; k[i] != 0 {
			break
		}
	}
	return k
}

// verifyAccounts decodes the accounts and checks the storages that came along.
func (v *verified) verifyAccounts() error {
	v.accounts = make([]account, len(v.leafs))
	for i := range v.leafs {
		a, err := decodeAccount(mpt.AppendAccountRecord(nil, v.leafs[i].Value))
		if err != nil {
			return err
		}
		v.accounts[i] = a
		switch slots := v.slots[i]; {
		case a.root == types.EmptyRootHash && len(slots) > 0:
			return fmt.Errorf("account %s has no storage, %d slots came along", v.leafs[i].Key, len(slots))
		case len(slots) > smallStorage:
			return fmt.Errorf("%d slots of account %s came along, at most %d may", len(slots), v.leafs[i].Key, smallStorage)
		case len(slots) == 0:
			continue
		}
		if err := verifyWhole(a.root, v.slots[i]); err != nil {
			return fmt.Errorf("storage of account %s: %w", v.leafs[i].Key, err)
		}
		if err := verifySlots(v.slots[i]); err != nil {
			return err
		}
	}
	return nil
}

func verifySlots(slots []chunkLeaf) error {
	for i := range slots {
		if _, err := decodeSlot(slots[i].Value); err != nil || len(slots[i].Value) == 0 {
			return fmt.Errorf("slot %s: %w", slots[i].Key, errors.Join(err, errRecord))
		}
	}
	return nil
}

// hasCode tells whether an account needs code.
func (a *account) hasCode() bool { return a.CodeHash != chain.EmptyCodeHash }
