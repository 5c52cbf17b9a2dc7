package interop_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// openssl is OpenSSL's command line. Keys are PEM files (PKCS #8 and SubjectPublicKeyInfo), signatures DER.
type openssl struct{ program string }

func startOpenSSL(t *testing.T) party {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: OpenSSL was not tested")
	}
	version, err := exec.Command(program, "version").Output()
	require.NoError(t, err)
	t.Logf("%s", version)
	if !strings.HasPrefix(string(version), "OpenSSL 3.") {
		t.Skipf("this is %s and not OpenSSL 3: OpenSSL was not tested", version)
	}
	return openssl{program}
}

func (o openssl) run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(o.program, args...).CombinedOutput()
	require.NoError(t, err, "openssl %s: %s", strings.Join(args, " "), out)
	return out
}

func (o openssl) hash(t *testing.T, msg []byte) []byte {
	return o.run(t, "dgst", "-sm3", "-binary", file(t, msg))
}

func (o openssl) generate(t *testing.T) key {
	block, rest := pem.Decode(o.run(t, "genpkey", "-algorithm", "SM2"))
	require.NotNil(t, block)
	require.Empty(t, rest)
	parsed, err := smx509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	ours, err := sm2.ParsePrivateKey(parsed.(*gmsm.PrivateKey).D.FillBytes(make([]byte, 32)))
	require.NoError(t, err)
	return key{ours.Bytes(), ours.Public().Bytes()}
}

func (o openssl) sign(t *testing.T, k key, id string, msg []byte) []byte {
	ours, err := sm2.ParsePrivateKey(k.private)
	require.NoError(t, err)
	der, err := smx509.MarshalPKCS8PrivateKey(ours.Key())
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "sig")
	o.run(t, "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:"+id, "-inkey", pemFile(t, "PRIVATE KEY", der), "-in", file(t, msg), "-out", out)
	sig, err := os.ReadFile(out)
	require.NoError(t, err)
	sig, err = sm2.DecodeDER(sig)
	require.NoError(t, err)
	return sig
}

func (o openssl) verify(t *testing.T, public []byte, id string, msg, sig []byte) bool {
	der, err := sm2.EncodeDER(sig)
	return err == nil && o.verifyDER(t, public, id, msg, der)
}

func (o openssl) verifyDER(t *testing.T, public []byte, id string, msg, der []byte) bool {
	ours, err := sm2.ParsePublicKey(public)
	require.NoError(t, err)
	spki, err := smx509.MarshalPKIXPublicKey(ours.Key())
	require.NoError(t, err)
	out, err := exec.Command(o.program, "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:"+id, "-pubin",
		"-inkey", pemFile(t, "PUBLIC KEY", spki), "-in", file(t, msg), "-sigfile", file(t, der)).CombinedOutput()
	if err == nil {
		require.Contains(t, string(out), "Signature Verified Successfully")
		return true
	}
	require.Contains(t, string(out), "Signature Verification Failure", "it must have got as far as the signature")
	return false
}

func file(t *testing.T, content []byte) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f.Name()
}

func pemFile(t *testing.T, kind string, der []byte) string {
	return file(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
