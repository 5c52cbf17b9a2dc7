package main

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/jialing-chain/jialing/internal/chain"
)

// stakeChecks are lab 4's.
var stakeChecks = map[int]answerCheck{1: checkSeats, 2: checkElectedAt, 3: checkBehind, 4: checkBurn}

// newcomer is the first validator that the genesis of lab 4 does not name.
const newcomer = 5

// checkSeats: which validators have seats now?
func checkSeats(ctx context.Context, s school, answer string) (verdict, error) {
	all, err := s.stakers(ctx)
	if err != nil {
		return verdict{}, err
	}
	var seated []string
	rivals := false
	for _, v := range all {
		if v.Seat > 0 {
			seated = append(seated, strings.ToLower(v.Name))
			rivals = rivals || v.ID >= newcomer
		}
	}
	slices.Sort(seated)
	switch given := nameList(answer); {
	case !rivals:
		return wrong("only founders have seats yet: register the fifth validator as the lab says, and wait until an election has passed and its epoch has begun",
			"现在只有创始的验证者占着席位：照实验步骤登记第五个验证者，等一次选举过去、新纪元开始"), nil
	case !slices.Equal(given, seated):
		return wrong(fmt.Sprintf("you name %d, there are %d; look at the column STATE of \"jialing stake show\" now", len(given), len(seated)),
			fmt.Sprintf("你答了 %d 个，实有 %d 个；现在看 jialing stake show 的 STATE 一列", len(given), len(seated))), nil
	}
	return right(strings.Join(seated, ", ")+": those with the most stake behind them, of equal ones the lower number", strings.Join(seated, "、")+"：名下质押最多的几个；一样多时编号小的优先"), nil
}

// nameList reads an answer that is a list of names, sorted and each once.
func nameList(answer string) []string {
	names := strings.FieldsFunc(strings.ToLower(answer), func(r rune) bool { return strings.ContainsRune(" ,;、，；\t", r) })
	slices.Sort(names)
	return slices.Compact(names)
}

// laterEpoch is the epoch whose election lab 4 asks for.
const laterEpoch = 2

// checkElectedAt: at the end of which block are the seats of epoch 2 elected?
func checkElectedAt(_ context.Context, s school, answer string) (verdict, error) {
	n, ok := wholeNumber(answer)
	if !ok {
		return notANumber, nil
	}
	g, err := s.genesis()
	if err != nil {
		return verdict{}, err
	}
	begins := laterEpoch * g.Consensus.Stake.EpochBlocks
	switch n {
	case begins - chain.ActivationDelay:
		return right(fmt.Sprintf("the epoch begins with block %d; the set is settled %d blocks before, so that every node knows it in time, whoever lags", begins, chain.ActivationDelay),
			fmt.Sprintf("该纪元从区块 %d 开始；名单提前 %d 个区块定下，这样再慢的节点也来得及知道", begins, chain.ActivationDelay)), nil
	case begins:
		return wrong("with that block the epoch begins; the election was before", "纪元从那个区块开始；选举在那之前"), nil
	}
	return wrong("epoch 2 begins with block 2 × epochBlocks of genesis.json; the lab says how long before that the election is",
		"纪元 2 从区块 2 × epochBlocks（见 genesis.json）开始；选举早多少，实验正文里写着"), nil
}

// oneEther in wei.
var oneEther = big.NewInt(1e18)

// checkBehind: how much ether is behind validator 5?
func checkBehind(ctx context.Context, s school, answer string) (verdict, error) {
	given, err := parseAmount(strings.ToLower(strings.TrimSpace(answer)), "ether")
	if err != nil {
		return notANumber, nil
	}
	all, err := s.stakers(ctx)
	if err != nil {
		return verdict{}, err
	}
	i := slices.IndexFunc(all, func(v *stakerView) bool { return v.ID == newcomer })
	switch {
	case i < 0:
		return wrong("there is no validator 5 on your chain yet: register it as the lab says", "你的链上还没有验证者 5：照实验步骤登记"), nil
	case all[i].Stake.Cmp(all[i].SelfStake.Int) == 0:
		return wrong("nobody has delegated to it yet: do so, with an amount of your choice", "还没有人委托给它：请委托一笔，金额随意"), nil
	case given.Cmp(all[i].Stake.Int) != 0:
		return wrong("look at the line \"stake\" of \"jialing stake show 5\"", "看 jialing stake show 5 的 stake 一行"), nil
	}
	return right(fmt.Sprintf("%s, of that its own %s; what was delegated to it counts for its seat, and is at stake with it", formatAmount(given), formatAmount(all[i].SelfStake.Int)),
		fmt.Sprintf("%s，其中自有 %s；委托给它的也算它的票，也随它一起承担风险", formatAmount(given), formatAmount(all[i].SelfStake.Int))), nil
}

// burnAsked is the stake, in ether, of the convict in lab 4's question.
const burnAsked = 2000

// checkBurn: how many ether are slashed of 2,000?
func checkBurn(_ context.Context, s school, answer string) (verdict, error) {
	given, err := parseAmount(strings.ToLower(strings.TrimSpace(answer)), "ether")
	if err != nil {
		return notANumber, nil
	}
	g, err := s.genesis()
	if err != nil {
		return verdict{}, err
	}
	points := int64(g.Consensus.Stake.SlashBasisPoints)
	want := new(big.Int).Mul(big.NewInt(burnAsked*points), oneEther)
	if want.Quo(want, big.NewInt(10_000)).Cmp(given) != 0 {
		return wrong("genesis.json says slashBasisPoints: so many ten-thousandths of all stake behind it", "见 genesis.json 的 slashBasisPoints：名下全部质押的万分之几"), nil
	}
	return right(fmt.Sprintf("%s, its delegators' stake as well as its own, and it never stands again; a twentieth of that, at most, goes to who reported it", formatAmount(given)),
		fmt.Sprintf("%s，委托人的和它自己的一样扣，而且它永远不能再参选；其中至多二十分之一奖给举报人", formatAmount(given))), nil
}
