package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// chainView is a connection for questions and heads, apart from the ones that send.
type chainView struct{ rpc *rpc.Client }

func dialView(ctx context.Context, url string) (*chainView, error) {
	// A block of a few thousand receipts is larger than the client's default limit for one message.
	c, err := rpc.DialOptions(ctx, url, rpc.WithWebsocketMessageSizeLimit(1<<28))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	return &chainView{c}, nil
}

func (v *chainView) close() { v.rpc.Close() }

func (v *chainView) height(ctx context.Context) (uint64, error) {
	var h hexutil.Uint64
	err := v.rpc.CallContext(ctx, &h, "eth_blockNumber")
	return uint64(h), err
}

// block is the transactions of a block.
type block struct {
	Number       hexutil.Uint64 `json:"number"`
	GasUsed      hexutil.Uint64 `json:"gasUsed"`
	Transactions []common.Hash  `json:"transactions"`
}

func (v *chainView) block(ctx context.Context, height uint64) (*block, error) {
	var b *block
	if err := v.rpc.CallContext(ctx, &b, "eth_getBlockByNumber", hexutil.Uint64(height), false); err != nil {
		return nil, fmt.Errorf("read block %d: %w", height, err)
	}
	if b == nil {
		return nil, fmt.Errorf("read block %d: the node announced it and does not have it", height)
	}
	return b, nil
}

// last is the last transaction, zero when there is none.
func (b *block) last() (hash common.Hash) {
	if n := len(b.Transactions); n > 0 {
		hash = b.Transactions[n-1]
	}
	return hash
}

// seen is a block and when its head arrived.
type seen struct {
	*block
	at time.Time
}

type head struct {
	Number hexutil.Uint64 `json:"number"`
}

type arrival struct {
	head head
	at   time.Time
}

// stamp notes when heads arrive, whatever the reader is busy with. It ends with ctx.
func stamp(ctx context.Context, heads <-chan head) <-chan arrival {
	out := make(chan arrival, cap(heads))
	go func() {
		for {
			select {
			case h := <-heads:
				select {
				case out <- arrival{h, time.Now()}:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// headTimeout is how long a chain with work may go without a block.
const headTimeout = 30 * time.Second

// subscription is a stream of heads, new ones or final ones.
type subscription struct {
	*rpc.ClientSubscription
	arrived <-chan arrival
	cancel  context.CancelFunc
}

// subscribe returns once the node will tell of every new head.
func (v *chainView) subscribe(ctx context.Context) (*subscription, error) {
	return v.subscribeTo(ctx, "newHeads")
}

func (v *chainView) subscribeTo(ctx context.Context, kind string) (*subscription, error) {
	heads := make(chan head, 1024)
	sub, err := v.rpc.EthSubscribe(ctx, heads, kind)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", kind, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	return &subscription{sub, stamp(ctx, heads), cancel}, nil
}

// newest is the height of the last head that has come, which is a or one after it.
func (s *subscription) newest(a arrival) uint64 {
	for {
		select {
		case a = <-s.arrived:
		default:
			return uint64(a.head.Number)
		}
	}
}

func (s *subscription) close() {
	s.Unsubscribe()
	s.cancel()
}

// follow hands every block after height to f, in order, until f reports that it has seen enough. Heights that the subscription skips count as
// seen with the next one. Going without a block for as long as patience is an error.
func (v *chainView) follow(ctx context.Context, sub *subscription, height uint64, patience time.Duration, f func(seen) (enough bool, err error)) error {
	if patience == 0 {
		patience = headTimeout
	}
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	for {
		select {
		case a := <-sub.arrived:
			quiet.Reset(patience)
			for height < uint64(a.head.Number) {
				height++
				b, err := v.block(ctx, height)
				if err != nil {
					return err
				}
				if enough, err := f(seen{b, a.at}); enough || err != nil {
					return err
				}
			}
		case err := <-sub.Err():
			return fmt.Errorf("the subscription to new heads ended: %v", err)
		case <-quiet.C:
			return fmt.Errorf("no block for %s", patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// failures counts the transactions of blocks (from, to] that did not succeed, by their receipts.
func (v *chainView) failures(ctx context.Context, from, to uint64) (failed, total int, err error) {
	for height := from + 1; height <= to; height++ {
		var receipts []struct {
			Status hexutil.Uint64 `json:"status"`
		}
		if err := v.rpc.CallContext(ctx, &receipts, "eth_getBlockReceipts", hexutil.Uint64(height)); err != nil {
			return 0, 0, fmt.Errorf("read the receipts of block %d: %w", height, err)
		}
		total += len(receipts)
		for _, r := range receipts {
			if r.Status != 1 {
				failed++
			}
		}
	}
	return failed, total, nil
}
