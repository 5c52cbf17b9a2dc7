package attest

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// gathering is what is known of one height. Guarded by Attester.mu.
type gathering struct {
	rule *chain.Rule
	need int
	// mine tells that this node is a validator of that height.
	mine bool

	ours   crypto.Hash // zero until executed here
	block  common.Hash
	own    *chain.Attestation
	signed map[crypto.Hash]map[chain.ValidatorID][]byte
	// spare are signatures that were not worth verifying, the first claim for each validator; looked at when our block turns out another.
	spare map[chain.ValidatorID]signed
	// certificate was fetched whole and verified.
	certificate *chain.Certificate
	// done: the certificate is ready or a divergence noted. warned: other headers than ours have been told of.
	done, warned bool
}

// Handle takes a peer's attestation of header at height. What it refuses costs one signature verification at the most.
func (a *Attester) Handle(height uint64, header crypto.Hash, att *chain.Attestation) error {
	if near, err := a.near(height); !near {
		return err
	}
	rule := a.cfg.Rule(height)
	if rule == nil {
		return fmt.Errorf("%w: the validators of height %d are not known yet", ErrWindow, height)
	}
	v := rule.Set.Find(att.Validator)
	if v == nil {
		return fmt.Errorf("%w: validator %d, height %d", ErrMember, att.Validator, height)
	}
	if !a.wants(height, header, v.ID) {
		a.keepSpare(height, header, att)
		return nil
	}
	key, err := a.key(v)
	if err != nil {
		return err
	}
	if err := key.Verify(chain.AttestationMessage(a.cfg.Genesis, height, header), att.Signature); err != nil {
		return fmt.Errorf("attestation of validator %d at height %d: %w", v.ID, height, err)
	}
	return a.take(height, rule, header, att)
}

// near tells whether height is one that is gathered for; no error below it.
func (a *Attester) near(height uint64) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if height > a.executed+Window {
		return false, fmt.Errorf("%w: height %d, executed %d", ErrWindow, height, a.executed)
	}
	return height > a.finalized, nil
}

// wants tells whether an attestation is worth verifying: it is new, and the certificate is not there without it.
func (a *Attester) wants(height uint64, header crypto.Hash, from chain.ValidatorID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.heights[height]
	if g == nil {
		return height > a.finalized
	}
	if _, known := g.signed[header][from]; known {
		return false
	}
	if other := g.other(header, from); other != nil {
		return a.evidence[from] == nil // a second header is worth a look once, for the proof
	}
	if g.done || g.certificate != nil {
		return false
	}
	// Where our own signature completes the quorum, one more is not needed unless our block turns out another.
	return !g.spares(header)
}

// spares tells whether our own signature will complete the quorum for header.
func (g *gathering) spares(header crypto.Hash) bool {
	return g.mine && g.ours.IsZero() && len(g.signed[header]) >= g.need-1
}

// keepSpare keeps a signature of a member unverified if it may matter later.
func (a *Attester) keepSpare(height uint64, header crypto.Hash, att *chain.Attestation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.heights[height]
	if g == nil || g.done || !g.spares(header) {
		return
	}
	if _, there := g.spare[att.Validator]; !there {
		if g.spare == nil {
			g.spare = make(map[chain.ValidatorID]signed)
		}
		g.spare[att.Validator] = signed{height, header, *att}
	}
}

// take adds a verified attestation.
func (a *Attester) take(height uint64, rule *chain.Rule, header crypto.Hash, att *chain.Attestation) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if height <= a.finalized {
		return nil
	}
	g := a.gather(height, rule)
	if other := g.other(header, att.Validator); other != nil {
		a.accuse(&chain.Equivocation{Height: height, Validator: att.Validator, Headers: [2]crypto.Hash{*other, header},
			Signatures: [2][]byte{g.signed[*other][att.Validator], att.Signature}})
		return fmt.Errorf("%w: validator %d, height %d", ErrEquivocation, att.Validator, height)
	}
	g.add(header, att)
	a.settle(height, g)
	return nil
}

// Certified takes a certificate that was fetched whole. It is verified by the quorum of that height's set, kept until the block is executed here,
// then compared and stored. ErrWindow when it is too far ahead; one of a finalized height is no error.
func (a *Attester) Certified(c *chain.Certificate) error {
	return a.certified(c, func(rule *chain.Rule) error {
		return c.Verify(a.cfg.Suite, a.cfg.Genesis, rule.Set, rule.Quorum())
	})
}

// Verified is Certified for a certificate that the caller has verified by the quorum of that height's set.
func (a *Attester) Verified(c *chain.Certificate) error {
	return a.certified(c, func(*chain.Rule) error { return nil })
}

func (a *Attester) certified(c *chain.Certificate, verify func(rule *chain.Rule) error) error {
	if near, err := a.near(c.Height); !near {
		return err
	}
	rule := a.cfg.Rule(c.Height)
	if rule == nil {
		return fmt.Errorf("%w: the validators of height %d are not known yet", ErrWindow, c.Height)
	}
	a.mu.Lock()
	g := a.heights[c.Height]
	known := g != nil && (g.certificate != nil || (g.done && a.diverged == nil))
	a.mu.Unlock()
	if known {
		return nil
	}
	if err := verify(rule); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.Height <= a.finalized {
		return nil
	}
	g = a.gather(c.Height, rule)
	g.certificate = c
	a.settle(c.Height, g)
	return nil
}

