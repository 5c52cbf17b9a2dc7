package bft

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLibrarySaysSo: what this package listens for is in the library's source, each word once. Another version may say something else.
func TestLibrarySaysSo(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/hyperledger-labs/SmartBFT").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "internal", "bft", "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var source strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		source.Write(b)
	}
	for _, words := range []string{saysRole, saysSilence, saysChange, saysTakeover, saysTaken, saysAbort, saysAborts, saysNewView, saysSync, saysOldView,
		saysSameView, saysHanded, saysReceipt, saysAskSync} {
		require.Equal(t, 1, strings.Count(source.String(), `"`+words+`"`), "the library says %q", words)
	}
}
