package mpt

import "golang.org/x/sys/cpu"

//go:generate go run keccak4_gen.go

// fourLanes says that four messages are hashed at once in AVX2 registers.
var fourLanes = cpu.X86.HasAVX2

// permute4 applies Keccak-f[1600] to the four states of a; b is scratch.
//
//go:noescape
func permute4(a, b *state4)

// absorb4 adds a block of 136 bytes to each of the four states.
//
//go:noescape
func absorb4(a *state4, p0, p1, p2, p3 *byte)
