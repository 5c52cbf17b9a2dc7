package chain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

const someAddress = "0x00000000000000000000000000000000000000c0"

// fullGenesis sets every field.
func fullGenesis() *chain.Genesis {
	g := testGenesis()
	g.Consensus.HeartbeatMillis = 2000
	g.Fees = chain.Fees{Mode: chain.FeesMarket, BaseFee: math.NewHexOrDecimal256(1e9)}
	g.Retention.StateBlocks = 1000
	g.Alloc = map[common.Address]chain.GenesisAccount{
		{1}: {Balance: math.NewHexOrDecimal256(1e18)},
		{2}: {Nonce: 1, Code: []byte{0x60, 0}, Storage: map[common.Hash]common.Hash{{2}: {3}, {1}: {1}, {4}: {}}},
		{3}: {},
	}
	return g
}

func TestGenesisRoundTrip(t *testing.T) {
	for _, g := range []*chain.Genesis{testGenesis(), fullGenesis()} {
		b := g.Encode()
		back, err := chain.ParseGenesis(b)
		require.NoError(t, err)
		require.Equal(t, b, back.Encode())
		require.Equal(t, g.ID(suite), back.ID(suite))
	}
	// What people write by hand: other order, decimals, mixed-case hex, no spaces.
	back, err := chain.ParseGenesis([]byte(strings.NewReplacer("\n", "", "  ", "", `"0xde0b6b3a7640000"`, `"1000000000000000000"`, `"0x3b9aca00"`, "1000000000",
		"0x0200000000000000000000000000000000000000\"", "0x0200000000000000000000000000000000000000\"").Replace(string(fullGenesis().Encode()))))
	require.NoError(t, err)
	require.Equal(t, fullGenesis().ID(suite), back.ID(suite))

	without, err := chain.ParseGenesis(bytes.Replace(testGenesis().Encode(), []byte(`"alloc": {}`), []byte(`"alloc": null`), 1))
	require.NoError(t, err)
	require.Equal(t, testGenesis().ID(suite), without.ID(suite), "no accounts is one thing, however written")
}

// TestGenesisBlock pins block 0: another hash is another chain.
func TestGenesisBlock(t *testing.T) {
	g := fullGenesis()
	require.Equal(t, "0x2b80ad5216466c03236c4bec0d39b2289cad8ec5f968af6378670cc80648ced9", g.ID(suite).String())
	w := g.Writes(func(b []byte) common.Hash { return gethcrypto.Keccak256Hash(b) })
	require.Len(t, w, 2, "an empty account is none")
	require.Equal(t, common.Address{1}, w[0].Address)
	require.Equal(t, []chain.SlotChange{{Key: common.Hash{1}, Value: common.Hash{1}}, {Key: common.Hash{2}, Value: common.Hash{3}}}, w[1].Slots)
	require.Equal(t, gethcrypto.Keccak256Hash(g.Alloc[common.Address{2}].Code), w[1].Account.CodeHash)

	h := g.Header(suite, w, common.Hash{0xee})
	require.Equal(t, "0x2c8499ab48c0c7097a4077faef7db0257b1da44560e09430570413b81346f27b", h.Hash().Hex())
	require.Equal(t, uint64(1_700_000_000), h.Time)
	extra, err := chain.DecodeExtra(h.Extra)
	require.NoError(t, err)
	require.Equal(t, &chain.Extra{Millis: 123, Decision: g.ID(suite), Validators: g.Rule().Hash(suite), Next: g.Rule().Hash(suite), Ledger: w.Digest(suite, g.ID(suite)),
		Records: suite.Sum(append([]byte{2}, make([]byte, 8+32)...))}, extra)
	signed, err := chain.HeaderHash(suite, h)
	require.NoError(t, err)
	require.Equal(t, "0x4f915c6b31190a652e00abc3a6524b0bf76773adf7e8de3eb27c0e20c84960f8", signed.String())
	require.NoError(t, g.ChainConfig().CheckConfigForkOrder())
	require.Equal(t, common.Hash(crypto.Hash{5}), chain.Prevrandao(crypto.Hash{5}))
}

