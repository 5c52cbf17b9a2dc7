package pool

import (
	"fmt"
	"slices"

	"github.com/holiman/uint256"
)

// verifyInvariants recomputes everything that is kept incrementally. It runs under p.mu.
func (p *Pool) verifyInvariants() error {
	var counts, bytes [statuses]int
	var gas uint64
	total, waiting := 0, 0
	for addr, a := range p.accounts {
		if a.addr != addr || len(a.txs) == 0 {
			return fmt.Errorf("account %s: filed under another address or empty", addr)
		}
		var spent uint256.Int
		var count [statuses]int
		run := true
		for i, e := range a.txs {
			if p.all[e.hash] != e || e.sender != addr {
				return fmt.Errorf("account %s nonce %d: not in all", addr, e.nonce)
			}
			if e.nonce < a.nonce || i > 0 && a.txs[i-1].nonce >= e.nonce {
				return fmt.Errorf("account %s: nonce %d at %d, state %d", addr, e.nonce, i, a.nonce)
			}
			run = run && e.nonce == a.nonce+uint64(i)
			if run != (i < a.exec) {
				return fmt.Errorf("account %s: exec %d, but the run says %v at %d", addr, a.exec, run, i)
			}
			if i < a.lead && e.status != decided {
				return fmt.Errorf("account %s: lead %d, but status %d at %d", addr, a.lead, e.status, i)
			}
			if e.status != decided && (e.status == ready) != run {
				return fmt.Errorf("account %s: status %d at %d of a run of %d", addr, e.status, i, a.exec)
			}
			spent.Add(&spent, &e.cost)
			count[e.status]++
			counts[e.status]++
			bytes[e.status] += e.size
			if e.status == ready {
				gas += e.gas
			}
			total++
		}
		if spent != a.spent || count != a.count {
			return fmt.Errorf("account %s: spent %s or counts %v, kept %s and %v", addr, &spent, count, &a.spent, a.count)
		}
		if count[decided] == 0 && spent.Gt(&a.balance) {
			return fmt.Errorf("account %s: spends %s of %s", addr, &spent, &a.balance)
		}
		if a.gap.in != (count[gapped] > 0) {
			return fmt.Errorf("account %s: in the list of gapped %v with %d", addr, a.gap.in, count[gapped])
		}
		if a.gap.in {
			waiting++
		}
		if err := p.verifyQueued(a); err != nil {
			return fmt.Errorf("account %s: %w", addr, err)
		}
	}
	if counts != p.counts || bytes != p.bytes || gas != p.readyGas || total != len(p.all) {
		return fmt.Errorf("totals: %v %v %d %d, kept %v %v %d %d", counts, bytes, gas, total, p.counts, p.bytes, p.readyGas, len(p.all))
	}
	listed := 0
	for c := range p.waiting {
		for a := p.waiting[c].first; a != nil; a = a.gap.next {
			if class(a) != c {
				return fmt.Errorf("account %s waits in class %d", a.addr, c)
			}
			listed++
		}
	}
	if listed != waiting {
		return fmt.Errorf("%d accounts wait, %d are listed", waiting, listed)
	}
	if p.counts[gapped]+p.counts[ready] > p.cfg.MaxTxs && p.counts[decided] == 0 {
		return fmt.Errorf("%d transactions, bound %d", len(p.all), p.cfg.MaxTxs)
	}
	return p.verifyHeaps()
}

func (p *Pool) verifyQueued(a *account) error {
	n := a.count[ready]
	switch q := p.ready.(type) {
	case *turns:
		if a.turn.in != (n > 0) || a.size.in != (n >= 2) {
			return fmt.Errorf("in ring %v, in sizes %v with %d ready", a.turn.in, a.size.in, n)
		}
		if n >= 2 && (a.sized != n || a.sizedClass != class(a) || q.most[class(a)] < n) {
			return fmt.Errorf("sized %d in class %d, most %d, ready %d", a.sized, a.sizedClass, q.most[class(a)], n)
		}
	case *market:
		if (a.head != nil) != (n > 0) || (a.tail != nil) != (n > 0) {
			return fmt.Errorf("head %v, tail %v with %d ready", a.head != nil, a.tail != nil, n)
		}
		if n > 0 && (a.head != a.txs[a.firstReady()] || a.tail != a.lastReady()) {
			return fmt.Errorf("head or tail is another transaction")
		}
		if n > 0 && !slices.Contains(q.aside, a) && q.tips.counts(a.head) == q.caps.counts(a.head) {
			return fmt.Errorf("filed in none or both")
		}
		if n > 0 && q.tracked > 0 && !q.worth[class(a)].counts(a.tail) {
			return fmt.Errorf("not tracked")
		}
	}
	return nil
}

func (p *Pool) verifyHeaps() error {
	q, ok := p.ready.(*market)
	if !ok {
		return nil
	}
	seen := make(map[*entry]uint8)
	for _, h := range []*heap{&q.tips, &q.caps, &q.worth[0], &q.worth[1]} {
		stale := 0
		for i, it := range h.items {
			if it.e.filed&h.in == 0 || seen[it.e]&h.in != 0 {
				return fmt.Errorf("heap %d: place %d holds one twice, or one without the mark", h.in, i)
			}
			seen[it.e] |= h.in
			if i > 0 && it.rank.above(h.items[(i-1)/arity].rank) {
				return fmt.Errorf("heap %d: place %d is above its parent", h.in, i)
			}
			if !h.counts(it.e) {
				stale++
			} else if a := it.e.account; p.accounts[a.addr] != a || a.head != it.e && a.tail != it.e {
				return fmt.Errorf("heap %d: place %d is no head or tail", h.in, i)
			}
		}
		if stale != h.stale || stale > minStale && stale > len(h.items)/2+1 {
			return fmt.Errorf("heap %d: %d stale of %d, kept %d", h.in, stale, len(h.items), h.stale)
		}
	}
	return nil
}
