//go:build !amd64

package mpt

// fourLanes is off: without the assembly every message goes through go-ethereum's Keccak on its own.
var fourLanes = false

func permute4(a, b *state4)                   { panic("mpt: no four-lane keccak on this processor") }
func absorb4(a *state4, p0, p1, p2, p3 *byte) { panic("mpt: no four-lane keccak on this processor") }
