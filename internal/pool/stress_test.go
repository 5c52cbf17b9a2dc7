package pool

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Many callers add, one proposes and executes, others read: every transaction is executed once, in its sender's order. Run with -race.
func TestConcurrentUse(t *testing.T) {
	const senders, each = 8, 40
	f := start(t, setup{cfg: journaled(t.TempDir())})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for s := range senders {
		f.rich(person(s))
	}
	var adders, others sync.WaitGroup
	for s := range senders {
		raws := make([][]byte, each)
		for n := range raws {
			raws[n] = spec{from: person(s), nonce: uint64(n)}.raw(t)
		}
		adders.Go(func() {
			for at := 0; at < each; at += 5 {
				_, errs := f.AddBatch(ctx, raws[at:at+5], s%2 == 0)
				unexpected(t, errs...)
			}
		})
		adders.Go(func() { // a peer sends the same, whenever it arrives
			for _, raw := range raws {
				_, err := f.Add(ctx, raw, false)
				unexpected(t, err)
			}
		})
	}
	ch, stop := f.Subscribe(1000)
	defer stop()
	others.Go(func() {
		for range ch {
			f.Status()
			f.Content(10)
			_, _ = f.PendingNonce(person(1).addr)
		}
	})
	next := make(map[common.Address]uint64)
	for done := 0; done < senders*each; {
		hashes := f.Build(7, 1<<20, 1<<40)
		if len(hashes) == 0 {
			<-f.Notify()
			continue
		}
		txs, missing := f.Bodies(hashes)
		require.Empty(t, missing)
		f.Decided(txs)
		var writes []chain.AccountChange
		seen := make(map[common.Address]int)
		for _, tx := range txs {
			require.Equal(t, next[tx.Sender()], tx.Nonce())
			next[tx.Sender()]++
			w := f.ledger.set(tx.Sender(), tx.Nonce()+1, 1e18)
			if at, twice := seen[tx.Sender()]; twice {
				writes[at] = w
			} else {
				seen[tx.Sender()] = len(writes)
				writes = append(writes, w)
			}
		}
		f.Executed(f.ledger.block(txs, nil, writes...))
		f.consistent()
		done += len(txs)
	}
	adders.Wait()
	f.consistent()
	pending, queued := f.Status()
	require.Zero(t, pending+queued)
	f.stop()
	others.Wait()
}

// unexpected fails for anything but what a transaction that came twice gives.
func unexpected(t *testing.T, errs ...error) {
	for _, err := range errs {
		if err != nil && !errors.Is(err, ErrAlreadyKnown) && !errors.Is(err, ErrNonceTooLow) {
			t.Error(err)
		}
	}
}
