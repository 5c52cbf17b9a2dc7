package pool

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// openJournal admits what the journal holds and starts a new file with what of it still waits.
func (p *Pool) openJournal(ctx context.Context) error {
	if err := os.MkdirAll(p.cfg.Journal, 0o700); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	j := &journal{dir: p.cfg.Journal, sync: p.cfg.JournalSync, sealer: p.sealer, bytes: p.cfg.JournalBytes, full: make(chan struct{}, 1)}
	names, err := j.files()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := p.restore(ctx, name); err != nil {
			return err
		}
		base := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "pending-"), ".journal")
		if _, err := fmt.Sscanf(base, "%x", &j.seq); err != nil {
			return fmt.Errorf("open journal: %s is not a name of this pool's", name)
		}
	}
	p.journal = j
	return p.rotate()
}

// restore admits the records of one file that may still be executed.
func (p *Pool) restore(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	var raws [][]byte
	var read, dead, refused int
	flush := func() {
		txs, errs := make([]*chain.Tx, len(raws)), make([]error, len(raws))
		p.addWindow(ctx, &work{raws: raws, local: true, errs: errs}, txs)
		for _, err := range errs {
			if err != nil && !errors.Is(err, ErrAlreadyKnown) {
				refused++
			}
		}
		raws = raws[:0]
	}
	whole, err := readJournal(bufio.NewReaderSize(f, 1<<20), p.sealer, func(sender common.Address, raw []byte) {
		read++
		if p.used(sender, raw) {
			dead++
			return
		}
		if raws = append(raws, raw); len(raws) == window {
			flush()
		}
	})
	flush()
	switch lost := info.Size() - whole; {
	case err == nil:
	case !errors.Is(err, errTorn):
		return fmt.Errorf("read journal %s: %w", name, err)
	case lost <= recordHeader+maxRecord:
		p.log.Warn("pool: journal ends within a record, as after a crash", "file", name, "bytes", lost)
	default: // more than one record: damage, so the file is kept for a person to look at
		if err := os.Rename(name, name+".damaged"); err != nil {
			return fmt.Errorf("keep damaged journal: %w", err)
		}
		p.log.Error("pool: journal is damaged, the transactions behind the damage are not pooled", "file", name+".damaged", "bytes", lost)
	}
	p.log.Info("pool: journal read", "file", name, "records", read, "executed", dead, "refused", refused)
	return nil
}

// used reports whether the chain has executed the sender's nonce of raw, so that the signature need not be verified to drop it.
func (p *Pool) used(sender common.Address, raw []byte) bool {
	tx, err := chain.DecodeTx(raw)
	if err != nil {
		return false // Add will say what is wrong
	}
	acc, err := p.chain.State().Account(sender)
	return err == nil && acc != nil && tx.Nonce() < acc.Nonce
}

// rotate starts a new journal file with the local transactions that still wait and deletes the old ones. A disk that is full leaves the old file in use.
func (p *Pool) rotate() error {
	j := p.journal
	f, err := j.create(j.seq + 1)
	if err != nil {
		if j.f == nil {
			return err
		}
		p.log.Error("pool: journal cannot be rewritten, the old file goes on", "err", err)
		j.postpone()
		return nil
	}
	p.gate.Lock()
	old := j.turn(f, j.seq+1)
	live := p.waitingLocals()
	p.gate.Unlock()
	if old != nil {
		defer old.Close() // all of it is written
	}
	for part := range slices.Chunk(live, window) {
		if err := j.append(part); err != nil {
			return fmt.Errorf("%w: %w", ErrJournal, err) // the old files are still there
		}
	}
	return j.finish()
}

// RewriteJournal writes the journal anew with what still waits, and returns when that is durable and the old files are gone: none of it is sealed with an old key then. It does
// nothing without a journal.
func (p *Pool) RewriteJournal(ctx context.Context) error {
	if p.cfg.Journal == "" {
		return nil
	}
	done := make(chan error, 1)
	select {
	case p.rewrites <- done:
		return <-done // Run answers, whatever comes
	case <-p.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rewritten is rotate for RewriteJournal, which is not content with the old file.
func (p *Pool) rewritten() error {
	before := p.journal.seq
	if err := p.rotate(); err != nil {
		return err
	}
	if p.journal.seq == before {
		return ErrJournal
	}
	return nil
}

// waitingLocals lists the local transactions in order of arrival. Decided ones are durable with their decision, but a block may leave them out.
func (p *Pool) waitingLocals() []*chain.Tx {
	type arrival struct {
		seq uint64
		tx  *chain.Tx
	}
	var live []arrival
	p.mu.Lock()
	for _, e := range p.all {
		if e.local {
			live = append(live, arrival{e.seq, e.tx})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(live, func(x, y arrival) int { return cmp.Compare(x.seq, y.seq) })
	txs := make([]*chain.Tx, len(live))
	for i, a := range live {
		txs[i] = a.tx
	}
	return txs
}
