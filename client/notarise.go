package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/apps"
)

// HashName is what people call the hash of a chain's suite: "SHA-256" or "SM3"; "" for a suite that is unknown here.
func HashName(suite string) string {
	if s, err := suiteByName(suite); err == nil {
		return s.hashName
	}
	return ""
}

// DigestFile is the digest of a file's content by the hash of a chain's suite, which is what Notarise puts on record for it there.
func DigestFile(suite, path string) (common.Hash, error) {
	s, err := suiteByName(suite)
	if err != nil {
		return common.Hash{}, fmt.Errorf("digest document: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return common.Hash{}, fmt.Errorf("digest document: %w", err)
	}
	defer f.Close()
	h := s.newHash()
	if _, err := io.Copy(h, f); err != nil {
		return common.Hash{}, fmt.Errorf("digest document %s: %w", path, err)
	}
	return common.Hash(h.Sum(nil)), nil
}

// DeployEvidence deploys the registry of document digests (apps.Evidence).
func (c *Client) DeployEvidence(ctx context.Context, from Account) (common.Address, *types.Receipt, error) {
	creation, err := apps.Evidence.Creation()
	if err != nil {
		return common.Address{}, nil, err
	}
	return c.Deploy(ctx, from, creation)
}

// Notarise puts the digest of the file at path on record in the registry at evidence, under the file's name. The document itself does not leave the machine.
// The digest is DigestFile's for the suite that the node says its chain has: whoever verifies it computes it for the suite of the proof. One that is on
// record already is a *RevertError named AlreadyNotarised.
func (c *Client) Notarise(ctx context.Context, from Account, evidence common.Address, path string) (*types.Receipt, error) {
	var status struct {
		Suite string `json:"suite"`
	}
	if err := c.rpc.CallContext(ctx, &status, "jl_status"); err != nil {
		return nil, describe("ask for the chain's suite", err)
	}
	digest, err := DigestFile(status.Suite, path)
	if err != nil {
		return nil, err
	}
	return c.Transact(ctx, from, Contract{evidence, apps.Evidence.ABI}, "notarise", digest, filepath.Base(path))
}

// Notarisation is what a proof says of a document.
type Notarisation struct {
	Digest common.Hash
	// By notarised it, under that name, at Time (the block's second).
	By   common.Address
	Name string
	Time time.Time
}

// ErrNotNotarised is a proof whose transaction did not notarise the document.
var ErrNotNotarised = errors.New("the proven transaction did not notarise this document")

// Notarised looks in the proven logs for the notarisation of digest by the registry at evidence. The address of the registry must come from a
// source that the verifier trusts: any contract can emit such a log.
func (p *Proven) Notarised(evidence common.Address, digest common.Hash) (*Notarisation, error) {
	event := apps.Evidence.ABI.Events["Notarised"]
	for _, l := range p.Logs {
		if l.Address != evidence || len(l.Topics) != 3 || l.Topics[0] != event.ID || l.Topics[1] != digest {
			continue
		}
		values, err := event.Inputs.NonIndexed().Unpack(l.Data)
		if err != nil {
			return nil, fmt.Errorf("decode notarisation: %w", err)
		}
		seconds, ok := values[0].(*big.Int)
		name, named := values[1].(string)
		if !ok || !named || !seconds.IsInt64() {
			return nil, errors.New("decode notarisation: the log is not of the registry's form")
		}
		return &Notarisation{digest, common.BytesToAddress(l.Topics[2][:]), name, time.Unix(seconds.Int64(), 0).UTC()}, nil
	}
	return nil, fmt.Errorf("%w: digest %s, registry %s", ErrNotNotarised, digest, evidence)
}
