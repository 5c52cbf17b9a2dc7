package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func TestScanFrame(t *testing.T) {
	f := scanFrame([]byte(` [ {"id" : "a,]}\"", "method":"x_y","params":[{"method":"no"}]} , [1,[2]] ,"s\\" , {} ] `), 10)
	require.True(t, f.batch)
	require.False(t, f.tooMany)
	require.Len(t, f.items, 4)
	require.Equal(t, "x_y", string(f.items[0].method))
	require.Equal(t, `"a,]}\""`, string(f.items[0].id))
	require.Equal(t, `[1,[2]]`, string(f.items[1].raw))
	require.Equal(t, `"s\\"`, string(f.items[2].raw))

	f = scanFrame([]byte(`{"jsonrpc":"2.0","params":["\"method\":\"eth_subscribe\""],"method":"eth_call","id":1}`), 10)
	require.False(t, f.batch)
	require.Equal(t, "eth_call", string(f.items[0].method))
	require.False(t, f.hasPubSub())
}

func TestScanSends(t *testing.T) {
	const one = `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x0102"]}`
	f, ok := scanSends([]byte(" "+one+" "), 10)
	require.True(t, ok)
	require.False(t, f.batch)
	require.Equal(t, [][]byte{{1, 2}}, f.raws)
	f, ok = scanSends([]byte("["+one+" , "+one+"]"), 2)
	require.True(t, ok)
	require.True(t, f.batch)
	require.Len(t, f.ids, 2)
	for name, other := range map[string]string{
		"too many":         "[" + one + "," + one + "," + one + "]",
		"another method":   "[" + one + `,{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}]`,
		"empty batch":      "[]",
		"unknown key":      strings.Replace(one, "{", `{"x":1,`, 1),
		"key twice":        strings.Replace(one, "{", `{"id":1,`, 1),
		"no id":            strings.Replace(one, `"id":1,`, ``, 1),
		"leading zero":     strings.Replace(one, `"id":1`, `"id":01`, 1),
		"fraction":         strings.Replace(one, `"id":1`, `"id":1.5`, 1),
		"null id":          strings.Replace(one, `"id":1`, `"id":null`, 1),
		"escape":           strings.Replace(one, `"id":1`, `"id":"\n"`, 1),
		"no hex":           strings.Replace(one, `0x0102`, `0x01zz`, 1),
		"odd hex":          strings.Replace(one, `0x0102`, `0x012`, 1),
		"no prefix":        strings.Replace(one, `0x0102`, `010203`, 1),
		"empty":            strings.Replace(one, `0x0102`, `0x`, 1),
		"two params":       strings.Replace(one, `"0x0102"`, `"0x0102","latest"`, 1),
		"something behind": one + "x",
		"no end":           one[:len(one)-1],
		"version":          strings.Replace(one, "2.0", "1.0", 1),
	} {
		_, ok := scanSends([]byte(other), 2)
		require.False(t, ok, name)
	}
}

