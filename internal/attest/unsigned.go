package attest

import (
	"fmt"

	"github.com/jialing-chain/jialing/internal/chain"
)

// durable tells that h is durable on a chain where nobody signs: it is final with that.
func (a *Attester) durable(h *chain.Header, own *chain.Attestation) error {
	height := h.Number.Uint64()
	if own != nil {
		return fmt.Errorf("block %d bears a signature, on a chain where nobody signs", height)
	}
	a.mu.Lock()
	a.executed = max(a.executed, height)
	a.mu.Unlock()
	a.finalize(height)
	return nil
}
