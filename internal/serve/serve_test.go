package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

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
	s := start(t, func(c *Config) { c.MaxRequestBytes = 4 << 20; c.MaxBufferedBytes = 8 << 20 })
	long := `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["` + strings.Repeat("x", 2_500_000) + `"]}`
	status, body, _ := s.post(t, long)
	require.Equal(t, 200, status)
	require.Len(t, body, len(`{"jsonrpc":"2.0","id":1,"result":""}`)+2_500_000)
	whole := func() bool { return s.buffered.free.Load() == 8<<20 }
	require.Eventually(t, whole, 10*time.Second, time.Millisecond, "it is given back once the answer is written")

	require.True(t, s.buffered.take(8<<20))
	status, body, _ = s.post(t, long)
	require.Equal(t, 503, status)
	require.Contains(t, body, "busy")
	status, _, _ = s.post(t, `[]`)
	require.Equal(t, 200, status, "small requests need no budget")
	c := s.dial(t)
	send(t, c, long)
	_, _, err := c.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseTryAgainLater), "%v", err)
	s.buffered.put(8 << 20)
	require.Eventually(t, whole, 10*time.Second, time.Millisecond)
}

func TestAnswersAreInTheBudget(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxRequestBytes, c.MaxBufferedBytes = 1<<20, 1<<20 })
	big := `{"jsonrpc":"2.0","id":%d,"method":"test_big","params":[2000000]}`
	const refused = `{"jsonrpc":"2.0","id":%d,"error":{"code":-32005,"message":"server is busy: requests and answers fill its memory budget (see max_buffered_bytes), try again"}}`
	_, body, _ := s.post(t, fmt.Sprintf(big, 1))
	require.Equal(t, fmt.Sprintf(refused, 1), body)
	_, body, _ = s.post(t, fmt.Sprintf("["+big+",{},"+big+"]", 1, 2))
	require.Equal(t, fmt.Sprintf("["+refused+","+refused+"]", 1, 2), body)
	c := s.dial(t)
	send(t, c, fmt.Sprintf(big, 1))
	require.Equal(t, fmt.Sprintf(refused, 1), receive(t, c))
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"test_big","params":[500000]}`)
	require.Len(t, receive(t, c), 500_036)
	require.Eventually(t, func() bool { return s.buffered.free.Load() == 1<<20 }, 10*time.Second, time.Millisecond)
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
	s, err := New(cfg, Backend{Methods: testMethods, Access: testAccess(t), Suite: intl.Suite{}, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
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

func TestCrashesAreHeard(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	before := slog.Default()
	srv, err := New(DefaultConfig(), Backend{Methods: testMethods, Access: testAccess(t), Suite: intl.Suite{}, Services: map[string][]any{"test": {&testService{newStub()}}}, Registry: prometheus.NewRegistry(), Log: log})
	require.NoError(t, err)
	require.Same(t, before, slog.Default())
	srv.call(t.Context(), &http.Request{}, []byte(`{"jsonrpc":"2.0","id":1,"method":"test_fail"}`))
	require.Empty(t, out.String(), "what merely fails is the client's to know")
	srv.call(t.Context(), &http.Request{}, []byte(`{"jsonrpc":"2.0","id":1,"method":"test_crash"}`))
	require.Contains(t, out.String(), "RPC method test_crash crashed")
	require.Contains(t, out.String(), "stub_test.go", "with its stack")
}
