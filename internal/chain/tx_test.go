package chain_test

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestEIP155Vector is the worked example of EIP-155 (chain id 1).
func TestEIP155Vector(t *testing.T) {
	raw := common.FromHex("0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83")
	g := testGenesis()
	g.ChainID = 1
	tx, err := chain.DecodeTx(raw)
	require.NoError(t, err)
	require.NoError(t, chain.NewVerifier(g).Verify(tx))
	require.Equal(t, common.HexToAddress("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"), tx.Sender())
	require.Equal(t, "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788", tx.Hash().Hex())
	require.Equal(t, uint64(9), tx.Nonce())
	require.Equal(t, "20000000000", tx.FeeCap().Dec())
	require.Equal(t, "1000000000000000000", tx.Value().Dec())
}

// TestGoldenTxs pins one transaction of every type: the keys and the nonces of RFC 6979 make the bytes the same for ever.
func TestGoldenTxs(t *testing.T) {
	hashes := map[uint8]string{
		chain.LegacyTxType:     "0x2a181b1ba4dff81f19f18cd68f10abc0bfb7d21eb58c96847bb44de00754742e",
		chain.AccessListTxType: "0xde938981e3c9d88fa04fcb65b639597d2c90afd0666ffcdea74f5ec748df83b7",
		chain.DynamicFeeTxType: "0xf55770252a731ad4071aa17204b0b3e20d09d568f8d025716ab6c4cbfc8b57fa",
		chain.SetCodeTxType:    "0xd1c0965b745ba794e327e770b41c291b90088f48880bc6675c35505169e2d2d7",
	}
	v := chain.NewVerifier(testGenesis())
	for _, inner := range oneOfEachType(t) {
		tx, err := chain.NewTx(inner)
		require.NoError(t, err)
		require.Equal(t, hashes[tx.Type()], tx.Hash().Hex(), "type %d", tx.Type())
		require.NoError(t, v.Verify(tx))
		require.Equal(t, gethcrypto.PubkeyToAddress(testKey(1).PublicKey), tx.Sender())
	}
}

// TestEqualsGeth compares every accessor with geth's for random transactions of all types.
func TestEqualsGeth(t *testing.T) {
	v, signer := chain.NewVerifier(testGenesis()), testSigner()
	rapid.Check(t, func(t *rapid.T) {
		inner := drawTx(t)
		tx, err := chain.NewTx(inner)
		if inner.GasTipCapCmp(types.NewTx(&types.LegacyTx{GasPrice: inner.GasFeeCap()})) > 0 {
			require.ErrorIs(t, err, chain.ErrTipAboveFeeCap)
			return
		}
		require.NoError(t, err)
		requireSame(t, tx, inner)
		require.NoError(t, v.Verify(tx))
		sender, err := types.Sender(signer, inner)
		require.NoError(t, err)
		require.Equal(t, sender, tx.Sender())

		again, err := chain.RestoreTx(tx.Raw(), sender)
		require.NoError(t, err)
		require.Equal(t, tx, again)
	})
}

// TestAlteredEqualsGeth alters valid transactions and compares the verdict with geth's.
func TestAlteredEqualsGeth(t *testing.T) {
	var raws [][]byte
	for _, tx := range oneOfEachType(t) {
		raw, err := tx.MarshalBinary()
		require.NoError(t, err)
		raws = append(raws, raw)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := bytes.Clone(rapid.SampledFrom(raws).Draw(t, "tx"))
		for range rapid.IntRange(1, 3).Draw(t, "alterations") {
			at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				raw[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				raw = append(raw[:at:at], raw[at+1:]...)
			case 2:
				raw = append(raw[:at:at], append([]byte{rapid.Byte().Draw(t, "byte")}, raw[at:]...)...)
			case 3:
				raw[at]++
			}
		}
		requireSameVerdict(t, raw)
	})
}

