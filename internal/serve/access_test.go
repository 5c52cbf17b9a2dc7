package serve

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func issue(t testing.TB, path, name string, lifetime time.Duration, roles ...string) string {
	text, _, err := IssueToken(path, intl.Suite{}, rand.Reader, name, roles, time.Now(), lifetime)
	require.NoError(t, err)
	return text
}

// startTokens serves with a tokens file whose path it gives.
func startTokens(t testing.TB, before func(path string), change func(*AccessConfig)) (*served, string) {
	var path string
	s := startWith(t, func(_ *Config, a *AccessConfig) {
		path = a.Tokens
		if change != nil {
			change(a)
		}
		if before != nil {
			before(path)
		}
	})
	return s, path
}

func call(method string, params ...any) string {
	b, _ := json.Marshal(params)
	if params == nil {
		b = []byte("[]")
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, b)
}

// reload makes the server look at changed files now, rather than within a second.
func reload(t testing.TB, s *served) {
	_, err := s.Reload()
	require.NoError(t, err)
}

func TestRolesDecideCallByCall(t *testing.T) {
	var reader, operator, tracer string
	s, _ := startTokens(t, func(path string) {
		reader = issue(t, path, "reader", time.Hour, "read")
		operator = issue(t, path, "operator", time.Hour, "read", "submit", "admin")
		tracer = issue(t, path, "tracer", time.Hour, "debug")
	}, nil)
	const transaction = `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x01"]}`
	for _, c := range []struct {
		who, token, request string
		allowed             bool
		says                string
	}{
		{"anonymous reads", "", call("test_echo", "x"), true, ""},
		{"anonymous submits", "", transaction, true, ""},
		{"anonymous does not administer", "", call("test_change", "x"), false, `test_change needs a token with the role \"admin\", and this call came as anonymous`},
		{"anonymous does not trace", "", call("test_trace"), false, `anonymous = [\"read\", \"submit\", \"debug\"] under [access]`},
		{"what is in no group is closed", "", call("test_ungrouped"), false, `the role \"admin\"`},
		{"a reader reads", reader, call("test_echo", "x"), true, ""},
		{"a reader does not submit", reader, transaction, false, `needs a token with the role \"submit\", and this call came as token reader`},
		{"a tracer traces", tracer, call("test_trace"), true, ""},
		{"a tracer does not read", tracer, call("test_echo", "x"), false, `the role \"read\"`},
		{"an operator administers", operator, call("test_change", "x"), true, ""},
		{"an operator does not trace", operator, call("test_trace"), false, `the role \"debug\"`},
	} {
		t.Run(c.who, func(t *testing.T) {
			var headers []string
			if c.token != "" {
				headers = []string{"Authorization", "Bearer " + c.token}
			}
			status, body, _ := s.post(t, c.request, headers...)
			require.Equal(t, 200, status)
			conn := s.dial(t, headers...)
			send(t, conn, c.request)
			require.Equal(t, body, receive(t, conn), "both ways say the same")
			if c.allowed {
				require.Contains(t, body, `"result":`)
				return
			}
			require.Contains(t, body, `"code":4100`)
			require.Contains(t, body, c.says)
		})
	}
}

