package pool

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// model is the pool as one would write it without caring for speed: a set of transactions and rules applied by looking at all of them.
type model struct {
	market  bool
	base    uint64
	nonce   map[int]uint64
	balance map[int]uint64
	txs     map[common.Hash]*modelTx
	seq     int
}

type modelTx struct {
	spec
	tx      *chain.Tx
	sender  int
	decided bool
	seq     int
	tries   int
	free    bool
}

func (m *modelTx) cost() uint64 {
	if m.free {
		return m.value
	}
	return m.value + m.gas*m.feeCap
}

// of lists a sender's transactions by nonce.
func (m *model) of(sender int) []*modelTx {
	var out []*modelTx
	for _, tx := range m.txs {
		if tx.sender == sender {
			out = append(out, tx)
		}
	}
	slices.SortFunc(out, func(a, b *modelTx) int { return int(a.nonce) - int(b.nonce) })
	return out
}

// run is how many of them have no gap before them.
func (m *model) run(sender int) int {
	for i, tx := range m.of(sender) {
		if tx.nonce != m.nonce[sender]+uint64(i) {
			return i
		}
	}
	return len(m.of(sender))
}

func (m *model) add(tx *modelTx) error {
	hash := tx.tx.Hash()
	if m.txs[hash] != nil {
		return ErrAlreadyKnown
	}
	if tx.nonce < m.nonce[tx.sender] {
		return ErrNonceTooLow
	}
	spent := tx.cost()
	var old *modelTx
	for _, other := range m.of(tx.sender) {
		spent += other.cost()
		if other.nonce == tx.nonce {
			old = other
			spent -= other.cost()
		}
	}
	if old != nil && old.decided {
		return ErrNonceTooLow
	}
	if spent > m.balance[tx.sender] {
		return ErrInsufficientFunds
	}
	if old != nil {
		if tx.feeCap <= old.feeCap || tx.feeCap*100 < old.feeCap*110 || tx.tipCap*100 < old.tipCap*110 {
			return ErrReplaceUnderpriced
		}
		delete(m.txs, old.tx.Hash())
	}
	m.seq++
	tx.seq = m.seq
	m.txs[hash] = tx
	return nil
}

// build lists all ready ones; on a market in the one right order, else by sender.
func (m *model) build(senders int) []common.Hash {
	queues := make([][]*modelTx, senders)
	for s := range senders {
		for _, tx := range m.of(s)[:m.run(s)] {
			if !tx.decided {
				queues[s] = append(queues[s], tx)
			}
		}
	}
	var out []common.Hash
	for {
		best := -1
		for s, q := range queues {
			if len(q) > 0 && (!m.market || q[0].feeCap >= m.base) && (best < 0 || m.market && m.above(q[0], queues[best][0])) {
				best = s
			}
		}
		if best < 0 {
			return out
		}
		out = append(out, queues[best][0].tx.Hash())
		queues[best] = queues[best][1:]
	}
}

func (m *model) above(x, y *modelTx) bool {
	a, b := min(x.tipCap, x.feeCap-m.base), min(y.tipCap, y.feeCap-m.base)
	return a > b || a == b && x.seq < y.seq
}

// settle drops what a sender cannot pay any more, from the end.
func (m *model) settle(sender int) {
	for {
		spent := uint64(0)
		var last *modelTx
		for _, tx := range m.of(sender) {
			if tx.nonce < m.nonce[sender] {
				delete(m.txs, tx.tx.Hash())
				continue
			}
			spent += tx.cost()
			if !tx.decided {
				last = tx
			}
		}
		if spent <= m.balance[sender] || last == nil {
			return
		}
		delete(m.txs, last.tx.Hash())
	}
}

const modelSenders = 4

func TestAgainstModel(t *testing.T) {
	for _, mode := range []chain.FeeMode{chain.FeesZero, chain.FeesMarket} {
		t.Run(string(mode), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { againstModel(t, rt, mode) })
		})
	}
}

