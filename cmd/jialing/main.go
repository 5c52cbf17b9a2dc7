// Command jialing is the platform's one binary: it makes a chain's folder, runs a node, and is a client for one.
//
// It stands above all stages of pool → order → execute → attest → store → serve: init, start and db compose through internal/node; account,
// tx, block and proof are clients and reach a node by RPC only. It owns the terminal: output, prompts, exit codes.
//
// Exit codes: 0, it was done; 1, it failed; 2, it was asked for wrongly (unknown command, flag or argument);
// 3, the node halted because its state differs from what the validators signed.
package main

import (
	"os"
)

// version is set when building: -ldflags "-X main.version=…".
var version = "development"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
