package sim

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

const chainID = 7

// initialBalance is what every account has at first, and transferGas what one of its transfers uses.
const (
	initialBalance = int64(1_000_000_000_000)
	transferGas    = 21_000
)

// workload is the clients: they send transfers to random nodes, ask random nodes what has become of them, send again what seems lost, and remember
// all that an honest node told them.
type workload struct {
	w        *world
	accounts []*account
	// stakers are accounts that stake, on a chain of stake; price is what all pay for gas.
	stakers []*account
	price   int64

	// mu guards what is below; clients and the driving goroutine share it.
	mu   sync.Mutex
	rng  *rand.Rand
	sent []*transfer
}

type account struct {
	key     *ecdsa.PrivateKey
	address common.Address
	nonce   uint64
}

// transfer is one transaction that a client signed.
type transfer struct {
	raw   []byte
	hash  common.Hash
	from  *account
	nonce uint64
	to    common.Address
	value int64
	// rival is another transfer with the same nonce, sent elsewhere: at most one of the two may happen.
	rival *transfer
	// offered is when it was last sent.
	offered time.Time
	// told is where an honest node said that it is; height 0: nobody did.
	told place
	by   int
}

// place is a block.
type place struct {
	height uint64
	block  common.Hash
}

// inclusion is a transaction of the chain: where it is, and who signed it.
type inclusion struct {
	place
	from common.Address
}

func newWorkload(w *world, accounts int) *workload {
	l := &workload{w: w, rng: rand.New(rand.NewPCG(w.seed, 0x636c69))}
	for i := range accounts {
		l.accounts = append(l.accounts, newAccount(w.seed, fmt.Sprintf("account %d", i)))
	}
	if w.plan.stake {
		l.price = stakePrice
		for i := range 4 {
			l.stakers = append(l.stakers, newAccount(w.seed, fmt.Sprintf("staker %d", i)))
		}
	}
	return l
}

func newAccount(seed uint64, name string) *account {
	b := seedBytes(seed, name)
	key, err := gethcrypto.ToECDSA(b[:])
	if err != nil {
		panic(err) // a SHA-256 outside the curve's order: nobody will ever see one
	}
	return &account{key: key, address: gethcrypto.PubkeyToAddress(key.PublicKey)}
}

// run sends and asks until ctx ends.
func (l *workload) run(ctx context.Context) {
	const ask = 3 * time.Second
	next := time.Now()
	votes, stakers, engines := newBallots(l, l.w.plan.votes), newStakers(l), newEngineVotes(l)
	for {
		if !time.Now().Before(next) {
			l.mu.Lock()
			gap := time.Duration(l.rng.ExpFloat64() * float64(l.w.plan.gap))
			l.mu.Unlock()
			next = time.Now().Add(gap)
			l.burst(ctx)
		}
		l.ask(ctx)
		votes.advance(ctx)
		stakers.advance(ctx)
		engines.advance(ctx)
		wake := min(time.Until(next), ask)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wake):
		}
	}
}

// burst sends a few transfers of one or several accounts to one or several nodes.
func (l *workload) burst(ctx context.Context) {
	l.mu.Lock()
	count := 1 + l.rng.IntN(4)
	l.mu.Unlock()
	for range count {
		l.mu.Lock()
		from := l.accounts[l.rng.IntN(len(l.accounts))]
		t := l.sign(from, 1+l.rng.Int64N(1000))
		double := l.rng.IntN(20) == 0
		if double {
			from.nonce--
			t.rival = l.sign(from, t.value+1)
			t.rival.rival = t
		}
		l.mu.Unlock()
		l.offer(ctx, t)
		if double {
			l.offer(ctx, t.rival)
		}
	}
}

// sign makes the account's next transfer, to a random other. The caller holds mu.
func (l *workload) sign(from *account, value int64) *transfer {
	return l.signTo(from, l.accounts[l.rng.IntN(len(l.accounts))].address, value, transferGas, nil)
}

// signTo makes the account's next transaction. The caller holds mu.
func (l *workload) signTo(from *account, to common.Address, value int64, gas uint64, data []byte) *transfer {
	t := &transfer{from: from, nonce: from.nonce, to: to, value: value}
	tx, err := types.SignNewTx(from.key, types.LatestSignerForChainID(big.NewInt(chainID)), &types.LegacyTx{Nonce: t.nonce, To: &to,
		Value: big.NewInt(value), Gas: gas, GasPrice: big.NewInt(l.price), Data: data})
	if err != nil {
		panic(err) // the key is good
	}
	if t.raw, err = tx.MarshalBinary(); err != nil {
		panic(err) // it was signed just now
	}
	t.hash = tx.Hash()
	from.nonce++
	l.sent = append(l.sent, t)
	return t
}

// offer sends a transfer to a random running node.
func (l *workload) offer(ctx context.Context, t *transfer) {
	l.mu.Lock()
	m := l.pick(func(*member) bool { return true })
	t.offered = time.Now()
	l.mu.Unlock()
	if m != nil {
		l.send(ctx, m, t)
	}
}

// send gives a transfer to a member's pool. Whether it took it does not matter: the client will see.
func (l *workload) send(ctx context.Context, m *member, t *transfer) {
	var s *node.Stages
	m.now.Load().read(func(stages *node.Stages) { s = stages })
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, _ = s.Pool.AddBatch(ctx, [][]byte{t.raw}, true)
}

