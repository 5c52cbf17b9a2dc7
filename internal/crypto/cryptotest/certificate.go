package cryptotest

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// testCertificates checks the suite's X.509 against the contract.
func testCertificates(t *testing.T, suite crypto.Suite) {
	ca, node, other := mustKey(t, suite), mustKey(t, suite), mustKey(t, suite)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := suite.Issue(rand.Reader, root, root, ca.Public(), ca)
	require.NoError(t, err)
	rootCert, err := suite.ParseCertificate(rootDER)
	require.NoError(t, err)
	require.NoError(t, suite.CheckIssued(rootCert, rootCert))
	require.True(t, rootCert.IsCA)

	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := suite.Issue(rand.Reader, leaf, rootCert, node.Public(), ca)
	require.NoError(t, err)
	cert, err := suite.ParseCertificate(der)
	require.NoError(t, err)
	require.NoError(t, suite.CheckIssued(cert, rootCert))
	key, err := suite.CertifiedKey(cert)
	require.NoError(t, err)
	require.Equal(t, node.Public().Bytes(), key.Bytes(), "the certificate holds the node's key in the node's form")

	imposter, err := suite.Issue(rand.Reader, root, root, other.Public(), other)
	require.NoError(t, err)
	imposterCert, err := suite.ParseCertificate(imposter)
	require.NoError(t, err)
	require.ErrorIs(t, suite.CheckIssued(cert, imposterCert), crypto.ErrSignature)
	for i := range der { // whichever bit is altered, it is no longer this issuer's certificate of this key
		bad := bytes.Clone(der)
		bad[i] ^= 1
		if c, err := suite.ParseCertificate(bad); err == nil {
			require.Error(t, suite.CheckIssued(c, rootCert), "byte %d altered", i)
		}
	}
	for _, bad := range [][]byte{nil, {0x30}, der[:len(der)-1], append(bytes.Clone(der), 0), make([]byte, crypto.MaxCertificate+1)} {
		_, err := suite.ParseCertificate(bad)
		require.ErrorIs(t, err, crypto.ErrCertificate)
	}
}

func testRequests(t *testing.T, suite crypto.Suite) {
	node := mustKey(t, suite)
	der, err := suite.Request(rand.Reader, pkix.Name{CommonName: "node1", Organization: []string{"嘉陵"}}, node)
	require.NoError(t, err)
	r, key, err := suite.ParseRequest(der)
	require.NoError(t, err)
	require.Equal(t, "node1", r.Subject.CommonName)
	require.Equal(t, []string{"嘉陵"}, r.Subject.Organization)
	require.Equal(t, node.Public().Bytes(), key.Bytes())
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		_, _, err := suite.ParseRequest(bad)
		require.Error(t, err, "byte %d altered", i)
	}
	for _, bad := range [][]byte{nil, {0x30}, der[:len(der)-1], append(bytes.Clone(der), 0), make([]byte, crypto.MaxCertificate+1)} {
		_, _, err := suite.ParseRequest(bad)
		require.ErrorIs(t, err, crypto.ErrCertificate)
	}
}

// RunForeign checks that suite refuses the certificates and requests of another suite by name.
func RunForeign(t *testing.T, suite, foreign crypto.Suite) {
	key := mustKey(t, foreign)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0)}
	der, err := foreign.Issue(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	_, err = suite.ParseCertificate(der)
	require.ErrorIs(t, err, crypto.ErrCertificateSuite)
	request, err := foreign.Request(rand.Reader, pkix.Name{CommonName: "node"}, key)
	require.NoError(t, err)
	_, _, err = suite.ParseRequest(request)
	require.ErrorIs(t, err, crypto.ErrCertificateSuite)
}

func mustKey(t *testing.T, suite crypto.Suite) crypto.SecretKey {
	t.Helper()
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}