func againstModel(t *testing.T, rt *rapid.T, mode chain.FeeMode) {
	f := start(t, setup{mode: mode, baseFee: 10})
	defer f.stop()
	m := &model{market: mode == chain.FeesMarket, base: 10, nonce: map[int]uint64{}, balance: map[int]uint64{}, txs: map[common.Hash]*modelTx{}}
	if !m.market {
		m.base = 0
	}
	for s := range modelSenders {
		m.balance[s] = 40_000_000
		f.ledger.set(person(s).addr, 0, m.balance[s])
	}
	var pending [][]*modelTx // decided, not executed
	rt.Repeat(map[string]func(*rapid.T){
		"add": func(rt *rapid.T) { modelAdd(t, rt, f, m) },
		"decide": func(rt *rapid.T) {
			n := rapid.IntRange(0, 6).Draw(rt, "n")
			var decision []*modelTx
			hashes := f.Build(n, 1<<30, 1<<60)
			if want := m.build(modelSenders); m.market && !slices.Equal(hashes, want[:min(n, len(want))]) {
				rt.Fatalf("build of %d: %v, the model says %v", n, hashes, want)
			}
			for _, h := range hashes {
				m.txs[h].decided = true
				decision = append(decision, m.txs[h])
			}
			txs, missing := f.Bodies(hashes)
			require.Empty(t, missing)
			f.Decided(txs)
			pending = append(pending, decision)
		},
		"execute": func(rt *rapid.T) {
			if len(pending) == 0 {
				rt.Skip("nothing is decided")
			}
			modelExecute(t, rt, f, m, pending[0])
			pending = pending[1:]
		},
		"": func(rt *rapid.T) {
			f.mu.Lock()
			err := f.verifyInvariants()
			f.mu.Unlock()
			if err != nil {
				rt.Fatal(err)
			}
			if len(f.all) != len(m.txs) {
				rt.Fatalf("%d pooled, the model has %d", len(f.all), len(m.txs))
			}
		},
		"compare": func(rt *rapid.T) { modelCompare(rt, f, m) }, // not after every step: a full build tidies up what a partial one must cope with
	})
}

func modelAdd(t *testing.T, rt *rapid.T, f *fixture, m *model) {
	s := rapid.IntRange(0, modelSenders-1).Draw(rt, "sender")
	fee := rapid.Uint64Range(1, 40).Draw(rt, "fee")
	tx := &modelTx{sender: s, free: !m.market, spec: spec{from: person(s), nonce: m.nonce[s] + rapid.Uint64Range(0, 5).Draw(rt, "ahead"), gas: 21_000, feeCap: fee,
		tipCap: rapid.Uint64Range(0, fee).Draw(rt, "tip"), value: rapid.Uint64Range(0, 4).Draw(rt, "value") * 5_000_000}}
	if !m.market {
		tx.feeCap = fee % 3
		tx.tipCap = min(tx.tipCap, tx.feeCap)
	}
	if tx.nonce > 0 && rapid.IntRange(0, 9).Draw(rt, "old") == 0 {
		tx.nonce--
	}
	raw := tx.raw(t)
	var err error
	tx.tx, err = f.Add(context.Background(), raw, false)
	if tx.tx == nil {
		tx.tx, _ = chain.DecodeTx(raw)
	}
	if want := m.add(tx); !errors.Is(err, want) || want == nil && err != nil {
		rt.Fatalf("add: %v, the model says %v", err, want)
	}
}

// modelExecute makes a block of a decision: of each sender the transactions up to a drawn number are included, the rest is left out.
func modelExecute(t *testing.T, rt *rapid.T, f *fixture, m *model, decision []*modelTx) {
	var txs chain.Txs
	var excluded []chain.Exclusion
	var left []*modelTx
	for _, tx := range decision {
		if tx.nonce == m.nonce[tx.sender] && tx.cost() <= m.balance[tx.sender] && rapid.IntRange(0, 7).Draw(rt, "exclude") > 0 {
			m.nonce[tx.sender]++
			m.balance[tx.sender] -= tx.value
			delete(m.txs, tx.tx.Hash())
			txs = append(txs, tx.tx)
		} else {
			excluded = append(excluded, chain.Exclusion{Tx: tx.tx.Hash(), Reason: "left out"})
			left = append(left, tx)
		}
	}
	if rapid.IntRange(0, 3).Draw(rt, "balances") == 0 {
		s := rapid.IntRange(0, modelSenders-1).Draw(rt, "whose")
		m.balance[s] = rapid.Uint64Range(0, 40).Draw(rt, "balance") * 1_000_000
	}
	var writes []chain.AccountChange
	for s := range modelSenders {
		writes = append(writes, f.ledger.set(person(s).addr, m.nonce[s], m.balance[s]))
		m.settle(s)
	}
	for _, tx := range left {
		if tx.tries++; tx.tries > DefaultConfig().Retries {
			delete(m.txs, tx.tx.Hash())
		} else if m.txs[tx.tx.Hash()] != nil {
			tx.decided = false
		}
		m.settle(tx.sender)
	}
	if m.market {
		m.base = rapid.Uint64Range(1, 35).Draw(rt, "base fee")
		f.ledger.baseFee = new(big.Int).SetUint64(m.base)
	}
	f.Executed(f.ledger.block(txs, excluded, writes...))
}

