package main

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
)

// stakeFlags are what a new chain of stake is asked about; chain.StakeParams says what they mean.
type stakeFlags struct {
	epochBlocks, unbondingEpochs, jailEpochs uint64
	seats, slash                             int
	minSelfStake, epochReward                string
	// attend gives every node an account with which it acts by itself.
	attend bool
}

// What a new chain of stake has unless flags say otherwise.
const (
	// stakeHeartbeat lets epochs pass while nobody sends anything: elections, rewards and the release of stake come with blocks.
	stakeHeartbeat = 1000
	// stakeBalance is for the validators' accounts: gas has a price, and who cannot pay for it can neither report its attendance nor stake more.
	stakeBalance = "100ether"
	// actingBalance is for the accounts with which nodes act by themselves: gas for some hundred thousand attendances at the first price, and no more to lose than
	// that.
	actingBalance = "10ether"
	// actingName is the keystore file of such an account in a node's folder, and beside it, with another ending, the passphrase that was drawn for it.
	actingName = "acting"
)

func (s *stakeFlags) register(cmd *cobra.Command) {
	p, flags := chain.DefaultStakeParams(), cmd.Flags()
	flags.Uint64Var(&s.epochBlocks, "epoch-blocks", p.EpochBlocks, "with pos: blocks of an epoch, at least 128")
	flags.IntVar(&s.seats, "seats", p.Seats, "with pos: how many validators are elected at the most, 4 to 128")
	flags.StringVar(&s.minSelfStake, "min-self-stake", etherText(p.MinSelfStake), "with pos: what a validator must stake itself; the founders begin with that much")
	flags.Uint64Var(&s.unbondingEpochs, "unbonding-epochs", p.UnbondingEpochs, "with pos: how long stake that is taken back can still be slashed")
	flags.StringVar(&s.epochReward, "epoch-reward", etherText(p.RewardPerEpoch), "with pos: what is minted each epoch; 0: only the fees are shared")
	flags.IntVar(&s.slash, "slash-basis-points", p.SlashBasisPoints, "with pos: which part of the stake behind a validator burns when it contradicts itself, of 10000")
	flags.BoolVar(&s.attend, "attend", true, "with pos: give each node an account with some gas, with which it shows each epoch that it is present and reports who contradicts himself")
	flags.Uint64Var(&s.jailEpochs, "jail-epochs", p.JailEpochs, "with pos: how long who was absent stays out of elections")
}

// words are the flags' names.
func (s *stakeFlags) words() []string {
	return []string{"epoch-blocks", "seats", "min-self-stake", "unbonding-epochs", "epoch-reward", "slash-basis-points", "jail-epochs", "attend"}
}

// params are what the flags say; whether they can be is the genesis' to judge.
func (s *stakeFlags) params() (*chain.StakeParams, error) {
	self, err := parseAmount(s.minSelfStake, "ether")
	if err != nil {
		return nil, err
	}
	reward, err := parseAmount(s.epochReward, "ether")
	if err != nil {
		return nil, err
	}
	p := &chain.StakeParams{EpochBlocks: s.epochBlocks, Seats: s.seats, MinSelfStake: (*math.HexOrDecimal256)(self), UnbondingEpochs: s.unbondingEpochs,
		SlashBasisPoints: s.slash, JailEpochs: s.jailEpochs}
	if reward.Sign() > 0 {
		p.RewardPerEpoch = (*math.HexOrDecimal256)(reward)
	}
	return p, nil
}

// etherText is an amount as a flag has it.
func etherText(wei *math.HexOrDecimal256) string {
	whole, rest := new(big.Int).QuoRem((*big.Int)(wei), big.NewInt(1e18), new(big.Int))
	if rest.Sign() == 0 {
		return whole.String() + "ether"
	}
	return strings.TrimRight(fmt.Sprintf("%s.%018d", whole, rest), "0") + "ether"
}

