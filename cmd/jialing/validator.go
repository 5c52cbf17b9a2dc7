package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/govern"
)

func (c *cli) validatorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validator",
		Short: "Who orders and attests blocks, and the votes that change that",
		Long: `Who orders and attests blocks, and the votes that change that.

The validators of a network change by their own votes, sent from their accounts: a proposal passes when a quorum of them (3 of 4, 5 of 7) has
voted for it, and takes effect 64 blocks later, without a restart anywhere. Whoever runs the same "add" or "remove" as another validator before
votes for that proposal; "vote" does so by its number.`,
		Example: `  jialing validator list
  jialing validator add 0x8f6a…01 0x7099…79C8 "Bank of Chongqing" --endpoint node5.example:30301 --from 0x3C44…93BC
  jialing validator proposals
  jialing validator vote 7 --from 0x90F7…b906`,
	}
	c.rpcFlags(cmd)
	cmd.AddCommand(c.validatorList(), c.validatorProposals(), c.validatorAdd(), c.validatorChange(), c.validatorRemove(), c.validatorVote(),
		c.validatorNumbered("execute", "Apply a proposal that has its votes and was hindered"),
		c.validatorNumbered("withdraw", "Take back a proposal of one's own"))
	return cmd
}

// voteFlags are those of sending to the contract.
func (c *cli) voteFlags(cmd *cobra.Command, f *txFlags) {
	c.keystoreFlags(cmd)
	f.value = "0"
	cmd.Flags().StringVar(&f.from, "from", "", "the validator's account: an ADDRESS of the keystore, or dev:0 … dev:9 on a network made with --dev")
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "file with the account's private key in hex, instead of --from")
	cmd.Flags().StringVar(&f.keyKind, "key-kind", client.KindSecp256k1, "kind of the key in --key-file: secp256k1 or sm2")
	cmd.Flags().Uint64Var(&f.gas, "gas", 0, "gas limit (default: the node's estimate)")
	cmd.Flags().StringVar(&f.nonce, "nonce", "", "nonce (default: the account's next)")
	cmd.Flags().StringVar(&f.maxFee, "max-fee", "", "most to pay per gas, like 2gwei (default: the node's suggestion)")
	cmd.Flags().StringVar(&f.tip, "tip", "", "tip per gas, like 1gwei (default: the node's suggestion)")
}

