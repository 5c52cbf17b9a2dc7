package pool

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration { return rusage(syscall.RUSAGE_SELF) }

// threadTime is the processor time of the calling thread: what other processes do meanwhile is not in it.
func threadTime() time.Duration { return rusage(1) } // RUSAGE_THREAD, which package syscall does not name

func rusage(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
