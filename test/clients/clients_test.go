package clients_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// steps are what every client does, in this order.
var steps = []string{
	"chain",     // chain id, base fee, unknown things are null
	"deploy",    // with a constructor argument and money
	"call",      // a view, a storage slot
	"send",      // a change, its cost to the wei, the state before it
	"types",     // transactions of type 0, 1 and 2 by their own names
	"reason",    // a revert with a reason: called, estimated, sent
	"error",     // a custom error with arguments
	"panic",     // Solidity's division by zero
	"payable",   // money into a contract, and a refusal
	"estimate",  // a call inside that needs more gas than is used (EIP-150)
	"rejected",  // a nonce already used, money that is not there
	"logs",      // by topic, decoded
	"subscribe", // events and heads over WebSocket
	"typedData", // EIP-712: signed by the client, verified by the contract
	"setCode",   // EIP-7702: an account takes on code and gives it back
}

// client is one of the clients under test.
type client struct {
	name string
	more []string // steps of this client only
	run  func(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string)
}

var clients = []client{
	{name: "ethclient", run: goEthereum},
	{name: "ethers", run: script("node", "ethers.mjs")},
	{name: "viem", run: script("node", "viem.mjs")},
	{name: "web3", run: script("node", "web3.mjs")},
	{name: "hardhat", run: hardhat},
	{name: "foundry", run: runFoundry, more: []string{"run"}},
}

var emptyABI abi.ABI

// clientTimeout bounds one client on one chain: 15 steps, compilation included.
const clientTimeout = 3 * time.Minute

func TestClients(t *testing.T) {
	for _, c := range chains {
		t.Run(c.name, func(t *testing.T) {
			n := open(t, c)
			if !c.fees {
				t.Run("penniless", func(t *testing.T) { penniless(t, n) })
			}
			for _, client := range clients {
				t.Run(client.name, func(t *testing.T) {
					t.Parallel() // each has an account and a contract of its own
					client.run(t, n, n.account(t), slices.Concat(steps, client.more))
				})
			}
		})
	}
}

// outcome is one line of what a script prints: a step that held, or the one that did not.
type outcome struct {
	Step         string
	Error        string
	Milliseconds int `json:"ms"`
	Transactions []struct {
		Hash common.Hash
		OK   bool
	}
}

// script is a client in JavaScript, in this folder.
func script(argv ...string) func(*testing.T, *node, *ecdsa.PrivateKey, []string) {
	return func(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string) {
		npm(t)
		runScript(t, n, key, want, exec.Command(argv[0], argv[1:]...))
	}
}

// hardhat runs under Node 22, in a project of its own.
func hardhat(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string) {
	node22 := npmHardhat(t)
	cmd := exec.Command(node22, "node_modules/hardhat/dist/src/cli.js", "--config", "hardhat.config.mjs", "--network", "jialing", "run", "steps.mjs")
	cmd.Dir = "hardhat"
	runScript(t, n, key, want, cmd)
}

// runScript runs a client and reports each of its steps as a subtest.
func runScript(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string, cmd *exec.Cmd) {
	var stdout, stderr bytes.Buffer
	cmd.Env = scriptEnv(t, n, key)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	timeout := time.AfterFunc(clientTimeout, func() { _ = cmd.Process.Kill() })
	runErr := cmd.Wait()
	timeout.Stop()

	var got []string
	for line := range bytes.Lines(stdout.Bytes()) {
		if !bytes.HasPrefix(line, []byte(`{"step":`)) {
			continue // Hardhat talks
		}
		var o outcome
		require.NoError(t, json.Unmarshal(line, &o), "the client printed %q", line)
		got = append(got, o.Step)
		t.Run(o.Step, func(t *testing.T) {
			require.Empty(t, o.Error)
			for _, tx := range o.Transactions {
				n.verify(t, crypto.PubkeyToAddress(key.PublicKey), tx.Hash, tx.OK)
			}
			t.Logf("%d ms, %d transactions", o.Milliseconds, len(o.Transactions))
		})
	}
	require.False(t, t.Failed(), "a step failed")
	require.NoError(t, runErr, "%s: %s", strings.Join(cmd.Args, " "), &stderr)
	require.Equal(t, want, got, "the steps of the client")
}

// scriptEnv tells a script which node and account to use.
func scriptEnv(t *testing.T, n *node, key *ecdsa.PrivateKey) []string {
	return append(os.Environ(),
		"JIALING_HTTP_URL="+n.http,
		"JIALING_WS_URL="+n.ws,
		"JIALING_CHAIN_ID="+n.chainID.String(),
		"JIALING_FEES="+strconv.FormatBool(n.fees),
		"JIALING_CHARGES_TIP="+strconv.FormatBool(n.chargesTip),
		"JIALING_KEY=0x"+hex.EncodeToString(crypto.FromECDSA(key)),
		"JIALING_SCRATCH="+t.TempDir(),
	)
}

// step is one step of a client that runs inside the test. It reports the transactions that it had mined to mined.
type step struct {
	name string
	run  func(t *testing.T, mined func(hash common.Hash, ok bool))
}

// runSteps runs them in order, each as a subtest, up to the first that fails.
func runSteps(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string, all []step) {
	var names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	require.Equal(t, want, names, "the steps of the client")
	for _, s := range all {
		held := t.Run(s.name, func(t *testing.T) {
			s.run(t, func(hash common.Hash, ok bool) {
				t.Helper()
				n.verify(t, crypto.PubkeyToAddress(key.PublicKey), hash, ok)
			})
		})
		require.True(t, held, "step %s failed; the rest builds on it", s.name)
	}
}