// TestNoSpellingGetsAround: what decides is the name that go-ethereum's rpc calls, however it is written.
func TestNoSpellingGetsAround(t *testing.T) {
	s := start(t, nil)
	for _, request := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"test_chang\u0065","params":["x"]}`,
		`{"jsonrpc":"2.0","id":1,"m\u0065thod":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","id":1,"METHOD":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","id":1,"method":"test_echo","Method":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","id":1,"method":"test_echo","method":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","Method":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","method":"eth_subscribe","METHOD":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","method":"test_change","params":["x"]}`,
		`{"jsonrpc":"2.0","id":1,"method":7,"ſ":1,"method":"test_change","params":["x"]}`,
		"\n\t [ {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test_change\",\"params\":[\"x\"]} ]",
		`[{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]},{"jsonrpc":"2.0","method":"test_change","params":["x"]}]`,
	} {
		s.post(t, request)
		c := s.dial(t)
		send(t, c, request)
		send(t, c, call("test_add", 1, 2))
		for !strings.Contains(receive(t, c), `"result":3`) { // all before it is answered, but what runs beside it
		}
		c.Close()
		require.Empty(t, s.noted(), request)
	}
}

func TestBatchIsJudgedCallByCall(t *testing.T) {
	s := start(t, nil)
	status, body, _ := s.post(t, `[`+call("test_add", 1, 2)+`,`+call("test_change", "x")+`,{"jsonrpc":"2.0","method":"test_trace"},`+call("test_nothing")+`]`)
	require.Equal(t, 200, status)
	var answers []struct {
		Result json.RawMessage
		Error  *struct{ Code int }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answers))
	require.Len(t, answers, 3, "a notification has no answer")
	require.Equal(t, "3", string(answers[0].Result))
	require.Equal(t, CodeForbidden, answers[1].Error.Code)
	require.Equal(t, CodeMethodNotFound, answers[2].Error.Code)
	require.Empty(t, s.noted())
}

func TestTokensThatAreNotTaken(t *testing.T) {
	var expired, revoked, good string
	s, path := startTokens(t, func(path string) {
		good = issue(t, path, "good", time.Hour, "read")
		expired, _, _ = IssueToken(path, intl.Suite{}, rand.Reader, "old", []string{"read"}, time.Now().Add(-time.Hour), time.Minute)
		revoked = issue(t, path, "lost", time.Hour, "read")
		_, err := RevokeToken(path, intl.Suite{}, "lost", time.Now())
		require.NoError(t, err)
	}, nil)
	other := good[:len(good)-1] + string("0123456789abcdef0"[strings.IndexByte("0123456789abcdef", good[len(good)-1])+1])
	for header, says := range map[string]string{
		"Bearer " + expired:               "the token expired on ",
		"Bearer " + revoked:               "the token was revoked on ",
		"Bearer " + other:                 "the token is unknown to this node",
		"Bearer " + good[:30]:             "the token is broken: a whole one begins with jlt_",
		"Bearer " + good + "0":            "the token is broken",
		"Bearer jlt_" + good:              "the token is broken",
		"Bearer":                          "the token is broken",
		"Basic dXNlcjpwYXNz":              "the Authorization header must be",
		"Bearer " + strings.ToUpper(good): "the token is broken",
	} {
		status, body, h := s.post(t, call("test_echo", "x"), "Authorization", header)
		require.Equal(t, 401, status, header)
		require.True(t, json.Valid([]byte(body)))
		require.Contains(t, body, says)
		require.NotContains(t, body, good[20:])
		require.Equal(t, `Bearer realm="jialing"`, h.Get("WWW-Authenticate"))
		_, resp, err := websocket.DefaultDialer.Dial("ws://"+s.WebSocketAddr(), http.Header{"Authorization": {header}})
		require.ErrorIs(t, err, websocket.ErrBadHandshake)
		require.Equal(t, 401, resp.StatusCode)
	}
	stored, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(stored), good[len(tokenPrefix)+17:], "the file holds no token")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestRevokedTokenEndsItsConnections(t *testing.T) {
	var token string
	s, path := startTokens(t, func(path string) { token = issue(t, path, "lost", time.Hour, "read") }, nil)
	c := s.dial(t, "Authorization", "Bearer "+token)
	send(t, c, call("test_echo", "x"))
	require.Contains(t, receive(t, c), `"result":"x"`)
	_, err := RevokeToken(path, intl.Suite{}, "lost", time.Now())
	require.NoError(t, err)
	reload(t, s)
	send(t, c, call("test_echo", "x"))
	_, _, err = c.ReadMessage()
	var closed *websocket.CloseError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, websocket.ClosePolicyViolation, closed.Code)
	require.Contains(t, closed.Text, "the token was revoked")
	require.Contains(t, s.noted()[0], "begin node: tokens read again revoked lost (")
}

func TestTokensFileThatBreaks(t *testing.T) {
	var token string
	s, path := startTokens(t, func(path string) { token = issue(t, path, "a", time.Hour, "read") }, nil)
	for _, harm := range []func(){
		func() { require.NoError(t, os.WriteFile(path, []byte("{"), 0o600)) },
		func() { require.NoError(t, os.WriteFile(path, []byte(`{"suite":"gm","tokens":[]}`), 0o600)) },
		func() {
			require.NoError(t, os.WriteFile(path, []byte(`{"suite":"intl","tokens":[{"id":"zz"}]}`), 0o600))
		},
		func() { require.NoError(t, os.Chmod(path, 0o644)) },
	} {
		harm()
		before := s.AccessStatus().Failures
		_, err := s.Reload()
		require.ErrorContains(t, err, "read tokens")
		require.Greater(t, s.AccessStatus().Failures, before)
		status, _, _ := s.post(t, call("test_echo", "x"), "Authorization", "Bearer "+token)
		require.Equal(t, 200, status, "the tokens stay as they were")
	}
	require.NoError(t, os.Remove(path))
	reload(t, s)
	status, _, _ := s.post(t, call("test_echo", "x"), "Authorization", "Bearer "+token)
	require.Equal(t, 401, status, "without a file there are none")
}

func TestNobodyWithoutName(t *testing.T) {
	var token string
	s, _ := startTokens(t, func(path string) { token = issue(t, path, "a", time.Hour, "submit") }, func(a *AccessConfig) { a.Anonymous = nil })
	status, body, _ := s.post(t, call("test_echo", "x"))
	require.Equal(t, 401, status)
	require.Contains(t, body, "jialing rpc token issue")
	status, _, _ = s.request(t, http.MethodGet, "/metrics", nil)
	require.Equal(t, 401, status)
	status, body, _ = s.request(t, http.MethodGet, "/metrics", nil, "Authorization", "Bearer "+token)
	require.Equal(t, 403, status)
	require.Contains(t, body, `the role "read"`)
	status, _, _ = s.request(t, http.MethodGet, "/healthz", nil)
	require.Equal(t, 200, status, "whether the process lives is no secret")
}

func TestAdministrativeCallsAreRecordedFirst(t *testing.T) {
	var token string
	s, _ := startTokens(t, func(path string) { token = issue(t, path, "ops", time.Hour, "admin") }, nil)
	auth := []string{"Authorization", "Bearer " + token}
	_, body, _ := s.post(t, `[`+call("test_change", "a")+`,`+call("test_change", "bad")+`,`+call("test_hidden", "secret")+`]`, auth...)
	require.Contains(t, body, `"result":"changed"`)
	require.Equal(t, []string{
		`begin token ops: test_change ["a"]`, `changed a`, `end 7 token ops: test_change ""`,
		`begin token ops: test_change ["bad"]`, `end 7 token ops: test_change "it cannot be changed"`,
		`begin token ops: test_hidden `, `end 7 token ops: test_hidden ""`,
	}, s.noted())
	s.unwritable = os.ErrPermission
	_, body, _ = s.post(t, call("test_change", "b"), auth...)
	require.Contains(t, body, "test_change was not called, as it could not be recorded")
	require.NotContains(t, s.noted(), "changed b")
}

func TestRateLimit(t *testing.T) {
	var token string
	s, _ := startTokens(t, func(path string) { token = issue(t, path, "a", time.Hour, "read", "submit") }, func(a *AccessConfig) {
		a.LimitLoopback, a.AnonymousRate, a.AnonymousBurst = true, 1, 12
	})
	status, _, _ := s.post(t, call("test_big", 1))
	require.Equal(t, 200, status, "costs 10 of 12")
	status, body, h := s.post(t, `[`+call("test_echo", "x")+`,`+call("test_big", 1)+`]`)
	require.Equal(t, 429, status)
	require.NotEmpty(t, h.Get("Retry-After"))
	require.True(t, json.Valid([]byte(body)))
	require.Equal(t, 2, strings.Count(body, `"code":-32005`))
	require.Contains(t, body, `"retryAfter":`)
	conn := s.dial(t)
	send(t, conn, `[`+strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x01"]},`, 11)+`{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x01"]}]`)
	require.Equal(t, 12, strings.Count(receive(t, conn), `"code":-32005`))
	status, _, _ = s.post(t, call("test_big", 1), "Authorization", "Bearer "+token)
	require.Equal(t, 200, status, "another identity has its own share")
}

func TestAccessConfigValidate(t *testing.T) {
	for says, change := range map[string]func(*AccessConfig){
		`must not hold "admin"`:        func(c *AccessConfig) { c.Anonymous = []string{"admin"} },
		`role "all" is unknown`:        func(c *AccessConfig) { c.Anonymous = []string{"all"} },
		"fits every certificate":       func(c *AccessConfig) { c.Certificates = []CertificateGrant{{Roles: []string{"read"}}} },
		`entry 1: role "x" is unknown`: func(c *AccessConfig) { c.Certificates = []CertificateGrant{{Name: "a", Roles: []string{"x"}}} },
		"tokens and audit must name":   func(c *AccessConfig) { c.Tokens = "" },
		"max_identities must be 1 to":  func(c *AccessConfig) { c.MaxIdentities = 0 },
	} {
		cfg := DefaultAccessConfig()
		require.NoError(t, cfg.Validate())
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), says)
	}
}
