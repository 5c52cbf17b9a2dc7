package eth

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
)

// workKind is ProofCertificate.Kind where nobody signs.
const workKind = "work"

// workCertificate is the work that speaks for the block at height: the work headers from its own on. The one WorkParams.Depth above it names the block's executed
// header, so there is none before that is durable; those up to twice the depth show that the chain went on from there. nil while there is none.
func (a *API) workCertificate(height uint64) (*ProofCertificate, error) {
	depth, head := uint64(a.genesis.Consensus.Work.Depth), a.ledger.Head().Number.Uint64()
	if height == 0 || height+depth > head {
		return nil, nil
	}
	header, hash, err := a.header(height)
	if err != nil {
		return nil, err
	}
	suiteHash, err := chain.HeaderHash(a.suite, header)
	if err != nil {
		return nil, err
	}
	out := &ProofCertificate{Kind: workKind, Height: hexutil.Uint64(height), Block: hash, Header: common.Hash(suiteHash), Attestations: []ProofAttestation{}}
	for h := height; h <= min(height+2*depth-1, head); h++ {
		d, _, err := a.ledger.Decision(h)
		if err != nil {
			return nil, fmt.Errorf("read decision %d: %w", h, err)
		}
		out.Work = append(out.Work, d.Proof)
	}
	return out, nil
}
