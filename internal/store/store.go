package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/store/mpt"
	"github.com/jialing-chain/jialing/internal/store/vault"
)

// Store is an open data folder. Reading methods are safe for concurrent use; the methods that write name their callers.
type Store struct {
	cfg    Config
	suite  crypto.Suite
	log    *slog.Logger
	fs     *failStopFS
	lock   *pebble.Lock
	db     *pebble.DB
	events *pebbleEvents
	anchor *anchor
	vault  *vault.FS // nil without encryption
	pruner *pruner
	forest *mpt.Forest

	accounts *cache[common.Address, account]
	slots    *cache[slotID, common.Hash]
	codes    *codeCache

	// head is the last durable block; nil in an empty folder.
	head atomic.Pointer[head]
	// decided is the end of the chain of decisions.
	decided   atomic.Pointer[decided]
	finalized atomic.Uint64
	// epochs says where index entries are; nil in an empty folder.
	epochs atomic.Pointer[epochs]
	// sets are the last changes of the validator set; nil in an empty folder.
	sets atomic.Pointer[[]chain.SetChange]
	// epochEntries is the constant of that name; tests lower it.
	epochEntries uint64
	// staging, applying and oldest order readers against Stage, Commit and pruning; the package comment says how.
	staging, applying, oldest atomic.Uint64
	// first is the block whose state was fetched; 0 in a chain that began at block 0. See First.
	first atomic.Uint64
	holds holds

	// decisionMu makes decisions follow each other.
	decisionMu sync.Mutex
	kept       kept

	rekeying rekeying

	certificateMu sync.Mutex
	pruneMu       sync.Mutex

	stageMu sync.Mutex
	// staged are the layers between the head and the tip, oldest first.
	staged []*layer

	// stopped is the first error after which the store takes no more writes.
	stopped atomic.Pointer[error]
}

type head struct {
	header *chain.Header
	hash   common.Hash
}

// Open opens or creates the folder. It changes nothing in a folder that it refuses: ErrLocked, ErrFormat, ErrCorrupt. It takes milliseconds whatever the chain's
// length: Check is what looks at everything.
func Open(cfg Config, suite crypto.Suite) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, suite: suite, log: cfg.Log, epochEntries: epochEntries, holds: holds{now: time.Now}, kept: kept{turn: make(chan struct{}, 1), blocks: make(map[string]uint64)}}
	s.fs = newFailStopFS(cfg.FS, func(err error) { s.log.Error("write failed, the store takes no more", "err", err) })
	s.events = newPebbleEvents(cfg.Log)
	if err := s.open(); err != nil {
		if closeErr := s.Close(); closeErr != nil {
			s.log.Warn("close after failed open", "err", closeErr)
		}
		return nil, fmt.Errorf("open %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.cfg.FS.MkdirAll(s.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	lock, err := pebble.LockDirectory(s.cfg.Dir, s.fs)
	if err != nil {
		if !isLocked(err) {
			return fmt.Errorf("lock: %w", err)
		}
		return fmt.Errorf("%w: stop that process, or choose another folder (%w)", ErrLocked, err)
	}
	s.lock = lock
	if err := s.openVault(); err != nil {
		return err
	}
	if err := s.openPebble(); err != nil {
		return err
	}
	s.accounts = newCache[common.Address, account](s.cfg.StateCacheBytes * 4 / 10)
	s.slots = newCache[slotID, common.Hash](s.cfg.StateCacheBytes * 5 / 10)
	s.codes = newCodeCache(s.cfg.StateCacheBytes / 10)
	if err := s.loadHead(); err != nil {
		return err
	}
	if s.anchor, err = openAnchor(s.fs, s.cfg.Dir); err != nil {
		return err
	}
	if err := s.checkAnchor(); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return err
	}
	if s.head.Load() != nil {
		if err := s.openForest(s.head.Load().header.Root); err != nil {
			return err
		}
	}
	s.fs.releaseRemovals()
	s.pruner = newPruner(s)
	return nil
}

// openForest opens the commitment on the durable state.
func (s *Store) openForest(root common.Hash) (err error) {
	cfg := mpt.DefaultConfig()
	cfg.Layout = layout
	cfg.CacheBytes = s.cfg.CommitmentBytes
	s.forest, err = mpt.NewForest(cfg, dbReader{s, s.db}, root)
	if err != nil {
		return s.corrupt(fmt.Errorf("state commitment: %w", err))
	}
	return nil
}

// layout ties the commitment to the schema.
var layout = mpt.Layout{
	AccountNodes: tableAccountNodes, StorageNodes: tableStorageNodes, Accounts: tableAccounts, Slots: tableSlots, AccountLeaf: mpt.AccountLeaf,
}

