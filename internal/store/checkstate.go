package store

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// state recomputes all tries from the flat state.
func (c *checker) state() error {
	r := checkReader{dbReader{c.s, c.snap}, c}
	if err := mpt.Check(layout, r, common.Hash{}, c.head.Root); err != nil {
		return c.trieError(err)
	}
	accounts := uint64(0)
	lo := []byte{tableAccounts}
	err := c.s.scan(c.snap, lo, prefixEnd(lo), func(key, record []byte) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		a, err := decodeAccount(record)
		if err != nil {
			return c.bad("account %x: %v", key[1:], err)
		}
		owner := common.Hash(key[1:])
		if a.root != types.EmptyRootHash {
			if err := mpt.Check(layout, r, owner, a.root); err != nil {
				return c.trieError(err)
			}
		}
		if accounts++; accounts%1000 == 0 {
			c.progress.report("state", accounts, 0)
		}
		return c.code(a.CodeHash)
	})
	if err != nil {
		return err
	}
	c.progress.report("state", accounts, accounts)
	return c.strays()
}

// trieError keeps giving up apart from damage.
func (c *checker) trieError(err error) error {
	if ctxErr := c.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return c.s.corrupt(err)
}

func (c *checker) code(hash common.Hash) error {
	if hash == chain.EmptyCodeHash {
		return nil
	}
	code, err := c.get(codeKey(hash))
	if err != nil {
		return err
	}
	if gethcrypto.Keccak256Hash(code) != hash {
		return c.bad("code %s is missing or altered", hash)
	}
	return nil
}

// strays looks for slots whose account has no storage.
func (c *checker) strays() error {
	it, err := c.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSlots}, UpperBound: []byte{tableSlots + 1}})
	if err != nil {
		return c.s.readError(err)
	}
	defer it.Close()
	for ok := it.First(); ok; {
		if len(it.Key()) != slotKeySize {
			return c.bad("slot key of %d bytes", len(it.Key()))
		}
		owner := common.Hash(it.Key()[1:])
		key := accountKey(&owner)
		record, err := c.get(key[:])
		if err != nil {
			return err
		}
		if a, err := decodeAccount(record); err != nil || a.root == types.EmptyRootHash {
			return c.bad("account %x has slots but no storage root (%v)", owner, err)
		}
		ok = it.SeekGE(prefixEnd(append([]byte{tableSlots}, owner[:]...)))
	}
	if err := it.Error(); err != nil {
		return c.s.readError(err)
	}
	return nil
}

// checkReader ends a long check of one trie when the caller gives up.
type checkReader struct {
	dbReader
	c *checker
}

// Scan implements mpt.Reader.
func (r checkReader) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	if err := r.c.ctx.Err(); err != nil {
		return err
	}
	return r.dbReader.Scan(lo, hi, fn)
}
