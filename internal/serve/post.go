package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

var jsonTypes = map[string]bool{"application/json": true, "application/json-rpc": true, "application/jsonrequest": true}

// servePost answers one HTTP request. Errors of JSON-RPC are answers (200); only what is no JSON-RPC request gets another status.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !jsonTypes[mt] {
		http.Error(w, "invalid content type, only application/json is supported", http.StatusUnsupportedMediaType)
		return
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		http.Error(w, "request bodies must not be compressed", http.StatusUnsupportedMediaType)
		return
	}
	c, err := s.access.identify(r)
	if err != nil {
		s.unauthorized(w, r, err)
		return
	}
	m, err := s.readBody(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer m.release()
	if f, ok := s.sends(c, m.bytes()); ok {
		if wait := s.takeSends(c, &f); wait > 0 {
			all := scanFrame(m.bytes(), s.cfg.MaxBatchItems)
			s.refusedByRate(w, answerAll(&all, limited(wait)), wait)
			return
		}
		hashes, errs := s.admit(r.Context(), f.raws)
		writeJSON(w, r, appendSent(nil, &f, hashes, errs))
		return
	}
	out, put, wait := s.dispatch(r.Context(), c, r, m.bytes())
	defer put()
	if wait > 0 {
		s.refusedByRate(w, out, wait)
		return
	}
	writeJSON(w, r, out)
}

// sends recognises a frame that goes straight to the pool: it only sends transactions, and its sender may.
func (s *Server) sends(c *caller, body []byte) (sends, bool) {
	if s.backend.Sender == nil || !c.roles.Has(Submit) {
		return sends{}, false
	}
	return scanSends(body, s.cfg.MaxBatchItems)
}

// takeSends counts a frame of transactions; wait is above 0 when it is too much.
func (s *Server) takeSends(c *caller, f *sends) (wait time.Duration) {
	s.metrics.judged(c, Submit, len(f.ids))
	if wait = s.access.take(c, len(f.ids)); wait > 0 {
		s.metrics.refused.WithLabelValues("rate").Inc()
	}
	return wait
}

func (s *Server) readBody(r *http.Request) (*message, error) {
	if r.ContentLength > int64(s.cfg.MaxRequestBytes) {
		return nil, errTooLarge
	}
	return readMessage(r.Body, s.cfg.MaxRequestBytes, s.buffered)
}

// lingerBytes is how much of a refused body is thrown away: see linger.
const lingerBytes = 64 << 20

// refuse says why a body is not read to its end.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errTooLarge):
		s.metrics.refused.WithLabelValues("request_bytes").Inc()
		w.Header().Set("Connection", "close")
		http.Error(w, fmt.Sprintf("%v: at most %d bytes (see max_request_bytes)", err, s.cfg.MaxRequestBytes), http.StatusRequestEntityTooLarge)
	case errors.Is(err, errBusy):
		s.metrics.refused.WithLabelValues("buffered_bytes").Inc()
		w.Header().Set("Connection", "close")
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, "read request: "+err.Error(), http.StatusBadRequest)
		return
	}
	linger(w, r)
}

// linger sends the answer and throws away what the client still sends, for a while: a socket that is closed with unread bytes is reset, and
// the client would see that instead of the answer.
func linger(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if control.Flush() == nil && control.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, lingerBytes)) // ends with the body, the deadline or the client
	}
}

// dispatch answers a message by go-ethereum's rpc; no bytes when there is nothing to answer. r is the request or connection it came by. The
// answer counts against the memory budget until put is called, when it is written: clients that read slowly cannot pile up answers. wait is above 0
// when the caller has used up its share.
func (s *Server) dispatch(ctx context.Context, c *caller, r *http.Request, body []byte) (out []byte, put func(), wait time.Duration) {
	start := time.Now()
	f := scanFrame(body, s.cfg.MaxBatchItems)
	if f.tooMany {
		s.metrics.refused.WithLabelValues("batch_items").Inc()
		return tooManyItems(&f), func() {}, 0
	}
	j := s.judge(c, &f)
	if wait = s.access.take(c, j.cost); wait > 0 {
		s.metrics.refused.WithLabelValues("rate").Inc()
		return answerAll(&f, limited(wait)), func() {}, wait
	}
	if j.plain {
		out = s.call(ctx, r, body)
	} else {
		out = s.careful(ctx, c, r, &f, j, body)
	}
	s.metrics.frame(&f, out, start)
	if len(out) <= freeBytes {
		return out, func() {}, 0
	}
	held := int64(len(out))
	if !s.buffered.take(held) {
		s.metrics.refused.WithLabelValues("buffered_bytes").Inc()
		return busy(&f), func() {}, 0
	}
	return out, func() { s.buffered.put(held) }, 0
}

var (
	jsonHeader = http.Header{"Content-Type": {"application/json"}}
	rootURL    = &url.URL{Path: "/"}
)

// call runs one message through go-ethereum's rpc. It returns when the method has returned, whatever the time limit; methods obey ctx.
func (s *Server) call(ctx context.Context, r *http.Request, body []byte) []byte {
	if len(bytes.TrimSpace(body)) == 0 {
		return appendError(nil, nil, &Error{Code: CodeInvalidRequest, Message: "empty request"})
	}
	if ctx.Value(startKey{}) == nil { // else it is one call of a message
		ctx = context.WithValue(ctx, startKey{}, time.Now())
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	req := (&http.Request{
		Method: http.MethodPost, URL: rootURL, Proto: r.Proto, Header: jsonHeader, Host: r.Host, RemoteAddr: r.RemoteAddr,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}).WithContext(ctx)
	w := &answer{header: make(http.Header)}
	s.rpc.ServeHTTP(w, req)
	return w.body
}

type startKey struct{}

// Waited is how long the message that ctx belongs to is being worked on. The requests of a batch run one after another and share it, so a
// method that waits for something can wait once for all of them.
func Waited(ctx context.Context) time.Duration {
	if start, ok := ctx.Value(startKey{}).(time.Time); ok {
		return time.Since(start)
	}
	return 0
}

// answer collects what rpc.Server writes.
type answer struct {
	header http.Header
	body   []byte
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. The status is always 200: what could give another one is checked before.
func (a *answer) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return len(b), nil
}

// writeJSON sends a whole answer, compressed if the client takes that and it is worth it.
func writeJSON(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if len(body) >= gzipMinBytes && acceptsGzip(r) {
		writeGzip(w, body)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}
