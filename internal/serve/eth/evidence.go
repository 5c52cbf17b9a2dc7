package eth

import (
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Kinds of what validators say twice.
const (
	kindCommit      = "commit"
	kindAttestation = "attestation"
)

// evidenceJSON is a proof that a validator contradicted itself.
type evidenceJSON struct {
	Validator       chain.ValidatorID `json:"validator"`
	Kind            string            `json:"kind"`
	Height          uint64            `json:"height"`
	View            uint64            `json:"view"`
	PublicKey       hexutil.Bytes     `json:"publicKey"`
	First           hexutil.Bytes     `json:"first"`
	FirstSignature  hexutil.Bytes     `json:"firstSignature"`
	Second          hexutil.Bytes     `json:"second"`
	SecondSignature hexutil.Bytes     `json:"secondSignature"`
}

// GetEvidence is jl_getEvidence.
func (s *jlService) GetEvidence() []evidenceJSON {
	out := []evidenceJSON{}
	for _, c := range s.a.node.Details().Contradictions {
		claim, err := chain.ParseClaim(c.Messages[0])
		if err != nil {
			continue // what nobody could use
		}
		e := evidenceJSON{Validator: c.Validator, Kind: kindAttestation, Height: claim.Height, View: claim.View, PublicKey: c.PublicKey,
			First: c.Messages[0], FirstSignature: c.Signatures[0], Second: c.Messages[1], SecondSignature: c.Signatures[1]}
		if claim.Commit {
			e.Kind = kindCommit
		}
		out = append(out, e)
	}
	return out
}