// TestGenesisFaultsNameTheField covers every rule of Validate.
func TestGenesisFaultsNameTheField(t *testing.T) {
	v := func(i int) chain.GenesisValidator {
		return chain.GenesisValidator{ID: chain.ValidatorID(i), Name: "v", PublicKey: []byte{byte(i)}, Address: common.Address{1}}
	}
	account := func(a chain.GenesisAccount) func(*chain.Genesis) {
		return func(g *chain.Genesis) { g.Alloc = map[common.Address]chain.GenesisAccount{{}: {}, {7}: a} }
	}
	wei := func(bits uint) *math.HexOrDecimal256 {
		return (*math.HexOrDecimal256)(new(big.Int).Lsh(big.NewInt(1), bits))
	}
	for _, c := range []struct {
		field string
		alter func(*chain.Genesis)
	}{
		{"name", func(g *chain.Genesis) { g.Name = "" }},
		{"name", func(g *chain.Genesis) { g.Name = strings.Repeat("嘉", 65) }},
		{"chainId", func(g *chain.Genesis) { g.ChainID = 0 }},
		{"chainId", func(g *chain.Genesis) { g.ChainID = 1 << 53 }},
		{"timeMillis", func(g *chain.Genesis) { g.TimeMillis = 0 }},
		{"timeMillis", func(g *chain.Genesis) { g.TimeMillis = 1<<48 + 1 }},
		{"suite", func(g *chain.Genesis) { g.Suite = "" }},
		{"gasLimit", func(g *chain.Genesis) { g.GasLimit = 1<<24 - 1 }},
		{"gasLimit", func(g *chain.Genesis) { g.GasLimit = 1<<40 + 1 }},
		{"transactions", func(g *chain.Genesis) { g.Transactions = nil }},
		{"transactions", func(g *chain.Genesis) { g.Transactions = []chain.TxKind{"ed25519"} }},
		{"transactions", func(g *chain.Genesis) { g.Transactions = []chain.TxKind{chain.Secp256k1, chain.Secp256k1} }},
		{"transactions", func(g *chain.Genesis) { g.Transactions = []chain.TxKind{chain.SM2, chain.Secp256k1, chain.SM2} }},
		{"transactions", func(g *chain.Genesis) { g.Transactions = []chain.TxKind{"SM2"} }},
		{"consensus.engine", func(g *chain.Genesis) { g.Consensus.Engine = "dice" }},
		{"consensus.maxBlockTxs", func(g *chain.Genesis) { g.Consensus.MaxBlockTxs = 0 }},
		{"consensus.maxBlockTxs", func(g *chain.Genesis) { g.Consensus.MaxBlockTxs = chain.MaxDecisionTxs + 1 }},
		{"consensus.maxBlockBytes", func(g *chain.Genesis) { g.Consensus.MaxBlockBytes = chain.MaxTxSize - 1 }},
		{"consensus.maxBlockBytes", func(g *chain.Genesis) { g.Consensus.MaxBlockBytes = 256<<20 + 1 }},
		{"consensus.batchMillis", func(g *chain.Genesis) { g.Consensus.BatchMillis = -1 }},
		{"consensus.batchMillis", func(g *chain.Genesis) { g.Consensus.BatchMillis = 60_001 }},
		{"consensus.heartbeatMillis", func(g *chain.Genesis) { g.Consensus.HeartbeatMillis = -1 }},
		{"consensus.heartbeatMillis", func(g *chain.Genesis) { g.Consensus.HeartbeatMillis = 86_400_001 }},
		{"fees.mode", func(g *chain.Genesis) { g.Fees.Mode = "free" }},
		{"fees.baseFee", func(g *chain.Genesis) { g.Fees.BaseFee = math.NewHexOrDecimal256(1) }},
		{"fees.baseFee", func(g *chain.Genesis) { g.Fees = chain.Fees{Mode: chain.FeesFixed} }},
		{"fees.baseFee", func(g *chain.Genesis) { g.Fees = chain.Fees{Mode: chain.FeesMarket, BaseFee: wei(128)} }},
		{"validators", func(g *chain.Genesis) { g.Validators = nil }},
		{"validators", func(g *chain.Genesis) { g.Validators = []chain.GenesisValidator{v(1), v(2)} }},
		{"validators[0].id", func(g *chain.Genesis) { g.Validators[0].ID = 0 }},
		{"validators[0].name", func(g *chain.Genesis) { g.Validators[0].Name = "" }},
		{"validators[0].name", func(g *chain.Genesis) { g.Validators[0].Name = strings.Repeat("x", 65) }},
		{"validators[0].publicKey", func(g *chain.Genesis) { g.Validators[0].PublicKey = nil }},
		{"validators[0].publicKey", func(g *chain.Genesis) { g.Validators[0].PublicKey = make([]byte, 129) }},
		{"validators[0].address", func(g *chain.Genesis) { g.Validators[0].Address = common.Address{} }},
		{"alloc.0x0700000000000000000000000000000000000000.balance", account(chain.GenesisAccount{Balance: math.NewHexOrDecimal256(-1)})},
		{"alloc.0x0700000000000000000000000000000000000000.code", account(chain.GenesisAccount{Code: make([]byte, 24577)})},
		{"alloc.0x0700000000000000000000000000000000000000.storage", account(chain.GenesisAccount{Storage: map[common.Hash]common.Hash{{}: {1}}})},
		{"alloc", account(chain.GenesisAccount{Balance: wei(255)})},
	} {
		g := testGenesis()
		c.alter(g)
		err := g.Validate()
		require.ErrorIs(t, err, chain.ErrGenesis, c.field)
		require.True(t, strings.HasPrefix(err.Error(), "genesis: "+c.field+": "), "%q names %s", err, c.field)
		if strings.Contains(c.field, "0x07") {
			g.Alloc[common.Address{1}] = chain.GenesisAccount{Balance: math.NewHexOrDecimal256(-1)}
			require.ErrorContains(t, g.Validate(), "alloc.0x0100", "the first one, whatever the order of the map")
		}
		_, err = chain.ParseGenesis(g.Encode())
		require.ErrorIs(t, err, chain.ErrGenesis, c.field)
	}
}

