package main

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/pki"
)

// what says what the proposal would do.
func (p *orgProposal) what() string {
	switch p.Kind {
	case 0:
		return fmt.Sprintf("register %s with %s, admin %s", printable(p.Name), plural(len(p.Roots), "root"), p.Admin)
	case 1:
		return "remove " + printable(p.Name)
	}
	var serials []string
	for _, s := range p.Serials {
		serials = append(serials, fmt.Sprintf("%x", s))
	}
	return fmt.Sprintf("revoke of %s: %s", printable(p.Name), strings.Join(serials, ", "))
}

// orgOutcome is what a transaction to the contract did.
type orgOutcome struct {
	Transaction common.Hash `json:"transaction"`
	Block       uint64      `json:"block"`
	Proposal    uint64      `json:"proposal,omitempty"`
	Votes       uint64      `json:"votes,omitempty"`
	Needed      uint64      `json:"needed,omitempty"`
	// Done says what was changed, "" where nothing was yet.
	Done string `json:"done,omitempty"`
}

// orgOutcomeOf reads it from the receipt's events.
func orgOutcomeOf(_ context.Context, r *types.Receipt) (*orgOutcome, error) {
	out := &orgOutcome{Transaction: r.TxHash, Block: r.BlockNumber.Uint64()}
	for _, l := range r.Logs {
		if l.Address != govern.OrganisationsAddress || len(l.Topics) == 0 {
			return nil, fmt.Errorf("the transaction's receipt holds an event that is not the organisations contract's")
		}
		event, values, err := organisationsContract.event(l)
		if err != nil {
			return nil, err
		}
		if len(l.Topics) > 1 {
			out.Proposal = new(big.Int).SetBytes(l.Topics[1][:]).Uint64()
		}
		switch event {
		case "Voted":
			out.Votes, out.Needed = values[0].(*big.Int).Uint64(), values[1].(*big.Int).Uint64()
		case "Withdrawn":
			out.Done = "withdrawn"
		case "Registered":
			out.Done = fmt.Sprintf("%s is registered", printable(values[0].(string)))
		case "Removed":
			out.Done = fmt.Sprintf("%s is removed", printable(values[0].(string)))
		case "Revoked":
			out.Done = fmt.Sprintf("%s of %s revoked", plural(len(values[1].([]*big.Int)), "certificate"), printable(values[0].(string)))
		case "IntermediatesSet":
			out.Done = fmt.Sprintf("%s has %s", printable(values[0].(string)), plural(int(values[1].(*big.Int).Int64()), "intermediate"))
		}
	}
	return out, nil
}

func (o *orgOutcome) text(w io.Writer) {
	fmt.Fprintf(w, "transaction\t%s\n", o.Transaction)
	if o.Proposal != 0 {
		fmt.Fprintf(w, "proposal\t%d\n", o.Proposal)
	}
	switch {
	case o.Done != "":
		fmt.Fprintf(w, "result\t%s, in block %d\n", o.Done, o.Block)
	case o.Needed > o.Votes:
		fmt.Fprintf(w, "result\t%d of %d votes: %d more to go, with \"jialing ca vote %d\"\n", o.Votes, o.Needed, o.Needed-o.Votes, o.Proposal)
	}
}

func (c *cli) caProposals() *cobra.Command {
	cmd := &cobra.Command{
		Use: "proposals", Short: "List the proposals about organisations on which the validators may vote", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOrganisations(cmd.Context(), func(ctx context.Context, o *organisations) error {
				open, err := o.open(ctx)
				if err != nil {
					return err
				}
				type view struct {
					Number   uint64 `json:"proposal"`
					Proposer uint64 `json:"proposer"`
					Votes    uint64 `json:"votes"`
					Needed   uint64 `json:"needed"`
					Expires  uint64 `json:"expires"`
					What     string `json:"what"`
				}
				all := make([]view, len(open))
				for i, p := range open {
					all[i] = view{p.Number, p.Proposer, p.Votes, p.Needed, p.Expires, p.what()}
				}
				return c.print(all, func(w io.Writer) {
					if len(all) == 0 {
						fmt.Fprintln(w, "there is no open proposal")
						return
					}
					fmt.Fprintln(w, "PROPOSAL\tBY\tVOTES\tEXPIRES AFTER\tWHAT")
					for _, p := range all {
						fmt.Fprintf(w, "%d\tvalidator %d\t%d of %d\tblock %d\t%s\n", p.Number, p.Proposer, p.Votes, p.Needed, p.Expires, p.What)
					}
				})
			})
		},
	}
	c.rpcFlags(cmd)
	return cmd
}

// organisationView is one of the chain's organisations.
type organisationView struct {
	Name          string         `json:"name"`
	Admin         common.Address `json:"admin"`
	Roots         []*pki.Shown   `json:"roots"`
	Intermediates []*pki.Shown   `json:"intermediates"`
	Revoked       []string       `json:"revoked"`
}

func (c *cli) caOrganisations() *cobra.Command {
	cmd := &cobra.Command{
		Use: "organisations", Short: "List the chain's organisations with their certificates", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOrganisations(cmd.Context(), func(ctx context.Context, o *organisations) error {
				all, err := o.list(ctx)
				if err != nil {
					return err
				}
				return c.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "ORGANISATION\tADMIN\tCERTIFICATE\tVALID UNTIL\tREVOKED")
					for _, o := range all {
						for i, s := range append(o.Roots, o.Intermediates...) {
							name, admin, revoked := "", "", ""
							if i == 0 {
								name, admin, revoked = printable(o.Name), o.Admin.Hex(), fmt.Sprint(len(o.Revoked))
							}
							fmt.Fprintf(w, "%s\t%s\t%s\t%s (%s)\t%s\n", name, admin, printable(s.Name), s.NotAfter.Format(time.DateOnly), untilText(time.Until(s.NotAfter)), revoked)
						}
					}
				})
			})
		},
	}
	c.rpcFlags(cmd)
	return cmd
}

func (o *organisations) list(ctx context.Context) ([]organisationView, error) {
	out, err := o.call(ctx, "names")
	if err != nil {
		return nil, err
	}
	var all []organisationView
	for _, name := range out[0].([]string) {
		out, err := o.call(ctx, "organisationOf", name)
		if err != nil {
			return nil, err
		}
		type content struct {
			Id                   uint64 //nolint:revive // the ABI's name
			Admin                common.Address
			Name                 string
			Roots, Intermediates [][]byte
			Revoked              []*big.Int
		}
		got := abi.ConvertType(out[0], new(content)).(*content)
		v := organisationView{Name: got.Name, Admin: got.Admin, Roots: describeAll(got.Roots), Intermediates: describeAll(got.Intermediates), Revoked: []string{}}
		for _, s := range got.Revoked {
			v.Revoked = append(v.Revoked, fmt.Sprintf("%x", s))
		}
		all = append(all, v)
	}
	return all, nil
}

// describeAll shows certificates; one that cannot be read has a name that says so.
func describeAll(certificates [][]byte) []*pki.Shown {
	out := []*pki.Shown{}
	for _, der := range certificates {
		s, err := describe(der)
		if err != nil {
			s = &pki.Shown{Name: "unreadable: " + err.Error()}
		}
		out = append(out, s)
	}
	return out
}
