package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	sdk "github.com/jialing-chain/jialing/client"
)

// clientJS is the package @jialing/sm2.
const clientJS = "../../client/js"

// clientJSBuilt installs what client/js needs and compiles it, once for all tests.
var clientJSBuilt = sync.OnceValue(func() error {
	if err := npmCI(clientJS, os.Getenv("PATH")); err != nil {
		return err
	}
	cmd := exec.Command("npm", "run", "build")
	cmd.Dir = clientJS
	if output, err := cmd.CombinedOutput(); err != nil {
		return &buildError{err, output}
	}
	return nil
})

type buildError struct {
	err    error
	output []byte
}

func (e *buildError) Error() string {
	return "build client/js: " + e.err.Error() + ": " + string(e.output)
}

func npmClientJS(t *testing.T) {
	t.Helper()
	npm(t)
	require.NoError(t, clientJSBuilt())
}

// TestSM2Package runs the tests that client/js has of its own.
func TestSM2Package(t *testing.T) {
	npmClientJS(t)
	for _, args := range [][]string{{"exec", "--", "tsc", "-p", "test"}, {"test"}} {
		cmd := exec.CommandContext(t.Context(), "npm", args...)
		cmd.Dir = clientJS
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "npm %v: %s", args, output)
	}
}

// sm2Vector is a transaction with what each language must make of it. Numbers are in decimal.
type sm2Vector struct {
	Key                  hexutil.Bytes    `json:"key"`
	ChainID              uint64           `json:"chainId"`
	Nonce                uint64           `json:"nonce"`
	MaxPriorityFeePerGas string           `json:"maxPriorityFeePerGas"`
	MaxFeePerGas         string           `json:"maxFeePerGas"`
	Gas                  string           `json:"gas"`
	To                   *common.Address  `json:"to"`
	Value                string           `json:"value"`
	Data                 hexutil.Bytes    `json:"data"`
	AccessList           types.AccessList `json:"accessList"`
	Raw                  hexutil.Bytes    `json:"raw,omitempty"`
	Hash                 *common.Hash     `json:"hash,omitempty"`
	From                 *common.Address  `json:"from,omitempty"`
}

func (v *sm2Vector) number(t *testing.T, s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	require.True(t, ok, s)
	return n
}

// requireSays checks that raw is the transaction, signed by its key.
func (v *sm2Vector) requireSays(t *testing.T, raw []byte) {
	t.Helper()
	key, err := sdk.SM2FromHex(hexutil.Encode(v.Key))
	require.NoError(t, err)
	tx, err := sdk.DecodeTx(new(big.Int).SetUint64(v.ChainID), raw)
	require.NoError(t, err)
	require.Equal(t, crypto.Keccak256Hash(raw), tx.Hash)
	require.Equal(t, []any{key.Address(), key.PublicKey()}, []any{tx.From, tx.PublicKey})
	require.Equal(t, []any{v.Nonce, v.To, v.number(t, v.Gas).Uint64()}, []any{tx.Nonce, tx.To, tx.Gas})
	require.Equal(t, []string{v.MaxPriorityFeePerGas, v.MaxFeePerGas, v.Value}, []string{tx.TipCap.String(), tx.FeeCap.String(), tx.Value.String()})
	require.True(t, bytes.Equal(v.Data, tx.Data))
	require.Equal(t, len(v.AccessList), len(tx.AccessList))
	for i := range v.AccessList {
		require.Equal(t, v.AccessList[i], tx.AccessList[i])
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// drawVector draws a transaction; zero and the largest values come often.
func drawVector(r *rand.Rand) sm2Vector {
	number := func(bytes int) string {
		switch r.IntN(4) {
		case 0:
			return "0"
		case 1:
			return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*bytes)), big.NewInt(1)).String()
		}
		return new(big.Int).SetBytes(randomBytes(r, 1+r.IntN(bytes))).String()
	}
	key := randomBytes(r, 32)
	key[0] &= 0x7f // below the order
	v := sm2Vector{Key: key, ChainID: 1 + r.Uint64N(1<<53-1), Nonce: r.Uint64N(1 << (1 + r.IntN(52))), Gas: number(8), Value: number(32), MaxPriorityFeePerGas: "0",
		MaxFeePerGas: number(32), Data: randomBytes(r, []int{0, 1, 4, 55, 56, 300}[r.IntN(6)]), AccessList: types.AccessList{}}
	if v.Gas == "0" {
		v.Gas = "21000" // the Go client asks for gas
	}
	if r.IntN(2) == 0 {
		v.MaxPriorityFeePerGas = v.MaxFeePerGas
	}
	if r.IntN(3) > 0 {
		to := common.Address(randomBytes(r, 20))
		v.To = &to
	}
	for range r.IntN(3) {
		entry := types.AccessTuple{Address: common.Address(randomBytes(r, 20)), StorageKeys: []common.Hash{}}
		for range r.IntN(3) {
			entry.StorageKeys = append(entry.StorageKeys, common.Hash(randomBytes(r, 32)))
		}
		v.AccessList = append(v.AccessList, entry)
	}
	return v
}

