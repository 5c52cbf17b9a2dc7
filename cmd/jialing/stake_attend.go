package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
)

// errNotRegistered is a node whose key nobody has registered.
var errNotRegistered = errors.New("nobody has registered this node's key: see \"jialing stake register\"")

func (c *cli) stakeAttend() *cobra.Command {
	var f txFlags
	var p proofFlags
	var once bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use: "attend", Short: "Show in each epoch that a node with a seat is present, until Ctrl-C", Args: cobra.NoArgs,
		Long: `Show in each epoch that a node with a seat is present, until Ctrl-C: the node's key signs, any account that can pay for the gas sends. Let it run beside each
validator's node. A seat that shows it in no block of its epoch earns nothing for it and may be jailed. Give it an account with little else: it is open all the
time.`,
		Example: `  jialing stake attend --node mynode --key-file attend.key`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond {
				return usagef("--interval must be 100ms at the least")
			}
			if p.node == "" {
				return usagef("--node: which node?")
			}
			key, genesis, err := p.open(c)
			if err != nil {
				return err
			}
			if device, ok := key.(io.Closer); ok {
				defer device.Close()
			}
			from, err := c.signer(f.from, f.keyFile, f.keyKind)
			if err != nil {
				return err
			}
			a := &attendance{c: c, key: key, genesis: genesis, from: from, f: &f}
			if once {
				return a.show(cmd.Context())
			}
			return a.run(cmd.Context(), interval)
		},
	}
	c.stakeFlags(cmd, &f)
	p.folder(cmd)
	cmd.Flags().BoolVar(&once, "once", false, "look once, and end")
	cmd.Flags().DurationVar(&interval, "interval", 10*time.Second, "how often to look; several times an epoch")
	return cmd
}

// attendance shows that one node is present.
type attendance struct {
	c       *cli
	key     crypto.PrivateKey
	genesis crypto.Hash
	from    client.Account
	f       *txFlags
}

// run looks again and again. What fails is said, and tried again.
func (a *attendance) run(ctx context.Context, interval time.Duration) error {
	for {
		if err := a.show(ctx); err != nil && ctx.Err() == nil {
			a.c.printError(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

// show sends the node's word where it has a seat in the present epoch and the chain has none of it yet.
func (a *attendance) show(ctx context.Context) error {
	return a.c.withStaking(ctx, func(ctx context.Context, s *staking) error {
		s.from = a.from
		out, err := s.call(ctx, "idOfKey", a.key.Public().Bytes())
		if err != nil {
			return err
		}
		id := out[0].(uint64)
		if id == 0 {
			return errNotRegistered
		}
		epoch, seats, err := s.seats(ctx)
		if err != nil || !slices.Contains(seats, id) {
			return err
		}
		if out, err = s.call(ctx, "attended", id, epoch); err != nil || out[0].(bool) {
			return err
		}
		sig, err := a.key.Sign(govern.AttendMessage(a.genesis, chain.ValidatorID(id), epoch))
		if err != nil {
			return fmt.Errorf("sign with the node's key: %w", err)
		}
		return s.send(ctx, a.f, nil, "attend", id, epoch, sig)
	})
}
