package main

import "github.com/spf13/cobra"

func (c *cli) dbCommand() *cobra.Command {
	return &cobra.Command{Use: "db", Short: "Look after the ledger on disk"}
}
