package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve/audit"
)

// errAuditHead is a log that does not hold a record that was there.
var errAuditHead = errors.New("records are missing at the end")

func (c *cli) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read and verify a node's log of administrative calls",
	}
	cmd.AddCommand(c.auditVerify(), c.auditShow())
	return cmd
}

type auditView struct {
	audit.Report
	Path string `json:"path"`
}

func (c *cli) auditVerify() *cobra.Command {
	var dir, file, head string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the chain of hashes, and name the first record that is broken",
		Long: `Check the chain of hashes of a node's audit log, and name the first record that is broken. The node may run.

A log whose end was cut off is a whole one by itself. What it must hold is the head that was seen before: jl_nodeStatus shows it as auditHead, and
--head SEQ:HASH says that this record has to be there.`,
		Example: `  jialing audit verify --dir mychain
  jialing audit verify --dir mychain --head 41:0x5f2e…`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := openAccess(dir)
			if err != nil {
				return err
			}
			path := f.cfg.AuditFolder()
			if file != "" {
				path = file
			}
			seq, hash, err := parseHead(head)
			if err != nil {
				return err
			}
			rep, err := verifyAudit(path, f.suite, seq, hash)
			if err != nil {
				return err
			}
			return c.print(auditView{rep, path}, func(w io.Writer) {
				fmt.Fprintf(w, "records\t%d to %d, in %s\nhead\t%d:%s\n", rep.First, rep.Seq, plural(rep.Files, "file"), rep.Seq, rep.Head)
				if rep.First > 1 {
					fmt.Fprintf(w, "before\trecords below %d are not here: verify them where they were moved to\n", rep.First)
				}
				fmt.Fprintln(w, "every record is as it was written")
			})
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().StringVar(&file, "file", "", "one file of the log, of a node of the folder's chain")
	cmd.Flags().StringVar(&head, "head", "", "SEQ:HASH of a record that has to be there")
	return cmd
}

func parseHead(text string) (seq uint64, hash crypto.Hash, err error) {
	if text == "" {
		return 0, hash, nil
	}
	number, digest, _ := strings.Cut(text, ":")
	seq, err = strconv.ParseUint(number, 10, 64)
	if err == nil {
		err = hash.UnmarshalText([]byte(digest))
	}
	if err != nil || seq == 0 {
		return 0, hash, usagef("--head %q is no SEQ:HASH, as jl_nodeStatus shows it in auditHead", text)
	}
	return seq, hash, nil
}

// verifyAudit verifies a log and, where seq is not 0, that it holds that record.
func verifyAudit(path string, suite crypto.Suite, seq uint64, hash crypto.Hash) (audit.Report, error) {
	found := seq == 0
	rep, err := audit.Verify(path, suite, func(r *audit.Record) error {
		if r.Seq == seq {
			if r.Hash != hash {
				return fmt.Errorf("record %d is another one than the head that was seen: %s, not %s: the log was written anew from there or before", seq, r.Hash, hash)
			}
			found = true
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: record %d was seen, the log ends with %d", errAuditHead, seq, rep.Seq)
	}
	return rep, err
}

func (c *cli) auditShow() *cobra.Command {
	var dir string
	var last int
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the newest records",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if last < 1 || last > 100_000 {
				return usagef("--last must be 1 to 100000")
			}
			f, err := openAccess(dir)
			if err != nil {
				return err
			}
			var records []*audit.Record
			_, err = audit.Verify(f.cfg.AuditFolder(), f.suite, func(r *audit.Record) error {
				if records = append(records, r); len(records) >= 2*last { // keeps memory bounded without moving at each record
					records = append(records[:0:0], records[len(records)-last:]...)
				}
				return nil
			})
			records = records[max(0, len(records)-last):]
			if records == nil {
				records = []*audit.Record{}
			}
			perr := c.print(records, func(w io.Writer) {
				for _, r := range records {
					result := r.Result
					if r.Of != 0 {
						result += fmt.Sprintf(" (of %d)", r.Of)
					}
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Seq, r.Time().UTC().Format(timeLayout), terminalText(r.Who), terminalText(r.Action),
						terminalText(result), terminalText(r.Params))
				}
			})
			return errors.Join(err, perr)
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().IntVar(&last, "last", 50, "how many")
	return cmd
}

// terminalText keeps what others wrote from steering the terminal.
func terminalText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
