package bft

import (
	"encoding/binary"
	"errors"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// What validators sign here, in Host.Sign's terms. Signatures of different kinds must not pass for each other. A commit says in clear of which height and view it
// is: two that differ in the proposal alone then convict their signer to whoever reads them, a contract as well (internal/govern/contract/Evidence.sol).
const (
	commitDomain   = chain.CommitDomain
	viewDataDomain = "view data:"
)

// headSize is a head's.
const headSize = 8 + 8 + len(crypto.Hash{})

// head is what a commit is about: height(8) ‖ view(8) ‖ the proposal's digest. The view is the one in which the proposal was made, whatever view takes it
// over. What the validator adds of its own, aux, follows.
type head struct {
	height, view uint64
	digest       crypto.Hash
}

// headOf is the head of commits to a proposal.
func headOf(suite crypto.Suite, header []byte, md *smartbftprotos.ViewMetadata, metadata []byte) head {
	return head{md.LatestSequence, md.ViewId, digest(suite, header, metadata)}
}

func (h head) encode() []byte {
	b := make([]byte, 0, headSize)
	b = binary.BigEndian.AppendUint64(b, h.height)
	b = binary.BigEndian.AppendUint64(b, h.view)
	return append(b, h.digest[:]...)
}

var errHead = errors.New("too short for a commit")

// parseHead splits what a commit's signature is on, without its domain.
func parseHead(msg []byte) (h head, aux []byte, err error) {
	if len(msg) < headSize {
		return h, nil, errHead
	}
	return head{binary.BigEndian.Uint64(msg), binary.BigEndian.Uint64(msg[8:]), crypto.Hash(msg[16:headSize])}, msg[headSize:], nil
}

// digest is what names a proposal in commits.
func digest(suite crypto.Suite, header, metadata []byte) crypto.Hash {
	return suite.Sum([]byte("jialing/bft/proposal/1"), header, metadata)
}

// commitMessage is what a commit's signature is on: the head and what the validator adds.
func commitMessage(msg []byte) []byte { return append([]byte(commitDomain), msg...) }

func viewDataMessage(raw []byte) []byte { return append([]byte(viewDataDomain), raw...) }

// ClaimIn is what a commit among this engine's messages claims; false for every other message. For whoever watches a network and holds its words against it.
func ClaimIn(msg []byte) (chain.Claim, bool) {
	if len(msg) == 0 || msg[0] != frameLibrary {
		return chain.Claim{}, false
	}
	m, err := parseLibrary(msg[1:])
	if err != nil {
		return chain.Claim{}, false
	}
	h, _, err := parseHead(m.GetCommit().GetSignature().GetMsg())
	if err != nil {
		return chain.Claim{}, false
	}
	return chain.Claim{Commit: true, Height: h.height, View: h.view, What: h.digest}, true
}
