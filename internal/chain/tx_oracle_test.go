package chain_test

import (
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// FuzzDecodeTx holds decoding and verification to geth's: the same bytes accepted, the same fields, hash and sender.
func FuzzDecodeTx(f *testing.F) {
	for _, tx := range oneOfEachType(f) {
		raw, err := tx.MarshalBinary()
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte{})
	f.Add([]byte{0xc0})
	f.Add([]byte{3, 0xc0})
	f.Fuzz(func(t *testing.T, raw []byte) { requireSameVerdict(t, raw) })
}

// tests is what testing.TB and rapid.T share.
type tests interface {
	require.TestingT
	Helper()
}

// requireSameVerdict decodes and verifies raw here and by geth.
func requireSameVerdict(t tests, raw []byte) {
	t.Helper()
	if len(raw) > 0 && raw[0] == chain.SM2TxType {
		requireSameSM2Verdict(t, raw)
		return
	}
	want, wantErr := gethDecode(raw)
	tx, err := chain.DecodeTx(raw)
	if wantErr != nil {
		require.Error(t, err, "geth refuses %x: %v", raw, wantErr)
		return
	}
	require.NoError(t, err, "geth accepts %x", raw)
	requireSame(t, tx, want)

	err = chain.NewVerifier(testGenesis()).Verify(tx)
	sender, wantErr := types.Sender(testSigner(), want)
	if !want.Protected() {
		wantErr = errors.New("unprotected")
	}
	if wantErr != nil {
		require.Error(t, err, "geth finds no sender of %x: %v", raw, wantErr)
		return
	}
	require.NoError(t, err, "geth finds the sender of %x", raw)
	require.Equal(t, sender, tx.Sender())
}

// gethDecode is geth's decoder with the platform's rules: no blobs, a size limit, amounts of 256 bits, a tip within the cap.
func gethDecode(raw []byte) (*types.Transaction, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return nil, err
	}
	switch {
	case len(raw) > chain.MaxTxSize:
		return nil, errors.New("too large")
	case tx.Type() == types.BlobTxType:
		return nil, errors.New("blob")
	case tx.Value().BitLen() > 256, tx.GasFeeCap().BitLen() > 256, tx.GasTipCap().BitLen() > 256:
		return nil, errors.New("amount over 256 bits")
	case tx.GasTipCap().Cmp(tx.GasFeeCap()) > 0:
		return nil, errors.New("tip above fee cap")
	}
	return tx, nil
}

// requireSame compares every accessor. The chain id of an unprotected or senseless v is the one thing that may differ.
func requireSame(t tests, tx *chain.Tx, want *types.Transaction) {
	t.Helper()
	raw, err := want.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, raw, tx.Raw())
	require.Equal(t, want.Hash(), tx.Hash())
	require.Equal(t, want.Type(), tx.Type())
	require.Equal(t, want.Nonce(), tx.Nonce())
	require.Equal(t, want.Gas(), tx.Gas())
	require.Equal(t, want.To(), tx.To())
	require.Equal(t, len(want.Data()), len(tx.Data()))
	require.Equal(t, string(want.Data()), string(tx.Data()))
	require.Equal(t, want.AccessList(), tx.AccessList())
	require.Equal(t, want.SetCodeAuthorizations(), tx.Authorizations())
	require.Zero(t, want.Value().Cmp(tx.Value().ToBig()))
	require.Zero(t, want.GasFeeCap().Cmp(tx.FeeCap().ToBig()))
	require.Zero(t, want.GasTipCap().Cmp(tx.TipCap().ToBig()))
	wantV, wantR, wantS := want.RawSignatureValues()
	v, r, s := tx.Signature()
	require.Zero(t, wantV.Cmp(v))
	require.Zero(t, wantR.Cmp(r))
	require.Zero(t, wantS.Cmp(s))
	if want.Type() != types.LegacyTxType || v.Cmp(big.NewInt(35)) >= 0 {
		require.Zero(t, want.ChainId().Cmp(tx.ChainID()), "chain id %s, want %s", tx.ChainID(), want.ChainId())
	}
}

func testSigner() types.Signer {
	return types.LatestSignerForChainID(new(big.Int).SetUint64(testGenesis().ChainID))
}

