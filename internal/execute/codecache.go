package execute

import (
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/lru"

	"github.com/jialing-chain/jialing/internal/chain"
)

// errCodeMissing is a code hash in an account whose code the state does not hold.
var errCodeMissing = errors.New("the state holds no code of that hash")

// codeCache keeps contract code between blocks and calls, bounded in bytes, least recently used out first. Code is named by its hash, so
// an entry never gets stale. Safe for concurrent use.
type codeCache struct {
	lru *lru.SizeConstrainedCache[common.Hash, []byte]
}

func newCodeCache(bytes int) *codeCache {
	return &codeCache{lru.NewSizeConstrainedCache[common.Hash, []byte](uint64(bytes))}
}

// load reads through the cache.
func (c *codeCache) load(st chain.State, hash common.Hash) ([]byte, error) {
	if code, ok := c.lru.Get(hash); ok {
		return code, nil
	}
	code, err := st.Code(hash)
	if err != nil {
		return nil, err
	}
	if len(code) == 0 {
		return nil, errCodeMissing
	}
	c.lru.Add(hash, code)
	return code, nil
}
