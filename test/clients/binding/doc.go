// Package binding holds the Go bindings of the contracts of the client tests, generated from their artifacts by
// go-ethereum's abigen (version 2), as an application in Go would have them. It stands outside the node and owns
// nothing; TestBindingsAreCurrent fails when binding.go is not what abigen makes of the artifacts.
package binding
