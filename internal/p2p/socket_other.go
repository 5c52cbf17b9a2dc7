//go:build !linux

package p2p

import (
	"syscall"
	"time"
)

// control leaves the socket as the system has it: a dead peer is noticed by the multiplexer's pings alone, and a slow line's backlog is the kernel's.
func control(time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(string, string, syscall.RawConn) error { return nil }
}
