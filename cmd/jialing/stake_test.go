package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
)

func TestParseCommission(t *testing.T) {
	for s, want := range map[string]uint16{"0": 0, "0.00": 0, "5": 500, "2.5": 250, "2.05%": 205, "0.01": 1, "50": 5000, "007": 700, "50.00 %": 5000, "3.": 300} {
		got, err := parseCommission(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "%", ".5", "50.01", "51", "100", "1000", "-1", "1.234", "five", "1e1", "1,5"} {
		_, err := parseCommission(s)
		require.ErrorAs(t, err, new(usageError), s)
	}
}

// contradict DIR HEIGHT FILE lets a node's key sign two blocks at one height and writes the evidence.
func contradict(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: contradict DIR HEIGHT FILE")
	}
	dir := ts.MkAbs(args[0])
	cfg, err := node.LoadConfig(dir)
	ts.Check(err)
	g, err := node.LoadGenesis(dir)
	ts.Check(err)
	cfg.Passphrases = keys.Sources{Env: func(string) (string, bool) { return "", false }}
	key, err := node.LoadKey(cfg, g)
	ts.Check(err)
	trust, err := client.TrustFromGenesis(g.Encode())
	ts.Check(err)
	height, err := parseUint64(args[1])
	ts.Check(err)
	e := evidenceFile{PublicKey: key.Public().Bytes(), First: chain.AttestationMessage(crypto.Hash(trust.Genesis), height, crypto.Hash{1}),
		Second: chain.AttestationMessage(crypto.Hash(trust.Genesis), height, crypto.Hash{2})}
	e.FirstSignature, err = key.Sign(e.First)
	ts.Check(err)
	e.SecondSignature, err = key.Sign(e.Second)
	ts.Check(err)
	b, err := json.Marshal(e)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o600))
}
