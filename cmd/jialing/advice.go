package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/ethereum/go-ethereum"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

// advice says what to do about an error, "" where the error says it all.
func advice(err error) string {
	for _, a := range []struct {
		is   error
		then string
	}{
		{client.ErrUnreachable, `start a node with "jialing start --dir DIR", or name a running one with --rpc URL`},
		{client.ErrPassphrase, "give the right one at the prompt, in --passphrase-file FILE or in JIALING_PASSPHRASE"},
		{keys.ErrPassphrase, "give the right one with --passphrase-file FILE, key.passphrase_file in node.toml, JIALING_PASSPHRASE or at the prompt; nobody can restore one that is lost"},
		{keys.ErrDevice, "docs/keys.md says what a key device needs; nothing was written"},
		{client.ErrSignerRefused, "whoever runs the signer decides in its --policy file what it signs"},
		{client.ErrSigner, "check that \"jialing signer serve\" runs there and that this user may open its socket"},
		{errNoPassphrase, "give it in --passphrase-file FILE, JIALING_PASSPHRASE_FILE or JIALING_PASSPHRASE"},
		{errFolderExists, "choose another --dir; a network's folder is made anew and nothing is overwritten"},
		{errPortTaken, "stop that program, or choose other ports with --p2p-port and --http-port"},
		{errNoNetwork, `make one with "jialing network create --dir DIR"`},
		{errNetworkBusy, "wait for it, then try again"},
		{errNotReady, `"jialing doctor --dir DIR" says more; the nodes that run go on trying, "jialing network stop --dir DIR" stops them`},
		{errVoice, "docs/operations.md, \"A node diverged\", says how a node of such a chain is made anew"},
		{node.ErrHalted, `keep a copy of the folder and of halt.json, then make the node anew: "jialing doctor --dir DIR" says how`},
		{errOldDemo, "replace it with --fresh, or choose another --dir"},
		{errNotADemo, "choose another --dir; the demo never touches a folder that it did not make"},
		{errNoAccount, `"jialing account list" shows those that it holds; "jialing account import FILE" adds one`},
		{client.ErrProof, "either the file was altered, or it is of another chain than the trusted one; ask for it again with \"jialing proof get\""},
		{client.ErrTrust, "give the genesis.json of the chain, or a file made from it by \"jialing proof trust\""},
		{client.ErrNotNotarised, "check the document, and the address of the registry, which must come from a source of your own"},
		{client.ErrNoCode, "check the address, and that --rpc is the right chain"},
		{node.ErrNotInitialised, `make one with "jialing init --dir DIR"`},
		{node.ErrAlreadyInitialised, `run it with "jialing start --dir DIR", or choose another --dir`},
		{store.ErrOtherGenesis, "this folder belongs to the chain that its data were made for: restore its own genesis.json, or make a new folder with \"jialing init --genesis FILE\""},
		{store.ErrLocked, "a node runs on this folder: stop it first, or choose another --dir"},
		{store.ErrFormat, "use the version of jialing that made the folder; \"db export\" there and \"db import\" here carries the chain over"},
		{store.ErrMasterKey, "give the master key under which the ledger was made, in [store.encryption] of node.toml; nothing was opened or written"},
		{store.ErrKeyFile, "restore data/vault.json from a backup: without it the ledger cannot be opened by anybody; else make the node anew and fetch the chain again"},
		{store.ErrEncrypted, "say in [store.encryption] of node.toml where its master key is"},
		{store.ErrNotEncrypted, "encrypt it with \"jialing db encrypt\", or switch [store.encryption] off in node.toml"},
		{node.ErrNoMasterKey, "\"jialing db encrypt --help\" shows how"},
		{errNotConfigured, "write [store.encryption] with enabled = true and a key_file or passphrase_file; \"jialing db encrypt --help\" shows how"},
		{store.ErrCorrupt, "nothing was written. Keep a copy, then make a new folder with \"jialing init --genesis FILE\" and \"jialing db import\" an export"},
		{store.ErrStorage, "free space on the disk, then start again: nothing acknowledged is lost"},
		{store.ErrExport, "the file is damaged or cut off, or was never an export: export again"},
		{node.ErrImportDiffers, "the export is not of this ledger's history, or was made by another version; nothing of that block was written"},
		{errFileExists, "choose another name: nothing is overwritten"},
		{context.Canceled, "stopped before it was done, and nothing is half-written: run it again"},
		{syscall.EADDRINUSE, "another program listens there: stop it, or choose another port with --http.addr 127.0.0.1:8600"},
		{syscall.ENOSPC, "free space on the disk, then start again: nothing acknowledged is lost"},
		{ethereum.NotFound, "check the value, and that --rpc is the right chain"},
		{fs.ErrPermission, "check who owns the file or folder"},
	} {
		if errors.Is(err, a.is) {
			return a.then
		}
	}
	if strings.Contains(err.Error(), "insufficient funds") {
		return "the sender's balance does not cover value and gas: fund it first, or send less"
	}
	return ""
}
