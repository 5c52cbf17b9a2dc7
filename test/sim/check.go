package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/order/bft"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/store"
)

// checker holds what honest members have said against each other, for all of a world's time.
type checker struct {
	w *world
	// convicts reads along with those who may lie, on a chain of stake.
	convicts *convictions

	// mu guards what nodes' goroutines reach through the network's taps.
	mu sync.Mutex
	// attested is what each honest member has signed, by height; a crash does not excuse a second word.
	attested []map[uint64]crypto.Hash
	// committed is what each has committed to, by height and view: with attested all that a contract punishes for being said twice.
	committed []map[[2]uint64]crypto.Hash
	// fresh are those of them that have not been held against the blocks yet.
	fresh []attestation
	// lastSeen is each host's last message, which goes to many peers; guarded by the network's lock.
	lastSeen [][]byte

	// The driving goroutine owns what is below.
	headers   map[uint64]said
	decisions map[uint64]said
	seen      []progress
	steps     int
}

// decisionEvery is how many steps pass between looks at what is decided and not executed yet: reading that costs more than all else here.
const decisionEvery = 8

// said is a hash with who said it first.
type said struct {
	hash crypto.Hash
	by   int
}

// progress is what was seen of a member.
type progress struct {
	life *life
	// checked are the heights whose headers were compared, durable the highest block and decided the highest decision that was on its disk.
	checked, durable, decided uint64
	// finalized is this life's, which never goes back.
	finalized uint64
}

func newChecker(w *world) *checker {
	return &checker{w: w, convicts: newConvictions(w), attested: make([]map[uint64]crypto.Hash, len(w.members)),
		committed: make([]map[[2]uint64]crypto.Hash, len(w.members)), headers: make(map[uint64]said), decisions: make(map[uint64]said),
		seen: make([]progress, len(w.members)), lastSeen: make([][]byte, len(w.members))}
}

// height is the highest that any honest member has executed.
func (c *checker) height() (h uint64) {
	for i := range c.seen {
		h = max(h, c.seen[i].durable)
	}
	return h
}

// forget allows a member that has lost its disk to begin anew.
func (c *checker) forget(m *member) { c.seen[m.index] = progress{} }

// sent sees every message that leaves a host.
func (c *checker) sent(from, _ int, protocol string, msg []byte) {
	m := c.w.members[from]
	if protocol == orderProtocol && c.hasCommits() && !m.untrusted.Load() {
		_, n := binary.Uvarint(msg) // the engine's term comes first
		if claim, ok := bft.ClaimIn(msg[max(n, 0):]); ok {
			c.commits(m, &claim)
		}
	}
	if protocol == attestProtocol && c.w.plan.stake && m.untrusted.Load() {
		c.convicts.heard(m, msg)
	}
	if protocol != attestProtocol || m.untrusted.Load() || bytes.Equal(msg, c.lastSeen[from]) {
		return
	}
	c.lastSeen[from] = msg
	id := c.w.idOf(m.peer)
	for _, a := range decodeAttestations(msg) {
		if a.validator == id {
			c.attests(m, a.height, a.header)
		}
	}
}

// hasCommits tells whether bft alone orders, so that what looks like its commits is that.
func (c *checker) hasCommits() bool {
	engine := c.w.genesis.Consensus.Engine
	return c.w.plan.engines == 0 && (engine == chain.BFT || engine == chain.PoS)
}

// attests notes a signature that an honest member gave away.
func (c *checker) attests(m *member, height uint64, header crypto.Hash) {
	c.mu.Lock()
	by := c.attested[m.index]
	if by == nil {
		by = make(map[uint64]crypto.Hash)
		c.attested[m.index] = by
	}
	before, known := by[height]
	if !known {
		by[height] = header
		c.fresh = append(c.fresh, attestation{c.w.idOf(m.peer), height, header})
	}
	c.mu.Unlock()
	if known && before != header {
		c.w.fail("member %d attests %s at height %d, before it attested %s", m.index, header, height, before)
	}
}

// commits notes a commit that an honest member gave away.
func (c *checker) commits(m *member, claim *chain.Claim) {
	c.mu.Lock()
	by := c.committed[m.index]
	if by == nil {
		by = make(map[[2]uint64]crypto.Hash)
		c.committed[m.index] = by
	}
	at := [2]uint64{claim.Height, claim.View}
	before, known := by[at]
	by[at] = claim.What
	c.mu.Unlock()
	if known && before != claim.What {
		c.w.fail("member %d commits to %s at height %d in view %d, before it committed to %s", m.index, claim.What, claim.Height, claim.View, before)
	}
}

