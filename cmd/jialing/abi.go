package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
)

// maxArtifact bounds an artifact file in bytes; Hardhat's with sources and metadata have a few megabytes.
const maxArtifact = 64 << 20

// loadContract reads an artifact with bytecode, or one of the contracts that come with the platform.
func loadContract(ref string) (*apps.Contract, error) {
	switch ref {
	case "token":
		return apps.Token, nil
	case "evidence":
		return apps.Evidence, nil
	}
	b, err := readArtifact(ref)
	if err != nil {
		return nil, err
	}
	c, err := apps.Parse(b)
	if err == nil {
		return c, nil
	}
	// Foundry nests the bytecode and leaves the name to the file.
	var nested struct {
		ABI      abi.ABI `json:"abi"`
		Bytecode struct {
			Object hexutil.Bytes `json:"object"`
		} `json:"bytecode"`
	}
	if json.Unmarshal(b, &nested) == nil && len(nested.Bytecode.Object) > 0 {
		return &apps.Contract{Name: ref, ABI: nested.ABI, Bytecode: nested.Bytecode.Object}, nil
	}
	return nil, fmt.Errorf("%s: %w", ref, err)
}

// loadABI reads an artifact's or a bare ABI, or that of a contract that comes with the platform; nil for no reference.
func loadABI(ref string) (*abi.ABI, error) {
	switch ref {
	case "":
		return nil, nil
	case "token":
		return &apps.Token.ABI, nil
	case "evidence":
		return &apps.Evidence.ABI, nil
	}
	b, err := readArtifact(ref)
	if err != nil {
		return nil, err
	}
	var artifact struct {
		ABI *abi.ABI `json:"abi"`
	}
	if json.Unmarshal(b, &artifact) == nil && artifact.ABI != nil {
		return artifact.ABI, nil
	}
	bare, err := abi.JSON(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s holds no ABI: %w", ref, err)
	}
	return &bare, nil
}

func readArtifact(path string) ([]byte, error) {
	b, err := readUpTo(path, maxArtifact)
	if err != nil {
		return nil, fmt.Errorf("read artifact: %w", err)
	}
	return b, nil
}

// callData encodes a call: raw hex, or a method with its arguments. The method is a signature like 'balanceOf(address)(uint256)', or a name
// of contract. It returns the ABI to decode with, which is contract or the signature's own.
func callData(contract *abi.ABI, raw string, args []string) ([]byte, *abi.ABI, error) {
	if raw != "" {
		if len(args) > 0 {
			return nil, nil, usagef("--data and a method exclude each other")
		}
		b, err := hexutil.Decode(raw)
		if err != nil {
			return nil, nil, usagef("--data: %w", err)
		}
		return b, contract, nil
	}
	if len(args) == 0 {
		return nil, contract, nil
	}
	name := args[0]
	if strings.Contains(name, "(") {
		parsed, method, err := parseSignature(name)
		if err != nil {
			return nil, nil, err
		}
		if contract != nil { // its errors and events stay known
			parsed.Errors, parsed.Events = contract.Errors, contract.Events
		}
		contract, name = parsed, method
	}
	if contract == nil {
		return nil, nil, usagef("method %q has no types: write it as 'name(type,…)(returned type,…)', or give --abi", name)
	}
	m, ok := contract.Methods[name]
	if !ok {
		return nil, nil, usagef("the ABI has no method %q", name)
	}
	values, err := parseArguments(m.Inputs, args[1:])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", m.Sig, err)
	}
	data, err := contract.Pack(name, values...)
	if err != nil {
		return nil, nil, usagef("%s: %w", m.Sig, err)
	}
	return data, contract, nil
}

// parseArguments turns words into the values of args. Arrays and tuples are JSON arrays.
func parseArguments(args abi.Arguments, words []string) ([]any, error) {
	if len(words) != len(args) {
		types := make([]string, len(args))
		for i, a := range args {
			types[i] = strings.TrimSpace(a.Type.String() + " " + a.Name)
		}
		return nil, usagef("takes %d arguments (%s), got %d", len(args), strings.Join(types, ", "), len(words))
	}
	out := make([]any, len(args))
	for i, word := range words {
		v, err := parseValue(args[i].Type, word)
		if err != nil {
			return nil, usagef("argument %d: %w", i+1, err)
		}
		out[i] = v.Interface()
	}
	return out, nil
}

func parseValue(t abi.Type, word string) (reflect.Value, error) {
	bad := func() (reflect.Value, error) { return reflect.Value{}, fmt.Errorf("%q is no %s", word, t) }
	switch t.T {
	case abi.StringTy:
		return reflect.ValueOf(word), nil
	case abi.BoolTy:
		if word != "true" && word != "false" {
			return bad()
		}
		return reflect.ValueOf(word == "true"), nil
	case abi.AddressTy:
		if !common.IsHexAddress(word) {
			return bad()
		}
		return reflect.ValueOf(common.HexToAddress(word)), nil
	case abi.IntTy, abi.UintTy:
		return parseInteger(t, word)
	case abi.BytesTy, abi.FixedBytesTy:
		b, err := hexutil.Decode(word)
		if err != nil || (t.T == abi.FixedBytesTy && len(b) != t.Size) {
			return bad()
		}
		if t.T == abi.BytesTy {
			return reflect.ValueOf(b), nil
		}
		v := reflect.New(t.GetType()).Elem()
		reflect.Copy(v, reflect.ValueOf(b))
		return v, nil
	case abi.SliceTy, abi.ArrayTy, abi.TupleTy:
		return parseList(t, word)
	}
	return reflect.Value{}, fmt.Errorf("type %s is not supported here", t)
}

