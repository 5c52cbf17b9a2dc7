package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/store"
)

// ErrImportDiffers is an exported block that is not what executing its decision here gives, or not what the ledger holds already.
var ErrImportDiffers = errors.New("the exported block differs")

// Import adds the blocks of an export to the ledger of a folder whose node does not run. Nothing in the file is believed: the engine's proof of
// every decision, every signature and every certificate are verified, every block is executed again and must come out as exported before
// anything of it is written. Blocks that the ledger has are compared and skipped, so an import that was interrupted can be run again.
func Import(ctx context.Context, cfg Config, r io.Reader, log *slog.Logger, progress store.Progress) (err error) {
	st, g, err := OpenLedger(cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := st.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("close ledger: %w", cerr)
		}
	}()
	im, err := newImporter(cfg, g, st)
	if err != nil {
		return err
	}
	in, err := store.ReadExport(r, im.suite)
	if err != nil {
		return err
	}
	if !bytes.Equal(in.Genesis.Encode(), g.Encode()) {
		return fmt.Errorf("import: %w: the export is of %q, chain id %d", store.ErrOtherGenesis, in.Genesis.Name, in.Genesis.ChainID)
	}
	if next := im.head.Number.Uint64() + 1; in.From > next {
		return fmt.Errorf("import: the export begins with block %d, the ledger needs block %d first", in.From, next)
	}
	for {
		b, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		height := b.Decision.Height
		if err := im.add(ctx, b); err != nil {
			return fmt.Errorf("import block %d: %w", height, err)
		}
		if progress != nil {
			progress("import", height-in.From+1, in.To-in.From+1)
		}
	}
}

// importer re-executes blocks. One goroutine.
type importer struct {
	st       *store.Store
	suite    crypto.Suite
	genesis  crypto.Hash
	sets     *govern.Tracker
	verifier *chain.Verifier
	engine   order.Engine
	executor *execute.Executor
	attest   *attest.Attester
	head     *chain.Header
	recent   recentHashes
}

func newImporter(cfg Config, g *chain.Genesis, st *store.Store) (*importer, error) {
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, err
	}
	key, err := LoadKey(cfg, g)
	if err != nil {
		return nil, err
	}
	header0, err := st.Header(0)
	if err != nil {
		return nil, fmt.Errorf("read block 0: %w", err)
	}
	im := &importer{st: st, suite: suite, verifier: chain.NewVerifier(g), head: st.Head()}
	if im.sets, err = govern.NewTracker(g, suite, st); err != nil {
		return nil, err
	}
	if im.genesis, err = chain.HeaderHash(suite, header0); err != nil {
		return nil, err
	}
	executeCfg := cfg.Execute.config()
	executeCfg.ChainHash = im.genesis
	if im.executor, err = execute.New(executeCfg, g, suite); err != nil {
		return nil, err
	}
	if err := im.recent.load(st, im.head.Number.Uint64()); err != nil {
		return nil, err
	}
	if im.engine, err = newEngine(g, suite, im.genesis, key, st, im.sets, nil, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	im.attest = attest.New(attest.Config{Suite: suite, Genesis: im.genesis, Key: key, Store: st, Rule: im.sets.Of, Finalized: st.Finalized()})
	return im, nil
}