func TestRefusedTxs(t *testing.T) {
	key, signer, to := testKey(1), testSigner(), common.Address{19: 1}
	encode := func(data types.TxData, signer types.Signer) []byte {
		tx, err := types.SignNewTx(key, signer, data)
		require.NoError(t, err)
		raw, err := tx.MarshalBinary()
		require.NoError(t, err)
		return raw
	}
	good := encode(&types.DynamicFeeTx{ChainID: signer.ChainID(), Gas: 21000, To: &to}, signer)
	blob := encode(&types.BlobTx{ChainID: uint256.MustFromBig(signer.ChainID()), BlobHashes: []common.Hash{{1}}}, signer)
	over := new(big.Int).Lsh(big.NewInt(1), 256)
	cut := func(n int) []byte { return good[:len(good)-n] }

	for name, c := range map[string]struct {
		raw  []byte
		want error
		text string
	}{
		"empty":                    {nil, nil, "unexpected EOF"},
		"type byte alone":          {[]byte{2}, nil, "unexpected EOF"},
		"blob":                     {blob, chain.ErrBlobTx, ""},
		"unknown type":             {[]byte{5, 0xc0}, chain.ErrTxType, "0x05"},
		"type 0 in an envelope":    {append([]byte{0}, good[1:]...), chain.ErrTxType, "0x00"},
		"type 0x50":                {[]byte{0x50, 0xc0}, chain.ErrTxEncoding, "chainId"},
		"type 0x51":                {[]byte{0x51, 0xc0}, chain.ErrTxType, "0x51"},
		"a string, not a list":     {[]byte{0x83, 1, 2, 3}, nil, "expected List"},
		"typed string, not a list": {[]byte{2, 0x83, 1, 2, 3}, nil, "expected List"},
		"empty list":               {[]byte{0xc0}, nil, "nonce"},
		"truncated":                {cut(1), nil, "exceeds available"},
		"trailing byte":            {append(bytes.Clone(good), 0), nil, "1 bytes follow"},
		"too large":                {make([]byte, chain.MaxTxSize+1), chain.ErrTxTooLarge, ""},
		"tip above fee cap": {encode(&types.DynamicFeeTx{ChainID: signer.ChainID(), GasTipCap: big.NewInt(2), GasFeeCap: big.NewInt(1)}, signer),
			chain.ErrTipAboveFeeCap, ""},
		"value over 256 bits":     {encode(&types.LegacyTx{Value: over, To: &to}, signer), nil, "value: exceeds 256 bits"},
		"gas price over 256 bits": {encode(&types.LegacyTx{GasPrice: over, To: &to}, signer), nil, "gasPrice: exceeds 256 bits"},
		"fields left over":        {mustRLP(t, []any{1, 2, 3, to, 4, []byte{}, 37, 1, 1, 1}), nil, "left after the last"},
		"field missing":           {mustRLP(t, []any{1, 2, 3, to, 4, []byte{}, 37, 1}), nil, "s: "},
		"nonce over 64 bits":      {mustRLP(t, []any{over, 2, 3, to, 4, []byte{}, 37, 1, 1}), nil, "nonce"},
		"leading zero in value":   {mustRLP(t, []any{1, 2, 3, to, []byte{0, 1}, []byte{}, 37, 1, 1}), nil, "value"},
		"recipient of 19 bytes":   {mustRLP(t, []any{1, 2, 3, to[:19], 4, []byte{}, 37, 1, 1}), nil, "to: 19 bytes, want 20"},
		"recipient is a list":     {mustRLP(t, []any{1, 2, 3, []any{}, 4, []byte{}, 37, 1, 1}), nil, "to"},
		"type 4 without recipient": {append([]byte{4}, mustRLP(t, []any{7777, 1, 2, 3, 4, []byte{}, 5, []byte{}, []any{}, []any{}, 0, 1, 1})...),
			nil, "to: 0 bytes, want 20"},
		"access list key of 31 bytes": {append([]byte{1}, mustRLP(t, []any{7777, 1, 2, 3, to, 5, []byte{}, []any{[]any{to, []any{make([]byte, 31)}}}, 0, 1, 1})...),
			nil, "storageKeys: 31 bytes, want 32"},
		"authorization parity over 8 bits": {append([]byte{4}, mustRLP(t, []any{7777, 1, 2, 3, 4, to, 5, []byte{}, []any{}, []any{[]any{7777, to, 1, 256, 1, 1}}, 0, 1, 1})...),
			nil, "yParity"},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := chain.DecodeTx(c.raw)
			require.Nil(t, tx)
			require.Error(t, err)
			require.ErrorContains(t, err, c.text)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			requireSameVerdict(t, c.raw)
		})
	}
}

