package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// MaxDecisionTxs bounds the transactions of one decision: a list of 32-byte hashes of 2 MiB, well under what a consensus message may hold.
const MaxDecisionTxs = 65_536

// ValidatorID is a validator's number, nonzero and stable for the life of the chain.
type ValidatorID uint64

// Decision is what a consensus engine agrees on: an ordered list of transaction hashes with a time and a proposer. The decision of height h
// becomes the block of height h. It says nothing about execution.
type Decision struct {
	Height uint64
	// Parent is the hash of the decision at Height−1; zero at height 1.
	Parent crypto.Hash
	// TimeMillis is the proposer's time in Unix milliseconds; it never decreases along the chain.
	TimeMillis uint64
	// Proposer is the validator that proposed it; 0 where the engine has none, and then Coinbase is set.
	Proposer ValidatorID
	// Coinbase is credited as COINBASE of the block where Proposer is 0; the zero address otherwise.
	Coinbase common.Address
	// Txs holds no hash twice.
	Txs []common.Hash
	// Proof is the engine's own evidence of agreement, opaque to all others and not part of the hash.
	Proof []byte
}

type decisionBody struct {
	Height     uint64
	Parent     crypto.Hash
	TimeMillis uint64
	Proposer   uint64
	Txs        []common.Hash
	Coinbase   []common.Address `rlp:"tail"` // one where Proposer is 0, else none
}

type decisionWire struct {
	Body  decisionBody
	Proof []byte
}

// Hash is the suite's hash of the decision without its proof.
func (d *Decision) Hash(suite crypto.Suite) crypto.Hash {
	b, err := rlp.EncodeToBytes(d.body())
	if err != nil {
		panic("chain: encode decision: " + err.Error()) // all fields are encodable types
	}
	return suite.Sum([]byte("jialing/decision/1"), b)
}

// Encode is the RLP form with the proof.
func (d *Decision) Encode() []byte {
	b, err := rlp.EncodeToBytes(&decisionWire{*d.body(), d.Proof})
	if err != nil {
		panic("chain: encode decision: " + err.Error()) // all fields are encodable types
	}
	return b
}

// DecodeDecision reverses Encode. It checks form and bounds, not agreement: that is the engine's.
func DecodeDecision(b []byte) (*Decision, error) {
	var w decisionWire
	if err := rlp.DecodeBytes(b, &w); err != nil {
		return nil, fmt.Errorf("decode decision: %w", err)
	}
	d := &Decision{Height: w.Body.Height, Parent: w.Body.Parent, TimeMillis: w.Body.TimeMillis,
		Proposer: ValidatorID(w.Body.Proposer), Txs: w.Body.Txs, Proof: w.Proof}
	if n := len(w.Body.Coinbase); n > 1 || n == 1 && d.Proposer != 0 {
		return nil, fmt.Errorf("decode decision: %d accounts beside proposer %d", n, d.Proposer)
	} else if n == 1 {
		d.Coinbase = w.Body.Coinbase[0]
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("decode decision: %w", err)
	}
	return d, nil
}

// Validate checks what needs no other data: a height, a proposer or an account, the bound on transactions and that none is there twice.
func (d *Decision) Validate() error {
	switch {
	case d.Height == 0:
		return fmt.Errorf("decision of height 0: that is the genesis")
	case d.Proposer == 0 && d.Coinbase == (common.Address{}):
		return fmt.Errorf("decision %d names neither a proposer nor an account", d.Height)
	case d.Proposer != 0 && d.Coinbase != (common.Address{}):
		return fmt.Errorf("decision %d names a proposer and an account", d.Height)
	case len(d.Txs) > MaxDecisionTxs:
		return fmt.Errorf("decision %d holds %d transactions, at most %d", d.Height, len(d.Txs), MaxDecisionTxs)
	}
	seen := make(map[common.Hash]struct{}, len(d.Txs))
	for _, h := range d.Txs {
		if _, dup := seen[h]; dup {
			return fmt.Errorf("decision %d holds transaction %s twice", d.Height, h)
		}
		seen[h] = struct{}{}
	}
	return nil
}

func (d *Decision) body() *decisionBody {
	b := &decisionBody{Height: d.Height, Parent: d.Parent, TimeMillis: d.TimeMillis, Proposer: uint64(d.Proposer), Txs: d.Txs}
	if d.Proposer == 0 {
		b.Coinbase = []common.Address{d.Coinbase}
	}
	return b
}
