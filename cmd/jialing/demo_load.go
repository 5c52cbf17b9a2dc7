package main

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/client"
)

// demoBatch is the number of transfers in one message: small enough that the first is not old when the last has gone out.
const demoBatch = 20

// demoLoad is signed transfers, by sender and in the order of their nonces.
type demoLoad struct {
	raws  [][][]byte
	total int
}

// sign prepares n transfers, shared out evenly over the senders, whose nonces are as conn knows them.
func (d *demonstration) sign(ctx context.Context, conn *client.Client, n int) (*demoLoad, error) {
	load := &demoLoad{raws: make([][][]byte, d.flags.senders), total: n}
	nonces := make([]uint64, d.flags.senders)
	for i := range nonces {
		var err error
		if nonces[i], err = conn.Nonce(ctx, d.senders[i].Address()); err != nil {
			return nil, err
		}
	}
	feeCap, tipCap, err := conn.Fees(ctx)
	if err != nil {
		return nil, err
	}
	step, end := d.progress()
	defer end()
	for i := range n {
		who := i % d.flags.senders
		data, err := d.token.ABI.Pack("transfer", recipient(d.shown.Transfers+i), big.NewInt(1))
		if err != nil {
			return nil, err
		}
		nonce := nonces[who]
		nonces[who]++
		raw, err := d.senders[who].SignTx(conn.ChainID(), &client.Tx{To: &d.token.Address, Data: data, Gas: d.gas, Nonce: &nonce, FeeCap: feeCap, TipCap: tipCap})
		if err != nil {
			return nil, err
		}
		load.raws[who] = append(load.raws[who], raw)
		step("signing", uint64(i+1), uint64(n))
	}
	return load, nil
}

// loadResult is how sending went.
type loadResult struct {
	took      time.Duration
	blocks    uint64
	height    uint64          // of the last block
	latencies []time.Duration // ascending
}

// percentile is in milliseconds.
func (r *loadResult) percentile(p int) float64 {
	i := int(math.Ceil(float64(p)/100*float64(len(r.latencies)))) - 1
	return float64(r.latencies[i].Microseconds()) / 1000
}

// send hands all transfers to the nodes in turn, every sender at once, and returns when the last one is in a block that the observer has announced.
func (l *demoLoad) send(ctx context.Context, nodes []*client.Client, observer *client.Client) (*loadResult, error) {
	heads := make(chan *types.Header, 1024)
	sub, err := observer.SubscribeHeads(ctx, heads)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	var mu sync.Mutex // guards sentAt
	sentAt := make(map[common.Hash]time.Time, l.total)
	g, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for sender, raws := range l.raws {
		g.Go(func() error {
			turn := sender
			for batch := range slices.Chunk(raws, demoBatch) {
				now := time.Now()
				mu.Lock()
				for _, raw := range batch {
					sentAt[client.TxHash(raw)] = now
				}
				mu.Unlock()
				_, errs, err := nodes[turn%len(nodes)].SendRawBatch(ctx, batch)
				if err != nil {
					return err
				}
				for _, err := range errs {
					if err != nil {
						return err
					}
				}
				turn++
			}
			return nil
		})
	}
	out := &loadResult{}
	g.Go(func() error {
		for len(out.latencies) < l.total {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%d of %d transfers are in blocks: %w", len(out.latencies), l.total, ctx.Err())
			case err := <-sub.Err():
				return fmt.Errorf("lost the subscription to blocks: %w", err)
			case h := <-heads:
				heard := time.Now()
				b, err := observer.BlockByHash(ctx, h.Hash())
				if err != nil {
					return err
				}
				mu.Lock()
				out.add(b, heard, sentAt)
				mu.Unlock()
				out.took = heard.Sub(start)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(out.latencies)
	return out, nil
}

// add counts the transfers of a block that was heard of at that time.
func (r *loadResult) add(b *client.Block, heard time.Time, sentAt map[common.Hash]time.Time) {
	for _, hash := range b.Txs {
		if at, ours := sentAt[hash]; ours {
			r.latencies = append(r.latencies, heard.Sub(at))
		}
	}
	r.blocks++
	r.height = b.Header.Number.Uint64()
}
