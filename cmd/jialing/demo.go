package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
)

type demoFlags struct {
	dir, httpAddr, document, suite, consensus, script string
	transfers, senders                                int
	fresh, once, solo, compare                        bool
	// engine is what consensus names; parameters are what it has otherwise than a new network, and why.
	engine     *demoEngine
	parameters string
	// steps are what script, or the engine's own, asks for; none where nothing is done to the nodes.
	steps []scriptStep
}

// Bounds of what the demo is asked to do: it signs everything before it sends. A network's demo kills a node while the second half of the transfers is
// sent, which takes some.
const (
	maxDemoTransfers = 1_000_000
	minDemoLoad      = 20
	maxDemoSenders   = 100
)

// demoValidators is how many nodes the demo's network has: the least that bears the loss of one.
const demoValidators = minValidators

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
		Short: "Show what a network can do: contracts, 1,000 transfers, a killed validator, a notarised file and its proof",
		Long: `Make a network of four nodes in a fresh folder and run them as processes of this machine. Deploy a token and an evidence contract, send
signed token transfers from several accounts to all nodes in turn, kill the leader with -9 on the way and bring it back, notarise a file, prove it
offline, alter a byte of the proof and see it refused. Then print what happened and keep serving until Ctrl-C.

--consensus says by which engine; --consensus all runs every one of them, one after the other. At the end a table compares the engines that have run
in this folder, and lesson.json beside the nodes' folders has what each run measured; --compare shows the table again. A chain of one node
(--consensus solo, or --solo) has nobody to kill.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.compare {
				return c.compareDemos(f.dir)
			}
			if f.solo {
				f.consensus = string(chain.Solo)
			}
			if f.consensus == demoAll {
				return c.demoAll(cmd.Context(), f, cmd.Flags().Changed("document"))
			}
			var err error
			if f.engine, err = findDemoEngine(f.consensus); err != nil {
				return err
			}
			return c.demo(cmd.Context(), &f, cmd.Flags().Changed("document"))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "demo-data", "folder to make the network in")
	flags.StringVar(&f.httpAddr, "http.addr", "127.0.0.1:8545", "host:port for JSON-RPC of the first node; the next ones count up (port 0 takes free ones)")
	flags.StringVar(&f.document, "document", "README.md", "file to notarise")
	flags.StringVar(&f.suite, "suite", defaultSuite, "cryptographic suite of the chain: intl or gm")
	flags.StringVar(&f.consensus, "consensus", string(chain.BFT), "consensus engine: solo, raft, bft, pos or pow; all: each of them, one after the other")
	flags.IntVar(&f.transfers, "transfers", 1000, "token transfers to send")
	flags.IntVar(&f.senders, "senders", 10, "accounts that send them")
	flags.BoolVar(&f.fresh, "fresh", false, "replace the folder of an earlier demo")
	flags.BoolVar(&f.once, "once", false, "stop after the table instead of serving on")
	flags.BoolVar(&f.solo, "solo", false, "a chain of one node instead of a network: --consensus solo")
	flags.StringVar(&f.script, "script", "", `what to do to the nodes under load, like "5s kill 1; 8s restart 1; 10s partition 1,2|3,4; 15s heal; 16s byzantine 2; 20s end"; `+
		"default: keys on a terminal, else the leader is killed and comes back")
	flags.BoolVar(&f.compare, "compare", false, "show what the demos in this folder measured, and do nothing else")
	return cmd
}

// demoAll runs the demo by every engine, one after the other, and compares them.
func (c *cli) demoAll(ctx context.Context, f demoFlags, documentGiven bool) error {
	f.once = true
	for i := range demoEngines {
		one := f
		one.engine = &demoEngines[i]
		one.consensus, one.solo = string(one.engine.kind), one.engine.nodes == 1
		if err := c.demo(ctx, &one, documentGiven); err != nil {
			return fmt.Errorf("%s: %w", one.consensus, err)
		}
		f.fresh = true // what is there now is ours
	}
	return nil
}

// compareDemos shows lesson.json.
func (c *cli) compareDemos(dir string) error {
	l, err := readLesson(dir)
	if err != nil {
		return err
	}
	return c.print(l, func(w io.Writer) { compareText(w, l.latest()) })
}

func (c *cli) demo(ctx context.Context, f *demoFlags, documentGiven bool) error {
	least := 1
	if f.engine.nodes > 1 {
		least = minDemoLoad
	}
	if f.transfers < least || f.transfers > maxDemoTransfers || f.senders < 1 || f.senders > maxDemoSenders {
		return usagef("--transfers must be %d to %d, --senders 1 to %d", least, maxDemoTransfers, maxDemoSenders)
	}
	f.solo = f.engine.nodes == 1
	if script := cmp.Or(f.script, f.engine.script); script != "" {
		var err error
		if f.steps, err = parseScript(script, f.engine.nodes, f.engine.lies); err != nil {
			return err
		}
	}
	if !c.json {
		c.warn("Making a %s by consensus %s in %s", f.engine.makes(), f.engine.kind, f.dir)
	}
	dev, folders, err := f.make(c)
	if err != nil {
		return err
	}
	if f.parameters != "" && !c.json {
		c.warn("This demo has %s", f.parameters)
	}
	document := f.document
	if _, err := os.Stat(document); errors.Is(err, fs.ErrNotExist) && !documentGiven {
		document = filepath.Join(f.dir, "genesis.json")
		c.warn("there is no %s here: notarising %s instead", f.document, document)
	}
	nodes := &demoNodes{cli: c, folders: folders, cores: sharedCores(len(folders), f.engine.kind), children: make([]*child, len(folders))}
	ctx, nodes.fail = context.WithCancelCause(ctx)
	defer nodes.fail(nil)
	err = nodes.startAll(ctx)
	if err == nil {
		d := &demonstration{cli: c, flags: f, dev: dev, document: document, nodes: nodes, keys: f.script == "" && !f.once && c.hasTerminal()}
		if err = d.run(ctx); err == nil {
			err = d.conclude()
		}
		if err == nil && !f.once {
			nodes.serving.Store(true)
			d.printNext()
			<-ctx.Done()
		}
	}
	if errors.Is(context.Cause(ctx), errChildEnded) && !errors.Is(err, errChildEnded) {
		err = errors.Join(err, context.Cause(ctx))
	}
	return errors.Join(err, nodes.stop())
}

// clearDemo removes an earlier demo where that is asked for, and nothing else. What earlier demos measured stays.
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
	for _, e := range entries {
		if e.Name() == lessonFile || e.Name() == demoMarker {
			continue // the marker stays: half cleared it is still a demo's
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clear the folder: %w", err)
		}
	}
	return nil
}
