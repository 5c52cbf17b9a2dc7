package chain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// What validators sign begins with one of these and the chain (its genesis header's suite hash), so that nothing signed for one purpose or chain passes for another.
const (
	AttestDomain = "jialing/attest/1"
	OrderDomain  = "jialing/order/1"
	// CommitDomain follows the chain in a commit of the bft engine; height(8) ‖ view(8) ‖ the proposal's digest(32) come next.
	CommitDomain = "commit/2:"
)

// maxSigned bounds a signed message: the longest commit, of MaxValidators.
const maxSigned = len(OrderDomain) + 32 + len(CommitDomain) + 8 + 8 + 32 + 16*MaxValidators

// ErrContradiction is wrapped by every error of Contradiction.Verify.
var ErrContradiction = errors.New("no contradiction is proven")

// Contradiction is two messages that one validator signed though one excludes the other, in the form that the contract Staking punishes: it convinces whoever
// knows the validator's key, without a word of the node that found it. An honest node never makes one.
type Contradiction struct {
	Validator ValidatorID
	PublicKey []byte
	// Messages are what was signed, domain and chain included; Signatures run parallel to them.
	Messages   [2][]byte
	Signatures [2][]byte
}

// Claim is what a signed message says.
type Claim struct {
	// Commit tells a commit to a proposal from an attestation of a header.
	Commit bool
	Chain  crypto.Hash
	Height uint64
	// View is the one in which the proposal was made; 0 for attestations.
	View uint64
	// What is the proposal's digest, or the header.
	What crypto.Hash
}

// ParseClaim reads a signed message; the contract Evidence reads it the same way. What is no claim that another could contradict is an error.
func ParseClaim(msg []byte) (c Claim, err error) {
	const hash = len(crypto.Hash{})
	if len(msg) > maxSigned {
		return c, fmt.Errorf("%d bytes of a signed message, at most %d", len(msg), maxSigned)
	}
	if rest, ok := bytes.CutPrefix(msg, []byte(AttestDomain)); ok && len(rest) == hash+8+hash {
		return Claim{Chain: crypto.Hash(rest[:hash]), Height: binary.BigEndian.Uint64(rest[hash:]), What: crypto.Hash(rest[hash+8:])}, nil
	}
	if rest, ok := bytes.CutPrefix(msg, []byte(OrderDomain)); ok && len(rest) >= hash {
		c.Commit, c.Chain = true, crypto.Hash(rest[:hash])
		if rest, ok = bytes.CutPrefix(rest[hash:], []byte(CommitDomain)); ok && len(rest) >= 8+8+hash {
			c.Height, c.View = binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])
			c.What = crypto.Hash(rest[16 : 16+hash])
			return c, nil
		}
	}
	return Claim{}, errors.New("a signed message that is neither an attestation nor a commit")
}

// Claims are what the two messages say.
func (c *Contradiction) Claims() (first, second Claim, err error) {
	if first, err = ParseClaim(c.Messages[0]); err == nil {
		second, err = ParseClaim(c.Messages[1])
	}
	return first, second, err
}

// Verify checks the proof on the chain of genesis against the key in it. That the key is the validator's is for the caller to know.
func (c *Contradiction) Verify(suite crypto.Suite, genesis crypto.Hash) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrContradiction, fmt.Errorf(format, args...))
	}
	a, b, err := c.Claims()
	switch {
	case err != nil:
		return bad("%w", err)
	case a.Chain != genesis || b.Chain != genesis:
		return bad("the messages are of another chain")
	case a.Commit != b.Commit:
		return bad("the messages are of two kinds")
	case a.Height != b.Height || a.View != b.View:
		return bad("the messages are of different heights or views")
	case a.What == b.What:
		return bad("the messages say the same")
	}
	key, err := suite.ParsePublicKey(c.PublicKey)
	if err != nil {
		return bad("key: %w", err)
	}
	for i := range c.Messages {
		if err := key.Verify(c.Messages[i], c.Signatures[i]); err != nil {
			return bad("signature %d: %w", i, err)
		}
	}
	return nil
}

// Contradiction is e as the contract takes it; set is the one of e's height. nil where e's validator is not of the set.
func (e *Equivocation) Contradiction(genesis crypto.Hash, set ValidatorSet) *Contradiction {
	v := set.Find(e.Validator)
	if v == nil {
		return nil
	}
	c := &Contradiction{Validator: e.Validator, PublicKey: v.PublicKey, Signatures: e.Signatures}
	for i, header := range e.Headers {
		c.Messages[i] = AttestationMessage(genesis, e.Height, header)
	}
	return c
}
