package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// stub is what the tests serve.
type stub struct {
	// started and release let a test hold calls of test_wait.
	started chan struct{}
	release chan struct{}
	// groups are the sizes of what SendRaw was given.
	mu     sync.Mutex
	groups []int
	sent   []string
	hold   chan struct{}
	events chan []json.RawMessage
}

func newStub() *stub {
	return &stub{started: make(chan struct{}, 1000), release: make(chan struct{}), events: make(chan []json.RawMessage, 10)}
}

type testService struct{ s *stub }

func (t *testService) Echo(v *string) *string { return v }

func (t *testService) Add(a, b int) int { return a + b }

func (t *testService) Fail() error { return errors.New("it <fails>") }

func (t *testService) Revert() error {
	return &Error{Code: 3, Message: "execution reverted: no", Data: "0x08c3"}
}

func (t *testService) Crash() string { panic("crash") }

func (t *testService) Big(n int) string { return strings.Repeat("x", n) }

func (t *testService) Wait(ctx context.Context) (string, error) {
	t.s.started <- struct{}{}
	select {
	case <-t.s.release:
		return "done", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

type ethService struct{ s *stub }

func (e *ethService) SendRawTransaction(ctx context.Context, raw hexutil.Bytes) (common.Hash, error) {
	hashes, errs := e.s.SendRaw(ctx, [][]byte{raw})
	return hashes[0], errs[0]
}

// SendRaw refuses transactions that begin with 0xff, breaks at 0xee and hashes all others.
func (s *stub) SendRaw(ctx context.Context, raws [][]byte) ([]common.Hash, []error) {
	if s.hold != nil {
		s.started <- struct{}{}
		<-s.hold
	}
	hashes, errs := make([]common.Hash, len(raws)), make([]error, len(raws))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = append(s.groups, len(raws))
	for i, raw := range raws {
		s.sent = append(s.sent, string(raw))
		switch {
		case raw[0] == 0xff:
			errs[i] = &Error{Code: -32000, Message: "nonce too low: <5>", Data: nil}
		case raw[0] == 0xee:
			panic("sender")
		default:
			hashes[i] = gethcrypto.Keccak256Hash(raw)
		}
	}
	return hashes, errs
}

var errBehind = errors.New("7 blocks behind")

func (s *stub) Subscribe(name string, params []json.RawMessage) (Feed, error) {
	if name != "newHeads" {
		return nil, &Error{Code: CodeMethodNotFound, Message: fmt.Sprintf("no %q subscription in eth namespace", name)}
	}
	return s, nil
}

// Next gives what the test puts into events; nil ends the feed.
func (s *stub) Next(ctx context.Context) ([]json.RawMessage, error) {
	select {
	case e := <-s.events:
		if e == nil {
			return nil, errBehind
		}
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type served struct {
	*Server
	*stub
	registry *prometheus.Registry
	stop     context.CancelFunc
	done     chan error
	notReady error
}

func (s *served) url() string { return "http://" + s.Addr() }

func start(t testing.TB, change func(*Config)) *served {
	cfg := DefaultConfig()
	cfg.Addr = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	out := &served{stub: newStub(), registry: prometheus.NewRegistry(), done: make(chan error, 1)}
	s, err := New(cfg, Backend{
		Services: map[string][]any{"test": {&testService{out.stub}}, "eth": {&ethService{out.stub}}},
		Sender:   out.stub, Feeds: out.stub, Registry: out.registry, Log: slog.New(slog.DiscardHandler), Ready: func() error { return out.notReady },
	})
	require.NoError(t, err)
	require.NoError(t, s.Listen())
	out.Server = s
	ctx, stop := context.WithCancel(context.Background())
	out.stop = stop
	go func() { out.done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-out.done)
		out.done <- nil
	})
	return out
}

func (s *served) post(t testing.TB, body string, headers ...string) (int, string, http.Header) {
	return s.request(t, http.MethodPost, "/", strings.NewReader(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (s *served) request(t testing.TB, method, path string, body io.Reader, headers ...string) (int, string, http.Header) {
	r, err := http.NewRequest(method, s.url()+path, body)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b), resp.Header
}

func (s *served) dial(t testing.TB, headers ...string) *websocket.Conn {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	c, _, err := websocket.DefaultDialer.Dial("ws://"+s.WebSocketAddr(), h)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t testing.TB, c *websocket.Conn, m string) {
	require.NoError(t, c.WriteMessage(websocket.TextMessage, []byte(m)))
}

func receive(t testing.TB, c *websocket.Conn) string {
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, m, err := c.ReadMessage()
	require.NoError(t, err)
	return string(m)
}

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

func TestWhatIsNoRequest(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxRequestBytes = 2000; c.Hosts = []string{"node.example"} })
	long := `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["` + strings.Repeat("x", 2000) + `"]}`
	for _, c := range []struct {
		name, method, body string
		headers            []string
		status             int
		says               string
	}{
		{"unknown host", "POST", "{}", []string{"Content-Type", "application/json", "Host", "evil.example"}, 403, "evil.example is not in hosts"},
		{"unknown host with a port", "POST", "{}", []string{"Content-Type", "application/json", "Host", "evil.example:8545"}, 403, "hosts"},
		{"unknown host asks for metrics", "GET", "", []string{"Host", "evil.example"}, 403, "hosts"},
		{"known host", "POST", "[]", []string{"Content-Type", "application/json", "Host", "Node.Example:1"}, 200, "empty batch"},
		{"IPv6 host", "POST", "[]", []string{"Content-Type", "application/json", "Host", "[::1]:8545"}, 200, "empty batch"},
		{"text", "POST", "{}", []string{"Content-Type", "text/plain"}, 415, "only application/json is supported"},
		{"no type", "POST", "{}", nil, 415, "only application/json is supported"},
		{"charset", "POST", "[]", []string{"Content-Type", "application/json; charset=utf-8"}, 200, "empty batch"},
		{"compressed", "POST", "{}", []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, 415, "must not be compressed"},
		{"PUT", "PUT", "{}", []string{"Content-Type", "application/json"}, 405, "not allowed"},
		{"DELETE", "DELETE", "", nil, 405, "not allowed"},
		{"GET", "GET", "", nil, 200, ""},
		{"too large", "POST", long, []string{"Content-Type", "application/json"}, 413, "max_request_bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, _ := s.request(t, c.method, "/", strings.NewReader(c.body), c.headers...)
			require.Equal(t, c.status, status, body)
			require.Contains(t, body, c.says)
		})
	}
	t.Run("too large without a length", func(t *testing.T) {
		status, body, _ := s.request(t, "POST", "/", io.MultiReader(strings.NewReader(long)), "Content-Type", "application/json")
		require.Equal(t, 413, status, body)
	})
	t.Run("too large over WebSocket", func(t *testing.T) {
		c := s.dial(t)
		send(t, c, long)
		_, _, err := c.ReadMessage()
		require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
	})
}

func TestMemoryBudget(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxRequestBytes = 4 << 20; c.MaxBufferedBytes = 4 << 20 })
	long := `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["` + strings.Repeat("x", 2_500_000) + `"]}`
	status, body, _ := s.post(t, long)
	require.Equal(t, 200, status)
	require.Len(t, body, len(`{"jsonrpc":"2.0","id":1,"result":""}`)+2_500_000)
	whole := func() bool { return s.buffered.free.Load() == 4<<20 }
	require.Eventually(t, whole, 10*time.Second, time.Millisecond, "it is given back once the answer is written")

	require.True(t, s.buffered.take(4<<20))
	status, body, _ = s.post(t, long)
	require.Equal(t, 503, status)
	require.Contains(t, body, "busy")
	status, _, _ = s.post(t, `[]`)
	require.Equal(t, 200, status, "small requests need no budget")
	c := s.dial(t)
	send(t, c, long)
	_, _, err := c.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseTryAgainLater), "%v", err)
	s.buffered.put(4 << 20)
	require.Eventually(t, whole, 10*time.Second, time.Millisecond)
}

