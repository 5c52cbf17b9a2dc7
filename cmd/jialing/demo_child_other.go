//go:build !linux

package main

import "syscall"

// childAttributes put a node of the demo into a process group of its own.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
