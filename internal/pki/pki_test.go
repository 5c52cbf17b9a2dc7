package pki_test

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
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/pki"
)

var (
	now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	day = 24 * time.Hour
)

// onBoth runs a test on both suites, with the other one at hand.
func onBoth(t *testing.T, f func(t *testing.T, suite, other crypto.Suite)) {
	t.Run("intl", func(t *testing.T) { f(t, intl.Suite{}, gm.Suite{}) })
	t.Run("gm", func(t *testing.T) { f(t, gm.Suite{}, intl.Suite{}) })
}

func newKey(t testing.TB, suite crypto.Suite) crypto.SecretKey {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// authority is an organisation's CA with its root.
func authority(t testing.TB, suite crypto.Suite, organisation string) *pki.Issuer {
	key := newKey(t, suite)
	root, err := pki.NewRoot(suite, rand.Reader, organisation, key, now.Add(-day), 3650*day)
	require.NoError(t, err)
	require.NoError(t, pki.CheckRoot(suite, root))
	return &pki.Issuer{Suite: suite, Chain: [][]byte{root}, Key: key, Rand: rand.Reader}
}

// under is an authority under another one.
func under(t testing.TB, up *pki.Issuer, name string, lifetime time.Duration) *pki.Issuer {
	key := newKey(t, up.Suite)
	der, err := up.Intermediate(name, key.Public(), now.Add(-day), lifetime)
	require.NoError(t, err)
	return &pki.Issuer{Suite: up.Suite, Chain: [][]byte{der}, Key: key, Rand: rand.Reader}
}

func issue(t testing.TB, i *pki.Issuer, organisation string, role pki.Role, key crypto.PrivateKey) []byte {
	der, err := i.Node(organisation, "node1", role, key.Public(), now.Add(-day), 365*day)
	require.NoError(t, err)
	return der
}

func registry(suite crypto.Suite, orgs ...pki.Organisation) *pki.Registry {
	return pki.NewRegistry(suite, orgs)
}

func serial(t testing.TB, suite crypto.Suite, der []byte) []byte {
	c, err := suite.ParseCertificate(der)
	require.NoError(t, err)
	return c.SerialNumber.Bytes()
}

func TestRolesAndWays(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, _ crypto.Suite) {
		root := authority(t, suite, "嘉陵银行")
		first := under(t, root, "first", 1000*day)
		second := under(t, first, "second", 100*day)
		key := newKey(t, suite)
		r := registry(suite, pki.Organisation{Name: "other", Roots: authority(t, suite, "other").Chain},
			pki.Organisation{Name: "嘉陵银行", Roots: [][]byte{authority(t, suite, "嘉陵银行").Chain[0], root.Chain[0]}})
		require.Empty(t, r.Problems())
		for _, role := range pki.Roles {
			leaf := issue(t, root, "嘉陵银行", role, key)
			got, err := r.Verify([][]byte{leaf}, key.Public().Bytes(), now, 0)
			require.NoError(t, err)
			require.Equal(t, role, got.Role)
			require.Equal(t, "嘉陵银行", got.Organisation)
			require.Equal(t, "node1", got.Name)
			require.Equal(t, serial(t, suite, leaf), got.Serial)
			require.Equal(t, now.Add(364*day), got.NotAfter)
			require.Equal(t, got.NotAfter, got.Until)
		}
		// Under two intermediates, shown or registered; it holds until the first of them expires.
		leaf, err := second.Node("嘉陵银行", "node1", pki.Full, key.Public(), now.Add(-day), 50*day)
		require.NoError(t, err)
		got, err := r.Verify([][]byte{leaf, second.Chain[0], first.Chain[0]}, key.Public().Bytes(), now, 0)
		require.NoError(t, err)
		require.Equal(t, now.Add(49*day), got.Until)
		_, err = r.Verify([][]byte{leaf, first.Chain[0]}, key.Public().Bytes(), now, 0)
		require.Equal(t, pki.UnknownRoot, pki.ReasonOf(err), "the second is missing")
		with := registry(suite, pki.Organisation{Name: "嘉陵银行", Roots: root.Chain, Intermediates: [][]byte{first.Chain[0], second.Chain[0]}})
		_, err = with.Verify([][]byte{leaf}, key.Public().Bytes(), now, 0)
		require.NoError(t, err)
		require.Len(t, with.Authorities(), 3)
		require.Equal(t, []string{"other", "嘉陵银行"}, r.Organisations())
		// An authority's life bounds what it issues.
		long, err := second.Node("嘉陵银行", "node1", pki.Full, key.Public(), now, 5000*day)
		require.NoError(t, err)
		got, err = with.Verify([][]byte{long}, key.Public().Bytes(), now, 0)
		require.NoError(t, err)
		require.Equal(t, now.Add(99*day), got.NotAfter)
	})
}

