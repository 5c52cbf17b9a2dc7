package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

func (c *cli) engineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "The consensus engine of the chain, and the votes that change it",
		Long: `The consensus engine of the chain, and the votes that change it.

A network changes its engine by its validators' votes, without a restart anywhere: a proposal passes when a quorum of them (3 of 4, 5 of 7) has voted
for it, and the new engine orders from 64 blocks later on. The way leads from solo to raft, from raft to bft and from bft to pos, and back, but not to
solo: one node alone would take over from several. "propose" votes for an open proposal of the same engine if there is one, so that all validators may
run the same command.`,
		Example: `  jialing engine show
  jialing engine propose bft --from 0x3C44…93BC
  jialing engine vote 2 --from 0x90F7…b906`,
	}
	c.rpcFlags(cmd)
	cmd.AddCommand(c.engineShow(), c.enginePropose(), c.engineNumbered("vote", "Vote for a proposal"),
		c.engineNumbered("execute", "Apply a proposal that has its votes and was hindered"), c.engineNumbered("withdraw", "Take back a proposal of one's own"))
	return cmd
}

func (c *cli) enginePropose() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "propose ENGINE", Short: "Propose another engine (raft, bft or pos), or vote for that proposal if it is there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			code := slices.Index(govern.EngineCodes, chain.EngineKind(args[0]))
			if code < 1 {
				return usagef("ENGINE %q: use one of %s", args[0], strings.Join(changeableTo(), ", "))
			}
			return c.withEngines(cmd.Context(), func(ctx context.Context, e *engines) error {
				open, err := e.open(ctx)
				if err != nil {
					return err
				}
				for _, p := range open {
					if p.Engine == args[0] {
						return e.send(ctx, &f, "vote", p.Number)
					}
				}
				return e.send(ctx, &f, "propose", uint8(code))
			})
		},
	}
	c.voteFlags(cmd, &f)
	return cmd
}

func changeableTo() (words []string) {
	for _, kind := range govern.EngineCodes[1:] {
		words = append(words, string(kind))
	}
	return words
}

// engineNumbered is a command whose name is the contract's method on a proposal.
func (c *cli) engineNumbered(method, short string) *cobra.Command {
	return c.numbered(method, short, func(ctx context.Context, f *txFlags, n uint64) error {
		return c.withEngines(ctx, func(ctx context.Context, e *engines) error { return e.send(ctx, f, method, n) })
	})
}

func (c *cli) engineShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show which engine rules, which one is to come, which ones there could be, and the open proposals", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withEngines(cmd.Context(), func(ctx context.Context, e *engines) error {
				v, err := e.view(ctx)
				if err != nil {
					return err
				}
				return c.print(v, func(w io.Writer) { v.text(w) })
			})
		},
	}
}

// engineHindrances are the contract's enum Hindrance, for people.
var engineHindrances = []string{"", "it rules already", "another change has been decided and does not rule yet", "the genesis has no parameters for it",
	"it needs more validators (raft 3, bft and pos 4)", "fewer than four validators have staked enough to stand for election",
	"one node alone would take over from several"}

var enginesContract = systemContract{
	address:    chain.EnginesAddress,
	abi:        govern.EnginesABI,
	view:       "ruling",
	gas:        govern.EnginesGas,
	absent:     errors.New("this chain's engine cannot change: its genesis does not hold the engines contract"),
	hindrances: engineHindrances,
}

// engines is the contract on the node that the flags name.
type engines struct{ systemClient }

func (c *cli) withEngines(ctx context.Context, do func(context.Context, *engines) error) error {
	return c.withSystem(ctx, &enginesContract, func(ctx context.Context, s systemClient) error { return do(ctx, &engines{s}) })
}

// engineProposal is an open one.
type engineProposal struct {
	Number    uint64   `json:"proposal"`
	Engine    string   `json:"engine"`
	Proposer  uint64   `json:"proposer"`
	Voters    []uint64 `json:"voters"`
	Votes     uint64   `json:"votes"`
	Needed    uint64   `json:"needed"`
	Expires   uint64   `json:"expires"`
	Hindrance string   `json:"hindrance,omitempty"`
}

// open lists the proposals on which one may vote.
func (e *engines) open(ctx context.Context) ([]engineProposal, error) {
	return openProposals(ctx, &e.systemClient, e.proposal)
}

