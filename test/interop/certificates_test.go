package interop_test

import (
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/pki"
)

// authorities is an openssl configuration for a root, an intermediate and a node.
const authorities = `
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[intermediate]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[node]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[encryption]
basicConstraints = critical,CA:FALSE
keyUsage = critical,keyEncipherment
`

// external is a certificate authority that openssl runs, of a root and an intermediate, in a folder.
type external struct {
	openssl
	dir                   string
	digest, sign, request []string
}

// x509Kind is how openssl is told of a suite.
type x509Kind struct {
	suite  crypto.Suite
	key    []string
	digest string
	// distid is SM2's identifier, which openssl wants to be told where it signs and where it verifies.
	distid string
}

var x509Kinds = map[string]x509Kind{
	"gm":   {gm.Suite{}, []string{"-algorithm", "SM2"}, "-sm3", "distid:1234567812345678"},
	"intl": {intl.Suite{}, []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, "-sha256", ""},
}

func newExternal(t *testing.T, kind x509Kind) *external {
	e := &external{openssl: startOpenSSL(t).(openssl), dir: t.TempDir(), digest: []string{kind.digest}}
	if kind.distid != "" {
		e.sign, e.request = []string{"-sigopt", kind.distid}, []string{"-vfyopt", kind.distid}
	}
	require.NoError(t, os.WriteFile(e.path("ca.cnf"), []byte(authorities), 0o644))
	for _, name := range []string{"root", "intermediate"} {
		e.run(t, append([]string{"genpkey", "-out", e.path(name + ".key")}, kind.key...)...)
	}
	e.run(t, e.with([]string{"req", "-new", "-x509", "-key", e.path("root.key"), "-config", e.path("ca.cnf"), "-extensions", "root", "-subj", "/O=Bank A/CN=external root",
		"-days", "3650", "-out", e.path("root.crt")}, e.digest, e.sign)...)
	e.run(t, e.with([]string{"req", "-new", "-key", e.path("intermediate.key"), "-config", e.path("ca.cnf"), "-subj", "/O=Bank A/CN=external intermediate",
		"-out", e.path("intermediate.csr")}, e.digest, e.sign)...)
	e.issue(t, "root", "intermediate", "intermediate")
	return e
}

func (e *external) path(name string) string { return filepath.Join(e.dir, name) }

func (*external) with(args []string, more ...[]string) []string {
	for _, m := range more {
		args = append(args, m...)
	}
	return args
}

// issue makes NAME.crt of NAME.csr, signed by an authority, and returns it.
func (e *external) issue(t *testing.T, by, name, section string) []byte {
	t.Helper()
	e.run(t, e.with([]string{"x509", "-req", "-in", e.path(name + ".csr"), "-CA", e.path(by + ".crt"), "-CAkey", e.path(by + ".key"), "-CAcreateserial", "-days", "300",
		"-extfile", e.path("ca.cnf"), "-extensions", section, "-out", e.path(name + ".crt")}, e.digest, e.sign, e.request)...)
	return e.read(t, name)
}

func (e *external) read(t *testing.T, name string) []byte {
	b, err := os.ReadFile(e.path(name + ".crt"))
	require.NoError(t, err)
	block, _ := pem.Decode(b)
	require.NotNil(t, block)
	return block.Bytes
}

// accepts verifies with openssl that issuer issued the certificate. One step at a time: openssl 3.0 passes SM2's identifier to the first certificate alone.
func (e *external) accepts(t *testing.T, certificate, issuer []byte, purpose string) {
	t.Helper()
	e.run(t, e.with([]string{"verify", "-partial_chain", "-trusted", pemFile(t, "CERTIFICATE", issuer), "-purpose", purpose}, e.request,
		[]string{pemFile(t, "CERTIFICATE", certificate)})...)
}

