package client_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func newSM2(t require.TestingT) *client.SM2 {
	a, err := client.NewSM2()
	require.NoError(t, err)
	return a
}

func TestSM2FromHex(t *testing.T) {
	// The key of GB/T 32918.5, A.2.
	const secret, public = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8",
		"09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
	for _, s := range []string{secret, "0x" + secret, " " + secret + "\n"} {
		a, err := client.SM2FromHex(s)
		require.NoError(t, err)
		require.Equal(t, "0x"+secret, a.Hex())
		require.Equal(t, public, common.Bytes2Hex(a.PublicKey()))
		require.Equal(t, chain.SM2Address(a.PublicKey()), a.Address())
	}
	n := "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"
	for _, bad := range []string{"", "0x", secret[:62], secret + "00", strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("g", 64), n, n[:62] + "22"} {
		_, err := client.SM2FromHex(bad)
		require.Error(t, err, bad)
		if len(bad) > 10 {
			require.NotContains(t, err.Error(), bad[:10], "an error shows no key")
		}
	}
	_, err := client.AccountFromHex("ed25519", secret)
	require.ErrorContains(t, err, `"ed25519" is unknown, use "secp256k1" or "sm2"`)
	_, err = client.NewAccount("")
	require.Error(t, err)
}

// TestSM2TxIsTheNodes has the node's decoder and verifier read what the account signs, and the client's own decoder too.
func TestSM2TxIsTheNodes(t *testing.T) {
	g := &chain.Genesis{ChainID: 77, Transactions: []chain.TxKind{chain.SM2, chain.Secp256k1}}
	verifier := chain.NewVerifier(g)
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string) *big.Int {
			return new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, name))
		}
		kind := rapid.SampledFrom([]string{client.KindSM2, client.KindSecp256k1}).Draw(t, "kind")
		from, err := client.NewAccount(kind)
		require.NoError(t, err)
		nonce, tip := rapid.Uint64().Draw(t, "nonce"), number("tip")
		tx := client.Tx{Nonce: &nonce, Gas: 1 + rapid.Uint64Max(1<<60).Draw(t, "gas"), Value: number("value"), TipCap: tip, FeeCap: tip,
			Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		if rapid.Bool().Draw(t, "call") {
			tx.To = &common.Address{7}
		}
		if rapid.Bool().Draw(t, "list") {
			tx.AccessList = types.AccessList{{Address: common.Address{1}, StorageKeys: []common.Hash{{2}, {3}}}, {StorageKeys: []common.Hash{}}}
		}
		raw, err := from.SignTx(big.NewInt(77), &tx)
		require.NoError(t, err)
		node, err := chain.DecodeTx(raw)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(node))
		require.Equal(t, from.Address(), node.Sender())
		require.Equal(t, kind, string(node.Kind()))
		require.Equal(t, client.TxHash(raw), node.Hash())

		read, err := client.DecodeTx(big.NewInt(77), raw)
		require.NoError(t, err)
		require.Equal(t, from.Address(), read.From)
		require.Equal(t, kind, read.Kind)
		require.Equal(t, node.Type(), read.Type)
		require.Equal(t, node.Hash(), read.Hash)
		require.Equal(t, tx.To, read.To)
		require.Equal(t, tx.Gas, read.Gas)
		require.Equal(t, nonce, read.Nonce)
		require.Zero(t, tx.Value.Cmp(read.Value))
		require.Zero(t, tip.Cmp(read.FeeCap))
		require.Zero(t, tip.Cmp(read.TipCap))
		require.Equal(t, string(tx.Data), string(read.Data))
		require.Equal(t, len(tx.AccessList), len(read.AccessList))
		require.Equal(t, node.PublicKey(), read.PublicKey)

		_, err = client.DecodeTx(big.NewInt(78), raw)
		require.Error(t, err)
		at := rapid.IntRange(1, len(raw)-1).Draw(t, "at")
		raw[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if other, err := client.DecodeTx(big.NewInt(77), raw); err == nil {
			require.NotEqual(t, from.Address(), other.From, "an altered transaction is nobody's, or, with a recovered key, somebody else's")
			require.Equal(t, client.KindSecp256k1, kind)
		}
	})
}

func TestSM2RefusesToSign(t *testing.T) {
	a, nonce := newSM2(t), uint64(0)
	good := client.Tx{Nonce: &nonce, Gas: 1, FeeCap: new(big.Int), TipCap: new(big.Int)}
	for name, c := range map[string]struct {
		alter func(*client.Tx)
		text  string
	}{
		"incomplete":       {func(tx *client.Tx) { tx.Gas = 0 }, "incomplete"},
		"authorizations":   {func(tx *client.Tx) { tx.Authorizations = make([]types.SetCodeAuthorization, 1) }, "send them from a secp256k1 account"},
		"negative value":   {func(tx *client.Tx) { tx.Value = big.NewInt(-1) }, "0 to 2^256-1"},
		"tip over 256 bit": {func(tx *client.Tx) { tx.TipCap = new(big.Int).Lsh(big.NewInt(1), 256) }, "0 to 2^256-1"},
	} {
		tx := good
		c.alter(&tx)
		_, err := a.SignTx(big.NewInt(1), &tx)
		require.ErrorContains(t, err, c.text, name)
	}
}

