package execute_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/execute"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// contractAt is the precompile of an address under the rules of our chains.
func contractAt(t testing.TB, addr common.Address) vm.PrecompiledContract {
	t.Helper()
	p, ok := vm.ActivePrecompiledContracts(params.Rules{IsOsaka: true})[addr]
	require.True(t, ok, "no precompile at %s", addr)
	return p
}

// precompiled is what the contract answers; it must not fail.
func precompiled(t testing.TB, addr common.Address, input []byte) []byte {
	t.Helper()
	out, err := contractAt(t, addr).Run(input)
	require.NoError(t, err)
	return out
}

// sm2Example is the signature of GB/T 32918.5-2017, A.2, as the contract takes it.
func sm2Example(t testing.TB) []byte {
	return unhex(t, "F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640"+ // e
		"F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"+ // r
		"B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"+ // s
		"09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"+ // x
		"CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13") // y
}

// The key and nonce of RFC 8998, A.1.
const rfc8998Key, rfc8998Nonce = "0123456789ABCDEFFEDCBA9876543210", "00001234567800000000ABCD"

// sm4Input is the input of both SM4 contracts with RFC 8998's key and nonce.
func sm4Input(aad, text []byte) []byte {
	key, _ := hex.DecodeString(rfc8998Key + rfc8998Nonce)
	in := binary.BigEndian.AppendUint32(key, uint32(len(aad)))
	return append(append(in, aad...), text...)
}

func TestSM3Precompile(t *testing.T) {
	// GB/T 32905-2016, A.1 and A.2.
	for message, want := range map[string]string{
		"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
		"abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd": "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
		"": "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
	} {
		require.Equal(t, unhex(t, want), precompiled(t, execute.SM3Address, []byte(message)), "%q", message)
	}
}

// sm2Order is the order of SM2's group, sm2Field the prime of its field.
const (
	sm2Order = "FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123"
	sm2Field = "FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF"
)

func TestSM2Precompile(t *testing.T) {
	good := sm2Example(t)
	require.Equal(t, word(1), precompiled(t, execute.SM2Address, good))

	e, r, s, x, y := good[:32], good[32:64], good[64:96], good[96:128], good[128:]
	minus := func(a string, b []byte) []byte {
		return new(big.Int).Sub(new(big.Int).SetBytes(unhex(t, a)), new(big.Int).SetBytes(b)).FillBytes(make([]byte, 32))
	}
	none, n, p, ones := make([]byte, 32), unhex(t, sm2Order), unhex(t, sm2Field), bytes.Repeat([]byte{0xff}, 32)
	for name, in := range map[string][][]byte{
		"nothing": {}, "a byte short": {e, r, s, x, y[:31]}, "a byte long": {e, r, s, x, y, {0}}, "all zero": {none, none, none, none, none},
		"all ones": {ones, ones, ones, ones, ones}, "r is 0": {e, none, s, x, y}, "s is 0": {e, r, none, x, y}, "r is n": {e, n, s, x, y}, "s is n": {e, r, n, x, y},
		"r is n-1": {e, minus(sm2Order, []byte{1}), s, x, y}, "r and s sum to n": {e, r, minus(sm2Order, r), x, y}, "negated s": {e, r, minus(sm2Order, s), x, y},
		"swapped r and s": {e, s, r, x, y}, "swapped x and y": {e, r, s, y, x}, "negated key": {e, r, s, x, minus(sm2Field, y)}, "x is p": {e, r, s, p, y},
		"y is p": {e, r, s, x, p}, "no point": {e, r, s, x, x}, "infinity": {e, r, s, none, none}, "another digest": {minus(sm2Order, e), r, s, x, y},
	} {
		require.Empty(t, precompiled(t, execute.SM2Address, bytes.Join(in, nil)), name)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		require.Empty(t, precompiled(t, execute.SM2Address, bad), "byte %d", i)
	}
	require.True(t, bytes.Equal(good, sm2Example(t)), "the contract altered its input")
}

// RFC 8998, A.1: the plaintext, the associated data, the ciphertext with the tag.
const (
	rfc8998Plain  = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDDEEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
	rfc8998AAD    = "FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2"
	rfc8998Sealed = "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D" +
		"83DE3541E4C2B58177E065A9BF7B62EC"
)

