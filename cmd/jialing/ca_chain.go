package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/pki"
)

var organisationsContract = systemContract{
	address: govern.OrganisationsAddress,
	abi:     govern.OrganisationsABI,
	view:    "names",
	gas:     govern.RegisterGas,
	absent:  errors.New("this chain's genesis lists no organisations: its nodes are admitted by their keys"),
}

// organisations is the contract on the node that the flags name.
type organisations struct{ systemClient }

func (c *cli) withOrganisations(ctx context.Context, do func(context.Context, *organisations) error) error {
	return c.withSystem(ctx, &organisationsContract, func(ctx context.Context, s systemClient) error { return do(ctx, &organisations{s}) })
}

// chainFlags are those of commands that send to the contract.
func (c *cli) chainFlags(cmd *cobra.Command, f *txFlags) {
	c.rpcFlags(cmd)
	c.voteFlags(cmd, f)
}

func (c *cli) caRegister() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "register ROOT-FILE ADMIN ORGANISATION", Short: "Propose an organisation with its root certificates, or vote for that proposal if it is there", Args: cobra.ExactArgs(3),
		Long: `Propose an organisation with its root certificates, or vote for that proposal if it is there: all validators may run the same command. For an organisation
that the chain has already it replaces roots and admin; to change a root without a gap put the former one and the new one into ROOT-FILE, issue under
the new one, then register it alone. ADMIN is the account that revokes the organisation's certificates.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			admin, err := parseAddress(args[1])
			if err != nil {
				return err
			}
			roots, err := readChain(args[0])
			if err != nil {
				return err
			}
			if len(args[2]) == 0 || len(args[2]) > govern.MaxName {
				return usagef("the organisation's name must have 1 to 64 characters")
			}
			return c.withOrganisations(cmd.Context(), func(ctx context.Context, o *organisations) error {
				if err := o.checkRoots(ctx, roots); err != nil {
					return err
				}
				return o.proposeOrVote(ctx, &f, orgProposal{Kind: 0, Name: args[2], Admin: admin, Roots: roots}, "proposeRegister", args[2], admin, roots)
			})
		},
	}
	c.chainFlags(cmd, &f)
	return cmd
}

func (c *cli) caRemove() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "remove ORGANISATION", Short: "Propose that an organisation's nodes be admitted no longer, or vote for that proposal if it is there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOrganisations(cmd.Context(), func(ctx context.Context, o *organisations) error {
				return o.proposeOrVote(ctx, &f, orgProposal{Kind: 1, Name: args[0]}, "proposeRemove", args[0])
			})
		},
	}
	c.chainFlags(cmd, &f)
	return cmd
}

func (c *cli) caRevoke() *cobra.Command {
	var f txFlags
	var org string
	var propose, print bool
	cmd := &cobra.Command{
		Use: "revoke CERTIFICATE-FILE-OR-SERIAL...", Short: "Revoke certificates: every node lets go of whoever shows one", Args: cobra.MinimumNArgs(1),
		Long: `Revoke certificates, by their files or serial numbers (hex, as "ca show" prints them). The organisation's admin account does so at once; with --propose a
validator proposes it and the validators decide. --print shows the transaction for another wallet instead of sending it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			serials, err := parseSerials(args)
			if err != nil {
				return err
			}
			if org == "" {
				return usagef("--org: whose certificates are they?")
			}
			method := "revoke"
			if propose {
				method = "proposeRevoke"
			}
			if print {
				return c.printCall(method, org, serials)
			}
			return c.withOrganisations(cmd.Context(), func(ctx context.Context, o *organisations) error {
				if propose {
					return o.proposeOrVote(ctx, &f, orgProposal{Kind: 2, Name: org, Serials: serials}, method, org, serials)
				}
				return o.send(ctx, &f, method, org, serials)
			})
		},
	}
	c.chainFlags(cmd, &f)
	cmd.Flags().StringVar(&org, "org", "", "the organisation")
	cmd.Flags().BoolVar(&propose, "propose", false, "propose it as a validator, instead of doing it as the organisation's admin")
	cmd.Flags().BoolVar(&print, "print", false, "print the transaction instead of sending it")
	return cmd
}

// parseSerials takes files and serial numbers.
func parseSerials(args []string) (out []*big.Int, err error) {
	for _, arg := range args {
		serial, ok := new(big.Int).SetString(strings.TrimPrefix(arg, "0x"), 16)
		if !ok {
			chain, err := readChain(arg)
			if err != nil {
				return nil, fmt.Errorf("%q is neither a serial number in hex nor a certificate: %w", arg, err)
			}
			s, err := describe(chain[0])
			if err != nil {
				return nil, err
			}
			serial, _ = new(big.Int).SetString(s.Serial, 16)
		}
		if serial.Sign() <= 0 || len(serial.Bytes()) > govern.MaxSerial {
			return nil, usagef("%q: a serial number has 1 to %d bytes", arg, govern.MaxSerial)
		}
		out = append(out, serial)
	}
	if len(out) > govern.MaxSerials {
		return nil, usagef("at most %d certificates at a time", govern.MaxSerials)
	}
	return out, nil
}

