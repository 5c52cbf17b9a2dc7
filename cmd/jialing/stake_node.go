package main

import (
	"context"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
)

// nodeProof is a node key and its word that an account may register it.
type nodeProof struct {
	PublicKey hexutil.Bytes `json:"publicKey"`
	Signature hexutil.Bytes `json:"signature"`
}

// proofFlags say where a command gets one from.
type proofFlags struct {
	node, passFile       string
	publicKey, signature string
}

func (p *proofFlags) register(cmd *cobra.Command) {
	p.folder(cmd)
	cmd.Flags().StringVar(&p.publicKey, "public-key", "", "the node's public key, where \"jialing stake prove\" has run elsewhere, with --signature")
	cmd.Flags().StringVar(&p.signature, "signature", "", "what \"jialing stake prove\" has printed")
}

func (p *proofFlags) folder(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.node, "node", "", "the node's folder, whose key signs that the account may register it")
	cmd.Flags().StringVar(&p.passFile, "node-passphrase-file", "", "file of mode 0600 with the passphrase of the node's key (default: key.passphrase_file in node.toml, "+
		"else as for accounts)")
}

// sender opens the account that sends, with the proof for it.
func (p *proofFlags) sender(c *cli, f *txFlags) (client.Account, *nodeProof, error) {
	from, err := c.signer(f.from, f.keyFile, f.keyKind)
	if err != nil {
		return nil, nil, err
	}
	proof, err := p.proof(c, from.Address())
	return from, proof, err
}

// proof is what the flags say, for an account.
func (p *proofFlags) proof(c *cli, account common.Address) (*nodeProof, error) {
	switch {
	case p.node != "" && (p.publicKey != "" || p.signature != ""):
		return nil, usagef("--node and --public-key exclude each other")
	case p.node != "":
		return p.sign(c, account)
	case p.publicKey == "" || p.signature == "":
		return nil, usagef("which node? give --node FOLDER, or --public-key and --signature from \"jialing stake prove\"")
	}
	key, err := hexutil.Decode(p.publicKey)
	if err != nil {
		return nil, usagef("--public-key: write 0x and its hex digits")
	}
	sig, err := hexutil.Decode(p.signature)
	if err != nil {
		return nil, usagef("--signature: write 0x and its hex digits")
	}
	return &nodeProof{key, sig}, nil
}

// sign opens the node's key and lets it sign for the account.
func (p *proofFlags) sign(c *cli, account common.Address) (*nodeProof, error) {
	key, genesis, err := p.open(c)
	if err != nil {
		return nil, err
	}
	if device, ok := key.(io.Closer); ok {
		defer device.Close()
	}
	sig, err := key.Sign(govern.StakeMessage(genesis, account))
	if err != nil {
		return nil, fmt.Errorf("sign with the node's key: %w", err)
	}
	return &nodeProof{key.Public().Bytes(), sig}, nil
}

// open opens the node's key, and says which chain it is of. A key in a device is to be closed.
func (p *proofFlags) open(c *cli) (key crypto.PrivateKey, genesis crypto.Hash, err error) {
	cfg, err := node.LoadConfig(p.node)
	if err != nil {
		return nil, genesis, err
	}
	g, err := node.LoadGenesis(p.node)
	if err != nil {
		return nil, genesis, err
	}
	trust, err := client.TrustFromGenesis(g.Encode())
	if err != nil {
		return nil, genesis, err
	}
	cfg.Passphrases = keys.Sources{Flag: p.passFile}
	if tty := c.terminal(); tty != nil {
		cfg.Passphrases.Terminal = tty
	}
	key, err = node.LoadKey(cfg, g)
	return key, crypto.Hash(trust.Genesis), err
}

func (c *cli) stakeProve() *cobra.Command {
	var p proofFlags
	cmd := &cobra.Command{
		Use: "prove ACCOUNT", Short: "Let a node's key sign that an account may register it, where the account is not at hand", Args: cobra.ExactArgs(1),
		Long: `Let a node's key sign that an account may register it. It is for nodes that live elsewhere than the account: take what it prints to "jialing stake register"
or "jialing stake key" as --public-key and --signature. It is good for that account on that chain alone.`,
		RunE: func(_ *cobra.Command, args []string) error {
			account, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			if p.node == "" {
				return usagef("--node: which node?")
			}
			proof, err := p.sign(c, account)
			if err != nil {
				return err
			}
			return c.print(proof, func(w io.Writer) { fmt.Fprintf(w, "public key\t%s\nsignature\t%s\n", proof.PublicKey, proof.Signature) })
		},
	}
	p.folder(cmd)
	return cmd
}

func (c *cli) stakeRegister() *cobra.Command {
	var f txFlags
	var p proofFlags
	var stake, commission, endpoint string
	cmd := &cobra.Command{
		Use: "register NAME", Short: "Register a validator with its own stake; it stands for election at once", Args: cobra.ExactArgs(1),
		Long: `Register a validator with its own stake; it stands for election at once. The account is its for ever: it holds the validator's own stake, gets the
commission, and is its blocks' COINBASE. So is the key: who leaves and comes back does so with "stake stand".`,
		RunE: func(cmd *cobra.Command, args []string) error {
			points, err := parseCommission(commission)
			if err != nil {
				return err
			}
			if err := parseStaker(args[0], endpoint); err != nil {
				return err
			}
			from, proof, err := p.sender(c, &f)
			if err != nil {
				return err
			}
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error {
				s.from = from
				amount, err := s.selfStake(ctx, stake)
				if err != nil {
					return err
				}
				return s.send(ctx, &f, amount, "register", []byte(proof.PublicKey), []byte(proof.Signature), args[0], endpoint, points)
			})
		},
	}
	c.stakeFlags(cmd, &f)
	p.register(cmd)
	cmd.Flags().StringVar(&stake, "stake", "", "its own stake, like 1000ether (default: the least that the chain asks for)")
	cmd.Flags().StringVar(&commission, "commission", "0", "which part of its delegators' rewards it keeps, in percent")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "host:port where other nodes reach it")
	return cmd
}

func (c *cli) stakeChange() *cobra.Command {
	var f txFlags
	var name, endpoint string
	cmd := &cobra.Command{
		Use: "change", Short: "Change one's validator's name or endpoint, from the next election on", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error {
				own, err := s.own(ctx, &f)
				if err != nil {
					return err
				}
				if !cmd.Flags().Changed("name") {
					name = own.Name
				}
				if !cmd.Flags().Changed("endpoint") {
					endpoint = own.Endpoint
				}
				if err := parseStaker(name, endpoint); err != nil {
					return err
				}
				return s.send(ctx, &f, nil, "change", name, endpoint)
			})
		},
	}
	c.stakeFlags(cmd, &f)
	cmd.Flags().StringVar(&name, "name", "", "the new name")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "the new host:port where other nodes reach it")
	return cmd
}

func (c *cli) stakeKey() *cobra.Command {
	var f txFlags
	var p proofFlags
	cmd := &cobra.Command{
		Use: "key", Short: "Change one's validator's node key, from the next election on", Args: cobra.NoArgs,
		Long: `Change one's validator's node key, from the next election on: keep the former one at work until then. It stays answerable for what it signed, and only one
change is under way at a time.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, proof, err := p.sender(c, &f)
			if err != nil {
				return err
			}
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error {
				s.from = from
				return s.send(ctx, &f, nil, "changeKey", []byte(proof.PublicKey), []byte(proof.Signature))
			})
		},
	}
	c.stakeFlags(cmd, &f)
	p.register(cmd)
	return cmd
}
