package execute

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/parser"
)

// MaxTracerScript bounds a tracer's JavaScript in bytes: the parser recurses with its nesting, and a stack has an end.
const MaxTracerScript = 16 << 10

// tracerNames are the tracers that go by a name; everything else is a script.
var tracerNames = []string{
	"callTracer", "flatCallTracer", "prestateTracer", "4byteTracer", "muxTracer", "noopTracer", "erc7562Tracer", "keccak256PreimageTracer",
	"bigramTracer", "evmdisTracer", "opcountTracer", "trigramTracer", "unigramTracer", "prestateTracerLegacy", "callTracerLegacy", "4byteTracerLegacy", "noopTracerLegacy",
}

var (
	errScript   = errors.New("tracer is neither a known name nor an object literal of functions and constants")
	errNoScript = errors.New("tracer is no known name, and this node runs no tracer scripts (execute.tracer_scripts)")
)

// checkTracer decides whether a request's tracer may be made. muxTracer names further tracers in its configuration.
func (e *Executor) checkTracer(tracer string, cfg json.RawMessage) error {
	if !slices.Contains(tracerNames, tracer) {
		if !e.cfg.TracerScripts {
			return errNoScript
		}
		return checkScript(tracer)
	}
	if tracer != "muxTracer" || len(cfg) == 0 {
		return nil
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal(cfg, &inner); err != nil {
		return fmt.Errorf("muxTracer: %w", err)
	}
	for name, cfg := range inner {
		if name == tracer {
			return errors.New("muxTracer: does not hold another muxTracer")
		}
		if err := e.checkTracer(name, cfg); err != nil {
			return fmt.Errorf("muxTracer: %w", err)
		}
	}
	return nil
}

// checkScript refuses a script that could run anything while it is loaded: only the running of its functions can be interrupted. So it
// must be one object literal of functions and constants, and it must not have a setup(), which would run then.
func checkScript(script string) error {
	if len(script) > MaxTracerScript {
		return fmt.Errorf("tracer script exceeds %d bytes", MaxTracerScript)
	}
	if strings.Contains(script, "sourceMappingURL") {
		return fmt.Errorf("%w: it names a source map, which would be read from this node's disk", errScript)
	}
	program, err := parser.ParseFile(nil, "", "("+script+")", 0, parser.WithDisableSourceMaps)
	if err != nil {
		return fmt.Errorf("%w: %w", errScript, err)
	}
	if len(program.Body) != 1 {
		return errScript
	}
	statement, ok := program.Body[0].(*ast.ExpressionStatement)
	if !ok {
		return errScript
	}
	object, ok := statement.Expression.(*ast.ObjectLiteral)
	if !ok {
		return errScript
	}
	for _, p := range object.Value {
		keyed, ok := p.(*ast.PropertyKeyed)
		if !ok || keyed.Computed || keyed.Kind == ast.PropertyKindGet || keyed.Kind == ast.PropertyKindSet {
			return fmt.Errorf("%w: it computes a property", errScript)
		}
		if name, ok := keyed.Key.(*ast.StringLiteral); ok && name.Value == "setup" {
			return fmt.Errorf("tracer script: setup() is not supported, write its result into the object")
		}
		if !isConstant(keyed.Value) {
			return fmt.Errorf("%w: it computes a value", errScript)
		}
	}
	return nil
}

// isConstant reports whether evaluating the expression runs no code of the script.
func isConstant(e ast.Expression) bool {
	switch e := e.(type) {
	case *ast.FunctionLiteral, *ast.ArrowFunctionLiteral, *ast.NumberLiteral, *ast.StringLiteral, *ast.BooleanLiteral, *ast.NullLiteral:
		return true
	case *ast.ArrayLiteral:
		return !slices.ContainsFunc(e.Value, func(v ast.Expression) bool { return !isConstant(v) })
	case *ast.ObjectLiteral:
		return !slices.ContainsFunc(e.Value, func(p ast.Property) bool {
			keyed, ok := p.(*ast.PropertyKeyed)
			return !ok || keyed.Computed || keyed.Kind == ast.PropertyKindGet || keyed.Kind == ast.PropertyKindSet || !isConstant(keyed.Value)
		})
	case *ast.UnaryExpression:
		_, number := e.Operand.(*ast.NumberLiteral)
		return number
	}
	return false
}
