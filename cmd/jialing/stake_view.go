package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// wei is an amount, in JSON a decimal string: most readers of JSON cut numbers of that size.
type wei struct{ *big.Int }

// MarshalJSON implements json.Marshaler.
func (w wei) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, w.String()), nil }

// stakerView is a validator as the contract shows it.
type stakerView struct {
	ID             uint64         `json:"id"`
	Account        common.Address `json:"account"`
	Name           string         `json:"name"`
	Endpoint       string         `json:"endpoint,omitempty"`
	PublicKey      hexutil.Bytes  `json:"publicKey"`
	Stake          wei            `json:"stake"`
	SelfStake      wei            `json:"selfStake"`
	Commission     uint16         `json:"commissionBasisPoints"`
	NextCommission uint16         `json:"nextCommissionBasisPoints"`
	JailedUntil    uint64         `json:"jailedUntil,omitempty"`
	Stands         bool           `json:"stands"`
	Tombstoned     bool           `json:"tombstoned"`
	Able           bool           `json:"able"`
	// Seat is its place among the present epoch's seats, from 1 on; 0 where it has none.
	Seat     int  `json:"seat,omitempty"`
	Attended bool `json:"attended,omitempty"`
}

// stakeView is all of it.
type stakeView struct {
	Epoch          uint64       `json:"epoch"`
	EpochEnds      uint64       `json:"epochEndsAt"`
	Seats          uint16       `json:"seats"`
	MinSelfStake   wei          `json:"minSelfStake"`
	MinDelegation  wei          `json:"minDelegation"`
	RewardPerEpoch wei          `json:"rewardPerEpoch"`
	Unbonding      uint64       `json:"unbondingEpochs"`
	Staked         wei          `json:"staked"`
	Burnt          wei          `json:"burnt"`
	Pool           wei          `json:"pool"`
	Ready          bool         `json:"ready"`
	Validators     []stakerView `json:"validators"`
}

// accountView is what an account has staked.
type accountView struct {
	Account     common.Address   `json:"account"`
	Delegations []delegationView `json:"delegations"`
	Unbonding   []unbondingView  `json:"unbonding"`
}

type delegationView struct {
	ID      uint64 `json:"id"`
	Name    string `json:"name"`
	Stake   wei    `json:"stake"`
	Rewards wei    `json:"rewards"`
}

type unbondingView struct {
	ID     uint64 `json:"id"`
	Amount wei    `json:"amount"`
	From   uint64 `json:"fromEpoch"`
}

func (c *cli) stakeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [ID|ACCOUNT]", Short: "Show who has stake behind him, a validator, or what an account has staked", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error {
				if len(args) == 0 {
					return s.showAll(ctx)
				}
				if strings.HasPrefix(args[0], "0x") {
					account, err := parseAddress(args[0])
					if err != nil {
						return err
					}
					return s.showAccount(ctx, account)
				}
				id, err := parseUint64(args[0])
				if err != nil {
					return usagef("ID: %w", err)
				}
				v, err := s.validator(ctx, id)
				if err != nil {
					return err
				}
				return c.print(v, v.text)
			})
		},
	}
}

// parameters are what the genesis has set, and the sums.
func (s *staking) parameters(ctx context.Context) (*stakeView, error) {
	p, err := s.call(ctx, "parameters")
	if err != nil {
		return nil, err
	}
	v := &stakeView{Seats: p[1].(uint16), MinSelfStake: wei{p[2].(*big.Int)}, Unbonding: p[3].(uint64), RewardPerEpoch: wei{p[4].(*big.Int)}}
	for _, ask := range []struct {
		method string
		take   func([]any)
	}{
		{"epoch", func(out []any) { v.Epoch = out[0].(uint64) }},
		{"minDelegation", func(out []any) { v.MinDelegation = wei{out[0].(*big.Int)} }},
		{"ready", func(out []any) { v.Ready = out[0].(bool) }},
		{"totals", func(out []any) {
			v.Staked, v.Burnt, v.Pool = wei{out[0].(*big.Int)}, wei{out[2].(*big.Int)}, wei{out[3].(*big.Int)}
		}},
	} {
		out, err := s.call(ctx, ask.method)
		if err != nil {
			return nil, err
		}
		ask.take(out)
	}
	v.EpochEnds = (v.Epoch + 1) * p[0].(uint64)
	return v, nil
}

