package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
)

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	// exitHalted is a node whose state differs from the validators': starting it again cannot help, which systemd should know.
	exitHalted
	// exitKey is a node whose key cannot be opened: the passphrase or PIN is wrong or missing. Trying again does not help, and locks some devices.
	exitKey
)

// cli is what all commands share: the terminal and the flags that stand on every command.
type cli struct {
	in       io.Reader
	out, err io.Writer
	json     bool

	rpcURL         string
	timeout        time.Duration
	keystore       string
	passphraseFile string
}

// usageError is a command line that cannot be.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The second Ctrl-C is not for us: it ends the process at once.
	context.AfterFunc(ctx, stop)
	defer stop()
	c := &cli{in: in, out: out, err: errs}
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	c.printError(err)
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.Is(err, node.ErrHalted) || errors.Is(err, attest.ErrDivergence):
		return exitHalted
	case errors.Is(err, keys.ErrPassphrase) || errors.Is(err, keys.ErrNoPassphrase) || errors.Is(err, keys.ErrPassphraseFile) || errors.Is(err, keys.ErrPlaintext):
		return exitKey
	}
	return exitFailed
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "jialing",
		Short: "Run a Jialing chain, and talk to one",
		Long: `Run a Jialing (嘉陵) chain, and talk to one.

  jialing demo                         four validators, two contracts, 1,000 transfers, a kill and a proof in one go
  jialing init --dir mychain --dev     make a chain of one node with funded test accounts
  jialing start --dir mychain          run it: JSON-RPC on http://127.0.0.1:8545
  jialing network create --dir net     make a network of four validators; then "network start"
  jialing status                       watch a node live
  jialing doctor                       say what is wrong and what to do

Exit codes: 0 it was done, 1 it failed, 2 it was asked for wrongly, 3 the node halted because its state differs from the validators',
4 the node's key could not be opened: wrong or missing passphrase or PIN.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON instead of text")
	root.AddCommand(c.initCommand(), c.startCommand(), c.networkCommand(), c.nodeCommand(), c.statusCommand(), c.doctorCommand(), c.demoCommand(),
		c.accountCommand(), c.keyCommand(), c.signerCommand(), c.txCommand(), c.blockCommand(), c.validatorCommand(), c.engineCommand(), c.stakeCommand(), c.mineCommand(), c.caCommand(), c.proofCommand(), c.dbCommand(), c.rpcCommand(), c.auditCommand(), c.learnCommand(), c.versionCommand())
	root.InitDefaultCompletionCmd()
	checkArguments(root)
	return root
}

// checkArguments makes wrong arguments usage errors, and a group without its subcommand too.
func checkArguments(cmd *cobra.Command) {
	if cmd.HasSubCommands() && cmd.Run == nil && cmd.RunE == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			err := usagef("unknown command %q for %q", args[0], cmd.CommandPath())
			cmd.SuggestionsMinimumDistance = 2
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				err = usagef("%w; did you mean %q?", err, strings.Join(near, `" or "`))
			}
			return err
		}
	} else if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usagef("%w\nusage: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		checkArguments(sub)
	}
}

// defaultRPC is where a node listens that was told nothing else.
const defaultRPC = "http://127.0.0.1:8545"

// rpcFlags are those of every command that talks to a node.
func (c *cli) rpcFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.rpcURL, "rpc", defaultRPC, "the node's URL: http, https, ws or wss")
	cmd.PersistentFlags().DurationVar(&c.timeout, "timeout", time.Minute, "give up after that long")
}

// dial connects to the node that the flags name, for at most the time that they grant.
func (c *cli) dial(ctx context.Context) (*client.Client, context.Context, context.CancelFunc, error) {
	if c.timeout <= 0 {
		return nil, nil, nil, usagef("--timeout must be positive")
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	conn, err := connect(ctx, c.rpcURL)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return conn, ctx, func() { conn.Close(); cancel() }, nil
}