// add verifies a block, executes it and makes it durable; one that is there already is compared only.
func (im *importer) add(ctx context.Context, b *store.ExportedBlock) error {
	height := b.Decision.Height
	if height <= im.head.Number.Uint64() {
		have, err := im.st.Header(height)
		if err != nil {
			return err
		}
		if have.Hash() != b.Header.Hash() {
			return fmt.Errorf("%w: the ledger has %s, the export %s", ErrImportDiffers, have.Hash(), b.Header.Hash())
		}
		return im.certify(b)
	}
	rule, next := im.sets.Of(height), im.sets.Of(height+1)
	if rule == nil || next == nil {
		return fmt.Errorf("the validators of block %d are not known", height)
	}
	if err := im.engine.VerifyDecision(rule.Set, b.Decision); err != nil {
		return err
	}
	txs, err := im.decode(ctx, b.Txs)
	if err != nil {
		return err
	}
	e, err := im.executor.Execute(ctx, execute.Input{Parent: im.head, Decision: b.Decision, Txs: txs, State: im.st.Tip(), Rule: rule, Next: next,
		BlockHash: im.recent.hash}, im.st)
	if err != nil {
		return err
	}
	if e.Block.Hash != b.Header.Hash() {
		return fmt.Errorf("%w: %s", ErrImportDiffers, difference(e.Block.Header, b.Header))
	}
	if e.Change, err = im.sets.Executed(height, e.Writes, im.st.Tip()); err != nil {
		return err
	}
	if err := im.append(ctx, b.Decision, txs); err != nil {
		return err
	}
	own, err := im.attest.Own(e.Block.Header)
	if err != nil {
		return err
	}
	if err := im.st.Commit(ctx, e, own); err != nil {
		return err
	}
	im.head = e.Block.Header
	im.recent.add(height, e.Block.Hash)
	return im.certify(b)
}

// append makes the decision durable, unless the ledger died between it and its block and has it already.
func (im *importer) append(ctx context.Context, d *chain.Decision, txs chain.Txs) error {
	last, err := im.st.LastDecision()
	if err != nil {
		return err
	}
	if last == nil || last.Height < d.Height {
		return im.st.AppendDecision(ctx, d, txs)
	}
	have, _, err := im.st.Decision(d.Height)
	if err != nil {
		return err
	}
	if have.Hash(im.suite) != d.Hash(im.suite) {
		return fmt.Errorf("%w: the ledger has decision %s, the export %s", ErrImportDiffers, have.Hash(im.suite), d.Hash(im.suite))
	}
	return nil
}

// certify stores the block's certificate, if it has one that the ledger lacks.
func (im *importer) certify(b *store.ExportedBlock) error {
	if b.Certificate == nil || b.Certificate.Height <= im.st.Finalized() {
		return nil
	}
	if want, err := chain.HeaderHash(im.suite, b.Header); err != nil || b.Certificate.Header != want {
		return errors.Join(err, fmt.Errorf("%w: it is of another header", chain.ErrCertificate))
	}
	rule := im.sets.Of(b.Certificate.Height)
	if rule == nil {
		return fmt.Errorf("the validators of block %d are not known", b.Certificate.Height)
	}
	if err := b.Certificate.Verify(im.suite, im.genesis, rule.Set, rule.Quorum()); err != nil {
		return err
	}
	return im.st.PutCertificate(b.Certificate)
}

// decode decodes and verifies transactions on all cores.
func (im *importer) decode(ctx context.Context, raws [][]byte) (chain.Txs, error) {
	txs := make(chain.Txs, len(raws))
	g, ctx := errgroup.WithContext(ctx)
	workers := min(runtime.GOMAXPROCS(0), len(raws))
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(raws); i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				tx, err := chain.DecodeTx(raws[i])
				if err != nil {
					return fmt.Errorf("transaction %d: %w", i, err)
				}
				if err := im.verifier.Verify(tx); err != nil {
					return fmt.Errorf("transaction %d: %w", i, err)
				}
				txs[i] = tx
			}
			return nil
		})
	}
	return txs, g.Wait()
}

// difference names the first field in which two headers of one height differ.
func difference(here, there *chain.Header) string {
	for _, f := range []struct {
		name     string
		ours, ex any
	}{
		{"parent", here.ParentHash, there.ParentHash}, {"state root", here.Root, there.Root}, {"transactions root", here.TxHash, there.TxHash},
		{"receipts root", here.ReceiptHash, there.ReceiptHash}, {"gas used", here.GasUsed, there.GasUsed}, {"time", here.Time, there.Time},
	} {
		if f.ours != f.ex {
			return fmt.Sprintf("%s is %v by execution, %v in the export", f.name, f.ours, f.ex)
		}
	}
	return fmt.Sprintf("the header is %s by execution, %s in the export", here.Hash(), there.Hash())
}
