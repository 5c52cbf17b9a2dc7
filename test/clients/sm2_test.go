package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/big"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/jialing-chain/jialing/client"
)

// TestSM2Transactions has clients that know no type 0x50 read a block that holds one beside one of Ethereum's, and send others.
func TestSM2Transactions(t *testing.T) {
	npm(t)
	sm2, err := sdk.NewSM2()
	require.NoError(t, err)
	secp, err := sdk.NewSecp256k1()
	require.NoError(t, err)
	url, ws := startBothKinds(t, sm2.Address(), secp.Address())
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	c, err := sdk.Dial(ctx, url)
	require.NoError(t, err)
	defer c.Close()

	nonces := make(map[common.Address]uint64)
	sign := func(from sdk.Account) []byte {
		nonce, to := nonces[from.Address()], common.Address{0xaa}
		nonces[from.Address()]++
		raw, err := from.SignTx(c.ChainID(), &sdk.Tx{To: &to, Value: big.NewInt(1), Gas: 21_000, Nonce: &nonce, FeeCap: new(big.Int), TipCap: new(big.Int)})
		require.NoError(t, err)
		return raw
	}
	hashes, errs, err := c.SendRawBatch(ctx, [][]byte{sign(sm2), sign(secp)})
	require.NoError(t, err)
	require.Equal(t, []error{nil, nil}, errs)
	var at []common.Hash
	for _, hash := range hashes {
		r, err := c.WaitReceipt(ctx, hash)
		require.NoError(t, err)
		require.Equal(t, types.ReceiptStatusSuccessful, r.Status)
		at = append(at, r.BlockHash)
	}
	require.Equal(t, at[0], at[1], "a block waits for more after its first transaction")

	given, err := json.Marshal(map[string]any{"hash": hashes[0], "other": hashes[1], "from": sm2.Address(), "publicKey": hexutil.Bytes(sm2.PublicKey()),
		"raw": []hexutil.Bytes{sign(sm2), sign(sm2)}})
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, "node", "sm2.mjs")
	cmd.Env = append(cmd.Environ(), "JIALING_HTTP_URL="+url, "JIALING_WS_URL="+ws, "JIALING_CHAIN_ID="+c.ChainID().String(), "JIALING_FEES=false",
		"JIALING_KEY="+secp.Hex(), "JIALING_SM2="+string(given))
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
			r, err := c.WaitReceipt(ctx, tx.Hash)
			require.NoError(t, err)
			require.Equal(t, types.ReceiptStatusSuccessful, r.Status)
			read, err := c.Transaction(ctx, tx.Hash)
			require.NoError(t, err)
			require.Equal(t, sm2.Address(), read.From)
		}
	}
	require.NoError(t, runErr, "%s", output)
	require.Equal(t, []string{"viem", "ethers", "web3"}, held)
}

// startBothKinds starts a chain that takes transactions of both kinds and gives these accounts money.
func startBothKinds(t *testing.T, rich ...common.Address) (httpURL, wsURL string) {
	t.Helper()
	bin, dir := filepath.Join(t.TempDir(), "jialing"), filepath.Join(t.TempDir(), "chain")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/jialing").CombinedOutput()
	require.NoError(t, err, "build cmd/jialing: %s", out)
	args := []string{"init", "--dir", dir, "--transactions", "secp256k1,sm2", "--batch-millis", "200"}
	for _, a := range rich {
		args = append(args, "--alloc", a.Hex()+"=1ether")
	}
	out, err = exec.Command(bin, args...).CombinedOutput()
	require.NoError(t, err, "jialing init: %s", out)
	found := start(t, exec.Command(bin, "start", "--dir", dir, "--http.addr", "127.0.0.1:0"),
		regexp.MustCompile(`http://127\.0\.0\.1:\d+`), regexp.MustCompile(`ws://127\.0\.0\.1:\d+`))
	return found[0], found[1]
}