func TestGenesisLimitsAreWithin(t *testing.T) {
	for name, alter := range map[string]func(*chain.Genesis){
		"name":      func(g *chain.Genesis) { g.Name = strings.Repeat("嘉", 64) },
		"chain id":  func(g *chain.Genesis) { g.ChainID = 1<<53 - 1 },
		"gas limit": func(g *chain.Genesis) { g.GasLimit = 1 << 24 },
		"base fee": func(g *chain.Genesis) {
			g.Fees = chain.Fees{Mode: chain.FeesFixed, BaseFee: math.NewHexOrDecimal256(1)}
		},
		"zero fee":   func(g *chain.Genesis) { g.Fees.BaseFee = math.NewHexOrDecimal256(0) },
		"block txs":  func(g *chain.Genesis) { g.Consensus.MaxBlockTxs = chain.MaxDecisionTxs },
		"block size": func(g *chain.Genesis) { g.Consensus.MaxBlockBytes = 256 << 20 },
	} {
		g := testGenesis()
		alter(g)
		require.NoError(t, g.Validate(), name)
	}
}

// TestGenesisJSONFaultsNameTheField: what does not even decode.
func TestGenesisJSONFaultsNameTheField(t *testing.T) {
	alloc := func(s string) [2]string {
		return [2]string{`"alloc": {}`, `"alloc": {"` + someAddress + `": ` + s + `}`}
	}
	for _, c := range []struct {
		replace [2]string
		want    string
	}{
		{[2]string{`7777`, `"7777"`}, "genesis: chainId: is a string"},
		{[2]string{`7777`, `-1`}, "genesis: chainId: is a number -1"},
		{[2]string{`7777`, `1e3`}, "genesis: chainId: is a number 1e3"},
		{[2]string{`7777`, `99999999999999999999`}, "genesis: chainId: is a number 99999999999999999999"},
		{[2]string{`"chainId"`, `"chainID"`}, "genesis: chainID: unknown field"},
		{[2]string{`"chainId"`, `"colour": 1, "chainId"`}, "genesis: colour: unknown field"},
		{[2]string{`"chainId"`, `"chainId": 1, "chainId"`}, "genesis: chainId: is there twice"},
		{[2]string{`"engine"`, `"engine": "solo", "engine"`}, "genesis: consensus.engine: is there twice"},
		{[2]string{`"engine"`, `"Engine"`}, "genesis: consensus.Engine: unknown field"},
		{[2]string{`"engine": "solo"`, `"engine": null`}, "genesis: consensus.engine: "},
		{[2]string{`"id": 1`, `"id": 1.5`}, "genesis: validators[0].id: is a number 1.5"},
		{[2]string{`"id": 1`, `"rank": 1`}, "genesis: validators[0].rank: unknown field"},
		{[2]string{`"address": "0x`, `"address": "0x00`}, "genesis: validators[0].address: hex string has length 42"},
		{[2]string{`"mode"`, `"baseFee": "many", "mode"`}, `genesis: fees.baseFee: invalid hex or decimal integer "many"`},
		{[2]string{`"secp256k1"`, `7`}, "genesis: transactions[0]: is a number"},
		{[2]string{`"fees": {`, `"fees": [], "gone": {`}, "genesis: fees: is no object"},
		{[2]string{`"validators": [`, `"validators": {}, "gone": [`}, "genesis: validators: is no array"},
		{[2]string{`"alloc": {}`, `"alloc": {"0x12": {}}`}, "genesis: alloc.0x12: hex string has length 2"},
		{[2]string{`"alloc": {}`, `"alloc": {"` + someAddress + `": {}, "0x00000000000000000000000000000000000000C0": {}}`},
			"genesis: alloc.0x00000000000000000000000000000000000000C0: is there twice"},
		{alloc(`{"balance": "x"}`), "genesis: alloc." + someAddress + ".balance: invalid hex"},
		{alloc(`{"nonce": "x"}`), "genesis: alloc." + someAddress + ".nonce: invalid hex"},
		{alloc(`{"code": "60"}`), "genesis: alloc." + someAddress + ".code: is a hex string without 0x prefix"},
		{alloc(`{"colour": 1}`), "genesis: alloc." + someAddress + ".colour: unknown field"},
		{alloc(`{"storage": {"0x": "0x"}}`), "genesis: alloc." + someAddress + ".storage.0x: hex string has length 0"},
		{alloc(`{"storage": {"0x0000000000000000000000000000000000000000000000000000000000000001": "0x1"}}`),
			"genesis: alloc." + someAddress + ".storage.0x0000000000000000000000000000000000000000000000000000000000000001: is a hex string of odd length"},
		{[2]string{`"suite": "intl",`, `"suite": "intl"`}, "genesis: line 6: invalid character"},
		{[2]string{"\n}\n", "\n} {}"}, "genesis: line 32: invalid character '{' after top-level value"},
		{[2]string{"{", ""}, "genesis: line 2: "},
	} {
		whole := string(testGenesis().Encode())
		require.Contains(t, whole, c.replace[0])
		whole = strings.Replace(whole, c.replace[0], c.replace[1], 1)
		_, err := chain.ParseGenesis([]byte(whole))
		require.ErrorIs(t, err, chain.ErrGenesis, c.want)
		require.True(t, strings.HasPrefix(err.Error(), c.want), "%q, want %q", err, c.want)
	}
	_, err := chain.ParseGenesis(nil)
	require.ErrorIs(t, err, chain.ErrGenesis)
	_, err = chain.ParseGenesis([]byte("null"))
	require.ErrorContains(t, err, "genesis: name: ")
	_, err = chain.ParseGenesis(make([]byte, chain.MaxGenesisSize+1))
	require.ErrorContains(t, err, "exceeds")
}

