package main

import (
	"strings"

	"github.com/jialing-chain/jialing/internal/keys"
)

// ruleKey finds nodes whose key cannot be used: those that say so, and those whose last words were about it.
func ruleKey(f *facts) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		if s := n.now(); s != nil {
			if s.Problem == nil || !isKeyDeviceProblem(*s.Problem) {
				return nil
			}
			return &finding{broken, "key_device", n.name + " does not vote: the device with its key does not sign", *s.Problem,
				"Put the device back, or restart its driver; the node resumes by itself. If the device is broken, give the validator another key (docs/keys.md)."}
		}
		if n.folder == nil || n.pid != 0 {
			return nil
		}
		last := lastLine(n.lastWords)
		if last == stoppedWord {
			return nil
		}
		for _, known := range []struct {
			err           error
			cause, remedy string
		}{
			{keys.ErrPassphrase, "the passphrase or PIN of its key is wrong", "Put the right one where the last line says that it came from."},
			{keys.ErrNoPassphrase, "it has no passphrase for its key", "Name a file with it in key.passphrase_file of its node.toml, or with --passphrase-file in its unit."},
			{keys.ErrPassphraseFile, "the file with its key's passphrase is not accepted", "Do what its last line says."},
			{keys.ErrPlaintext, "its node.key is of a version that did not encrypt", "Run: jialing key encrypt " + n.folder.dir + "/node.key"},
			{keys.ErrDevice, "the device with its key cannot be used", "Check that it is plugged in and that [key] in its node.toml names it (docs/keys.md)."},
		} {
			if strings.Contains(n.lastWords, known.err.Error()) {
				return &finding{broken, "node_key", n.name + " cannot start: " + known.cause, last, known.remedy}
			}
		}
		return nil
	})
}

// isKeyDeviceProblem tells whether a node's problem is its key's device.
func isKeyDeviceProblem(problem string) bool {
	return strings.Contains(problem, keys.ErrDevice.Error())
}
