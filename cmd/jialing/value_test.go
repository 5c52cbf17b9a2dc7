package main

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/apps"
)

func TestParseAmount(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "7": "7", "7wei": "7", "20gwei": "20000000000", "1.5ether": "1500000000000000000", " 1 ether ": "1000000000000000000",
		".5gwei": "500000000", "1.gwei": "1000000000", "0.000000000000000001ether": "1",
	} {
		got, err := parseAmount(in, "wei")
		require.NoError(t, err, in)
		require.Equal(t, want, got.String(), in)
	}
	got, err := parseAmount("2.5", "ether")
	require.NoError(t, err)
	require.Equal(t, "2500000000000000000", got.String())
	for _, bad := range []string{"", ".", "ether", "-1", "1e18", "1.5", "1.5wei", "0.0000000000000000001ether", "1_000", "0x10", "１ether",
		"115792089237316195423570985008687907853269984665640564039457584007913129639936", "9999999999999999999999999999999999999999999999999999999999999999999ether"} {
		_, err := parseAmount(bad, "wei")
		require.ErrorAs(t, err, new(usageError), bad)
	}
}

func TestFormatAmountReadsBack(t *testing.T) {
	for wei, want := range map[string]string{
		"0": "0", "1": "1 wei", "999999": "999999 wei", "1000000": "0.001 gwei", "1000000000": "1 gwei", "1500000000000000000": "1.5 ether",
		"1000000000000000": "0.001 ether", "10000000000000000000000": "10000 ether",
	} {
		v, _ := new(big.Int).SetString(wei, 10)
		require.Equal(t, want, formatAmount(v))
	}
	rapid.Check(t, func(t *rapid.T) {
		v := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "wei"))
		back, err := parseAmount(formatAmount(v), "wei")
		require.NoError(t, err)
		require.Zero(t, v.Cmp(back))
	})
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 3 << 30: "3.0 GiB", 1 << 62: "4194304.0 TiB"} {
		require.Equal(t, want, formatBytes(n))
	}
}

func TestSignatures(t *testing.T) {
	for sig, selector := range map[string]string{
		"transfer(address,uint256)":                       "0xa9059cbb",
		"transfer(address,uint)":                          "0xa9059cbb",
		"balanceOf(address)(uint256)":                     "0x70a08231",
		"swap((address,uint24)[],bytes32[2])(int,string)": hexutil.Encode(crypto.Keccak256([]byte("swap((address,uint24)[],bytes32[2])"))[:4]),
	} {
		parsed, name, err := parseSignature(sig)
		require.NoError(t, err, sig)
		require.Equal(t, selector, hexutil.Encode(parsed.Methods[name].ID), sig)
	}
	for _, bad := range []string{"(", "f(", "f)", "f()(", "f(foo)", "f(uint257)", "f(uint08)", "f(bytes33)", "f(uint[0])", "f(uint[)", "f(uint[-1])", "f(,)", "f(uint,)", "f(uint)()x", "f((uint)", "", "f", "f(uint[65535][65535][65535][65535])", "f((uint[9999])[9999])", "f(uint256)(", "1f()", "f(uint256))"} {
		_, _, err := parseSignature(bad)
		require.ErrorAs(t, err, new(usageError), bad)
	}
}

func TestArguments(t *testing.T) {
	parsed, name, err := parseSignature("f(bool,string,int8,uint256,address,bytes,bytes4,uint16[],(address,uint256)[2])")
	require.NoError(t, err)
	inputs := parsed.Methods[name].Inputs
	good := []string{"true", "嘉 陵", "-128", "0x10", "0x00000000000000000000000000000000000000ff", "0x", "0x01020304", "[1, 65535]",
		`[["0x00000000000000000000000000000000000000ff", 1], ["0x0000000000000000000000000000000000000001", "340282366920938463463374607431768211456"]]`}
	values, err := parseArguments(inputs, good)
	require.NoError(t, err)
	packed, err := inputs.Pack(values...)
	require.NoError(t, err)
	back, err := inputs.Unpack(packed)
	require.NoError(t, err)
	shown := make([]string, len(back))
	for i, v := range back {
		shown[i] = formatValue(v)
	}
	require.Equal(t, []string{"true", "嘉 陵", "-128", "16", common.HexToAddress("0xff").Hex(), "0x", "0x01020304", "[1, 65535]",
		"[(" + common.HexToAddress("0xff").Hex() + ", 1), (" + common.HexToAddress("0x01").Hex() + ", 340282366920938463463374607431768211456)]"}, shown)

	for i, bad := range [][]string{{"yes", "1"}, nil, {"128", "-129", "x", ""}, {"-1", "1.5", "ten"}, {"0xff", "ff", ""}, {"01", "0x1"}, {"0x010203", "0x0102030405"},
		{"1", "[65536]", "[-1]", "{}", `[[1]]`}, {"[]", `[["0xff",1],["0xff",1]]`, `[[1],[2]]`}} {
		for _, word := range bad {
			words := append([]string(nil), good...)
			words[i] = word
			_, err := parseArguments(inputs, words)
			require.ErrorAs(t, err, new(usageError), "argument %d = %q", i+1, word)
		}
	}
	_, err = parseArguments(inputs, good[1:])
	require.ErrorContains(t, err, "takes 9 arguments")
	_, err = parseArguments(abi.Arguments{}, nil)
	require.NoError(t, err)
}

func FuzzSignature(f *testing.F) {
	f.Add("swap((address,uint24)[],bytes32[2])(int,string)")
	f.Fuzz(func(t *testing.T, sig string) {
		parsed, name, err := parseSignature(sig)
		if err != nil {
			require.ErrorAs(t, err, new(usageError))
			return
		}
		again, _, err := parseSignature(parsed.Methods[name].Sig)
		require.NoError(t, err)
		require.Equal(t, parsed.Methods[name].ID, again.Methods[name].ID)
	})
}

// The code hash is the one at this address on every Ethereum chain.
func TestCreate2DeployerIsTheWellKnownOne(t *testing.T) {
	require.Len(t, create2DeployerCode, 69)
	require.Equal(t, "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989", crypto.Keccak256Hash(create2DeployerCode).Hex())
}

func TestContractsThatComeWithThePlatformAreFound(t *testing.T) {
	for ref, want := range map[string]*apps.Contract{"token": apps.Token, "evidence": apps.Evidence, "../../apps/token/artifacts/JialingToken.json": apps.Token} {
		got, err := loadContract(ref)
		require.NoError(t, err)
		require.Equal(t, want.Bytecode, got.Bytecode)
		parsed, err := loadABI(ref)
		require.NoError(t, err)
		require.Equal(t, len(want.ABI.Methods), len(parsed.Methods))
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{"127.0.0.1:8545": "127.0.0.1:8545", "[::]:80": "127.0.0.1:80", "0.0.0.0:1": "127.0.0.1:1", "10.0.0.1:9": "10.0.0.1:9"} {
		require.Equal(t, want, reachable(in))
	}
}