// FuzzScanFrame: on valid JSON the scanner finds what encoding/json finds; on anything it neither panics nor runs away.
func FuzzScanFrame(f *testing.F) {
	for _, h := range hygiene {
		if len(h.request) < 1000 {
			f.Add([]byte(h.request))
		}
	}
	f.Add([]byte(`[{"method":"\u0061"},{"a":{"b":"}"}},"\\\"",tru]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := scanFrame(b, 64)
		for _, it := range got.items {
			_ = it.isPubSub()
		}
		var list []json.RawMessage
		if err := json.Unmarshal(b, &list); err != nil || list == nil {
			return
		}
		require.True(t, got.batch)
		require.Equal(t, len(list) > 64, got.tooMany)
		for i, it := range got.items {
			require.Equal(t, string(list[i]), string(it.raw))
			var fields map[string]json.RawMessage
			if !utf8.Valid(list[i]) || json.Unmarshal(list[i], &fields) != nil || strings.Contains(string(list[i]), `\`) || strings.Count(string(list[i]), `"method"`) != 1 {
				continue
			}
			var method string
			if raw, ok := fields["method"]; ok && json.Unmarshal(raw, &method) == nil && string(raw) != "null" {
				require.Equal(t, method, string(it.method))
			}
		}
	})
}

// FuzzSendsAnswerAsRPC: whatever frame takes the short way gets the very bytes that go-ethereum's rpc would have answered.
func FuzzSendsAnswerAsRPC(f *testing.F) {
	for _, h := range hygiene {
		if len(h.request) < 1000 {
			f.Add([]byte(h.request))
		}
	}
	f.Add([]byte(`[{"jsonrpc":"2.0","id":"<&\u0041>","method":"eth_sendRawTransaction","params":["0xAbff"]}]`))
	s := newStub()
	srv, err := New(DefaultConfig(), Backend{Methods: testMethods, Access: testAccess(f), Suite: intl.Suite{}, Services: map[string][]any{"eth": {&ethService{s}}}, Sender: s, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		sends, ok := scanSends(b, srv.cfg.MaxBatchItems)
		if !ok {
			return
		}
		hashes, errs := srv.admit(context.Background(), sends.raws)
		for _, err := range errs {
			if e, ok := err.(*Error); ok && e.Code == CodeInternal {
				return // the stub's crash takes its whole group with it
			}
		}
		fast := appendSent(nil, &sends, hashes, errs)
		slow := srv.call(context.Background(), &http.Request{}, b)
		require.Equal(t, string(slow), string(fast))
	})
}

func TestErrorsAreWrittenAsRPCDoes(t *testing.T) {
	for _, err := range []error{fmt.Errorf("plain <&>"), &Error{Code: 3, Message: "execution reverted", Data: "0x01"}, &Error{Code: -1, Message: "x"}} {
		b := appendError(nil, []byte(`1`), err)
		require.True(t, json.Valid(b))
		require.True(t, isErrorResponse(b))
	}
	require.True(t, isErrorResponse(appendError(nil, nil, &Error{Code: 1, Message: "x", Data: func() {}})), "data that cannot be encoded is an error too")
	require.False(t, isErrorResponse(appendResult(nil, []byte(`"error"`), []byte(`{"error":1}`))))
}

// BenchmarkSends is what the short way adds to a batch of 100 transactions of 180 bytes, sockets and pool apart.
func BenchmarkSends(b *testing.B) {
	var frame strings.Builder
	for i := range 100 {
		fmt.Fprintf(&frame, `,{"jsonrpc":"2.0","id":%d,"method":"eth_sendRawTransaction","params":["0x%s"]}`, i, strings.Repeat("a7", 180))
	}
	body := []byte("[" + frame.String()[1:] + "]")
	hashes, errs := make([]common.Hash, 100), make([]error, 100)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		f, ok := scanSends(body, 1000)
		if !ok {
			b.Fatal("not recognised")
		}
		out = appendSent(out[:0], &f, hashes, errs)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/tx")
}

// FuzzCalledIsWhatRPCCalls holds the name by which a call is judged to the one that go-ethereum's rpc reads.
func FuzzCalledIsWhatRPCCalls(f *testing.F) {
	for _, seed := range []string{
		`{"method":"a","params":[]}`, `{"method":"a","Method":"b"}`, `{"m\u0065thod":"b"}`, `{"method":"\u0061"}`, `{"method":null,"method":"b"}`, `[{"method":"a"},{"METHOD":"b"},3]`,
		`{"method":"a","method":5}`, `{"x":{"method":"c"},"method":"a"}`, `{"id":"}","method":"a"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) {
			return // rpc runs nothing of it
		}
		type message struct {
			Version string          `json:"jsonrpc,omitempty"`
			ID      json.RawMessage `json:"id,omitempty"`
			Method  string          `json:"method,omitempty"`
			Params  json.RawMessage `json:"params,omitempty"`
		}
		got := scanFrame(b, 1000)
		if got.tooMany {
			return
		}
		var want []string
		if got.batch {
			var items []json.RawMessage
			require.NoError(t, json.Unmarshal(b, &items))
			for _, raw := range items {
				var m message
				_ = json.Unmarshal(raw, &m)
				want = append(want, m.Method)
			}
		} else {
			var m message
			_ = json.Unmarshal(b, &m)
			want = append(want, m.Method)
		}
		require.Len(t, got.items, len(want))
		for i := range want {
			require.Equal(t, want[i], got.items[i].called())
		}
	})
}
