package node

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// TestConfigurationIsDocumented holds docs/configuration.md to the keys that node.toml has.
func TestConfigurationIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	cfg := reflect.TypeFor[Config]()
	for i := range cfg.NumField() {
		section := cfg.Field(i)
		tag := section.Tag.Get("toml")
		if tag == "-" {
			continue
		}
		require.Contains(t, string(doc), "## ["+tag+"]")
		for j := range section.Type.NumField() {
			key, _, _ := strings.Cut(section.Type.Field(j).Tag.Get("toml"), ",")
			require.NotEmpty(t, key, "%s.%s has no name in node.toml", tag, section.Type.Field(j).Name)
			require.Contains(t, string(doc), "| `"+key+"` |", "[%s]", tag)
		}
	}
}

// TestMethodsAreDocumented holds docs/rpc.md to the methods that are served.
func TestMethodsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/rpc.md")
	require.NoError(t, err)
	cfg, g := newFolder(t)
	suite, err := SuiteByName(g.Suite)
	require.NoError(t, err)
	st, err := store.Open(cfg.storeConfig(g, nil), suite)
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close()) }()
	api, err := eth.New(cfg.RPC, eth.Sources{Genesis: g, Suite: suite, Ledger: st, States: st}, time.Now)
	require.NoError(t, err)
	for namespace, services := range api.Services() {
		for _, service := range services {
			typ := reflect.TypeOf(service)
			for i := range typ.NumMethod() {
				name := typ.Method(i).Name
				method := namespace + "_" + strings.ToLower(name[:1]) + name[1:]
				require.True(t, strings.Contains(string(doc), "`"+method+"`") || strings.Contains(string(doc), "`"+method+"("), method)
			}
		}
	}
}