func TestCORS(t *testing.T) {
	s := start(t, func(c *Config) { c.Origins = []string{"https://app.example"} })
	preflight := func(origin string) (int, http.Header) {
		status, _, h := s.request(t, "OPTIONS", "/", nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type",
			"Access-Control-Request-Private-Network", "true")
		return status, h
	}
	status, h := preflight("https://app.example")
	require.Equal(t, 204, status)
	require.Equal(t, "https://app.example", h.Get("Access-Control-Allow-Origin"))
	require.Contains(t, h.Get("Access-Control-Allow-Methods"), "POST")
	require.Equal(t, "content-type", h.Get("Access-Control-Allow-Headers"))
	require.Equal(t, "true", h.Get("Access-Control-Allow-Private-Network"))
	require.Equal(t, "Origin", h.Get("Vary"))
	status, h = preflight("https://evil.example")
	require.Equal(t, 403, status)
	require.Empty(t, h.Get("Access-Control-Allow-Origin"))

	_, _, h = s.post(t, `[]`, "Origin", "https://app.example")
	require.Equal(t, "https://app.example", h.Get("Access-Control-Allow-Origin"))
	_, _, h = s.post(t, `[]`, "Origin", "https://evil.example")
	require.Empty(t, h.Get("Access-Control-Allow-Origin"))

	for origin, allowed := range map[string]bool{"https://app.example": true, "https://APP.example": true, "https://evil.example": false, "http://" + s.Addr(): true, "null": false} {
		_, resp, err := websocket.DefaultDialer.Dial("ws://"+s.Addr(), http.Header{"Origin": {origin}})
		if allowed {
			require.NoError(t, err, origin)
			continue
		}
		require.Error(t, err, origin)
		require.Equal(t, 403, resp.StatusCode)
	}
}

