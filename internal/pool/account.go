package pool

import (
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// status is where a pooled transaction stands.
type status uint8

const (
	// gapped waits for a transaction with a lower nonce.
	gapped status = iota
	// ready can be ordered once the ready ones before it are.
	ready
	// decided is ordered and waits for execution; nothing but its block takes it out.
	decided
	statuses
)

// entry is one pooled transaction with what the pool asks for often.
type entry struct {
	tx       *chain.Tx
	hash     common.Hash
	sender   common.Address
	nonce    uint64
	gas      uint64
	cost     uint256.Int
	tip, cap price
	// seq is the arrival number.
	seq    uint64
	size   int
	status status
	local  bool
	// tries counts the blocks that left it out.
	tries uint8
	// since is when it became ready, in Unix nanoseconds by the pool's clock.
	since int64
	// filed is where market's heaps have it.
	filed   uint8
	account *account
}

// newEntry fills the derived fields; ok is false when the cost exceeds 256 bits, which no balance covers. Where gas is free, only the value
// costs.
func newEntry(tx *chain.Tx, local, free bool) (e *entry, ok bool) {
	cost := tx.Value()
	if !free {
		if cost, ok = tx.Cost(); !ok {
			return nil, false
		}
	}
	return &entry{tx: tx, hash: tx.Hash(), sender: tx.Sender(), nonce: tx.Nonce(), gas: tx.Gas(), cost: *cost,
		tip: priceOf(tx.TipCap()), cap: priceOf(tx.FeeCap()), size: len(tx.Raw()), local: local}, true
}

// snapshot is what the pool needs of an account's state.
type snapshot struct {
	nonce    uint64
	balance  uint256.Int
	codeHash common.Hash
	// eoa is EIP-3607: no code but a delegation (EIP-7702).
	eoa bool
}

// account is a sender with its pooled transactions. It exists while it has any. Guarded by Pool.mu.
type account struct {
	addr common.Address
	snapshot
	// txs is sorted by nonce, each nonce once and none below snapshot.nonce. It begins in first: most accounts have one.
	txs   []*entry
	first [1]*entry
	// spent is the sum of the costs of txs.
	spent uint256.Int
	// exec is the length of the run txs[0:exec] of nonces snapshot.nonce, +1, +2 …: what is ready or decided without a gap.
	exec int
	// lead is the number of leading transactions that are known to be decided: where to look for the next ready one.
	lead int
	// count has the number of txs per status.
	count [statuses]int
	// local is set by the first locally submitted transaction: such accounts are the last to lose one.
	local bool

	turn, size, gap links
	gapSince        time.Time
	// dirty: changed and not filed anew yet. served: decided on since it was filed.
	dirty, served bool
	// sized and sizedClass are the list of turns or the heap of market in which the account stands; head and tail are market's.
	sized, sizedClass int
	head, tail        *entry
}

func newAccount(addr common.Address, s snapshot) *account {
	a := &account{addr: addr, snapshot: s}
	a.txs = a.first[:0]
	return a
}

// links makes an account a member of one list.
type links struct {
	prev, next *account
	in         bool
}

// index is where nonce is or would be inserted.
func (a *account) index(nonce uint64) (i int, found bool) {
	if n := len(a.txs); n == 0 || a.txs[n-1].nonce < nonce {
		return n, false
	}
	if first := a.txs[0].nonce; nonce >= first && nonce-first < uint64(a.exec) && first == a.nonce {
		return int(nonce - first), true
	}
	return slices.BinarySearchFunc(a.txs, nonce, func(e *entry, nonce uint64) int {
		switch {
		case e.nonce < nonce:
			return -1
		case e.nonce > nonce:
			return 1
		}
		return 0
	})
}

// firstReady is the index of the next transaction to order, len(txs) when there is none.
func (a *account) firstReady() int {
	for a.lead < len(a.txs) && a.txs[a.lead].status == decided {
		a.lead++
	}
	return a.nextReady(a.lead)
}

// nextReady is the first index from i on that is ready, len(txs) when there is none.
func (a *account) nextReady(i int) int {
	for i < a.exec && a.txs[i].status != ready {
		i++
	}
	if i >= a.exec {
		return len(a.txs)
	}
	return i
}

// lastReady is the transaction that an eviction would take first, nil when there is none.
func (a *account) lastReady() *entry {
	for i := a.exec - 1; i >= 0; i-- {
		if a.txs[i].status == ready {
			return a.txs[i]
		}
	}
	return nil
}

// pendingNonce is the first nonce that no ready or decided transaction takes.
func (a *account) pendingNonce() uint64 { return a.nonce + uint64(a.exec) }
