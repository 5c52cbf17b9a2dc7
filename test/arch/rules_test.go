package arch

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForbiddenImports shows every rule on imports fail.
func TestForbiddenImports(t *testing.T) {
	const g = "github.com/ethereum/go-ethereum/"
	for _, c := range []struct{ from, to, why string }{
		{"internal/pool", "internal/store", "siblings"},
		{"internal/order/solo", "internal/pool", "siblings"},
		{"internal/store/mpt", "internal/execute", "siblings"},
		{"internal/order/bft", "internal/order/solo", "children of one parent"},
		{"internal/order", "internal/order/solo", "a parent does not know"},
		{"internal/crypto", "internal/crypto/intl", "a parent does not know"},
		{"internal/chain", "internal/pool", "downwards"},
		{"internal/crypto", "internal/chain", "downwards"},
		{"internal/store", "internal/node", "downwards"},
		{"internal/chain", "internal/crypto/intl", "handed in"},
		{"internal/attest", "internal/crypto/gm", "handed in"},
		{"client", "internal/crypto/sm2", "nothing internal"},
		{"internal/node", "cmd/jialing", "downwards"},
		{"internal/node", "internal/order/ordertest", "tests only"},
		{"cmd/jialing", "internal/crypto/cryptotest", "tests only"},
		{"cmd/jialing", "test/clients", "tests and tools"},
		{"internal/node", "bench", "tests and tools"},
		{"internal/node", "client", "nothing of clients"},
		{"internal/serve", "apps", "nothing of clients"},
		{"internal/node", "docs/learn", "nothing of clients"},
		{"client", "internal/chain", "nothing internal"},
		{"client/evidence", "internal/crypto", "nothing internal"},
		{"apps", "internal/chain", "RPC only"},
		{"apps/finance", "internal/node", "RPC only"},
		{"bench", "internal/node", "as its users do"},
		{"internal/pool", g + "core/vm", "only internal/execute"},
		{"internal/store", g + "core/state", "only internal/execute"},
		{"internal/store", g + "core/state/snapshot", "only internal/execute"},
		{"internal/chain", g + "core", "only internal/execute"},
		{"internal/serve/eth", g + "eth/tracers/native", "only internal/execute"},
		{"cmd/jialing", g + "core/vm", "only internal/execute"},
		{"client", g + "core/vm", "only internal/execute"},
	} {
		to := c.to
		if !strings.HasPrefix(to, g) {
			to = Module + "/" + to
		}
		faults := CheckImports(Package{ImportPath: Module + "/" + c.from, Imports: []string{"fmt", to}})
		require.Len(t, faults, 1, "%s imports %s", c.from, c.to)
		require.Contains(t, faults[0], c.why)
	}
	faults := CheckImports(Package{ImportPath: Module + "/internal/pool", XTestImports: []string{Module + "/internal/store"}})
	require.Len(t, faults, 1)
	require.Contains(t, faults[0], "in tests neither")
	require.Len(t, CheckImports(Package{ImportPath: Module + "/internal/stuff"}), 1, "a folder that the design does not have")
}

func TestAllowedImports(t *testing.T) {
	const g = "github.com/ethereum/go-ethereum/"
	for from, to := range map[string][]string{
		"internal/order/ordertest": {Module + "/internal/order", Module + "/internal/crypto/intl"},
		"cmd/jialing":              {Module + "/internal/node", Module + "/internal/crypto/intl", Module + "/client", Module + "/apps", Module + "/docs/learn", "os"},
		"internal/node":            {Module + "/internal/attest", Module + "/internal/order/solo", Module + "/internal/crypto/intl"},
		"internal/order/solo":      {Module + "/internal/order", Module + "/internal/chain"},
		"internal/serve/eth":       {Module + "/internal/serve", g + "rpc", g + "core/types"},
		"internal/store":           {Module + "/internal/store/mpt", Module + "/internal/chain", Module + "/internal/crypto"},
		"internal/execute":         {g + "core", g + "core/vm", g + "eth/tracers/js", Module + "/internal/chain"},
		"internal/chain":           {Module + "/internal/crypto/sm2"},
		"internal/crypto/gm":       {Module + "/internal/crypto/sm2"},
		"internal/crypto/intl":     {Module + "/internal/crypto", "crypto/sha256"},
		"test/e2e":                 {Module + "/internal/node", Module + "/client"},
		"bench":                    {Module + "/internal/chain", Module + "/apps"},
		"client":                   {g + "core/types", g + "ethclient"},
	} {
		require.Empty(t, CheckImports(Package{ImportPath: Module + "/" + from, Imports: to}), from)
	}
	require.Empty(t, CheckImports(Package{ImportPath: "fmt", Imports: []string{"io"}}), "others' packages are none of ours")
	require.Empty(t, CheckImports(Package{ImportPath: Module + "/internal/order/solo", TestImports: []string{Module + "/internal/order/ordertest"},
		XTestImports: []string{Module + "/internal/crypto/intl"}}))
}

