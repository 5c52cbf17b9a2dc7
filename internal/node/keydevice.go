package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/keys"
)

const (
	// deviceCheck is how often a key device that nobody asks is asked for a signature, so that an idle validator too knows that it could vote: a tenth
	// of what operators' monitoring takes to notice anything, and nothing to a device.
	deviceCheck = 5 * time.Second
	// deviceRetry is how often one that failed is looked for.
	deviceRetry = time.Second
)

// deviceKey is a key in a device, which may go away and come back. Safe for concurrent use.
type deviceKey interface {
	crypto.PrivateKey
	// Check has the device sign once.
	Check() error
	// Recover opens the device again after it failed.
	Recover() error
}

// watchKey returns the error of a key's device when it fails, or ctx's. A key in memory never fails.
func watchKey(ctx context.Context, key crypto.PrivateKey) error {
	device, ok := key.(deviceKey)
	if !ok {
		<-ctx.Done()
		return ctx.Err()
	}
	return every(ctx, deviceCheck, device.Check)
}

// awaitDevice says that the node does not vote and returns when its key's device signs again. A device that refuses the PIN is not asked again: it would lock
// itself.
func (n *Node) awaitDevice(ctx context.Context, failed error) error {
	device, ok := n.key.(deviceKey)
	if !ok {
		return failed
	}
	n.setProblem(fmt.Errorf("the node neither votes nor takes transactions: %w; it resumes by itself when the device signs again", failed))
	n.log.Error("stopped voting: the key device does not sign; put it back and the node resumes by itself", "err", failed)
	back := errors.New("back")
	err := every(ctx, deviceRetry, func() error {
		err := device.Recover()
		switch {
		case err == nil:
			return back
		case errors.Is(err, keys.ErrPassphrase):
			return fmt.Errorf("the key device that came back refuses the PIN: %w", err)
		}
		return nil
	})
	if errors.Is(err, back) || ctx.Err() != nil {
		return nil
	}
	return err
}

// closeKey lets go of the key's device when the node ends, unless the key was lent to it.
func (n *Node) closeKey() error {
	c, ok := n.key.(io.Closer)
	if !ok || n.opts.Key != nil {
		return nil
	}
	return c.Close()
}

// every calls check again and again until it returns an error or ctx ends, whose error it then returns.
func every(ctx context.Context, pause time.Duration, check func() error) error {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		if err := check(); err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
