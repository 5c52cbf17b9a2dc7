package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/test/clients/binding"
)

// foundry is Foundry's cast and forge, as a user at a shell has them.
type foundry struct {
	*node
	ctx    context.Context
	key    string // hex
	me     common.Address
	bin    map[string]string // cast and forge
	folder string            // to run in, empty
	probe  string            // the Probe's address
}

func newFoundry(t *testing.T, n *node, key *ecdsa.PrivateKey) *foundry {
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	t.Cleanup(cancel)
	return &foundry{
		node: n, ctx: ctx, key: "0x" + hex.EncodeToString(crypto.FromECDSA(key)), me: crypto.PubkeyToAddress(key.PublicKey),
		bin: map[string]string{
			"cast":  npmBinary(t, "@foundry-rs/cast-linux-amd64/bin/cast"),
			"forge": npmBinary(t, "@foundry-rs/forge-linux-amd64/bin/forge"),
		},
		folder: t.TempDir(),
	}
}

func runFoundry(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string) {
	f := newFoundry(t, n, key)
	runSteps(t, n, key, want, []step{
		{"chain", f.chain}, {"deploy", f.deploy}, {"call", f.call}, {"send", f.send}, {"types", f.types},
		{"reason", f.reason}, {"error", f.customError}, {"panic", f.panic}, {"payable", f.payable},
		{"estimate", f.estimate}, {"rejected", f.rejected}, {"logs", f.logs}, {"subscribe", f.subscribe},
		{"typedData", f.typedData}, {"setCode", f.setCode}, {"run", f.run},
	})
}

// penniless deploys a contract from an account that never had money: where gas is free, that keeps nobody out.
func penniless(t *testing.T, n *node) {
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	f := newFoundry(t, n, key)
	receipt := f.transact(t, func(hash common.Hash, ok bool) { n.verify(t, f.me, hash, ok) }, "--create", binding.DelegateMetaData.Bin)
	require.Equal(t, types.ReceiptStatusSuccessful, receipt.Status)
	require.Zero(t, f.balance(t, f.me.Hex()).Sign())
}

// command is cast or forge with the node in its environment and a home of its own.
func (f *foundry) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(f.ctx, f.bin[name], args...)
	cmd.Dir = f.folder
	cmd.Env = append(os.Environ(), "HOME="+f.folder, "ETH_RPC_URL="+f.http, "FOUNDRY_OFFLINE=true")
	if f.chargesTip {
		cmd.Env = append(cmd.Env, "ETH_GAS_PRICE=0", "ETH_PRIORITY_GAS_PRICE=0")
	}
	return cmd
}

// cast runs cast, which must succeed, and returns what it prints.
func (f *foundry) cast(t *testing.T, args ...string) string {
	t.Helper()
	out, err := f.try("cast", args...)
	require.NoError(t, err, "cast %s", strings.Join(args, " "))
	return out
}

// refused runs cast, which must fail, and returns what it says.
func (f *foundry) refused(t *testing.T, args ...string) string {
	t.Helper()
	out, err := f.try("cast", args...)
	require.Error(t, err, "cast %s: %s", strings.Join(args, " "), out)
	return err.Error()
}

func (f *foundry) try(name string, args ...string) (string, error) {
	cmd := f.command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, &stderr)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// transact is "cast send" with the account's key. The transaction may fail; it must be mined.
func (f *foundry) transact(t *testing.T, mined mined, args ...string) *types.Receipt {
	t.Helper()
	var receipt types.Receipt
	out := f.cast(t, append([]string{"send", "--json", "--private-key", f.key}, args...)...)
	require.NoError(t, json.Unmarshal([]byte(out), &receipt), out)
	mined(receipt.TxHash, receipt.Status == types.ReceiptStatusSuccessful)
	return &receipt
}

func (f *foundry) set(t *testing.T, mined mined, value int, note string) *types.Receipt {
	t.Helper()
	return f.transact(t, mined, f.probe, "set(uint256,string)", strconv.Itoa(value), note)
}

func (f *foundry) value(t *testing.T, args ...string) string {
	t.Helper()
	return f.cast(t, append([]string{"call", f.probe, "value()(uint256)"}, args...)...)
}

func (f *foundry) balance(t *testing.T, of string) *big.Int {
	t.Helper()
	balance, ok := new(big.Int).SetString(f.cast(t, "balance", of), 10)
	require.True(t, ok)
	return balance
}

