// Package ordertest is the contract of order.Engine as tests: every engine passes the same ones.
//
// It stands beside the engines in the order stage and is imported by tests only. Each test runs a whole network of the engine's validators, the
// real driver over fake pools and ledgers, in virtual time (testing/synctest), so waiting costs nothing and a goroutine left behind fails the test.
package ordertest

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Run checks the engine against the contract. What is of decisions on demand only is not asked of an open engine.
func Run(t *testing.T, e Engine) {
	tests := map[string]func(*testing.T, Engine){
		"progress and order":          testProgress,
		"restart":                     testRestart,
		"tail is handed on again":     testTail,
		"ledger failure ends the run": testFailure,
		"cancel":                      testCancel,
		"back-pressure":               testBackPressure,
		"altered decisions":           testAltered,
		"rings before the run":        testEarlyRing,
		"foreign messages":            testForeign,
	}
	if !e.Open {
		tests["a lone transaction"] = testLone
		tests["doorbell storm"] = testStorm
		tests["batches close by size"] = testSize
		tests["no work, no decisions"] = testIdle
		tests["heartbeat"] = testHeartbeat
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e) }) })
	}
}

func testProgress(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	for i := range 20 {
		c.submit(10*i, 10*i+10)
		time.Sleep(time.Duration(i) * time.Millisecond)
	}
	c.decided(200)
	synctest.Wait()
	for _, n := range c.nodes {
		s := n.engine.Status()
		require.Equal(t, n.ledger.Height(), s.Height)
		require.NotEmpty(t, s.Engine)
	}
	c.halt()
}

func testLone(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	for i := range 5 {
		time.Sleep(time.Minute)
		start := time.Now()
		c.submit(i, i+1)
		c.decided(i + 1)
		require.LessOrEqual(t, time.Since(start), batchTime+e.Latency+time.Millisecond)
	}
	c.halt()
}

func testStorm(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	for i := range 100 {
		for range 100 {
			for _, n := range c.nodes {
				n.pool.Ring()
				n.engine.Pending()
			}
		}
		c.submit(i, i+1)
	}
	c.decided(100)
	time.Sleep(e.Settle)
	height := c.height()
	for range 10_000 {
		c.nodes[0].engine.Pending()
	}
	time.Sleep(e.Settle)
	require.Equal(t, height, c.height(), "rings without work decide nothing")
	c.halt()
}

func testSize(t *testing.T, e Engine) {
	c := newCluster(t, e, func(p *chain.Consensus) { p.BatchMillis = 60_000 })
	c.start()
	start := time.Now()
	c.submit(0, 100)
	c.decided(100)
	require.Less(t, time.Since(start), time.Minute, "a full batch does not wait")
	c.submit(100, 105)
	c.eventually(func() bool { return true }, "")
	time.Sleep(30 * time.Second)
	c.agree(100)
	time.Sleep(30 * time.Second)
	c.decided(105)
	c.halt()
}

func testIdle(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	time.Sleep(10 * time.Minute)
	require.Zero(t, c.height())
	c.submit(0, 1)
	c.decided(1)
	height := c.height()
	time.Sleep(10 * time.Minute)
	require.Equal(t, height, c.height())
	c.halt()
}

func testHeartbeat(t *testing.T, e Engine) {
	c := newCluster(t, e, func(p *chain.Consensus) { p.HeartbeatMillis = 10_000 })
	c.start()
	time.Sleep(95*time.Second + e.Settle)
	beats := c.height()
	require.GreaterOrEqual(t, beats, uint64(8))
	require.LessOrEqual(t, beats, uint64(9+e.Settle/(10*time.Second)))
	for i := range 20 { // work every second: no heartbeat is due
		c.submit(i, i+1)
		time.Sleep(time.Second)
	}
	c.decided(20)
	for _, d := range c.nodes[0].ledger.Decisions()[beats+1:] {
		require.NotEmpty(t, d.Txs, "height %d", d.Height)
	}
	c.halt()
}

func testRestart(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	for i := range 4 {
		c.start()
		c.submit(10*i, 10*i+10)
		c.decided(10*i + 10)
		c.halt()
	}
	require.Equal(t, c.nodes[0].executed, c.height())
}

func testTail(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	c.submit(0, 50)
	c.decided(50)
	c.halt()
	ds := c.nodes[0].ledger.Decisions()
	tail := len(ds) / 2
	for _, n := range c.nodes {
		n.executed = uint64(len(ds) - tail) // the blocks above were never made
	}
	c.start()
	for _, d := range ds[len(ds)-tail:] { // a journal brings back what is decided and not executed: it must not be decided again
		_, txs, err := c.nodes[0].ledger.Decision(d.Height)
		require.NoError(t, err)
		for _, n := range c.nodes {
			n.pool.Add(txs...)
		}
	}
	c.submit(50, 60)
	c.decided(60)
	for _, n := range c.nodes {
		require.Equal(t, n.ledger.Height(), n.done())
	}
	c.halt()
}

