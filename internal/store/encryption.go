package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/store/vault"
)

// Encryption is how a folder's files are sealed.
type Encryption struct {
	// Master wraps the data keys that the folder's vault.json holds.
	Master vault.Master
	// Convert takes a folder in plain text over: what is written from now on is sealed, and Rekey seals the rest. Without it such a folder is ErrNotEncrypted.
	Convert bool
}

// Errors of encryption that callers tell apart.
var (
	// ErrEncrypted: the folder is encrypted and no master key was given.
	ErrEncrypted = errors.New("the ledger is encrypted and no master key was given")
	// ErrNotEncrypted: a master key was given for a folder in plain text.
	ErrNotEncrypted = vault.ErrNotEncrypted
	// ErrMasterKey: the master key is another one. Nothing was opened or written.
	ErrMasterKey = vault.ErrMasterKey
	// ErrKeyFile: vault.json is missing, damaged or altered.
	ErrKeyFile = vault.ErrKeyFile
)

// openVault puts the encryption between Pebble and the disk. It runs under the folder's lock, before anything else is read.
func (s *Store) openVault() error {
	exists, err := vault.Exists(s.cfg.FS, s.cfg.Dir)
	if err != nil {
		return err
	}
	e := s.cfg.Encryption
	if e == nil {
		if exists {
			return fmt.Errorf("%w (%s is there)", ErrEncrypted, vault.KeyFileName)
		}
		return nil
	}
	if !exists {
		state, err := readStamp(s.cfg.FS, s.cfg.Dir)
		if err != nil {
			return err
		}
		if state != stampNone {
			if err := s.mayConvert(e); err != nil {
				return err
			}
		}
		if err := vault.Create(s.cfg.FS, s.cfg.Dir, s.suite, e.Master, state != stampNone); err != nil {
			return err
		}
	}
	if s.vault, err = vault.Open(s.cfg.FS, s.cfg.Dir, s.suite, e.Master); err != nil {
		return err
	}
	s.fs.FS = s.vault
	return nil
}

// mayConvert refuses a folder whose key file was lost, and one that nobody has asked to convert.
func (s *Store) mayConvert(e *Encryption) error {
	sealed, err := vault.AnySealed(s.cfg.FS, s.cfg.Dir)
	switch {
	case err != nil:
		return err
	case sealed != "":
		return fmt.Errorf("%w: %s is missing, %s is sealed with a key that it held; restore it from a backup", ErrKeyFile, vault.KeyFileName, sealed)
	case !e.Convert:
		return ErrNotEncrypted
	}
	return nil
}

// EncryptionStatus is how far the folder is sealed with one key.
type EncryptionStatus struct {
	vault.Usage
	// Running tells that Rekey works, Done is how many bytes it has sealed anew since it began.
	Running bool
	Done    int64
}

// Encryption returns nil for a folder in plain text. While a re-keying is pending it reads the beginning of every file.
func (s *Store) Encryption() (*EncryptionStatus, error) {
	if s.vault == nil {
		return nil, nil
	}
	u, err := s.vault.Usage()
	if err != nil {
		return nil, err
	}
	return &EncryptionStatus{u, s.rekeying.running.Load(), s.rekeying.done.Load()}, nil
}

// Sealer seals, for one purpose, what a node keeps outside the folder; nil without encryption.
func (s *Store) Sealer(purpose string) *vault.Sealer {
	if s.vault == nil {
		return nil
	}
	return s.vault.NewSealer(purpose)
}

// rekeying is the state of Rekey.
type rekeying struct {
	running atomic.Bool
	done    atomic.Int64
}

// RekeyOptions say how Rekey works.
type RekeyOptions struct {
	// Resume ends a re-keying or conversion that has begun, and begins none.
	Resume bool
	// BytesPerSecond bounds what is read of old files; 0: as fast as it goes.
	BytesPerSecond int64
	// Progress is told of bytes, against those of the files that were old at the beginning. It may be nil.
	Progress Progress
	// Release sees that nothing outside the folder is sealed with an old key any more (Sealer); it is called when no file is. Nil: there may be such things, so the old
	// keys stay.
	Release func(context.Context) error
}

