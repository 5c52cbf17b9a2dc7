package chain_test

import (
	"crypto/ecdsa"
	"math/big"
	"math/rand"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// BenchmarkDecodeVerify is the platform's yardstick: what one ERC-20 transfer costs before anything is done with it (decode, hash, recover
// the sender). Costs per transaction are given as multiples of it, because it moves with the machine.
func BenchmarkDecodeVerify(b *testing.B) {
	raws := transfers(b, 256)
	v := chain.NewVerifier(testGenesis())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tx, err := chain.DecodeTx(raws[i%len(raws)])
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(tx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode is the part of the yardstick that is ours: everything but the recovery.
func BenchmarkDecode(b *testing.B) {
	raws := transfers(b, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := chain.DecodeTx(raws[i%len(raws)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecover is the floor: the elliptic-curve operation alone.
func BenchmarkRecover(b *testing.B) {
	key := testKey(1)
	digest := gethcrypto.Keccak256([]byte("m"))
	sig, err := gethcrypto.Sign(digest, key)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := gethcrypto.Ecrecover(digest, sig); err != nil {
			b.Fatal(err)
		}
	}
}

// transfers signs n ERC-20 transfers (type 2, 68 bytes of call data).
func transfers(tb testing.TB, n int) [][]byte {
	r := rand.New(rand.NewSource(1))
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(testGenesis().ChainID))
	token := common.HexToAddress("0x00000000000000000000000000000000000000aa")
	out := make([][]byte, n)
	for i := range out {
		data := append(common.FromHex("a9059cbb"), make([]byte, 64)...)
		r.Read(data[16:36])
		data[67] = byte(i + 1)
		tx, err := types.SignNewTx(testKey(byte(i+1)), signer, &types.DynamicFeeTx{
			ChainID: signer.ChainID(), Nonce: uint64(i), GasTipCap: new(big.Int), GasFeeCap: big.NewInt(1e9), Gas: 60_000,
			To: &token, Value: new(big.Int), Data: data,
		})
		require.NoError(tb, err)
		out[i], err = tx.MarshalBinary()
		require.NoError(tb, err)
	}
	return out
}

// testKey is a fixed account key.
func testKey(i byte) *ecdsa.PrivateKey {
	key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte("jialing test key"), []byte{i}))
	if err != nil {
		panic(err)
	}
	return key
}

// BenchmarkDecodeVerifySM2 is the yardstick of kind SM2, with senders that are seen the first time, and with one that sends all the time.
func BenchmarkDecodeVerifySM2(b *testing.B) {
	b.Run("strangers", func(b *testing.B) {
		benchmarkSM2(b, 256, func() *chain.Verifier { return chain.NewVerifier(bothKinds()) })
	})
	v := chain.NewVerifier(bothKinds())
	b.Run("busy", func(b *testing.B) { benchmarkSM2(b, 1, func() *chain.Verifier { return v }) })
}

// benchmarkSM2 verifies a transaction of each sender with the verifier of a round, again and again.
func benchmarkSM2(b *testing.B, senders int, round func() *chain.Verifier) {
	raws := make([][]byte, senders)
	for i := range raws {
		raws[i] = plainTransfer().sign(b, testSM2Key(b, byte(i)), testSM2ID).raw(b)
	}
	var v *chain.Verifier
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(raws) == 0 {
			v = round()
		}
		tx, err := chain.DecodeTx(raws[i%len(raws)])
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(tx); err != nil {
			b.Fatal(err)
		}
	}
}