func TestRefusedSignatures(t *testing.T) {
	signer, to := testSigner(), common.Address{19: 1}
	n := gethcrypto.S256().Params().N
	legacy, err := types.SignNewTx(testKey(1), signer, &types.LegacyTx{To: &to})
	require.NoError(t, err)
	typed, err := types.SignNewTx(testKey(1), signer, &types.DynamicFeeTx{ChainID: signer.ChainID(), To: &to})
	require.NoError(t, err)
	_, lr, ls := legacy.RawSignatureValues()
	tv, tr, ts := typed.RawSignatureValues()
	mirrored := new(big.Int).Sub(n, ts)
	halfPlus1 := new(big.Int).Add(new(big.Int).Rsh(n, 1), big.NewInt(1))

	withLegacy := func(v, r, s *big.Int) types.TxData { return &types.LegacyTx{To: &to, V: v, R: r, S: s} }
	withTyped := func(id, v, r, s *big.Int) types.TxData {
		return &types.DynamicFeeTx{ChainID: id, To: &to, V: v, R: r, S: s}
	}
	id, one := signer.ChainID(), big.NewInt(1)
	for name, c := range map[string]struct {
		data types.TxData
		want error
	}{
		"unprotected 27":         {withLegacy(big.NewInt(27), lr, ls), chain.ErrUnprotectedTx},
		"unprotected 28":         {withLegacy(big.NewInt(28), lr, ls), chain.ErrUnprotectedTx},
		"unprotected 0":          {withLegacy(new(big.Int), lr, ls), chain.ErrUnprotectedTx},
		"v between the formats":  {withLegacy(big.NewInt(34), lr, ls), chain.ErrChainID},
		"legacy of chain 1":      {withLegacy(big.NewInt(37), lr, ls), chain.ErrChainID},
		"legacy v of 256 bits":   {withLegacy(new(big.Int).Sub(new(big.Int).Lsh(one, 256), one), lr, ls), chain.ErrChainID},
		"typed of chain 1":       {withTyped(one, tv, tr, ts), chain.ErrChainID},
		"typed of chain 0":       {withTyped(new(big.Int), tv, tr, ts), chain.ErrChainID},
		"typed of 2^64 + id":     {withTyped(new(big.Int).Add(new(big.Int).Lsh(one, 64), id), tv, tr, ts), chain.ErrChainID},
		"typed parity 2":         {withTyped(id, big.NewInt(2), tr, ts), chain.ErrTxSignature},
		"typed parity 27":        {withTyped(id, big.NewInt(27), tr, ts), chain.ErrTxSignature},
		"typed parity 2^64":      {withTyped(id, new(big.Int).Lsh(one, 64), tr, ts), chain.ErrTxSignature},
		"r zero":                 {withTyped(id, tv, new(big.Int), ts), chain.ErrTxSignature},
		"r is the group order":   {withTyped(id, tv, n, ts), chain.ErrTxSignature},
		"s zero":                 {withTyped(id, tv, tr, new(big.Int)), chain.ErrTxSignature},
		"s in the upper half":    {withTyped(id, new(big.Int).Sub(one, tv), tr, mirrored), chain.ErrTxSignature},
		"s just above the half":  {withTyped(id, tv, tr, halfPlus1), chain.ErrTxSignature},
		"r is no x of the curve": {withTyped(id, tv, big.NewInt(5), ts), chain.ErrTxSignature},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := types.NewTx(c.data).MarshalBinary()
			require.NoError(t, err)
			tx, err := chain.DecodeTx(raw)
			require.NoError(t, err)
			require.ErrorIs(t, chain.NewVerifier(testGenesis()).Verify(tx), c.want)
			require.False(t, tx.Verified())
			require.Panics(t, func() { tx.Sender() })
			requireSameVerdict(t, raw)
		})
	}

	t.Run("kind that the chain does not take", func(t *testing.T) {
		g := testGenesis()
		g.Transactions = nil
		tx, err := chain.NewTx(typed)
		require.NoError(t, err)
		require.ErrorIs(t, chain.NewVerifier(g).Verify(tx), chain.ErrTxKind)
	})
}

