package main

import "syscall"

// childAttributes put a node of the demo into a process group of its own, and have it stopped if the demo dies without stopping it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