// key is a validator's parsed key.
func (a *Attester) key(v *chain.Validator) (crypto.PublicKey, error) {
	a.mu.Lock()
	key := a.keys[string(v.PublicKey)]
	a.mu.Unlock()
	if key != nil {
		return key, nil
	}
	key, err := a.cfg.Suite.ParsePublicKey(v.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("key of validator %d: %w", v.ID, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.keys) >= 2*chain.MaxValidators { // sets change; old members' keys need not stay
		clear(a.keys)
	}
	a.keys[string(v.PublicKey)] = key
	return key, nil
}

// gather returns the gathering of a height above finalized. The caller holds mu.
func (a *Attester) gather(height uint64, rule *chain.Rule) *gathering {
	g := a.heights[height]
	if g == nil {
		g = &gathering{rule: rule, need: rule.Quorum(), mine: a.member(rule.Set) != nil, signed: make(map[crypto.Hash]map[chain.ValidatorID][]byte)}
		a.heights[height] = g
	}
	return g
}

// settle looks whether g has come together. The caller holds mu.
func (a *Attester) settle(height uint64, g *gathering) {
	if g.done || g.ours.IsZero() {
		return
	}
	if c := g.certificate; c != nil {
		if c.Header == g.ours {
			// The block hash is not covered by the signatures: ours is the one that counts.
			a.certify(height, g, &chain.Certificate{Height: height, Block: g.block, Header: g.ours, Attestations: c.Attestations})
		} else {
			a.diverge(height, g, c.Header, c.Attestations)
		}
		return
	}
	for header, by := range g.signed {
		switch {
		case header == g.ours && len(by) >= g.need:
			a.certify(height, g, &chain.Certificate{Height: height, Block: g.block, Header: g.ours, Attestations: attestations(by)})
			return
		case header != g.ours && len(by) >= g.need:
			a.diverge(height, g, header, attestations(by))
			return
		case header != g.ours && len(by) > g.rule.Engine.Away(len(g.rule.Set)) && !g.warned:
			g.warned = true
			a.note(slog.LevelWarn, "more validators than may lie attest another block than ours", "height", height, "ours", g.ours, "theirs", header,
				"validators", slices.Sorted(maps.Keys(by)))
		}
	}
}

func (a *Attester) certify(height uint64, g *gathering, c *chain.Certificate) {
	g.done = true
	a.ready[height] = c
	a.ring()
}

// diverge notes the lowest height at which a quorum is for another header.
func (a *Attester) diverge(height uint64, g *gathering, theirs crypto.Hash, by []chain.Attestation) {
	g.done = true
	if a.diverged == nil || a.diverged.Height > height {
		a.diverged = &Divergence{Height: height, Ours: g.ours, Theirs: theirs}
		for _, att := range by {
			a.diverged.By = append(a.diverged.By, att.Validator)
		}
	}
	a.ring()
}

// patience is after how many ticks without a certificate for the next height a later one is taken.
const patience = 3

// handoverPatience is patience for a block whose successor has other validators: without its certificate nobody can follow from one set to the next by
// certified headers. It is not for ever, as the validators that are missing may have left with the old set.
const handoverPatience = 60

// next is the certificate to store, or the divergence to halt on. Certificates are taken in order of height; see the package comment.
func (a *Attester) next() (*chain.Certificate, *Divergence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.diverged != nil {
		return nil, a.diverged
	}
	if len(a.ready) == 0 {
		return nil, nil
	}
	height := a.finalized + 1
	if a.ready[height] == nil {
		if a.still < patience {
			return nil, nil
		}
		height = slices.Min(slices.Collect(maps.Keys(a.ready)))
		if a.still < handoverPatience && a.handsOver(height) {
			return nil, nil
		}
		a.note(slog.LevelInfo, "a later certificate finalizes heights that have none of their own", "from", a.finalized+1, "height", height)
	}
	c := a.ready[height]
	delete(a.ready, height)
	return c, nil
}

// handsOver tells whether a block above finalized and below height is the last one of its validators. The caller holds mu.
func (a *Attester) handsOver(height uint64) bool {
	for h := a.finalized + 1; h < height; h++ {
		this, next := a.heights[h], a.heights[h+1]
		if this != nil && next != nil && !slices.EqualFunc(this.rule.Set, next.rule.Set, func(a, b chain.Validator) bool {
			return a.ID == b.ID && a.Address == b.Address && slices.Equal(a.PublicKey, b.PublicKey)
		}) {
			return true
		}
	}
	return false
}

func (a *Attester) finalize(height uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.heights, func(h uint64, _ *gathering) bool { return h <= height })
	if height <= a.finalized {
		return
	}
	a.finalized = height
	close(a.moved)
	a.moved = make(chan struct{})
}

// maxNotes bounds what waits to be logged; more is dropped, the first ones tell the story.
const maxNotes = 64

// note queues a line of the log. The caller holds mu.
func (a *Attester) note(level slog.Level, text string, args ...any) {
	if len(a.notes) < maxNotes {
		a.notes = append(a.notes, note{level, text, args})
	}
	a.ring()
}

func (g *gathering) add(header crypto.Hash, att *chain.Attestation) {
	by := g.signed[header]
	if by == nil {
		by = make(map[chain.ValidatorID][]byte)
		g.signed[header] = by
	}
	by[att.Validator] = att.Signature
}

// other is another header than that one which the validator has signed; nil when there is none.
func (g *gathering) other(header crypto.Hash, by chain.ValidatorID) *crypto.Hash {
	for h, signatures := range g.signed {
		if _, signed := signatures[by]; signed && h != header {
			return &h
		}
	}
	return nil
}

// attestations are sorted by validator.
func attestations(by map[chain.ValidatorID][]byte) (out []chain.Attestation) {
	for _, id := range slices.Sorted(maps.Keys(by)) {
		out = append(out, chain.Attestation{Validator: id, Signature: by[id]})
	}
	return out
}