// reported hears what members say of each other's behaviour: no honest one may have a reason to complain about another in earnest.
func (c *checker) reported(by, of int, offence p2p.Offence, why string) {
	if offence >= p2p.Misbehaviour && !c.w.members[by].untrusted.Load() && !c.w.members[of].untrusted.Load() {
		c.w.fail("%s", c.w.reportOf(by, of, offence, why))
	}
}

// step compares what is new.
func (c *checker) step() {
	c.w.trusted(c.member)
	c.agree()
	c.steps++
}

// member compares one honest member's new blocks and decisions with what others had at these heights.
func (c *checker) member(m *member, st *store.Store) {
	p := &c.seen[m.index]
	head := st.Head().Number.Uint64()
	if c.w.genesisHash.Load() == nil {
		if g0, err := st.Header(0); err == nil {
			if hash, err := chain.HeaderHash(c.w.suite, g0); err == nil {
				c.w.genesisHash.Store(&hash)
			}
		}
	}
	if l := m.now.Load(); p.life != l {
		// A new life: whatever was durable in the last one is there.
		if head < p.durable {
			c.w.fail("member %d came back with block %d, block %d was durable", m.index, head, p.durable)
		}
		p.life, p.finalized = l, 0
		p.checked = min(p.checked, head)
		if p.checked > 0 {
			p.checked-- // its last block once more: is it the same one?
		}
	}
	for h := p.checked + 1; h <= head; h++ {
		header, err := st.Header(h)
		if err != nil {
			c.w.fail("member %d: header %d: %v", m.index, h, err)
			return
		}
		hash, err := chain.HeaderHash(c.w.suite, header)
		if err != nil {
			c.w.fail("member %d: header %d: %v", m.index, h, err)
			return
		}
		c.compare("block", c.headers, h, hash, m.index)
		p.checked = h
	}
	if head > p.durable {
		p.durable = head
		c.w.learn(st, head+chain.ActivationDelay)
	}
	finalized := st.Finalized()
	if finalized < p.finalized || finalized > head {
		c.w.fail("member %d: finalized went from %d to %d, the head is %d", m.index, p.finalized, finalized, head)
	}
	p.finalized = finalized
	if c.steps%decisionEvery != 0 {
		return
	}
	if d, err := st.LastDecision(); err != nil {
		c.w.fail("member %d: last decision: %v", m.index, err)
	} else if d != nil {
		if d.Height < p.decided {
			c.w.fail("member %d has decision %d, decision %d was durable", m.index, d.Height, p.decided)
		}
		if d.Height > p.decided {
			c.compare("decision", c.decisions, d.Height, d.Hash(c.w.suite), m.index)
		}
		p.decided = d.Height
	}
}

func (c *checker) compare(what string, table map[uint64]said, height uint64, hash crypto.Hash, by int) {
	first, known := table[height]
	if !known {
		table[height] = said{hash, by}
		return
	}
	if first.hash != hash {
		c.w.fail("%s %d is %s at member %d and %s at member %d", what, height, first.hash, first.by, hash, by)
	}
}

// agree holds attestations against blocks: an honest member attests only what it has executed, and all have executed the same.
func (c *checker) agree() {
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = nil
	c.mu.Unlock()
	var wait []attestation
	for _, a := range fresh {
		switch said, known := c.headers[a.height]; {
		case !known:
			wait = append(wait, a)
		case said.hash != a.header:
			c.w.fail("validator %d attests %s at height %d, the block is %s", a.validator, a.header, a.height, said.hash)
		}
	}
	c.mu.Lock()
	c.fresh = append(c.fresh, wait...)
	c.mu.Unlock()
}

