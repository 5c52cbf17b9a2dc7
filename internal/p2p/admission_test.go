package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// gatekeeper admits whoever shows a word that it has on its list.
type gatekeeper struct {
	mu    sync.Mutex
	shows [][]byte
	list  map[string]bool
	asked int
}

func newGatekeeper(shows string, list ...string) *gatekeeper {
	g := &gatekeeper{list: make(map[string]bool)}
	g.show(shows)
	for _, w := range list {
		g.list[w] = true
	}
	return g
}

func (g *gatekeeper) show(word string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shows = nil
	if word != "" {
		g.shows = [][]byte{[]byte(word), []byte("authority")}
	}
}

func (g *gatekeeper) strike(word string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.list, word)
}

func (g *gatekeeper) Certificates() [][]byte { g.mu.Lock(); defer g.mu.Unlock(); return g.shows }

func (g *gatekeeper) Admit(_ chain.Peer, certificates [][]byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	if len(certificates) == 0 {
		return errors.New("the node shows no certificate: have one issued")
	}
	if !g.list[string(certificates[0])] {
		return errors.New("the certificate expired: renew it")
	}
	return nil
}

func guarded(g *gatekeeper) options { return options{setup: func(n *Network) { n.SetAdmission(g) }} }

// TestOnlyCertifiedPeersAreAdmitted: who is refused learns why, on both sides, and comes in once that is put right.
func TestOnlyCertifiedPeersAreAdmitted(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		for _, word := range []string{"", "old"} {
			door, guest := newGatekeeper("a", "good"), newGatekeeper(word, "a")
			a, b := start(t, guarded(door)), start(t, guarded(guest))
			b.net.SetMembers(map[chain.Peer]string{a.id(): a.net.Address()})
			why := map[string]string{"": "the node shows no certificate: have one issued", "old": "the certificate expired: renew it"}[word]
			eventually(t, "the refusal", func() bool {
				return a.info(b.id()).LastError == why && b.info(a.id()).LastError == "peer refuses this node: its certificate is not accepted: "+why
			})
			require.Positive(t, a.net.count.refused.Load())
			guest.show("good")
			a.awaitChange(b.id(), true)
		}
	})
}

func TestNoLongerAdmittedPeersAreDisconnected(t *testing.T) {
	door := newGatekeeper("a", "b", "c")
	a, b := pair(t, guarded(door), guarded(newGatekeeper("b", "a")))
	c := start(t, guarded(newGatekeeper("c", "a")))
	c.net.SetMembers(map[chain.Peer]string{a.id(): a.net.Address()})
	a.awaitChange(c.id(), true)
	kept := a.net.book.connected(c.id())
	a.net.Readmit()
	require.Equal(t, kept, a.net.book.connected(c.id()))
	door.strike("b")
	a.net.Readmit()
	a.awaitChange(b.id(), false)
	b.awaitChange(a.id(), false)
	eventually(t, "the refusal of its return", func() bool {
		return b.info(a.id()).LastError == "peer refuses this node: its certificate is not accepted: the certificate expired: renew it"
	})
	require.Equal(t, kept, a.net.book.connected(c.id()), "others are left alone")
}

// TestAnnouncedCertificatesReplaceTheFormer: on the same connection, between messages of which none is lost.
func TestAnnouncedCertificatesReplaceTheFormer(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		door, guest := newGatekeeper("a", "first", "second"), newGatekeeper("first", "a")
		a, b := pair(t, guarded(door), guarded(guest))
		before := a.net.book.connected(b.id())
		const messages = 500
		for i := range messages {
			require.True(t, b.net.Send(a.id(), votes.Name, binary.BigEndian.AppendUint32(nil, uint32(i))))
			if i == messages/2 {
				guest.show("second")
				require.NoError(t, b.net.Announce(context.Background()))
				door.strike("first")
				a.net.Readmit()
			}
		}
		for i := range messages {
			require.Equal(t, uint32(i), binary.BigEndian.Uint32(a.next().msg))
		}
		require.Equal(t, before, a.net.book.connected(b.id()), "the connection is the same")
		// What is not accepted does not replace what was.
		guest.show("third")
		require.ErrorContains(t, b.net.Announce(context.Background()), "the certificate expired: renew it")
		a.net.Readmit()
		require.Equal(t, before, a.net.book.connected(b.id()))
	})
}

func TestCertificatesOnTheWireAreBounded(t *testing.T) {
	four := [][]byte{{1}, {2, 3}, bytes.Repeat([]byte{4}, crypto.MaxCertificate), {5}}
	got, err := decodeCertificates(encodeCertificates(four))
	require.NoError(t, err)
	require.Equal(t, four, got)
	for name, bad := range map[string]string{
		"five":      encodeCertificates(append(four, []byte{6})),
		"empty":     encodeCertificates([][]byte{{}}),
		"too long":  encodeCertificates([][]byte{make([]byte, crypto.MaxCertificate+1)}),
		"cut short": encodeCertificates(four)[:9],
		"no length": "\xff\xff",
	} {
		_, err := decodeCertificates(bad)
		require.ErrorContains(t, err, "malformed certificates", name)
	}
	full := sampleHello()
	full.Certificates = encodeCertificates([][]byte{four[2], four[2], four[2], four[2]})
	back, err := decodeHello(full.encode())
	require.NoError(t, err)
	require.Equal(t, *full, back)
}

func FuzzCertificates(f *testing.F) {
	f.Add(encodeCertificates([][]byte{{1, 2}, {3}}))
	f.Add("\xff\xff\xff\xff\x0f")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := decodeCertificates(s)
		if err != nil {
			return
		}
		again, err := decodeCertificates(encodeCertificates(got))
		if err != nil || len(again) != len(got) {
			t.Fatalf("%x comes back as %x: %v", got, again, err)
		}
	})
}