func parseInteger(t abi.Type, word string) (reflect.Value, error) {
	n, ok := new(big.Int).SetString(word, 0)
	bits := t.Size
	if t.T == abi.IntTy {
		bits--
	}
	limit := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	low := new(big.Int)
	if t.T == abi.IntTy {
		low.Neg(limit)
	}
	if !ok || n.Cmp(limit) >= 0 || n.Cmp(low) < 0 {
		return reflect.Value{}, fmt.Errorf("%q is no %s", word, t)
	}
	kind := t.GetType()
	if kind == reflect.TypeFor[*big.Int]() {
		return reflect.ValueOf(n), nil
	}
	v := reflect.New(kind).Elem()
	if v.CanUint() {
		v.SetUint(n.Uint64())
	} else {
		v.SetInt(n.Int64())
	}
	return v, nil
}

// parseList reads a JSON array: of a list's elements, or of a tuple's fields in order.
func parseList(t abi.Type, word string) (reflect.Value, error) {
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(word), &items); err != nil {
		return reflect.Value{}, fmt.Errorf("%q is no %s: write it as a JSON array", word, t)
	}
	v := reflect.New(t.GetType()).Elem()
	want := len(items)
	switch t.T {
	case abi.SliceTy:
		v.Set(reflect.MakeSlice(t.GetType(), len(items), len(items)))
	case abi.ArrayTy:
		want = t.Size
	case abi.TupleTy:
		want = len(t.TupleElems)
	}
	if len(items) != want {
		return reflect.Value{}, fmt.Errorf("%q has %d elements, %s has %d", word, len(items), t, want)
	}
	for i, item := range items {
		element, at := t.Elem, reflect.Value{}
		if t.T == abi.TupleTy {
			element, at = t.TupleElems[i], v.Field(i)
		} else {
			at = v.Index(i)
		}
		text := string(item)
		var quoted string
		if json.Unmarshal(item, &quoted) == nil {
			text = quoted
		}
		value, err := parseValue(*element, text)
		if err != nil {
			return reflect.Value{}, err
		}
		at.Set(value)
	}
	return v, nil
}

// formatValue shows a decoded value as one would write it.
func formatValue(v any) string {
	switch v := v.(type) {
	case common.Address:
		return v.Hex()
	case []byte:
		return hexutil.Encode(v)
	case *big.Int:
		return v.String()
	case string:
		return v
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Array, reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, r.Len())
			reflect.Copy(reflect.ValueOf(b), r)
			return hexutil.Encode(b)
		}
		parts := make([]string, r.Len())
		for i := range parts {
			parts[i] = formatValue(r.Index(i).Interface())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Struct:
		parts := make([]string, r.NumField())
		for i := range parts {
			parts[i] = formatValue(r.Field(i).Interface())
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	return fmt.Sprint(v)
}

// namedValues is what --json shows of decoded values: numbers as strings, since they exceed what JavaScript holds.
func namedValues(args abi.Arguments, values []any) []map[string]string {
	out := make([]map[string]string, len(values))
	for i, v := range values {
		out[i] = map[string]string{"name": args[i].Name, "type": args[i].Type.String(), "value": formatValue(v)}
	}
	return out
}

// eventValues reads all values of a log by their names.
func eventValues(event *abi.Event, l *types.Log) (map[string]any, error) {
	values := make(map[string]any)
	var indexed abi.Arguments
	for _, a := range event.Inputs {
		if a.Indexed {
			indexed = append(indexed, a)
		}
	}
	return values, errors.Join(event.Inputs.NonIndexed().UnpackIntoMap(values, l.Data), abi.ParseTopicsIntoMap(values, indexed, l.Topics[1:]))
}

// describeLog names a log's event and values where contract knows it.
func describeLog(l *types.Log, contract *abi.ABI) logView {
	v := logView{Address: l.Address, Topics: l.Topics, Data: l.Data}
	if contract == nil || len(l.Topics) == 0 {
		return v
	}
	event, err := contract.EventByID(l.Topics[0])
	if err != nil {
		return v
	}
	values, err := eventValues(event, l)
	if err != nil {
		return v // another contract's event of the same signature: shown raw
	}
	v.Event, v.Values = event.RawName, make(map[string]any, len(values))
	for name, value := range values {
		v.Values[name] = formatValue(value)
	}
	return v
}

func (l *logView) text(w io.Writer) {
	if l.Event == "" {
		fmt.Fprintf(w, "log\t%s\n", l.Address)
		for _, topic := range l.Topics {
			fmt.Fprintf(w, "\ttopic %s\n", topic)
		}
		fmt.Fprintf(w, "\tdata %s\n", l.Data)
		return
	}
	fmt.Fprintf(w, "event\t%s of %s\n", l.Event, l.Address)
	for _, name := range slices.Sorted(maps.Keys(l.Values)) {
		fmt.Fprintf(w, "\t%s: %v\n", name, l.Values[name])
	}
}

// nameErrors lets a revert within err carry the contract's name for it.
func nameErrors(err error, contract *abi.ABI) error {
	var revert *client.RevertError
	if contract != nil && errors.As(err, &revert) {
		revert.Decode(contract)
	}
	return err
}

func parseUint64(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", s)
	}
	return n, nil
}
