package store

import (
	"bytes"
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethdb/memorydb"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/stretchr/testify/require"
)

// gethRoot builds the state from nothing with geth's tries.
func gethRoot(tb testing.TB, m modelState) common.Hash {
	tb.Helper()
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
	accounts := trie.NewEmpty(db)
	for addr, a := range m.accounts {
		storage := trie.NewEmpty(db)
		for id, v := range m.slots {
			if id.account == addr {
				value, err := rlp.EncodeToBytes(bytes.TrimLeft(v[:], "\x00"))
				require.NoError(tb, err)
				storage.MustUpdate(gethcrypto.Keccak256(id.slot[:]), value)
			}
		}
		leaf, err := rlp.EncodeToBytes(&types.StateAccount{Nonce: a.Nonce, Balance: &a.Balance, Root: storage.Hash(), CodeHash: a.CodeHash[:]})
		require.NoError(tb, err)
		accounts.MustUpdate(gethcrypto.Keccak256(addr[:]), leaf)
	}
	return accounts.Hash()
}

func proofDB(tb testing.TB, nodes [][]byte) *memorydb.Database {
	tb.Helper()
	db := memorydb.New()
	for _, n := range nodes {
		require.NoError(tb, db.Put(gethcrypto.Keccak256(n), n))
	}
	return db
}

func (l *ledger) checkProofs(s *Store, height uint64) {
	l.tb.Helper()
	root, state := l.headers[height].Root, l.states[height]
	for _, addr := range l.addresses {
		p, err := s.Prove(context.Background(), height, addr, l.keys)
		require.NoError(l.tb, err)
		value, err := trie.VerifyProof(root, gethcrypto.Keccak256(addr[:]), proofDB(l.tb, p.Proof))
		require.NoError(l.tb, err)
		want, ok := state.accounts[addr]
		if !ok {
			require.Nil(l.tb, value)
			require.Equal(l.tb, types.EmptyRootHash, p.StorageHash)
		} else {
			require.Equal(l.tb, want, p.Account)
			leaf, err := rlp.EncodeToBytes(&types.StateAccount{Nonce: want.Nonce, Balance: &want.Balance, Root: p.StorageHash, CodeHash: want.CodeHash[:]})
			require.NoError(l.tb, err)
			require.Equal(l.tb, leaf, value)
		}
		for i, key := range l.keys {
			sp := p.Storage[i]
			require.Equal(l.tb, key, sp.Key)
			require.Equal(l.tb, state.slots[slotID{addr, key}], sp.Value)
			if p.StorageHash == types.EmptyRootHash {
				require.Zero(l.tb, sp.Value)
				continue
			}
			value, err := trie.VerifyProof(p.StorageHash, gethcrypto.Keccak256(key[:]), proofDB(l.tb, sp.Proof))
			require.NoError(l.tb, err)
			var trimmed []byte
			if len(value) > 0 {
				require.NoError(l.tb, rlp.DecodeBytes(value, &trimmed))
			}
			require.Equal(l.tb, sp.Value, common.BytesToHash(trimmed))
		}
	}
}

func TestProofsAndRootsEqualGeth(t *testing.T) {
	l := newLedger(t, 4)
	fs := vfs.NewMem()
	s := l.open(smallConfig(fs))
	for i := range 40 {
		l.put(s, l.randomWork(1))
		require.Equal(t, gethRoot(t, l.states[len(l.states)-1]), l.last().Root, "block %d", i+1)
		l.checkProofs(s, uint64(i))
	}
	for h := range l.states {
		l.checkProofs(s, uint64(h))
	}
	require.NoError(t, s.Close())
	s = l.open(smallConfig(fs))
	l.checkProofs(s, 40)
	l.checkProofs(s, 7)
	_, err := s.Prove(context.Background(), 41, common.Address{}, nil)
	require.ErrorIs(t, err, ErrUnknownBlock)
	_, err = s.Prove(context.Background(), 40, common.Address{}, make([]common.Hash, MaxProofSlots+1))
	require.Error(t, err)
	require.NoError(t, s.Close())
}

func (l *ledger) last() *types.Header { return l.headers[len(l.headers)-1] }
