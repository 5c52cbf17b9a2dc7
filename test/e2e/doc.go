// Package e2e runs the real binary as real processes and does to them what happens in the world: kill -9, frozen processes, full disks, taken ports,
// damaged files, networks that part, lose and delay. It stands outside the sentence, imports nothing internal but the interface of the validators'
// contract, and owns nothing but its tests. JIALING_SUITE=gm runs them on chains of that suite.
package e2e
