package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"
)

const (
	startTimeout = time.Minute      // a node serves within a second; a loaded machine gets time
	stepTimeout  = 30 * time.Second // nothing here takes a healthy node a second
)

// ether is 10^18 wei.
var ether = big.NewInt(1e18)

// funder is the account that the chains of these tests give money to. Its key is public: it is worth nothing elsewhere.
var funder = func() *ecdsa.PrivateKey {
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte("clients.funder")))
	if err != nil {
		panic(err)
	}
	return key
}()

// node is a live chain to test against.
type node struct {
	http, ws string
	fees     bool // whether gas costs something
	chainID  *big.Int
	// chargesTip: gas is free, but a tip that is offered is taken, as anvil does. Foundry and Hardhat offer 1 wei unless they
	// are told not to; our node takes nothing, so there they are not told.
	chargesTip bool
	client     *ethclient.Client

	mu     sync.Mutex        // one funding transaction at a time
	funder *ecdsa.PrivateKey // holds the money
}

// chain is one of the two kinds of chain that every client must cope with.
type chain struct {
	name    string
	fees    bool
	chainID uint64
	env     string // what its environment variables end in
}

var chains = []chain{
	{name: "zero-fee", fees: false, chainID: 20260},
	{name: "fees", fees: true, chainID: 20261, env: "_FEES"},
}

// open starts the chain, or connects to the one that the environment names. It ends with the test.
func open(t *testing.T, c chain) *node {
	reference := os.Getenv("REFERENCE")
	n := &node{fees: c.fees, chargesTip: !c.fees && reference == "anvil", funder: funder}
	switch {
	case os.Getenv("JIALING_HTTP_URL") != "" || os.Getenv("JIALING_HTTP_URL_FEES") != "":
		n.http, n.ws = os.Getenv("JIALING_HTTP_URL"+c.env), os.Getenv("JIALING_WS_URL"+c.env)
		if n.http == "" || n.ws == "" {
			t.Skipf("JIALING_HTTP_URL%s and JIALING_WS_URL%s do not both name a chain: nothing was tested on it", c.env, c.env)
		}
		if hexKey := os.Getenv("JIALING_KEY"); hexKey != "" {
			raw, err := hex.DecodeString(hexKey[2:])
			require.NoError(t, err, "JIALING_KEY")
			n.funder, err = crypto.ToECDSA(raw)
			require.NoError(t, err, "JIALING_KEY")
		}
	case reference == "anvil":
		n.http, n.ws = startAnvil(t, c)
	case reference == "":
		n.http, n.ws = startJialing(t, c)
	default:
		t.Fatalf("REFERENCE=%s: only anvil is known", reference)
	}

	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	var err error
	n.client, err = ethclient.DialContext(ctx, n.http)
	require.NoError(t, err)
	t.Cleanup(n.client.Close)
	n.chainID, err = n.client.ChainID(ctx)
	require.NoError(t, err)
	if reference == "anvil" {
		address := crypto.PubkeyToAddress(n.funder.PublicKey)
		balance := new(big.Int).Mul(ether, big.NewInt(1_000_000))
		require.NoError(t, n.client.Client().CallContext(ctx, nil, "anvil_setBalance", address, "0x"+balance.Text(16)))
	}
	return n
}

// account returns the key of a new account that holds 10 ether.
func (n *node) account(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	to := crypto.PubkeyToAddress(key.PublicKey)
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()

	n.mu.Lock()
	defer n.mu.Unlock()
	opts := bind.NewKeyedTransactor(n.funder, n.chainID)
	opts.Context, opts.Value, opts.GasLimit = ctx, new(big.Int).Mul(ether, big.NewInt(10)), 21_000
	tx, err := bind.Transact(bind.NewBoundContract(to, emptyABI, n.client, n.client, n.client), opts, nil)
	require.NoError(t, err, "fund the account of a client")
	receipt, err := bind.WaitMined(ctx, n.client, tx.Hash())
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusSuccessful, receipt.Status)
	return key
}

