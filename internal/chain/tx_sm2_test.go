package chain_test

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"testing"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// plainSM2 is the oracle: type 0x50 as a struct that geth's reflecting RLP encodes and decodes. Nothing of it is shared with the package.
type plainSM2 struct {
	ChainID    *big.Int
	Nonce      uint64
	Tip, Cap   *big.Int
	Gas        uint64
	To         *common.Address `rlp:"nil"`
	Value      *big.Int
	Data       []byte
	AccessList types.AccessList
	PublicKey  [64]byte
	R, S       *big.Int
}

func (p *plainSM2) raw(t require.TestingT) []byte {
	b, err := rlp.EncodeToBytes(p)
	require.NoError(t, err)
	return append([]byte{0x50}, b...)
}

// message is what is signed.
func (p *plainSM2) message(t require.TestingT) []byte {
	b, err := rlp.EncodeToBytes([]any{p.ChainID, p.Nonce, p.Tip, p.Cap, p.Gas, p.recipient(), p.Value, p.Data, p.AccessList})
	require.NoError(t, err)
	return append([]byte{0x50}, b...)
}

func (p *plainSM2) recipient() []byte {
	if p.To == nil {
		return nil
	}
	return p.To[:]
}

func (p *plainSM2) sign(t require.TestingT, key *gmsm.PrivateKey, id string) *plainSM2 {
	out := *p
	key.X.FillBytes(out.PublicKey[:32])
	key.Y.FillBytes(out.PublicKey[32:])
	der, err := key.SignWithSM2(rand.Reader, []byte(id), out.message(t))
	require.NoError(t, err)
	var sig struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(der, &sig)
	require.NoError(t, err)
	out.R, out.S = sig.R, sig.S
	return &out
}

const testSM2ID = "1234567812345678"

// sender is the oracle's verdict on a decoded transaction.
func (p *plainSM2) sender(t require.TestingT) (common.Address, error) {
	x, y := new(big.Int).SetBytes(p.PublicKey[:32]), new(big.Int).SetBytes(p.PublicKey[32:])
	params := gmsm.P256().Params()
	// y² = x³ − 3x + b
	right := new(big.Int).Mul(x, new(big.Int).Sub(new(big.Int).Mul(x, x), big.NewInt(3)))
	right.Sub(right.Add(right, params.B), new(big.Int).Mul(y, y))
	if x.Cmp(params.P) >= 0 || y.Cmp(params.P) >= 0 || right.Mod(right, params.P).Sign() != 0 {
		return common.Address{}, errors.New("no point of the curve")
	}
	if p.ChainID.Cmp(testSigner().ChainID()) != 0 {
		return common.Address{}, errors.New("another chain")
	}
	for _, v := range []*big.Int{p.R, p.S} {
		if v.Sign() <= 0 || v.Cmp(params.N) >= 0 {
			return common.Address{}, errors.New("r or s out of range")
		}
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{p.R, p.S})
	require.NoError(t, err)
	key, err := gmsm.ParseUncompressedPublicKey(append([]byte{4}, p.PublicKey[:]...))
	require.NoError(t, err)
	if !gmsm.VerifyASN1WithSM2(key, []byte(testSM2ID), p.message(t), der) {
		return common.Address{}, errors.New("not its signature")
	}
	return sm2Address(p.PublicKey[:]), nil
}

func sm2Address(publicKey []byte) common.Address {
	h := sm3.New()
	h.Write(publicKey)
	return common.BytesToAddress(h.Sum(nil)[12:])
}

// testSM2Key is a fixed account key.
func testSM2Key(t require.TestingT, i byte) *gmsm.PrivateKey {
	key, err := gmsm.NewPrivateKey(gethcrypto.Keccak256([]byte("jialing sm2 test key"), []byte{i}))
	require.NoError(t, err)
	return key
}

