package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// The contract's enum Kind.
const (
	kindAdd uint8 = iota
	kindRemove
	kindChange
)

var kinds = []string{kindAdd: "add", kindRemove: "remove", kindChange: "change"}

// hindrances are the contract's enum Hindrance, for people.
var hindrances = []string{"", "at least 4 validators must remain", "there are as many validators as there may be", "another validator has that public key",
	"another validator votes with that account", "there is no such validator any more", "one change per block: apply it with \"jialing validator execute\""}

// proposal is an open one as the contract has it.
type proposal struct {
	entry
	Number           uint64
	Kind             uint8
	Proposer, Target uint64
	Expires          uint64
	Voters           []uint64
	Votes, Needed    uint64
	Hindrance        string
}

func (p *proposal) same(o *proposal) bool {
	return p.Kind == o.Kind && p.Target == o.Target && bytes.Equal(p.PublicKey, o.PublicKey) && p.Account == o.Account && p.Name == o.Name && p.Endpoint == o.Endpoint
}

// what says what the proposal would do.
func (p *proposal) what() string {
	entry := fmt.Sprintf("%s (account %s, key %s%s)", printable(p.Name), p.Account, hexutil.Encode(p.PublicKey), at(p.Endpoint))
	switch p.Kind {
	case kindAdd:
		return "add " + entry
	case kindRemove:
		return fmt.Sprintf("remove validator %d", p.Target)
	}
	return fmt.Sprintf("make validator %d %s", p.Target, entry)
}

func at(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	return ", at " + printable(endpoint)
}

// contractMember is a validator as the contract's view returns it; its field names are the ABI's.
type contractMember struct {
	Id        uint64 //nolint:revive // the ABI's name
	Account   common.Address
	Name      string
	Endpoint  string
	PublicKey []byte
}

func (v *validators) members(ctx context.Context) ([]contractMember, error) {
	out, err := v.call(ctx, "validators")
	if err != nil {
		return nil, err
	}
	return *abi.ConvertType(out[0], new([]contractMember)).(*[]contractMember), nil
}

// open lists the proposals on which one may vote.
func (v *validators) open(ctx context.Context) ([]proposal, error) {
	return openProposals(ctx, &v.systemClient, v.proposal)
}

func (v *validators) proposal(ctx context.Context, n uint64) (*proposal, error) {
	out, err := v.call(ctx, "proposalOf", n)
	if err != nil {
		return nil, err
	}
	type content struct {
		Kind                      uint8
		Proposer, Target, Expires uint64
		Account                   common.Address
		Name, Endpoint            string
		PublicKey                 []byte
		Voters                    []uint64
	}
	p := *abi.ConvertType(out[0], new(content)).(*content)
	hindrance := int(out[3].(uint8))
	if hindrance >= len(hindrances) || int(p.Kind) >= len(kinds) {
		return nil, fmt.Errorf("the node's contract names a proposal of kind %d with hindrance %d, which this version does not know", p.Kind, hindrance)
	}
	return &proposal{entry{p.PublicKey, p.Account, p.Name, p.Endpoint}, n, p.Kind, p.Proposer, p.Target, p.Expires, p.Voters,
		out[1].(*big.Int).Uint64(), out[2].(*big.Int).Uint64(), hindrances[hindrance]}, nil
}

// outcomeView is what a transaction to the contract did.
type outcomeView struct {
	Transaction common.Hash `json:"transaction"`
	Block       uint64      `json:"block"`
	Proposal    uint64      `json:"proposal,omitempty"`
	Votes       uint64      `json:"votes"`
	Needed      uint64      `json:"needed"`
	// Passed with From: the change rules from that block on.
	Passed    bool   `json:"passed"`
	From      uint64 `json:"from,omitempty"`
	Withdrawn bool   `json:"withdrawn,omitempty"`
	// Hindrance says why a proposal with enough votes has not passed.
	Hindrance string `json:"hindrance,omitempty"`
}

