package eth

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"sync"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// feeService has the methods about prices. On a chain of zero fees all of them are zero, and still there: wallets insist.
type feeService struct{ a *API }

// GasPrice is eth_gasPrice: what a legacy transaction should offer, in wei. It suffices for the next block, and for the newest too: clients
// estimate with this price, and estimates run on that one.
func (s *feeService) GasPrice() *hexutil.Big {
	head := s.a.ledger.Head()
	base := s.a.calls.NextBaseFee(head)
	if head.BaseFee.Cmp(base) > 0 {
		base = head.BaseFee
	}
	price := s.a.suggestTip(head)
	return (*hexutil.Big)(price.Add(price, base))
}

// MaxPriorityFeePerGas is eth_maxPriorityFeePerGas, in wei.
func (s *feeService) MaxPriorityFeePerGas() *hexutil.Big {
	return (*hexutil.Big)(s.a.suggestTip(s.a.ledger.Head()))
}

// minBlobBaseFee is EIP-4844's price where no blob was ever used, as here.
const minBlobBaseFee = 1

// BlobBaseFee is eth_blobBaseFee (EIP-7516).
func (s *feeService) BlobBaseFee() hexutil.Uint64 { return minBlobBaseFee }

// tipBlocks and tipPercentile say what a suggestion rests on: the newest blocks held in memory, and a tip that most of them exceeded. They
// are geth's.
const (
	tipBlocks     = 20
	tipPercentile = 60
)

// tipCache holds the suggestion for one head.
type tipCache struct {
	mu     sync.Mutex
	height uint64
	tip    *uint256.Int
}

// suggestTip is 0 on chains without a fee market, and where no recent transaction paid a tip.
func (a *API) suggestTip(head *chain.Header) *big.Int {
	if a.genesis.Fees.Mode == chain.FeesZero {
		return new(big.Int)
	}
	height := head.Number.Uint64()
	a.tips.mu.Lock()
	defer a.tips.mu.Unlock()
	if a.tips.tip != nil && a.tips.height == height {
		return a.tips.tip.ToBig()
	}
	var tips []*uint256.Int
	for h := height; height-h < tipBlocks; h-- {
		b := a.recent.block(h)
		if b == nil {
			break
		}
		base := uint256.MustFromBig(b.Header.BaseFee)
		for _, tx := range b.Txs {
			if tip, ok := tx.EffectiveTip(base); ok {
				tips = append(tips, tip)
			}
		}
		if h == 0 {
			break
		}
	}
	a.tips.height, a.tips.tip = height, new(uint256.Int)
	if len(tips) > 0 {
		slices.SortFunc(tips, (*uint256.Int).Cmp)
		a.tips.tip = tips[(len(tips)-1)*tipPercentile/100]
	}
	return a.tips.tip.ToBig()
}

// maxPercentiles bounds eth_feeHistory's third parameter; it is geth's.
const maxPercentiles = 100

// FeeHistory is eth_feeHistory. A count above the limit is cut, as the specification allows: oldestBlock tells.
func (s *feeService) FeeHistory(ctx context.Context, count hexOrNumber, newest rpc.BlockNumber, percentiles []float64) (json.RawMessage, error) {
	if len(percentiles) > maxPercentiles {
		return nil, invalidParams("invalid reward percentile: over the query limit %d", maxPercentiles)
	}
	for i, p := range percentiles {
		if !(p >= 0 && p <= 100) || (i > 0 && p <= percentiles[i-1]) {
			return nil, invalidParams("invalid reward percentile: %v, want ascending values of 0 to 100", p)
		}
	}
	last, ok := s.a.height(newest)
	if !ok {
		return nil, invalidParams("request beyond head block: requested %d, head %d", newest.Int64(), s.a.ledger.Head().Number)
	}
	n := min(uint64(count), s.a.cfg.FeeHistoryBlocks, last+1)
	if len(percentiles) > 0 {
		n = min(n, s.a.cfg.FeeHistoryRewardBlocks)
	}
	if n == 0 {
		return json.RawMessage(`{"oldestBlock":"0x0","gasUsedRatio":null}`), nil
	}
	return run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) (json.RawMessage, error) {
		return s.history(ctx, last+1-n, last, percentiles)
	})
}

func (s *feeService) history(ctx context.Context, first, last uint64, percentiles []float64) (json.RawMessage, error) {
	n := last - first + 1
	var base, ratio, reward, blobBase, blobRatio []byte
	for height := first; height <= last; height++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, _, err := s.a.header(height)
		if err != nil {
			return nil, err
		}
		base = append(appendBig(base, h.BaseFee), ',')
		ratio = strconv.AppendFloat(ratio, float64(h.GasUsed)/float64(h.GasLimit), 'g', -1, 64)
		if len(percentiles) > 0 {
			if reward, err = s.appendRewards(reward, height, percentiles); err != nil {
				return nil, err
			}
		}
		blobBase = append(appendUint(blobBase, minBlobBaseFee), ',')
		blobRatio = append(blobRatio, '0')
		if height == last {
			base = appendBig(base, s.a.calls.NextBaseFee(h))
			blobBase = appendUint(blobBase, minBlobBaseFee)
			break
		}
		ratio, blobRatio = append(ratio, ','), append(blobRatio, ',')
		if len(percentiles) > 0 {
			reward = append(reward, ',')
		}
	}
	out := make([]byte, 0, 128+n*64)
	out = append(out, `{"oldestBlock":`...)
	out = appendUint(out, first)
	if len(percentiles) > 0 {
		out = append(append(append(out, `,"reward":[`...), reward...), ']')
	}
	for _, part := range []struct {
		name string
		list []byte
	}{{"baseFeePerGas", base}, {"gasUsedRatio", ratio}, {"baseFeePerBlobGas", blobBase}, {"blobGasUsedRatio", blobRatio}} {
		out = append(append(append(append(append(out, `,"`...), part.name...), `":[`...), part.list...), ']')
	}
	return append(out, '}'), nil
}

// appendRewards writes, per percentile, the tip at which that share of the block's gas paid no more.
func (s *feeService) appendRewards(out []byte, height uint64, percentiles []float64) ([]byte, error) {
	b, err := s.a.block(height)
	if err != nil {
		return nil, err
	}
	receipts, err := s.a.receipts(height)
	if err != nil {
		return nil, err
	}
	if len(receipts) != len(b.Txs) {
		return nil, fmt.Errorf("block %d has %d transactions and %d receipts", height, len(b.Txs), len(receipts))
	}
	type paid struct {
		gas uint64
		tip *uint256.Int
	}
	list := make([]paid, len(b.Txs))
	base := uint256.MustFromBig(b.Header.BaseFee)
	for i, tx := range b.Txs {
		tip, ok := tx.EffectiveTip(base)
		if !ok {
			tip = new(uint256.Int)
		}
		list[i] = paid{receipts[i].GasUsed, tip}
	}
	slices.SortStableFunc(list, func(a, b paid) int { return a.tip.Cmp(b.tip) })
	out = append(out, '[')
	at, sum := 0, uint64(0)
	if len(list) > 0 {
		sum = list[0].gas
	}
	for i, p := range percentiles {
		if i > 0 {
			out = append(out, ',')
		}
		if len(list) == 0 {
			out = appendUint(out, 0)
			continue
		}
		threshold := uint64(float64(b.Header.GasUsed) * p / 100)
		for sum < threshold && at < len(list)-1 {
			at++
			sum += list[at].gas
		}
		out = appendU256(out, list[at].tip)
	}
	return append(out, ']'), nil
}