func TestGzip(t *testing.T) {
	s := start(t, nil)
	big := `{"jsonrpc":"2.0","id":1,"method":"test_big","params":[100000]}`
	status, body, h := s.post(t, big, "Accept-Encoding", "br, gzip;q=0.5")
	require.Equal(t, 200, status)
	require.Equal(t, "gzip", h.Get("Content-Encoding"))
	require.Less(t, len(body), 2000)
	// net/http's client unpacks what it asked for itself.
	resp, err := http.Post(s.url(), "application/json", strings.NewReader(big))
	require.NoError(t, err)
	defer resp.Body.Close()
	plain, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Len(t, plain, 100_000+len(`{"jsonrpc":"2.0","id":1,"result":""}`))
	_, body, h = s.post(t, big, "Accept-Encoding", "gzip;q=0")
	require.Empty(t, h.Get("Content-Encoding"))
	require.Len(t, body, len(plain))
	_, _, h = s.post(t, `[]`, "Accept-Encoding", "gzip")
	require.Empty(t, h.Get("Content-Encoding"), "small answers are not worth it")
}

func TestBatchResponseIsBounded(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxBatchResponseBytes = 2000 })
	req := `{"jsonrpc":"2.0","id":1,"method":"test_big","params":[1500]}`
	_, body, _ := s.post(t, "["+req+","+req+","+req+"]")
	var answers []struct {
		Result string
		Error  *struct{ Code int }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answers))
	require.Len(t, answers, 3)
	require.Len(t, answers[1].Result, 1500)
	require.Equal(t, CodeResponseTooLarge, answers[2].Error.Code)
}

func TestRequestTimeout(t *testing.T) {
	s := start(t, func(c *Config) { c.RequestTimeout = 200 * time.Millisecond })
	wait := `{"jsonrpc":"2.0","id":1,"method":"test_wait"}`
	status, body, _ := s.post(t, wait)
	require.Equal(t, 200, status)
	require.Contains(t, []string{`{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"request timed out"}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"context deadline exceeded"}}`}, body)
	c := s.dial(t)
	send(t, c, "["+wait+","+wait+"]")
	require.Contains(t, receive(t, c), `"error"`)
}

func TestConnectionsAreBounded(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxConnections = 2 })
	first, second := s.dial(t), s.dial(t)
	status, body, _ := s.post(t, `[]`)
	require.Equal(t, 503, status)
	require.Contains(t, body, "max_connections")
	send(t, second, `[]`)
	require.Contains(t, receive(t, second), "empty batch")
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool {
		status, _, _ := s.post(t, `[]`)
		return status == 200
	}, 10*time.Second, time.Millisecond, "a closed connection makes room")
}

func TestMessagesInFlightAreBounded(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxInFlight = 2 })
	c := s.dial(t)
	for i := range 5 {
		send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"test_wait"}`, i))
	}
	<-s.started
	<-s.started
	for range 3 {
		require.Empty(t, s.started, "no third one runs")
		s.release <- struct{}{}
		require.Contains(t, receive(t, c), `"done"`)
		<-s.started
	}
	close(s.release)
	receive(t, c)
	receive(t, c)
}

func TestSeparatePorts(t *testing.T) {
	s := start(t, func(c *Config) { c.WebSocketAddr = "127.0.0.1:0" })
	require.NotEqual(t, s.Addr(), s.WebSocketAddr())
	status, _, _ := s.post(t, `[]`)
	require.Equal(t, 200, status)
	c := s.dial(t)
	send(t, c, `[]`)
	require.Contains(t, receive(t, c), "empty batch")
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+s.Addr(), nil)
	require.Error(t, err)
	require.Equal(t, 404, resp.StatusCode)
	r, err := http.Post("http://"+s.WebSocketAddr(), "application/json", strings.NewReader(`[]`))
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, 404, r.StatusCode)
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := DefaultConfig()
	cfg.Addr, cfg.WebSocketAddr = "127.0.0.1:0", l.Addr().String()
	s, err := New(cfg, Backend{Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	err = s.Listen()
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "address already in use")
}

func TestStop(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"test_wait"}`)
	send(t, c, `{"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["newHeads"]}`)
	receive(t, c)
	<-s.started
	s.stop()
	for {
		_, _, err := c.ReadMessage()
		if err != nil {
			require.True(t, websocket.IsCloseError(err, websocket.CloseGoingAway), "%v", err)
			break
		}
	}
	require.NoError(t, <-s.done)
	s.done <- nil
	_, err := http.Get(s.url())
	require.Error(t, err)
}