func (e *engines) proposal(ctx context.Context, n uint64) (*engineProposal, error) {
	out, err := e.call(ctx, "proposalOf", n)
	if err != nil {
		return nil, err
	}
	type content struct {
		Engine            uint8
		Proposer, Expires uint64
		Voters            []uint64
	}
	p := *abi.ConvertType(out[0], new(content)).(*content)
	word, err := engineWord(p.Engine)
	if err != nil {
		return nil, err
	}
	view := &engineProposal{n, word, p.Proposer, p.Voters, out[1].(*big.Int).Uint64(), out[2].(*big.Int).Uint64(), p.Expires, ""}
	view.Hindrance, err = engineHindrance(out[3].(uint8))
	return view, err
}

func engineWord(code uint8) (string, error) {
	if code == 0 || int(code) >= len(govern.EngineCodes) {
		return "", fmt.Errorf("the node's contract names engine %d, which this version does not know", code)
	}
	return string(govern.EngineCodes[code]), nil
}

func engineHindrance(code uint8) (string, error) {
	if int(code) >= len(engineHindrances) {
		return "", fmt.Errorf("the node's contract names hindrance %d, which this version does not know", code)
	}
	return engineHindrances[code], nil
}

// send calls the contract in a transaction and says what came of it.
func (e *engines) send(ctx context.Context, f *txFlags, method string, args ...any) error {
	return sendSystem(ctx, &e.systemClient, systemCall{flags: f, method: method, args: args}, e.outcome)
}

// engineOutcome is what a transaction to the contract did.
type engineOutcome struct {
	Transaction common.Hash `json:"transaction"`
	Block       uint64      `json:"block"`
	Proposal    uint64      `json:"proposal"`
	Votes       uint64      `json:"votes"`
	Needed      uint64      `json:"needed"`
	// Passed with Engine and From: that engine rules from that block on.
	Passed    bool   `json:"passed"`
	Engine    string `json:"engine,omitempty"`
	From      uint64 `json:"from,omitempty"`
	Withdrawn bool   `json:"withdrawn,omitempty"`
	// Hindrance says why a proposal with enough votes has not passed.
	Hindrance string `json:"hindrance,omitempty"`
}

// outcome reads it from the receipt's events.
func (e *engines) outcome(ctx context.Context, r *types.Receipt) (*engineOutcome, error) {
	out := &engineOutcome{Transaction: r.TxHash, Block: r.BlockNumber.Uint64()}
	for _, l := range r.Logs {
		if l.Address != chain.EnginesAddress || len(l.Topics) < 2 {
			continue // the validators contract's
		}
		event, values, err := enginesContract.event(l)
		if err != nil {
			return nil, err
		}
		switch event {
		case "Lapsed":
			continue // other proposals, which made room
		case "Voted":
			out.Votes, out.Needed = values[0].(*big.Int).Uint64(), values[1].(*big.Int).Uint64()
		case "Changed":
			out.Passed, out.From = true, values[1].(uint64)
			if out.Engine, err = engineWord(values[0].(uint8)); err != nil {
				return nil, err
			}
		case "Withdrawn":
			out.Withdrawn = true
		}
		out.Proposal = new(big.Int).SetBytes(l.Topics[1][:]).Uint64()
	}
	if out.Votes >= out.Needed && !out.Passed && !out.Withdrawn {
		p, err := e.proposal(ctx, out.Proposal)
		if err != nil {
			return nil, err
		}
		out.Hindrance = p.Hindrance
	}
	return out, nil
}

func (o *engineOutcome) text(w io.Writer) {
	fmt.Fprintf(w, "transaction\t%s\nproposal\t%d\n", o.Transaction, o.Proposal)
	switch {
	case o.Withdrawn:
		fmt.Fprintf(w, "result\twithdrawn\n")
	case o.Passed:
		fmt.Fprintf(w, "result\tpassed in block %d: %s rules from block %d on\n", o.Block, o.Engine, o.From)
	case o.Votes >= o.Needed:
		fmt.Fprintf(w, "result\t%d of %d votes, but not applied: %s\n", o.Votes, o.Needed, o.Hindrance)
	default:
		fmt.Fprintf(w, "result\t%d of %d votes: %d more to go, with \"jialing engine vote %d\"\n", o.Votes, o.Needed, o.Needed-o.Votes, o.Proposal)
	}
}
