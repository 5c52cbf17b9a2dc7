package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
)

func (c *cli) proofCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proof",
		Short: "Evidence that a transaction happened, verified without any node",
		Long: `Evidence that a transaction happened: a JSON file with the transaction, its receipt, their Merkle proofs and the validators'
signatures. It is verified offline against the chain's genesis file, or against the small trust file made from it.`,
		Example: `  jialing proof get 0x… --output proof.json
  jialing proof verify proof.json --genesis mychain/genesis.json
  jialing proof verify proof.json --genesis mychain/genesis.json --document contract.pdf --registry 0x…`,
	}
	cmd.AddCommand(c.proofGet(), c.proofVerify(), c.proofTrust())
	return cmd
}

func (c *cli) proofGet() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "get HASH", Short: "Fetch a transaction's proof from a node", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			conn, ctx, done, err := c.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			p, err := conn.Proof(ctx, hash)
			if err != nil {
				return err
			}
			if output == "" {
				_, err = c.out.Write(p.Encode())
				return err
			}
			if err := os.WriteFile(output, p.Encode(), 0o644); err != nil {
				return fmt.Errorf("write the proof: %w", err)
			}
			return c.print(map[string]string{"file": output}, func(w io.Writer) {
				fmt.Fprintf(w, "wrote %s; check it anywhere with \"jialing proof verify %s --genesis GENESIS\"\n", output, output)
			})
		},
	}
	c.rpcFlags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write (default: print it)")
	return cmd
}

type verifyFlags struct{ genesis, trust, document, registry string }

func (c *cli) proofVerify() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify a proof file offline",
		Long: `Verify a proof file offline and print what it proves. The genesis or trust file says which chain and whose signatures to
believe: take it from a source of your own, not from whoever gave you the proof.

With --document and --registry it also checks that the proven transaction put the document's digest on record in that registry.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.verifyProof(args[0], &f) },
	}
	cmd.Flags().StringVar(&f.genesis, "genesis", "", "the chain's genesis.json")
	cmd.Flags().StringVar(&f.trust, "trust", "", "a trust file, instead of --genesis")
	cmd.Flags().StringVar(&f.document, "document", "", "document that the transaction is to have notarised")
	cmd.Flags().StringVar(&f.registry, "registry", "", "address of the evidence contract, with --document")
	return cmd
}

// provenView is what a proof proves.
type provenView struct {
	Holds     bool            `json:"holds"`
	ChainID   uint64          `json:"chainId"`
	TxHash    common.Hash     `json:"transaction"`
	Kind      string          `json:"kind"`
	From      common.Address  `json:"from"`
	To        *common.Address `json:"to,omitempty"`
	Contract  *common.Address `json:"contractAddress,omitempty"`
	Succeeded bool            `json:"succeeded"`
	Height    uint64          `json:"block"`
	BlockHash common.Hash     `json:"blockHash"`
	Time      time.Time       `json:"time"`
	Certified uint64          `json:"certifiedBlock"`
	Signers   []string        `json:"signers"`
	Quorum    int             `json:"quorum"`
	Of        int             `json:"validators"`
	Work      *workView       `json:"work,omitempty"`
	Logs      []logView       `json:"logs,omitempty"`
	Document  *documentView   `json:"document,omitempty"`
}

// workView is what speaks for a block of a chain of work.
type workView struct {
	NamedBy       uint64 `json:"namedByBlock"`
	Confirmations int    `json:"confirmations"`
	Hashes        string `json:"hashes"`
	Total         string `json:"totalHashes"`
	Asked         string `json:"askedFor"`
}

type documentView struct {
	File   string         `json:"file"`
	Digest common.Hash    `json:"digest"`
	Hash   string         `json:"hash"`
	By     common.Address `json:"notarisedBy"`
	Name   string         `json:"name"`
	Time   time.Time      `json:"time"`
}

func (c *cli) verifyProof(file string, f *verifyFlags) error {
	if (f.document == "") != (f.registry == "") {
		return usagef("--document and --registry belong together")
	}
	trust, err := readTrust(f.genesis, f.trust)
	if err != nil {
		return err
	}
	b, err := readUpTo(file, client.MaxProofSize)
	if err != nil {
		return fmt.Errorf("read the proof: %w", err)
	}
	p, err := client.ParseProof(b)
	if err != nil {
		return err
	}
	proven, err := client.Verify(p, trust)
	if err != nil {
		return err
	}
	v := viewProven(proven)
	if v.Work != nil {
		v.Work.Asked = trust.Work.LeastWork.ToInt().String()
	}
	if f.document != "" {
		registry, err := parseAddress(f.registry)
		if err != nil {
			return err
		}
		if v.Document, err = proveDocument(proven, trust.Suite, registry, f.document); err != nil {
			return err
		}
	}
	return c.print(v, v.text)
}

func proveDocument(proven *client.Proven, suite string, registry common.Address, path string) (*documentView, error) {
	digest, err := client.DigestFile(suite, path)
	if err != nil {
		return nil, err
	}
	n, err := proven.Notarised(registry, digest)
	if err != nil {
		return nil, err
	}
	return &documentView{path, n.Digest, client.HashName(suite), n.By, n.Name, n.Time}, nil
}

func viewProven(p *client.Proven) *provenView {
	v := &provenView{Holds: true, ChainID: p.ChainID, TxHash: p.TxHash, Kind: p.Kind, From: p.From, To: p.To, Contract: p.Contract, Succeeded: p.Succeeded, Height: p.Height,
		BlockHash: p.BlockHash, Time: p.Time, Certified: p.CertifiedHeight, Quorum: p.Quorum, Of: p.Validators}
	if w := p.Work; w != nil {
		v.Work = &workView{NamedBy: w.Named, Confirmations: w.Confirmations, Hashes: w.Hashes.String(), Total: w.Total.String()}
	}
	for _, s := range p.Signers {
		v.Signers = append(v.Signers, s.Name)
	}
	for _, l := range p.Logs {
		v.Logs = append(v.Logs, describeLog(l, &apps.Evidence.ABI))
	}
	return v
}

func (v *provenView) text(w io.Writer) {
	fmt.Fprintf(w, "the proof holds\t\ntransaction\t%s\nfrom\t%s\nsigned with\t%s\n", v.TxHash, v.From, v.Kind)
	if v.To != nil {
		fmt.Fprintf(w, "to\t%s\n", v.To)
	}
	if v.Contract != nil {
		fmt.Fprintf(w, "contract\t%s\n", v.Contract)
	}
	outcome := "succeeded"
	if !v.Succeeded {
		outcome = "failed"
	}
	fmt.Fprintf(w, "outcome\t%s\nchain\t%d\nblock\t%d, %s\ntime\t%s\n", outcome, v.ChainID, v.Height, v.BlockHash, v.Time.Format(timeLayout))
	if work := v.Work; work != nil {
		fmt.Fprintf(w, "nobody signs\twork speaks for it: block %d names its header, and %d blocks from that one on took %s hashes on average (%s are asked for)\n",
			work.NamedBy, work.Confirmations, work.Hashes, work.Asked)
		fmt.Fprintf(w, "\tforging it costs that work: compare it with what the chain's blocks take today\n")
	} else {
		fmt.Fprintf(w, "signed by\t%d of %d validators (%d needed), on block %d: %v\n", len(v.Signers), v.Of, v.Quorum, v.Certified, v.Signers)
	}
	for _, l := range v.Logs {
		l.text(w)
	}
	if d := v.Document; d != nil {
		fmt.Fprintf(w, "document\t%s\ndigest\t%s, %s\nnotarised\tby %s as %q at %s\n", d.File, d.Digest, d.Hash, d.By, d.Name, d.Time.Format(time.RFC3339))
	}
}

func (c *cli) proofTrust() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "trust FILE",
		Short: "Print the trust file of a chain: its genesis hash, validators and quorum",
		Long: `Print the trust file of a chain: its genesis hash, validators and quorum. FILE is the genesis, or an older trust file.

