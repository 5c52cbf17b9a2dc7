package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// TLSConfig puts TLS around HTTP and WebSocket. Empty files leave it off.
type TLSConfig struct {
	// CertFile is a PEM file: the server's certificate, then the authorities between it and a root. KeyFile is its private key. Within the node's folder.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// ClientCAFile holds the authorities whose client certificates are taken.
	ClientCAFile string `toml:"client_ca_file"`
	// ClientAuth is "none", "optional" or "required".
	ClientAuth string `toml:"client_auth"`
}

// Enabled tells whether the ports speak TLS.
func (c *TLSConfig) Enabled() bool { return c.CertFile != "" || c.KeyFile != "" }

var clientAuth = map[string]tls.ClientAuthType{
	"": tls.NoClientCert, "none": tls.NoClientCert, "optional": tls.VerifyClientCertIfGiven, "required": tls.RequireAndVerifyClientCert,
}

func (c *TLSConfig) validate() error {
	auth, ok := clientAuth[c.ClientAuth]
	switch {
	case !ok:
		return fmt.Errorf("serve: tls.client_auth %q is unknown, use none, optional or required", c.ClientAuth)
	case c.Enabled() && (c.CertFile == "" || c.KeyFile == ""):
		return errors.New("serve: tls.cert_file and tls.key_file belong together")
	case auth != tls.NoClientCert && !c.Enabled():
		return errors.New("serve: tls.client_auth needs tls.cert_file and tls.key_file")
	case auth != tls.NoClientCert && c.ClientCAFile == "":
		return errors.New("serve: tls.client_auth needs tls.client_ca_file: whose certificates shall be taken?")
	}
	return nil
}

// tlsState is the certificate and authorities in force, read again when their files change. Safe for concurrent use.
type tlsState struct {
	cfg     TLSConfig
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	expires atomic.Int64 // Unix seconds

	mu    sync.Mutex // guards watch, and reading
	watch watch
}

// newTLS is nil where TLS is off.
func newTLS(cfg TLSConfig, log *slog.Logger) (*tlsState, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	paths := []string{cfg.CertFile, cfg.KeyFile}
	if cfg.ClientCAFile != "" {
		paths = append(paths, cfg.ClientCAFile)
	}
	s := &tlsState{cfg: cfg, log: log, watch: newWatch(paths...)}
	s.watch.changed(time.Now())
	return s, s.read()
}

// cipherSuites are those of TLS 1.2 with forward secrecy and authenticated encryption; TLS 1.3 has no others.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// read takes the files; on an error nothing changes.
func (s *tlsState) read() error {
	cert, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("serve: read the TLS certificate %s and its key %s: %w", s.cfg.CertFile, s.cfg.KeyFile, err)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, CipherSuites: cipherSuites, ClientAuth: clientAuth[s.cfg.ClientAuth],
		// WebSocket begins as HTTP/1.1.
		NextProtos: []string{"http/1.1"},
		// A resumed session would not ask for the client's certificate again, whatever has happened to its authority.
		SessionTicketsDisabled: true,
	}
	if s.cfg.ClientCAFile != "" {
		pem, err := os.ReadFile(s.cfg.ClientCAFile)
		if err != nil {
			return fmt.Errorf("serve: read the clients' authorities: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("serve: read the clients' authorities: %s holds no certificate that TLS can use", s.cfg.ClientCAFile)
		}
	}
	s.expires.Store(cert.Leaf.NotAfter.Unix())
	s.current.Store(c)
	return nil
}

// config is what listeners use: each handshake looks whether the files have changed.
func (s *tlsState) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			_ = s.refresh(time.Now(), false) // it has told the log, and what was stays
			return s.current.Load(), nil
		},
	}
}

// refresh reads the files again when they have changed, or when it is forced to. A certificate and key that are being replaced one after the other do not
// fit for a moment: then the old ones stay, and the next look takes the new ones.
func (s *tlsState) refresh(now time.Time, force bool) error {
	if !force && !s.watch.due(now) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watch.changed(now) && !force {
		return nil
	}
	if err := s.read(); err != nil {
		s.watch.failures.Add(1)
		s.log.Warn("the TLS files have changed and cannot be used; the old ones stay in force", "err", err)
		return err
	}
	s.log.Info("the TLS files were read again", "expires", time.Unix(s.expires.Load(), 0).UTC())
	return nil
}
