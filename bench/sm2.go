package main

import (
	"context"
	"fmt"
	"math/big"
	"runtime"

	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/client"
)

// newSM2Holders are holders whose accounts sign with SM2. Every address takes a multiplication, ten to twenty seconds of one core for a million.
func newSM2Holders(ctx context.Context, n int, seed int64) (*holders, error) {
	h := newHolderKeys(n, seed, client.KindSM2)
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < n && ctx.Err() == nil; i += workers {
				a, err := h.sm2Account(i)
				if err != nil {
					return err
				}
				h.addresses[i] = a.Address()
			}
			return ctx.Err()
		})
	}
	return h, g.Wait()
}

func (h *holders) sm2Account(i int) (*client.SM2, error) {
	key, err := sm2.NewPrivateKey(h.secret(i))
	if err != nil {
		return nil, fmt.Errorf("key of holder %d: %w", i, err)
	}
	return client.SM2FromKey(key), nil
}

// signSM2 signs holder i's transaction of type 0x50.
func (h *holders) signSM2(i int, chainID *big.Int, tx *client.Tx) ([]byte, error) {
	a, err := h.sm2Account(i)
	if err != nil {
		return nil, err
	}
	return a.SignTx(chainID, tx)
}

func (b *bench) newHolders(ctx context.Context) (*holders, error) {
	if b.Kind == client.KindSM2 {
		return newSM2Holders(ctx, b.report.Accounts, b.Seed)
	}
	return newHolders(b.report.Accounts, b.Seed), nil
}

// signOther signs as many transfers of secp256k1 accounts as a yardstick takes. They are not sent: what they cost to decode and recover on this machine in
// this run is what the other kind is compared with.
func (b *bench) signOther(ctx context.Context) error {
	if b.Kind == client.KindSecp256k1 {
		return nil
	}
	const holders = 1000
	other := newToken(b.treasurer.address, holders)
	txs, err := other.signTransfers(ctx, newHolders(holders, b.Seed), newPayments(holders, b.Seed), yardstickRuns)
	if err != nil {
		return err
	}
	b.other = newYardstick(chainID, txs)
	_, err = b.other.measure(yardstickRuns)
	return err
}

// measureOther adds half of the other kind's cost to the report: it is measured before and after the load.
func (b *bench) measureOther() error {
	if b.other == nil {
		return nil
	}
	us, err := b.other.measure(yardstickRuns)
	b.report.Secp256k1Micros += us / 2
	return err
}
