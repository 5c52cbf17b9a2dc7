package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Auditor keeps the record of administrative calls. Safe for concurrent use.
type Auditor interface {
	// Begin records that who is about to make a call; it is on disk when Begin returns. params is JSON, nil when it must not be kept.
	Begin(who, method string, params []byte) (seq uint64, err error)
	// End records how the call of Begin's seq has ended, likewise; failure is "" when it was done.
	End(seq uint64, who, method, failure string) error
}

// CodeForbidden is EIP-1193's "the requested method has not been authorized", which clients do not try again.
const CodeForbidden = 4100

// verdict is what is to be done with one call.
type verdict uint8

const (
	pass verdict = iota
	forbid
	record
)

// judged is a frame's calls, each with its verdict, and what they cost together.
type judged struct {
	verdicts []verdict
	// plain tells that all calls pass.
	plain bool
	cost  int
}

// judge decides about every call of a frame by the name that will be called.
func (s *Server) judge(c *caller, f *frame) judged {
	j := judged{plain: true}
	for i := range f.items {
		m, known := s.lookup(&f.items[i])
		j.cost += max(m.Cost, 1)
		v := pass
		if known {
			s.metrics.judged(c, m.Role, 1)
			switch {
			case !c.roles.Has(m.Role):
				v = forbid
			case m.Role == Admin:
				v = record
			}
		}
		if v != pass && j.plain {
			j.plain, j.verdicts = false, make([]verdict, len(f.items))
		}
		if v != pass {
			j.verdicts[i] = v
		}
	}
	return j
}

func (s *Server) lookup(it *item) (Method, bool) {
	if !it.doubt {
		if m, ok := s.methods[string(it.method)]; ok { // without a copy of the name
			return m, true
		}
	}
	return s.method(it.called())
}

// forbidden says what is missing and who grants it.
func forbidden(c *caller, method string, role Role) *Error {
	how := "the node's operator issues one with jialing rpc token issue --roles " + role.String()
	switch {
	case c.kind == anonymous && role == Debug:
		how += `, or opens it to all with anonymous = ["read", "submit", "debug"] under [access] in node.toml`
	case c.kind == byCertificate:
		how = "the node's operator grants it under [[access.certificates]] in node.toml"
	}
	need := "a token with the role"
	if c.kind == byCertificate {
		need = "a certificate with the role"
	}
	return &Error{Code: CodeForbidden, Message: fmt.Sprintf("%s needs %s %q, and this call came as %s: %s", printable(method), need, role, c.name, how)}
}

// careful answers a frame in which some calls do not just pass, call by call.
func (s *Server) careful(ctx context.Context, c *caller, r *http.Request, f *frame, j judged, body []byte) []byte {
	if !json.Valid(body) {
		return s.call(ctx, r, body) // gives the parse error and runs nothing
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, startKey{}, time.Now()), s.cfg.RequestTimeout)
	defer cancel()
	var out []byte
	for i := range f.items {
		it := &f.items[i]
		var answer []byte
		switch {
		case len(out) > s.cfg.MaxBatchResponseBytes:
			answer = appendError(nil, it.id, &Error{Code: CodeResponseTooLarge, Message: "response too large"})
		case j.verdicts[i] == forbid:
			answer = s.forbid(c, it)
		case j.verdicts[i] == record:
			answer = s.recorded(ctx, c, r, it)
		default:
			answer = s.call(ctx, r, it.raw)
		}
		if len(answer) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = append(out, answer...)
	}
	if f.batch && len(out) > 0 {
		out = append(append([]byte{'['}, out...), ']')
	}
	return out
}

// forbid answers a call that its caller may not make; a notification has no answer.
func (s *Server) forbid(c *caller, it *item) []byte {
	name := it.called()
	m, _ := s.method(name)
	if m.Role == Admin {
		s.log.Warn("an administrative call was refused", "method", name, "who", c.name)
	}
	if len(it.id) == 0 {
		return nil
	}
	id := it.id
	if !it.validID() {
		id = nil
	}
	return appendError(nil, id, forbidden(c, name, m.Role))
}