// plainTransfer is a complete ERC-20 transfer that is not signed.
func plainTransfer() *plainSM2 {
	to := common.HexToAddress("0x00000000000000000000000000000000000000aa")
	return &plainSM2{ChainID: testSigner().ChainID(), Nonce: 3, Tip: big.NewInt(1), Cap: big.NewInt(3e9), Gas: 60_000, To: &to, Value: new(big.Int),
		Data: append(common.FromHex("a9059cbb"), make([]byte, 64)...)}
}

// bothKinds is the test chain that takes transactions of both kinds.
func bothKinds() *chain.Genesis {
	g := testGenesis()
	g.Transactions = []chain.TxKind{chain.SM2, chain.Secp256k1}
	return g
}

// requireSameSM2Verdict decodes and verifies raw, which begins with 0x50, here and by the oracle.
func requireSameSM2Verdict(t tests, raw []byte) {
	t.Helper()
	var want plainSM2
	wantErr := rlp.DecodeBytes(raw[1:], &want)
	if wantErr == nil {
		for _, v := range []*big.Int{want.ChainID, want.Tip, want.Cap, want.Value, want.R, want.S} {
			if v.BitLen() > 256 {
				wantErr = errors.New("over 256 bits")
			}
		}
		if want.Tip.Cmp(want.Cap) > 0 || len(raw) > chain.MaxTxSize {
			wantErr = errors.New("tip above fee cap, or too large")
		}
	}
	tx, err := chain.DecodeTx(raw)
	if wantErr != nil {
		require.Error(t, err, "the oracle refuses %x: %v", raw, wantErr)
		return
	}
	require.NoError(t, err, "the oracle accepts %x", raw)
	requireSameSM2(t, tx, &want)
	require.Equal(t, raw, want.raw(t), "one encoding only")
	sender, wantErr := want.sender(t)
	err = chain.NewVerifier(bothKinds()).Verify(tx)
	if wantErr != nil {
		require.Error(t, err, "the oracle finds no sender of %x: %v", raw, wantErr)
		return
	}
	require.NoError(t, err, "the oracle finds the sender of %x", raw)
	require.Equal(t, sender, tx.Sender())
}

func requireSameSM2(t tests, tx *chain.Tx, want *plainSM2) {
	t.Helper()
	require.Equal(t, uint8(0x50), tx.Type())
	require.Equal(t, chain.SM2, tx.Kind())
	require.Equal(t, gethcrypto.Keccak256Hash(tx.Raw()), tx.Hash())
	require.Zero(t, want.ChainID.Cmp(tx.ChainID()))
	require.Equal(t, want.Nonce, tx.Nonce())
	require.Equal(t, want.Gas, tx.Gas())
	require.Equal(t, want.To, tx.To())
	require.Equal(t, string(want.Data), string(tx.Data()))
	require.Equal(t, len(want.AccessList), len(tx.AccessList()))
	for i, tuple := range tx.AccessList() {
		require.Equal(t, want.AccessList[i].Address, tuple.Address)
		require.Equal(t, append([]common.Hash{}, want.AccessList[i].StorageKeys...), tuple.StorageKeys)
	}
	require.Nil(t, tx.Authorizations())
	require.Zero(t, want.Value.Cmp(tx.Value().ToBig()))
	require.Zero(t, want.Cap.Cmp(tx.FeeCap().ToBig()))
	require.Zero(t, want.Tip.Cmp(tx.TipCap().ToBig()))
	require.Equal(t, want.PublicKey[:], tx.PublicKey())
	v, r, s := tx.Signature()
	require.Zero(t, v.Sign())
	require.Zero(t, want.R.Cmp(r))
	require.Zero(t, want.S.Cmp(s))
}

