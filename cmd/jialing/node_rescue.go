package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/pki"
	"github.com/jialing-chain/jialing/internal/serve/audit"
)

type rescueFlags struct {
	dir, until, reason string
	days               int
	end                bool
}

func (c *cli) nodeRescue() *cobra.Command {
	var f rescueFlags
	cmd := &cobra.Command{
		Use: "rescue", Short: "Let a node take expired certificates for a while, when all of a network have expired", Args: cobra.NoArgs,
		Long: `Let a node take expired certificates for a while: the way out for a network whose certificates, or its organisations' roots, have all expired, so that
no node lets another in and nobody could vote for new roots. Every operator decides for the own node; docs/certificates.md has the steps.

It writes a file that the node's own key signs. A node that runs takes it within a second; it ends by itself, at the latest after 7 days, and the doctor
warns while it lasts. Beginning and end are in the node's audit log (jialing audit show).`,
		Example: `  jialing node rescue --dir node1 --until 48h --days 30 --reason "all certificates expired over the holidays"
  jialing node rescue --dir node1 --end`,
		RunE: func(*cobra.Command, []string) error {
			if f.end {
				return c.endRescue(&f)
			}
			return c.rescue(&f)
		},
	}
	dirFlag(cmd, &f.dir)
	flags := cmd.Flags()
	flags.StringVar(&f.until, "until", "", "when it ends: a time like 2026-03-01T12:00:00Z, or how long from now, like 48h; 7 days at most")
	flags.IntVar(&f.days, "days", 30, "how long ago certificates may have expired")
	flags.StringVar(&f.reason, "reason", "", "why, for the log and for whoever asks later")
	flags.BoolVar(&f.end, "end", false, "end it before its time")
	return cmd
}

// rescueEnd reads --until.
func rescueEnd(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usagef("--until %q: write a time like 2026-03-01T12:00:00Z or a duration like 48h", s)
	}
	return t, nil
}

func (c *cli) rescue(f *rescueFlags) error {
	now := time.Now()
	until, err := rescueEnd(f.until, now)
	if err != nil {
		return err
	}
	g, err := node.LoadGenesis(f.dir)
	if err != nil {
		return err
	}
	suite, err := node.SuiteByName(g.Suite)
	if err != nil {
		return err
	}
	key, err := c.openKey(f.dir)
	if err != nil {
		return err
	}
	grace := pki.Grace{Created: now, Until: until, Days: f.days, Reason: f.reason}
	b, err := pki.SignGrace(grace, g.ID(suite), key)
	if err != nil {
		return usageError{err}
	}
	if err := c.auditRescue(f.dir, "rescue begins", fmt.Sprintf("until %s, expired at most %d days ago: %s", until.UTC().Format(time.RFC3339), f.days, f.reason)); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(f.dir, node.RescueFile), b, 0o600); err != nil {
		return fmt.Errorf("write the rescue file: %w", err)
	}
	return c.print(grace, func(w io.Writer) {
		fmt.Fprintf(w, "takes expired certificates\tof up to %s ago\nuntil\t%s\nreason\t%s\n\nnext:\t%s\n", plural(f.days, "day"), until.UTC().Format(time.RFC3339), f.reason,
			"when a quorum of the operators has done the same, renew roots and certificates: docs/certificates.md")
	})
}

func (c *cli) endRescue(f *rescueFlags) error {
	err := os.Remove(filepath.Join(f.dir, node.RescueFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no rescue is in force in %s", f.dir)
	}
	if err != nil {
		return fmt.Errorf("end the rescue: %w", err)
	}
	return c.auditRescue(f.dir, "rescue ends", "by its operator")
}

// auditRescue puts on record, before it takes effect, what is done to the folder of a node that does not run. One that runs does so itself when it sees the
// file, and takes no rescue that it cannot record.
func (c *cli) auditRescue(dir, what, why string) error {
	cfg, err := node.LoadConfig(dir)
	if err != nil {
		return err
	}
	g, err := node.LoadGenesis(dir)
	if err != nil {
		return err
	}
	suite, err := node.SuiteByName(g.Suite)
	if err != nil {
		return err
	}
	err = audit.Append(cfg.AuditFolder(), suite, audit.Entry{Who: "command line", Action: what, Result: why})
	if err != nil && !errors.Is(err, audit.ErrInUse) {
		return fmt.Errorf("put the rescue on record: %w", err)
	}
	return nil
}