// TestSM2VectorsOfGo: client/js is tested against transactions that the Go client signed. With -update they are made anew.
func TestSM2VectorsOfGo(t *testing.T) {
	path := filepath.Join(clientJS, "test", "vectors.json")
	if *update {
		r := rand.New(rand.NewPCG(4, 0x50))
		var vectors []sm2Vector
		for range 24 {
			v := drawVector(r)
			key, err := sdk.SM2FromHex(hexutil.Encode(v.Key))
			require.NoError(t, err)
			gas := v.number(t, v.Gas).Uint64()
			v.Raw, err = key.SignTx(new(big.Int).SetUint64(v.ChainID), &sdk.Tx{To: v.To, Value: v.number(t, v.Value), Data: v.Data, Gas: gas, Nonce: &v.Nonce,
				FeeCap: v.number(t, v.MaxFeePerGas), TipCap: v.number(t, v.MaxPriorityFeePerGas), AccessList: v.AccessList})
			require.NoError(t, err)
			hash, from := crypto.Keccak256Hash(v.Raw), key.Address()
			v.Hash, v.From = &hash, &from
			vectors = append(vectors, v)
		}
		out, err := json.MarshalIndent(vectors, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(out, '\n'), 0o644))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var vectors []sm2Vector
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		v.requireSays(t, v.Raw)
		require.Equal(t, crypto.Keccak256Hash(v.Raw), *v.Hash)
	}
}

// TestGoReadsWhatJavaScriptSigns: new keys and transactions each run.
func TestGoReadsWhatJavaScriptSigns(t *testing.T) {
	npmClientJS(t)
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	var vectors []sm2Vector
	for range 40 {
		vectors = append(vectors, drawVector(r))
	}
	given, err := json.Marshal(vectors)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "sm2sign.mjs")
	cmd.Stdin = bytes.NewReader(given)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	var raws []hexutil.Bytes
	require.NoError(t, json.Unmarshal(output, &raws))
	require.Len(t, raws, len(vectors))
	for i, v := range vectors {
		v.requireSays(t, raws[i])
	}
}

// sm2Steps are what a viem program does with an account, the same code with an SM2 account as with one of secp256k1.
var sm2Steps = []string{"deploy", "transfer", "block", "send", "reverted", "rejected", "subscribe", "raw", "messages", "wallet"}

// sm2Chains are the chains for SM2 accounts: without fees, with fees, and one whose own cryptography is SM2 and SM3 too.
var sm2Chains = []struct {
	name, suite string
	fees        bool
}{{"zero-fee", "intl", false}, {"fees", "intl", true}, {"gm", "gm", false}}

// TestViemWithSM2Account runs a viem program with accounts of both kinds, with the chain and the contracts that this project has for SM2.
func TestViemWithSM2Account(t *testing.T) {
	npmClientJS(t)
	bin := jialing(t)
	for _, c := range sm2Chains {
		t.Run(c.name, func(t *testing.T) { runWithSM2(t, bin, c.suite, c.fees, "sm2account.mjs", sm2Steps) })
	}
}

