package main

import (
	"bytes"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
)

// TestRefusalsAreExplained: every word that this program has for a system contract's error or hindrance is for one that the contract's interface holds.
func TestRefusalsAreExplained(t *testing.T) {
	for _, contract := range []*systemContract{&validatorsContract, &organisationsContract, &stakingContract, &enginesContract} {
		require.Contains(t, contract.abi().Methods, contract.view)
		require.Empty(t, contract.abi().Methods[contract.view].Inputs)
		require.Error(t, contract.absent)
		for name, words := range contract.refusals {
			require.Contains(t, contract.abi().Errors, name)
			require.Equal(t, words, contract.why(revertOf(t, contract.abi(), name)))
		}
		for n, words := range contract.hindrances {
			require.Equal(t, words, contract.why(&client.RevertError{Name: "Hindered", Args: []any{uint8(n)}}))
		}
		require.Empty(t, contract.why(&client.RevertError{Name: "Hindered", Args: []any{uint8(len(contract.hindrances))}}), "of a later version")
		require.Empty(t, contract.why(&client.RevertError{Name: "Hindered"}))
		require.Empty(t, contract.why(&client.RevertError{}))
	}
}

// revertOf is a revert with a custom error whose arguments are all zero, decoded as the command does it.
func revertOf(t *testing.T, contract *abi.ABI, name string) *client.RevertError {
	id := contract.Errors[name].ID
	r := &client.RevertError{Data: append(bytes.Clone(id[:4]), make([]byte, 32*len(contract.Errors[name].Inputs))...)}
	r.Decode(contract)
	require.Equal(t, name, r.Name)
	return r
}
