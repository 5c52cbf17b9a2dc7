package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
)

// notarise puts the document on record, fetches the evidence, writes it to a file, and verifies the file without the node: as it is, and with
// one byte altered.
func (d *demonstration) notarise(ctx context.Context) error {
	conn, err := d.next(ctx)
	if err != nil {
		return err
	}
	r, err := conn.Notarise(ctx, d.notary, d.evidence, d.document)
	if err != nil {
		return err
	}
	d.done(r)
	trust, err := readTrust(filepath.Join(d.flags.dir, "genesis.json"), "")
	if err != nil {
		return err
	}
	proof, err := d.proof(ctx, r, trust)
	if err != nil {
		return err
	}
	v := &d.shown
	v.Document, v.NotarisedIn, v.Proof = d.document, r.TxHash, filepath.Join(d.flags.dir, "proof.json")
	if err := os.WriteFile(v.Proof, proof.Encode(), 0o644); err != nil {
		return fmt.Errorf("write the proof: %w", err)
	}
	file, err := os.ReadFile(v.Proof)
	if err != nil {
		return fmt.Errorf("read the proof: %w", err)
	}
	proven, err := verifyFile(file, trust)
	if err != nil {
		return err
	}
	if v.Digest, err = client.DigestFile(trust.Suite, d.document); err != nil {
		return err
	}
	if _, err := proven.Notarised(d.evidence, v.Digest); err != nil {
		return err
	}
	v.ProofBytes, v.ProvenTime = len(file), proven.Time
	v.NotarisedWith, v.Hash = proven.Kind, client.HashName(trust.Suite)
	for _, s := range proven.Signers {
		v.ProvenBy = append(v.ProvenBy, s.Name)
	}
	if proven.Work != nil {
		v.ProvenWork = fmt.Sprintf("%s hashes in the headers above", proven.Work.Hashes)
	}
	at := len(file) / 2
	for file[at] < '0' || file[at] > '8' { // a digit that has a successor
		at++
	}
	v.Alteration = fmt.Sprintf("byte %d from %q to %q", at, file[at], file[at]+1)
	file[at]++
	if _, err := verifyFile(file, trust); err == nil {
		return fmt.Errorf("the proof still held after altering %s", v.Alteration)
	} else if !errors.Is(err, client.ErrProof) {
		return err
	} else {
		v.Refusal = err.Error()
	}
	return nil
}

// proof asks the next node for the evidence, once the block has its certificate there. On a chain of work it asks until enough work speaks for the block: that
// comes with the blocks that are mined on it.
func (d *demonstration) proof(ctx context.Context, r *types.Receipt, trust *client.Trust) (*client.Proof, error) {
	conn, err := d.next(ctx)
	if err != nil {
		return nil, err
	}
	for {
		p, err := conn.Proof(ctx, r.TxHash)
		if d.flags.engine.kind != chain.PoW {
			return p, err
		}
		if err == nil {
			if _, err = client.Verify(p, trust); err == nil {
				return p, nil
			}
		}
		if sleepFor(ctx, startPoll) != nil {
			return nil, err
		}
	}
}

func verifyFile(file []byte, trust *client.Trust) (*client.Proven, error) {
	p, err := client.ParseProof(file)
	if err != nil {
		return nil, err
	}
	return client.Verify(p, trust)
}
