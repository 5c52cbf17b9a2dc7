package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// verdict is what came of an answer, with the reason in both languages.
type verdict struct {
	right  bool
	en, zh string
}

func right(en, zh string) verdict { return verdict{true, en, zh} }
func wrong(en, zh string) verdict { return verdict{false, en, zh} }

// answerCheck compares an answer with what is so. An error is an answer that cannot be checked now, which is nobody's fault.
type answerCheck func(ctx context.Context, s school, answer string) (verdict, error)

// questionChecks are the questions without options, by lab and question.
var questionChecks = map[int]map[int]answerCheck{1: blockChecks, 2: crashChecks, 3: lieChecks, 4: stakeChecks, 5: workChecks}

// leastHashDigits of a hash are enough to tell that somebody has looked at it.
const leastHashDigits = 8

// isHash tells whether an answer is a hash, or begins as it does.
func isHash(answer string, hash common.Hash) bool {
	digits := strings.ToLower(strings.Trim(answer, "….\" "))
	digits = strings.TrimPrefix(digits, "0x")
	return len(digits) >= leastHashDigits && strings.HasPrefix(hash.Hex()[2:], digits)
}

// wholeNumber reads an answer that is a number.
func wholeNumber(answer string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.ReplaceAll(strings.TrimSpace(answer), ",", ""), 10, 64)
	return n, err == nil
}

// notANumber is the verdict on what is none.
var notANumber = wrong("answer with a number", "请用一个数字作答")

// aNumber is a check whose answer is a number that follows from the platform's rules.
func aNumber(want func() int, whyEN, whyZH string) answerCheck {
	return func(_ context.Context, _ school, answer string) (verdict, error) {
		n, ok := wholeNumber(answer)
		switch {
		case !ok:
			return notANumber, nil
		case n != uint64(want()):
			return wrong(fmt.Sprintf("not %d. ", n)+whyEN, fmt.Sprintf("不是 %d。", n)+whyZH), nil
		}
		return right(whyEN, whyZH), nil
	}
}