func (c *cli) caIntermediates() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "intermediates ORGANISATION [FILE]", Short: "Replace the intermediates that the chain knows of an organisation, as its admin", Args: cobra.RangeArgs(1, 2),
		Long: `Replace the intermediates that the chain knows of an organisation by those in FILE, or by none. Nodes whose certificates are issued under them need not
show them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			certificates := [][]byte{}
			if len(args) == 2 {
				b, err := readUpTo(args[1], pki.MaxFile)
				if err != nil {
					return fmt.Errorf("read the certificates: %w", err)
				}
				if certificates, err = pki.DecodeChain(b); err != nil {
					return fmt.Errorf("read %s: %w", args[1], err)
				}
			}
			return c.withOrganisations(cmd.Context(), func(ctx context.Context, o *organisations) error {
				return o.send(ctx, &f, "setIntermediates", args[0], certificates)
			})
		},
	}
	c.chainFlags(cmd, &f)
	return cmd
}

// caVote is a command whose name is the contract's method on a proposal.
func (c *cli) caVote(method, short string) *cobra.Command {
	cmd := c.numbered(method, short, func(ctx context.Context, f *txFlags, n uint64) error {
		return c.withOrganisations(ctx, func(ctx context.Context, o *organisations) error { return o.send(ctx, f, method, n) })
	})
	c.rpcFlags(cmd)
	return cmd
}

// printCall shows what an account would send.
func (c *cli) printCall(method string, args ...any) error {
	data, err := govern.OrganisationsABI().Pack(method, args...)
	if err != nil {
		return fmt.Errorf("encode arguments of %s: %w", method, err)
	}
	v := struct {
		To   common.Address `json:"to"`
		Data hexutil.Bytes  `json:"data"`
	}{govern.OrganisationsAddress, data}
	return c.print(v, func(w io.Writer) { fmt.Fprintf(w, "to\t%s\ndata\t%s\n", v.To, v.Data) })
}

// checkRoots refuses certificates that would be of no use as roots on the node's chain.
func (o *organisations) checkRoots(ctx context.Context, roots [][]byte) error {
	suite, err := o.suite(ctx)
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := pki.CheckRoot(suite, root); err != nil {
			return err
		}
	}
	return nil
}

// proposeOrVote votes for an open proposal of this content, or makes it.
func (o *organisations) proposeOrVote(ctx context.Context, f *txFlags, want orgProposal, method string, args ...any) error {
	open, err := o.open(ctx)
	if err != nil {
		return err
	}
	for _, p := range open {
		if p.same(&want) {
			return o.send(ctx, f, "vote", p.Number)
		}
	}
	return o.send(ctx, f, method, args...)
}

// send calls the contract in a transaction and says what came of it.
func (o *organisations) send(ctx context.Context, f *txFlags, method string, args ...any) error {
	return sendSystem(ctx, &o.systemClient, systemCall{flags: f, method: method, args: args}, orgOutcomeOf)
}

// orgProposal is an open one as the contract has it.
type orgProposal struct {
	Number   uint64
	Kind     uint8
	Proposer uint64
	Expires  uint64
	Admin    common.Address
	Name     string
	Roots    [][]byte
	Serials  []*big.Int
	Voters   []uint64

	Votes, Needed uint64
}

func (p *orgProposal) same(o *orgProposal) bool {
	if p.Kind != o.Kind || p.Name != o.Name || p.Admin != o.Admin || len(p.Roots) != len(o.Roots) || len(p.Serials) != len(o.Serials) {
		return false
	}
	for i := range p.Roots {
		if string(p.Roots[i]) != string(o.Roots[i]) {
			return false
		}
	}
	for i := range p.Serials {
		if p.Serials[i].Cmp(o.Serials[i]) != 0 {
			return false
		}
	}
	return true
}

// open lists the proposals on which one may vote.
func (o *organisations) open(ctx context.Context) ([]orgProposal, error) {
	return openProposals(ctx, &o.systemClient, o.proposal)
}

func (o *organisations) proposal(ctx context.Context, n uint64) (*orgProposal, error) {
	out, err := o.call(ctx, "proposalOf", n)
	if err != nil {
		return nil, err
	}
	type content struct {
		Kind              uint8
		Proposer, Expires uint64
		Admin             common.Address
		Name              string
		Roots             [][]byte
		Serials           []*big.Int
		Voters            []uint64
	}
	p := *abi.ConvertType(out[0], new(content)).(*content)
	return &orgProposal{n, p.Kind, p.Proposer, p.Expires, p.Admin, p.Name, p.Roots, p.Serials, p.Voters, out[1].(*big.Int).Uint64(), out[2].(*big.Int).Uint64()}, nil
}
