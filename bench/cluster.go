package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/client"
)

// initChain makes the folders of a chain of validators without fees in which the treasurer is rich. Whatever kind of accounts the holders have, it takes the
// treasurer's too.
func initChain(ctx context.Context, s *settings, dir string, owner common.Address) error {
	binary, validators := s.Binary, s.Nodes
	what := []string{"init", "--dir", filepath.Join(dir, "node1")}
	if validators > 1 {
		base, err := freePorts(2 * validators)
		if err != nil {
			return err
		}
		// --dev gives the validators well-known accounts, which nobody uses here.
		what = []string{"network", "create", "--dir", dir, "--validators", fmt.Sprint(validators), "--dev", "--consensus", s.Consensus,
			"--p2p-port", fmt.Sprint(base), "--http-port", fmt.Sprint(base + validators)}
	}
	args := append(what, "--name", "bench", "--chain-id", fmt.Sprint(chainID), "--fees", "zero", "--alloc", owner.Hex()+"=1000000ether",
		"--suite", s.Suite, "--transactions", strings.Join(slices.Compact([]string{client.KindSecp256k1, s.Kind}), ","))
	if s.Encrypt {
		args = append(args, "--encrypt")
	}
	if out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("jialing %s: %w: %s", what[0], err, out)
	}
	return nil
}

// freePorts finds n ports in a row that nobody listens on, below those that the kernel gives to outgoing connections.
func freePorts(n int) (first int, err error) {
	for range 100 {
		err = nil
		first = 10_000 + rand.IntN(20_000)
		for port := first; port < first+n && err == nil; port++ {
			var l net.Listener
			if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				err = l.Close()
			}
		}
		if err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("find %d free ports in a row: %w", n, err)
}

// nodeFolders are the folders of a chain's nodes, by their numbers.
func nodeFolders(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "node.toml"))
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		found[i] = filepath.Dir(f)
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // node9 before node10
	return found, nil
}

// cluster is all nodes of the chain, by their numbers from 0; nil where one is down.
type cluster []*process

// startCluster runs the nodes of all folders, each with a log of its own, and returns when all serve.
func startCluster(ctx context.Context, binary string, dirs []string, log func(node int) string, extra []string) (cluster, error) {
	c := make(cluster, len(dirs))
	g, gctx := errgroup.WithContext(ctx)
	for i, dir := range dirs {
		g.Go(func() (err error) {
			c[i], err = startProcess(gctx, binary, dir, log(i), extra)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// sum adds up a figure over the nodes that run.
func sum[T int64 | time.Duration](c cluster, of func(*process) (T, error)) (total T, err error) {
	for _, p := range c {
		if p == nil {
			continue
		}
		n, err := of(p)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func (c cluster) cpu() (time.Duration, error) { return sum(c, (*process).cpu) }

func (c cluster) peakRSS() (int64, error) { return sum(c, (*process).peakRSS) }

// stop ends all nodes cleanly, at once.
func (c cluster) stop() error {
	errs := make([]error, len(c))
	var g errgroup.Group
	for i, p := range c {
		if p != nil {
			g.Go(func() error { errs[i] = p.stop(); return nil })
		}
	}
	g.Wait()
	return errors.Join(errs...)
}