// Close waits for the background work and closes the folder. No other method may be running or called later.
func (s *Store) Close() error {
	s.fs.release()
	if s.pruner != nil {
		s.pruner.close()
	}
	s.holds.close()
	var errs []error
	if s.anchor != nil {
		errs = append(errs, s.anchor.close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.vault != nil {
		s.vault.Wipe()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.fs.failure() != nil {
		return nil // it has been reported; what Pebble says about closing files that it could not write adds nothing
	}
	return errors.Join(errs...)
}

// Init writes block 0 into an empty folder and returns its header. A folder that holds this chain is left as it is; one that holds another gives ErrOtherGenesis.
func (s *Store) Init(g *chain.Genesis) (*chain.Header, error) {
	encoded := g.Encode()
	if h := s.head.Load(); h != nil {
		have, err := s.get(metaGenesis)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(have, encoded) {
			return nil, fmt.Errorf("%s: %w: %s", s.cfg.Dir, ErrOtherGenesis, s.describeGenesis(have, g))
		}
		return s.Header(0)
	}
	if target, err := s.Importing(); err != nil || target != nil {
		return nil, errors.Join(err, fmt.Errorf("%s: %w: finish it, or remove the folder", s.cfg.Dir, ErrImporting))
	}
	writes := g.Writes(func(code []byte) common.Hash { return gethcrypto.Keccak256Hash(code) })
	if err := s.openForest(mpt.EmptyRoot); err != nil {
		return nil, err
	}
	l, err := s.buildLayer(0, writes, nil)
	if err != nil {
		return nil, s.stop(fmt.Errorf("genesis state: %w", err))
	}
	founding := &chain.SetChange{Rule: *g.Rule()}
	header := g.Header(s.suite, writes, l.root)
	hash := header.Hash()
	b := s.newBatch(len(encoded) + 4096)
	defer b.close()
	b.set(metaGenesis, encoded)
	b.set(metaDecided, append(make([]byte, 8), make([]byte, hashSize)...))
	if err := writeHeader(b, header, hash); err != nil {
		return nil, err
	}
	if err := writeSet(b, founding); err != nil {
		return nil, err
	}
	b.set(epochKey(0), make([]byte, 8))
	writeHead(b, 0, hash, 0)
	if err := s.writeState(b, l); err != nil {
		return nil, err
	}
	if err := s.apply(b, pebble.Sync); err != nil {
		return nil, fmt.Errorf("write genesis: %w", err)
	}
	s.forest.Durable(0)
	s.epochs.Store(&epochs{starts: []uint64{0}})
	s.rememberSet(founding)
	s.decided.Store(&decided{})
	s.head.Store(&head{header, hash})
	return header, nil
}

// describeGenesis names both chains.
func (s *Store) describeGenesis(stored []byte, want *chain.Genesis) string {
	have, err := chain.ParseGenesis(stored)
	if err != nil {
		return fmt.Sprintf("its genesis cannot be read (%v)", err)
	}
	return fmt.Sprintf("it has %q (chain id %d, genesis %s), wanted is %q (chain id %d, genesis %s)",
		have.Name, have.ChainID, have.ID(s.suite), want.Name, want.ChainID, want.ID(s.suite))
}

// Genesis returns the chain's genesis, ErrEmpty before Init.
func (s *Store) Genesis() (*chain.Genesis, error) {
	b, err := s.get(metaGenesis)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if b == nil {
		return nil, ErrEmpty
	}
	g, err := chain.ParseGenesis(b)
	if err != nil {
		return nil, s.corrupt(err)
	}
	return g, nil
}

// Head is the header of the last durable block; nil before Init. Callers must not alter it.
func (s *Store) Head() *chain.Header {
	if h := s.head.Load(); h != nil {
		return h.header
	}
	return nil
}

// First is the block with which this folder's chain begins where its state was fetched; 0 where it began at block 0. Of the blocks below there are the last 255 headers
// and the genesis'; First itself has no receipts here and is in no index. What is not kept gives ErrNotKept.
func (s *Store) First() uint64 { return s.first.Load() }

// Oldest is the lowest height whose state can be read.
func (s *Store) Oldest() uint64 { return s.oldest.Load() }

// Err is why the store takes no more writes; nil while it does. It wraps ErrStorage when a write failed.
func (s *Store) Err() error {
	if err := s.fs.failure(); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	if e := s.stopped.Load(); e != nil {
		return *e
	}
	return nil
}

// stop records err as the reason to take no more writes.
func (s *Store) stop(err error) error {
	s.stopped.CompareAndSwap(nil, &err)
	return err
}

// writable says whether a write may start.
func (s *Store) writable(ctx context.Context) error {
	if s.head.Load() == nil {
		return ErrEmpty
	}
	if err := s.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

// apply writes a batch; with pebble.Sync it is durable on return.
func (s *Store) apply(b *batch, sync *pebble.WriteOptions) error {
	if err := s.Err(); err != nil {
		return err
	}
	if err := s.db.Apply(b.b, sync); err != nil {
		return s.stop(fmt.Errorf("%w: %w", ErrStorage, err))
	}
	return s.Err()
}

// get returns a copy of the value, nil when there is none.
func (s *Store) get(key []byte) ([]byte, error) { return s.getFrom(s.db, key) }

func (s *Store) getFrom(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil
		}
		return nil, s.readError(err)
	}
	out := append(make([]byte, 0, len(value)), value...)
	if err := closer.Close(); err != nil {
		return nil, s.readError(err)
	}
	return out, nil
}

// scan calls fn for the records of [lo, hi) in order; the slices are valid during the call only. It returns fn's error as it is.
func (s *Store) scan(r pebble.Reader, lo, hi []byte, fn func(key, value []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return s.readError(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return s.readError(err)
		}
		if err := fn(it.Key(), value); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return s.readError(err)
	}
	return nil
}

// dbReader reads for the commitment, from the database or a snapshot of it.
type dbReader struct {
	s *Store
	r pebble.Reader
}

// Get implements mpt.Reader.
func (r dbReader) Get(key []byte) ([]byte, error) { return r.s.getFrom(r.r, key) }

// Scan implements mpt.Reader.
func (r dbReader) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	return r.s.scan(r.r, lo, hi, fn)
}
