package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

type demoFlags struct {
	dir, httpAddr, document string
	transfers, senders      int
	fresh, once             bool
}

// Bounds of what the demo is asked to do: it signs everything before it sends.
const (
	maxDemoTransfers = 1_000_000
	maxDemoSenders   = 100
)

// demoMarker is the file that tells a demo's folder from anything else; a folder without it is never removed.
const demoMarker = "THIS_IS_A_DEMO"

var (
	errNotADemo = errors.New("folder is not empty and no demo's")
	errOldDemo  = errors.New("folder holds an earlier demo")
)

func (c *cli) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what a chain can do: contracts, 1,000 transfers, a notarised file and its proof",
		Long: `Make a chain in a fresh folder, run a node on it, deploy a token and an evidence contract, send signed token transfers from several
accounts, notarise a file, prove it offline, alter a byte of the proof and see it refused. Then print what happened and keep
serving until Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.transfers < 1 || f.transfers > maxDemoTransfers || f.senders < 1 || f.senders > maxDemoSenders {
				return usagef("--transfers must be 1 to %d, --senders 1 to %d", maxDemoTransfers, maxDemoSenders)
			}
			return c.demo(cmd.Context(), &f, cmd.Flags().Changed("document"))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "demo-data", "folder to make the chain in")
	flags.StringVar(&f.httpAddr, "http.addr", "127.0.0.1:8545", "host:port for JSON-RPC (port 0 takes a free one)")
	flags.StringVar(&f.document, "document", "README.md", "file to notarise")
	flags.IntVar(&f.transfers, "transfers", 1000, "token transfers to send")
	flags.IntVar(&f.senders, "senders", 10, "accounts that send them")
	flags.BoolVar(&f.fresh, "fresh", false, "replace the folder of an earlier demo")
	flags.BoolVar(&f.once, "once", false, "stop after the table instead of serving on")
	return cmd
}

func (c *cli) demo(ctx context.Context, f *demoFlags, documentGiven bool) error {
	if !c.json {
		c.warn("Making a chain in %s", f.dir)
	}
	dev, err := makeDemo(f)
	if err != nil {
		return err
	}
	document := f.document
	if _, err := os.Stat(document); errors.Is(err, fs.ErrNotExist) && !documentGiven {
		document = filepath.Join(f.dir, "genesis.json")
		c.warn("there is no %s here: notarising %s instead", f.document, document)
	}
	child, err := c.startChild(ctx, f)
	if err != nil {
		return err
	}
	d := &demonstration{cli: c, flags: f, dev: dev, document: document, node: child.view}
	err = d.run(child.context(ctx))
	if err == nil && !f.once {
		d.printNext()
		select {
		case <-ctx.Done():
		case <-child.ended:
		}
	}
	return errors.Join(err, child.stop())
}

// makeDemo prepares the folder and the chain in it.
func makeDemo(f *demoFlags) ([]*client.Secp256k1, error) {
	// First the port: with a node of an earlier demo still running, its folder must stay.
	l, err := net.Listen("tcp", f.httpAddr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", f.httpAddr, err)
	}
	if err := l.Close(); err != nil {
		return nil, err
	}
	if err := clearDemo(f.dir, f.fresh); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	if err := writeNew(filepath.Join(f.dir, demoMarker), []byte("jialing demo --fresh replaces this folder\n"), 0o644); err != nil {
		return nil, err
	}
	g, key, dev, err := buildGenesis(&genesisFlags{chainID: defaultChainID, name: "demo", fees: string(chain.FeesZero), gasLimit: defaultGasLimit,
		batchMillis: defaultBatchMillis, dev: true, devAccounts: max(10, f.senders)})
	if err != nil {
		return nil, err
	}
	return dev, node.Init(f.dir, g, key)
}

// clearDemo removes an earlier demo where that is asked for, and nothing else.
func clearDemo(dir string, fresh bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, demoMarker)); err != nil {
		return fmt.Errorf("%w: %s", errNotADemo, dir)
	}
	if !fresh {
		return fmt.Errorf("%w: %s", errOldDemo, dir)
	}
	return os.RemoveAll(dir)
}

// child is the node that the demo runs, a process of its own: what is shown is the real thing.
type child struct {
	cmd   *exec.Cmd
	view  startView
	ended chan struct{} // closed when the process has ended
	err   error         // why, after ended
}

// stopGrace is how long the node gets to stop before it is killed; a clean stop takes milliseconds.
const stopGrace = 20 * time.Second

var errChildEnded = errors.New("the demo's node ended before its time")

func (c *cli) startChild(ctx context.Context, f *demoFlags) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(exe, "start", "--dir", f.dir, "--http.addr", f.httpAddr, "--json")
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = c.err
	// Its own process group: Ctrl-C reaches us alone, and we stop it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	n := &child{cmd: cmd, ended: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		ready <- json.NewDecoder(out).Decode(&n.view)
		n.err = cmd.Wait()
		close(n.ended)
	}()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the node: %w", err), n.stop())
	}
	return n, nil
}

// context ends with ctx, or with the node.
func (n *child) context(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-n.ended:
			cancel(errChildEnded)
		case <-ctx.Done():
		}
	}()
	return ctx
}

// stop asks the node to stop and waits until it has.
func (n *child) stop() error {
	select {
	case <-n.ended:
		return fmt.Errorf("%w: %w", errChildEnded, errors.Join(n.err))
	default:
	}
	if err := n.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the node: %w", err)
	}
	select {
	case <-n.ended:
	case <-time.After(stopGrace):
		if err := n.cmd.Process.Kill(); err != nil {
			return fmt.Errorf("kill the node: %w", err)
		}
		<-n.ended
		return fmt.Errorf("the node did not stop within %s and was killed", stopGrace)
	}
	if n.err != nil {
		return fmt.Errorf("the node ended with: %w", n.err)
	}
	return nil
}