// selfStake is what a validator begins with.
func (s *staking) selfStake(ctx context.Context, flag string) (*big.Int, error) {
	if flag != "" {
		return parseAmount(flag, "ether")
	}
	v, err := s.parameters(ctx)
	if err != nil {
		return nil, err
	}
	return v.MinSelfStake.Int, nil
}

// validator is one, with its seat.
func (s *staking) validator(ctx context.Context, id uint64) (*stakerView, error) {
	epoch, seats, err := s.seats(ctx)
	if err != nil {
		return nil, err
	}
	return s.validatorAmong(ctx, id, epoch, seats)
}

// validatorAmong is one, with its seat among an epoch's.
func (s *staking) validatorAmong(ctx context.Context, id, epoch uint64, seats []uint64) (*stakerView, error) {
	type standing struct {
		Id                         uint64 //nolint:revive // the ABI's name
		Account                    common.Address
		Name, Endpoint             string
		PublicKey                  []byte
		Stake, SelfStake           *big.Int
		Commission, NextCommission uint16
		JailedUntil                uint64
		Stands, Tombstoned, Able   bool
	}
	out, err := s.call(ctx, "validatorOf", id)
	if err != nil {
		return nil, err
	}
	p := *abi.ConvertType(out[0], new(standing)).(*standing)
	v := &stakerView{ID: p.Id, Account: p.Account, Name: p.Name, Endpoint: p.Endpoint, PublicKey: p.PublicKey, Stake: wei{p.Stake}, SelfStake: wei{p.SelfStake},
		Commission: p.Commission, NextCommission: p.NextCommission, JailedUntil: p.JailedUntil, Stands: p.Stands, Tombstoned: p.Tombstoned, Able: p.Able}
	if v.Seat = slices.Index(seats, id) + 1; v.Seat > 0 {
		if out, err = s.call(ctx, "attended", id, epoch); err != nil {
			return nil, err
		}
		v.Attended = out[0].(bool)
	}
	return v, nil
}

// seats are those of the present epoch.
func (s *staking) seats(ctx context.Context) (uint64, []uint64, error) {
	out, err := s.call(ctx, "epoch")
	if err != nil {
		return 0, nil, err
	}
	epoch := out[0].(uint64)
	if out, err = s.call(ctx, "seatsOf", epoch); err != nil {
		return 0, nil, err
	}
	return epoch, out[0].([]uint64), nil
}

// known are the ids of those who stand or have a seat, ascending.
func (s *staking) known(ctx context.Context) ([]uint64, error) {
	out, err := s.call(ctx, "standing")
	if err != nil {
		return nil, err
	}
	_, seats, err := s.seats(ctx)
	if err != nil {
		return nil, err
	}
	ids := append(slices.Clone(out[0].([]uint64)), seats...)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (s *staking) showAll(ctx context.Context) error {
	v, err := s.parameters(ctx)
	if err != nil {
		return err
	}
	ids, err := s.known(ctx)
	if err != nil {
		return err
	}
	epoch, seats, err := s.seats(ctx)
	if err != nil {
		return err
	}
	v.Validators = []stakerView{}
	for _, id := range ids {
		one, err := s.validatorAmong(ctx, id, epoch, seats)
		if errors.As(err, new(*client.RevertError)) {
			continue // a seat by votes, of somebody who never staked
		} else if err != nil {
			return err
		}
		v.Validators = append(v.Validators, *one)
	}
	slices.SortStableFunc(v.Validators, func(a, b stakerView) int { return cmp.Or(b.Stake.Cmp(a.Stake.Int), cmp.Compare(a.ID, b.ID)) })
	return s.c.print(v, v.text)
}

// showAccount looks for delegations behind all who stand or have a seat, and behind whom the account has ever staked.
func (s *staking) showAccount(ctx context.Context, account common.Address) error {
	ids, err := s.known(ctx)
	if err != nil {
		return err
	}
	logs, err := s.conn.Logs(ctx, ethereum.FilterQuery{Addresses: []common.Address{chain.StakingAddress}, FromBlock: new(big.Int),
		Topics: [][]common.Hash{{govern.StakingABI().Events["Delegated"].ID}, nil, {common.BytesToHash(account[:])}}})
	if err != nil {
		return fmt.Errorf("look for the account's stake: %w", err)
	}
	for _, l := range logs {
		ids = append(ids, new(big.Int).SetBytes(l.Topics[1][:]).Uint64())
	}
	slices.Sort(ids)
	v := &accountView{Account: account, Delegations: []delegationView{}, Unbonding: []unbondingView{}}
	for _, id := range slices.Compact(ids) {
		out, err := s.call(ctx, "delegationOf", id, account)
		if errors.As(err, new(*client.RevertError)) {
			continue
		} else if err != nil {
			return err
		}
		d := delegationView{ID: id, Stake: wei{out[0].(*big.Int)}, Rewards: wei{out[1].(*big.Int)}}
		if d.Stake.Sign() == 0 && d.Rewards.Sign() == 0 {
			continue
		}
		one, err := s.validator(ctx, id)
		if err != nil {
			return err
		}
		d.Name = one.Name
		v.Delegations = append(v.Delegations, d)
	}
	out, err := s.call(ctx, "unbondingOf", account)
	if err != nil {
		return err
	}
	type claim struct {
		Id, From uint64 //nolint:revive // the ABI's name
		Amount   *big.Int
	}
	for _, u := range *abi.ConvertType(out[0], new([]claim)).(*[]claim) {
		v.Unbonding = append(v.Unbonding, unbondingView{u.Id, wei{u.Amount}, u.From})
	}
	return s.c.print(v, v.text)
}

func percent(points uint16) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", points/100, points%100), "0"), ".") + " %"
}