// ErrRekeying: another call of Rekey works.
var ErrRekeying = errors.New("the ledger is being re-keyed already")

// Rekey makes a new data key, seals everything with it while the store goes on working, and removes the old keys from vault.json. One that was interrupted is taken up by the
// next. Called by one goroutine at a time, which ends before Close.
func (s *Store) Rekey(ctx context.Context, o RekeyOptions) error {
	if s.vault == nil {
		return ErrNotEncrypted
	}
	if !s.rekeying.running.CompareAndSwap(false, true) {
		return ErrRekeying
	}
	defer s.rekeying.running.Store(false)
	s.rekeying.done.Store(0)
	if err := s.Err(); err != nil {
		return err
	}
	u, err := s.vault.Usage()
	if err != nil {
		return fmt.Errorf("re-key: %w", err)
	}
	if o.Resume && !u.Pending() {
		return nil
	}
	if err := s.vault.NewKey(); err != nil {
		return fmt.Errorf("re-key: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.fs.failing:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-watched }()
	if err := s.rekey(ctx, o); err != nil {
		return fmt.Errorf("re-key: %w", errors.Join(s.Err(), err))
	}
	return nil
}

func (s *Store) rekey(ctx context.Context, o RekeyOptions) error {
	u, err := s.vault.Usage()
	if err != nil {
		return err
	}
	s.log.Info("sealing the ledger with a new key", "key", u.Active, "files", u.OldFiles, "bytes", u.OldBytes)
	// A new log for new writes, so that the old one is not sealed anew but deleted.
	if err := s.db.Flush(); err != nil {
		return err
	}
	if err := s.vault.Rewrite(ctx, s.pace(&o, u.OldBytes), s.orphan); err != nil {
		return err
	}
	if o.Release == nil {
		s.log.Info("the ledger is sealed with a new key, the old ones are kept until the node runs", "key", u.Active, "bytes", s.rekeying.done.Load())
		return nil
	}
	if err := o.Release(ctx); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return err
	}
	if err := s.vault.DropOldKeys(); err != nil {
		return err
	}
	s.log.Info("the ledger is sealed with a new key, the old ones are gone", "key", u.Active, "bytes", s.rekeying.done.Load())
	return nil
}

// pace counts, stops with the store, and waits where the work is ahead of its rate.
func (s *Store) pace(o *RekeyOptions, total int64) vault.Pace {
	start, told, perSecond := time.Now(), int64(0), o.BytesPerSecond
	return func(ctx context.Context, n int) error {
		done := s.rekeying.done.Add(int64(n))
		o.Progress.report("bytes sealed", uint64(done), uint64(max(done, total)))
		if err := s.fs.failure(); err != nil {
			return err
		}
		if done-told >= 1<<30 {
			told = done
			s.log.Info("the ledger is being sealed with a new key", "bytes", done)
		}
		if perSecond == 0 {
			return nil
		}
		ahead := time.Duration(float64(done)/float64(perSecond)*float64(time.Second)) - time.Since(start)
		if ahead <= 0 {
			return nil
		}
		wait := time.NewTimer(ahead)
		defer wait.Stop()
		select {
		case <-wait.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// orphan tells a file that a crash has left and that Pebble is about to remove: a table that no version has, or a temporary file.
func (s *Store) orphan(base string) (bool, error) {
	ext := filepath.Ext(base)
	if ext != ".sst" {
		return ext == ".dbtmp", nil
	}
	levels, err := s.db.SSTables()
	if err != nil {
		return false, s.readError(err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			if base == fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum)) {
				return false, nil
			}
		}
	}
	return true, nil
}

// ChangeMaster wraps the data keys of a folder that nobody has open with another master key. Nothing but vault.json is written.
func ChangeMaster(cfg Config, suite crypto.Suite, to vault.Master) error {
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	lock, err := pebble.LockDirectory(cfg.Dir, cfg.FS)
	if err != nil {
		return fmt.Errorf("%w: stop that process, or choose another folder (%w)", ErrLocked, err)
	}
	return errors.Join(vault.ChangeMaster(cfg.FS, cfg.Dir, suite, cfg.Encryption.Master, to), lock.Close())
}
