package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/pki"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

const testDay = 24 * time.Hour

// certified is a network of whole nodes of four organisations over real sockets, whose clock can be put forward.
type certified struct {
	*testing.T
	suite   crypto.Suite
	genesis *chain.Genesis
	nodes   []*certifiedNode
	orgs    []*testOrganisation
	nonces  map[common.Address]uint64

	mu    sync.Mutex
	shift time.Duration
}

type testOrganisation struct {
	name   string
	admin  *ecdsa.PrivateKey
	issuer *pki.Issuer
}

type certifiedNode struct {
	*testNode
	name string
	dir  string
}

func testAccount(t testing.TB, name string) *ecdsa.PrivateKey {
	key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte(name)))
	require.NoError(t, err)
	return key
}

func addressOf(key *ecdsa.PrivateKey) common.Address {
	return gethcrypto.PubkeyToAddress(key.PublicKey)
}

func newCertified(t *testing.T, suite crypto.Suite) *certified {
	w := &certified{T: t, suite: suite, nonces: make(map[common.Address]uint64)}
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	g := testGenesis(t, key)
	w.genesis = g
	g.Suite, g.Admission = suite.Name(), chain.AdmitCertificates
	g.Consensus.Engine, g.Consensus.BFT, g.Validators = chain.BFT, chain.DefaultBFTParams(), nil
	g.TimeMillis = uint64(time.Now().Add(-time.Minute).UnixMilli())
	for _, letter := range "ABCD" {
		o := &testOrganisation{name: "Bank " + string(letter), admin: testAccount(t, "admin "+string(letter))}
		o.issuer = w.authority(o.name, 200*testDay)
		w.orgs = append(w.orgs, o)
		g.Organisations = append(g.Organisations, chain.GenesisOrganisation{Name: o.name, Admin: addressOf(o.admin), Roots: []chain.DER{o.issuer.Chain[0]}})
	}
	for i := range 4 {
		n := w.add("node" + string(rune('1'+i)))
		w.certify(n, w.orgs[i], pki.Validator, 100*testDay)
		g.Validators = append(g.Validators, chain.GenesisValidator{ID: chain.ValidatorID(i + 1), Name: n.name, PublicKey: n.key.Public().Bytes(),
			Address: addressOf(testAccount(t, n.name)), Endpoint: n.cfg.Network.Listen})
	}
	g.Alloc[govern.Address], g.Alloc[govern.OrganisationsAddress] = govern.Account(g), govern.OrganisationsAccount(g)
	require.NoError(t, g.Validate())
	return w
}

func (w *certified) now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return time.Now().Add(w.shift) }

func (w *certified) forward(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.shift += d }

func (w *certified) authority(organisation string, lifetime time.Duration) *pki.Issuer {
	key, err := w.suite.GenerateKey(rand.Reader)
	require.NoError(w, err)
	root, err := pki.NewRoot(w.suite, rand.Reader, organisation, key, w.now(), lifetime)
	require.NoError(w, err)
	return &pki.Issuer{Suite: w.suite, Chain: [][]byte{root}, Key: key, Rand: rand.Reader}
}

func (w *certified) add(name string) *certifiedNode {
	key, err := w.suite.GenerateKey(rand.Reader)
	require.NoError(w, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w, err)
	cfg := DefaultConfig()
	cfg.Dir = w.TempDir()
	cfg.Pool.Journal, cfg.Network.Listen = "", l.Addr().String()
	cfg.Network.ReconnectMax = 200 * time.Millisecond
	cfg.Store.CacheMiB, cfg.Store.CommitmentMiB = 8, 8
	require.NoError(w, l.Close())
	n := &certifiedNode{testNode: &testNode{key: key, cfg: cfg, fs: vfs.NewMem()}, name: name, dir: cfg.Dir}
	w.nodes = append(w.nodes, n)
	return n
}

// certify has a certificate issued for the node and puts it where the node looks for it.
func (w *certified) certify(n *certifiedNode, o *testOrganisation, role pki.Role, lifetime time.Duration) (serial *big.Int) {
	der, err := o.issuer.Node(o.name, n.name, role, n.key.Public(), w.now(), lifetime)
	require.NoError(w, err)
	path := filepath.Join(n.dir, certificateFile)
	require.NoError(w, os.WriteFile(path+".new", pki.EncodeChain([][]byte{der}), 0o644))
	require.NoError(w, os.Rename(path+".new", path))
	c, err := w.suite.ParseCertificate(der)
	require.NoError(w, err)
	return c.SerialNumber
}

