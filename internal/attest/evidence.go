package attest

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Evidence is the proofs of validators that signed two headers at one height, one each, by validator.
func (a *Attester) Evidence() (out []chain.Equivocation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(a.evidence)) {
		out = append(out, *a.evidence[id])
	}
	return out
}

// accuse keeps a proof unless there is one of that validator, or of as many as a set can have. The caller holds mu and has verified both signatures.
func (a *Attester) accuse(e *chain.Equivocation) {
	if a.evidence[e.Validator] != nil || len(a.evidence) >= chain.MaxValidators {
		return
	}
	a.evidence[e.Validator] = e
	text := "a validator attests two blocks at one height"
	if g := a.heights[e.Height]; g != nil && g.own != nil && g.own.Validator == e.Validator {
		text = "another node attests with this node's key: one of the two must be stopped"
	}
	a.note(slog.LevelWarn, text, "height", e.Height, "validator", e.Validator, "first", e.Headers[0], "second", e.Headers[1])
}