// reverted checks that a call fails as a call, as an estimate and as a transaction, and returns the data of the revert.
func (f *foundry) reverted(t *testing.T, call ...string) (message, data string) {
	t.Helper()
	from := f.me.Hex()
	for _, attempt := range [][]string{{"call", "--from", from}, {"estimate", "--from", from}, {"send", "--private-key", f.key}} {
		message = f.refused(t, append(append(attempt, f.probe), call...)...)
		require.Contains(t, message, "error code 3: execution reverted", attempt[0])
		_, quoted, ok := strings.Cut(message, `data: "`)
		require.True(t, ok, "%s: no data in %s", attempt[0], message)
		quoted, _, _ = strings.Cut(quoted, `"`)
		require.True(t, data == "" || data == quoted, "%s: other data: %s", attempt[0], quoted)
		data = quoted
	}
	return message, data
}

func (f *foundry) chain(t *testing.T, _ mined) {
	require.Equal(t, f.chainID.String(), f.cast(t, "chain-id"))
	require.Equal(t, f.fees, f.cast(t, "base-fee") != "0")
	require.NotEmpty(t, f.cast(t, "client"))
	number, err := strconv.ParseUint(f.cast(t, "block-number"), 10, 64)
	require.NoError(t, err)
	require.Equal(t, f.cast(t, "block", strconv.FormatUint(number, 10), "--field", "number"), strconv.FormatUint(number, 10))
	require.Contains(t, f.refused(t, "tx", common.Hash{}.Hex()), "not found")
}

func (f *foundry) deploy(t *testing.T, mined mined) {
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	out, err := f.try("forge", "create", "--root", root, "--contracts", "contract", "--use", filepath.Join(root, "solc.mjs"),
		"--offline", "--optimize", "--optimizer-runs", "200", "--evm-version", "cancun", "--out", filepath.Join(f.folder, "out"),
		"--cache-path", filepath.Join(f.folder, "cache"), "--rpc-url", f.http, "--private-key", f.key, "--broadcast", "--json",
		"--value", "7", "contract/Probe.sol:Probe", "--constructor-args", "41")
	require.NoError(t, err, "forge create")
	var created struct {
		DeployedTo      common.Address
		TransactionHash common.Hash
	}
	require.NoError(t, json.Unmarshal([]byte(out), &created), out)
	mined(created.TransactionHash, true)
	f.probe = created.DeployedTo.Hex()
	require.Greater(t, len(f.cast(t, "code", f.probe)), 2)
	require.Equal(t, int64(7), f.balance(t, f.probe).Int64())
}

func (f *foundry) call(t *testing.T, _ mined) {
	require.Equal(t, "41", f.value(t))
	require.Equal(t, common.BigToHash(big.NewInt(41)).Hex(), f.cast(t, "storage", f.probe, "0"))
}

func (f *foundry) send(t *testing.T, mined mined) {
	before := f.balance(t, f.me.Hex())
	receipt := f.set(t, mined, 42, "first")
	require.Equal(t, types.ReceiptStatusSuccessful, receipt.Status)
	require.Equal(t, "42", f.value(t))
	require.Equal(t, "41", f.value(t, "--block", new(big.Int).Sub(receipt.BlockNumber, big.NewInt(1)).String()))
	cost := new(big.Int).Mul(new(big.Int).SetUint64(receipt.GasUsed), receipt.EffectiveGasPrice)
	require.Equal(t, cost.String(), new(big.Int).Sub(before, f.balance(t, f.me.Hex())).String())
}

func (f *foundry) types(t *testing.T, mined mined) {
	list := fmt.Sprintf(`[{"address":%q,"storageKeys":[%q]}]`, f.probe, common.Hash{}.Hex())
	for kind, flags := range [][]string{{"--legacy"}, {"--legacy", "--access-list", list}, nil} {
		receipt := f.transact(t, mined, append(flags, f.probe, "set(uint256,string)", "42", "typed")...)
		require.Equal(t, uint8(kind), receipt.Type)
		var tx types.Transaction
		require.NoError(t, tx.UnmarshalBinary(common.FromHex(f.cast(t, "tx", receipt.TxHash.Hex(), "--raw"))))
		require.Equal(t, uint8(kind), tx.Type())
		require.Equal(t, receipt.TxHash, tx.Hash())
	}
}

func (f *foundry) reason(t *testing.T, mined mined) {
	message, _ := f.reverted(t, "failWithReason(string)", "not enough stamps")
	require.Contains(t, message, "execution reverted: not enough stamps")
	receipt := f.transact(t, mined, "--gas-limit", "100000", f.probe, "failWithReason(string)", "on chain")
	require.Equal(t, types.ReceiptStatusFailed, receipt.Status)
}