// outcome reads it from the receipt's events.
func (v *validators) outcome(ctx context.Context, r *types.Receipt) (*outcomeView, error) {
	out := &outcomeView{Transaction: r.TxHash, Block: r.BlockNumber.Uint64()}
	for _, l := range r.Logs {
		event, values, err := decodeEvent(l)
		if err != nil {
			return nil, err
		}
		switch event {
		case "Lapsed":
			continue // other proposals, which made room
		case "Voted":
			out.Votes, out.Needed = values[0].(*big.Int).Uint64(), values[1].(*big.Int).Uint64()
		case "Added", "Removed", "Changed":
			out.Passed, out.From = true, values[len(values)-1].(uint64)
		case "Withdrawn":
			out.Withdrawn = true
		}
		out.Proposal = new(big.Int).SetBytes(l.Topics[1][:]).Uint64()
	}
	if out.Votes >= out.Needed && !out.Passed && !out.Withdrawn {
		p, err := v.proposal(ctx, out.Proposal)
		if err != nil {
			return nil, err
		}
		out.Hindrance = p.Hindrance
	}
	return out, nil
}

func decodeEvent(l *types.Log) (name string, values []any, err error) {
	if l.Address != govern.Address || len(l.Topics) < 2 {
		return "", nil, fmt.Errorf("the transaction's receipt holds an event that is not the validators contract's")
	}
	return validatorsContract.event(l)
}

func (o *outcomeView) text(w io.Writer) {
	fmt.Fprintf(w, "transaction\t%s\nproposal\t%d\n", o.Transaction, o.Proposal)
	switch {
	case o.Withdrawn:
		fmt.Fprintf(w, "result\twithdrawn\n")
	case o.Passed && o.Needed > 0:
		fmt.Fprintf(w, "result\t%d of %d votes: passed in block %d, takes effect at block %d\n", o.Votes, o.Needed, o.Block, o.From)
	case o.Passed:
		fmt.Fprintf(w, "result\tapplied in block %d, takes effect at block %d\n", o.Block, o.From)
	case o.Votes >= o.Needed:
		fmt.Fprintf(w, "result\t%d of %d votes, but not applied: %s\n", o.Votes, o.Needed, o.Hindrance)
	default:
		fmt.Fprintf(w, "result\t%d of %d votes: %d more to go, with \"jialing validator vote %d\"\n", o.Votes, o.Needed, o.Needed-o.Votes, o.Proposal)
	}
}

func (c *cli) validatorProposals() *cobra.Command {
	return &cobra.Command{
		Use: "proposals", Short: "List the proposals on which the validators may vote", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withContract(cmd.Context(), func(ctx context.Context, v *validators) error {
				open, err := v.open(ctx)
				if err != nil {
					return err
				}
				return c.print(viewProposals(open), func(w io.Writer) { listProposals(w, open) })
			})
		},
	}
}

type proposalView struct {
	Number    uint64          `json:"proposal"`
	Kind      string          `json:"kind"`
	Proposer  uint64          `json:"proposer"`
	Target    uint64          `json:"target,omitempty"`
	PublicKey hexutil.Bytes   `json:"publicKey,omitempty"`
	Account   *common.Address `json:"account,omitempty"`
	Name      string          `json:"name,omitempty"`
	Endpoint  string          `json:"endpoint,omitempty"`
	Voters    []uint64        `json:"voters"`
	Votes     uint64          `json:"votes"`
	Needed    uint64          `json:"needed"`
	Expires   uint64          `json:"expires"`
	Hindrance string          `json:"hindrance,omitempty"`
}

func viewProposals(open []proposal) []proposalView {
	out := make([]proposalView, len(open))
	for i, p := range open {
		out[i] = proposalView{Number: p.Number, Kind: kinds[p.Kind], Proposer: p.Proposer, Target: p.Target,
			PublicKey: p.PublicKey, Name: p.Name, Endpoint: p.Endpoint, Voters: p.Voters, Votes: p.Votes, Needed: p.Needed, Expires: p.Expires, Hindrance: p.Hindrance}
		if p.Kind != kindRemove {
			out[i].Account = &open[i].Account
		}
	}
	return out
}

func listProposals(w io.Writer, open []proposal) {
	if len(open) == 0 {
		fmt.Fprintln(w, "there is no open proposal")
		return
	}
	fmt.Fprintln(w, "PROPOSAL\tBY\tVOTES\tEXPIRES AFTER\tWHAT")
	for _, p := range open {
		fmt.Fprintf(w, "%d\tvalidator %d\t%d of %d\tblock %d\t%s\n", p.Number, p.Proposer, p.Votes, p.Needed, p.Expires, p.what())
		if p.Votes >= p.Needed {
			fmt.Fprintf(w, "\t\t\t\tit has its votes, but: %s\n", p.Hindrance)
		}
	}
}

