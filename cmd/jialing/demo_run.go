package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
)

// demonstration is one run of the demo against its node.
type demonstration struct {
	*cli
	flags    *demoFlags
	dev      []*client.Secp256k1
	document string
	node     startView

	conn     *client.Client
	token    client.Contract
	evidence common.Address
	gas      uint64 // of one transfer, estimated
	shown    demoView
}

// demoView is what happened.
type demoView struct {
	ChainID      uint64         `json:"chainId"`
	RPC          string         `json:"rpc"`
	Token        common.Address `json:"token"`
	Evidence     common.Address `json:"evidence"`
	Transfers    int            `json:"transfers"`
	Senders      int            `json:"senders"`
	Blocks       uint64         `json:"transferBlocks"`
	Seconds      float64        `json:"transferSeconds"`
	PerSecond    float64        `json:"transfersPerSecond"`
	LatencyP50   float64        `json:"latencyP50Millis"`
	LatencyP99   float64        `json:"latencyP99Millis"`
	GasUsed      uint64         `json:"transferGas"`
	BaseFee      string         `json:"baseFee"`
	Head         uint64         `json:"head"`
	Finalized    uint64         `json:"finalized"`
	Document     string         `json:"document"`
	Digest       common.Hash    `json:"sha256"`
	NotarisedIn  common.Hash    `json:"notarisedIn"`
	Proof        string         `json:"proof"`
	ProofBytes   int            `json:"proofBytes"`
	ProvenBy     []string       `json:"provenBy"`
	ProvenTime   time.Time      `json:"provenTime"`
	Alteration   string         `json:"alteration"`
	Refusal      string         `json:"refusal"`
	TotalSeconds float64        `json:"totalSeconds"`
}

// stepTimeout bounds a step that waits for the chain; each takes milliseconds on a machine that works.
const stepTimeout = time.Minute

func (d *demonstration) run(ctx context.Context) (err error) {
	start := time.Now()
	if d.conn, err = client.Dial(ctx, d.node.WebSocket); err != nil {
		return err
	}
	defer d.conn.Close()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"Deploying JialingToken and Evidence", d.deploy},
		{fmt.Sprintf("Giving %d accounts tokens", d.flags.senders), d.distribute},
		{fmt.Sprintf("Sending %d signed transfers", d.flags.transfers), d.transfer},
		{"Notarising " + d.document + " and proving it offline", d.notarise},
	} {
		if !d.json {
			d.warn("%s", step.what)
		}
		ctx, cancel := context.WithTimeout(ctx, stepTimeout+time.Duration(d.flags.transfers)*time.Millisecond)
		err := step.do(ctx)
		if err != nil && context.Cause(ctx) != nil && !errors.Is(err, context.Cause(ctx)) {
			err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	final, err := d.conn.Finalized(ctx)
	if err != nil {
		return err
	}
	head, err := d.conn.Head(ctx)
	if err != nil {
		return err
	}
	v := &d.shown
	v.ChainID, v.RPC, v.Token, v.Evidence = d.node.ChainID, d.node.HTTP, d.token.Address, d.evidence
	v.BaseFee = formatAmount(head.BaseFee)
	v.Head, v.Finalized, v.TotalSeconds = head.Number.Uint64(), final.Number.Uint64(), time.Since(start).Seconds()
	return d.print(v, v.text)
}

func (d *demonstration) deploy(ctx context.Context) error {
	supply := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(1e18))
	creation, err := apps.Token.Creation(supply)
	if err != nil {
		return err
	}
	d.token.ABI = apps.Token.ABI
	if d.token.Address, _, err = d.conn.Deploy(ctx, d.dev[0], creation); err != nil {
		return err
	}
	d.evidence, _, err = d.conn.DeployEvidence(ctx, d.dev[0])
	return err
}

// oneToken is one JLT in its smallest unit.
var oneToken = big.NewInt(1e18)

// distribute gives every sender enough, and learns what a transfer costs: the dearest one, to an account that never held any.
func (d *demonstration) distribute(ctx context.Context) error {
	for _, a := range d.dev[1:max(1, d.flags.senders)] {
		amount := new(big.Int).Mul(oneToken, big.NewInt(int64(d.flags.transfers)))
		if _, err := d.conn.Transact(ctx, d.dev[0], d.token, "transfer", a.Address(), amount); err != nil {
			return err
		}
	}
	data, err := d.token.ABI.Pack("transfer", recipient(-1), oneToken)
	if err != nil {
		return err
	}
	full, err := d.conn.Fill(ctx, d.dev[0].Address(), client.Tx{To: &d.token.Address, Data: data})
	if err != nil {
		return err
	}
	d.gas = full.Gas
	return nil
}

// recipient is a fresh address for the i-th transfer.
func recipient(i int) common.Address {
	return common.BigToAddress(new(big.Int).Add(big.NewInt(int64(i)), new(big.Int).Lsh(big.NewInt(0x1a11), 100)))
}