func (c *cli) validatorAdd() *cobra.Command {
	var f txFlags
	var endpoint string
	cmd := &cobra.Command{
		Use:   "add PUBLIC-KEY ACCOUNT NAME",
		Short: "Propose another validator, or vote for that proposal if it is there",
		Long: `Propose another validator, or vote for that proposal if it is there: all validators may run the same command.

PUBLIC-KEY is the node's, as "jialing node join" prints it; ACCOUNT is the address that will vote for the validator and be its blocks' COINBASE.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := parseEntry(args[0], args[1], args[2], endpoint)
			if err != nil {
				return err
			}
			return c.withContract(cmd.Context(), func(ctx context.Context, v *validators) error {
				if err := v.checkKey(ctx, e.PublicKey); err != nil {
					return err
				}
				return v.proposeOrVote(ctx, &f, proposal{Kind: kindAdd, entry: *e}, "proposeAdd", e.PublicKey, e.Account, e.Name, e.Endpoint)
			})
		},
	}
	c.voteFlags(cmd, &f)
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "host:port where other nodes reach it")
	return cmd
}

func (c *cli) validatorRemove() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "remove ID", Short: "Propose that a validator be one no longer, or vote for that proposal if it is there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseUint64(args[0])
			if err != nil {
				return usagef("ID: %w", err)
			}
			return c.withContract(cmd.Context(), func(ctx context.Context, v *validators) error {
				return v.proposeOrVote(ctx, &f, proposal{Kind: kindRemove, Target: id}, "proposeRemove", id)
			})
		},
	}
	c.voteFlags(cmd, &f)
	return cmd
}

func (c *cli) validatorChange() *cobra.Command {
	var f txFlags
	var publicKey, account, name, endpoint string
	cmd := &cobra.Command{
		Use: "change", Short: "Propose another key, account, name or endpoint for oneself", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withContract(cmd.Context(), func(ctx context.Context, v *validators) error {
				own, err := v.own(ctx, &f)
				if err != nil {
					return err
				}
				for _, flag := range []struct {
					given string
					to    *string
				}{{name, &own.Name}, {endpoint, &own.Endpoint}} {
					if flag.given != "" {
						*flag.to = flag.given
					}
				}
				key, address := hexutil.Encode(own.PublicKey), own.Account.Hex()
				if publicKey != "" {
					key = publicKey
				}
				if account != "" {
					address = account
				}
				e, err := parseEntry(key, address, own.Name, own.Endpoint)
				if err != nil {
					return err
				}
				if err := v.checkKey(ctx, e.PublicKey); err != nil {
					return err
				}
				return v.send(ctx, &f, "proposeChange", e.PublicKey, e.Account, e.Name, e.Endpoint)
			})
		},
	}
	c.voteFlags(cmd, &f)
	cmd.Flags().StringVar(&publicKey, "public-key", "", "the node's new public key")
	cmd.Flags().StringVar(&account, "account", "", "the new account")
	cmd.Flags().StringVar(&name, "name", "", "the new name")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "the new host:port where other nodes reach it")
	return cmd
}

func (c *cli) validatorVote() *cobra.Command {
	return c.validatorNumbered("vote", "Vote for a proposal")
}

// validatorNumbered is a command whose name is the contract's method on a proposal.
func (c *cli) validatorNumbered(method, short string) *cobra.Command {
	return c.numbered(method, short, func(ctx context.Context, f *txFlags, n uint64) error {
		return c.withContract(ctx, func(ctx context.Context, v *validators) error { return v.send(ctx, f, method, n) })
	})
}

var validatorsContract = systemContract{
	address:    govern.Address,
	abi:        govern.ABI,
	view:       "validators",
	gas:        govern.ApplyGas,
	absent:     errors.New(`this chain's validators cannot change: its engine is "solo"`),
	hindrances: hindrances,
}

// validators is the contract on the node that the flags name.
type validators struct{ systemClient }

func (c *cli) withContract(ctx context.Context, do func(context.Context, *validators) error) error {
	return c.withSystem(ctx, &validatorsContract, func(ctx context.Context, s systemClient) error { return do(ctx, &validators{s}) })
}

func parseEntry(publicKey, account, name, endpoint string) (*entry, error) {
	key, err := hexutil.Decode(publicKey)
	if err != nil || len(key) == 0 || len(key) > govern.MaxKey {
		return nil, usagef("public key %q: write 0x and its hex digits, as \"jialing node join\" prints them", publicKey)
	}
	address, err := parseAddress(account)
	if err != nil {
		return nil, err
	}
	if err := parseStaker(name, endpoint); err != nil {
		return nil, err
	}
	return &entry{key, address, name, endpoint}, nil
}

// checkKey refuses a key that the chain's suite does not know: a validator with such a one could never sign, and would count all the same.
func (v *validators) checkKey(ctx context.Context, key []byte) error {
	suite, err := v.suite(ctx)
	if err != nil {
		return err
	}
	if _, err := suite.ParsePublicKey(key); err != nil {
		return usagef("%s is no public key of suite %q: %w", hexutil.Encode(key), suite.Name(), err)
	}
	return nil
}

// own is the present entry of the sender.
func (v *validators) own(ctx context.Context, f *txFlags) (*entry, error) {
	from, err := v.sender(f)
	if err != nil {
		return nil, err
	}
	members, err := v.members(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.Account == from.Address() {
			return &entry{m.PublicKey, m.Account, m.Name, m.Endpoint}, nil
		}
	}
	return nil, fmt.Errorf("%s is no validator's account", from.Address())
}

// proposeOrVote votes for an open proposal of this content, or makes it.
func (v *validators) proposeOrVote(ctx context.Context, f *txFlags, want proposal, method string, args ...any) error {
	open, err := v.open(ctx)
	if err != nil {
		return err
	}
	for _, p := range open {
		if p.same(&want) {
			return v.send(ctx, f, "vote", p.Number)
		}
	}
	return v.send(ctx, f, method, args...)
}

// send calls the contract in a transaction and says what came of it.
func (v *validators) send(ctx context.Context, f *txFlags, method string, args ...any) error {
	return sendSystem(ctx, &v.systemClient, systemCall{flags: f, method: method, args: args}, v.outcome)
}

// entry is what a proposal puts into the set.
type entry struct {
	PublicKey []byte
	Account   common.Address
	Name      string
	Endpoint  string
}