// recorded makes an administrative call: it is on record before it is made, and its result before it is answered.
func (s *Server) recorded(ctx context.Context, c *caller, r *http.Request, it *item) []byte {
	name := it.called()
	fail := func(format string, args ...any) []byte {
		return appendError(nil, it.id, &Error{Code: CodeInternal, Message: fmt.Sprintf(format, args...)})
	}
	if s.backend.Audit == nil {
		return fail("%s was not called: this node keeps no audit log", name)
	}
	var params []byte
	if m, _ := s.method(name); !m.Secret {
		params = callParams(it.raw)
	}
	seq, err := s.backend.Audit.Begin(c.name, name, params)
	if err != nil {
		s.log.Error("an administrative call was not made, as it cannot be recorded", "method", name, "who", c.name, "err", err)
		return fail("%s was not called, as it could not be recorded: %v", name, err)
	}
	s.metrics.audited.Inc()
	out := s.call(ctx, r, it.raw)
	failure := failureOf(out)
	s.log.Info("administrative call", slog.String("method", name), slog.String("who", c.name), slog.String("result", failure))
	if err := s.backend.Audit.End(seq, c.name, name, failure); err != nil {
		s.log.Error("the result of an administrative call cannot be recorded", "method", name, "who", c.name, "err", err)
		return fail("%s was called, and its result could not be recorded: %v", name, err)
	}
	s.metrics.audited.Inc()
	return out
}

// recordTokens puts on record what has changed in the tokens file. That it cannot be keeps no revoked token valid.
func (s *Server) recordTokens(what string) {
	if s.backend.Audit == nil {
		return
	}
	seq, err := s.backend.Audit.Begin("node", "tokens read again", []byte(what))
	if err == nil {
		err = s.backend.Audit.End(seq, "node", "tokens read again", "")
	}
	if err != nil {
		s.log.Error("a change of the tokens is not in the audit log", "err", err)
		return
	}
	s.metrics.audited.Add(2)
}

// callParams are the parameters without white space; nil for none.
func callParams(raw []byte) []byte {
	var m struct {
		Params json.RawMessage `json:"params"`
	}
	_ = json.Unmarshal(raw, &m) // what is no call has no parameters
	var b bytes.Buffer
	if json.Compact(&b, m.Params) != nil {
		return nil
	}
	return b.Bytes()
}

// failureOf is the error in a response; "" for none.
func failureOf(response []byte) string {
	var m struct {
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(response, &m) != nil || m.Error == nil {
		return ""
	}
	if m.Error.Message == "" {
		return "failed"
	}
	return m.Error.Message
}

// limited is the error of a caller that has used up its share; data says how many seconds to wait.
func limited(wait time.Duration) *Error {
	seconds := retrySeconds(wait)
	return &Error{Code: CodeLimitExceeded, Message: "too many calls: come back in " + strconv.Itoa(seconds) +
		" s; the node's operator sets the limit under [access] in node.toml, and a token has a higher one", Data: map[string]int{"retryAfter": seconds}}
}

func retrySeconds(wait time.Duration) int { return max(1, int(math.Ceil(wait.Seconds()))) }

// answerAll answers each call of a frame with err, a frame without calls once.
func answerAll(f *frame, err error) []byte {
	if !f.batch {
		if len(f.items) > 0 && f.items[0].validID() {
			return appendError(nil, f.items[0].id, err)
		}
		return appendError(nil, nil, err)
	}
	b := []byte{'['}
	for i := range f.items {
		if it := &f.items[i]; it.validID() {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = appendError(b, it.id, err)
		}
	}
	if len(b) == 1 {
		b = appendError(b, nil, err)
	}
	return append(b, ']')
}

// unauthorized answers an HTTP request whose sender is not let in.
func (s *Server) unauthorized(w http.ResponseWriter, r *http.Request, err error) {
	reason := "unknown"
	if u, ok := err.(*errUnauthorized); ok {
		reason = u.reason
	}
	s.metrics.unauthorized.WithLabelValues(reason).Inc()
	w.Header().Set("WWW-Authenticate", `Bearer realm="jialing"`)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	w.Write(appendError(nil, nil, &Error{Code: CodeForbidden, Message: err.Error()}))
	if r.Body != nil {
		linger(w, r)
	}
}

// refusedByRate answers an HTTP request beyond its sender's share.
func (s *Server) refusedByRate(w http.ResponseWriter, body []byte, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(retrySeconds(wait)))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusTooManyRequests)
	w.Write(body)
}
