package node

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// errDiskFull stops the pipeline while there is still room to write out what is in flight.
var errDiskFull = errors.New("disk is full")

// diskCheck is how often free space is read: seldom enough to cost nothing, often enough that a full-speed chain cannot fill the reserve between.
const diskCheck = time.Second

// diskGuard watches the free space of a folder's disk.
type diskGuard struct {
	dir string
	min uint64 // bytes
}

// watch returns errDiskFull when less than the reserve is free, or ctx's error.
func (g *diskGuard) watch(ctx context.Context) error {
	return every(ctx, diskCheck, func() error {
		free, err := freeBytes(g.dir)
		if err != nil {
			return err
		}
		if free < g.min {
			return fmt.Errorf("%w: %d MiB left on the disk of %s, the node keeps %d MiB in reserve", errDiskFull, free>>20, g.dir, g.min>>20)
		}
		return nil
	})
}

// waitForRoom returns when there is half as much more than the reserve, so that the node does not stop again at once.
func (g *diskGuard) waitForRoom(ctx context.Context) error {
	enough := errors.New("enough")
	err := every(ctx, diskCheck, func() error {
		free, err := freeBytes(g.dir)
		if err != nil {
			return err
		}
		if free >= g.min+g.min/2 && free > 0 {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) || ctx.Err() != nil {
		return nil
	}
	return err
}

// full tells whether the disk is full now.
func (g *diskGuard) full() bool {
	free, err := freeBytes(g.dir)
	return err == nil && free < max(g.min, 1<<20)
}

func freeBytes(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("read free space of %s: %w", dir, err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}
