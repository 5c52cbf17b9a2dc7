package main

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// workChecks are lab 5's.
var workChecks = map[int]answerCheck{1: checkFirstWork, 2: checkMiner, 3: checkForks}

// checkFirstWork: how many hashes did block 1 take on average?
func checkFirstWork(_ context.Context, s school, answer string) (verdict, error) {
	given, ok := wholeNumber(answer)
	if !ok {
		return notANumber, nil
	}
	g, err := s.genesis()
	if err != nil {
		return verdict{}, err
	}
	target, ok := g.Consensus.Work.Target()
	if !ok {
		return verdict{}, fmt.Errorf("the genesis has no target")
	}
	hashes := new(big.Int).Quo(new(big.Int).Lsh(big.NewInt(1), 256), target)
	if apart := new(big.Int).Sub(new(big.Int).SetUint64(given), hashes); apart.CmpAbs(big.NewInt(1)) > 0 { // whoever rounds is right too
		return wrong("divide 2^256 by the target; the powers of two cancel, so small numbers remain: the lab does it in its last paragraph",
			"用 2^256 除以目标值；2 的幂可以约掉，剩下的都是小数目：正文最后一段就是这么算的"), nil
	}
	return right(fmt.Sprintf("%s on average, sometimes far more or less: each try is a lottery ticket of the same worth", hashes),
		fmt.Sprintf("平均 %s 次，有时多得多、有时少得多：每次尝试都像一张中奖率相同的彩票", hashes)), nil
}

// minedBlock is the block whose miner lab 5 asks for.
const minedBlock = 10

// checkMiner: which account mined block 10?
func checkMiner(ctx context.Context, s school, answer string) (verdict, error) {
	h, err := s.header(ctx, minedBlock)
	if err != nil {
		return verdict{}, err
	}
	given := strings.TrimPrefix(strings.ToLower(strings.Trim(answer, "…. ")), "0x")
	if len(given) < leastHashDigits || !strings.HasPrefix(hexutil.Encode(h.Coinbase[:])[2:], given) {
		return wrong("it is the line \"proposer\" of \"jialing block show 10\"", "就是 jialing block show 10 的 proposer 一行"), nil
	}
	return right("the header names the account, and the work was done on that header: nobody can put another account in without doing the work anew",
		"区块头里写着这个账户，而工作就是在这个区块头上做的：谁想换成别的账户，就得把工作重做一遍"), nil
}

// checkForks: how many forks does the demo's table count during the partition?
func checkForks(_ context.Context, s school, answer string) (verdict, error) {
	given, ok := wholeNumber(answer)
	if !ok {
		return notANumber, nil
	}
	r, err := s.run(faultPartition)
	if err != nil {
		return verdict{}, err
	}
	most := 0
	for _, f := range r.Faults {
		if f.Action == faultPartition {
			most = max(most, f.Forks)
		}
		if f.Action == faultPartition && f.Forks > 0 && given == uint64(f.Forks) {
			return right("at so many heights the halves had different blocks that both called final: the partition lasted longer than the depth bears",
				"在这么多个高度上，两边有不同的、又都自认为最终的区块：分区的时间超过了深度所能承受的"), nil
		}
	}
	if most == 0 {
		return verdict{}, fmt.Errorf("%w: in that run the halves had no different final blocks; run the demo again with a longer partition", errNoLesson)
	}
	return wrong("look at the end of the demo's table, in the line that begins with \"partition\"", "看演示最后的表格中以 partition 开头的那一行"), nil
}
