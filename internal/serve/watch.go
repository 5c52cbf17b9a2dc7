package serve

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// watchPause is how long a file is not looked at again: a look costs a system call.
const watchPause = time.Second

// watch notices that files have changed, when it is asked. due is safe for concurrent use; changed belongs to who holds its owner's lock.
type watch struct {
	paths []string
	last  *atomic.Int64 // Unix nanoseconds of the last look
	// failures counts what could not be read again.
	failures *atomic.Int64
	seen     []stamp
}

// stamp is what differs when a file does, also when it was replaced by one of the same size within the clock's step.
type stamp struct {
	there   bool
	mode    os.FileMode
	size    int64
	changed time.Time
	inode   uint64
}

func newWatch(paths ...string) watch {
	return watch{paths: paths, last: new(atomic.Int64), failures: new(atomic.Int64), seen: make([]stamp, len(paths))}
}

// due tells whether it is time to look; of those who ask at once, one hears yes.
func (w *watch) due(now time.Time) bool {
	last := w.last.Load()
	passed := now.UnixNano() - last
	return (passed >= int64(watchPause) || passed < 0) && w.last.CompareAndSwap(last, now.UnixNano())
}

// changed tells whether a file is another than at the last call.
func (w *watch) changed(now time.Time) (changed bool) {
	w.last.Store(now.UnixNano())
	for i, path := range w.paths {
		var s stamp
		if info, err := os.Stat(path); err == nil {
			s = stamp{there: true, mode: info.Mode(), size: info.Size(), changed: info.ModTime()}
			if sys, ok := info.Sys().(*syscall.Stat_t); ok {
				s.inode = sys.Ino
			}
		}
		changed = changed || s != w.seen[i]
		w.seen[i] = s
	}
	return changed
}