func (w *certified) start(nodes ...*certifiedNode) {
	for _, n := range nodes {
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})).With("node", n.name)
		node, err := New(n.cfg, "jialing/test", log, Options{Genesis: w.genesis, Key: n.key, FS: n.fs, Headless: true, Now: w.now, Watch: func(s *Stages) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.stages = s
		}})
		require.NoError(w, err)
		n.node = node
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- node.Run(ctx) }()
		var once sync.Once
		n.stop = func() { once.Do(func() { cancel(); require.NoError(w, <-done) }) }
		w.Cleanup(n.stop)
	}
	for _, n := range nodes {
		w.eventually(n.name+" runs", func() bool { return n.pipeline() != nil })
	}
}

func (n *certifiedNode) pipeline() *pipeline {
	n.node.mu.Lock()
	defer n.node.mu.Unlock()
	return n.node.running
}

func (n *certifiedNode) peer() chain.Peer { return chain.Peer(n.key.Public().Bytes()) }

func (n *certifiedNode) status() *eth.CertificateStatus { return n.pipeline().admission.status() }

// sees is what the node knows of another one.
func (n *certifiedNode) sees(other *certifiedNode) (out p2p.Info) {
	for _, i := range n.pipeline().network.Peers() {
		if i.Peer == other.peer() {
			out = i
		}
	}
	return out
}

func (w *certified) eventually(what string, ok func() bool) {
	w.Helper()
	require.Eventually(w, ok, patience, 5*time.Millisecond, what)
}

// send lets an account call a contract, or pay, through a node, and waits until all given nodes have the block final.
func (w *certified) send(from *ecdsa.PrivateKey, to common.Address, data []byte, through *certifiedNode, nodes ...*certifiedNode) {
	w.Helper()
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(w.genesis.ChainID))
	tx := types.MustSignNewTx(from, signer, &types.LegacyTx{Nonce: w.nonces[addressOf(from)], To: &to, Gas: 8_000_000, GasPrice: new(big.Int), Data: data})
	raw, err := tx.MarshalBinary()
	require.NoError(w, err)
	w.nonces[addressOf(from)]++
	_, errs := through.node.Submit(context.Background(), [][]byte{raw})
	require.NoError(w, errs[0])
	for _, n := range nodes {
		w.eventually("the transaction is final at "+n.name, func() bool {
			s := n.pipeline().store
			where, err := s.Tx(tx.Hash())
			return err == nil && where != nil && where.Height <= s.Finalized()
		})
	}
}

func (w *certified) call(from *ecdsa.PrivateKey, through *certifiedNode, nodes []*certifiedNode, method string, args ...any) {
	w.Helper()
	data, err := govern.OrganisationsABI().Pack(method, args...)
	require.NoError(w, err)
	w.send(from, govern.OrganisationsAddress, data, through, nodes...)
}

func (w *certified) pay(through *certifiedNode, nodes ...*certifiedNode) {
	w.Helper()
	w.send(testAccount(w, "payer"), common.Address{1}, nil, through, nodes...)
}

func onBothSuites(t *testing.T, f func(*testing.T, crypto.Suite)) {
	t.Run("intl", func(t *testing.T) { f(t, intl.Suite{}) })
	t.Run("gm", func(t *testing.T) { f(t, gm.Suite{}) })
}

