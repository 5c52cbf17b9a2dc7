package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// print shows v as JSON, or what text writes (cells separated by tabs) as an aligned table.
func (c *cli) print(v any, text func(w io.Writer)) error {
	if c.json {
		enc := json.NewEncoder(c.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	text(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printError says what went wrong and what to do next, on stderr.
func (c *cli) printError(err error) {
	hint := advice(err)
	if c.json {
		b, _ := json.Marshal(struct {
			Error string `json:"error"`
			Hint  string `json:"hint,omitempty"`
		}{err.Error(), hint}) // strings always encode
		fmt.Fprintf(c.err, "%s\n", b)
		return
	}
	fmt.Fprintf(c.err, "jialing: %v\n", err)
	if hint != "" {
		fmt.Fprintf(c.err, "  → %s\n", hint)
	} else if errors.As(err, new(usageError)) {
		fmt.Fprintln(c.err, "  → --help shows what there is")
	}
}

// warn tells something on stderr that is no failure.
func (c *cli) warn(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }

// progress returns a function to call with how far long work has come, and one to call when it ends. It draws on a terminal only. A total of 0
// is unknown.
func (c *cli) progress() (step func(what string, done, total uint64), end func()) {
	if f, ok := c.err.(*os.File); !ok || c.json || !term.IsTerminal(int(f.Fd())) {
		return func(string, uint64, uint64) {}, func() {}
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(c.err), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth())
	was := ""
	step = func(what string, done, total uint64) {
		if what != was {
			was = what
			bar.Describe(what)
		}
		limit := int64(total)
		if total == 0 {
			limit = -1
		}
		if bar.GetMax64() != limit {
			bar.ChangeMax64(limit)
		}
		_ = bar.Set64(int64(done)) // a bar that cannot draw is no reason to stop the work
	}
	return step, func() { _ = bar.Finish() }
}

// units of wei by their names.
var units = []struct {
	name     string
	decimals int
}{{"ether", 18}, {"gwei", 9}, {"wei", 0}}

// formatAmount shows wei in the unit that reads best.
func formatAmount(wei *big.Int) string {
	switch {
	case wei == nil || wei.Sign() == 0:
		return "0"
	case wei.CmpAbs(big.NewInt(1e6)) < 0:
		return wei.String() + " wei"
	case wei.CmpAbs(big.NewInt(1e15)) < 0:
		return formatDecimals(wei, 9) + " gwei"
	}
	return formatDecimals(wei, 18) + " ether"
}

func formatDecimals(v *big.Int, decimals int) string {
	s := new(big.Int).Abs(v).String()
	if len(s) <= decimals {
		s = strings.Repeat("0", decimals-len(s)+1) + s
	}
	whole, rest := s[:len(s)-decimals], strings.TrimRight(s[len(s)-decimals:], "0")
	if v.Sign() < 0 {
		whole = "-" + whole
	}
	if rest == "" {
		return whole
	}
	return whole + "." + rest
}

// parseAmount reads "1.5ether", "20 gwei", "7wei"; a bare number is in the unit given.
func parseAmount(s, bare string) (*big.Int, error) {
	number, unit := strings.TrimSpace(s), bare
	for _, u := range units {
		if n, found := strings.CutSuffix(number, u.name); found {
			number, unit = strings.TrimSpace(n), u.name
			break
		}
	}
	decimals := 0
	for _, u := range units {
		if u.name == unit {
			decimals = u.decimals
		}
	}
	whole, rest, _ := strings.Cut(number, ".")
	digits := whole + rest
	if digits == "" || len(digits) > 78 || strings.Trim(digits, "0123456789") != "" {
		return nil, usagef("amount %q is none: write 1.5ether, 20gwei or 7wei", s)
	}
	if len(rest) > decimals {
		return nil, usagef("amount %q has more decimals than a %s", s, unit)
	}
	v, _ := new(big.Int).SetString(digits+strings.Repeat("0", decimals-len(rest)), 10)
	if v.BitLen() > 256 {
		return nil, usagef("amount %q exceeds 256 bits", s)
	}
	return v, nil
}
