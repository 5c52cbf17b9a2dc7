package serve

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hygiene are requests and their answers, the same over HTTP and WebSocket.
var hygiene = []struct{ name, request, answer string }{
	{"a number as id", `{"jsonrpc":"2.0","id":7,"method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":7,"result":3}`},
	{"a string as id", `{"jsonrpc":"2.0","id":"a\"é","method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":"a\"é","result":3}`},
	{"a fraction as id", `{"jsonrpc":"2.0","id":-1.50e3,"method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":-1.50e3,"result":3}`},
	{"null as id", `{"jsonrpc":"2.0","id":null,"method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":null,"result":3}`},
	{"an object as id", `{"jsonrpc":"2.0","id":{},"method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}`},
	{"a list as id", `{"jsonrpc":"2.0","id":[1],"method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}`},
	{"no version", `{"id":1,"method":"test_add","params":[1,2]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request"}}`},
	{"no method", `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request"}}`},
	{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method eth_nothing does not exist/is not available"}}`},
	{"no params", `{"jsonrpc":"2.0","id":1,"method":"test_echo"}`, `{"jsonrpc":"2.0","id":1,"result":null}`},
	{"null params", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":null}`, `{"jsonrpc":"2.0","id":1,"result":null}`},
	{"params by name", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":{}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"non-array args"}}`},
	{"a param too many", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["a","b"]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"too many arguments, want at most 1"}}`},
	{"a param missing", `{"jsonrpc":"2.0","id":1,"method":"test_add","params":[1]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"missing value for required argument 1"}}`},
	{"an error", `{"jsonrpc":"2.0","id":1,"method":"test_fail"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"it \u003cfails\u003e"}}`},
	{"an error with data", `{"jsonrpc":"2.0","id":1,"method":"test_revert"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted: no","data":"0x08c3"}}`},
	{"a panic", `{"jsonrpc":"2.0","id":1,"method":"test_crash"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"method handler crashed"}}`},
	{"no JSON", `{"jsonrpc":`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
	{"nothing", ` `, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"empty request"}}`},
	{"something after it", `{"jsonrpc":"2.0","id":1,"method":"test_echo"} x`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
	{"a number", `7`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}`},
	{"an empty batch", `[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"empty batch"}}`},
	{"a batch", `[{"jsonrpc":"2.0","id":1,"method":"test_add","params":[1,2]},{"jsonrpc":"2.0","method":"test_echo"},{"jsonrpc":"2.0","id":"b","method":"x_y"},3,null]`,
		`[{"jsonrpc":"2.0","id":1,"result":3},{"jsonrpc":"2.0","id":"b","error":{"code":-32601,"message":"the method x_y does not exist/is not available"}},` +
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}]`},
	{"a batch in a batch", `[[{"jsonrpc":"2.0","id":1,"method":"test_add","params":[1,2]}]]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}]`},
	{"a batch too long", `[` + strings.Repeat(`{"jsonrpc":"2.0","id":4,"method":"test_echo"},`, 1000) + `{}]`, `[{"jsonrpc":"2.0","id":4,"error":{"code":-32600,"message":"batch too large"}}]`},
	{"a batch of scalars too long", `[` + strings.Repeat(`1,`, 2_000_000) + `1]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}]`},
	{"a deep batch", strings.Repeat(`[`, 100_000), `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
	{"deep params", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
	{"a send", `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x01"]}`, `{"jsonrpc":"2.0","id":1,"result":"0x5fe7f977e71dba2ea1a68e21057beebb9be2ac30c6410aa38d4f3fbe41dcffd2"}`},
	{"sends", `[{"method":"eth_sendRawTransaction","jsonrpc":"2.0","params":["0x01"],"id":"x"}, {"jsonrpc":"2.0","id":2,"method":"eth_sendRawTransaction","params":["0xff"]}]`,
		`[{"jsonrpc":"2.0","id":"x","result":"0x5fe7f977e71dba2ea1a68e21057beebb9be2ac30c6410aa38d4f3fbe41dcffd2"},{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"nonce too low: \u003c5\u003e"}}]`},
	{"a crash in sends", `[{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0xee"]}]`, `[{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"method handler crashed"}}]`},
	{"bad hex", `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x1"]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: json: cannot unmarshal hex string of odd length into Go value of type hexutil.Bytes"}}`},
	{"modules", `{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}`, `{"jsonrpc":"2.0","id":1,"result":{"eth":"1.0","rpc":"1.0","test":"1.0"}}`},
}

func TestHygieneOverHTTP(t *testing.T) {
	s := start(t, nil)
	for _, c := range hygiene {
		t.Run(c.name, func(t *testing.T) {
			status, body, header := s.post(t, c.request)
			require.Equal(t, 200, status)
			require.Equal(t, c.answer, body)
			require.Equal(t, "application/json", header.Get("Content-Type"))
		})
	}
	status, body, _ := s.post(t, `{"jsonrpc":"2.0","method":"test_echo"}`)
	require.Equal(t, 200, status)
	require.Empty(t, body, "a notification has no answer")
}

func TestHygieneOverWebSocket(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	for _, h := range hygiene {
		t.Run(h.name, func(t *testing.T) {
			send(t, c, h.request)
			require.Equal(t, h.answer, receive(t, c), "and the connection goes on")
		})
	}
}