// FuzzDecodeSM2Tx holds decoding and verification of type 0x50 to the oracle.
func FuzzDecodeSM2Tx(f *testing.F) {
	signed := plainTransfer().sign(f, testSM2Key(f, 1), testSM2ID)
	f.Add(signed.raw(f)[1:])
	signed.To, signed.AccessList = nil, types.AccessList{{Address: common.Address{1}, StorageKeys: []common.Hash{{2}}}}
	f.Add(signed.sign(f, testSM2Key(f, 1), testSM2ID).raw(f)[1:])
	f.Add([]byte{0xc0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) { requireSameSM2Verdict(t, append([]byte{0x50}, raw...)) })
}

// drawSM2 is a random transaction of type 0x50 with the fields of drawTx.
func drawSM2(t *rapid.T) *plainSM2 {
	inner := drawTx(t)
	return &plainSM2{ChainID: testSigner().ChainID(), Nonce: inner.Nonce(), Tip: inner.GasTipCap(), Cap: inner.GasFeeCap(), Gas: inner.Gas(), To: inner.To(),
		Value: inner.Value(), Data: inner.Data(), AccessList: inner.AccessList()}
}

// TestGoldenSM2Tx pins one transaction: signatures are random, so it was made once, by gmsm over the oracle's encoding.
func TestGoldenSM2Tx(t *testing.T) {
	raw := common.FromHex("50f8ee821e61030184b2d05e0082ea609400000000000000000000000000000000000000aa80b844a9059cbb00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000c0b840bed8db6a94d088f57debd01fcbe79b8da3a5bab4c0a92ab597ba539c2ee4a2a505f77fd839e6730360be6340b0e5a3ab611ac5f2581f57156d3ea4c476f9849fa0c288f46f71cf69d2b2518570f7b1830b71c2d5e9c5da34fc29e1de99fa4e7606a03db5f75d94e4e74d1b6d3a4f48d4be70daf6c270aa55fd016dac1cd9cdf5b1d4")
	tx, err := chain.DecodeTx(raw)
	require.NoError(t, err)
	require.NoError(t, chain.NewVerifier(bothKinds()).Verify(tx))
	key := testSM2Key(t, 1)
	require.Equal(t, append(key.X.FillBytes(make([]byte, 32)), key.Y.FillBytes(make([]byte, 32))...), tx.PublicKey())
	require.Equal(t, common.HexToAddress("0xAaa080C6245B4d01cdBD26f78b1C5dD3bCCf9F6C"), tx.Sender())
	require.Equal(t, "0xaa9a0e4e9bccdcd9f3c241a89e723001830be201e927b3b9278a5d6c439644a0", tx.Hash().Hex())
	require.Equal(t, uint64(3), tx.Nonce())
	requireSameSM2Verdict(t, raw)
}

func TestSM2EqualsOracle(t *testing.T) {
	v := chain.NewVerifier(bothKinds())
	rapid.Check(t, func(t *rapid.T) {
		want := drawSM2(t).sign(t, testSM2Key(t, rapid.Byte().Draw(t, "key")), testSM2ID)
		raw := want.raw(t)
		tx, err := chain.DecodeTx(raw)
		if want.Tip.Cmp(want.Cap) > 0 {
			require.ErrorIs(t, err, chain.ErrTipAboveFeeCap)
			return
		}
		require.NoError(t, err)
		requireSameSM2(t, tx, want)
		require.NoError(t, v.Verify(tx))
		require.Equal(t, sm2Address(want.PublicKey[:]), tx.Sender())

		again, err := chain.RestoreTx(raw, tx.Sender())
		require.NoError(t, err)
		require.Equal(t, tx, again)
	})
}

// TestBusySM2Sender: a sender's transactions are judged alike before and after its key is prepared, which is after 32 of them.
func TestBusySM2Sender(t *testing.T) {
	v, key := chain.NewVerifier(bothKinds()), testSM2Key(t, 1)
	for nonce := range uint64(80) {
		want := plainTransfer()
		want.Nonce = nonce
		raw := want.sign(t, key, testSM2ID).raw(t)
		tx, err := chain.DecodeTx(raw)
		require.NoError(t, err)
		require.NoError(t, v.Verify(tx))
		require.Equal(t, sm2Address(tx.PublicKey()), tx.Sender())
		raw[len(raw)-1] ^= 1 // of s
		if tx, err = chain.DecodeTx(raw); err == nil {
			require.Error(t, v.Verify(tx), "nonce %d", nonce)
		}
	}
}

