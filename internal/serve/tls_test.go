package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

func requestWith(t testing.TB, authorization string) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "/", nil)
	require.NoError(t, err)
	r.RemoteAddr = "127.0.0.1:50000"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	a := new(authority)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	a.cert, a.key = a.sign(t, template)
	return a
}

func (a *authority) sign(t testing.TB, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

// issue makes a certificate for servers on loopback and for clients, and gives its PEM and its key's.
func (a *authority) issue(t testing.TB, organisation, name string, until time.Time) (cert, key []byte) {
	c, k := a.sign(t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Organization: []string{organisation}, CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// client trusts a and shows the pair, if there is one.
func (a *authority) client(t testing.TB, pair ...[]byte) *tls.Config {
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.cert)
	if pair != nil {
		p, err := tls.X509KeyPair(pair[0], pair[1])
		require.NoError(t, err)
		c.Certificates = []tls.Certificate{p}
	}
	return c
}

func secureCall(s *served, c *tls.Config, body string) (int, string, error) {
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}).Post("https://"+s.Addr(), "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func startTLS(t testing.TB, a *authority, auth string, change func(*AccessConfig)) (s *served, dir string) {
	dir = t.TempDir()
	cert, key := a.issue(t, "servers", "node", time.Now().Add(time.Hour))
	for name, b := range map[string][]byte{"rpc.crt": cert, "rpc.key": key, "clients.crt": a.pem()} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return startWith(t, func(cfg *Config, access *AccessConfig) {
		cfg.TLS = TLSConfig{CertFile: filepath.Join(dir, "rpc.crt"), KeyFile: filepath.Join(dir, "rpc.key"), ClientAuth: auth}
		if auth != "none" {
			cfg.TLS.ClientCAFile = filepath.Join(dir, "clients.crt")
		}
		if change != nil {
			change(access)
		}
	}), dir
}

func TestTLSNamesClients(t *testing.T) {
	a := newAuthority(t)
	grants := func(c *AccessConfig) {
		c.Anonymous = []string{"read"}
		c.Certificates = []CertificateGrant{{Organisation: "bank", Roles: []string{"read", "submit"}}, {Organisation: "bank", Name: "ops", Roles: []string{"admin"}}}
	}
	s, _ := startTLS(t, a, "optional", grants)
	later := time.Now().Add(time.Hour)
	ops1, ops2 := a.issue(t, "bank", "ops", later)
	desk1, desk2 := a.issue(t, "bank", "desk", later)
	guest1, guest2 := a.issue(t, "other", "ops", later)
	for _, c := range []struct {
		who     string
		tls     *tls.Config
		request string
		says    string
	}{
		{"nobody reads", a.client(t), call("test_add", 1, 2), `"result":3`},
		{"nobody does not administer", a.client(t), call("test_change", "x"), "came as anonymous"},
		{"what entries grant adds up", a.client(t, ops1, ops2), call("test_change", "x"), `"result":"changed"`},
		{"another of the organisation", a.client(t, desk1, desk2), call("test_change", "x"), `needs a certificate with the role \"admin\", and this call came as certificate bank/desk`},
		{"one that no entry fits is as good as nobody", a.client(t, guest1, guest2), call("test_add", 1, 2), `"result":3`},
		{"and no better", a.client(t, guest1, guest2), call("test_change", "x"), "[[access.certificates]]"},
	} {
		status, body, err := secureCall(s, c.tls, c.request)
		require.NoError(t, err, c.who)
		require.Equal(t, 200, status)
		require.Contains(t, body, c.says, c.who)
	}
	dialer := websocket.Dialer{TLSClientConfig: a.client(t, ops1, ops2)}
	conn, _, err := dialer.Dial("wss://"+s.WebSocketAddr(), nil)
	require.NoError(t, err)
	defer conn.Close()
	send(t, conn, call("test_change", "y"))
	require.Contains(t, receive(t, conn), `"result":"changed"`)
	require.Contains(t, s.noted(), `begin certificate bank/ops: test_change ["y"]`)
}

func TestTLSRefuses(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	s, _ := startTLS(t, a, "required", nil)
	stranger1, stranger2 := b.issue(t, "bank", "ops", time.Now().Add(time.Hour))
	expired1, expired2 := a.issue(t, "bank", "ops", time.Now().Add(-time.Minute))
	old := a.client(t)
	old.MaxVersion = tls.VersionTLS11
	for who, c := range map[string]*tls.Config{
		"no certificate": a.client(t), "another authority's": a.client(t, stranger1, stranger2), "an expired one": a.client(t, expired1, expired2), "TLS 1.1": old,
	} {
		_, _, err := secureCall(s, c, call("test_add", 1, 2))
		require.ErrorContains(t, err, "tls:", who)
	}
	status, body, err := secureCall(s, &tls.Config{}, "")
	require.Error(t, err, "%d %s: who does not know the authority goes away", status, body)
	resp, err := http.Post("http://"+s.Addr(), "application/json", strings.NewReader(call("test_add", 1, 2)))
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode, "plain HTTP is told that this is HTTPS")
	resp.Body.Close()
}

func TestTLSFilesAreReadAgain(t *testing.T) {
	a := newAuthority(t)
	s, dir := startTLS(t, a, "none", nil)
	until := func() int64 {
		conn, err := tls.Dial("tcp", s.Addr(), a.client(t))
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].NotAfter.Unix()
	}
	first := until()
	write := func(cert, key []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc.crt"), cert, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc.key"), key, 0o600))
	}
	later := time.Now().Add(30 * time.Minute)
	cert, key := a.issue(t, "servers", "node", later)
	_, otherKey := a.issue(t, "servers", "node", later)
	write(cert, otherKey)
	_, err := s.Reload()
	require.ErrorContains(t, err, "private key does not match")
	require.Equal(t, first, until(), "the old one stays")
	require.EqualValues(t, 1, s.AccessStatus().Failures)
	write(cert, key)
	// The pause has passed, as far as the watch can tell.
	s.tls.watch.last.Store(0)
	require.Equal(t, later.Unix(), until(), "and a handshake takes the new one by itself")
	require.Equal(t, later.Unix(), s.AccessStatus().Expires.Unix())
	_, metrics, err := secureGet(s, a.client(t), "/metrics")
	require.NoError(t, err)
	require.Contains(t, metrics, "jialing_rpc_reload_failures_total 1")
	require.Contains(t, metrics, "jialing_rpc_certificate_expires_seconds ")
}

func secureGet(s *served, c *tls.Config, path string) (int, string, error) {
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}).Get("https://" + s.Addr() + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestTLSConfigValidate(t *testing.T) {
	for says, c := range map[string]TLSConfig{
		"belong together": {CertFile: "a"}, "client_auth \"x\" is unknown": {ClientAuth: "x"}, "needs tls.cert_file": {ClientAuth: "required"},
		"whose certificates": {CertFile: "a", KeyFile: "b", ClientAuth: "optional"},
	} {
		cfg := DefaultConfig()
		cfg.TLS = c
		require.ErrorContains(t, cfg.Validate(), says)
	}
	_, err := newTLS(TLSConfig{CertFile: "nowhere", KeyFile: "nowhere"}, nil)
	require.ErrorContains(t, err, "read the TLS certificate nowhere")
}