func modelCompare(rt *rapid.T, f *fixture, m *model) {
	have, want := f.build(), m.build(modelSenders)
	if m.market {
		if !slices.Equal(have, want) {
			rt.Fatalf("build: %v, the model says %v", have, want)
		}
		if again := f.build(); !slices.Equal(have, again) {
			rt.Fatalf("a second build differs: %v, %v", have, again)
		}
	} else if len(have) != len(want) {
		rt.Fatalf("build: %d, the model says %d", len(have), len(want))
	}
	round := make(map[int]int)
	deepest := 0
	next := make(map[int]int)
	for _, h := range have {
		tx := m.txs[h]
		if tx == nil {
			rt.Fatalf("%s is not in the model", h)
		}
		ready := slices.DeleteFunc(m.of(tx.sender)[:m.run(tx.sender)], func(tx *modelTx) bool { return tx.decided })
		if ready[next[tx.sender]] != tx {
			rt.Fatalf("%s is not the next of its sender", h)
		}
		next[tx.sender]++
		if !m.market {
			if round[tx.sender] < deepest {
				rt.Fatalf("sender %d waits for its transaction %d while another has had %d", tx.sender, round[tx.sender], deepest+1)
			}
			deepest = round[tx.sender]
			round[tx.sender]++
		}
	}
	for s := range modelSenders {
		nonce, err := f.PendingNonce(person(s).addr)
		if want := m.nonce[s] + uint64(m.run(s)); err != nil || nonce != want {
			rt.Fatalf("pending nonce of %d: %d %v, the model says %d", s, nonce, err, want)
		}
	}
}

// Under tiny bounds everything is evicted and refused all the time: the bookkeeping must stay right, and the bounds hold.
func TestTinyBounds(t *testing.T) {
	for _, mode := range []chain.FeeMode{chain.FeesZero, chain.FeesMarket} {
		t.Run(string(mode), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				f := start(t, setup{mode: mode, baseFee: 10, cfg: func(c *Config) {
					c.MaxTxs, c.MaxBytes, c.AccountExecutable, c.AccountGapped = 6, 1000, 4, 2
				}})
				defer f.stop()
				for s := range 6 {
					f.rich(person(s))
				}
				rt.Repeat(map[string]func(*rapid.T){
					"add": func(rt *rapid.T) {
						s := spec{from: person(rapid.IntRange(0, 5).Draw(rt, "sender")), nonce: rapid.Uint64Range(0, 6).Draw(rt, "nonce"),
							gas: 100_000, feeCap: rapid.Uint64Range(1, 50).Draw(rt, "fee"), data: make([]byte, rapid.IntRange(0, 300).Draw(rt, "size"))}
						_, _ = f.Add(context.Background(), s.raw(t), rapid.Bool().Draw(rt, "local"))
					},
					"decide": func(rt *rapid.T) {
						txs, _ := f.Bodies(f.Build(rapid.IntRange(0, 3).Draw(rt, "n"), 1<<30, 1<<60))
						f.Decided(txs)
					},
					"": func(rt *rapid.T) {
						f.mu.Lock()
						defer f.mu.Unlock()
						if err := f.verifyInvariants(); err != nil {
							rt.Fatal(err)
						}
						if n, b := f.counts[ready]+f.counts[gapped], f.bytes[ready]+f.bytes[gapped]; n > 6 || b > 1000 {
							rt.Fatalf("%d transactions, %d bytes", n, b)
						}
					},
				})
			})
		})
	}
}