func FuzzDecodeSignedTx(f *testing.F) {
	nonce := uint64(1)
	for _, kind := range []string{client.KindSM2, client.KindSecp256k1} {
		from, err := client.NewAccount(kind)
		require.NoError(f, err)
		raw, err := from.SignTx(big.NewInt(77), &client.Tx{Nonce: &nonce, Gas: 1, FeeCap: new(big.Int), TipCap: new(big.Int)})
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte{0x50, 0xc0})
	verifier := chain.NewVerifier(&chain.Genesis{ChainID: 77, Transactions: chain.TxKinds})
	f.Fuzz(func(t *testing.T, raw []byte) {
		read, err := client.DecodeTx(big.NewInt(77), raw)
		if len(raw) == 0 || raw[0] != client.SM2TxType {
			return // go-ethereum decodes the others
		}
		node, nodeErr := chain.DecodeTx(raw)
		if nodeErr == nil {
			nodeErr = verifier.Verify(node)
		}
		if nodeErr == nil {
			require.NoError(t, err)
			require.Equal(t, node.Sender(), read.From)
		} else if err == nil {
			require.True(t, len(raw) > chain.MaxTxSize || read.TipCap.Cmp(read.FeeCap) > 0, "the node refuses what is no rule of signing: %v", nodeErr)
		}
	})
}

func TestSM2Keystore(t *testing.T) {
	a := newSM2(t)
	file, err := a.Keystore("嘉陵 pass", client.LightKeystore)
	require.NoError(t, err)
	require.NotContains(t, string(file), a.Hex()[2:])
	require.Contains(t, string(file), `"kind":"sm2"`)
	kind, err := client.KeystoreKind(file)
	require.NoError(t, err)
	require.Equal(t, client.KindSM2, kind)
	address, err := client.KeystoreAddress(file)
	require.NoError(t, err)
	require.Equal(t, a.Address(), address)

	b, err := client.AccountFromKeystore(file, "嘉陵 pass")
	require.NoError(t, err)
	require.Equal(t, a.Hex(), b.Hex())
	require.Equal(t, a.Address(), b.Address())
	c, err := client.SM2FromKeystore(file, "嘉陵 pass")
	require.NoError(t, err)
	require.Equal(t, a.PublicKey(), c.PublicKey())
	_, err = client.AccountFromKeystore(file, "wrong")
	require.ErrorIs(t, err, client.ErrPassphrase)
	_, err = client.Secp256k1FromKeystore(file, "嘉陵 pass")
	require.ErrorContains(t, err, `holds an account of kind "sm2", not "secp256k1"`)

	// go-ethereum takes any key for one of its own; the address tells it that this is none.
	geth, err := keystore.DecryptKey(file, "嘉陵 pass")
	require.NoError(t, err)
	require.NotEqual(t, a.Address(), geth.Address)

	secp, err := client.NewSecp256k1()
	require.NoError(t, err)
	other, err := secp.Keystore("p", client.LightKeystore)
	require.NoError(t, err)
	kind, err = client.KeystoreKind(other)
	require.NoError(t, err)
	require.Equal(t, client.KindSecp256k1, kind)
	back, err := client.AccountFromKeystore(other, "p")
	require.NoError(t, err)
	require.Equal(t, secp.Hex(), back.Hex())
	_, err = client.SM2FromKeystore(other, "p")
	require.ErrorContains(t, err, `holds an account of kind "secp256k1", not "sm2"`)

	var m map[string]any
	require.NoError(t, json.Unmarshal(file, &m))
	m["kind"] = "ed25519"
	unknown, err := json.Marshal(m)
	require.NoError(t, err)
	_, err = client.AccountFromKeystore(unknown, "嘉陵 pass")
	require.ErrorContains(t, err, `"ed25519" is unknown`)
}

// TestSM2Evidence proves transactions of type 0x50 offline, on chains of both suites, and refuses what was altered.
func TestSM2Evidence(t *testing.T) {
	for _, s := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(s.Name(), func(t *testing.T) {
			withSuite(t, s)
			testSM2Evidence(t)
		})
	}
}