// settled says what is missing until all honest members run, have the probes in certified blocks and agree; empty when nothing is.
func (c *checker) settled(probes []common.Hash) string {
	var head, finalized uint64
	first := true
	for _, m := range c.w.members {
		if m.untrusted.Load() {
			continue
		}
		missing := "its node does not work yet"
		m.now.Load().read(func(s *node.Stages) {
			missing = ""
			h, f := s.Store.Head().Number.Uint64(), s.Store.Finalized()
			if c.w.plan.work != nil {
				f = h // what is durable is final
			}
			for _, tx := range probes {
				at, err := s.Store.Tx(tx)
				switch {
				case err != nil:
					c.w.fail("member %d: look up %s: %v", m.index, tx, err)
				case at == nil:
					missing = fmt.Sprintf("a transaction is not in a block (head %d, finalized %d, decisions %v)", h, f, s.Engine.Status())
				case at.Height > f:
					missing = fmt.Sprintf("block %d has no certificate (head %d, finalized %d)", at.Height, h, f)
				}
			}
			if missing == "" && !first && (h != head || f != finalized) {
				missing = fmt.Sprintf("head %d and finalized %d, another has %d and %d", h, f, head, finalized)
			}
			head, finalized, first = h, f, false
		})
		if missing != "" {
			return fmt.Sprintf("member %d: %s", m.index, missing)
		}
	}
	return ""
}

// senderOf is who signed a transaction, by geth's account of it.
func senderOf(raw []byte) (common.Address, error) {
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return common.Address{}, err
	}
	return types.Sender(types.LatestSignerForChainID(big.NewInt(chainID)), &tx)
}

// final walks one honest member's whole chain and holds clients' memories, balances and certificates against it. It returns the transactions.
func (c *checker) final() (txs int) {
	var reference *member
	for _, m := range c.w.members {
		if !m.untrusted.Load() {
			reference = m
			break
		}
	}
	c.mu.Lock()
	seen := 0
	for _, by := range c.committed {
		seen += len(by)
	}
	c.mu.Unlock()
	if seen == 0 && c.hasCommits() {
		c.w.fail("the checks have seen no commit in all of this world's time")
	}
	reference.now.Load().read(func(s *node.Stages) {
		included := make(map[common.Hash]inclusion)
		for h := uint64(1); h <= s.Store.Head().Number.Uint64(); h++ {
			b, err := s.Store.Block(h)
			if err != nil {
				c.w.fail("member %d: block %d: %v", reference.index, h, err)
				return
			}
			for _, tx := range b.Txs {
				if before, twice := included[tx.Hash()]; twice {
					c.w.fail("transaction %s is in blocks %d and %d", tx.Hash(), before.height, h)
				}
				from, err := senderOf(tx.Raw())
				if err != nil {
					c.w.fail("transaction %s in block %d: %v", tx.Hash(), h, err)
				}
				included[tx.Hash()] = inclusion{place{h, b.Hash}, from}
			}
		}
		txs = len(included)
		c.certificates(reference, s.Store)
		c.w.clients.verify(included, s.Store)
		if c.w.plan.stake {
			c.supply(reference, s.Store, included)
		}
		if c.w.plan.work != nil {
			c.rewards(reference, s.Store)
		}
		if err := s.Store.Check(context.Background(), nil); err != nil {
			c.w.fail("member %d: check of the ledger: %v", reference.index, err)
		}
	})
	return txs
}

// certificates verifies every certificate of a member, by the set of its height.
func (c *checker) certificates(m *member, st *store.Store) {
	g0, err := st.Header(0)
	if err != nil {
		c.w.fail("block 0: %v", err)
		return
	}
	genesis, err := chain.HeaderHash(c.w.suite, g0)
	if err != nil {
		c.w.fail("block 0: %v", err)
		return
	}
	missing := 0
	for h := uint64(1); h <= st.Finalized(); h++ {
		cert, err := st.Certificate(h)
		if err != nil {
			c.w.fail("member %d: certificate %d: %v", m.index, h, err)
			return
		}
		if cert == nil {
			missing++
			continue
		}
		rule, err := st.RuleAt(h)
		if err != nil {
			c.w.fail("member %d: validators of %d: %v", m.index, h, err)
			return
		}
		if err := cert.Verify(c.w.suite, genesis, rule.Set, rule.Quorum()); err != nil {
			c.w.fail("member %d: certificate %d: %v", m.index, h, err)
		}
		if said := c.headers[h]; said.hash != cert.Header {
			c.w.fail("member %d: certificate %d is of %s, the block is %s", m.index, h, cert.Header, said.hash)
		}
	}
	if missing > 0 {
		c.w.logf("member %d has no certificate of %d blocks below the finalized one", m.index, missing)
	}
}

// balanceOf is an account's balance, which a simulation's sums fit into an int64.
func balanceOf(st chain.State, addr common.Address) (nonce uint64, balance *big.Int, err error) {
	a, err := st.Account(addr)
	if err != nil || a == nil {
		return 0, new(big.Int), err
	}
	return a.Nonce, a.Balance.ToBig(), nil
}