// forStake fills what was not said about a chain of stake: its gas has a price that feeds the rewards, its epochs pass, its validators can pay.
func (f *networkFlags) forStake(said func(flag string) bool) error {
	if !f.ofStake() {
		if i := slices.IndexFunc(f.stake.words(), said); i >= 0 {
			return usagef("--%s belongs to --consensus pos, or to --engines with pos", f.stake.words()[i])
		}
		return nil
	}
	if f.validators > f.stake.seats {
		return usagef("--validators %d: there are %d seats (--seats)", f.validators, f.stake.seats)
	}
	if !said("fees") {
		f.fees = string(chain.FeesMarket)
	}
	if !said("heartbeat-millis") {
		f.heartbeat = stakeHeartbeat
	}
	if !said("validator-balance") && !f.dev {
		f.validatorBalance = stakeBalance
	}
	return nil
}

// found makes a genesis one of stake: the parameters, and the contract with the founders' own stakes.
func (s *stakeFlags) found(g *chain.Genesis) (err error) {
	if g.Consensus.Stake, err = s.params(); err != nil {
		return err
	}
	if g.Fees.Mode != chain.FeesZero {
		g.Fees.BaseFeeTo = &chain.StakingAddress
	}
	g.Alloc[chain.StakingAddress] = govern.StakeAccount(g)
	return nil
}

// electionText tells of a chain of stake how its validators come about; empty of another.
func electionText(g *chain.Genesis) string {
	p := g.Consensus.Stake
	if g.Consensus.Engine != chain.PoS {
		return ""
	}
	return fmt.Sprintf("each %d blocks stake elects up to %d of all who stake %s or more", p.EpochBlocks, p.Seats, etherText(p.MinSelfStake))
}

// attendanceText is what the README of a network of stake says beside; empty of another.
func attendanceText(g *chain.Genesis, founders []founder) string {
	text := electionText(g)
	if text == "" {
		return ""
	}
	v := founders[0]
	how := "Beside each node runs, with an account that can pay for\none transaction an epoch:"
	if v.acting != nil {
		how = "Each node does so by itself, from the account in its\nacting.json, which holds some gas and nothing else (acting.passphrase opens it; [stake] in node.toml names both). By hand it would be:"
	}
	return fmt.Sprintf(`%[1]s: docs/stake.md. The founders have seats until others have more stake behind them.

A seat earns for the epochs in which its node shows that it is present, and one that never does may lose its place. %[6]s

    jialing stake attend --node %[2]s --rpc http://%[3]s --from %[4]s --keystore %[2]s/%[5]s
    jialing stake show --rpc http://%[3]s

`, strings.ToUpper(text[:1])+text[1:], v.name, loopback(v.http), v.address, keystoreFolderName, how)
}

// act draws the account with which a node acts by itself.
func (v *founder) act(kind string) (err error) {
	if v.acting, err = client.NewAccount(kind); err != nil {
		return usagef("make the acting account of %s: %w", v.name, err)
	}
	return nil
}

// saveActing writes that account into the node's folder, with the passphrase that opens it, and names both in its configuration. Whoever has the folder has the
// account: it holds little.
func (v *founder) saveActing(cfg *node.Config) error {
	pass := rand.Text()
	file, err := v.acting.Keystore(pass, client.LightKeystore) // the passphrase is no word of a person's, so guessing it needs no slowing down
	if err != nil {
		return err
	}
	cfg.Stake = node.StakeConfig{Account: actingName + ".json", PassphraseFile: actingName + ".passphrase"}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return err
	}
	if err := writeNew(filepath.Join(cfg.Dir, cfg.Stake.Account), file, 0o600); err != nil {
		return err
	}
	return writeNew(filepath.Join(cfg.Dir, cfg.Stake.PassphraseFile), []byte(pass+"\n"), 0o600)
}

// endow adds to an account of block 0.
func endow(g *chain.Genesis, account common.Address, amount string) error {
	wei, err := parseAmount(amount, "ether")
	if err != nil {
		return err
	}
	a := g.Alloc[account]
	if a.Balance != nil {
		wei = new(big.Int).Add(wei, (*big.Int)(a.Balance))
	}
	a.Balance = (*math.HexOrDecimal256)(wei)
	g.Alloc[account] = a
	return nil
}