func TestSM4Precompiles(t *testing.T) {
	plain, aad, sealed := unhex(t, rfc8998Plain), unhex(t, rfc8998AAD), unhex(t, rfc8998Sealed)
	require.Equal(t, sealed, precompiled(t, execute.SM4SealAddress, sm4Input(aad, plain)))
	require.Equal(t, plain, precompiled(t, execute.SM4OpenAddress, sm4Input(aad, sealed)))

	// Nothing to seal, nothing associated.
	tag := precompiled(t, execute.SM4SealAddress, sm4Input(nil, nil))
	require.Len(t, tag, 16)
	require.Empty(t, precompiled(t, execute.SM4OpenAddress, sm4Input(nil, tag)))

	open := contractAt(t, execute.SM4OpenAddress)
	good := sm4Input(aad, sealed)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		_, err := open.Run(bad)
		require.Error(t, err, "byte %d", i)
	}
	for _, addr := range []common.Address{execute.SM4SealAddress, execute.SM4OpenAddress} {
		c := contractAt(t, addr)
		for n := range 16 + 12 + 4 {
			_, err := c.Run(good[:n])
			require.ErrorContains(t, err, "the input is not key", "%d bytes", n)
		}
		for _, n := range []uint32{uint32(len(good)), 1 << 31, 1<<32 - 1} {
			bad := bytes.Clone(good)
			binary.BigEndian.PutUint32(bad[28:], n)
			_, err := c.Run(bad)
			require.ErrorContains(t, err, "the input is not key", "an aad of %d bytes", n)
		}
	}
	for n := range 16 {
		_, err := open.Run(sm4Input(nil, tag[:n]))
		require.ErrorContains(t, err, "the tag does not fit", "a tag of %d bytes", n)
	}
}

func TestPrecompileGas(t *testing.T) {
	for _, c := range []struct {
		addr       common.Address
		base, word uint64
	}{{execute.SM3Address, 60, 12}, {execute.SM2Address, 7_500, 0}, {execute.SM4SealAddress, 300, 24}, {execute.SM4OpenAddress, 300, 24}, {execute.NodeSignatureAddress, 8_000, 12}} {
		for n, words := range map[int]uint64{0: 0, 1: 1, 31: 1, 32: 1, 33: 2, 64: 2, 160: 5, 1 << 20: 1 << 15} {
			require.Equal(t, c.base+c.word*words, contractAt(t, c.addr).RequiredGas(make([]byte, n)), "%s, %d bytes", c.addr, n)
		}
	}
}

// TestPrecompilesAreEthereumsAndOurs: nothing of Ethereum's is altered, and everybody who asks gets the same list.
func TestPrecompilesAreEthereumsAndOurs(t *testing.T) {
	ours := []common.Address{execute.SM3Address, execute.SM2Address, execute.SM4SealAddress, execute.SM4OpenAddress, execute.NodeSignatureAddress, execute.ChainHashAddress}
	osaka := params.Rules{IsBerlin: true, IsCancun: true, IsPrague: true, IsOsaka: true}
	want := slices.Clone(ours)
	for i := range byte(0x11) {
		want = append(want, common.BytesToAddress([]byte{i + 1}))
	}
	want = append(want, common.HexToAddress("0x100"))
	require.ElementsMatch(t, want, vm.ActivePrecompiles(osaka))
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(vm.ActivePrecompiledContracts(osaka))))
	for _, older := range []params.Rules{{}, {IsIstanbul: true}, {IsBerlin: true}, {IsCancun: true}, {IsPrague: true}} {
		for _, addr := range ours {
			require.NotContains(t, vm.ActivePrecompiles(older), addr)
			require.NotContains(t, vm.ActivePrecompiledContracts(older), addr)
		}
	}
}

// fuzz runs one contract on anything: it must not panic, must not alter its input, and answers the same again.
func fuzz(f *testing.F, addr common.Address, seeds ...[]byte) {
	for _, s := range append(seeds, nil, make([]byte, 31), make([]byte, 160)) {
		f.Add(s)
	}
	c := contractAt(f, addr)
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		out, err := c.Run(in)
		require.True(t, bytes.Equal(before, in))
		again, errAgain := c.Run(in)
		require.Equal(t, err, errAgain)
		require.True(t, bytes.Equal(out, again))
		require.LessOrEqual(t, len(out), max(32, len(in)), "the answer is bounded by the input that was paid for")
		switch {
		case err != nil:
			require.Empty(t, out)
		case addr == execute.SM4SealAddress:
			n := 32 + int(binary.BigEndian.Uint32(in[28:]))
			opened := precompiled(t, execute.SM4OpenAddress, append(bytes.Clone(in[:n]), out...))
			require.True(t, bytes.Equal(in[n:], opened))
		}
	})
}

func FuzzSM3Precompile(f *testing.F) { fuzz(f, execute.SM3Address, []byte("abc")) }
func FuzzSM2Precompile(f *testing.F) { fuzz(f, execute.SM2Address, sm2Example(f)) }
func FuzzSM4SealPrecompile(f *testing.F) {
	fuzz(f, execute.SM4SealAddress, sm4Input(unhex(f, rfc8998AAD), unhex(f, rfc8998Plain)))
}
func FuzzSM4OpenPrecompile(f *testing.F) {
	fuzz(f, execute.SM4OpenAddress, sm4Input(unhex(f, rfc8998AAD), unhex(f, rfc8998Sealed)))
}
