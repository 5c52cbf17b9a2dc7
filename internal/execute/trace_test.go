package execute_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

// scripted runs scripts that requests bring.
var scripted = func() execute.Config {
	cfg := execute.DefaultConfig()
	cfg.TracerScripts = true
	return cfg
}()

func TestTracerScripts(t *testing.T) {
	off := newWorld(t, nil, execute.DefaultConfig())
	on := newWorld(t, nil, scripted)
	good := `{n: 0, list: [], step: function() { this.n++ }, fault() {}, result: function() { return this.n }}`
	trace := func(w *world, opts chain.TraceOptions) (json.RawMessage, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return w.exec.TraceCall(ctx, w.with([]byte{0x5f, 0x00}), &chain.Call{To: &contract}, opts, 1_000_000)
	}
	_, err := trace(off, chain.TraceOptions{Tracer: good})
	require.ErrorContains(t, err, "runs no tracer scripts")
	_, err = trace(off, chain.TraceOptions{Tracer: "muxTracer", TracerConfig: json.RawMessage(`{"{result:function(){}}":{}}`)})
	require.ErrorContains(t, err, "runs no tracer scripts")
	res, err := trace(off, chain.TraceOptions{Tracer: "opcountTracer"})
	require.NoError(t, err)
	require.JSONEq(t, "2", string(res))
	res, err = trace(on, chain.TraceOptions{Tracer: good})
	require.NoError(t, err)
	require.JSONEq(t, "2", string(res))

	for _, bad := range []string{
		`(function(){for(;;){}})()`, `{a: (function(){for(;;){}})(), fault(){}, result(){}}`, `{get step(){for(;;){}}, fault(){}, result(){}}`,
		`{fault(){}, result(){}}); for(;;){}; ({`, `{[(function(){for(;;){}})()]: 1, fault(){}, result(){}}`, `{...x, fault(){}, result(){}}`,
		`{setup(){for(;;){}}, fault(){}, result(){}}`, `{"setup": function(){for(;;){}}, fault(){}, result(){}}`,
		"{fault(){}, result(){}}\n//# sourceMappingURL=/etc/passwd", `{`, `1`, `class{}`, `{a: {get b(){for(;;){}}}, fault(){}, result(){}}`,
	} {
		_, err := trace(on, chain.TraceOptions{Tracer: bad})
		require.Error(t, err, bad)
		require.NotErrorIs(t, err, chain.ErrCallTimeout, bad)
	}
	_, err = trace(on, chain.TraceOptions{Tracer: string(make([]byte, execute.MaxTracerScript+1))})
	require.ErrorContains(t, err, "exceeds")

	// Functions that loop are stopped by the deadline, also when the EVM is long done.
	for _, slow := range []string{`{step(){for(;;){}}, fault(){}, result(){}}`, `{fault(){}, result(){for(;;){}}}`} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		_, err := on.exec.TraceCall(ctx, on.with([]byte{0x5f, 0x00}), &chain.Call{To: &contract}, chain.TraceOptions{Tracer: slow}, 1_000_000)
		require.ErrorIs(t, err, chain.ErrCallTimeout)
		cancel()
	}
}

func TestTraceRefuses(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	block := w.block(w.sign(0, transfer(0, w.addrs[1], 1))).Block
	replay := &chain.Replay{Block: block, State: w.ledger, BlockHash: w.blockHash}
	for _, i := range []int{-1, 1} {
		_, err := w.exec.TraceBlock(context.Background(), replay, &i, chain.TraceOptions{})
		require.ErrorContains(t, err, "has no transaction")
	}
	// On the wrong state a replay does not pass for the truth.
	_, err := w.exec.TraceBlock(context.Background(), replay, nil, chain.TraceOptions{})
	require.ErrorContains(t, err, "nonce too low")
	for logger, want := range map[string]string{`{"overrides":{}}`: "cannot be overridden", `[`: "struct logger"} {
		_, err := w.exec.TraceCall(context.Background(), w.callContext(), &chain.Call{To: &contract}, chain.TraceOptions{Logger: json.RawMessage(logger)}, 0)
		require.ErrorContains(t, err, want)
	}
	// geth's limit cuts where the caller asks for it.
	res, err := w.exec.TraceCall(context.Background(), w.with(loop), &chain.Call{To: &contract}, chain.TraceOptions{Logger: json.RawMessage(`{"limit":1000}`)}, 1_000_000)
	require.NoError(t, err)
	require.Less(t, len(res), 3000)
}

func TestTraceSizeIsBounded(t *testing.T) {
	w := newWorld(t, nil, execute.Config{CodeCacheBytes: 1 << 20, TraceBytes: 1 << 20})
	_, err := w.exec.TraceCall(context.Background(), w.with(loop), &chain.Call{To: &contract}, chain.TraceOptions{}, 50_000_000)
	require.ErrorContains(t, err, "the trace is larger")
}