With --follow it is that of the present validators: a node gives the changes of the set, each of which the set before it must have signed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := readTrust(args[0], "")
			if err != nil {
				return err
			}
			if follow {
				if t, err = c.followSets(cmd.Context(), t); err != nil {
					return err
				}
			}
			_, err = c.out.Write(t.Encode())
			return err
		},
	}
	c.rpcFlags(cmd)
	cmd.Flags().BoolVar(&follow, "follow", false, "walk to the present validators by what the node at --rpc has; nothing of it is believed")
	return cmd
}

// followSets walks from t's validators to the present ones.
func (c *cli) followSets(ctx context.Context, t *client.Trust) (*client.Trust, error) {
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	for from := uint64(t.From) + 1; ; {
		changes, err := conn.SetChanges(ctx, from)
		if err != nil || len(changes) == 0 {
			return t, err
		}
		last := uint64(changes[len(changes)-1].From)
		if last < from {
			return nil, fmt.Errorf("the node gives changes of the validator set before block %d, which was not asked for", from)
		}
		if t, err = t.Follow(changes); err != nil {
			return nil, err
		}
		from = last + 1
	}
}

func readTrust(genesis, trust string) (*client.Trust, error) {
	file := genesis
	switch {
	case genesis != "" && trust != "":
		return nil, usagef("--genesis and --trust exclude each other")
	case genesis == "" && trust == "":
		return nil, usagef("whom to trust? give the chain's --genesis FILE or a --trust FILE")
	case genesis == "":
		file = trust
	}
	b, err := readUpTo(file, client.MaxGenesisSize)
	if err != nil {
		return nil, fmt.Errorf("read whom to trust: %w", err)
	}
	t, err := client.ParseTrust(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return t, nil
}
