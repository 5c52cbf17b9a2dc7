package chain

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// decodeGenesis is stricter than encoding/json: a field in other case is unknown, a field or an account that is there twice is an error, and
// every error names its field by its path, or its line where it is no JSON.
func decodeGenesis(b []byte) (*Genesis, error) {
	if err := checkSyntax(b); err != nil {
		return nil, err
	}
	check := jsonCheck{fields: make(map[reflect.Type]map[string]reflect.Type)}
	if err := check.value(bytes.TrimSpace(b), reflect.TypeFor[Genesis](), ""); err != nil {
		return nil, err
	}
	g := new(Genesis)
	if err := json.Unmarshal(b, g); err != nil {
		return nil, err // unreachable: every value has been decoded once
	}
	return g, nil
}

// checkSyntax names the line of what is no JSON.
func checkSyntax(b []byte) error {
	if json.Valid(b) {
		return nil
	}
	var value json.RawMessage
	err := json.Unmarshal(b, &value)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w", 1+bytes.Count(b[:min(int(syntax.Offset), len(b))], []byte("\n")), err)
	}
	return err
}

// jsonCheck checks values of valid syntax against Go types.
type jsonCheck struct {
	// fields are the JSON names of struct types, learned on the way.
	fields map[reflect.Type]map[string]reflect.Type
}

// value checks that b, which is path of the genesis, fits t.
func (c *jsonCheck) value(b []byte, t reflect.Type, path string) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if string(b) == "null" {
		return nil // the zero value, which Validate judges
	}
	pointer := reflect.PointerTo(t)
	if pointer.Implements(jsonUnmarshaler) || pointer.Implements(textUnmarshaler) {
		return checkLeaf(b, t, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		fields := c.fieldsOf(t)
		return eachMember(b, path, func(key string, b []byte, path string) error {
			field, ok := fields[key]
			if !ok {
				return fmt.Errorf("%s: unknown field", path)
			}
			return c.value(b, field, path)
		})
	case reflect.Map:
		return eachMember(b, path, func(key string, b []byte, path string) error {
			if err := reflect.New(t.Key()).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(key)); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			return c.value(b, t.Elem(), path)
		})
	case reflect.Slice:
		return eachElement(b, path, func(b []byte, path string) error { return c.value(b, t.Elem(), path) })
	}
	return checkLeaf(b, t, path)
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (c *jsonCheck) fieldsOf(t reflect.Type) map[string]reflect.Type {
	if fields, ok := c.fields[t]; ok {
		return fields
	}
	fields := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = t.Field(i).Type
	}
	c.fields[t] = fields
	return fields
}

func checkLeaf(b []byte, t reflect.Type, path string) error {
	err := json.Unmarshal(b, reflect.New(t).Interface())
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("%s: is a %s, which does not fit %s", path, kind.Value, kind.Type)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// eachMember calls f for every member of an object. Keys count as the same whatever their case: hex has two.
func eachMember(b []byte, path string, f func(key string, b []byte, path string) error) error {
	if b[0] != '{' {
		return fmt.Errorf("%s: is no object", path)
	}
	seen := make(map[string]struct{})
	for b = nextValue(b[1:]); b[0] != '}'; {
		quoted, rest := splitValue(b)
		key := string(quoted[1 : len(quoted)-1])
		if strings.Contains(key, `\`) {
			if err := json.Unmarshal(quoted, &key); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		at := key
		if path != "" {
			at = path + "." + key
		}
		lower := strings.ToLower(key)
		if _, twice := seen[lower]; twice {
			return fmt.Errorf("%s: is there twice", at)
		}
		seen[lower] = struct{}{}
		value, rest := splitValue(nextValue(rest))
		if err := f(key, value, at); err != nil {
			return err
		}
		b = nextValue(rest)
	}
	return nil
}

func eachElement(b []byte, path string, f func(b []byte, path string) error) error {
	if b[0] != '[' {
		return fmt.Errorf("%s: is no array", path)
	}
	b = nextValue(b[1:])
	for i := 0; b[0] != ']'; i++ {
		value, rest := splitValue(b)
		if err := f(value, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
		b = nextValue(rest)
	}
	return nil
}

// nextValue skips what stands between two values.
func nextValue(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n,:") }

// splitValue cuts the value at the beginning of b, which is valid JSON, off the rest.
func splitValue(b []byte) (value, rest []byte) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			// A number or a word goes on until something else stands there.
			if depth > 0 || i+1 < len(b) && !bytes.ContainsRune([]byte(" \t\r\n,:]}"), rune(b[i+1])) {
				continue
			}
		}
		if depth == 0 {
			return b[:i+1], b[i+1:]
		}
	}
	return b, nil
}
