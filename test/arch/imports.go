package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Module is the path that all packages here begin with.
const Module = "github.com/jialing-chain/jialing"

const geth = "github.com/ethereum/go-ethereum/"

// Package is what "go list -json" says of one package, as far as the rules ask.
type Package struct {
	ImportPath, Name, Doc string
	GoFiles, CgoFiles     []string
	Imports               []string
	TestImports           []string
	XTestImports          []string
	Module                *struct{ Path string }
}

// rel is the path within the module; empty for packages of others.
func rel(path string) string {
	if path == Module {
		return "."
	}
	short, ok := strings.CutPrefix(path, Module+"/")
	if !ok {
		return ""
	}
	return short
}

var stages = []string{"pool", "order", "execute", "attest", "store", "serve", "p2p", "gossip", "catchup", "govern", "keys", "pki"}

// parts are children that belong to their parent rather than plug into it: the parent imports them.
var parts = map[string]string{
	"internal/store/mpt":   "the state commitment is one of the store's own data structures",
	"internal/store/vault": "the encryption of the store's files",
	"internal/p2p/sealed":  "the peers' channel on a suite's own primitives",
}

// primitives are parts of formats that do not depend on the chain's suite: everybody may import them.
var primitives = map[string]string{
	"internal/crypto/sm2": "a transaction may be signed with SM2 on any chain, as with secp256k1",
}

// layer is a package's height: cmd > node > stages > chain > crypto. Tests and tools outside (test, bench) stand above all.
func layer(short string) int {
	top := strings.Split(short, "/")
	switch {
	case top[0] == "cmd":
		return 5
	case top[0] != "internal" || len(top) < 2:
		return 6
	case top[1] == "node":
		return 4
	case slices.Contains(stages, top[1]):
		return 3
	case top[1] == "chain":
		return 2
	case top[1] == "crypto":
		return 1
	}
	return 0
}

// family is the stage or layer that a package belongs to: internal/order/solo is of internal/order.
func family(short string) string {
	top := strings.SplitN(short, "/", 3)
	return strings.Join(top[:min(2, len(top))], "/")
}

// isTestSupport tells packages that only tests may import: order/ordertest, named after its parent.
func isTestSupport(short string) bool {
	parent := path.Dir(short)
	return path.Base(short) == path.Base(parent)+"test"
}

// CheckImports applies every rule on imports.
func CheckImports(p Package) (faults []string) {
	from := rel(p.ImportPath)
	if from == "" {
		return nil
	}
	fault := func(imported, why string) {
		faults = append(faults, fmt.Sprintf("%s imports %s: %s", from, imported, why))
	}
	if layer(from) == 0 {
		faults = append(faults, fmt.Sprintf("%s is in no layer: name it in the design and in test/arch", from))
	}
	for _, path := range p.Imports {
		if why := forbiddenGeth(from, path); why != "" {
			fault(path, why)
		}
		if to := rel(path); to != "" {
			if why := forbiddenImport(from, to); why != "" {
				fault(to, why)
			}
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if to := rel(path); to != "" {
			if why := forbiddenInTests(from, to); why != "" {
				fault(to+" in a test", why)
			}
		}
	}
	return faults
}

// forbiddenGeth: the EVM and its state have one user.
func forbiddenGeth(from, path string) string {
	short, ok := strings.CutPrefix(path, geth)
	if !ok || family(from) == "internal/execute" {
		return ""
	}
	for _, tree := range []string{"core/vm", "core/state", "eth/tracers", "eth/gasestimator"} {
		if short == tree || strings.HasPrefix(short, tree+"/") {
			return "only internal/execute runs geth's EVM"
		}
	}
	if short == "core" {
		return "only internal/execute runs geth's EVM"
	}
	return ""
}

// forbiddenImport judges an import of one package of the module by another, in code that ships.
func forbiddenImport(from, to string) string {
	switch {
	case isTestSupport(to) && !isTestSupport(from) && layer(from) < 6:
		return "it is for tests only"
	case (family(from) == "client" || strings.HasPrefix(from, "client/")) && strings.HasPrefix(to, "internal/"):
		return "the public SDK imports nothing internal"
	case strings.HasPrefix(from, "apps") && strings.HasPrefix(to, "internal/"):
		return "apps reach the chain through its RPC only"
	case strings.HasPrefix(from, "bench") && strings.HasPrefix(to, "internal/") && to != "internal/chain":
		return "the benchmark reaches the node as its users do; it may import internal/chain for the yardstick"
	case layer(to) == 6 && !isClientSide(to):
		return "nothing imports tests and tools"
	case layer(from) <= 4 && isClientSide(to):
		return "the node knows nothing of clients and apps"
	}
	if layer(from) > 5 {
		return ""
	}
	return forbiddenLayer(from, to)
}

// isClientSide tells packages of whoever talks to a node: the SDK, the apps, and the labs' text.
func isClientSide(short string) bool {
	top, _, _ := strings.Cut(short, "/")
	return top == "client" || top == "apps" || short == "docs/learn"
}

// forbiddenLayer: only downwards, no siblings, no parent on its plug-ins.
func forbiddenLayer(from, to string) string {
	if isClientSide(to) || primitives[to] != "" && layer(from) >= layer(to) {
		return ""
	}
	if family(from) != family(to) {
		switch {
		case layer(from) == layer(to):
			return "siblings do not import each other: declare the interface that you need, internal/node adapts"
		case layer(from) < layer(to):
			return "imports go downwards only: cmd > node > stages > chain > crypto"
		case layer(from) < 4 && family(to) == "internal/crypto" && to != "internal/crypto" && !isTestSupport(from):
			return "the suite is chosen by the genesis and handed in, by internal/node"
		}
		return ""
	}
	switch {
	case strings.HasPrefix(from, to+"/"):
		return "" // a child on its parent
	case strings.HasPrefix(to, from+"/") && parts[to] == "":
		return "a parent does not know its children"
	case !strings.HasPrefix(to, from+"/"):
		return "children of one parent do not import each other"
	}
	return ""
}

// forbiddenInTests: tests may look down and use test support, geth and themselves, but a stage's tests need no sibling either.
func forbiddenInTests(from, to string) string {
	if layer(from) > 3 || isTestSupport(to) || family(from) == family(to) {
		return ""
	}
	if layer(from) == layer(to) {
		return "siblings do not import each other, in tests neither: fake what you need or test it in internal/node"
	}
	return ""
}

// Reached is every package of the module that start reaches, through any number of imports.
func Reached(start string, packages []Package) []string {
	imports := make(map[string][]string, len(packages))
	for _, p := range packages {
		imports[p.ImportPath] = p.Imports
	}
	seen := map[string]bool{}
	todo := []string{start}
	for len(todo) > 0 {
		path := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range imports[path] {
			if rel(next) != "" && !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	var out []string
	for path := range seen {
		out = append(out, rel(path))
	}
	slices.Sort(out)
	return out
}