// TestRefusals has one certificate for every way to be wrong.
func TestRefusals(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, other crypto.Suite) {
		root, second, foreign := authority(t, suite, "Bank A"), authority(t, suite, "Bank B"), authority(t, other, "Bank A")
		key, stranger := newKey(t, suite), newKey(t, suite)
		good := issue(t, root, "Bank A", pki.Validator, key)
		// custom issues what our own tool never would.
		custom := func(by *pki.Issuer, alter func(*x509.Certificate)) []byte {
			c := &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pki.NodeName("Bank A", "node1", pki.Full), NotBefore: now.Add(-day), NotAfter: now.Add(day),
				BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
			alter(c)
			issuer, err := suite.ParseCertificate(by.Chain[0])
			require.NoError(t, err)
			der, err := suite.Issue(rand.Reader, c, issuer, key.Public(), by.Key)
			require.NoError(t, err)
			return der
		}
		altered := bytes.Clone(good)
		altered[len(altered)-3] ^= 1
		selfSigned := func() []byte {
			c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pki.NodeName("Bank A", "node1", pki.Full), NotBefore: now.Add(-day), NotAfter: now.Add(day),
				KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
			der, err := suite.Issue(rand.Reader, c, c, key.Public(), key)
			require.NoError(t, err)
			return der
		}()
		forger := authority(t, suite, "Bank A") // its root has the very name of the registered one
		revokedCA, deadCA, flat := under(t, root, "revoked", 100*day), under(t, root, "dead", 2*time.Hour), under(t, root, "flat", 100*day)
		limited := under(t, under(t, under(t, root, "1", 100*day), "2", 100*day), "3", 100*day) // path length 0
		deep := newKey(t, suite)
		deepDER, err := suite.Issue(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(5), Subject: pkix.Name{CommonName: "deep"}, NotBefore: now.Add(-day),
			NotAfter: now.Add(day), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, mustParse(t, suite, limited.Chain[0]), deep.Public(), limited.Key)
		require.NoError(t, err)
		tooDeep := &pki.Issuer{Suite: suite, Chain: [][]byte{deepDER}, Key: deep, Rand: rand.Reader}

		expired, err := root.Node("Bank A", "node1", pki.Validator, key.Public(), now.Add(-10*day), 9*day)
		require.NoError(t, err)
		early, err := root.Node("Bank A", "node1", pki.Validator, key.Public(), now.Add(day), 9*day)
		require.NoError(t, err)
		revoked := issue(t, root, "Bank A", pki.Full, key)
		r := registry(suite, pki.Organisation{Name: "Bank A", Roots: root.Chain, Intermediates: [][]byte{flat.Chain[0], limited.Chain[0]},
			Revoked: [][]byte{append([]byte{0, 0}, serial(t, suite, revoked)...), serial(t, suite, revokedCA.Chain[0])}},
			pki.Organisation{Name: "Bank B", Roots: second.Chain})

		for name, c := range map[string]struct {
			reason pki.Reason
			says   string
			key    crypto.PrivateKey
			chain  [][]byte
		}{
			"none":              {pki.Missing, "jialing ca issue --node DIR", key, nil},
			"not DER":           {pki.Malformed, "cannot be read", key, [][]byte{[]byte("certificate")}},
			"too large":         {pki.Malformed, "cannot be read", key, [][]byte{make([]byte, crypto.MaxCertificate+1)}},
			"too many":          {pki.TooLong, "at most 4", key, [][]byte{good, good, good, good, good}},
			"other suite":       {pki.WrongSuite, "another cryptographic suite", key, [][]byte{issue(t, foreign, "Bank A", pki.Full, newKey(t, other))}},
			"other suite above": {pki.WrongSuite, "another cryptographic suite", key, [][]byte{good, foreign.Chain[0]}},
			"another node's":    {pki.WrongKey, "is for another key", stranger, [][]byte{good}},
			"self-signed":       {pki.SelfSigned, "signed by itself", key, [][]byte{selfSigned}},
			"authority":         {pki.WrongUsage, "not for a node", key, [][]byte{custom(root, func(c *x509.Certificate) { c.IsCA = true })}},
			"may sign":          {pki.WrongUsage, "not for a node", key, [][]byte{custom(root, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })}},
			"for encryption":    {pki.WrongUsage, "digitalSignature", key, [][]byte{custom(root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })}},
			"for servers":       {pki.WrongUsage, "serverAuth and clientAuth", key, [][]byte{custom(root, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })}},
			"for nothing":       {pki.WrongUsage, "serverAuth and clientAuth", key, [][]byte{custom(root, func(c *x509.Certificate) { c.ExtKeyUsage = nil })}},
			"critical extension": {pki.WrongUsage, "1.2.3.4", key, [][]byte{custom(root, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
			})}},
			"no organisation":      {pki.WrongOrganisation, "subject O", key, [][]byte{custom(root, func(c *x509.Certificate) { c.Subject.Organization = nil })}},
			"two organisations":    {pki.WrongOrganisation, "subject O", key, [][]byte{custom(root, func(c *x509.Certificate) { c.Subject.Organization = []string{"Bank A", "Bank B"} })}},
			"another organisation": {pki.WrongOrganisation, `"Bank A" issued it`, key, [][]byte{issue(t, root, "Bank B", pki.Full, key)}},
			"nobody's":             {pki.WrongOrganisation, `"Bank A" issued it`, key, [][]byte{issue(t, root, "Bank C", pki.Full, key)}},
			"unknown organisation": {pki.UnknownRoot, "does not know", key, [][]byte{issue(t, authority(t, suite, "Bank C"), "Bank C", pki.Full, key)}},
			"unknown root":         {pki.UnknownRoot, "no authority that the chain knows", key, [][]byte{issue(t, under(t, root, "unseen", day*9), "Bank A", pki.Full, key)}},
			"no role":              {pki.WrongRole, "subject OU", key, [][]byte{custom(root, func(c *x509.Certificate) { c.Subject.OrganizationalUnit = nil })}},
			"unknown role":         {pki.WrongRole, "subject OU", key, [][]byte{custom(root, func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"king"} })}},
			"no name":              {pki.Malformed, "subject CN", key, [][]byte{custom(root, func(c *x509.Certificate) { c.Subject.CommonName = "" })}},
			"altered":              {pki.Altered, "altered or is forged", key, [][]byte{altered}},
			"forged root":          {pki.Altered, "altered or is forged", key, [][]byte{issue(t, forger, "Bank A", pki.Validator, key), forger.Chain[0]}},
			"revoked":              {pki.Revoked, "was revoked", key, [][]byte{revoked}},
			"authority revoked":    {pki.Revoked, "was revoked", key, [][]byte{issue(t, revokedCA, "Bank A", pki.Full, key), revokedCA.Chain[0]}},
			"expired":              {pki.Expired, "expired on 2026-03-03", key, [][]byte{expired}},
			"authority expired":    {pki.AuthorityExpired, "the authority", key, [][]byte{custom(deadCA, func(*x509.Certificate) {}), deadCA.Chain[0]}},
			"not yet valid":        {pki.NotYetValid, "valid from 2026-03-05", key, [][]byte{early}},
			"under a node":         {pki.WrongUsage, "no authority's", key, [][]byte{underNode(t, suite, good, key), good}},
			"path too long":        {pki.WrongUsage, "may have 0 intermediates", key, [][]byte{issue(t, tooDeep, "Bank A", pki.Full, key), tooDeep.Chain[0]}},
		} {
			t.Run(name, func(t *testing.T) {
				got, err := r.Verify(c.chain, c.key.Public().Bytes(), now, 0)
				require.Nil(t, got)
				require.Error(t, err)
				require.Equal(t, c.reason, pki.ReasonOf(err), err.Error())
				require.ErrorContains(t, err, c.says)
				require.Less(t, len(err.Error()), 255, "it must fit into the answer that the peer gets: %s", err)
			})
		}
		_, err = r.Verify([][]byte{good}, key.Public().Bytes(), now, 0)
		require.NoError(t, err)
	})
}

