package client_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
)

// The list that Hardhat and Anvil print.
func TestDevAccountsAreTheWellKnownOnes(t *testing.T) {
	dev, err := client.DevAccounts(10)
	require.NoError(t, err)
	for i, want := range map[int][2]string{
		0: {"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"},
		1: {"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"},
		9: {"0xa0Ee7A142d267C1f36714E4a8F75612F20a79720", "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"},
	} {
		require.Equal(t, want, [2]string{dev[i].Address().Hex(), dev[i].Hex()})
	}
	for _, bad := range []int{-1, client.MaxDevAccounts + 1} {
		_, err := client.DevAccounts(bad)
		require.Error(t, err)
	}
}

func TestSecp256k1FromHex(t *testing.T) {
	a, err := client.NewSecp256k1()
	require.NoError(t, err)
	for _, s := range []string{a.Hex(), a.Hex()[2:], " " + a.Hex() + "\n"} {
		b, err := client.Secp256k1FromHex(s)
		require.NoError(t, err)
		require.Equal(t, a.Address(), b.Address())
	}
	for _, bad := range []string{"", "0x", a.Hex()[:64], a.Hex() + "00", strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("g", 64)} {
		_, err := client.Secp256k1FromHex(bad)
		require.Error(t, err, bad)
		if len(bad) > 10 {
			require.NotContains(t, err.Error(), bad[2:10], "an error shows no key")
		}
	}
}

func TestKeystoreIsEthereums(t *testing.T) {
	a, err := client.NewSecp256k1()
	require.NoError(t, err)
	file, err := a.Keystore("嘉陵 pass", client.LightKeystore)
	require.NoError(t, err)
	geth, err := keystore.DecryptKey(file, "嘉陵 pass")
	require.NoError(t, err)
	require.Equal(t, a.Address(), geth.Address)

	b, err := client.Secp256k1FromKeystore(file, "嘉陵 pass")
	require.NoError(t, err)
	require.Equal(t, a.Hex(), b.Hex())
	_, err = client.Secp256k1FromKeystore(file, "wrong")
	require.ErrorIs(t, err, client.ErrPassphrase)
	address, err := client.KeystoreAddress(file)
	require.NoError(t, err)
	require.Equal(t, a.Address(), address)
}

// The vectors of the Web3 Secret Storage definition.
func TestKeystoreVectors(t *testing.T) {
	for _, file := range []string{
		`{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}`,
		`{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}`,
	} {
		a, err := client.Secp256k1FromKeystore([]byte(file), "testpassword")
		require.NoError(t, err)
		require.Equal(t, "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d", a.Hex())
	}
}

// hostile keystores: what they ask for is refused before any work is done, and nothing panics.
func TestKeystoreBoundsItsWork(t *testing.T) {
	a, err := client.NewSecp256k1()
	require.NoError(t, err)
	file, err := a.Keystore("p", client.LightKeystore)
	require.NoError(t, err)
	alter := func(path string, value any) []byte {
		var m map[string]any
		require.NoError(t, json.Unmarshal(file, &m))
		at := m
		parts := strings.Split(path, ".")
		for _, p := range parts[:len(parts)-1] {
			at = at[p].(map[string]any)
		}
		at[parts[len(parts)-1]] = value
		if value == nil {
			delete(at, parts[len(parts)-1])
		}
		out, err := json.Marshal(m)
		require.NoError(t, err)
		return out
	}
	for path, values := range map[string][]any{
		"version":                {1, 4, "3", nil},
		"crypto":                 {nil, "x", 7, []int{}},
		"crypto.cipher":          {"aes-256-ctr", nil},
		"crypto.cipherparams.iv": {"", "00", "zz", nil},
		"crypto.ciphertext":      {"zz"},
		"crypto.mac":             {"zz", nil},
		"crypto.kdf":             {"md5", nil, "pbkdf2"},
		"crypto.kdfparams":       {nil, "x"},
		"crypto.kdfparams.n":     {1 << 40, -1, 0, 1, 3, 1.5, "4096", nil},
		"crypto.kdfparams.r":     {1 << 40, 0, "8", nil},
		"crypto.kdfparams.p":     {1 << 40, 17, 0, nil},
		"crypto.kdfparams.dklen": {16, 64, -1, "32", nil},
		"crypto.kdfparams.salt":  {7, "zz", nil},
	} {
		for _, v := range values {
			_, err := client.Secp256k1FromKeystore(alter(path, v), "p")
			require.Error(t, err, "%s = %v", path, v)
		}
	}
	_, err = client.Secp256k1FromKeystore(make([]byte, client.MaxKeystoreSize+1), "p")
	require.ErrorContains(t, err, "exceeds")
}

func FuzzKeystore(f *testing.F) {
	f.Add([]byte(`{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"53","kdf":"pbkdf2","kdfparams":{"c":1,"dklen":32,"prf":"hmac-sha256","salt":"ae"},"mac":"51"},"version":3}`))
	f.Add([]byte(`{"crypto":{"kdf":"scrypt","kdfparams":{"n":2,"r":1,"p":1,"dklen":32,"salt":""},"cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"}},"version":3}`))
	f.Add([]byte(`{"kind":"sm2","crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"","kdf":"scrypt","kdfparams":{"n":2,"r":1,"p":1,"dklen":32,"salt":""},"mac":""},"version":3}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) > 1024 {
			return
		}
		_, _ = client.AccountFromKeystore(b, "p") // it may only fail, never panic
	})
}
