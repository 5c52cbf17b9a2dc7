package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// demoView is what happened.
type demoView struct {
	ChainID  uint64         `json:"chainId"`
	RPC      string         `json:"rpc"`
	Nodes    []demoNodeView `json:"nodes"`
	Token    common.Address `json:"token"`
	Evidence common.Address `json:"evidence"`
	// Transfers are all; Seconds, PerSecond and the latencies are of those that were sent while nobody was killed.
	Transfers   int         `json:"transfers"`
	Senders     int         `json:"senders"`
	SM2Senders  int         `json:"sm2Senders"`
	Blocks      uint64      `json:"transferBlocks"`
	Seconds     float64     `json:"transferSeconds"`
	PerSecond   float64     `json:"transfersPerSecond"`
	LatencyP50  float64     `json:"latencyP50Millis"`
	LatencyP99  float64     `json:"latencyP99Millis"`
	GasUsed     uint64      `json:"transferGas"`
	BaseFee     string      `json:"baseFee"`
	Kill        killView    `json:"kill,omitzero"`
	Head        uint64      `json:"head"`
	Finalized   uint64      `json:"finalized"`
	Document    string      `json:"document"`
	Digest      common.Hash `json:"digest"`
	Hash        string      `json:"hash"`
	NotarisedIn common.Hash `json:"notarisedIn"`
	// NotarisedWith is the kind of the notary's signature.
	NotarisedWith string   `json:"notarisedWith"`
	Proof         string   `json:"proof"`
	ProofBytes    int      `json:"proofBytes"`
	ProvenBy      []string `json:"provenBy"`
	// ProvenWork is what speaks for the block where nobody signs.
	ProvenWork   string    `json:"provenWork,omitempty"`
	ProvenTime   time.Time `json:"provenTime"`
	Alteration   string    `json:"alteration"`
	Refusal      string    `json:"refusal"`
	TotalSeconds float64   `json:"totalSeconds"`
}

// killView is what became of the killed node.
type killView struct {
	Node string `json:"node"`
	// Led tells that it led; engines without a leader have another one killed.
	Led       bool `json:"led"`
	Transfers int  `json:"transfers"`
	// PauseMillis is the longest time between two blocks that another node announced, from the last one before the kill on.
	PauseMillis float64 `json:"longestPauseMillis"`
	NewLeader   string  `json:"newLeader"`
	DownSeconds float64 `json:"downSeconds"`
	// BlocksBehind is how many blocks the others had made when the node served again, CatchUpSeconds from its start to its having them.
	BlocksBehind   uint64  `json:"blocksBehind"`
	CatchUpSeconds float64 `json:"catchUpSeconds"`
}

// demoNodeView is a node at the end.
type demoNodeView struct {
	Name      string      `json:"name"`
	RPC       string      `json:"rpc"`
	Head      uint64      `json:"head"`
	HeadHash  common.Hash `json:"headHash"`
	Finalized uint64      `json:"finalized"`
}

func (v *demoView) text(w io.Writer) {
	fmt.Fprintf(w, "\nchain\tid %d at %s, block %d, finalized %d\n", v.ChainID, v.RPC, v.Head, v.Finalized)
	if n := len(v.Nodes); n > 1 {
		fmt.Fprintf(w, "nodes\t%d processes, asked in turn: %s at %s to %s at %s\n", n, v.Nodes[0].Name, v.Nodes[0].RPC, v.Nodes[n-1].Name, v.Nodes[n-1].RPC)
	}
	fmt.Fprintf(w, "contracts\tJialingToken %s\n\tEvidence %s\n", v.Token, v.Evidence)
	senders := fmt.Sprintf("%d accounts", v.Senders)
	if v.SM2Senders > 0 {
		senders += fmt.Sprintf(" (%d sign with SM2)", v.SM2Senders)
	}
	fmt.Fprintf(w, "transfers\t%d from %s, all succeeded, in %d blocks\n", v.Transfers, senders, v.Blocks)
	fmt.Fprintf(w, "throughput\t%.0f transfers/s over %.2f s (sending included, signing not)\n", v.PerSecond, v.Seconds)
	fmt.Fprintf(w, "latency\tp50 %.0f ms, p99 %.0f ms, from sending to hearing of the durable block\n", v.LatencyP50, v.LatencyP99)
	fmt.Fprintf(w, "gas\t%d, %d per transfer, base fee %s\n", v.GasUsed, v.GasUsed/uint64(v.Transfers), v.BaseFee)
	if k := v.Kill; k.Node != "" {
		leader, now := "", ""
		if k.Led {
			leader, now = ", the leader,", ", "+k.NewLeader+" leads now"
		}
		fmt.Fprintf(w, "killed\t%s%s with -9 while %d of the transfers were sent: longest pause %.0f ms%s\n", k.Node, leader, k.Transfers, k.PauseMillis, now)
		fmt.Fprintf(w, "\tback after %.1f s, %d blocks behind; caught up %.2f s after its start\n", k.DownSeconds, k.BlocksBehind, k.CatchUpSeconds)
		fmt.Fprintf(w, "heads\tall %d nodes at block %d, %s\n", len(v.Nodes), v.Head, v.Nodes[0].HeadHash)
	}
	fmt.Fprintf(w, "notarised\t%s, %s %s, signed with %s\n", v.Document, v.Hash, v.Digest, v.NotarisedWith)
	by := fmt.Sprintf("signed by %v", v.ProvenBy)
	if v.ProvenWork != "" {
		by = "by the work on it, " + v.ProvenWork
	}
	fmt.Fprintf(w, "proof\t%s (%d bytes) holds offline: %s, %s\n", v.Proof, v.ProofBytes, by, v.ProvenTime.Format(timeLayout))
	fmt.Fprintf(w, "altered\t%s: %s\n", v.Alteration, v.Refusal)
	fmt.Fprintf(w, "took\t%.1f s in all\n", v.TotalSeconds)
}

// printNext says what to try, on stderr under --json so that stdout stays JSON.
func (d *demonstration) printNext() {
	out := d.out
	if d.json {
		out = d.err
	}
	v := &d.shown
	if !d.flags.solo {
		fmt.Fprintf(out, `
Kill another validator, or look at them, in another terminal:

  jialing network status --dir %[1]s
  kill -9 $(pgrep -f "start --dir %[2]s ")
  jialing doctor --dir %[1]s
`, d.flags.dir, d.nodes.folders[0].dir)
	}
	fmt.Fprintf(out, `
The chain keeps serving until Ctrl-C. In another terminal:

  jialing tx send %[2]s transfer %[4]s 5 --abi token --from dev:0 --rpc %[1]s
  jialing tx show %[5]s --abi evidence --rpc %[1]s
  jialing proof verify %[6]s --genesis %[7]s --document %[8]s --registry %[3]s

  cast send --rpc-url %[1]s --private-key %[9]s %[4]s --value 1ether
  cast call --rpc-url %[1]s %[2]s 'balanceOf(address)(uint256)' %[4]s

  viem     createWalletClient({ account: privateKeyToAccount("%[9]s"), transport: http("%[1]s") })
  Hardhat  networks: { jialing: { type: "http", url: "%[1]s", accounts: ["%[9]s"] } }

That private key is known to everybody: for this demo only.
`, v.RPC, v.Token, v.Evidence, d.dev[1].Address(), v.NotarisedIn, v.Proof, filepath.Join(d.flags.dir, "genesis.json"), v.Document, d.dev[0].Hex())
}