func FuzzParseGenesis(f *testing.F) {
	f.Add(testGenesis().Encode())
	f.Add(fullGenesis().Encode())
	f.Add([]byte(`{"alloc":{"0x":[{}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := chain.ParseGenesis(b)
		if err != nil {
			require.ErrorIs(t, err, chain.ErrGenesis)
			return
		}
		require.True(t, json.Valid(b))
		again, err := chain.ParseGenesis(g.Encode())
		require.NoError(t, err)
		require.Equal(t, g.Encode(), again.Encode())
		g.Header(suite, g.Writes(func(b []byte) common.Hash { return gethcrypto.Keccak256Hash(b) }), common.Hash{})
	})
}

// BenchmarkParseGenesis is what every start costs a chain with 10,000 founding accounts.
func BenchmarkParseGenesis(b *testing.B) {
	g := testGenesis()
	g.Alloc = make(map[common.Address]chain.GenesisAccount)
	for i := range 10_000 {
		g.Alloc[common.BytesToAddress(gethcrypto.Keccak256([]byte(fmt.Sprint(i))))] = chain.GenesisAccount{Balance: math.NewHexOrDecimal256(1e18)}
	}
	file := g.Encode()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := chain.ParseGenesis(file); err != nil {
			b.Fatal(err)
		}
	}
}

func TestGenesisTransactions(t *testing.T) {
	for _, kinds := range [][]chain.TxKind{{chain.Secp256k1}, {chain.SM2}, {chain.Secp256k1, chain.SM2}, {chain.SM2, chain.Secp256k1}} {
		g := testGenesis()
		g.Transactions = kinds
		back, err := chain.ParseGenesis(g.Encode())
		require.NoError(t, err)
		require.Equal(t, kinds, back.Transactions)
	}
}