// TestAlteredSM2EqualsOracle alters valid transactions; every altered one must be refused, as by the oracle.
func TestAlteredSM2EqualsOracle(t *testing.T) {
	contract := plainTransfer()
	contract.To, contract.AccessList = nil, types.AccessList{{Address: common.Address{1}, StorageKeys: []common.Hash{{2}}}}
	raws := [][]byte{plainTransfer().sign(t, testSM2Key(t, 1), testSM2ID).raw(t), contract.sign(t, testSM2Key(t, 2), testSM2ID).raw(t)}
	rapid.Check(t, func(t *rapid.T) {
		good := rapid.SampledFrom(raws).Draw(t, "tx")
		raw := bytes.Clone(good)
		for range rapid.IntRange(1, 3).Draw(t, "alterations") {
			at := rapid.IntRange(1, len(raw)-1).Draw(t, "at")
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
		requireSameSM2Verdict(t, raw)
		if bytes.Equal(raw, good) {
			return
		}
		if tx, err := chain.DecodeTx(raw); err == nil {
			require.ErrorIs(t, chain.NewVerifier(bothKinds()).Verify(tx), errOf(tx))
		}
	})
}

// errOf is the refusal that an altered transaction must meet.
func errOf(tx *chain.Tx) error {
	if tx.ChainID().Cmp(testSigner().ChainID()) != 0 {
		return chain.ErrChainID
	}
	return chain.ErrTxSignature
}

// sm2Fields are the twelve fields of the signed transfer, to be altered one at a time.
func sm2Fields(t require.TestingT) []any {
	p := plainTransfer().sign(t, testSM2Key(t, 1), testSM2ID)
	return []any{p.ChainID, p.Nonce, p.Tip, p.Cap, p.Gas, p.recipient(), p.Value, p.Data, []any{}, p.PublicKey[:], p.R, p.S}
}

func rawSM2(t *testing.T, fields []any) []byte { return append([]byte{0x50}, mustRLP(t, fields)...) }

func TestRefusedSM2Txs(t *testing.T) {
	over, list := new(big.Int).Lsh(big.NewInt(1), 256), []any{}
	over64 := new(big.Int).Lsh(big.NewInt(1), 64)
	zero := []byte{0, 1}
	type tuple = []any
	for _, c := range []struct {
		field int
		value any
		text  string
	}{
		{0, over, "chainId: exceeds 256 bits"}, {0, zero, "chainId"}, {0, list, "chainId"},
		{1, over64, "nonce"}, {1, zero, "nonce"}, {1, list, "nonce"},
		{2, over, "maxPriorityFeePerGas: exceeds 256 bits"}, {2, zero, "maxPriorityFeePerGas"}, {2, list, "maxPriorityFeePerGas"},
		{2, big.NewInt(4e9), "max priority fee per gas higher than max fee per gas"},
		{3, over, "maxFeePerGas: exceeds 256 bits"}, {3, zero, "maxFeePerGas"}, {3, list, "maxFeePerGas"},
		{4, over64, "gas"}, {4, zero, "gas"}, {4, list, "gas"},
		{5, make([]byte, 19), "to: 19 bytes, want 20"}, {5, make([]byte, 21), "to: 21 bytes, want 20"}, {5, list, "to"},
		{6, over, "value: exceeds 256 bits"}, {6, zero, "value"}, {6, list, "value"},
		{7, list, "data"}, {7, make([]byte, chain.MaxTxSize), "exceeds 131072 bytes"},
		{8, []byte{1, 2}, "accessList"},
		{8, tuple{tuple{make([]byte, 19), tuple{}}}, "accessList.address: 19 bytes, want 20"},
		{8, tuple{tuple{make([]byte, 20), tuple{make([]byte, 31)}}}, "storageKeys: 31 bytes, want 32"},
		{8, tuple{tuple{make([]byte, 20), tuple{}, 1}}, "left after the last field"},
		{9, make([]byte, 63), "publicKey: 63 bytes, want 64"}, {9, make([]byte, 65), "publicKey: 65 bytes, want 64"},
		{9, []byte{}, "publicKey: 0 bytes, want 64"}, {9, list, "publicKey"},
		{10, over, "r: exceeds 256 bits"}, {10, zero, "r:"}, {10, list, "r:"},
		{11, over, "s: exceeds 256 bits"}, {11, zero, "s:"}, {11, list, "s:"},
	} {
		t.Run(c.text, func(t *testing.T) {
			fields := sm2Fields(t)
			fields[c.field] = c.value
			raw := rawSM2(t, fields)
			_, err := chain.DecodeTx(raw)
			require.ErrorContains(t, err, c.text)
			requireSameSM2Verdict(t, raw)
		})
	}
	for n := range 12 {
		raw := rawSM2(t, sm2Fields(t)[:n])
		_, err := chain.DecodeTx(raw)
		require.ErrorContains(t, err, []string{"chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "data", "accessList", "publicKey", "r", "s"}[n]+":")
		requireSameSM2Verdict(t, raw)
	}
	raw := rawSM2(t, append(sm2Fields(t), 1))
	_, err := chain.DecodeTx(raw)
	require.ErrorContains(t, err, "1 bytes are left after the last field")
	requireSameSM2Verdict(t, raw)
	for _, altered := range [][]byte{append(rawSM2(t, sm2Fields(t)), 0), rawSM2(t, sm2Fields(t))[:100], {0x50}, {0x50, 0xc0}, {0x50, 0x83, 1, 2, 3}} {
		_, err := chain.DecodeTx(altered)
		require.ErrorIs(t, err, chain.ErrTxEncoding)
		requireSameSM2Verdict(t, altered)
	}
}

func TestRefusedSM2Signatures(t *testing.T) {
	key, other := testSM2Key(t, 1), testSM2Key(t, 2)
	n, p := gmsm.P256().Params().N, gmsm.P256().Params().P
	good := plainTransfer().sign(t, key, testSM2ID)
	with := func(alter func(*plainSM2)) *plainSM2 {
		out := *good
		alter(&out)
		return &out
	}
	// mirrored is the signature that leads to −R, the counterpart of secp256k1's n−s: it takes the private key, and verifies.
	mirrored := func() *big.Int {
		inverse := new(big.Int).ModInverse(new(big.Int).Add(key.D, big.NewInt(1)), n)
		s := new(big.Int).Mul(new(big.Int).Mul(good.R, key.D), inverse)
		return s.Mod(s.Neg(s.Add(s.Lsh(s, 1), good.S)), n)
	}()
	for name, c := range map[string]struct {
		tx   *plainSM2
		want error
		text string
	}{
		"of another chain":     {with(func(p *plainSM2) { p.ChainID = big.NewInt(1) }), chain.ErrChainID, "have 1 want 7777"},
		"of chain 0":           {with(func(p *plainSM2) { p.ChainID = new(big.Int) }), chain.ErrChainID, "have 0"},
		"r is zero":            {with(func(p *plainSM2) { p.R = new(big.Int) }), chain.ErrTxSignature, "r is out of range"},
		"r is the order":       {with(func(p *plainSM2) { p.R = n }), chain.ErrTxSignature, "r is out of range"},
		"r plus the order":     {with(func(p *plainSM2) { p.R = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)) }), chain.ErrTxSignature, "r is out"},
		"s is zero":            {with(func(p *plainSM2) { p.S = new(big.Int) }), chain.ErrTxSignature, "s is out of range"},
		"s is the order":       {with(func(p *plainSM2) { p.S = n }), chain.ErrTxSignature, "s is out of range"},
		"s from the order":     {with(func(p *plainSM2) { p.S = new(big.Int).Sub(n, p.S) }), chain.ErrTxSignature, "not this public key's"},
		"r + s is the order":   {with(func(p *plainSM2) { p.S = new(big.Int).Sub(n, p.R) }), chain.ErrTxSignature, "not this public key's"},
		"r and s swapped":      {with(func(p *plainSM2) { p.R, p.S = p.S, p.R }), chain.ErrTxSignature, "not this public key's"},
		"another key":          {with(func(p *plainSM2) { p.PublicKey = plainTransfer().sign(t, other, testSM2ID).PublicKey }), chain.ErrTxSignature, "not this"},
		"no point":             {with(func(p *plainSM2) { p.PublicKey[63] ^= 1 }), chain.ErrTxSignature, "not on the curve"},
		"zero key":             {with(func(p *plainSM2) { p.PublicKey = [64]byte{} }), chain.ErrTxSignature, "not on the curve"},
		"x is not reduced":     {with(func(tx *plainSM2) { p.FillBytes(tx.PublicKey[:32]) }), chain.ErrTxSignature, "not on the curve"},
		"mirrored point":       {with(func(tx *plainSM2) { new(big.Int).Sub(p, key.Y).FillBytes(tx.PublicKey[32:]) }), chain.ErrTxSignature, "not this public key's"},
		"altered nonce":        {with(func(p *plainSM2) { p.Nonce++ }), chain.ErrTxSignature, "not this public key's"},
		"altered recipient":    {with(func(p *plainSM2) { p.To = nil }), chain.ErrTxSignature, "not this public key's"},
		"altered data":         {with(func(p *plainSM2) { p.Data = nil }), chain.ErrTxSignature, "not this public key's"},
		"altered list":         {with(func(p *plainSM2) { p.AccessList = types.AccessList{{}} }), chain.ErrTxSignature, "not this public key's"},
		"another identifier":   {plainTransfer().sign(t, key, "ALICE123@YAHOO.COM"), chain.ErrTxSignature, "not this public key's"},
		"the owner may mirror": {with(func(p *plainSM2) { p.S = mirrored }), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw := c.tx.raw(t)
			requireSameSM2Verdict(t, raw)
			tx, err := chain.DecodeTx(raw)
			require.NoError(t, err)
			err = chain.NewVerifier(bothKinds()).Verify(tx)
			if c.want == nil {
				require.NoError(t, err)
				require.NotEqual(t, good.S, c.tx.S)
				return
			}
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.Panics(t, func() { tx.Sender() })
		})
	}
}

