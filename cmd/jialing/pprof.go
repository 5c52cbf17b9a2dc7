package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// pprofHeaderTimeout ends a connection that does not send its request's header.
const pprofHeaderTimeout = 10 * time.Second

// serveProfiles serves Go's profiles under /debug/pprof/ on a port of their own, never on the RPC's: they cost CPU and show what the process
// does. It returns the URL, empty without addr, and what closes it.
func serveProfiles(addr string) (url string, stop func(), err error) {
	if addr == "" {
		return "", func() {}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("listen for profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: pprofHeaderTimeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Serve ends with ErrServerClosed by stop; anything else ends the profiles and not the node.
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			listener.Close()
		}
	}()
	return "http://" + reachable(listener.Addr().String()), func() { server.Close(); <-done }, nil
}
