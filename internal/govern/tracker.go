package govern

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Source is the durable chain. Safe for concurrent use.
type Source interface {
	// Head is the last durable block's header.
	Head() *chain.Header
	// RuleAt is the rule of any height up to ActivationDelay above the head.
	RuleAt(height uint64) (*chain.Rule, error)
	// State is the state after the durable block at height; the head's can always be read.
	State(height uint64) (chain.State, error)
}

// Tracker says who rules at every height. Executed is for one goroutine, everything else is safe for concurrent use.
type Tracker struct {
	src   Source
	suite crypto.Suite
	// fixed: the engine has no contract, the founding rule is for ever.
	fixed bool
	// engine is the founding one; changeable: the contract Engines says which one rules now.
	engine     chain.EngineKind
	changeable bool

	mu       sync.Mutex
	executed uint64
	// newest is the rule that the last executed block leaves, with its hash and, in members, with names and endpoints.
	newest  *chain.Rule
	hash    crypto.Hash
	members []Member
	// terms are the newest and the one before it.
	terms [2]chain.Term
	// pending are the changes by executed blocks that may not be durable yet, ascending: a handful, the blocks between execute and store.
	pending []chain.SetChange
	moved   chan struct{} // closed and replaced when executed moves
}

// NewTracker continues at src's head. It fails where the store's sets and the state contradict each other: one of them is damaged.
func NewTracker(g *chain.Genesis, suite crypto.Suite, src Source) (*Tracker, error) {
	head := src.Head().Number.Uint64()
	newest, err := src.RuleAt(head + chain.ActivationDelay)
	if err != nil {
		return nil, fmt.Errorf("read validators: %w", err)
	}
	t := &Tracker{src: src, suite: suite, fixed: !g.Networked(), engine: g.Consensus.Engine, changeable: g.Changeable(), executed: head, newest: newest, hash: newest.Hash(suite),
		moved: make(chan struct{})}
	if t.fixed {
		t.terms = [2]chain.Term{{Engine: t.engine}, {Engine: t.engine}}
		for i, v := range newest.Set {
			t.members = append(t.members, Member{Validator: v, Name: g.Validators[i].Name, Endpoint: g.Validators[i].Endpoint})
		}
		return t, nil
	}
	st, err := src.State(head)
	if err != nil {
		return nil, fmt.Errorf("read validators: %w", err)
	}
	rule, members, terms, err := t.read(st)
	if err != nil {
		return nil, fmt.Errorf("read validators: %w", err)
	}
	t.terms = terms
	if rule.Hash(suite) != t.hash {
		return nil, fmt.Errorf("%w: after block %d it names validators %s, the ledger recorded %s", ErrState, head, rule.Hash(suite), t.hash)
	}
	t.members = members
	return t, nil
}

// Executed looks at what a block wrote, st being the state after it, and returns the rule that the block changed, nil when it changed
// none. Heights come in order, from the one above the head at start on. It costs nothing but a look for the contract's account in writes.
func (t *Tracker) Executed(height uint64, writes chain.WriteSet, st chain.State) (*chain.SetChange, error) {
	var change *chain.SetChange
	newest, hash, members, terms := t.newest, t.hash, t.members, t.terms // this goroutine alone writes them
	if height != t.executed+1 {
		return nil, fmt.Errorf("govern: block %d is executed after block %d", height, t.executed)
	}
	if !t.fixed && (changes(writes, Address, slotChange) || t.changeable && changes(writes, chain.EnginesAddress, slotTerms)) {
		rule, read, engines, err := t.read(st)
		if err != nil {
			return nil, fmt.Errorf("read validators after block %d: %w", height, err)
		}
		members, terms = read, engines
		if h := rule.Hash(t.suite); h != hash {
			newest, hash = rule, h
			change = &chain.SetChange{From: height + chain.ActivationDelay, Rule: *rule}
		}
	}
	durable := t.src.Head().Number.Uint64()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.executed, t.newest, t.hash, t.members, t.terms = height, newest, hash, members, terms
	t.pending = slices.DeleteFunc(t.pending, func(c chain.SetChange) bool { return c.From <= durable+chain.ActivationDelay })
	if change != nil {
		t.pending = append(t.pending, *change)
	}
	close(t.moved)
	t.moved = make(chan struct{})
	return change, nil
}

// read is what the contracts say after a block.
func (t *Tracker) read(st chain.State) (*chain.Rule, []Member, [2]chain.Term, error) {
	terms := [2]chain.Term{{Engine: t.engine}, {Engine: t.engine}}
	set, members, err := Read(st)
	if err != nil {
		return nil, nil, terms, err
	}
	if t.changeable {
		if terms[0], terms[1], err = ReadEngines(st); err != nil {
			return nil, nil, terms, err
		}
	}
	if terms[0].Engine == chain.Solo {
		set = set[:1] // the others wait for an engine that has a place for them
	}
	return &chain.Rule{Engine: terms[0].Engine, Set: set}, members, terms, nil
}

// TermOf is the term in which a height lies that is not below the last executed one's. False when its rule is not settled yet, or its term has been forgotten.
func (t *Tracker) TermOf(height uint64) (chain.Term, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if height > t.executed+chain.ActivationDelay {
		return chain.Term{}, false
	}
	for _, term := range t.terms {
		if height >= term.From {
			return term, true
		}
	}
	return chain.Term{}, false
}

// At says who orders and attests height, and how. It waits until the block that settles it is executed here, or until ctx ends. Callers must not
// alter it.
func (t *Tracker) At(ctx context.Context, height uint64) (*chain.Rule, error) {
	for {
		rule, moved, err := t.look(height)
		if rule != nil || err != nil {
			return rule, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, fmt.Errorf("validators of height %d: %w", height, ctx.Err())
		}
	}
}

// Of is At without waiting: nil when the rule is not settled yet, or cannot be read. Callers must not alter it.
func (t *Tracker) Of(height uint64) *chain.Rule {
	rule, _, err := t.look(height)
	if err != nil {
		return nil
	}
	return rule
}

// Members are the validators that the last executed block leaves, by ascending id: those who rule now or, after a change, soon. Callers must not
// alter them.
func (t *Tracker) Members() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.members
}

// look returns the rule of height, or nil and what is closed when it may have become known.
func (t *Tracker) look(height uint64) (*chain.Rule, <-chan struct{}, error) {
	t.mu.Lock()
	executed, moved := t.executed, t.moved
	for i := len(t.pending) - 1; i >= 0; i-- {
		if c := t.pending[i]; c.From <= height && height <= executed+chain.ActivationDelay {
			t.mu.Unlock()
			return &c.Rule, nil, nil
		}
	}
	t.mu.Unlock()
	if height > executed+chain.ActivationDelay {
		return nil, moved, nil
	}
	// No block between the durable head and the last executed one changes the rule up to height, so it is the one that the head has settled last.
	rule, err := t.src.RuleAt(min(height, t.src.Head().Number.Uint64()+chain.ActivationDelay))
	if err != nil {
		return nil, nil, fmt.Errorf("validators of height %d: %w", height, err)
	}
	return rule, nil, nil
}

// changes tells whether a block's writes changed what a contract has for nodes: it writes that slot then and only then.
func changes(writes chain.WriteSet, contract common.Address, slot uint64) bool {
	i, found := slices.BinarySearchFunc(writes, contract, func(c chain.AccountChange, a common.Address) int { return c.Address.Cmp(a) })
	return found && slices.ContainsFunc(writes[i].Slots, func(s chain.SlotChange) bool { return s.Key == number(slot) })
}