// TestKinds sends both kinds to chains that take one, the other or both.
func TestKinds(t *testing.T) {
	sm2Raw := plainTransfer().sign(t, testSM2Key(t, 1), testSM2ID).raw(t)
	secpRaw, err := oneOfEachType(t)[2].MarshalBinary()
	require.NoError(t, err)
	for _, kinds := range [][]chain.TxKind{{chain.Secp256k1}, {chain.SM2}, {chain.Secp256k1, chain.SM2}, {chain.SM2, chain.Secp256k1}, nil} {
		g := testGenesis()
		g.Transactions = kinds
		v := chain.NewVerifier(g)
		for kind, raw := range map[chain.TxKind][]byte{chain.SM2: sm2Raw, chain.Secp256k1: secpRaw} {
			tx, err := chain.DecodeTx(raw)
			require.NoError(t, err)
			require.Equal(t, kind, tx.Kind())
			takes := false
			for _, k := range kinds {
				takes = takes || k == kind
			}
			err = v.Verify(tx)
			if takes {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, chain.ErrTxKind)
			require.ErrorContains(t, err, fmt.Sprintf("signed with %s, the genesis lists %q: send it from an account of a kind that is listed", kind, kinds))
		}
	}
}

// TestKnownSenderIsVerifiedAgain: that a verifier knows a key makes no signature right, and a false signature makes no key known wrongly.
func TestKnownSenderIsVerifiedAgain(t *testing.T) {
	v := chain.NewVerifier(bothKinds())
	decode := func(p *plainSM2) *chain.Tx {
		tx, err := chain.DecodeTx(p.raw(t))
		require.NoError(t, err)
		return tx
	}
	for _, key := range []*gmsm.PrivateKey{testSM2Key(t, 1), testSM2Key(t, 2)} {
		for range 3 {
			good := plainTransfer().sign(t, key, testSM2ID)
			bad := *good
			bad.S = new(big.Int).Xor(good.S, big.NewInt(1))
			require.ErrorIs(t, v.Verify(decode(&bad)), chain.ErrTxSignature)
			tx := decode(good)
			require.NoError(t, v.Verify(tx))
			require.Equal(t, sm2Address(good.PublicKey[:]), tx.Sender())
		}
	}
}

