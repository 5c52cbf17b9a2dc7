package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
)

const (
	// maxSignature bounds a method signature, and so how deep its tuples nest.
	maxSignature = 4096
	// maxElements bounds the product of all array sizes in a signature: decoding allocates an array whole.
	maxElements = 1 << 16
)

var arraySize = regexp.MustCompile(`\[([0-9]+)\]`)

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// parseSignature reads 'name(types)' or 'name(types)(returned types)' and returns an ABI of that one method with its name.
func parseSignature(sig string) (*abi.ABI, string, error) {
	bad := func(err error) (*abi.ABI, string, error) { return nil, "", usagef("method %q: %w", sig, err) }
	if len(sig) > maxSignature {
		return nil, "", usagef("method signature exceeds %d characters", maxSignature)
	}
	elements := 1
	for _, size := range arraySize.FindAllStringSubmatch(sig, -1) {
		if n, err := strconv.Atoi(size[1]); err == nil {
			elements *= max(1, min(n, maxElements+1))
		}
		if elements > maxElements {
			return bad(fmt.Errorf("its arrays hold more than %d elements", maxElements))
		}
	}
	name, rest, found := strings.Cut(strings.ReplaceAll(sig, " ", ""), "(")
	if !found || !identifier.MatchString(name) {
		return bad(errors.New("write it as 'name(type,…)' or 'name(type,…)(returned type,…)'"))
	}
	inputs, rest, err := parseTuple("(" + rest)
	if err != nil {
		return bad(err)
	}
	outputs := []abi.ArgumentMarshaling{}
	if rest != "" {
		if outputs, rest, err = parseTuple(rest); err != nil {
			return bad(err)
		}
	}
	if rest != "" {
		return bad(fmt.Errorf("what is %q?", rest))
	}
	def, err := json.Marshal([]any{map[string]any{"type": "function", "name": name, "inputs": inputs, "outputs": outputs}})
	if err != nil {
		return bad(err)
	}
	parsed, err := abi.JSON(bytes.NewReader(def))
	if err != nil {
		return bad(err)
	}
	return &parsed, name, nil
}

// parseTuple reads "(type,…)" at the front of s and returns what follows.
func parseTuple(s string) (types []abi.ArgumentMarshaling, rest string, err error) {
	s, found := strings.CutPrefix(s, "(")
	if !found {
		return nil, "", fmt.Errorf("%q is no list of types", s)
	}
	types = []abi.ArgumentMarshaling{}
	if rest, empty := strings.CutPrefix(s, ")"); empty {
		return types, rest, nil
	}
	for {
		var t abi.ArgumentMarshaling
		if t, s, err = parseType(s); err != nil {
			return nil, "", err
		}
		types = append(types, t)
		switch {
		case strings.HasPrefix(s, ","):
			s = s[1:]
		case strings.HasPrefix(s, ")"):
			return types, s[1:], nil
		default:
			return nil, "", errors.New("a parenthesis is not closed")
		}
	}
}

// parseType reads one type at the front of s: elementary or a tuple, with any number of array suffixes.
func parseType(s string) (t abi.ArgumentMarshaling, rest string, err error) {
	if strings.HasPrefix(s, "(") {
		if t.Components, rest, err = parseTuple(s); err != nil {
			return t, "", err
		}
		for i := range t.Components { // the fields of a tuple need names
			t.Components[i].Name = "field" + strconv.Itoa(i)
		}
		t.Type = "tuple"
	} else {
		end := strings.IndexAny(s, ",)[")
		if end < 0 {
			return t, "", errors.New("a parenthesis is not closed")
		}
		if t.Type, err = elementaryType(s[:end]); err != nil {
			return t, "", err
		}
		rest = s[end:]
	}
	for strings.HasPrefix(rest, "[") {
		size, after, closed := strings.Cut(rest[1:], "]")
		if n, err := strconv.ParseUint(size, 10, 16); !closed || (size != "" && (err != nil || n == 0)) {
			return t, "", fmt.Errorf("%q is no array", rest)
		}
		t.Type += "[" + size + "]"
		rest = after
	}
	return t, rest, nil
}

// elementaryType checks a type of Solidity's that stands for itself; uint and int are uint256 and int256.
func elementaryType(s string) (string, error) {
	switch s {
	case "address", "bool", "string", "bytes":
		return s, nil
	case "uint", "int":
		return s + "256", nil
	}
	for _, sized := range []struct {
		prefix    string
		step, max int
	}{{"uint", 8, 256}, {"int", 8, 256}, {"bytes", 1, 32}} {
		size, found := strings.CutPrefix(s, sized.prefix)
		if !found {
			continue
		}
		if n, err := strconv.Atoi(size); err == nil && n > 0 && n <= sized.max && n%sized.step == 0 && strconv.Itoa(n) == size {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is no type", s)
}
