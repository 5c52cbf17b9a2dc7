package chain_test

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// testGenesis is a valid genesis; tests alter what they are about.
func testGenesis() *chain.Genesis {
	return &chain.Genesis{
		Name: "test", ChainID: 7777, TimeMillis: 1_700_000_000_123, Suite: "intl",
		Consensus: chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 1000, MaxBlockBytes: 4 << 20, BatchMillis: 5},
		Validators: []chain.GenesisValidator{{
			ID: 1, Name: "v1", PublicKey: make([]byte, 32), Address: common.HexToAddress("0x00000000000000000000000000000000000000c0"),
		}},
		Transactions: []chain.TxKind{chain.Secp256k1},
		Fees:         chain.Fees{Mode: chain.FeesZero},
		GasLimit:     100_000_000,
	}
}