// TestOrganisationsAdmitNodes: who has no certificate, or one of nobody's, learns why; who gets one comes in; whose is revoked on the chain goes.
func TestOrganisationsAdmitNodes(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite crypto.Suite) {
		w := newCertified(t, suite)
		founders := w.nodes[:4]
		w.start(founders...)
		w.pay(founders[0], founders...)
		for _, n := range founders {
			require.Empty(t, n.status().Problem)
		}
		stranger := w.add("stranger")
		w.start(stranger)
		require.Contains(t, stranger.status().Problem, "the node shows no certificate")
		require.ErrorContains(t, stranger.node.usable(stranger.pipeline())(), "the node shows no certificate")
		w.eventually("the refusal", func() bool {
			return strings.Contains(stranger.sees(founders[0]).LastError, "its certificate is not accepted: the node shows no certificate")
		})
		require.NotContains(t, founders[0].pipeline().network.Connected(), stranger.peer())
		// Its organisation issues one; it needs no restart.
		serial := w.certify(stranger, w.orgs[1], pki.Full, 50*testDay)
		w.pay(founders[1], append(founders, stranger)...)
		require.Empty(t, stranger.status().Problem)
		require.Equal(t, "full", stranger.status().Role)
		require.NoError(t, stranger.node.usable(stranger.pipeline())())
		// The organisation's admin revokes it: every node disconnects it at once.
		w.call(w.orgs[1].admin, founders[0], founders, "revoke", "Bank B", []*big.Int{serial})
		w.eventually("the disconnection", func() bool {
			for _, n := range founders {
				if n.sees(stranger).Connected || !strings.Contains(n.sees(stranger).LastError, "was revoked") {
					return false
				}
			}
			return true
		})
		w.pay(founders[2], founders...)
	})
}

// TestCertificatesRotateUnderLoad: every validator gets a new certificate while transactions flow; no connection ends, and all are in blocks.
func TestCertificatesRotateUnderLoad(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite crypto.Suite) {
		w := newCertified(t, suite)
		founders := w.nodes[:4]
		w.start(founders...)
		w.pay(founders[0], founders...)
		w.eventually("all are connected", func() bool {
			for _, n := range founders {
				if len(n.pipeline().network.Connected()) != 3 {
					return false
				}
			}
			return true
		})
		since := make(map[[2]string]time.Time)
		for _, n := range founders {
			for _, o := range founders {
				if n != o {
					since[[2]string{n.name, o.name}] = n.sees(o).Since
				}
			}
		}
		for i, n := range founders {
			old := n.status().Serial
			serial := w.certify(n, w.orgs[i], pki.Validator, 90*testDay)
			for n.status().Serial == old {
				w.pay(founders[(i+1)%4], founders...)
			}
			w.eventually("the others know it", func() bool {
				for _, o := range founders {
					if o == n {
						continue
					}
					a := o.pipeline().admission
					a.mu.Lock()
					known := new(big.Int).SetBytes(a.admitted[n.peer()].Serial).Cmp(serial) == 0
					a.mu.Unlock()
					if !known {
						return false
					}
				}
				return true
			})
			revoked, ok := new(big.Int).SetString(old, 16)
			require.True(t, ok)
			w.call(w.orgs[i].admin, n, founders, "revoke", w.orgs[i].name, []*big.Int{revoked})
		}
		w.pay(founders[3], founders...)
		for _, n := range founders {
			for _, o := range founders {
				if n != o {
					require.True(t, n.sees(o).Connected)
					require.Equal(t, since[[2]string{n.name, o.name}], n.sees(o).Since, "the connection of %s to %s is the same", n.name, o.name)
				}
			}
		}
	})
}

// TestValidatorNeedsTheRole: one whose certificate says something else follows the chain, is not heard, and says so.
func TestValidatorNeedsTheRole(t *testing.T) {
	w := newCertified(t, intl.Suite{})
	founders := w.nodes[:4]
	w.certify(founders[3], w.orgs[3], pki.Full, testDay)
	w.start(founders...)
	w.pay(founders[0], founders...)
	require.Contains(t, founders[3].status().Problem, "it is not heard")
	require.False(t, founders[0].pipeline().admission.heard(founders[3].peer()))
	require.True(t, founders[0].pipeline().admission.heard(founders[1].peer()))
	require.True(t, founders[0].sees(founders[3]).Connected)
}