func mustParse(t *testing.T, suite crypto.Suite, der []byte) *x509.Certificate {
	c, err := suite.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

// underNode is what somebody issues by a node's key and certificate.
func underNode(t *testing.T, suite crypto.Suite, node []byte, key crypto.PrivateKey) []byte {
	c := &x509.Certificate{SerialNumber: big.NewInt(9), Subject: pki.NodeName("Bank A", "node9", pki.Validator), NotBefore: now.Add(-day), NotAfter: now.Add(day),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := suite.Issue(rand.Reader, c, mustParse(t, suite, node), key.Public(), key)
	require.NoError(t, err)
	return der
}

func TestGraceForTheExpiredAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, _ crypto.Suite) {
		key, rootKey := newKey(t, suite), newKey(t, suite)
		old, err := pki.NewRoot(suite, rand.Reader, "Bank A", rootKey, now.Add(-100*day), 90*day)
		require.NoError(t, err)
		root := &pki.Issuer{Suite: suite, Chain: [][]byte{old}, Key: rootKey, Rand: rand.Reader}
		leaf, err := root.Node("Bank A", "node1", pki.Validator, key.Public(), now.Add(-99*day), 50*day)
		require.NoError(t, err) // it expired 49 days ago, its root 10
		r := registry(suite, pki.Organisation{Name: "Bank A", Roots: root.Chain})
		for grace, want := range map[time.Duration]pki.Reason{0: pki.AuthorityExpired, 9 * day: pki.AuthorityExpired, 48 * day: pki.Expired, 50 * day: ""} {
			_, err := r.Verify([][]byte{leaf}, key.Public().Bytes(), now, grace)
			require.Equal(t, want, pki.ReasonOf(err), grace)
		}
		revoked := registry(suite, pki.Organisation{Name: "Bank A", Roots: root.Chain, Revoked: [][]byte{serial(t, suite, leaf)}})
		_, err = revoked.Verify([][]byte{leaf}, key.Public().Bytes(), now, 50*day)
		require.Equal(t, pki.Revoked, pki.ReasonOf(err))
	})
}

