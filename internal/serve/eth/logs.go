package eth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

// logService has the methods about logs and filters.
type logService struct{ a *API }

// maxTopics is how many topics a log can have.
const maxTopics = 4

// logFilter is the parameter of eth_getLogs, eth_newFilter and the subscription "logs".
type logFilter struct {
	BlockHash *common.Hash
	From, To  *rpc.BlockNumber
	Addresses []common.Address
	Topics    [][]common.Hash
}

// UnmarshalJSON takes one address or a list, and per topic position null, one topic or a list.
func (f *logFilter) UnmarshalJSON(b []byte) error {
	var in struct {
		BlockHash *common.Hash      `json:"blockHash"`
		From      *rpc.BlockNumber  `json:"fromBlock"`
		To        *rpc.BlockNumber  `json:"toBlock"`
		Address   json.RawMessage   `json:"address"`
		Topics    []json.RawMessage `json:"topics"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.BlockHash != nil && (in.From != nil || in.To != nil) {
		return errors.New("cannot specify both blockHash and fromBlock/toBlock, choose one or the other")
	}
	if len(in.Topics) > maxTopics {
		return errors.New("exceed max topics")
	}
	*f = logFilter{BlockHash: in.BlockHash, From: in.From, To: in.To}
	var err error
	if f.Addresses, _, err = oneOrMany[common.Address](in.Address); err != nil {
		return fmt.Errorf("invalid address: %w", err)
	}
	for _, t := range in.Topics {
		topics, any, err := oneOrMany[common.Hash](t)
		if err != nil {
			return fmt.Errorf("invalid topic: %w", err)
		}
		if any {
			topics = nil
		}
		f.Topics = append(f.Topics, topics)
	}
	return nil
}

// oneOrMany reads null, a value, or a list of values; hasNull tells of a null in the list, which means "any".
func oneOrMany[T common.Address | common.Hash](b json.RawMessage) (out []T, hasNull bool, err error) {
	if len(b) == 0 || string(b) == "null" {
		return nil, true, nil
	}
	if b[0] != '[' {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return nil, false, err
		}
		return []T{v}, false, nil
	}
	var list []*T
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, false, err
	}
	for _, v := range list {
		if v == nil {
			hasNull = true
			continue
		}
		out = append(out, *v)
	}
	return out, hasNull, nil
}

// matches is geth's rule: as many topics as the filter has, each position any of its alternatives.
func (f *logFilter) matches(l *types.Log) bool {
	if len(f.Addresses) > 0 && !slices.Contains(f.Addresses, l.Address) {
		return false
	}
	if len(f.Topics) > len(l.Topics) {
		return false
	}
	for i, alternatives := range f.Topics {
		if len(alternatives) > 0 && !slices.Contains(alternatives, l.Topics[i]) {
			return false
		}
	}
	return true
}

// check bounds the terms.
func (f *logFilter) check(max int) error {
	if len(f.Addresses) > max {
		return invalidParams("exceed max addresses: %d, at most %d", len(f.Addresses), max)
	}
	for _, t := range f.Topics {
		if len(t) > max {
			return invalidParams("exceed max topics per search position: %d, at most %d", len(t), max)
		}
	}
	return nil
}

// GetLogs is eth_getLogs. More blocks or logs than the limits is an error, never a part of the answer.
func (s *logService) GetLogs(ctx context.Context, f logFilter) (json.RawMessage, error) {
	if err := f.check(s.a.cfg.MaxLogTerms); err != nil {
		return nil, err
	}
	from, to, err := s.a.logRange(&f)
	if err != nil {
		return nil, err
	}
	logs, err := s.a.logs(ctx, &f, from, to)
	if err != nil {
		return nil, err
	}
	return appendLogs(make([]byte, 0, 16+700*len(logs)), logs), nil
}

// logRange resolves a filter's heights; both default to latest.
func (a *API) logRange(f *logFilter) (from, to uint64, err error) {
	if f.BlockHash != nil {
		h, ok, err := a.heightByHash(*f.BlockHash)
		if err == nil && !ok {
			err = errors.New("unknown block")
		}
		return h, h, err
	}
	resolve := func(n *rpc.BlockNumber) (uint64, error) {
		at := rpc.LatestBlockNumber
		if n != nil {
			at = *n
		}
		h, ok := a.height(at)
		if !ok {
			return 0, invalidParams("block range extends beyond current head block")
		}
		return h, nil
	}
	if f.From != nil && f.To != nil && *f.From >= 0 && *f.To >= 0 && *f.From > *f.To {
		return 0, 0, invalidParams("invalid block range params")
	}
	if from, err = resolve(f.From); err != nil {
		return 0, 0, err
	}
	if to, err = resolve(f.To); err != nil {
		return 0, 0, err
	}
	if from > to {
		return 0, 0, invalidParams("invalid block range params")
	}
	if to-from >= a.cfg.MaxLogRange {
		return 0, 0, limitExceeded("exceed maximum block range %d", a.cfg.MaxLogRange)
	}
	return from, to, nil
}

// maxLogBytes bounds the data of the logs in one answer: MaxLogResults logs of 3 KiB. A single log can have megabytes.
const maxLogBytes = 32 << 20

func (a *API) logs(ctx context.Context, f *logFilter, from, to uint64) ([]*types.Log, error) {
	q := chain.LogQuery{From: from, To: to, Addresses: f.Addresses, Topics: f.Topics, MaxResults: a.cfg.MaxLogResults, MaxBytes: maxLogBytes}
	logs, err := run(ctx, a.callGate, a.cfg.CallTimeout, func(ctx context.Context) ([]*types.Log, error) { return a.ledger.Logs(ctx, q) })
	// The ledger takes a position without alternatives as none; in geth's rule a log must still have that many topics.
	return slices.DeleteFunc(logs, func(l *types.Log) bool { return !f.matches(l) }), err
}
