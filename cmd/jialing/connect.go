package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"github.com/jialing-chain/jialing/client"
)

// How commands prove who they are to a node: the environment, since all commands share it and a command line is seen by others on the machine.
const (
	// tokenVar names the file that holds a token.
	tokenVar = "JIALING_TOKEN_FILE"
	// authorityVar names the PEM file of the authorities that a node's TLS certificate is checked with; the system's without it.
	authorityVar = "JIALING_RPC_CA"
	// certificateVar and certificateKeyVar name the PEM files of a client certificate and its key.
	certificateVar    = "JIALING_RPC_CERT"
	certificateKeyVar = "JIALING_RPC_KEY"
)

// credentials are what a connection to a node is made with.
type credentials struct {
	token string
	tls   *tls.Config // nil: the system's
}

// readCredentials reads what the environment names, for a node's URL. A token is not sent in clear to another machine.
func readCredentials(rawURL string) (c credentials, err error) {
	if path := os.Getenv(tokenVar); path != "" {
		b, err := readBounded(path)
		if err != nil {
			return c, fmt.Errorf("read the token: %w", err)
		}
		c.token = strings.TrimSpace(string(b))
		u, err := url.Parse(rawURL)
		if err != nil {
			return c, fmt.Errorf("%q is no URL", rawURL)
		}
		ip := net.ParseIP(u.Hostname())
		if (u.Scheme == "http" || u.Scheme == "ws") && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return c, fmt.Errorf("a token is not sent to %s in clear, where others could read it: use https or wss, or unset %s", u.Host, tokenVar)
		}
	}
	authority, cert, key := os.Getenv(authorityVar), os.Getenv(certificateVar), os.Getenv(certificateKeyVar)
	if authority == "" && cert == "" {
		return c, nil
	}
	c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return c, fmt.Errorf("read %s: %w", authorityVar, err)
		}
		c.tls.RootCAs = x509.NewCertPool()
		if !c.tls.RootCAs.AppendCertsFromPEM(pem) {
			return c, fmt.Errorf("read %s: %s holds no certificate", authorityVar, authority)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return c, fmt.Errorf("read %s and %s: %w", certificateVar, certificateKeyVar, err)
		}
		c.tls.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// transport is HTTP with the credentials' TLS.
func (c credentials) transport() *http.Client {
	if c.tls == nil {
		return http.DefaultClient
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = c.tls
	return &http.Client{Transport: t}
}

// authorize adds the token to a header.
func (c credentials) authorize(h http.Header) {
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
}

// connect dials a node with the environment's credentials.
func connect(ctx context.Context, rawURL string) (*client.Client, error) {
	c, err := readCredentials(rawURL)
	if err != nil {
		return nil, err
	}
	header := make(http.Header)
	c.authorize(header)
	opts := []rpc.ClientOption{rpc.WithHeaders(header)}
	if c.tls != nil {
		opts = append(opts, rpc.WithHTTPClient(c.transport()), rpc.WithWebsocketDialer(websocket.Dialer{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c.tls}))
	}
	conn, err := client.Dial(ctx, rawURL, opts...)
	return conn, refusal(err)
}

// errRefused is a node that does not let the command in, with its sentence.
var errRefused = errors.New("the node does not let this command in")

// refusal gives a node's own sentence where it answered 401.
func refusal(err error) error {
	var answered rpc.HTTPError
	if !errors.As(err, &answered) || answered.StatusCode != http.StatusUnauthorized {
		return err
	}
	return fmt.Errorf("%w: %s", errRefused, refusalText(answered.Body))
}
