package clients_test

import (
	"bytes"
	"context"
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
	lack []string // steps that the client itself cannot do
	run  func(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string)
}

var clients = []client{
	{name: "ethclient", run: goEthereum},
	{name: "ethers", run: script("node", "ethers.mjs")},
	{name: "viem", run: script("node", "viem.mjs")},
}

var emptyABI abi.ABI

// clientTimeout bounds one client on one chain: 15 steps, compilation included.
const clientTimeout = 3 * time.Minute

func TestClients(t *testing.T) {
	for _, c := range chains {
		t.Run(c.name, func(t *testing.T) {
			n := open(t, c)
			for _, client := range clients {
				t.Run(client.name, func(t *testing.T) {
					t.Parallel() // each has an account and a contract of its own
					want := slices.DeleteFunc(slices.Clone(steps), func(s string) bool { return slices.Contains(client.lack, s) })
					client.run(t, n, n.account(t), want)
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

// script runs a client written in JavaScript and reports each of its steps as a subtest.
func script(argv ...string) func(*testing.T, *node, *ecdsa.PrivateKey, []string) {
	return func(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string) {
		npm(t)
		var stderr bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = scriptEnv(t, n, key)
		cmd.Stderr = &stderr
		stdout, runErr := cmd.Output()

		var got []string
		for line := range bytes.Lines(stdout) {
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
		require.NoError(t, runErr, "%s: %s", strings.Join(argv, " "), &stderr)
		require.Equal(t, want, got, "the steps of the client")
	}
}

// scriptEnv tells a script which node and account to use.
func scriptEnv(t *testing.T, n *node, key *ecdsa.PrivateKey) []string {
	return append(os.Environ(),
		"JIALING_HTTP_URL="+n.http,
		"JIALING_WS_URL="+n.ws,
		"JIALING_CHAIN_ID="+n.chainID.String(),
		"JIALING_FEES="+strconv.FormatBool(n.fees),
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