// TestMixedRoots computes the roots of blocks with all types on a way of its own: geth's trie over leaves that are put together here.
func TestMixedRoots(t *testing.T) {
	header := &chain.Header{Number: big.NewInt(1), BaseFee: new(big.Int)}
	v := chain.NewVerifier(bothKinds())
	rapid.Check(t, func(t *rapid.T) {
		var txs chain.Txs
		var receipts types.Receipts
		txTrie, receiptTrie := trie.NewStackTrie(nil), trie.NewStackTrie(nil)
		var leaves [][2][]byte
		position := chain.ReceiptPosition{}
		for i := range rapid.IntRange(0, 140).Draw(t, "count") {
			var raw []byte
			if rapid.Bool().Draw(t, "sm2") {
				raw = plainTransfer().sign(t, testSM2Key(t, byte(i)), testSM2ID).raw(t)
			} else {
				var err error
				raw, err = rapid.SampledFrom(oneOfEachType(t)).Draw(t, "tx").MarshalBinary()
				require.NoError(t, err)
			}
			tx, err := chain.DecodeTx(raw)
			require.NoError(t, err)
			require.NoError(t, v.Verify(tx))
			r := &chain.Receipt{Status: uint64(i % 2), GasUsed: 21_000, Logs: []*types.Log{{Address: common.Address{byte(i)}, Topics: []common.Hash{{1}}, Data: []byte{2}}}}
			chain.DeriveReceipt(r, tx, header, common.Hash{}, position)
			position.Index, position.GasBefore, position.LogsBefore = position.Index+1, position.GasBefore+21_000, position.LogsBefore+1
			txs, receipts = append(txs, tx), append(receipts, r)

			bloom := types.CreateBloom(&types.Receipt{Logs: r.Logs})
			plain, err := rlp.EncodeToBytes([]any{uint64(i % 2), position.GasBefore, bloom, []any{[]any{common.Address{byte(i)}, []common.Hash{{1}}, []byte{2}}}})
			require.NoError(t, err)
			if raw[0] < 0x80 {
				plain = append([]byte{raw[0]}, plain...)
			}
			leaves = append(leaves, [2][]byte{raw, plain})
		}
		// A stack trie takes its keys in the order of their encodings: 1 to 127, 0, 128 and above.
		order := make([]int, 0, len(leaves))
		for i := 1; i < min(128, len(leaves)); i++ {
			order = append(order, i)
		}
		if len(leaves) > 0 {
			order = append(order, 0)
		}
		for i := 128; i < len(leaves); i++ {
			order = append(order, i)
		}
		for _, i := range order {
			require.NoError(t, txTrie.Update(rlp.AppendUint64(nil, uint64(i)), leaves[i][0]))
			require.NoError(t, receiptTrie.Update(rlp.AppendUint64(nil, uint64(i)), leaves[i][1]))
		}
		require.Equal(t, txTrie.Hash(), txs.Root())
		require.Equal(t, receiptTrie.Hash(), chain.ReceiptsRoot(receipts))
	})
}
