package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
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

	"github.com/jialing-chain/jialing/internal/crypto/intl"
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
	// notes are what happened, in order: administrative calls and their records. unwritable fails the latter.
	notes      []string
	unwritable error
}

func (s *stub) note(what string) { s.mu.Lock(); defer s.mu.Unlock(); s.notes = append(s.notes, what) }

func (s *stub) noted() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.notes) }

func (s *stub) Begin(who, method string, params []byte) (uint64, error) {
	if s.unwritable != nil {
		return 0, s.unwritable
	}
	s.note(fmt.Sprintf("begin %s: %s %s", who, method, params))
	return 7, nil
}

func (s *stub) End(seq uint64, who, method, failure string) error {
	s.note(fmt.Sprintf("end %d %s: %s %q", seq, who, method, failure))
	return nil
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

func (t *testService) Trace() string { return "traced" }

func (t *testService) Change(v string) (string, error) {
	if v == "bad" {
		return "", errors.New("it cannot be changed")
	}
	t.s.note("changed " + v)
	return "changed", nil
}

func (t *testService) Hidden(string) string { return "hidden" }

// Ungrouped is in no group.
func (t *testService) Ungrouped() string { return "open" }

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
	return startWith(t, func(cfg *Config, _ *AccessConfig) {
		if change != nil {
			change(cfg)
		}
	})
}

// testMethods are the stub's, in all groups.
var testMethods = map[string]Method{
	"test_echo": {Role: Read}, "test_add": {Role: Read}, "test_fail": {Role: Read}, "test_revert": {Role: Read}, "test_crash": {Role: Read},
	"test_wait": {Role: Read}, "test_big": {Role: Read, Cost: 10}, "test_trace": {Role: Debug}, "test_change": {Role: Admin}, "test_hidden": {Role: Admin, Secret: true},
}

func startWith(t testing.TB, change func(*Config, *AccessConfig)) *served {
	cfg, access := DefaultConfig(), DefaultAccessConfig()
	cfg.Addr, access.Tokens = "127.0.0.1:0", filepath.Join(t.TempDir(), "tokens.json")
	change(&cfg, &access)
	out := &served{stub: newStub(), registry: prometheus.NewRegistry(), done: make(chan error, 1)}
	s, err := New(cfg, Backend{
		Services: map[string][]any{"test": {&testService{out.stub}}, "eth": {&ethService{out.stub}}},
		Methods:  testMethods, Access: access, Suite: intl.Suite{}, Audit: out.stub,
		Sender: out.stub, Feeds: out.stub, Registry: out.registry, Log: slog.New(slog.DiscardHandler), Ready: func() error { return out.notReady },
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

func testAccess(t testing.TB) AccessConfig {
	cfg := DefaultAccessConfig()
	cfg.Tokens = filepath.Join(t.TempDir(), "tokens.json")
	return cfg
}