func TestHealthAndReadiness(t *testing.T) {
	s := start(t, nil)
	status, body, _ := s.request(t, "GET", "/healthz", nil)
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"status":"alive"}`, body)
	status, body, _ = s.request(t, "GET", "/readyz", nil)
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"status":"ready"}`, body)
	s.notReady = errors.New("the disk is full")
	status, body, h := s.request(t, "GET", "/readyz", nil)
	require.Equal(t, 503, status)
	require.JSONEq(t, `{"status":"not ready","reason":"the disk is full"}`, body)
	require.Equal(t, "application/json", h.Get("Content-Type"))
}

func TestMetricsKnowOnlyServedMethods(t *testing.T) {
	s := start(t, nil)
	for _, m := range []string{"test_add", "made_up_1", "made_up_2", "test_fail"} {
		s.post(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":[]}`, m))
	}
	s.post(t, `[{"jsonrpc":"2.0","id":1,"method":"test_echo"},{"jsonrpc":"2.0","id":1,"method":"made_up_3"}]`)
	s.post(t, `[{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x01"]},{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0xff"]}]`)
	_, body, _ := s.request(t, "GET", "/metrics", nil)
	for _, want := range []string{
		`jialing_rpc_requests_total{method="unknown",result="error"} 2`, `jialing_rpc_requests_total{method="test_fail",result="error"} 1`,
		`jialing_rpc_requests_total{method="test_add",result="error"} 1`, `jialing_rpc_requests_total{method="test_echo",result="batched"} 1`,
		`jialing_rpc_requests_total{method="unknown",result="batched"} 1`, `jialing_rpc_request_seconds_count{method="batch"} 1`,
		`jialing_rpc_requests_total{method="eth_sendRawTransaction",result="ok"} 1`, `jialing_rpc_requests_total{method="eth_sendRawTransaction",result="error"} 1`,
		"go_goroutines", "process_resident_memory_bytes",
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "made_up")
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	ok := DefaultConfig()
	require.NoError(t, ok.Validate())
	for field, change := range map[string]func(*Config){
		"addr":                     func(c *Config) { c.Addr = "nowhere" },
		"websocket_addr":           func(c *Config) { c.WebSocketAddr = "x" },
		"hosts":                    func(c *Config) { c.Hosts = []string{""} },
		"origins":                  func(c *Config) { c.Origins = []string{"app.example"} },
		"max_connections":          func(c *Config) { c.MaxConnections = 0 },
		"max_request_bytes":        func(c *Config) { c.MaxRequestBytes = 0 },
		"max_buffered_bytes":       func(c *Config) { c.MaxBufferedBytes = 1 },
		"max_batch_items":          func(c *Config) { c.MaxBatchItems = 0 },
		"max_batch_response_bytes": func(c *Config) { c.MaxBatchResponseBytes = 0 },
		"max_in_flight":            func(c *Config) { c.MaxInFlight = 0 },
		"max_subscriptions":        func(c *Config) { c.MaxSubscriptions = 0 },
		"header_timeout":           func(c *Config) { c.HeaderTimeout = 0 },
		"read_timeout":             func(c *Config) { c.ReadTimeout = -1 },
		"request_timeout":          func(c *Config) { c.RequestTimeout = 0 },
		"write_timeout":            func(c *Config) { c.WriteTimeout = 0 },
		"idle_timeout":             func(c *Config) { c.IdleTimeout = 100 * time.Hour },
	} {
		c := DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), field)
	}
}

func TestSlowRequestsEnd(t *testing.T) {
	s := start(t, func(c *Config) { c.HeaderTimeout, c.ReadTimeout = 150*time.Millisecond, 200*time.Millisecond })
	for _, part := range []string{"POST / HTTP/1.1\r\nHost: localhost\r\n", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"} {
		c, err := net.Dial("tcp", s.Addr())
		require.NoError(t, err)
		_, err = c.Write([]byte(part))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		b, err := io.ReadAll(c)
		require.NoError(t, err, "the server ends it")
		require.False(t, bytes.Contains(b, []byte("200 OK")))
		c.Close()
	}
}
