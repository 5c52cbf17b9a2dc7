package main

import (
	"context"
	"fmt"

	"github.com/jialing-chain/jialing/client"
)

// blockChecks are lab 1's.
var blockChecks = map[int]answerCheck{1: checkParentHash, 3: checkNextNonce, 4: checkForgery, 6: checkSoloSignatures}

// labBlock is the block that lab 1 looks at: the second of three transfers.
const labBlock = 2

// checkParentHash: what is the hash of block 2's parent?
func checkParentHash(ctx context.Context, s school, answer string) (verdict, error) {
	h, err := s.header(ctx, labBlock)
	if err != nil {
		return verdict{}, err
	}
	switch {
	case isHash(answer, h.ParentHash):
		return right("block 2 names block 1 by this hash; whoever changes block 1 would have to change block 2 too, and every block after it",
			"区块 2 用这个哈希指向区块 1；谁改了区块 1，就必须连区块 2 及其后的每个区块一起改"), nil
	case isHash(answer, h.Hash()):
		return wrong("that is block 2's own hash; the parent's is in the line \"parent\"", "这是区块 2 自己的哈希；父区块的哈希在 parent 那一行"), nil
	}
	return wrong("run \"jialing block show 2\" and copy the line \"parent\" (eight digits of it are enough)",
		"运行 jialing block show 2，抄下 parent 一行（前八位即可）"), nil
}

// checkNextNonce: which nonce will the next transaction of dev:0 have?
func checkNextNonce(ctx context.Context, s school, answer string) (verdict, error) {
	dev, err := client.DevAccounts(1)
	if err != nil {
		return verdict{}, err
	}
	want, err := s.nonce(ctx, dev[0].Address())
	if err != nil {
		return verdict{}, err
	}
	switch n, ok := wholeNumber(answer); {
	case !ok:
		return notANumber, nil
	case want == 0:
		return wrong("dev:0 has sent nothing on this chain yet: do the lab's transfers first", "这条链上 dev:0 还没有发过交易：先做实验中的转账"), nil
	case n == want:
		return right("nonces count an account's transactions from 0, so each is carried out once and in order: a copy of an old one is refused",
			"nonce 从 0 起给账户的交易编号，因此每笔交易只执行一次，而且按顺序：重放旧交易会被拒绝"), nil
	case n+1 == want:
		return wrong("that one is used already; nonces count from 0", "这个号已经用过；nonce 从 0 开始编号"), nil
	}
	return wrong("count the transactions that dev:0 has sent on this chain; the first had nonce 0", "数一数 dev:0 在这条链上发过几笔交易；第一笔的 nonce 是 0"), nil
}

// checkForgery: the path of the forged proof file. The tool verifies it as anybody would.
func checkForgery(_ context.Context, s school, answer string) (verdict, error) {
	b, err := readUpTo(answer, client.MaxProofSize)
	if err != nil {
		return wrong(fmt.Sprintf("there is no such file: %v", err), fmt.Sprintf("没有这个文件：%v", err)), nil
	}
	p, err := client.ParseProof(b)
	if err != nil {
		return wrong(fmt.Sprintf("that is no proof file any more (%v): change a value and leave the form as it is", err),
			fmt.Sprintf("这已经不是证据文件了（%v）：只改一个值，保持格式", err)), nil
	}
	trust, err := s.trust()
	if err != nil {
		return verdict{}, err
	}
	if p.Genesis != trust.Genesis {
		return wrong("that proof is of another chain, not of this lab's", "这是另一条链的证据，不是本实验的"), nil
	}
	proven, err := client.Verify(p, trust)
	if err == nil {
		return wrong(fmt.Sprintf("this proof holds, for block %d: nothing in it was changed", proven.Height), fmt.Sprintf("这份证据成立（区块 %d）：里面没有任何改动", proven.Height)), nil
	}
	return right(fmt.Sprintf("refused, as it must be: %v", err), fmt.Sprintf("理应被拒绝：%v", err)), nil
}

// checkSoloSignatures: how many signatures does block 2's certificate carry?
func checkSoloSignatures(ctx context.Context, s school, answer string) (verdict, error) {
	return checkSignatures(ctx, s, labBlock, answer)
}

// checkSignatures compares a count with the certificates that the running nodes keep of a block. Nodes may keep different ones: any quorum will do.
func checkSignatures(ctx context.Context, s school, height uint64, answer string) (verdict, error) {
	n, ok := wholeNumber(answer)
	if !ok {
		return notANumber, nil
	}
	counts, err := s.signatures(ctx, height)
	if err != nil {
		return verdict{}, err
	}
	all, err := s.nodes(ctx)
	if err != nil {
		return verdict{}, err
	}
	members, quorum := len(all[0].Validators), all[0].Quorum
	for _, c := range counts {
		if uint64(c) == n {
			return right(fmt.Sprintf("%d of the %d validators have signed what block %d came to; a quorum is %d", n, members, height, quorum),
				fmt.Sprintf("%d 个验证者中有 %d 个签署了区块 %d 的结果；法定人数是 %d", members, n, height, quorum)), nil
		}
	}
	return wrong(fmt.Sprintf("look at the line \"signed by\" of \"jialing proof verify\" for a transaction of block %d", height),
		fmt.Sprintf("取区块 %d 中的一笔交易，看 jialing proof verify 输出的 signed by 一行", height)), nil
}