// TestViemStepsWithSM2Account runs the viem program that every client's steps are in, on viem's own definition of a chain: nothing but its account
// was swapped.
func TestViemStepsWithSM2Account(t *testing.T) {
	npmClientJS(t)
	without := map[string]string{
		"types":     "it asks for transactions of type 0, 1 and 2 by name, and an SM2 account signs type 0x50 whatever it is asked for",
		"typedData": "the contract verifies with ecrecover",
		"setCode":   "EIP-7702's authorization is a secp256k1 signature",
	}
	var want, left []string
	for _, step := range steps {
		if without[step] == "" {
			want = append(want, step)
		} else {
			left = append(left, step)
		}
	}
	bin := jialing(t)
	for _, c := range sm2Chains {
		t.Run(c.name, func(t *testing.T) {
			runWithSM2(t, bin, c.suite, c.fees, "viem.mjs", want, "JIALING_WITHOUT="+strings.Join(left, ","))
		})
	}
}

// runWithSM2 runs a program on a chain where an SM2 account and another one have money, and looks up what it says that the SM2 account had mined.
func runWithSM2(t *testing.T, bin, suite string, fees bool, program string, want []string, env ...string) {
	t.Helper()
	sm2, err := sdk.NewSM2()
	require.NoError(t, err)
	secp, err := sdk.NewSecp256k1()
	require.NoError(t, err)
	url, ws := startFor(t, bin, suite, fees, sm2.Address(), secp.Address())
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	node, err := sdk.Dial(ctx, url)
	require.NoError(t, err)
	defer node.Close()

	cmd := exec.CommandContext(ctx, "node", program)
	cmd.Env = append(append(cmd.Environ(), "JIALING_HTTP_URL="+url, "JIALING_WS_URL="+ws, "JIALING_CHAIN_ID="+node.ChainID().String(),
		"JIALING_FEES="+strconv.FormatBool(fees), "JIALING_KEY="+secp.Hex(), "JIALING_SM2_KEY="+sm2.Hex()), env...)
	output, runErr := cmd.CombinedOutput()
	var held []string
	for line := range bytes.Lines(output) {
		var o outcome
		if json.Unmarshal(line, &o) != nil {
			continue // what else it says is shown where it fails
		}
		require.Empty(t, o.Error, o.Step)
		held = append(held, o.Step)
		for _, tx := range o.Transactions {
			receipt, err := node.WaitReceipt(ctx, tx.Hash)
			require.NoError(t, err)
			require.Equal(t, tx.OK, receipt.Status == types.ReceiptStatusSuccessful)
			require.Equal(t, fees, receipt.EffectiveGasPrice.Sign() > 0)
			read, err := node.Transaction(ctx, tx.Hash)
			require.NoError(t, err)
			require.Equal(t, sm2.Address(), read.From)
		}
		t.Logf("%s: %d ms, %d SM2 transactions", o.Step, o.Milliseconds, len(o.Transactions))
	}
	require.NoError(t, runErr, "%s", output)
	require.Equal(t, want, held)
}

// jialing builds the node, or names the one that JIALING_BIN does.
func jialing(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("JIALING_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "jialing")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/jialing").CombinedOutput()
	require.NoError(t, err, "build cmd/jialing: %s", out)
	return bin
}

// startFor starts a chain of that suite which takes both kinds of transactions and gives these accounts money.
func startFor(t *testing.T, bin, suite string, withFees bool, rich ...common.Address) (httpURL, wsURL string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "chain")
	fees := "zero"
	if withFees {
		fees = "market"
	}
	args := []string{"init", "--dir", dir, "--suite", suite, "--transactions", "secp256k1,sm2", "--fees", fees}
	for _, a := range rich {
		args = append(args, "--alloc", a.Hex()+"=10ether")
	}
	out, err := exec.Command(bin, args...).CombinedOutput()
	require.NoError(t, err, "jialing init: %s", out)
	found := start(t, exec.Command(bin, "start", "--dir", dir, "--http.addr", "127.0.0.1:0"),
		regexp.MustCompile(`http://127\.0\.0\.1:\d+`), regexp.MustCompile(`ws://127\.0\.0\.1:\d+`))
	return found[0], found[1]
}