func TestTxMoney(t *testing.T) {
	to := common.Address{19: 1}
	build := func(value, cap, tip *big.Int, gas uint64) *chain.Tx {
		inner, err := types.SignNewTx(testKey(1), testSigner(), &types.DynamicFeeTx{
			ChainID: testSigner().ChainID(), To: &to, Value: value, GasFeeCap: cap, GasTipCap: tip, Gas: gas})
		require.NoError(t, err)
		tx, err := chain.NewTx(inner)
		require.NoError(t, err)
		return tx
	}
	max := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))

	cost, ok := build(big.NewInt(5), big.NewInt(7), big.NewInt(1), 3).Cost()
	require.True(t, ok)
	require.Equal(t, "26", cost.Dec())
	cost, ok = build(max, big.NewInt(7), big.NewInt(1), 0).Cost()
	require.True(t, ok)
	require.Equal(t, max, cost.ToBig())
	_, ok = build(max, big.NewInt(1), new(big.Int), 1).Cost()
	require.False(t, ok, "the sum overflows")
	_, ok = build(new(big.Int), max, new(big.Int), 2).Cost()
	require.False(t, ok, "the product overflows")

	tx := build(new(big.Int), big.NewInt(10), big.NewInt(3), 1)
	for base, want := range map[uint64]string{0: "0", 1: "3", 7: "3", 8: "2", 10: "0"} {
		tip, ok := tx.EffectiveTip(uint256.NewInt(base))
		require.True(t, ok)
		require.Equal(t, want, tip.Dec(), "base fee %d", base)
	}
	_, ok = tx.EffectiveTip(uint256.NewInt(11))
	require.False(t, ok)
}

func TestTxsRoot(t *testing.T) {
	require.Equal(t, types.EmptyTxsHash, chain.Txs{}.Root())
	rapid.Check(t, func(t *rapid.T) {
		var txs chain.Txs
		var geth types.Transactions
		for range rapid.IntRange(0, 140).Draw(t, "count") {
			inner := rapid.SampledFrom(oneOfEachType(t)).Draw(t, "tx")
			tx, err := chain.NewTx(inner)
			require.NoError(t, err)
			txs, geth = append(txs, tx), append(geth, inner)
		}
		require.Equal(t, types.DeriveSha(geth, trie.NewStackTrie(nil)), txs.Root())
		for i, h := range txs.Hashes() {
			require.Equal(t, geth[i].Hash(), h)
		}
	})
}

func mustRLP(tb testing.TB, v []any) []byte {
	for i := range v {
		if n, ok := v[i].(int); ok {
			v[i] = uint64(n)
		}
		if list, ok := v[i].([]any); ok {
			v[i] = rlp.RawValue(mustRLP(tb, list))
		}
	}
	b, err := rlp.EncodeToBytes(v)
	require.NoError(tb, err)
	return b
}