// TestExternalAuthorities: openssl's root and intermediate certify a node by our request, and the chain's rules take it.
func TestExternalAuthorities(t *testing.T) {
	for name, kind := range x509Kinds {
		t.Run(name, func(t *testing.T) {
			e := newExternal(t, kind)
			node, err := kind.suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			request, err := kind.suite.Request(rand.Reader, pki.NodeName("Bank A", "node1", pki.Validator), node)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(e.path("node.csr"), pki.EncodeRequest(request), 0o644))
			out := e.run(t, e.with([]string{"req", "-in", e.path("node.csr"), "-noout", "-verify", "-subject"}, e.request)...)
			require.Contains(t, string(out), "verify OK")
			leaf, intermediate, root := e.issue(t, "intermediate", "node", "node"), e.read(t, "intermediate"), e.read(t, "root")

			require.NoError(t, pki.CheckRoot(kind.suite, root))
			for what, c := range map[string]struct {
				registered pki.Organisation
				shown      [][]byte
			}{
				"shown intermediate":      {pki.Organisation{Name: "Bank A", Roots: [][]byte{root}}, [][]byte{leaf, intermediate}},
				"registered intermediate": {pki.Organisation{Name: "Bank A", Roots: [][]byte{root}, Intermediates: [][]byte{intermediate}}, [][]byte{leaf}},
			} {
				r := pki.NewRegistry(kind.suite, []pki.Organisation{c.registered})
				require.Empty(t, r.Problems())
				got, err := r.Verify(c.shown, node.Public().Bytes(), time.Now(), 0)
				require.NoError(t, err, what)
				require.Equal(t, pki.Validator, got.Role)
				require.Equal(t, "Bank A", got.Organisation)
			}
			r := pki.NewRegistry(kind.suite, []pki.Organisation{{Name: "Bank A", Roots: [][]byte{root}}})
			wrong := e.issue(t, "intermediate", "node", "encryption")
			_, err = r.Verify([][]byte{wrong, intermediate}, node.Public().Bytes(), time.Now(), 0)
			require.Equal(t, pki.WrongUsage, pki.ReasonOf(err))
			_, err = r.Verify([][]byte{leaf}, node.Public().Bytes(), time.Now(), 0)
			require.Equal(t, pki.UnknownRoot, pki.ReasonOf(err))
			other := x509Kinds[map[string]string{"gm": "intl", "intl": "gm"}[name]]
			_, err = pki.NewRegistry(other.suite, nil).Verify([][]byte{leaf, intermediate}, node.Public().Bytes(), time.Now(), 0)
			require.Equal(t, pki.WrongSuite, pki.ReasonOf(err))
		})
	}
}

// TestOpenSSLTakesOurCertificates: root, intermediate and node's certificate of our own authority.
func TestOpenSSLTakesOurCertificates(t *testing.T) {
	for name, kind := range x509Kinds {
		t.Run(name, func(t *testing.T) {
			e := newExternal(t, kind)
			rootKey, err := kind.suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			lowerKey, err := kind.suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			node, err := kind.suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			root, err := pki.NewRoot(kind.suite, rand.Reader, "嘉陵银行", rootKey, time.Now(), 1000*time.Hour)
			require.NoError(t, err)
			upper := &pki.Issuer{Suite: kind.suite, Chain: [][]byte{root}, Key: rootKey, Rand: rand.Reader}
			intermediate, err := upper.Intermediate("online", lowerKey.Public(), time.Now(), 1000*time.Hour)
			require.NoError(t, err)
			lower := &pki.Issuer{Suite: kind.suite, Chain: [][]byte{intermediate}, Key: lowerKey, Rand: rand.Reader}
			leaf, err := lower.Node("嘉陵银行", "node1", pki.Validator, node.Public(), time.Now(), 1000*time.Hour)
			require.NoError(t, err)
			e.accepts(t, leaf, intermediate, "sslserver")
			e.accepts(t, leaf, intermediate, "sslclient")
			e.accepts(t, intermediate, root, "any")
			e.accepts(t, root, root, "any")
			text := string(e.run(t, "x509", "-in", pemFile(t, "CERTIFICATE", leaf), "-noout", "-text", "-nameopt", "utf8"))
			require.Contains(t, text, "OU=validator")
			require.Contains(t, text, "O=嘉陵银行")
		})
	}
}
