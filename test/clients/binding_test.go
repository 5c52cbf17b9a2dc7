package clients_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi/abigen"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write binding/binding.go anew from the artifacts")

func TestBindingsAreCurrent(t *testing.T) {
	const path = "binding/binding.go"
	names := []string{"Probe", "Delegate"}
	var abis, codes []string
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join("contract", "artifacts", name+".json"))
		require.NoError(t, err)
		var artifact struct {
			ABI      json.RawMessage `json:"abi"`
			Bytecode string          `json:"bytecode"`
		}
		require.NoError(t, json.Unmarshal(raw, &artifact))
		abis = append(abis, string(artifact.ABI))
		codes = append(codes, strings.TrimPrefix(artifact.Bytecode, "0x"))
	}
	want, err := abigen.BindV2(names, abis, codes, "binding", nil, nil)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, want == string(got), `%s is not what abigen makes of the artifacts: run "go test ./test/clients -run Bindings -update"`, path)
}
