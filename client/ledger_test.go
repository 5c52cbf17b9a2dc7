package client_test

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// The node's own packages are the oracle here: client verifies what they sign, by its own code.
var suite crypto.Suite = intl.Suite{}

// withSuite makes the ledgers of a test on another suite; such a test runs alone.
func withSuite(t *testing.T, s crypto.Suite) {
	before := suite
	suite = s
	t.Cleanup(func() { suite = before })
}

var registry = common.HexToAddress("0xe11d")

// ledger is a small chain made with internal/chain.
type ledger struct {
	genesis *chain.Genesis
	root    crypto.Hash // the suite's hash of block 0's header
	key     crypto.PrivateKey
	headers []*chain.Header
	txs     chain.Txs
	proof   *client.Proof
}

func newGenesis(t require.TestingT, key crypto.PrivateKey) *chain.Genesis {
	g := &chain.Genesis{
		Name: "测试 & <test>", ChainID: 77, TimeMillis: 1_700_000_000_123, Suite: suite.Name(),
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 1000, MaxBlockBytes: 1 << 20, BatchMillis: 5},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "node 1", PublicKey: key.Public().Bytes(), Address: common.HexToAddress("0x11")}},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesFixed, BaseFee: math.NewHexOrDecimal256(7)}, GasLimit: 60_000_000,
		Retention: chain.Retention{StateBlocks: 90_000},
		Alloc: map[common.Address]chain.GenesisAccount{
			common.HexToAddress("0x01"):               {Balance: math.NewHexOrDecimal256(5)},
			common.HexToAddress("0xABCDEFabcdef1234"): {Nonce: 3, Code: []byte{1, 2, 3}, Storage: map[common.Hash]common.Hash{{1}: {31: 9}, {2}: {}, {3}: {3}}},
			common.HexToAddress("0x02"):               {},
		},
	}
	require.NoError(t, g.Validate())
	return g
}

// newLedger makes block 1 with n notarising transactions and links empty blocks that follow, certifies the last, and proves transaction at.
func newLedger(t *testing.T, n, at, links int) *ledger {
	dev, err := client.DevAccounts(1)
	require.NoError(t, err)
	return newLedgerOf(t, dev[0], n, at, links)
}

// newLedgerOf is newLedger with another sender.
func newLedgerOf(t *testing.T, from client.Account, n, at, links int) *ledger {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	l := &ledger{genesis: newGenesis(t, key), key: key}
	header0 := l.genesis.Header(suite, l.genesis.Writes(hashCode), stateRoot(t, l.genesis))
	l.headers = append(l.headers, header0)
	l.root, err = chain.HeaderHash(suite, header0)
	require.NoError(t, err)

	receipts := make(types.Receipts, n)
	for i := range n {
		nonce := uint64(i)
		digest := gethcrypto.Keccak256Hash([]byte{byte(i)})
		data, err := apps.Evidence.ABI.Pack("notarise", digest, "a.pdf")
		require.NoError(t, err)
		raw, err := from.SignTx(big.NewInt(77), &client.Tx{To: &registry, Data: data, Gas: 100_000, Nonce: &nonce, FeeCap: big.NewInt(14), TipCap: big.NewInt(0)})
		require.NoError(t, err)
		tx, err := chain.DecodeTx(raw)
		require.NoError(t, err)
		l.txs = append(l.txs, tx)
		event := apps.Evidence.ABI.Events["Notarised"]
		logData, err := event.Inputs.NonIndexed().Pack(big.NewInt(1_700_000_001), "a.pdf")
		require.NoError(t, err)
		receipts[i] = &types.Receipt{Type: tx.Type(), Status: 1, CumulativeGasUsed: uint64(i+1) * 50_000, Logs: []*types.Log{{Address: registry,
			Topics: []common.Hash{event.ID, digest, common.BytesToHash(from.Address().Bytes())}, Data: logData}}}
		receipts[i].Bloom = types.CreateBloom(receipts[i])
	}
	l.append(t, l.txs, receipts)
	for range links {
		l.append(t, nil, nil)
	}
	l.prove(t, receipts, at)
	return l
}

func (l *ledger) append(t *testing.T, txs chain.Txs, receipts types.Receipts) {
	parent := l.headers[len(l.headers)-1]
	parentHash, err := chain.HeaderHash(suite, parent)
	require.NoError(t, err)
	extra := chain.Extra{Millis: 456, Parent: parentHash, Decision: crypto.Hash{7}, Validators: l.genesis.Rule().Hash(suite),
		Next: l.genesis.Rule().Hash(suite), Records: chain.NewRecords(txs, receipts).Root(suite)}
	l.headers = append(l.headers, &types.Header{ParentHash: parent.Hash(), UncleHash: types.EmptyUncleHash, TxHash: txs.Root(), ReceiptHash: chain.ReceiptsRoot(receipts),
		Difficulty: new(big.Int), Number: new(big.Int).Add(parent.Number, big.NewInt(1)), GasLimit: 60_000_000, Time: 1_700_000_001,
		Extra: extra.Encode(), BaseFee: big.NewInt(7), WithdrawalsHash: &types.EmptyWithdrawalsHash, BlobGasUsed: new(uint64),
		ExcessBlobGas: new(uint64), ParentBeaconRoot: new(common.Hash), RequestsHash: &types.EmptyRequestsHash})
}

