package chain

import (
	"fmt"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Equivocation proves that a validator attested two headers at one height, which an honest one never does. It convinces whoever knows the set of that
// height, without a word of the node that found it.
type Equivocation struct {
	Height    uint64
	Validator ValidatorID
	// Headers differ; Signatures run parallel to them.
	Headers    [2]crypto.Hash
	Signatures [2][]byte
}

// Verify checks the proof on the chain of genesis; set is the one of that height.
func (e *Equivocation) Verify(suite crypto.Suite, genesis crypto.Hash, set ValidatorSet) error {
	v := set.Find(e.Validator)
	if v == nil {
		return fmt.Errorf("equivocation at height %d: validator %d is no member", e.Height, e.Validator)
	}
	if e.Headers[0] == e.Headers[1] {
		return fmt.Errorf("equivocation at height %d: both headers are %s", e.Height, e.Headers[0])
	}
	key, err := suite.ParsePublicKey(v.PublicKey)
	if err != nil {
		return fmt.Errorf("equivocation at height %d: key of validator %d: %w", e.Height, v.ID, err)
	}
	for i := range e.Headers {
		if err := key.Verify(AttestationMessage(genesis, e.Height, e.Headers[i]), e.Signatures[i]); err != nil {
			return fmt.Errorf("equivocation at height %d: signature %d of validator %d: %w", e.Height, i, v.ID, err)
		}
	}
	return nil
}