// TestRenewedAuthority: an authority with a new certificate under its old name, the old one having expired.
func TestRenewedAuthority(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, _ crypto.Suite) {
		key, rootKey := newKey(t, suite), newKey(t, suite)
		old, err := pki.NewRoot(suite, rand.Reader, "Bank A", rootKey, now.Add(-100*day), 90*day)
		require.NoError(t, err)
		renewed, err := pki.NewRoot(suite, rand.Reader, "Bank A", rootKey, now.Add(-20*day), 900*day)
		require.NoError(t, err)
		leaf := issue(t, &pki.Issuer{Suite: suite, Chain: [][]byte{renewed}, Key: rootKey, Rand: rand.Reader}, "Bank A", pki.Full, key)
		r := registry(suite, pki.Organisation{Name: "Bank A", Roots: [][]byte{old, renewed}})
		_, err = r.Verify([][]byte{leaf}, key.Public().Bytes(), now, 0)
		require.NoError(t, err)
	})
}

func TestRegistryLeavesOutWhatIsNoAuthority(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, other crypto.Suite) {
		root, key := authority(t, suite, "Bank A"), newKey(t, suite)
		leaf := issue(t, root, "Bank A", pki.Full, key)
		r := registry(suite, pki.Organisation{Name: "Bank A", Roots: [][]byte{{1}, leaf, authority(t, other, "Bank A").Chain[0], root.Chain[0]}, Intermediates: [][]byte{leaf}})
		require.Len(t, r.Problems(), 4)
		_, err := r.Verify([][]byte{leaf}, key.Public().Bytes(), now, 0)
		require.NoError(t, err)
		require.Error(t, pki.CheckRoot(suite, leaf))
		require.Error(t, pki.CheckRoot(suite, under(t, root, "i", day).Chain[0]))
		require.Error(t, pki.CheckRoot(suite, []byte{1}))
	})
}

