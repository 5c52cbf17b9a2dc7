package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jialing-chain/jialing/internal/chain"
)

// yardstick times one decode with sender recovery (SM2: verification) of the benchmark's own transactions, in CPU time of one thread. Its verifiers know no
// sender, or the same transactions would cost less each time.
type yardstick struct {
	genesis *chain.Genesis
	txs     []signed
}

func newYardstick(chainID uint64, txs []signed) *yardstick {
	return &yardstick{&chain.Genesis{ChainID: chainID, Transactions: chain.TxKinds}, txs}
}

// measure returns the CPU microseconds of one transaction, over the first n.
func (y *yardstick) measure(n int) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n = min(n, len(y.txs))
	verifier := chain.NewVerifier(y.genesis)
	before, err := threadCPU()
	if err != nil {
		return 0, err
	}
	for _, tx := range y.txs[:n] {
		decoded, err := chain.DecodeTx(tx.raw)
		if err != nil {
			return 0, err
		}
		if err := verifier.Verify(decoded); err != nil {
			return 0, err
		}
	}
	after, err := threadCPU()
	if err != nil {
		return 0, err
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(n), nil
}

// during measures now and then until ctx ends, a hundredth of one core: under load a core is slower than on its own, for the node as for the
// yardstick.
func (y *yardstick) during(ctx context.Context) (float64, error) {
	var sum float64
	var count int
	for {
		us, err := y.measure(200)
		if err != nil {
			return 0, err
		}
		sum, count = sum+us, count+1
		select {
		case <-ctx.Done():
			return sum / float64(count), nil
		case <-time.After(time.Second):
		}
	}
}

// threadCPU is the user and system time of the calling thread.
func threadCPU() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read the thread's CPU time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