func (f *foundry) customError(t *testing.T, _ mined) {
	_, data := f.reverted(t, "failWithError(uint256)", "7")
	decoded := strings.Split(f.cast(t, "decode-error", "--sig", "Refused(address,uint256,string)", data), "\n")
	require.Equal(t, []string{f.me.Hex(), "7", strconv.Quote(refusal)}, decoded)
}

func (f *foundry) panic(t *testing.T, _ mined) {
	_, data := f.reverted(t, "failWithPanic(uint256)", "1")
	require.Equal(t, "18", f.cast(t, "decode-error", "--sig", "Panic(uint256)", data))
}

func (f *foundry) payable(t *testing.T, mined mined) {
	before, held := f.balance(t, f.me.Hex()), f.balance(t, f.probe)
	receipt := f.transact(t, mined, "--value", "1000", f.probe, "deposit()")
	cost := new(big.Int).Mul(new(big.Int).SetUint64(receipt.GasUsed), receipt.EffectiveGasPrice)
	cost.Add(cost, big.NewInt(1000))
	require.Equal(t, cost.String(), new(big.Int).Sub(before, f.balance(t, f.me.Hex())).String())
	require.Equal(t, int64(1000), new(big.Int).Sub(f.balance(t, f.probe), held).Int64())
	refused := f.refused(t, "call", "--from", f.me.Hex(), "--value", "1", f.probe, "set(uint256,string)", "1", "takes none")
	require.Contains(t, refused, "execution reverted")
}

func (f *foundry) estimate(t *testing.T, mined mined) {
	gas, err := strconv.ParseUint(f.cast(t, "estimate", "--from", f.me.Hex(), f.probe, "nested(uint256)", "2000"), 10, 64)
	require.NoError(t, err)
	receipt := f.transact(t, mined, "--gas-limit", strconv.FormatUint(gas, 10), f.probe, "nested(uint256)", "2000")
	require.Equal(t, types.ReceiptStatusSuccessful, receipt.Status)
	require.Greater(t, gas, receipt.GasUsed, "the call inside gets 63/64 of the rest")
}

func (f *foundry) rejected(t *testing.T, _ mined) {
	send := []string{"send", "--private-key", f.key, "--gas-limit", "21000"}
	require.Contains(t, f.refused(t, append(send, "--nonce", "0", f.me.Hex())...), "nonce too low")
	poor := f.refused(t, append(send, "--value", "1000000ether", f.me.Hex())...)
	require.Contains(t, strings.ToLower(poor), "insufficient funds")
}

const valueSet = "ValueSet(address indexed,uint256 indexed,uint256,string)"

func (f *foundry) logs(t *testing.T, mined mined) {
	receipt := f.set(t, mined, 77, "收据")
	var found []types.Log
	from := receipt.BlockNumber.String()
	out := f.cast(t, "logs", "--json", "--from-block", from, "--address", f.probe, valueSet, f.me.Hex(), "42")
	require.NoError(t, json.Unmarshal([]byte(out), &found), out)
	require.Len(t, found, 1)
	require.Equal(t, receipt.BlockHash, found[0].BlockHash)
	event, err := binding.NewProbe().UnpackValueSetEvent(&found[0])
	require.NoError(t, err)
	require.Equal(t, []any{f.me, "42", "77", "收据"}, []any{event.By, event.Before.String(), event.Value.String(), event.Note})
	decoded := f.cast(t, "decode-event", "--sig", "ValueSet(uint256,string)", hexutil.Encode(found[0].Data))
	require.Equal(t, []string{"77", `"收据"`}, strings.Split(decoded, "\n"))
	require.Equal(t, "[]", f.cast(t, "logs", "--json", "--from-block", "0", "--address", f.probe, valueSet, f.me.Hex(), "43"))
}

// cast does not say when its subscription is in place: transactions go on until it shows one of them.
func (f *foundry) subscribe(t *testing.T, mined mined) {
	cmd := f.command("cast", "logs", "--subscribe", "--rpc-url", f.ws, "--address", f.probe, valueSet)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	hashes := make(chan common.Hash, 16)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if field, value, ok := strings.Cut(strings.TrimLeft(lines.Text(), "- "), ": "); ok && field == "transactionHash" {
				hashes <- common.HexToHash(strings.TrimSpace(value))
			}
		}
	}()
	defer func() {
		_ = cmd.Process.Kill()
		for open := true; open; {
			select {
			case <-hashes:
			case <-read:
				open = false
			}
		}
		_ = cmd.Wait()
	}()

	sent := make(map[common.Hash]bool)
	for f.ctx.Err() == nil {
		sent[f.set(t, mined, 78, "over the socket").TxHash] = true
		select {
		case hash := <-hashes:
			require.True(t, sent[hash], "the log of another transaction: %s", hash)
			return
		case <-read:
			t.Fatal("cast logs --subscribe ended")
		case <-time.After(time.Second):
		}
	}
	t.Fatal("no log came over the subscription")
}

