package main

import (
	"github.com/spf13/cobra"
)

// defaultNetworkDir is the network's folder unless --dir says otherwise.
const defaultNetworkDir = "jialing-network"

func networkDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", defaultNetworkDir, "the network's folder")
}

func (c *cli) networkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "network",
		Short: "Make a network of validators, and run its nodes on this machine",
		Long: `Make a network of validators, and run its nodes on this machine.

  jialing network create --dir net --dev     four validators that tolerate one faulty among them
  jialing network start --dir net            run them in the background
  jialing network status --dir net           how they are; "jialing doctor --dir net" says what is wrong and what to do
  jialing network stop --dir net

A network's folder holds one folder per node; each can be copied to a machine of its own. docs/operations.md tells how.`,
	}
	cmd.AddCommand(c.networkCreate(), c.networkStart(), c.networkStop(), c.networkRestart(), c.networkStatus())
	return cmd
}
