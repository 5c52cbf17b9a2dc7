package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

func (c *cli) stakeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stake",
		Short: "Stake for a validator, earn by it, and run one",
		Long: `Stake for a validator, earn by it, and run one.

On a chain of stake each epoch seats the validators that have the most stake behind them. Stake earns what the epoch mints and what fees came in; it is
back only some epochs after it is taken back, and a part of it burns when its validator is proven to have contradicted itself. docs/stake.md has the
rules.`,
		Example: `  jialing stake show
  jialing stake register "Bank of Chongqing" --node mynode --stake 1000ether --commission 5 --endpoint node5.example:30301 --from 0x3C44…93BC
  jialing stake delegate 5 20ether --from 0x90F7…b906
  jialing stake undelegate 5 all --from 0x90F7…b906
  jialing stake withdraw --from 0x90F7…b906`,
	}
	c.rpcFlags(cmd)
	cmd.AddCommand(c.stakeShow(), c.stakeDelegate(), c.stakeUndelegate(), c.stakeWithdraw(), c.stakeClaim(), c.stakeRegister(), c.stakeProve(), c.stakeChange(),
		c.stakeKey(), c.stakeCommission(), c.stakeOwn("leave", "resign", "Stand for election no longer; a seat lasts until its epoch ends"),
		c.stakeOwn("stand", "stand", "Stand for election again"), c.stakeOwn("unjail", "unjail", "Leave jail, when its time is over"), c.stakeAttend(), c.stakeReport())
	return cmd
}

func (c *cli) stakeDelegate() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "delegate ID AMOUNT", Short: "Stake behind a validator", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, amount, err := parseStake(args)
			if err != nil {
				return err
			}
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error { return s.send(ctx, &f, amount, "delegate", id) })
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

func (c *cli) stakeUndelegate() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "undelegate ID AMOUNT|all", Short: "Take stake back; it can be withdrawn some epochs later", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] == "all" {
				args[1] = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)).String() + "wei"
			}
			id, amount, err := parseStake(args)
			if err != nil {
				return err
			}
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error { return s.send(ctx, &f, nil, "undelegate", id, amount) })
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

func (c *cli) stakeWithdraw() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "withdraw", Short: "Get paid the stake that is back", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error { return s.send(ctx, &f, nil, "withdraw") })
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

func (c *cli) stakeClaim() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "claim ID", Short: "Get paid what one's stake behind a validator has earned, and a validator its commission", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseUint64(args[0])
			if err != nil {
				return usagef("ID: %w", err)
			}
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error { return s.send(ctx, &f, nil, "claim", id) })
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

// stakeOwn is a method without arguments on the caller's validator.
func (c *cli) stakeOwn(name, method, short string) *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error { return s.send(ctx, &f, nil, method) })
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

func (c *cli) stakeCommission() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "commission PERCENT", Short: "Change one's commission, from the next epoch on", Args: cobra.ExactArgs(1),
		Long: fmt.Sprintf("Change one's commission, from the next epoch on: at most %d %%, and at most %d points of percent more than now.", govern.MaxCommission/100,
			govern.MaxCommissionRise/100),
		RunE: func(cmd *cobra.Command, args []string) error {
			points, err := parseCommission(args[0])
			if err != nil {
				return err
			}
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error { return s.send(ctx, &f, nil, "changeCommission", points) })
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

func (c *cli) stakeFlags(cmd *cobra.Command, f *txFlags) {
	c.voteFlags(cmd, f)
	cmd.Flags().Lookup("from").Usage = "the account: an ADDRESS of the keystore, or dev:0 … dev:9 on a network made with --dev"
}

var stakingContract = systemContract{
	address:  chain.StakingAddress,
	abi:      govern.StakingABI,
	view:     "parameters",
	gas:      govern.StakeGas,
	absent:   errors.New("this chain has no stake: its genesis has no consensus.stake"),
	refusals: stakeRefusals,
}

// staking is the contract on the node that the flags name.
type staking struct{ systemClient }

