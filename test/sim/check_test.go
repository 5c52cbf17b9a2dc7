package sim

import (
	"testing"
	"testing/synctest"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// bare is a world of four without nodes, whose checks can be told anything.
func bare(t *testing.T) *world {
	w, err := newWorld(&plan{seed: 1, suite: intl.Suite{}, nodes: 4, validators: 4, faulty: 1, accounts: 3, bft: chain.DefaultBFTParams()}, t.TempDir())
	require.NoError(t, err)
	return w
}

// TestChecksFindWhatIsBroken lies to every check.
func TestChecksFindWhatIsBroken(t *testing.T) {
	hash := func(b byte) crypto.Hash { return crypto.Hash{b} }
	for name, c := range map[string]struct {
		lie  func(w *world)
		says string // empty: no check may complain
	}{
		"the same attestation twice": {func(w *world) {
			w.check.attests(w.members[0], 5, hash(1))
			w.check.attests(w.members[0], 5, hash(1))
		}, ""},
		"two attestations": {func(w *world) {
			w.check.attests(w.members[0], 5, hash(1))
			w.check.attests(w.members[0], 5, hash(2))
		}, "before it attested"},
		"commits in two views": {func(w *world) {
			w.check.commits(w.members[0], &chain.Claim{Height: 5, View: 1, What: hash(1)})
			w.check.commits(w.members[0], &chain.Claim{Height: 5, View: 2, What: hash(2)})
			w.check.commits(w.members[0], &chain.Claim{Height: 5, View: 1, What: hash(1)})
		}, ""},
		"two commits": {func(w *world) {
			w.check.commits(w.members[0], &chain.Claim{Height: 5, View: 1, What: hash(1)})
			w.check.commits(w.members[0], &chain.Claim{Height: 5, View: 1, What: hash(2)})
		}, "before it committed"},
		"an attestation of another block": {func(w *world) {
			w.check.attests(w.members[0], 5, hash(1))
			w.check.agree()
			w.check.compare("block", w.check.headers, 5, hash(2), 1)
			w.check.agree()
		}, "the block is"},
		"two blocks": {func(w *world) {
			w.check.compare("block", w.check.headers, 5, hash(1), 0)
			w.check.compare("block", w.check.headers, 5, hash(2), 1)
		}, "block 5 is"},
		"an honest member accused":  {func(w *world) { w.check.reported(0, 1, p2p.Misbehaviour, "x") }, "reports"},
		"an honest member annoying": {func(w *world) { w.check.reported(0, 1, p2p.Nuisance, "x") }, ""},
		"a liar accused": {func(w *world) {
			w.members[1].untrusted.Store(true)
			w.check.reported(0, 1, p2p.Attack, "x")
		}, ""},
		"a handler that waits": {func(w *world) { w.net.blocked(0, "order", 1) }, "held up"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := bare(t)
				c.lie(w)
				if c.says == "" {
					require.NoError(t, w.failed())
					return
				}
				require.ErrorContains(t, w.failed(), c.says)
			})
		})
	}
}

// TestClientsFindWhatIsBroken alters a chain that clients remember. Balances are checked against a node's state by every run of TestSimulation.
func TestClientsFindWhatIsBroken(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(w *world, included map[common.Hash]inclusion, a, b *transfer)
		says  string
	}{
		"lost": {func(_ *world, in map[common.Hash]inclusion, a, _ *transfer) { delete(in, a.hash) }, "told of transfer"},
		"moved": {func(_ *world, in map[common.Hash]inclusion, a, _ *transfer) {
			in[a.hash] = inclusion{place{9, common.Hash{1}}, a.from.address}
		}, "told of transfer"},
		"both": {func(_ *world, in map[common.Hash]inclusion, _, b *transfer) {
			in[b.hash] = inclusion{place{3, common.Hash{1}}, b.from.address}
		}, "both transfers"},
		"foreign": {func(_ *world, in map[common.Hash]inclusion, _, _ *transfer) {
			in[common.Hash{7}] = inclusion{place: place{3, common.Hash{1}}}
		}, "not sent by a client"},
		"forged beside a member who alters": {func(w *world, in map[common.Hash]inclusion, a, _ *transfer) {
			w.members[0].vice = &vice{kind: alter}
			in[common.Hash{7}] = inclusion{place{3, common.Hash{1}}, a.from.address}
		}, "not sent by a client"},
		"nobody's beside a member who alters": {func(w *world, in map[common.Hash]inclusion, _, _ *transfer) {
			w.members[0].vice = &vice{kind: alter}
			in[common.Hash{7}] = inclusion{place{3, common.Hash{1}}, common.Address{9}}
		}, ""},
		"nothing": {func(*world, map[common.Hash]inclusion, *transfer, *transfer) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := bare(t)
				l := w.clients
				a := l.sign(l.accounts[0], 5)
				l.accounts[0].nonce--
				b := l.sign(l.accounts[0], 6)
				a.rival, b.rival = b, a
				a.told = place{3, common.Hash{1}}
				included := map[common.Hash]inclusion{a.hash: {a.told, a.from.address}}
				c.alter(w, included, a, b)
				l.compare(included)
				if c.says == "" {
					require.NoError(t, w.failed())
					return
				}
				require.ErrorContains(t, w.failed(), c.says)
			})
		})
	}
}
