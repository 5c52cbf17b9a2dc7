package vault

import (
	"context"
	"errors"
	"fmt"
)

// finish closes a log durably, with its end mark.
func (w *logWriter) finish() error {
	defer w.fs.ended(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.header != nil {
		_, w.err = w.inner.Write(w.header.sealRecord(w.out[:0], record{endMark, w.number, w.synced}, nil))
	}
	if w.err == nil {
		w.err = w.inner.Sync()
	}
	err := errors.Join(w.err, w.inner.Close())
	if w.err == nil {
		w.err = errors.New("vault: the file is closed")
	}
	return err
}

// rekey seals an open log anew while its writer waits. The store turns to a new log before, so what is left is short: the manifest, some MiB.
func (w *logWriter) rekey(ctx context.Context, pace Pace) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.header == nil {
		return false, nil // about to be closed, or to begin: what it leaves is judged as a file
	}
	next := &logWriter{fs: w.fs, name: w.name}
	if err := pace(ctx, 0); err != nil {
		return false, err
	}
	if err := w.copyInto(ctx, next); err != nil {
		w.fs.ended(next)
		return false, err
	}
	w.fs.mu.Lock()
	w.fs.writers[w] = written{w.name, next.header.keyID}
	delete(w.fs.writers, next)
	w.fs.mu.Unlock()
	old := w.inner
	w.inner, w.header, w.number, w.synced = next.inner, next.header, next.number, next.synced
	if err := syncDir(w.fs.FS, w.fs.dir); err != nil {
		w.err = err // after a crash the name might mean the old file, which lacks what would be written from here on
		return false, err
	}
	return true, old.Close()
}

// copyInto makes next the writer of a durable copy under w's name. The caller holds w.mu.
func (w *logWriter) copyInto(ctx context.Context, next *logWriter) (err error) {
	v, tmp := w.fs, w.name+rewriteSuffix
	src, err := v.Open(w.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if next.inner, err = v.FS.Create(tmp, "pebble-wal"); err != nil {
		return err
	}
	err = copyPaced(ctx, next, src, func(context.Context, int) error { return nil })
	if r, ok := src.(*logReader); err == nil && (!ok || r.number != w.number) {
		err = fmt.Errorf("%s: %w: its writer wrote %d records, they cannot all be read", w.name, ErrAltered, w.number)
	}
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		v.mu.Lock()
		err = v.FS.Rename(tmp, w.name)
		v.mu.Unlock()
	}
	if err != nil {
		return errors.Join(err, next.inner.Close(), v.FS.Remove(tmp))
	}
	return nil
}
