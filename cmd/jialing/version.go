package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
				Ethereum string `json:"goEthereum"`
			}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, dependency("github.com/ethereum/go-ethereum")}
			return c.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "jialing\t%s\ngo\t%s %s\ngo-ethereum\t%s\n", v.Version, v.Go, v.Platform, v.Ethereum)
			})
		},
	}
}

// dependency is the version of a module that this binary was built with.
func dependency(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == path {
				return d.Version
			}
		}
	}
	return "unknown"
}