func (c *cli) validatorList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the validators, with those who are to come or to leave", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withContract(cmd.Context(), func(ctx context.Context, v *validators) error {
				list, err := v.list(ctx)
				if err != nil {
					return err
				}
				return c.print(list, func(w io.Writer) {
					fmt.Fprintln(w, "ID\tNAME\tACCOUNT\tENDPOINT\tPUBLIC KEY\tRULES")
					for _, m := range list {
						fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", m.ID, printable(m.Name), m.Account, printable(m.Endpoint), m.PublicKey, m.Rules)
					}
				})
			})
		},
	}
}

type validatorView struct {
	ID        uint64         `json:"id"`
	Name      string         `json:"name"`
	Account   common.Address `json:"account"`
	Endpoint  string         `json:"endpoint"`
	PublicKey hexutil.Bytes  `json:"publicKey"`
	// Rules is "now", "from block N" or "until block N", or "now; from block N otherwise" where key or account are to change.
	Rules string `json:"rules"`
}

// list puts together who rules now and what the contract says of the time to come.
func (v *validators) list(ctx context.Context) ([]validatorView, error) {
	members, err := v.members(ctx)
	if err != nil {
		return nil, err
	}
	var ruling struct {
		Validators []struct {
			ID        hexutil.Uint64 `json:"id"`
			PublicKey hexutil.Bytes  `json:"publicKey"`
			Address   common.Address `json:"address"`
		} `json:"validators"`
	}
	if err := v.conn.RPC().CallContext(ctx, &ruling, "jl_getValidators", "latest"); err != nil {
		return nil, fmt.Errorf("ask who rules: %w", err)
	}
	coming, err := v.coming(ctx)
	if err != nil {
		return nil, err
	}
	now := make(map[uint64]validatorView, len(ruling.Validators))
	for _, r := range ruling.Validators {
		now[uint64(r.ID)] = validatorView{ID: uint64(r.ID), Account: r.Address, PublicKey: r.PublicKey, Rules: "now"}
	}
	var out []validatorView
	for _, m := range members {
		view := validatorView{m.Id, m.Name, m.Account, m.Endpoint, m.PublicKey, "now"}
		have, rules := now[m.Id]
		switch {
		case !rules:
			view.Rules = fmt.Sprintf("from block %d", coming[m.Id])
		case !bytes.Equal(have.PublicKey, m.PublicKey) || have.Account != m.Account:
			view.Rules = fmt.Sprintf("as key %s, account %s; from block %d as here", have.PublicKey, have.Account, coming[m.Id])
		}
		delete(now, m.Id)
		out = append(out, view)
	}
	for _, r := range ruling.Validators {
		if left, there := now[uint64(r.ID)]; there {
			left.Rules = fmt.Sprintf("until block %d", coming[left.ID]-1)
			out = append(out, left)
		}
	}
	return out, nil
}

// coming tells for each validator from which block on its latest change rules, for the changes that are under way.
func (v *validators) coming(ctx context.Context) (map[uint64]uint64, error) {
	head, err := v.conn.Head(ctx)
	if err != nil {
		return nil, err
	}
	from := new(big.Int).Sub(head.Number, big.NewInt(2*chain.ActivationDelay)) // twice: blocks go on while we ask
	if from.Sign() < 0 {
		from.SetUint64(0)
	}
	logs, err := v.conn.Logs(ctx, ethereum.FilterQuery{FromBlock: from, Addresses: []common.Address{govern.Address}})
	if err != nil {
		return nil, err
	}
	out := make(map[uint64]uint64)
	for i := range logs {
		event, values, err := decodeEvent(&logs[i])
		if err != nil {
			return nil, err
		}
		if event == "Added" || event == "Removed" || event == "Changed" {
			out[new(big.Int).SetBytes(logs[i].Topics[2][:]).Uint64()] = values[len(values)-1].(uint64)
		}
	}
	return out, nil
}

// printable quotes text from the chain that could play tricks on a terminal or on the table.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
