package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	// statusInterval is the time between two looks of the live view: what a person can follow.
	statusInterval = time.Second
	// statusWindow is what rates are means of.
	statusWindow = time.Minute
)

func (c *cli) statusCommand() *cobra.Command {
	var url string
	var once bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Watch a node live: heights, load, leader, peers, problems",
		Long: `Watch a node live: heights, transactions per second and latency of the last minute, leader, peers, pool, disk and what is wrong. On a terminal it
redraws in place until Ctrl-C; elsewhere, with --once or with --json it prints once, after two looks a second apart. Rates come from the node's
/metrics and are missing where that is not reachable.

Exit codes: 0 it was shown, 1 the node did not answer (--once), 2 it was asked wrongly.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond || interval > time.Hour {
				return usagef("--interval must be 100ms to 1h")
			}
			w := &watcher{url: url, interval: interval}
			out, ok := c.out.(*os.File)
			if once || c.json || !ok || !term.IsTerminal(int(out.Fd())) {
				return c.showOnce(cmd.Context(), w)
			}
			return w.live(cmd.Context(), out)
		},
	}
	cmd.Flags().StringVar(&url, "rpc", defaultRPC, "the node's URL: http, https, ws or wss")
	cmd.Flags().BoolVar(&once, "once", false, "print once instead of redrawing")
	cmd.Flags().DurationVar(&interval, "interval", statusInterval, "time between two looks")
	return cmd
}

func (c *cli) showOnce(ctx context.Context, w *watcher) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(w.interval):
	}
	if err := w.look(ctx); err != nil {
		return err
	}
	v := w.view()
	return c.print(v, func(out io.Writer) {
		for _, line := range v.lines(statusWidth, statusHeight, plainStyle) {
			fmt.Fprintln(out, strings.TrimRight(line, " "))
		}
	})
}

// watcher asks one node again and again and remembers a minute.
type watcher struct {
	url      string
	interval time.Duration
	samples  []sample
	// err is why the last look failed; nil after a success. lost is since when.
	err  error
	lost time.Time
}

// sample is one look.
type sample struct {
	at     time.Time
	answer *answer
	load   *load
}

// look adds a sample. What the node answered before stays when it does not answer now.
func (w *watcher) look(ctx context.Context) error {
	a := probe(ctx, w.url)
	now := time.Now()
	if a.err != nil {
		if w.err == nil {
			w.lost = now
		}
		w.err = a.err
		return a.err
	}
	w.err = nil
	l, err := readLoad(ctx, w.url)
	if err != nil {
		l = nil // the view says that rates are not known
	}
	if n := len(w.samples); n > 0 && w.samples[n-1].answer.status.StartedAt != a.status.StartedAt {
		w.samples = nil // another process: its counters begin anew
	}
	w.samples = append(w.samples, sample{now, a, l})
	keep := slices.IndexFunc(w.samples, func(s sample) bool { return now.Sub(s.at) <= statusWindow })
	w.samples = slices.Delete(w.samples, 0, keep)
	return nil
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

// live redraws until ctx ends. The terminal is given back as it was.
func (w *watcher) live(ctx context.Context, out *os.File) (err error) {
	if _, err := io.WriteString(out, enterScreen); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	defer func() {
		_, werr := io.WriteString(out, leaveScreen)
		err = errors.Join(err, werr)
	}()
	style := colourStyle
	if os.Getenv("NO_COLOR") != "" {
		style = plainStyle
	}
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for {
		_ = w.look(ctx) // the view says what failed
		if ctx.Err() != nil {
			return nil
		}
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			width, height = statusWidth, statusHeight
		}
		frame := screenHome + strings.Join(w.view().lines(width, height, style), clearLine+"\r\n") + clearLine + clearRest
		if _, err := io.WriteString(out, frame); err != nil {
			return fmt.Errorf("draw: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
