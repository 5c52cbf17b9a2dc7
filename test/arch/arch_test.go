package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// TestRepository applies every rule to every package and every tracked file.
func TestRepository(t *testing.T) {
	t.Run("imports", func(t *testing.T) {
		packages := list(t)
		require.Greater(t, len(packages), 100, "go list gave everything")
		for _, p := range packages {
			report(t, CheckImports(p))
			report(t, CheckDoc(p))
		}
		for _, apart := range []string{"client", "apps"} {
			for _, reached := range Reached(Module+"/"+apart, packages) {
				if strings.HasPrefix(reached, "internal/") {
					t.Errorf("%s reaches %s", apart, reached)
				}
			}
		}
	})
	t.Run("files", func(t *testing.T) {
		registries := append(machineRegistries(), Registries...)
		for _, file := range tracked(t) {
			report(t, CheckName(file))
			content, err := os.ReadFile(filepath.Join(root, file))
			if errors.Is(err, os.ErrNotExist) {
				continue // deleted, not yet committed
			}
			require.NoError(t, err)
			report(t, CheckLength(file, content))
			report(t, CheckContent(file, content, registries))
		}
	})
}

func report(t *testing.T, faults []string) {
	for _, f := range faults {
		t.Error(f)
	}
}

// list is "go list -deps" of the whole module.
func list(t *testing.T) (out []Package) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Name,Doc,GoFiles,CgoFiles,Imports,TestImports,XTestImports,Module", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	dec := json.NewDecoder(bytes.NewReader(b))
	for {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// tracked lists the files that git holds.
func tracked(t *testing.T) []string {
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("no git folder here: which files are tracked is unknown, so names and contents are not checked")
	}
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	b, err := cmd.Output()
	require.NoError(t, err)
	files := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	require.Greater(t, len(files), 10)
	return files
}

// machineRegistries are the hosts that this machine is set up to use.
func machineRegistries() (hosts []string) {
	var settings []string
	for _, name := range []string{"GOPROXY", "GOSUMDB", "npm_config_registry", "NPM_CONFIG_REGISTRY", "PIP_INDEX_URL"} {
		settings = append(settings, os.Getenv(name))
	}
	if b, err := exec.Command("go", "env", "GOPROXY").Output(); err == nil {
		settings = append(settings, strings.TrimSpace(string(b)))
	}
	for _, s := range settings {
		for _, one := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '|' || r == ' ' }) {
			if u, err := url.Parse(one); err == nil && len(u.Hostname()) > 3 && !slices.Contains([]string{"localhost", "127.0.0.1"}, u.Hostname()) {
				hosts = append(hosts, u.Hostname())
			}
		}
	}
	return hosts
}
