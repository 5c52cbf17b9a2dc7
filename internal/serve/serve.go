package serve

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Sender takes raw transactions in. Safe for concurrent use.
type Sender interface {
	// SendRaw admits raws in their order and keeps them. Of hashes[i] and errs[i] exactly one is set; an error may implement rpc.Error and
	// rpc.DataError.
	SendRaw(ctx context.Context, raws [][]byte) (hashes []common.Hash, errs []error)
}

// Feeds opens subscriptions. Safe for concurrent use.
type Feeds interface {
	// Subscribe opens the feed of that name; params are the JSON values after the name. Errors reach the client.
	Subscribe(name string, params []json.RawMessage) (Feed, error)
}

// Feed is one subscription's events. One goroutine uses it.
type Feed interface {
	// Next waits for events and returns each as JSON, in order and without gaps. An error is final: ctx's, or the reason why the subscriber
	// is dropped.
	Next(ctx context.Context) ([]json.RawMessage, error)
}

// Backend is what a Server serves.
type Backend struct {
	// Services are registered under their namespace: every exported method becomes <namespace>_<method>, as go-ethereum's rpc does it.
	Services map[string][]any
	Sender   Sender
	Feeds    Feeds
	// Ready returns nil when the node can take transactions, else why it cannot: /readyz.
	Ready func() error
	// Methods give each served method its group and cost; one that is in none is administrative.
	Methods map[string]Method
	// Access says who may call; its file names are whole paths.
	Access AccessConfig
	// Suite hashes tokens.
	Suite crypto.Suite
	// Audit records administrative calls; without it there are none.
	Audit Auditor
	// Registry is where metrics are registered and what /metrics shows.
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Server answers clients. New, then Listen, then Run.
type Server struct {
	cfg      Config
	backend  Backend
	log      *slog.Logger
	rpc      *rpc.Server
	metrics  *metrics
	methods  map[string]Method
	access   *access
	tls      *tlsState
	guard    *guard
	buffered *budget
	upgrader websocket.Upgrader
	http     []*http.Server
	listen   []net.Listener
	// stopping is closed when Run begins to stop: WebSocket connections, which have no end of their own, then end.
	stopping chan struct{}

	mu      sync.Mutex
	stopped bool
	// running counts handlers; none is added once stopped.
	running sync.WaitGroup
}

// New registers the services. It opens nothing. From then on go-ethereum's packages log their errors to b.Log.
func New(cfg Config, b Backend) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	hearCrashes(b.Log)
	s := &Server{cfg: cfg, backend: b, log: b.Log, rpc: rpc.NewServer(), guard: newGuard(cfg.Hosts, cfg.Origins),
		buffered: newBudget(cfg.MaxBufferedBytes), stopping: make(chan struct{})}
	s.rpc.SetBatchLimits(cfg.MaxBatchItems, cfg.MaxBatchResponseBytes)
	s.rpc.SetHTTPBodyLimit(cfg.MaxRequestBytes)
	known := map[string]bool{"rpc_modules": true, "eth_sendRawTransaction": true}
	for namespace, services := range b.Services {
		for _, service := range services {
			if err := s.rpc.RegisterName(namespace, service); err != nil {
				return nil, fmt.Errorf("serve: register %s: %w", namespace, err)
			}
			addMethods(known, namespace, service)
		}
	}
	var err error
	s.methods = grouped(known, b.Methods)
	if s.access, err = newAccess(b.Access, b.Suite, b.Log); err != nil {
		return nil, err
	}
	s.access.tokens.changed = s.recordTokens
	if s.tls, err = newTLS(cfg.TLS, b.Log); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(b.Registry, known); err == nil {
		err = s.metrics.watchAccess(s)
	}
	if err != nil {
		return nil, fmt.Errorf("serve: register metrics: %w", err)
	}
	s.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.HeaderTimeout, ReadBufferSize: 16 << 10, WriteBufferSize: 4 << 10, WriteBufferPool: new(sync.Pool),
		CheckOrigin: s.guard.originAllowed,
	}
	return s, nil
}

