package attest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// wire records what an attester sends.
type wire struct {
	mu    sync.Mutex
	peers []chain.Peer
	sent  []outgoing
}

type outgoing struct {
	to chain.Peer // "" for all
	m  *message
}

func (w *wire) put(to chain.Peer, msg []byte) {
	m, err := decodeMessage(msg)
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, outgoing{to, m})
}

func (w *wire) Send(to chain.Peer, msg []byte) { w.put(to, msg) }
func (w *wire) Broadcast(msg []byte)           { w.put("", msg) }
func (w *wire) Connected() []chain.Peer        { return w.peers }

func (w *wire) take() []outgoing {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	return out
}

// lines is a log that tests can read.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(b) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// counted counts verifications.
type counted struct {
	crypto.Suite
	n *int
}

type countedKey struct {
	crypto.PublicKey
	n *int
}

func (c counted) ParsePublicKey(b []byte) (crypto.PublicKey, error) {
	k, err := c.Suite.ParsePublicKey(b)
	return countedKey{k, c.n}, err
}

func (k countedKey) Verify(msg, sig []byte) error { *k.n++; return k.PublicKey.Verify(msg, sig) }

// execute makes a block durable at an attester.
func execute(t *testing.T, a *Attester, h *chain.Header) {
	t.Helper()
	own, err := a.Own(h)
	require.NoError(t, err)
	m := a.cfg.Store.(*memory)
	m.mu.Lock()
	m.headers[h.Number.Uint64()], m.own[h.Number.Uint64()] = h, own
	m.mu.Unlock()
	require.NoError(t, a.Executed(h, own))
}

// attestationOf is validator i's.
func (w *network) attestationOf(t *testing.T, i int, h *chain.Header) *chain.Attestation {
	t.Helper()
	peer, _ := w.attester(i)
	att, err := peer.Own(h)
	require.NoError(t, err)
	return att
}

func (w *network) certificateOf(t *testing.T, h *chain.Header, by ...int) *chain.Certificate {
	t.Helper()
	c := &chain.Certificate{Height: h.Number.Uint64(), Block: h.Hash(), Header: hashOf(t, h)}
	for _, i := range by {
		c.Attestations = append(c.Attestations, *w.attestationOf(t, i, h))
	}
	return c
}

func TestOwnSignatureIsRepeatedWhileNothingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 4)
		a, m := w.attester(0)
		net := &wire{peers: []chain.Peer{"b", "c", "d"}}
		a.cfg.Network = net
		stop := run(t, a)
		for height := int64(1); height <= 20; height++ {
			execute(t, a, header(height, "x"))
		}
		require.Len(t, net.take(), 20, "each is told at once")
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		all, asked := 0, map[chain.Peer]int{}
		for _, o := range net.take() {
			if o.to == "" {
				all++
				require.Len(t, o.m.Signed, 16)
				require.EqualValues(t, 1, o.m.Signed[0].Height)
				require.EqualValues(t, 16, o.m.Signed[15].Height)
				continue
			}
			require.EqualValues(t, 1, o.m.Lacks)
			asked[o.to]++
		}
		require.Equal(t, 3, all, "every second")
		require.Len(t, asked, 3, "peers are asked in turn")
		require.EqualValues(t, 20, a.Backlog())
		require.Equal(t, []chain.ValidatorID{2, 3, 4}, a.Missing())

		a.Joined("e")
		sent := net.take()
		require.Len(t, sent, 1)
		require.Equal(t, chain.Peer("e"), sent[0].to)
		require.Len(t, sent[0].m.Signed, 16)

		for height := int64(1); height <= 20; height++ {
			h := header(height, "x")
			require.NoError(t, a.Receive("b", encodeMessage(&message{Signed: []signed{{uint64(height), hashOf(t, h), *w.attestationOf(t, 1, h)},
				{uint64(height), hashOf(t, h), *w.attestationOf(t, 2, h)}}})))
		}
		synctest.Wait()
		require.EqualValues(t, 20, a.Finalized())
		require.Len(t, m.certs, 20)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Empty(t, net.take(), "an idle chain is silent")
		a.Joined("f")
		require.Empty(t, net.take())
		require.NoError(t, stop())
	})
}

func TestBacklogHoldsExecutionBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 4)
		a, _ := w.attester(0)
		log := new(lines)
		a.log = slog.New(slog.NewTextHandler(log, nil))
		stop := run(t, a)
		for height := int64(1); height <= MaxBacklog; height++ {
			require.NoError(t, a.Wait(t.Context()))
			execute(t, a, header(height, "x"))
		}
		waiting := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { waiting <- a.Wait(ctx) }()
		synctest.Wait()
		require.Empty(t, waiting)
		require.Contains(t, log.String(), "execution waits")
		require.Contains(t, log.String(), "silent=\"[2 3 4]\"")
		cancel()
		require.ErrorIs(t, <-waiting, context.Canceled)

		go func() { waiting <- a.Wait(t.Context()) }()
		synctest.Wait()
		require.Empty(t, waiting)
		require.NoError(t, a.Certified(w.certificateOf(t, header(1, "x"), 1, 2, 3)))
		require.NoError(t, <-waiting, "one certificate makes room for one block")
		require.NoError(t, stop())
	})
}

func TestLaterCertificateVouchesForAHeightWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 4)
		a, m := w.attester(0)
		stop := run(t, a)
		for height := int64(1); height <= 3; height++ {
			execute(t, a, header(height, "x"))
		}
		require.NoError(t, a.Certified(w.certificateOf(t, header(2, "x"), 1, 2, 3)))
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		require.Zero(t, a.Finalized(), "certificates are stored in order")
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, a.Finalized(), "but not at any price")
		require.Len(t, m.certs, 1)
		require.NoError(t, a.Certified(w.certificateOf(t, header(3, "x"), 1, 2, 3)))
		synctest.Wait()
		require.EqualValues(t, 3, a.Finalized())
		require.NoError(t, stop())
	})
}

func TestHandoverIsWaitedForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 5)
		a, m := w.attester(0)
		a.cfg.Rule = func(height uint64) *chain.Rule { // from height 2 on the fifth is out
			if height < 2 {
				return w.rule()
			}
			return &chain.Rule{Engine: chain.BFT, Set: w.set[:4]}
		}
		stop := run(t, a)
		for height := int64(1); height <= 2; height++ {
			execute(t, a, header(height, "x"))
		}
		require.NoError(t, a.Certified(w.certificateOf(t, header(2, "x"), 1, 2, 3)))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Zero(t, a.Finalized(), "without block 1's certificate nobody could follow to the next set")
		require.NoError(t, a.Certified(w.certificateOf(t, header(1, "x"), 1, 2, 3, 4)))
		synctest.Wait()
		require.EqualValues(t, 2, a.Finalized())
		require.Len(t, m.certs, 2)
		require.NoError(t, stop())
	})
}

func TestVerifiesNoMoreThanTheQuorumNeeds(t *testing.T) {
	w := newNetwork(t, 4)
	a, m := w.attester(0)
	n := 0
	a.cfg.Suite = counted{suite, &n}
	all := func(h *chain.Header) {
		for i := 1; i < 4; i++ {
			for range 3 {
				require.NoError(t, a.Receive("b", encodeMessage(&message{Signed: []signed{{h.Number.Uint64(), hashOf(t, h), *w.attestationOf(t, i, h)}}})))
			}
		}
		for _, r := range a.inbox.take() {
			a.verify(&r)
		}
	}
	all(header(1, "x"))
	execute(t, a, header(1, "x"))
	require.Equal(t, 2, n, "two of three when they come before our block")
	execute(t, a, header(2, "x"))
	all(header(2, "x"))
	require.Equal(t, 4, n, "two of three when they come after")
	require.NoError(t, a.store(t.Context()))
	require.Len(t, m.certs, 2)
	require.NoError(t, a.Certified(w.certificateOf(t, header(2, "x"), 1, 2, 3)))
	require.Equal(t, 4, n, "a certificate that is there is not verified again")

	f, m := w.attester(-1)
	require.NoError(t, f.Certified(w.certificateOf(t, header(1, "x"), 0, 1, 2)))
	require.NoError(t, f.Executed(header(1, "x"), nil))
	require.NoError(t, f.store(t.Context()))
	require.Len(t, m.certs, 1, "a node that is no validator gathers all the same")
}