// verify looks a transaction up on the node: it was sent by the account, is in a block of the chain, came out as the
// client says, and cost what the chain charges.
func (n *node) verify(t *testing.T, from common.Address, hash common.Hash, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	receipt, err := n.client.TransactionReceipt(ctx, hash)
	require.NoError(t, err, "transaction %s, which the client says was mined", hash)
	require.Equal(t, ok, receipt.Status == types.ReceiptStatusSuccessful, "status of %s", hash)
	require.Equal(t, n.fees, receipt.EffectiveGasPrice.Sign() > 0, "gas price %s", receipt.EffectiveGasPrice)
	block, err := n.client.BlockByHash(ctx, receipt.BlockHash)
	require.NoError(t, err)
	require.Equal(t, receipt.BlockHash, block.Hash(), "the block's hash is that of its header")
	tx := block.Transaction(hash)
	require.NotNil(t, tx, "block %d does not hold the transaction of the receipt", block.NumberU64())
	sender, err := types.Sender(types.LatestSignerForChainID(n.chainID), tx)
	require.NoError(t, err)
	require.Equal(t, from, sender)
}

// startJialing builds the node, or takes the binary that JIALING_BIN names, and starts a chain in a fresh folder.
func startJialing(t *testing.T, c chain) (httpURL, wsURL string) {
	t.Helper()
	bin := os.Getenv("JIALING_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "jialing")
		out, err := exec.Command("go", "build", "-o", bin, "../../cmd/jialing").CombinedOutput()
		require.NoError(t, err, "build cmd/jialing: %s", out)
	}
	dir := filepath.Join(t.TempDir(), "chain")
	fees := "zero"
	if c.fees {
		fees = "market"
	}
	out, err := exec.Command(bin, "init", "--dir", dir, "--chain-id", strconv.FormatUint(c.chainID, 10), "--fees", fees,
		"--alloc", crypto.PubkeyToAddress(funder.PublicKey).Hex()+"=1000000ether").CombinedOutput()
	require.NoError(t, err, "jialing init: %s", out)

	found := start(t, exec.Command(bin, "start", "--dir", dir, "--http.addr", "127.0.0.1:0"),
		regexp.MustCompile(`http://127\.0\.0\.1:\d+`), regexp.MustCompile(`ws://127\.0\.0\.1:\d+`))
	return found[0], found[1]
}

// startAnvil starts Foundry's development node, from npm.
func startAnvil(t *testing.T, c chain) (httpURL, wsURL string) {
	t.Helper()
	args := []string{"--port", "0", "--chain-id", strconv.FormatUint(c.chainID, 10)}
	if !c.fees {
		args = append(args, "--base-fee", "0", "--gas-price", "0", "--disable-min-priority-fee")
	}
	found := start(t, exec.Command(npmBinary(t, "@foundry-rs/anvil-linux-amd64/bin/anvil"), args...), regexp.MustCompile(`127\.0\.0\.1:\d+`))
	httpURL, wsURL = "http://"+found[0], "ws://"+found[0]
	if !c.fees {
		httpURL = withoutTip(t, httpURL)
	}
	return httpURL, wsURL
}

// withoutTip stands before an anvil without fees, which proposes a tip of 1 gwei all the same: it answers the question
// for a tip with the gas price, and does not know how to fill in a transaction.
func withoutTip(t *testing.T, upstream string) string {
	t.Helper()
	target, err := url.Parse(upstream)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = bytes.ReplaceAll(body, []byte(`"eth_maxPriorityFeePerGas"`), []byte(`"eth_gasPrice"`))
		body = bytes.ReplaceAll(body, []byte(`"eth_fillTransaction"`), []byte(`"eth_unknownMethod"`))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// start runs a command until the test ends, and returns what it prints first for each pattern.
func start(t *testing.T, cmd *exec.Cmd, patterns ...*regexp.Regexp) []string {
	t.Helper()
	output, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = writer, writer
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())

	found := make(chan []string, 1)
	read := make(chan struct{})
	var log bytes.Buffer // the reading goroutine's, until read is closed
	go func() {
		defer close(read)
		defer output.Close()
		matches := make([]string, len(patterns))
		missing := len(patterns)
		for lines := bufio.NewReader(output); ; {
			line, err := lines.ReadBytes('\n')
			log.Write(line)
			if err != nil {
				return
			}
			for i, pattern := range patterns {
				if matches[i] != "" {
					continue
				}
				if matches[i] = string(pattern.Find(line)); matches[i] == "" {
					continue
				}
				if missing--; missing == 0 {
					found <- matches
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			said := bytes.Split(log.Bytes(), []byte("\n"))
			t.Logf("%s said last:\n%s", cmd.Path, bytes.Join(said[max(0, len(said)-20):], []byte("\n")))
		}
	})
	select {
	case matches := <-found:
		return matches
	case <-read:
		t.Fatalf("%s ended before it served", cmd.Path)
	case <-time.After(startTimeout):
		t.Fatalf("%s does not say where it serves after %s", cmd.Path, startTimeout)
	}
	return nil
}
