package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/jialing-chain/jialing/internal/chain"
)

// crashChecks are lab 2's.
var crashChecks = map[int]answerCheck{
	1: aNumber(func() int { return chain.Raft.Quorum(7) }, "raft wants a majority: more than half of 7", "raft 要求过半数：7 的一半以上"),
	2: aNumber(func() int { return chain.Raft.Away(6) }, "a majority of 6 is 4, so 6 bear no more than 5 do: odd numbers are the better bargain",
		"6 的过半数是 4，所以 6 个并不比 5 个更能容错：奇数更划算"),
	3: checkTerm, 4: checkPauseAfterKill,
}

// lieChecks are lab 3's.
var lieChecks = map[int]answerCheck{
	1: aNumber(func() int { return leastToBear(3) }, "with f liars it takes 3f+1 validators", "容忍 f 个说谎者需要 3f+1 个验证者"),
	2: aNumber(func() int { return chain.BFT.Quorum(7) }, "2f+1 with f = 2: any two groups of so many out of 7 have three in common, and one of these at the least is honest",
		"f = 2 时是 2f+1：7 个里任取两组这么多，至少有三个共同成员，其中至少一个诚实"),
	3: checkProposer, 4: checkLiar,
}

// leastToBear is the smallest bft network that bears so many faulty validators.
func leastToBear(faulty int) int {
	n := 1
	for chain.BFT.Faulty(n) < faulty {
		n++
	}
	return n
}

// proposedBlock is the block whose proposer lab 3 asks for: the demo's load, with nobody killed yet or long after.
const proposedBlock = 20

// checkProposer: which validator proposed block 20?
func checkProposer(ctx context.Context, s school, answer string) (verdict, error) {
	want, err := s.proposer(ctx, proposedBlock)
	if err != nil {
		return verdict{}, err
	}
	if strings.EqualFold(strings.TrimSpace(answer), want) {
		return right(fmt.Sprintf("%s led then. A proposal counts only once a quorum has agreed to it, so it does not matter whose it is", want),
			fmt.Sprintf("当时 %s 是主节点。提议要经法定人数同意才算数，所以谁提议都一样", want)), nil
	}
	return wrong("take the account in the line \"proposer\" of \"jialing block show 20\", and find it in \"jialing validator list\"",
		"取 jialing block show 20 中 proposer 一行的账户，在 jialing validator list 里找到它"), nil
}

// checkTerm: in which term or view is the network now?
func checkTerm(ctx context.Context, s school, answer string) (verdict, error) {
	n, ok := wholeNumber(answer)
	if !ok {
		return notANumber, nil
	}
	all, err := s.nodes(ctx)
	if err != nil {
		return verdict{}, err
	}
	for _, one := range all {
		if one.View == n {
			return right(fmt.Sprintf("it counts the leaders, and %s leads now. A node that comes back with an older number is not listened to", one.leader()),
				fmt.Sprintf("它给历任主节点编号，现在是 %s。带着旧编号回来的节点，谁也不听它的", one.leader())), nil
		}
	}
	return wrong("ask a node that runs: the line that names the leader in \"jialing status --once\" has it", "问一个在运行的节点：jialing status --once 中主节点那一行就有"), nil
}

// checkPauseAfterKill: how many milliseconds was the longest pause after the kill?
func checkPauseAfterKill(_ context.Context, s school, answer string) (verdict, error) {
	return checkPause(s, faultKill, answer)
}

// checkPause compares with what the demo measured after a fault of that kind. Its table rounds.
func checkPause(s school, fault, answer string) (verdict, error) {
	n, ok := wholeNumber(strings.TrimSuffix(strings.ToLower(strings.TrimSpace(answer)), "ms"))
	if !ok {
		return notANumber, nil
	}
	r, err := s.run(fault)
	if err != nil {
		return verdict{}, err
	}
	for _, f := range r.Faults {
		if f.Action == fault && math.Abs(f.Pause-float64(n)) <= 1 {
			return right(fmt.Sprintf("%s was it; every figure is your machine's own", f.what()), fmt.Sprintf("对应的是 %s；数字因机器而异", f.what())), nil
		}
	}
	return wrong(fmt.Sprintf("look at the end of the demo's table, in the line that begins with %q", fault), fmt.Sprintf("看演示最后的表格中以 %q 开头的那一行", fault)), nil
}

// checkLiar: which validator does the demo's evidence name?
func checkLiar(_ context.Context, s school, answer string) (verdict, error) {
	r, err := s.run(faultByzantine)
	if err != nil {
		return verdict{}, err
	}
	word := strings.ToLower(strings.TrimSpace(answer))
	if number, found := strings.CutPrefix(word, "validator"); found {
		word = strings.TrimSpace(number)
	}
	proof := ""
	for _, f := range r.Faults {
		if f.Action != faultByzantine {
			continue
		}
		for _, e := range f.Evidence {
			proof = e
			if name := f.Nodes[0]; word == name || word == strings.TrimPrefix(name, "node") {
				return right("yes: "+e+". It cannot deny that: nobody else has its key", "对："+e+"。它赖不掉：别人没有它的密钥"), nil
			}
		}
	}
	if proof == "" {
		return verdict{}, fmt.Errorf("%w: nobody has noted evidence in that run; give the liar some seconds before the end", errNoLesson)
	}
	return wrong("look at the end of the demo's table, in the line that begins with the liar's name", "看演示最后的表格中以说谎者名字开头的那一行"), nil
}