func testSM2Evidence(t *testing.T) {
	a := newSM2(t)
	for _, c := range []struct{ txs, at, links int }{{1, 0, 0}, {3, 1, 2}, {130, 128, 0}} {
		l := newLedgerOf(t, a, c.txs, c.at, c.links)
		p, err := client.ParseProof(l.proof.Encode())
		require.NoError(t, err)
		got, err := client.Verify(p, l.trust(t))
		require.NoError(t, err)
		require.Equal(t, a.Address(), got.From)
		require.Equal(t, client.KindSM2, got.Kind)
		require.Equal(t, a.PublicKey(), got.PublicKey)
		require.Equal(t, l.txs[c.at].Hash(), got.TxHash)
		digest := gethcrypto.Keccak256Hash([]byte{byte(c.at)})
		n, err := got.Notarised(registry, digest)
		require.NoError(t, err)
		require.Equal(t, a.Address(), n.By)

		for at := range l.proof.Tx {
			p.Tx = append(hexutil.Bytes(nil), l.proof.Tx...)
			p.Tx[at] ^= 1
			p.TxHash = client.TxHash(p.Tx)
			_, err = client.Verify(p, l.trust(t))
			require.ErrorIs(t, err, client.ErrProof, "byte %d", at)
		}
	}
	// A block may hold a transaction whose signature is false only if a quorum lies; the file is refused all the same.
	l := newLedgerOf(t, forger{a}, 1, 0, 0)
	_, err := client.Verify(l.proof, l.trust(t))
	require.ErrorIs(t, err, client.ErrProof)
	require.ErrorContains(t, err, "the SM2 signature is not its public key's over its fields")
}

// TestEvidenceOfGM: every signature of a certificate counts on a chain of the suite gm as it does on another.
func TestEvidenceOfGM(t *testing.T) {
	withSuite(t, gm.Suite{})
	l := newLedger(t, 3, 1, 2)
	_, err := client.Verify(l.proof, l.trust(t))
	require.NoError(t, err)
	for name, alter := range map[string]func(sig []byte) []byte{
		"altered": func(sig []byte) []byte { sig[63] ^= 1; return sig }, "short": func(sig []byte) []byte { return sig[:63] },
		"long": func(sig []byte) []byte { return append(sig, 0) }, "zero": func([]byte) []byte { return make([]byte, 64) },
		"out of range": func(sig []byte) []byte { return append(bytes.Repeat([]byte{0xff}, 32), sig[32:]...) },
	} {
		p, err := client.ParseProof(l.proof.Encode())
		require.NoError(t, err)
		a := &p.Certificate.Attestations[0]
		a.Signature = alter(bytes.Clone(a.Signature))
		_, err = client.Verify(p, l.trust(t))
		require.ErrorIs(t, err, client.ErrProof, name)
	}
}

// forger alters what the account has signed: the last byte of s.
type forger struct{ *client.SM2 }

func (f forger) SignTx(chainID *big.Int, tx *client.Tx) ([]byte, error) {
	raw, err := f.SM2.SignTx(chainID, tx)
	if err == nil {
		raw[len(raw)-1] ^= 1
	}
	return raw, err
}

// rawNode answers eth_getRawTransactionByHash alone.
type rawNode map[common.Hash]hexutil.Bytes

func (n rawNode) ChainId() *hexutil.Big { return (*hexutil.Big)(big.NewInt(77)) }

func (n rawNode) GetRawTransactionByHash(hash common.Hash) any {
	if raw, ok := n[hash]; ok {
		return raw
	}
	return nil
}

func TestTransactionIsCheckedAgainstItsHash(t *testing.T) {
	node, nonce := rawNode{}, uint64(0)
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("eth", node))
	web := httptest.NewServer(server)
	t.Cleanup(func() { server.Stop(); web.Close() })
	c := dial(t, web.URL)
	for _, kind := range []string{client.KindSM2, client.KindSecp256k1} {
		from, err := client.NewAccount(kind)
		require.NoError(t, err)
		raw, err := from.SignTx(big.NewInt(77), &client.Tx{Nonce: &nonce, Gas: 1, FeeCap: new(big.Int), TipCap: new(big.Int)})
		require.NoError(t, err)
		hash := client.TxHash(raw)
		node[hash] = raw
		tx, err := c.Transaction(t.Context(), hash)
		require.NoError(t, err)
		require.Equal(t, from.Address(), tx.From)
		require.Equal(t, kind, tx.Kind)
		node[common.Hash{1}] = raw
		_, err = c.Transaction(t.Context(), common.Hash{1})
		require.ErrorContains(t, err, "the node gives "+hash.Hex())
		node[common.Hash{2}] = raw[:40]
		_, err = c.Transaction(t.Context(), common.Hash{2})
		require.ErrorContains(t, err, "decode transaction")
	}
	_, err := c.Transaction(t.Context(), common.Hash{3})
	require.ErrorIs(t, err, ethereum.NotFound)
}
