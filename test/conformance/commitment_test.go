package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute/executetest"
	"github.com/jialing-chain/jialing/internal/store"
)

// casesPerStore is how many cases one store serves: a case stages three blocks, and 64 may wait for their commit.
const casesPerStore = 20

// commitment is our store in memory with geth's trie beside it. One goroutine at a time.
type commitment struct {
	store  *store.Store
	ledger *executetest.Ledger
	height uint64
	cases  int
}

// open gives the next case an empty state.
func (c *commitment) open() error {
	c.ledger = executetest.New()
	if c.cases++; c.store != nil && c.cases%casesPerStore != 0 {
		return nil
	}
	if err := c.close(); err != nil {
		return err
	}
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.FS = "conformance", vfs.NewMem()
	cfg.BlockCacheBytes, cfg.StateCacheBytes, cfg.CommitmentBytes, cfg.MemTableBytes = 1<<20, 1<<20, 1<<20, 256<<10
	suite := intl.Suite{}
	s, err := store.Open(cfg, suite)
	if err != nil {
		return err
	}
	c.store, c.height = s, 0
	_, err = s.Init(&chain.Genesis{
		Name: "conformance", ChainID: 1, TimeMillis: 1, Suite: suite.Name(), GasLimit: 1 << 30, Fees: chain.Fees{Mode: chain.FeesZero},
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 1, MaxBlockBytes: 1 << 20},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "one", PublicKey: []byte{1}, Address: common.Address{1}}},
		Transactions: []chain.TxKind{chain.Secp256k1},
	})
	return err
}

func (c *commitment) close() error {
	if c.store == nil {
		return nil
	}
	err := c.store.Close()
	c.store = nil
	return err
}

// stage gives the writes to both and returns the root that both must agree on.
func (c *commitment) stage(w chain.WriteSet) (common.Hash, error) {
	c.height++
	ours, err := c.store.Stage(context.Background(), c.height, w)
	want, oracleErr := c.ledger.Stage(context.Background(), c.height, w)
	if err := errors.Join(err, oracleErr); err != nil {
		return common.Hash{}, c.drop(err)
	}
	if ours != want {
		return common.Hash{}, c.drop(fmt.Errorf("our commitment says %s, geth's trie %s", ours, want))
	}
	return ours, nil
}

// drop leaves a store that failed in the middle of a case to the past, so that the next case starts on a new one.
func (c *commitment) drop(err error) error {
	return errors.Join(err, c.close())
}
