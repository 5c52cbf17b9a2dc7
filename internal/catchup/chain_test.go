package catchup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

var (
	suite crypto.Suite = intl.Suite{}

	account, _ = gethcrypto.ToECDSA(common.LeftPadBytes([]byte{7}, 32))
)

const (
	chainID = 77
	// changeAt is where another set of validators rules.
	changeAt = 40
)

// history is a chain of blocks as honest nodes hold it.
type history struct {
	genesis     *chain.Genesis
	genesisHash crypto.Hash
	keys        [2][]crypto.PrivateKey
	sets        [2]chain.ValidatorSet
	// blocks[h-1] is block h.
	blocks []*block
}

// tx is a valid transaction with size bytes of data.
func tx(t testing.TB, nonce, size int) *chain.Tx {
	inner, err := types.SignNewTx(account, types.LatestSignerForChainID(big.NewInt(chainID)), &types.DynamicFeeTx{ChainID: big.NewInt(chainID), Nonce: uint64(nonce),
		Gas: 21_000, To: &common.Address{1}, GasFeeCap: new(big.Int), GasTipCap: new(big.Int), Value: new(big.Int), Data: make([]byte, size)})
	require.NoError(t, err)
	out, err := chain.NewTx(inner)
	require.NoError(t, err)
	require.NoError(t, chain.NewVerifier(&chain.Genesis{ChainID: chainID, Transactions: []chain.TxKind{chain.Secp256k1}}).Verify(out))
	return out
}

// newHistory makes n blocks; sizes says how many transactions of how many bytes of data block h has.
func newHistory(t testing.TB, name string, n int, sizes func(h int) (txs, size int)) *history {
	x := &history{genesis: &chain.Genesis{Name: name, ChainID: chainID, Transactions: []chain.TxKind{chain.Secp256k1},
		Consensus: chain.Consensus{Engine: chain.BFT, MaxBlockTxs: 1000, MaxBlockBytes: 32 << 20}}, genesisHash: suite.Sum([]byte(name))}
	for s := range x.sets {
		for i := range 4 {
			key, err := suite.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{byte(1 + 4*s + i)}, 64)))
			require.NoError(t, err)
			x.keys[s] = append(x.keys[s], key)
			x.sets[s] = append(x.sets[s], chain.Validator{ID: chain.ValidatorID(1 + 4*s + i), PublicKey: key.Public().Bytes(), Address: common.Address{byte(i + 1)}})
		}
	}
	for _, v := range x.sets[0] {
		x.genesis.Validators = append(x.genesis.Validators, chain.GenesisValidator{ID: v.ID, PublicKey: v.PublicKey, Address: v.Address})
	}
	var parent crypto.Hash
	nonce := 0
	for h := 1; h <= n; h++ {
		d := &chain.Decision{Height: uint64(h), Parent: parent, TimeMillis: uint64(1000 * h), Proposer: 1}
		b := &block{decision: d}
		count, size := sizes(h)
		for range count {
			b.txs = append(b.txs, tx(t, nonce, size))
			nonce++
		}
		d.Txs = b.txs.Hashes()
		b.hash = d.Hash(suite)
		d.Proof = x.proof(b.hash)
		parent = b.hash
		x.certify(t, b, 3)
		x.blocks = append(x.blocks, b)
	}
	return x
}

func (x *history) rule(h uint64) *chain.Rule {
	return &chain.Rule{Engine: chain.BFT, Set: x.sets[set(h)]}
}

// small are blocks of up to three usual transactions.
func small(h int) (txs, size int) { return h % 4, 68 }

// proof is what the engine of this chain would have agreed with.
func (x *history) proof(h crypto.Hash) []byte {
	p := suite.Sum(x.genesisHash[:], h[:])
	return p[:]
}

func (x *history) verify(_ context.Context, d *chain.Decision) error {
	if !bytes.Equal(d.Proof, x.proof(d.Hash(suite))) {
		return errors.New("decision is not proven")
	}
	return nil
}

func set(h uint64) int {
	if h >= changeAt {
		return 1
	}
	return 0
}

// At implements Sets.
func (x *history) At(_ context.Context, h uint64) (*chain.Rule, error) {
	return x.rule(h), nil
}

// certify gives b a header and the signatures of n validators.
func (x *history) certify(t testing.TB, b *block, n int) {
	h := b.decision.Height
	extra := chain.Extra{Decision: b.decision.Hash(suite), Validators: x.rule(h).Hash(suite), Next: x.rule(h + 1).Hash(suite)}
	b.header = &chain.Header{Number: new(big.Int).SetUint64(h), Difficulty: new(big.Int), Extra: extra.Encode(), BaseFee: new(big.Int)}
	x.sign(t, b, n)
}

func (x *history) sign(t testing.TB, b *block, n int) {
	h := b.decision.Height
	hash, err := chain.HeaderHash(suite, b.header)
	require.NoError(t, err)
	b.certificate = &chain.Certificate{Height: h, Block: b.header.Hash(), Header: hash}
	for i := range n {
		sig, err := x.keys[set(h)][i].Sign(chain.AttestationMessage(x.genesisHash, h, hash))
		require.NoError(t, err)
		b.certificate.Attestations = append(b.certificate.Attestations, chain.Attestation{Validator: x.sets[set(h)][i].ID, Signature: sig})
	}
}

// encode is the answer that brings blocks. One with total set is in part.
func encode(t testing.TB, blocks ...*block) (out []byte) {
	for _, b := range blocks {
		var err error
		out, _, err = appendBlock(out, b.decision, b.txs, b.header, b.certificate, 1<<30)
		require.NoError(t, err)
	}
	return out
}

// ledger is what one node has of a history: the first height blocks, and the certificates of the first certified ones.
type ledger struct {
	mu                sync.Mutex
	blocks            []*block
	height, finalized int
	reads             int
}

func (l *ledger) at(h uint64, limit int) (*block, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if h == 0 || h > uint64(min(limit, len(l.blocks))) {
		return nil, fmt.Errorf("unknown block %d", h)
	}
	return l.blocks[h-1], nil
}

func (l *ledger) Decision(h uint64) (*chain.Decision, chain.Txs, error) {
	b, err := l.at(h, l.height)
	if err != nil {
		return nil, nil, err
	}
	return b.decision, b.txs, nil
}

func (l *ledger) Header(h uint64) (*chain.Header, error) {
	b, err := l.at(h, l.height)
	if err != nil {
		return nil, err
	}
	return b.header, nil
}

func (l *ledger) Certificate(h uint64) (*chain.Certificate, error) {
	if h > uint64(l.finalized) {
		return nil, nil
	}
	b, err := l.at(h, l.height)
	if err != nil {
		return nil, err
	}
	return b.certificate, nil
}

// append is what deliver does.
func (l *ledger) append(d *chain.Decision, txs chain.Txs) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.Height != uint64(l.height+1) {
		return fmt.Errorf("block %d after %d", d.Height, l.height)
	}
	l.blocks = append(l.blocks, &block{decision: d, txs: txs})
	l.height++
	return nil
}

// held is a Pool of some transactions.
type held map[common.Hash]*chain.Tx

func (p held) Bodies(hashes []common.Hash) (txs chain.Txs, missing []common.Hash) {
	for _, h := range hashes {
		txs = append(txs, p[h])
		if p[h] == nil {
			missing = append(missing, h)
		}
	}
	return txs, missing
}