func (c *cli) withStaking(ctx context.Context, do func(context.Context, *staking) error) error {
	return c.withSystem(ctx, &stakingContract, func(ctx context.Context, s systemClient) error { return do(ctx, &staking{s}) })
}

// stakeRefusals are the contract's errors, for people.
var stakeRefusals = map[string]string{
	"NotAValidator":     "that account has registered no validator",
	"NoSuchValidator":   "nobody has registered under that id",
	"AccountTaken":      "that account has registered a validator, for ever",
	"KeyTaken":          "that key is a validator's, for ever",
	"BadCommission":     "in basis points: what was asked for, and the most that it may be now",
	"BadSignature":      "the signature is not that node key's for this account on this chain",
	"TooLittle":         "in wei: what there is or would be, and the least that there must be",
	"TooMuch":           "in wei: what was asked for, and the most that there is",
	"TooManyCandidates": "as many stand as may, and none has less stake",
	"TooManyUnbondings": "withdraw what is back first",
	"TooSoon":           "the epoch from which on it can be",
	"TooOld":            "the stake that it concerns may have been withdrawn since",
	"Jailed":            "the epoch from which on it may leave jail",
	"NotJailed":         "it is in no jail",
	"Tombstoned":        "it was slashed and never stands again",
	"Nothing":           "there is nothing, or nothing yet",
	"NoContradiction":   "the two messages do not exclude each other",
	"NoEvidence":        "the messages are none that could contradict each other",
	"OtherChain":        "the messages are of another chain",
}

// send calls the contract in a transaction and says what came of it.
func (s *staking) send(ctx context.Context, f *txFlags, value *big.Int, method string, args ...any) error {
	return sendSystem(ctx, &s.systemClient, systemCall{flags: f, value: value, method: method, args: args}, stakeOutcomeOf)
}

// parseStake reads ID and AMOUNT.
func parseStake(args []string) (uint64, *big.Int, error) {
	id, err := parseUint64(args[0])
	if err != nil {
		return 0, nil, usagef("ID: %w", err)
	}
	amount, err := parseAmount(args[1], "ether")
	return id, amount, err
}

// parseCommission reads a percentage with up to two decimals as basis points.
func parseCommission(s string) (uint16, error) {
	whole, rest, _ := strings.Cut(strings.TrimSpace(strings.TrimSuffix(s, "%")), ".")
	if len(rest) > 2 || whole == "" || len(whole) > 3 || strings.Trim(whole+rest, "0123456789") != "" {
		return 0, usagef("commission %q: write percent, like 5 or 2.5", s)
	}
	n, err := strconv.ParseUint(whole+rest+strings.Repeat("0", 2-len(rest)), 10, 64)
	if err != nil || n > govern.MaxCommission {
		return 0, usagef("commission %q: at most %d %%", s, govern.MaxCommission/100)
	}
	return uint16(n), nil
}

// parseStaker checks a validator's name and endpoint.
func parseStaker(name, endpoint string) error {
	if name == "" || utf8.RuneCountInString(name) > 64 || !utf8.ValidString(name) {
		return usagef("the name must have 1 to 64 characters")
	}
	if endpoint == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(endpoint); err != nil || host == "" || port == "" || len(endpoint) > govern.MaxEndpoint {
		return usagef("endpoint %q: write host:port", endpoint)
	}
	return nil
}

// own is the validator of the sender's account.
func (s *staking) own(ctx context.Context, f *txFlags) (*stakerView, error) {
	from, err := s.sender(f)
	if err != nil {
		return nil, err
	}
	return s.of(ctx, from.Address())
}

// of is the validator of an account.
func (s *staking) of(ctx context.Context, account common.Address) (*stakerView, error) {
	out, err := s.call(ctx, "idOf", account)
	if err != nil {
		return nil, err
	}
	id := out[0].(uint64)
	if id == 0 {
		return nil, fmt.Errorf("%s has registered no validator", account)
	}
	return s.validator(ctx, id)
}