func TestWhatPeersSendWronglyIsReported(t *testing.T) {
	w := newNetwork(t, 4)
	a, _ := w.attester(0)
	var refused []error
	a.cfg.Refused = func(from chain.Peer, err error) {
		require.Equal(t, chain.Peer("b"), from)
		refused = append(refused, err)
	}
	h := header(1, "x")
	good := *w.attestationOf(t, 1, h)
	send := func(m *message) {
		require.NoError(t, a.Receive("b", encodeMessage(m)))
		for _, r := range a.inbox.take() {
			a.verify(&r)
		}
	}
	for _, c := range []struct {
		m    *message
		want error
	}{
		{&message{Signed: []signed{{1, hashOf(t, h), good}}}, nil},
		{&message{Signed: []signed{{1, hashOf(t, h), good}}}, nil},
		{&message{Signed: []signed{{1, hashOf(t, h), chain.Attestation{Validator: 9, Signature: good.Signature}}}}, ErrMember},
		{&message{Signed: []signed{{1, hashOf(t, h), chain.Attestation{Validator: 3, Signature: good.Signature}}}}, crypto.ErrSignature},
		{&message{Signed: []signed{{Window + 1, hashOf(t, h), good}}}, nil}, // the peer may be right and we behind
		{&message{Signed: []signed{{1, hashOf(t, header(1, "y")), *w.attestationOf(t, 1, header(1, "y"))}}}, ErrEquivocation},
		{&message{Certificates: []chain.Certificate{*w.certificateOf(t, h, 1, 2)}}, chain.ErrCertificate},
	} {
		refused = nil
		send(c.m)
		if c.want == nil {
			require.Empty(t, refused)
			continue
		}
		require.Len(t, refused, 1, "%v", c.want)
		require.ErrorIs(t, refused[0], c.want)
	}
	require.ErrorIs(t, a.Receive("b", []byte("garbage")), ErrMessage)
}

func TestFloodIsBounded(t *testing.T) {
	w := newNetwork(t, 4)
	a, m := w.attester(0)
	net := &wire{peers: []chain.Peer{"b"}}
	a.cfg.Network = net
	h := header(1, "x")
	junk := encodeMessage(&message{Signed: []signed{{1, hashOf(t, h), chain.Attestation{Validator: 2, Signature: make([]byte, 64)}}}})
	for range 10_000 {
		require.NoError(t, a.Receive("flood", junk))
	}
	require.NoError(t, a.Receive("b", encodeMessage(&message{Signed: []signed{{1, hashOf(t, h), *w.attestationOf(t, 1, h)}}})))
	queued := a.inbox.take()
	require.Len(t, queued, inboxPerPeer+1, "a flood leaves room for the others")
	require.EqualValues(t, 10_000-inboxPerPeer, a.Dropped())

	execute(t, a, h)
	require.NoError(t, a.Certified(w.certificateOf(t, h, 1, 2, 3)))
	require.NoError(t, a.store(t.Context()))
	require.Len(t, m.certs, 1)
	net.take()
	for range 1000 {
		require.NoError(t, a.Receive("asks", encodeMessage(&message{Lacks: 1})))
		for _, r := range a.inbox.take() {
			a.verify(&r)
		}
	}
	require.Len(t, net.take(), asksPerSecond, "questions are answered within bounds")
	a.repeat()
	require.NoError(t, a.Receive("asks", encodeMessage(&message{Lacks: 1})))
	require.Len(t, a.inbox.take(), 1, "and again in the next second")
	require.NoError(t, a.Receive("asks", encodeMessage(&message{Lacks: 2})))
	require.Empty(t, a.inbox.take(), "what is not final here cannot be answered")
}

func TestOurKeyElsewhereIsNamed(t *testing.T) {
	w := newNetwork(t, 4)
	a, _ := w.attester(0)
	log := new(lines)
	a.log = slog.New(slog.NewTextHandler(log, nil))
	execute(t, a, header(1, "ours"))
	twin := w.attestationOf(t, 0, header(1, "twin's"))
	require.ErrorIs(t, a.Handle(1, hashOf(t, header(1, "twin's")), twin), ErrEquivocation)
	a.say()
	require.Contains(t, log.String(), "another node attests with this node's key")
	require.NoError(t, a.Handle(1, hashOf(t, header(1, "third")), w.attestationOf(t, 0, header(1, "third"))))
	require.Len(t, a.Evidence(), 1, "one proof of a validator is enough")
}

func TestSetThatIsNotKnown(t *testing.T) {
	w := newNetwork(t, 4)
	a, _ := w.attester(0)
	a.cfg.Rule = func(uint64) *chain.Rule { return nil }
	h := header(1, "x")
	require.ErrorIs(t, a.Handle(1, hashOf(t, h), w.attestationOf(t, 1, h)), ErrWindow)
	require.ErrorIs(t, a.Certified(w.certificateOf(t, h, 1, 2, 3)), ErrWindow)
	_, err := a.Own(h)
	require.ErrorContains(t, err, "not known", "a validator does not fall silent without a word")
	require.Error(t, a.Executed(h, nil))
}