// transfer signs all transfers, sends them and follows the blocks until the last one is in.
func (d *demonstration) transfer(ctx context.Context) error {
	load, err := d.sign(ctx)
	if err != nil {
		return err
	}
	head, err := d.conn.Head(ctx)
	if err != nil {
		return err
	}
	out, err := load.send(ctx, d.conn)
	if err != nil {
		return err
	}
	v := &d.shown
	v.Transfers, v.Senders = d.flags.transfers, d.flags.senders
	v.Blocks = out.blocks
	v.Seconds = out.took.Seconds()
	v.PerSecond = float64(d.flags.transfers) / v.Seconds
	v.LatencyP50, v.LatencyP99 = out.percentile(50), out.percentile(99)
	return d.checkTransfers(ctx, head.Number.Uint64()+1)
}

// checkTransfers counts what the chain says happened from block first on.
func (d *demonstration) checkTransfers(ctx context.Context, first uint64) error {
	head, err := d.conn.Head(ctx)
	if err != nil {
		return err
	}
	transfers := 0
	for n := first; n <= head.Number.Uint64(); n++ {
		block := new(big.Int).SetUint64(n)
		logs, err := d.conn.Logs(ctx, ethereum.FilterQuery{FromBlock: block, ToBlock: block, Addresses: []common.Address{d.token.Address},
			Topics: [][]common.Hash{{d.token.ABI.Events["Transfer"].ID}}})
		if err != nil {
			return err
		}
		transfers += len(logs)
		b, err := d.conn.Block(ctx, block)
		if err != nil {
			return err
		}
		d.shown.GasUsed += b.Header.GasUsed
	}
	if transfers != d.flags.transfers {
		return fmt.Errorf("%d transfers were sent and the chain's logs show %d", d.flags.transfers, transfers)
	}
	return nil
}

// notarise puts the document on record, fetches the evidence, writes it to a file, and verifies the file without the node: as it is, and with
// one byte altered.
func (d *demonstration) notarise(ctx context.Context) error {
	r, err := d.conn.Notarise(ctx, d.dev[0], d.evidence, d.document)
	if err != nil {
		return err
	}
	proof, err := d.proof(ctx, r)
	if err != nil {
		return err
	}
	v := &d.shown
	v.Document, v.NotarisedIn, v.Proof = d.document, r.TxHash, filepath.Join(d.flags.dir, "proof.json")
	if err := os.WriteFile(v.Proof, proof.Encode(), 0o644); err != nil {
		return fmt.Errorf("write the proof: %w", err)
	}
	trust, err := readTrust(filepath.Join(d.flags.dir, "genesis.json"), "")
	if err != nil {
		return err
	}
	file, err := os.ReadFile(v.Proof)
	if err != nil {
		return fmt.Errorf("read the proof: %w", err)
	}
	proven, err := verifyFile(file, trust)
	if err != nil {
		return err
	}
	if v.Digest, err = client.DigestFile(d.document); err != nil {
		return err
	}
	if _, err := proven.Notarised(d.evidence, v.Digest); err != nil {
		return err
	}
	v.ProofBytes, v.ProvenTime = len(file), proven.Time
	for _, s := range proven.Signers {
		v.ProvenBy = append(v.ProvenBy, s.Name)
	}
	at := len(file) / 2
	for file[at] < '0' || file[at] > '8' { // a digit that has a successor
		at++
	}
	v.Alteration = fmt.Sprintf("byte %d from %q to %q", at, file[at], file[at]+1)
	file[at]++
	if _, err := verifyFile(file, trust); err == nil {
		return fmt.Errorf("the proof still held after altering %s", v.Alteration)
	} else if !errors.Is(err, client.ErrProof) {
		return err
	} else {
		v.Refusal = err.Error()
	}
	return nil
}

// proof waits for the block's certificate, which follows the block, and asks for the evidence.
func (d *demonstration) proof(ctx context.Context, r *types.Receipt) (*client.Proof, error) {
	if err := d.conn.WaitFinal(ctx, r.BlockNumber.Uint64()); err != nil {
		return nil, err
	}
	return d.conn.Proof(ctx, r.TxHash)
}

func verifyFile(file []byte, trust *client.Trust) (*client.Proven, error) {
	p, err := client.ParseProof(file)
	if err != nil {
		return nil, err
	}
	return client.Verify(p, trust)
}

func (v *demoView) text(w io.Writer) {
	fmt.Fprintf(w, "\nchain\tid %d at %s, block %d, finalized %d\n", v.ChainID, v.RPC, v.Head, v.Finalized)
	fmt.Fprintf(w, "contracts\tJialingToken %s\n\tEvidence %s\n", v.Token, v.Evidence)
	fmt.Fprintf(w, "transfers\t%d from %d accounts, all succeeded, in %d blocks\n", v.Transfers, v.Senders, v.Blocks)
	fmt.Fprintf(w, "throughput\t%.0f transfers/s over %.2f s (sending included, signing not)\n", v.PerSecond, v.Seconds)
	fmt.Fprintf(w, "latency\tp50 %.0f ms, p99 %.0f ms, from sending to hearing of the durable block\n", v.LatencyP50, v.LatencyP99)
	fmt.Fprintf(w, "gas\t%d, %d per transfer, base fee %s\n", v.GasUsed, v.GasUsed/uint64(v.Transfers), v.BaseFee)
	fmt.Fprintf(w, "notarised\t%s, SHA-256 %s\n", v.Document, v.Digest)
	fmt.Fprintf(w, "proof\t%s (%d bytes) holds offline: signed by %v, %s\n", v.Proof, v.ProofBytes, v.ProvenBy, v.ProvenTime.Format(timeLayout))
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
