// Package e2e runs the real binary as real processes and does to them what happens in the world: kill -9, full disks, taken ports, damaged
// files. It stands outside the sentence, imports nothing internal, and owns nothing but its tests.
package e2e