func (f *foundry) typedData(t *testing.T, mined mined) {
	const document = "提单 B/L 7"
	field := func(name, kind string) map[string]string { return map[string]string{"name": name, "type": kind} }
	typed, err := json.Marshal(map[string]any{
		"types": map[string]any{
			"EIP712Domain": []any{field("name", "string"), field("version", "string"), field("chainId", "uint256"), field("verifyingContract", "address")},
			"Delivery":     []any{field("from", "address"), field("to", "address"), field("document", "string"), field("amount", "uint256")},
		},
		"primaryType": "Delivery",
		"domain":      map[string]any{"name": "Jialing Probe", "version": "1", "chainId": f.chainID, "verifyingContract": f.probe},
		"message":     map[string]any{"from": f.me, "to": f.probe, "document": document, "amount": 12345},
	})
	require.NoError(t, err)
	sig := f.cast(t, "wallet", "sign", "--private-key", f.key, "--data", string(typed))
	require.Len(t, sig, 132)
	r, s, v := sig[:66], "0x"+sig[66:130], strconv.Itoa(int(common.FromHex(sig[130:])[0]))

	const accept = "accept((address,address,string,uint256),uint8,bytes32,bytes32)"
	delivery := func(amount int) string { return fmt.Sprintf("(%s,%s,%q,%d)", f.me, f.probe, document, amount) }
	receipt := f.transact(t, mined, f.probe, accept, delivery(12345), v, r, s)
	require.Len(t, receipt.Logs, 1)
	accepted, err := binding.NewProbe().UnpackAcceptedEvent(receipt.Logs[0])
	require.NoError(t, err)
	require.Equal(t, []any{f.me, "12345"}, []any{accepted.Signer, accepted.Amount.String()})
	digest := f.cast(t, "call", f.probe, "digestOf((address,address,string,uint256))(bytes32)", delivery(12345))
	require.Equal(t, digest, common.Hash(accepted.Digest).Hex())

	_, data := f.reverted(t, accept, delivery(1), v, r, s)
	decoded := strings.Split(f.cast(t, "decode-error", "--sig", "WrongSigner(address,address)", data), "\n")
	require.Equal(t, f.me.Hex(), decoded[1])
}

func (f *foundry) setCode(t *testing.T, mined mined) {
	target := f.transact(t, mined, "--create", binding.DelegateMetaData.Bin).ContractAddress
	input := f.cast(t, "calldata", "set(uint256,string)", "79", "by a delegate")
	receipt := f.transact(t, mined, "--auth", target.Hex(), f.me.Hex(), "executeBatch((address,uint256,bytes)[])",
		fmt.Sprintf("[(%s,0,%s)]", f.probe, input))
	require.Equal(t, uint8(types.SetCodeTxType), receipt.Type)
	require.Equal(t, types.AddressToDelegation(target), common.FromHex(f.cast(t, "code", f.me.Hex())))
	require.Len(t, receipt.Logs, 2)
	set, err := binding.NewProbe().UnpackValueSetEvent(receipt.Logs[0])
	require.NoError(t, err)
	require.Equal(t, []any{f.me, "79", "by a delegate"}, []any{set.By, set.Value.String(), set.Note})

	f.transact(t, mined, "--auth", common.Address{}.Hex(), f.me.Hex())
	require.Equal(t, "0x", f.cast(t, "code", f.me.Hex()))
}

// run replays a transaction in cast's own EVM, from the blocks and the state that the node serves: it must come out the
// same, to the gas.
func (f *foundry) run(t *testing.T, mined mined) {
	receipt := f.set(t, mined, 80, "again")
	out := f.cast(t, "run", receipt.TxHash.Hex())
	require.Contains(t, out, "Transaction successfully executed")
	require.Contains(t, out, fmt.Sprintf("Gas used: %d", receipt.GasUsed))
	require.Contains(t, out, "emit topic 0: "+receipt.Logs[0].Topics[0].Hex())
}