// Listen opens the ports, so that a taken one is known before anything else starts.
func (s *Server) Listen() error {
	addrs := []string{s.cfg.Addr}
	if s.cfg.WebSocketAddr != "" {
		addrs = append(addrs, s.cfg.WebSocketAddr)
	}
	slots := make(chan struct{}, s.cfg.MaxConnections)
	for i, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return errors.Join(fmt.Errorf("serve: listen on %s: %w", addr, err), s.closeListeners())
		}
		shared := len(addrs) == 1
		bounded := newLimitedListener(l, slots, s.metrics.refused.WithLabelValues("connections"))
		if s.tls == nil {
			s.listen = append(s.listen, bounded)
		} else {
			bounded.silent = true
			s.listen = append(s.listen, tls.NewListener(bounded, s.tls.config()))
		}
		s.http = append(s.http, &http.Server{
			Handler:           s.handler(shared || i == 0, shared || i == 1),
			ReadHeaderTimeout: s.cfg.HeaderTimeout,
			ReadTimeout:       s.cfg.ReadTimeout,
			// net/http counts the answer's time from the request's header on.
			WriteTimeout:   s.cfg.ReadTimeout + s.cfg.RequestTimeout + s.cfg.WriteTimeout,
			IdleTimeout:    s.cfg.IdleTimeout,
			MaxHeaderBytes: 32 << 10,
			ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		})
	}
	return nil
}

// Addr is the address that HTTP listens on, after Listen; tests listen on port 0.
func (s *Server) Addr() string { return s.listen[0].Addr().String() }

// WebSocketAddr is the address that WebSocket listens on, after Listen.
func (s *Server) WebSocketAddr() string { return s.listen[len(s.listen)-1].Addr().String() }

// shutdownTime is what requests in flight get to finish when the node stops.
const shutdownTime = 3 * time.Second

// Run serves until ctx ends, once. It returns when every connection is closed and every request has ended.
func (s *Server) Run(ctx context.Context) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	failed := make(chan error, len(s.http))
	var serving sync.WaitGroup
	for i, h := range s.http {
		h.BaseContext = func(net.Listener) context.Context { return base }
		serving.Go(func() {
			if err := h.Serve(s.listen[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve: %s: %w", s.listen[i].Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(s.stopping)
	grace, stop := context.WithTimeout(base, shutdownTime)
	defer stop()
	for _, h := range s.http {
		if h.Shutdown(grace) != nil {
			h.Close()
		}
	}
	serving.Wait()
	cancel() // whoever still works has had its time
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.running.Wait()
	s.rpc.Stop()
	return err
}

// counted makes Run wait for what next handles.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		stopped := s.stopped
		if !stopped {
			s.running.Add(1)
		}
		s.mu.Unlock()
		if stopped {
			http.Error(w, "the node is stopping", http.StatusServiceUnavailable)
			return
		}
		defer s.running.Done()
		next.ServeHTTP(w, r)
	})
}

// readers lets those through who may read.
func (s *Server) readers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch c, err := s.access.identify(r); {
		case err != nil:
			s.unauthorized(w, r, err)
		case !c.roles.Has(Read):
			http.Error(w, forbidden(c, r.URL.Path, Read).Message, http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.listen {
		errs = append(errs, l.Close())
	}
	s.listen, s.http = nil, nil
	return errors.Join(errs...)
}

// handler routes what the guard lets through.
func (s *Server) handler(rpcOverHTTP, rpcOverWebSocket bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", s.readers(s.metrics.handler()))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case websocket.IsWebSocketUpgrade(r):
			if !rpcOverWebSocket {
				http.Error(w, "WebSocket is served on another port, see websocket_addr", http.StatusNotFound)
				return
			}
			s.serveWebSocket(w, r)
		case r.Method == http.MethodPost:
			if !rpcOverHTTP {
				http.Error(w, "this port serves WebSocket only, see addr", http.StatusNotFound)
				return
			}
			s.servePost(w, r)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			w.WriteHeader(http.StatusOK) // what load balancers ask
		default:
			w.Header().Set("Allow", "POST, GET, OPTIONS")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		}
	})
	return s.counted(s.guard.wrap(mux))
}