// pick draws a running member. The caller holds mu.
func (l *workload) pick(fits func(*member) bool) *member {
	var up []*member
	for _, m := range l.w.members {
		if m.now.Load() != nil && fits(m) {
			up = append(up, m)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[l.rng.IntN(len(up))]
}

// patience is after how long without a receipt a client sends again.
const patience = 5 * time.Second

// ask asks a random honest node about what has no receipt yet, and sends again what waits too long.
func (l *workload) ask(ctx context.Context) {
	l.mu.Lock()
	m := l.pick(func(m *member) bool { return !m.untrusted.Load() })
	var again []*transfer
	for _, t := range l.sent {
		if t.told.height == 0 && (t.rival == nil || t.rival.told.height == 0) && time.Since(t.offered) > l.w.plan.patience() {
			again = append(again, t)
		}
	}
	if m != nil {
		m.now.Load().read(func(s *node.Stages) { l.look(m, s.Store) })
	}
	l.mu.Unlock()
	for _, t := range again {
		l.offer(ctx, t)
	}
}

// look remembers what the node tells. The caller holds mu.
func (l *workload) look(m *member, st *store.Store) {
	for _, t := range l.sent {
		if t.told.height != 0 {
			continue
		}
		r, err := st.Receipt(t.hash)
		if err != nil {
			l.w.fail("member %d: receipt of %s: %v", m.index, t.hash, err)
			return
		}
		if r != nil {
			t.told, t.by = place{r.BlockNumber.Uint64(), r.BlockHash}, m.index
		}
	}
}

// probe sends one transfer to every running node and returns them: when all are final everywhere, the network works.
func (l *workload) probe() []common.Hash {
	var out []common.Hash
	for _, m := range l.w.members {
		if m.untrusted.Load() {
			continue
		}
		l.mu.Lock()
		t := l.sign(l.accounts[m.index%len(l.accounts)], 1)
		t.offered = time.Now()
		l.mu.Unlock()
		l.send(context.Background(), m, t)
		out = append(out, t.hash)
	}
	return out
}

// verify holds what clients remember against the final chain and its state.
func (l *workload) verify(included map[common.Hash]inclusion, st *store.Store) {
	balances, nonces := l.compare(included)
	accounts := slices.Clone(l.accounts)
	for _, m := range l.w.members {
		if !l.w.plan.stake && l.w.plan.work == nil { // there they stake and earn, and all of it together is what checker.supply and rewards add up
			accounts = append(accounts, m.account)
		}
	}
	tip := st.Tip()
	for _, a := range accounts {
		nonce, balance, err := balanceOf(tip, a.address)
		if err != nil {
			l.w.fail("read account %s: %v", a.address, err)
			return
		}
		if nonce != nonces[a.address] || balance.Cmp(big.NewInt(balances[a.address])) != 0 {
			l.w.fail("account %s has nonce %d and balance %s, its transfers leave %d and %d", a.address, nonce, balance, nonces[a.address], balances[a.address])
		}
	}
}

// compare checks that nothing that clients were told has changed and that nothing happened twice. It returns what the transfers in the chain leave.
func (l *workload) compare(included map[common.Hash]inclusion) (balances map[common.Address]int64, nonces map[common.Address]uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	balances, nonces = make(map[common.Address]int64), make(map[common.Address]uint64)
	for _, a := range l.accounts {
		balances[a.address] = initialBalance
	}
	known := make(map[common.Hash]bool)
	for _, t := range l.sent {
		at, in := included[t.hash]
		if t.told.height != 0 && (!in || at.place != t.told) {
			l.w.fail("member %d told of transfer %s in block %d (%s), now it is in %d (%s)", t.by, t.hash, t.told.height, t.told.block, at.height, at.block)
		}
		if !in {
			continue
		}
		if t.rival != nil {
			if _, both := included[t.rival.hash]; both {
				l.w.fail("both transfers of nonce %d of %s happened", t.nonce, t.from.address)
			}
		}
		known[t.hash] = true
		balances[t.from.address] -= t.value + transferGas*l.price
		balances[t.to] += t.value
		nonces[t.from.address] = max(nonces[t.from.address], t.nonce+1)
	}
	for hash, tx := range included {
		if !known[hash] {
			l.foreign(hash, tx)
		}
	}
	return balances, nonces
}

// foreign checks a transaction that no client sent. A member who alters what it answers can make one of a client's: other bytes are signed by another
// key, of an account that nobody has, whose first transaction costs nothing where fees are zero. It must not be a client's. The caller holds mu.
func (l *workload) foreign(hash common.Hash, tx inclusion) {
	alters := slices.ContainsFunc(l.w.members, func(m *member) bool { return m.vice != nil && m.vice.kind&alter != 0 })
	if !alters || l.owner(tx.from) {
		l.w.fail("transaction %s of %s in block %d was not sent by a client", hash, tx.from, tx.height)
	}
}

// owner tells whether an account is a client's or a member's.
func (l *workload) owner(a common.Address) bool {
	return slices.ContainsFunc(l.accounts, func(own *account) bool { return own.address == a }) ||
		slices.ContainsFunc(l.stakers, func(own *account) bool { return own.address == a }) ||
		slices.ContainsFunc(l.w.members, func(m *member) bool { return m.account != nil && m.account.address == a })
}
