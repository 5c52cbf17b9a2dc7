package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/node"
)

type startFlags struct {
	dir, httpAddr, wsAddr, pprofAddr, logLevel, logFormat string
	cores                                                 int
}

func (c *cli) startCommand() *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run a node until Ctrl-C",
		Long: `Run the node of a folder until Ctrl-C or SIGTERM, which stop it cleanly. A second Ctrl-C ends the process at once; that loses
nothing either. Settings are in the folder's node.toml; the flags here go before them. The log goes to stderr.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.start(cmd.Context(), cmd, &f) },
	}
	dirFlag(cmd, &f.dir)
	c.nodePassphraseFlag(cmd)
	cmd.Flags().StringVar(&f.httpAddr, "http.addr", "", "host:port for JSON-RPC over HTTP and WebSocket (port 0 takes a free one)")
	cmd.Flags().StringVar(&f.wsAddr, "ws.addr", "", "host:port for WebSocket alone, apart from HTTP")
	cmd.Flags().StringVar(&f.pprofAddr, "pprof.addr", "", "host:port for Go's profiles of this process, for developers; keep it on loopback (default none)")
	cmd.Flags().StringVar(&f.logLevel, "log.level", "warn", "debug (every block), info, warn or error")
	cmd.Flags().StringVar(&f.logFormat, "log.format", "text", "text or json")
	coresFlag(cmd, &f.cores, "all of the machine's; nodes that share one divide them, as network start does")
	return cmd
}

// stoppedWord is the last line of a node that ended because it was asked to.
const stoppedWord = "stopped"

// startView is what start prints once the node serves. The demo reads its JSON form.
type startView struct {
	Name      string      `json:"name"`
	ChainID   uint64      `json:"chainId"`
	HTTP      string      `json:"http"`
	WebSocket string      `json:"webSocket"`
	Head      uint64      `json:"head"`
	HeadHash  common.Hash `json:"headHash"`
	Finalized uint64      `json:"finalized"`
	Pprof     string      `json:"pprof,omitempty"`
}

func (c *cli) start(ctx context.Context, cmd *cobra.Command, f *startFlags) error {
	if err := checkCores(f.cores); err != nil {
		return err
	}
	useCores(f.cores)
	log, err := newLogger(c.err, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	cfg, err := node.LoadConfig(f.dir)
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("http.addr") {
		cfg.Serve.Addr = f.httpAddr
	}
	if cmd.Flags().Changed("ws.addr") {
		cfg.Serve.WebSocketAddr = f.wsAddr
	}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	pprof, closeProfiles, err := serveProfiles(f.pprofAddr)
	if err != nil {
		return err
	}
	defer closeProfiles()
	cfg.Passphrases = c.sources()
	acting, err := openOperator(&cfg)
	if err != nil {
		return err
	}
	n, err := node.New(cfg, version, log, node.Options{Operator: acting})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-n.Ready():
	}
	if err := c.printStart(n, cfg.Serve.TLS.Enabled(), pprof); err != nil {
		cancel()
		<-ended
		return err
	}
	err = <-ended
	if err == nil {
		c.warn(stoppedWord)
	}
	return err
}

func (c *cli) printStart(n *node.Node, secure bool, pprof string) error {
	g := n.Genesis()
	v := startView{Name: g.Name, ChainID: g.ChainID, HTTP: "http://" + reachable(n.HTTPAddr()), WebSocket: "ws://" + reachable(n.WebSocketAddr()), Pprof: pprof}
	if secure {
		v.HTTP, v.WebSocket = strings.Replace(v.HTTP, "http", "https", 1), strings.Replace(v.WebSocket, "ws", "wss", 1)
	}
	if head, final := n.Heads(); head != nil {
		v.Head, v.HeadHash, v.Finalized = head.Number.Uint64(), head.Hash(), final
	}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s\tchain id %d, serving\n", v.Name, v.ChainID)
		fmt.Fprintf(w, "HTTP\t%s\nWebSocket\t%s\n", v.HTTP, v.WebSocket)
		fmt.Fprintf(w, "head\tblock %d, %s\nfinalized\tblock %d\n", v.Head, v.HeadHash, v.Finalized)
		fmt.Fprintf(w, "try\tjialing block latest --rpc %s\n\tcast block latest --rpc-url %s\n", v.HTTP, v.HTTP)
		fmt.Fprintf(w, "stop\tCtrl-C\n")
	})
}

// reachable turns an address listened on into one to call: every interface becomes loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var at slog.Level
	if err := at.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log.level %q: use debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: at}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, usagef("--log.format %q: use text or json", format)
}