func TestReached(t *testing.T) {
	packages := []Package{
		{ImportPath: Module + "/client", Imports: []string{"fmt", Module + "/apps"}},
		{ImportPath: Module + "/apps", Imports: []string{Module + "/internal/chain"}},
		{ImportPath: Module + "/internal/chain", Imports: []string{Module + "/internal/crypto"}},
		{ImportPath: Module + "/internal/crypto"},
		{ImportPath: Module + "/internal/pool"},
	}
	require.Equal(t, []string{"apps", "internal/chain", "internal/crypto"}, Reached(Module+"/client", packages))
}

func TestDocRule(t *testing.T) {
	ours := Module + "/internal/pool"
	require.Len(t, CheckDoc(Package{ImportPath: ours, Name: "pool"}), 1)
	require.Len(t, CheckDoc(Package{ImportPath: ours, Name: "pool", Doc: "Package poll admits"}), 1)
	require.Empty(t, CheckDoc(Package{ImportPath: ours, Name: "pool", Doc: "Package pool admits."}))
	require.Len(t, CheckDoc(Package{ImportPath: Module + "/cmd/x", Name: "main"}), 1)
	require.Empty(t, CheckDoc(Package{ImportPath: Module + "/cmd/x", Name: "main", Doc: "X does."}))
	require.Empty(t, CheckDoc(Package{ImportPath: "fmt", Name: "fmt"}))
}

func TestNameRule(t *testing.T) {
	for _, bad := range []string{"internal/common/x.go", "internal/chain/types.go", "internal/chain/util.go", "client/helper_test.go", "internal/utils/a.go", "base.go",
		"apps/node_modules/x/index.js"} {
		require.Len(t, CheckName(bad), 1, bad)
	}
	for _, good := range []string{"internal/chain/tx.go", "internal/chain/typeset.go", "docs/common.md", "internal/order/ordertest/ordertest.go"} {
		require.Empty(t, CheckName(good), good)
	}
}

func TestLengthRule(t *testing.T) {
	long := []byte("package x\n" + strings.Repeat("\n", MaxLines))
	require.Len(t, CheckLength("a.go", long), 1)
	require.Empty(t, CheckLength("a.go", long[:MaxLines]))
	require.Empty(t, CheckLength("a_test.go", long))
	require.Empty(t, CheckLength("a.json", long))
	require.Empty(t, CheckLength("a.go", append([]byte("// Code generated by abigen. DO NOT EDIT.\n"), long...)))
}

func TestContentRule(t *testing.T) {
	host := Registries[2]
	for _, bad := range []string{
		`"resolved": "https://` + host + `/x.tgz"`,
		"see /" + "home/someone/src",
		`dir = "/` + `root/go"`,
		"cd (/" + "work/main)",
		`C:\` + `Users\someone`,
	} {
		faults := CheckContent("f", []byte("first\n"+bad+"\n"), Registries)
		require.Len(t, faults, 1, bad)
		require.Contains(t, faults[0], "f:2 ")
	}
	for _, good := range []string{"/metrics", "https://example.org/home/index", "/rooted/x", "a/work/b", "~/jialing", "\x00" + host} {
		require.Empty(t, CheckContent("f", []byte(good), Registries), good)
	}
	require.Len(t, CheckContent("f", []byte("from mirror.example"), append(Registries, "mirror.example")), 1)
}