func testFailure(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	c.submit(0, 1)
	c.decided(1)
	full := errors.New("disk is full")
	for _, n := range c.nodes {
		n.ledger.Fail(full)
	}
	c.submit(1, 2)
	for _, n := range c.nodes {
		select {
		case err := <-n.result:
			require.ErrorIs(t, err, full)
		case <-time.After(e.Settle):
			t.Fatal("still running")
		}
		n.ledger.Fail(nil)
		n.stop()
	}
	c.agree(1)
	c.start() // space was freed; the pools are the same and will not ring again
	c.decided(2)
	c.halt()
}

func testCancel(t *testing.T, e Engine) {
	c := newCluster(t, e, func(p *chain.Consensus) { p.BatchMillis = 60_000 })
	ends := func(after time.Duration, what string) {
		t.Helper()
		c.start()
		c.submit(0, 1)
		time.Sleep(after)
		start := time.Now()
		c.halt()
		require.LessOrEqual(t, time.Since(start), time.Second, what)
	}
	ends(0, "while it starts")
	ends(time.Second, "while a batch fills")
	for _, n := range c.nodes {
		n.ledger.Delay(time.Hour)
	}
	ends(2*time.Minute, "while the ledger is slow")
	for _, n := range c.nodes {
		n.ledger.Delay(0)
	}
}

func testBackPressure(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	for _, n := range c.nodes {
		n.pause(true)
	}
	time.Sleep(time.Second)
	c.submit(0, 500)
	time.Sleep(e.Settle)
	for _, n := range c.nodes {
		require.LessOrEqual(t, n.ledger.Height()-n.done(), uint64(order.DefaultConfig().Pipeline), "no more than the pipeline is decided ahead of execution")
	}
	require.NotZero(t, c.height())
	for _, n := range c.nodes {
		n.pause(false)
	}
	c.decided(500)
	for _, n := range c.nodes {
		n.pause(true)
	}
	c.submit(500, 1000)
	time.Sleep(e.Settle)
	c.halt() // with everything full
}

func testAltered(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	c.submit(0, 9)
	c.decided(9)
	ds := c.nodes[0].ledger.Decisions()
	n := c.nodes[0]
	i := slices.IndexFunc(ds, func(d *chain.Decision) bool { return len(d.Txs) > 0 })
	require.GreaterOrEqual(t, i, 0)
	d := ds[i]
	fresh := e.New(t, n.Node)
	require.NoError(t, fresh.VerifyDecision(n.Set, d), "an engine that never ran can tell")
	alter := map[string]func(*chain.Decision){
		"height":           func(d *chain.Decision) { d.Height++ },
		"parent":           func(d *chain.Decision) { d.Parent[0] ^= 1 },
		"time":             func(d *chain.Decision) { d.TimeMillis++ },
		"proposer":         func(d *chain.Decision) { d.Proposer++ },
		"no proposer":      func(d *chain.Decision) { d.Proposer, d.Coinbase = 0, common.Address{9} },
		"one more":         func(d *chain.Decision) { d.Txs = append(d.Txs, common.Hash{1}) },
		"one less":         func(d *chain.Decision) { d.Txs = d.Txs[1:] },
		"another one":      func(d *chain.Decision) { d.Txs[0][5] ^= 1 },
		"no proof":         func(d *chain.Decision) { d.Proof = nil },
		"cut proof":        func(d *chain.Decision) { d.Proof = d.Proof[:len(d.Proof)-1] },
		"all-zero proof":   func(d *chain.Decision) { d.Proof = make([]byte, len(d.Proof)) },
		"proof of another": func(d *chain.Decision) { d.Proof = append([]byte{1}, d.Proof...) },
	}
	for name, change := range alter {
		bad := *d
		bad.Txs, bad.Proof = slices.Clone(d.Txs), slices.Clone(d.Proof)
		change(&bad)
		require.ErrorIs(t, fresh.VerifyDecision(n.Set, &bad), order.ErrProof, name)
	}
	elsewhere := n.Node
	elsewhere.GenesisHash = crypto.Hash{9}
	require.ErrorIs(t, e.New(t, elsewhere).VerifyDecision(n.Set, d), order.ErrProof, "another chain")
	if e.Open {
		c.halt()
		return // nobody signs
	}
	strangers := slices.Clone(n.Set)
	for i := range strangers {
		key, err := n.Suite.GenerateKey(sameBytes{byte(i + 1)})
		require.NoError(t, err)
		strangers[i].PublicKey = key.Public().Bytes()
	}
	require.ErrorIs(t, fresh.VerifyDecision(strangers, d), order.ErrProof, "another set")
	require.ErrorIs(t, fresh.VerifyDecision(nil, d), order.ErrProof, "no set")
	c.halt()
}

type sameBytes struct{ b byte }

func (r sameBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.b
	}
	return len(p), nil
}

func testEarlyRing(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	engine := e.New(t, c.nodes[0].Node)
	for range 1000 {
		engine.Pending() // nobody listens yet, and nobody ever may
	}
	c.start()
	c.submit(0, 1)
	c.decided(1)
	c.halt()
}

func testForeign(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	for i := range 300 {
		for _, n := range c.nodes {
			n.engine.Handle(order.PeerID(i), make([]byte, i))
			n.engine.Handle(0, []byte{byte(i)})
		}
	}
	c.submit(0, 10)
	c.decided(10)
	c.halt()
}