// TestRescueOfANetworkWhoseCertificatesExpired goes through the steps of docs/certificates.md.
func TestRescueOfANetworkWhoseCertificatesExpired(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite crypto.Suite) {
		w := newCertified(t, suite)
		founders := w.nodes[:4]
		w.start(founders...)
		w.pay(founders[0], founders...)
		// All of them expire, the roots too, by a clock that goes on: the nodes let each other go.
		w.forward(210 * testDay)
		w.eventually("everybody is alone", func() bool {
			for _, n := range founders {
				if len(n.pipeline().network.Connected()) != 0 {
					return false
				}
			}
			return true
		})
		require.Contains(t, founders[0].status().Problem, "expired")
		w.eventually("the reason is told", func() bool { return strings.Contains(founders[0].sees(founders[1]).LastError, "expired") })
		// 1. Each operator lets its node take what expired lately.
		for _, n := range founders {
			g := pki.Grace{Created: w.now(), Until: w.now().Add(2 * testDay), Days: 120, Reason: "all certificates expired over the holidays"}
			b, err := pki.SignGrace(g, w.genesis.ID(suite), n.key)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(n.dir, RescueFile), b, 0o600))
		}
		w.pay(founders[0], founders...)
		w.eventually("the rescue is in force everywhere", func() bool {
			for _, n := range founders {
				if s := n.status(); s.Rescue.IsZero() || s.Problem != "" {
					return false
				}
			}
			return true
		})
		// 2. The organisations register new roots by votes.
		for _, o := range w.orgs {
			fresh := w.authority(o.name, 1000*testDay)
			data, err := govern.OrganisationsABI().Pack("proposeRegister", o.name, addressOf(o.admin), [][]byte{o.issuer.Chain[0], fresh.Chain[0]})
			require.NoError(t, err)
			w.send(testAccount(t, "node1"), govern.OrganisationsAddress, data, founders[0], founders...)
			o.issuer = fresh
		}
		for p := range uint64(4) {
			for _, voter := range []string{"node2", "node3"} {
				w.call(testAccount(t, voter), founders[1], founders, "vote", p+1)
			}
		}
		// 3. New certificates under them, and 4. the end of the rescue.
		for i, n := range founders {
			w.certify(n, w.orgs[i], pki.Validator, 100*testDay)
		}
		w.eventually("the new ones are shown", func() bool {
			for _, n := range founders {
				if n.status().NotAfter.Before(w.now()) {
					return false
				}
			}
			return true
		})
		for _, n := range founders {
			require.NoError(t, os.Remove(filepath.Join(n.dir, RescueFile)))
		}
		w.eventually("the rescue is over", func() bool {
			for _, n := range founders {
				if s := n.status(); !s.Rescue.IsZero() || s.Problem != "" || len(n.pipeline().network.Connected()) != 3 {
					return false
				}
			}
			return true
		})
		w.pay(founders[3], founders...)
	})
}

// TestNewcomerAfterRootsWereReplaced: it knows the founding roots alone and catches up from validators that are certified by others, then judges like them.
func TestNewcomerAfterRootsWereReplaced(t *testing.T) {
	w := newCertified(t, intl.Suite{})
	founders := w.nodes[:4]
	w.start(founders...)
	w.pay(founders[0], founders...)
	for i, o := range w.orgs {
		old, fresh := o.issuer.Chain[0], w.authority(o.name, 500*testDay)
		for step, roots := range [][][]byte{{old, fresh.Chain[0]}, {fresh.Chain[0]}} {
			if step == 1 {
				o.issuer = fresh
				before := founders[i].status().Serial
				w.certify(founders[i], o, pki.Validator, 90*testDay)
				w.eventually("the new certificate is shown", func() bool { return founders[i].status().Serial != before && founders[i].status().Problem == "" })
				w.pay(founders[0], founders...)
			}
			w.call(testAccount(t, "node1"), founders[0], founders, "proposeRegister", o.name, addressOf(o.admin), roots)
			for _, voter := range []string{"node2", "node3"} {
				w.call(testAccount(t, voter), founders[0], founders, "vote", uint64(2*i+step+1))
			}
		}
	}
	newcomer := w.add("newcomer")
	w.certify(newcomer, w.orgs[0], pki.Full, testDay)
	w.start(newcomer)
	w.pay(founders[0], append(founders, newcomer)...)
	w.eventually("it is no longer lenient", func() bool { return newcomer.pipeline().settled() })
	require.Empty(t, newcomer.status().Problem)
	stranger := w.add("stranger")
	w.start(stranger)
	require.Equal(t, pki.Missing, pki.ReasonOf(newcomer.pipeline().admission.Admit(stranger.peer(), nil)))
}
