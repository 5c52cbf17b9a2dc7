package serve

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// Config bounds what clients can cost. Every limit has a default that suits one node on one machine.
type Config struct {
	// Addr is the host:port for HTTP and, unless WebSocketAddr is set, WebSocket. The default is loopback: whoever opens the node to a
	// network decides so.
	Addr string `toml:"addr"`
	// WebSocketAddr moves WebSocket to a port of its own, for firewalls that treat long-lived connections differently. "" shares Addr.
	WebSocketAddr string `toml:"websocket_addr"`
	// Hosts are the Host headers that are answered, besides IP addresses; others get 403, so that a web page cannot reach a node by a
	// name it controls (DNS rebinding). "*" answers all.
	Hosts []string `toml:"hosts"`
	// Origins are the web origins (scheme://host:port) that browsers may call from. "*" is all; same-origin always may.
	Origins []string `toml:"origins"`
	// TLS is the ports' certificate and what is asked of clients'.
	TLS TLSConfig `toml:"tls"`

	// MaxConnections is how many sockets are open at once, over both ports; one more is answered 503 and closed. Each costs two goroutines
	// and some 40 KiB, so the default fits in 100 MiB.
	MaxConnections int `toml:"max_connections"`
	// MaxRequestBytes bounds one HTTP body or WebSocket message: 8 MiB take a batch of 1,000 transactions of 4 KiB in hex.
	MaxRequestBytes int `toml:"max_request_bytes"`
	// MaxBufferedBytes bounds the bytes of all requests being read and all answers being written that are held at once, beyond 64 KiB each:
	// many large ones cannot add up to all memory. Who does not fit is told to come back.
	MaxBufferedBytes int64 `toml:"max_buffered_bytes"`
	// MaxBatchItems bounds a batch; 1,000 is what geth takes, so tools are built for it.
	MaxBatchItems int `toml:"max_batch_items"`
	// MaxBatchResponseBytes ends a batch whose answers add up to more; the rest is answered with an error. It is geth's 25 MB.
	MaxBatchResponseBytes int `toml:"max_batch_response_bytes"`
	// MaxInFlight is how many messages of one WebSocket connection run at once; the next one is not read before one ends, so a client
	// that does not wait is slowed down by TCP instead of filling memory.
	MaxInFlight int `toml:"max_in_flight"`
	// MaxSubscriptions bounds those of one WebSocket connection; each costs a goroutine.
	MaxSubscriptions int `toml:"max_subscriptions"`

	// HeaderTimeout ends a connection that does not send its request's header.
	HeaderTimeout time.Duration `toml:"header_timeout"`
	// ReadTimeout ends a request that is not there whole by then.
	ReadTimeout time.Duration `toml:"read_timeout"`
	// RequestTimeout is the longest that a request may take; its caller then gets error -32002 and its work is cancelled.
	RequestTimeout time.Duration `toml:"request_timeout"`
	// WriteTimeout ends a connection that does not take its answer.
	WriteTimeout time.Duration `toml:"write_timeout"`
	// IdleTimeout closes an HTTP connection without requests, and a WebSocket connection that does not answer a ping for that long.
	IdleTimeout time.Duration `toml:"idle_timeout"`
}

// DefaultConfig listens on loopback's usual port.
func DefaultConfig() Config {
	return Config{
		Addr:                  "127.0.0.1:8545",
		Hosts:                 []string{"localhost"},
		Origins:               []string{},
		TLS:                   TLSConfig{ClientAuth: "none"},
		MaxConnections:        2000,
		MaxRequestBytes:       8 << 20,
		MaxBufferedBytes:      256 << 20,
		MaxBatchItems:         1000,
		MaxBatchResponseBytes: 25_000_000,
		MaxInFlight:           32,
		MaxSubscriptions:      128,
		HeaderTimeout:         10 * time.Second,
		ReadTimeout:           30 * time.Second,
		RequestTimeout:        30 * time.Second,
		WriteTimeout:          15 * time.Second,
		IdleTimeout:           2 * time.Minute,
	}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	if err := validAddr("addr", c.Addr); err != nil {
		return err
	}
	if c.WebSocketAddr != "" {
		if err := validAddr("websocket_addr", c.WebSocketAddr); err != nil {
			return err
		}
	}
	for _, n := range []struct {
		name            string
		value, min, max int64
	}{
		{"max_connections", int64(c.MaxConnections), 1, 1 << 20},
		{"max_request_bytes", int64(c.MaxRequestBytes), 1 << 10, 1 << 30},
		{"max_buffered_bytes", c.MaxBufferedBytes, int64(c.MaxRequestBytes), 1 << 40},
		{"max_batch_items", int64(c.MaxBatchItems), 1, 1 << 20},
		{"max_batch_response_bytes", int64(c.MaxBatchResponseBytes), 1 << 10, 1 << 30},
		{"max_in_flight", int64(c.MaxInFlight), 1, 1 << 16},
		{"max_subscriptions", int64(c.MaxSubscriptions), 1, 1 << 16},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("serve: %s must be %d to %d, is %d", n.name, n.min, n.max, n.value)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"header_timeout", c.HeaderTimeout}, {"read_timeout", c.ReadTimeout}, {"request_timeout", c.RequestTimeout},
		{"write_timeout", c.WriteTimeout}, {"idle_timeout", c.IdleTimeout},
	} {
		if d.value < time.Second/10 || d.value > time.Hour {
			return fmt.Errorf("serve: %s must be 100ms to 1h, is %s", d.name, d.value)
		}
	}
	if err := c.TLS.validate(); err != nil {
		return err
	}
	if slices.Contains(c.Hosts, "") {
		return errors.New("serve: hosts holds an empty name")
	}
	for _, o := range c.Origins {
		if o != "*" && !validOrigin(o) {
			return fmt.Errorf("serve: origins: %q is not scheme://host[:port] or \"*\"", o)
		}
	}
	return nil
}

func validAddr(field, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("serve: %s: %w", field, err)
	}
	return nil
}
