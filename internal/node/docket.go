package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// docketFile is where a node keeps what convicts validators, beside its ledger.
const docketFile = "evidence.json"

const (
	// maxDocket bounds the validators on a docket, one contradiction each: a chain that has found so many liars at once has other cares.
	maxDocket = 64
	// maxDocketFile bounds its file in bytes: the longest messages there are, in hex.
	maxDocketFile = maxDocket * 64 << 10
	// docketEvery is how often the stages are asked for new contradictions. They keep some of their own meanwhile.
	docketEvery = 2 * time.Second
)

// docket keeps proofs of validators that contradicted themselves, the newest of each key, across restarts. Whoever asks for it has what the contract Staking
// punishes. Safe for concurrent use.
type docket struct {
	path    string // "": it is kept in memory
	suite   crypto.Suite
	genesis crypto.Hash
	gather  func() []*chain.Contradiction
	log     *slog.Logger

	mu   sync.Mutex
	kept []*chain.Contradiction // ascending in time of being found
}

// docketEntry is a contradiction as the file has it, and jl_getEvidence.
type docketEntry struct {
	Validator       chain.ValidatorID `json:"validator"`
	PublicKey       hexutil.Bytes     `json:"publicKey"`
	First           hexutil.Bytes     `json:"first"`
	FirstSignature  hexutil.Bytes     `json:"firstSignature"`
	Second          hexutil.Bytes     `json:"second"`
	SecondSignature hexutil.Bytes     `json:"secondSignature"`
}

// openDocket reads the file at path; what in it does not hold is left out.
func openDocket(path string, suite crypto.Suite, genesis crypto.Hash, gather func() []*chain.Contradiction, log *slog.Logger) (*docket, error) {
	d := &docket{path: path, suite: suite, genesis: genesis, gather: gather, log: log}
	if path == "" {
		return d, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	defer f.Close()
	var entries []docketEntry
	if err := json.NewDecoder(io.LimitReader(f, maxDocketFile)).Decode(&entries); err != nil {
		log.Warn("the file of evidence cannot be read, beginning another", "path", path, "err", err)
		return d, nil
	}
	for _, e := range entries {
		c := &chain.Contradiction{Validator: e.Validator, PublicKey: e.PublicKey, Messages: [2][]byte{e.First, e.Second},
			Signatures: [2][]byte{e.FirstSignature, e.SecondSignature}}
		if err := c.Verify(suite, genesis); err != nil {
			log.Warn("evidence that is kept does not hold", "validator", e.Validator, "err", err)
			continue
		}
		d.put(c)
	}
	return d, nil
}

// Run looks for new contradictions until ctx ends. A disk that does not take them is no reason to stop: they stay in memory.
func (d *docket) Run(ctx context.Context) error {
	ticker := time.NewTicker(docketEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if d.look() {
			if err := d.save(); err != nil {
				d.log.Error("cannot keep evidence", "err", err)
			}
		}
	}
}

// All are the contradictions that are known, the newest last.
func (d *docket) All() []*chain.Contradiction {
	d.look()
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*chain.Contradiction(nil), d.kept...)
}

// look takes what the stages have found; true when there is something new.
func (d *docket) look() (news bool) {
	for _, c := range d.gather() {
		if d.put(c) {
			news = true
		}
	}
	return news
}

// put keeps c unless as new a contradiction of its key is kept.
func (d *docket) put(c *chain.Contradiction) bool {
	claim, err := chain.ParseClaim(c.Messages[0])
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, k := range d.kept {
		if string(k.PublicKey) == string(c.PublicKey) {
			if known, err := chain.ParseClaim(k.Messages[0]); err == nil && known.Height >= claim.Height {
				return false
			}
			d.kept = append(append(d.kept[:i:i], d.kept[i+1:]...), c)
			return true
		}
	}
	if len(d.kept) >= maxDocket {
		return false
	}
	d.kept = append(d.kept, c)
	return true
}

// save writes the file, durably and at once.
func (d *docket) save() error {
	if d.path == "" {
		return nil
	}
	d.mu.Lock()
	entries := make([]docketEntry, len(d.kept))
	for i, c := range d.kept {
		entries[i] = docketEntry{c.Validator, c.PublicKey, c.Messages[0], c.Signatures[0], c.Messages[1], c.Signatures[1]}
	}
	d.mu.Unlock()
	b, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(d.path), "."+docketFile+"-")
	if err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	defer os.Remove(f.Name()) // gone after the renaming
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), d.path)
	}
	if err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

// newDocket makes the docket of a pipeline.
func (n *Node) newDocket(p *pipeline) (err error) {
	path := ""
	if n.opts.FS == nil {
		path = filepath.Join(n.cfg.Dir, docketFile)
	}
	p.docket, err = openDocket(path, n.suite, p.genesisHash, p.contradictions, n.log)
	return err
}

// contradictions are those that ordering and attesting know of.
func (p *pipeline) contradictions() (out []*chain.Contradiction) {
	for _, e := range p.engine.Status().Evidence {
		if e.Proof != nil {
			out = append(out, e.Proof)
		}
	}
	for _, e := range p.attest.Evidence() {
		if rule := p.sets.Of(e.Height); rule != nil {
			if c := e.Contradiction(p.genesisHash, rule.Set); c != nil {
				out = append(out, c)
			}
		}
	}
	return out
}