func (l *ledger) prove(t *testing.T, receipts types.Receipts, at int) {
	certified := l.headers[len(l.headers)-1]
	hash, err := chain.HeaderHash(suite, certified)
	require.NoError(t, err)
	sig, err := l.key.Sign(chain.AttestationMessage(l.root, certified.Number.Uint64(), hash))
	require.NoError(t, err)
	receipt, err := receipts[at].MarshalBinary()
	require.NoError(t, err)
	l.proof = &client.Proof{Format: client.ProofFormat, Suite: suite.Name(), ChainID: 77, Genesis: common.Hash(l.root), TxHash: l.txs[at].Hash(),
		Index: hexutil.Uint64(at), Tx: l.txs[at].Raw(), TxProof: prove(t, l.txs, at), Receipt: receipt, ReceiptProof: prove(t, encodedReceipts(receipts), at),
		Count: hexutil.Uint64(len(l.txs)), RecordProof: recordProof(l.txs, receipts, at), BlockHash: l.headers[1].Hash(), Links: []hexutil.Bytes{}, Certificate: client.ProofCertificate{Height: hexutil.Uint64(certified.Number.Uint64()),
			Block: certified.Hash(), Header: common.Hash(hash), Attestations: []client.ProofAttestation{{Validator: 1, Signature: sig}}}}
	for i, h := range l.headers[1:] {
		raw, err := rlp.EncodeToBytes(h)
		require.NoError(t, err)
		if i == 0 {
			l.proof.Header = raw
		} else {
			l.proof.Links = append(l.proof.Links, raw)
		}
	}
}

func recordProof(txs chain.Txs, receipts types.Receipts, at int) (out []common.Hash) {
	for _, h := range chain.NewRecords(txs, receipts).Proof(suite, at) {
		out = append(out, common.Hash(h))
	}
	return out
}

// encodedReceipts encodes each by itself: geth's own list writes nothing but the type of one that it does not know.
type encodedReceipts types.Receipts

func (r encodedReceipts) Len() int { return len(r) }

func (r encodedReceipts) EncodeIndex(i int, w *bytes.Buffer) {
	b, err := r[i].MarshalBinary()
	if err != nil {
		panic(err)
	}
	w.Write(b)
}

// prove makes a Merkle proof with geth's trie.
func prove(t *testing.T, list types.DerivableList, at int) (out []hexutil.Bytes) {
	tr := trie.NewEmpty(triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil))
	for i := range list.Len() {
		var value bytes.Buffer
		list.EncodeIndex(i, &value)
		require.NoError(t, tr.Update(rlp.AppendUint64(nil, uint64(i)), value.Bytes()))
	}
	require.NoError(t, tr.Prove(rlp.AppendUint64(nil, uint64(at)), proofNodes{&out}))
	return out
}

type proofNodes struct{ out *[]hexutil.Bytes }

func (p proofNodes) Put(_, value []byte) error {
	*p.out = append(*p.out, bytes.Clone(value))
	return nil
}

func (p proofNodes) Delete([]byte) error              { return nil }
func (p proofNodes) DeleteRange([]byte, []byte) error { return nil }

func hashCode(code []byte) common.Hash { return gethcrypto.Keccak256Hash(code) }

// stateRoot is block 0's, by geth's full trie.
func stateRoot(t require.TestingT, g *chain.Genesis) common.Hash {
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
	accounts := trie.NewEmpty(db)
	for _, w := range g.Writes(hashCode) {
		storage := trie.NewEmpty(db)
		for _, s := range w.Slots {
			value, err := rlp.EncodeToBytes(common.TrimLeftZeroes(s.Value[:]))
			require.NoError(t, err)
			require.NoError(t, storage.Update(gethcrypto.Keccak256(s.Key[:]), value))
		}
		leaf, err := rlp.EncodeToBytes(&types.StateAccount{Nonce: w.Account.Nonce, Balance: &w.Account.Balance, Root: storage.Hash(), CodeHash: w.Account.CodeHash[:]})
		require.NoError(t, err)
		require.NoError(t, accounts.Update(gethcrypto.Keccak256(w.Address[:]), leaf))
	}
	return accounts.Hash()
}