// state says what is with a validator.
func (v *stakerView) state() string {
	var words []string
	if v.Seat > 0 {
		words = append(words, fmt.Sprintf("seat %d", v.Seat))
		if v.Attended {
			words = append(words, "attended")
		}
	}
	switch {
	case v.Tombstoned:
		words = append(words, "slashed")
	case !v.Stands:
		words = append(words, "left")
	case v.JailedUntil > 0:
		words = append(words, fmt.Sprintf("jailed until epoch %d", v.JailedUntil))
	case !v.Able:
		words = append(words, "too little self stake")
	case v.Seat == 0:
		words = append(words, "stands")
	}
	return strings.Join(words, ", ")
}

func (v *stakerView) text(w io.Writer) {
	fmt.Fprintf(w, "validator\t%d, %s\naccount\t%s\npublic key\t%s\n", v.ID, printable(v.Name), v.Account, v.PublicKey)
	if v.Endpoint != "" {
		fmt.Fprintf(w, "endpoint\t%s\n", printable(v.Endpoint))
	}
	fmt.Fprintf(w, "stake\t%s, of that its own %s\ncommission\t%s", formatAmount(v.Stake.Int), formatAmount(v.SelfStake.Int), percent(v.Commission))
	if v.NextCommission != v.Commission {
		fmt.Fprintf(w, ", from the next epoch on %s", percent(v.NextCommission))
	}
	fmt.Fprintf(w, "\nstate\t%s\n", v.state())
}

func (v *stakeView) text(w io.Writer) {
	fmt.Fprintf(w, "epoch\t%d, ends at block %d\nseats\t%d at the most, for %s of self stake and more\n", v.Epoch, v.EpochEnds, v.Seats, formatAmount(v.MinSelfStake.Int))
	fmt.Fprintf(w, "staked\t%s\nreward\t%s each epoch, and %s that wait\n", formatAmount(v.Staked.Int), formatAmount(v.RewardPerEpoch.Int), formatAmount(v.Pool.Int))
	if v.Burnt.Sign() > 0 {
		fmt.Fprintf(w, "burnt\t%s\n", formatAmount(v.Burnt.Int))
	}
	if !v.Ready {
		fmt.Fprintf(w, "election\ttoo few stand for %d seats\n", chain.MinSeats)
	}
	fmt.Fprintf(w, "\nID\tNAME\tSTAKE\tITS OWN\tCOMMISSION\tSTATE\n")
	for i := range v.Validators {
		o := &v.Validators[i]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", o.ID, printable(o.Name), formatAmount(o.Stake.Int), formatAmount(o.SelfStake.Int), percent(o.Commission), o.state())
	}
}

func (v *accountView) text(w io.Writer) {
	fmt.Fprintf(w, "account\t%s\n", v.Account)
	if len(v.Delegations)+len(v.Unbonding) == 0 {
		fmt.Fprintf(w, "stake\tnone\n")
	}
	for _, d := range v.Delegations {
		fmt.Fprintf(w, "stake\t%s behind validator %d, %s; to claim: %s\n", formatAmount(d.Stake.Int), d.ID, printable(d.Name), formatAmount(d.Rewards.Int))
	}
	for _, u := range v.Unbonding {
		fmt.Fprintf(w, "on its way back\t%s from validator %d, to withdraw from epoch %d on\n", formatAmount(u.Amount.Int), u.ID, u.From)
	}
}