// oneOfEachType signs a transaction of every type that the platform carries.
func oneOfEachType(t require.TestingT) []*types.Transaction {
	to, id := common.HexToAddress("0x1111111111111111111111111111111111111111"), testSigner().ChainID()
	list := types.AccessList{{Address: to, StorageKeys: []common.Hash{{1}, {2}}}, {Address: common.Address{2}, StorageKeys: []common.Hash{}}}
	auth, err := types.SignSetCode(testKey(2), types.SetCodeAuthorization{ChainID: *uint256.MustFromBig(id), Address: to, Nonce: 9})
	require.NoError(t, err)
	var out []*types.Transaction
	for _, data := range []types.TxData{
		&types.LegacyTx{Nonce: 1, GasPrice: big.NewInt(1e9), Gas: 53_000, Value: big.NewInt(7), Data: []byte{0x60, 0x00}},
		&types.AccessListTx{ChainID: id, Nonce: 2, GasPrice: big.NewInt(2e9), Gas: 40_000, To: &to, Value: big.NewInt(8), AccessList: list},
		&types.DynamicFeeTx{ChainID: id, Nonce: 3, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(3e9), Gas: 60_000, To: &to, Value: new(big.Int),
			Data: append(common.FromHex("a9059cbb"), make([]byte, 64)...)},
		&types.SetCodeTx{ChainID: uint256.MustFromBig(id), Nonce: 4, GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(4e9), Gas: 80_000, To: to,
			Value: uint256.NewInt(0), AccessList: list, AuthList: []types.SetCodeAuthorization{auth}},
	} {
		tx, err := types.SignNewTx(testKey(1), testSigner(), data)
		require.NoError(t, err)
		out = append(out, tx)
	}
	return out
}

// drawTx signs a random transaction of a random type for the test chain. Its tip may exceed its fee cap.
func drawTx(t *rapid.T) *types.Transaction {
	number := func(name string) *big.Int {
		b := rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, name)
		return new(big.Int).SetBytes(b)
	}
	small := func(name string) *uint256.Int { return uint256.MustFromBig(number(name)) }
	var to *common.Address
	if rapid.Bool().Draw(t, "call") {
		a := common.BytesToAddress(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "to"))
		to = &a
	}
	list := types.AccessList{}
	for i := range rapid.IntRange(0, 3).Draw(t, "tuples") {
		tuple := types.AccessTuple{Address: common.Address{byte(i)}, StorageKeys: []common.Hash{}}
		for j := range rapid.IntRange(0, 3).Draw(t, "keys") {
			tuple.StorageKeys = append(tuple.StorageKeys, common.Hash{byte(i), byte(j)})
		}
		list = append(list, tuple)
	}
	var data []byte
	if n := rapid.SampledFrom([]int{0, 1, 4, 20, 55, 56, 68, 255, 256, 300, 70_000}).Draw(t, "size"); n > 0 {
		data = make([]byte, n)
		data[0] = rapid.Byte().Draw(t, "first")
	}
	id, nonce, gas := testSigner().ChainID(), rapid.Uint64().Draw(t, "nonce"), rapid.Uint64().Draw(t, "gas")
	var inner types.TxData
	switch kind := rapid.SampledFrom([]int{0, 1, 2, 4}).Draw(t, "type"); kind {
	case 0:
		inner = &types.LegacyTx{Nonce: nonce, GasPrice: number("price"), Gas: gas, To: to, Value: number("value"), Data: data}
	case 1:
		inner = &types.AccessListTx{ChainID: id, Nonce: nonce, GasPrice: number("price"), Gas: gas, To: to, Value: number("value"), Data: data, AccessList: list}
	case 2:
		inner = &types.DynamicFeeTx{ChainID: id, Nonce: nonce, GasTipCap: number("tip"), GasFeeCap: number("cap"), Gas: gas, To: to,
			Value: number("value"), Data: data, AccessList: list}
	case 4:
		auths := []types.SetCodeAuthorization{}
		for range rapid.IntRange(0, 3).Draw(t, "authorizations") {
			auths = append(auths, types.SetCodeAuthorization{ChainID: *small("auth chain"), Nonce: rapid.Uint64().Draw(t, "auth nonce"),
				V: rapid.Uint8().Draw(t, "auth v"), R: *small("auth r"), S: *small("auth s")})
		}
		inner = &types.SetCodeTx{ChainID: uint256.MustFromBig(id), Nonce: nonce, GasTipCap: small("tip"), GasFeeCap: small("cap"), Gas: gas,
			Value: small("value"), Data: data, AccessList: list, AuthList: auths}
	default:
		panic(fmt.Sprint("type ", kind))
	}
	tx, err := types.SignNewTx(testKey(rapid.ByteRange(1, 4).Draw(t, "key")), testSigner(), inner)
	require.NoError(t, err)
	return tx
}
