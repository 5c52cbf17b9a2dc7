package p2p

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unsentBytes bounds what the kernel holds of a connection beyond what is on its way: without it megabytes of bulk gather in the socket, in front
// of every vote, as soon as the line is slower than the disk.
const unsentBytes = 128 << 10

// control sets up a socket before it connects or listens; accepted ones inherit it.
func control(deadAfter time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			if failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes); failed != nil {
				return
			}
			// Sent and not acknowledged for so long: the cable is pulled, or the machine is gone.
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return failed
	}
}
