package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"
)

// maxEvidence bounds an evidence file: the proofs that a node keeps, in hex.
const maxEvidence = 8 << 20

// evidenceFile is two messages of which one excludes the other, with a node key's signatures: what jl_getEvidence lists.
type evidenceFile struct {
	PublicKey       hexutil.Bytes `json:"publicKey"`
	First           hexutil.Bytes `json:"first"`
	FirstSignature  hexutil.Bytes `json:"firstSignature"`
	Second          hexutil.Bytes `json:"second"`
	SecondSignature hexutil.Bytes `json:"secondSignature"`
}

func (c *cli) stakeReport() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: "report [FILE]", Short: "Report validators that have contradicted themselves: their stake is slashed", Args: cobra.MaximumNArgs(1),
		Long: `Report validators that have contradicted themselves: their stake is slashed. Without FILE it reports what the node has seen (jl_getEvidence). FILE is JSON, an object or
several in a list, with publicKey, first, firstSignature, second and secondSignature in hex: two messages of that node key of which one excludes the other.
Anybody may report, and gets a small part of what is slashed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStaking(cmd.Context(), func(ctx context.Context, s *staking) error {
				if len(args) == 0 {
					return s.reportSeen(ctx, &f)
				}
				all, err := readEvidence(args[0])
				if err != nil {
					return err
				}
				for _, e := range all {
					id, err := s.accused(ctx, &e)
					if err != nil {
						return err
					}
					if err := s.report(ctx, &f, id, &e); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.stakeFlags(cmd, &f)
	return cmd
}

// readEvidence reads an object or a list of them.
func readEvidence(path string) (all []evidenceFile, err error) {
	b, err := readUpTo(path, maxEvidence)
	if err != nil {
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '[' {
		err = json.Unmarshal(b, &all)
	} else {
		all = make([]evidenceFile, 1)
		err = json.Unmarshal(b, &all[0])
	}
	if err != nil {
		return nil, fmt.Errorf("read the evidence %s: %w", path, err)
	}
	return all, nil
}

// reportSeen reports what the node has seen of validators that can still be slashed for it.
func (s *staking) reportSeen(ctx context.Context, f *txFlags) error {
	var all []evidenceFile
	if err := s.conn.RPC().CallContext(ctx, &all, "jl_getEvidence"); err != nil {
		return fmt.Errorf("ask for evidence: %w", err)
	}
	reported := 0
	for _, e := range all {
		id, err := s.accused(ctx, &e)
		if err != nil {
			s.c.warn("passed over: %v", err)
			continue
		}
		v, err := s.validator(ctx, id)
		if err != nil {
			return err
		}
		if v.Tombstoned {
			continue
		}
		if err := s.report(ctx, f, id, &e); err != nil {
			return err
		}
		reported++
	}
	if reported > 0 {
		return nil
	}
	return s.c.print(map[string]int{"reported": 0}, func(w io.Writer) { fmt.Fprintln(w, "the node has seen nothing that is not slashed already") })
}

// accused is whose key the evidence is against.
func (s *staking) accused(ctx context.Context, e *evidenceFile) (uint64, error) {
	out, err := s.call(ctx, "idOfKey", []byte(e.PublicKey))
	if err != nil {
		return 0, err
	}
	id := out[0].(uint64)
	if id == 0 {
		return 0, fmt.Errorf("nobody has registered the key %s", e.PublicKey)
	}
	return id, nil
}

func (s *staking) report(ctx context.Context, f *txFlags, id uint64, e *evidenceFile) error {
	return s.send(ctx, f, nil, "slash", id, []byte(e.First), []byte(e.FirstSignature), []byte(e.Second), []byte(e.SecondSignature))
}