// TestAuthoritiesOfOneNameAreBounded: the work of one verification does not grow with what a node or the chain holds.
func TestAuthoritiesOfOneNameAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, _ crypto.Suite) {
		key, root := newKey(t, suite), authority(t, suite, "Bank A")
		var roots [][]byte
		for range 40 {
			roots = append(roots, authority(t, suite, "Bank A").Chain[0])
		}
		counted := &counting{Suite: suite}
		r := pki.NewRegistry(counted, []pki.Organisation{{Name: "Bank A", Roots: append(roots, root.Chain[0])}})
		_, err := r.Verify([][]byte{issue(t, root, "Bank A", pki.Full, key)}, key.Public().Bytes(), now, 0)
		require.Equal(t, pki.Altered, pki.ReasonOf(err))
		require.LessOrEqual(t, counted.checks, 17)
	})
}

type counting struct {
	crypto.Suite
	checks int
}

func (c *counting) CheckIssued(cert, issuer *x509.Certificate) error {
	c.checks++
	return c.Suite.CheckIssued(cert, issuer)
}

func TestFiles(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, _ crypto.Suite) {
		root, key := authority(t, suite, "Bank A"), newKey(t, suite)
		leaf := issue(t, root, "Bank A", pki.Regulator, key)
		file := append([]byte("Certificate:\n    Data:\n"), pki.EncodeChain([][]byte{leaf, root.Chain[0]})...)
		chain, err := pki.DecodeChain(file)
		require.NoError(t, err)
		require.Equal(t, [][]byte{leaf, root.Chain[0]}, chain)
		s, _, err := pki.Describe(suite, leaf)
		require.NoError(t, err)
		require.Equal(t, "regulator", s.Role)
		require.Equal(t, "Bank A", s.Organisation)
		for _, bad := range [][]byte{nil, []byte("x"), pki.EncodeRequest(leaf), bytes.Repeat(pki.EncodeChain([][]byte{leaf}), 5), make([]byte, pki.MaxFile+1)} {
			_, err := pki.DecodeChain(bad)
			require.Error(t, err)
		}
		request, err := suite.Request(rand.Reader, pki.NodeName("Bank A", "node1", pki.Full), key)
		require.NoError(t, err)
		back, err := pki.DecodeRequest(pki.EncodeRequest(request))
		require.NoError(t, err)
		require.Equal(t, request, back)
		_, err = pki.DecodeRequest(file)
		require.Error(t, err)
	})
}

func FuzzVerify(f *testing.F) {
	type world struct {
		r   *pki.Registry
		key []byte
	}
	var worlds []world
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		root, key := authority(f, suite, "Bank A"), newKey(f, suite)
		worlds = append(worlds, world{registry(suite, pki.Organisation{Name: "Bank A", Roots: root.Chain}), key.Public().Bytes()})
		f.Add(issue(f, root, "Bank A", pki.Full, key), root.Chain[0])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, w := range worlds {
			if _, err := w.r.Verify([][]byte{a, b}, w.key, now, 0); err != nil && pki.ReasonOf(err) == "" {
				t.Fatal(err)
			}
		}
	})
}
