package bft

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// errOver is what callbacks answer after the end of the session.
var errOver = errors.New("the session is over")

// AssembleProposal implements the library's Assembler: the proposal whose ticket it has drawn. Where there is none the session ends, and with it the
// library's goroutine: it would refuse an empty one of its own, begin the view again and ask again, without a pause until it is stopped.
func (s *session) AssembleProposal(metadata []byte, _ [][]byte) types.Proposal {
	md, err := parseMetadata(metadata)
	if err != nil || md.LatestSequence == 0 || !s.settled(md.LatestSequence-1) {
		s.finish(nil)
		runtime.Goexit()
	}
	s.mu.Lock()
	p := s.stash
	s.stash, s.proposed = nil, md.LatestSequence
	s.mu.Unlock()
	if p == nil || p.Height != md.LatestSequence { // its ticket should have been taken back
		s.finish(nil)
		runtime.Goexit()
	}
	hash := p.Hash(s.e.cfg.Suite)
	s.bodies.put(hash, p, p.Encode(), s.me)
	s.mu.Lock()
	s.own = hash
	s.mu.Unlock()
	return types.Proposal{Header: hash[:], Metadata: metadata}
}

// VerifyProposal implements the library's Verifier.
func (s *session) VerifyProposal(p types.Proposal) ([]types.RequestInfo, error) {
	md, err := parseMetadata(p.Metadata)
	if err != nil {
		return nil, err
	}
	if len(p.Header) != len(crypto.Hash{}) || len(p.Payload) > 0 || p.VerificationSequence != 0 || md.LatestSequence == 0 {
		return nil, errors.New("the proposal is no hash of a decision")
	}
	s.mu.Lock()
	next := s.givenAt + 1
	s.mu.Unlock()
	if s.muted() {
		return nil, errors.New("its view was left")
	}
	if md.LatestSequence != next {
		return nil, fmt.Errorf("the proposal is of height %d, the next is %d", md.LatestSequence, next)
	}
	if !s.settledAll() {
		return nil, errOver
	}
	b, _ := s.bodies.get(crypto.Hash(p.Header))
	switch {
	case b == nil:
		return nil, errors.New("the proposal came without its body")
	case b.Height != md.LatestSequence:
		return nil, fmt.Errorf("the proposal is of height %d, the library's of %d", b.Height, md.LatestSequence)
	case b.Proposer != leaderOf(s.set, md.ViewId):
		return nil, fmt.Errorf("validator %d is named as the proposer, view %d is %d's", b.Proposer, md.ViewId, leaderOf(s.set, md.ViewId))
	}
	s.mu.Lock()
	own := s.own == crypto.Hash(p.Header) && s.proposed == b.Height
	s.mu.Unlock()
	if own {
		return s.RequestsFromProposal(p), nil
	}
	if len(b.Txs) == 0 && !s.emptyDue() {
		return nil, errors.New("an empty proposal, and no heartbeat is due")
	}
	if err := s.host.Verify(s.ctx, b.Proposal); err != nil {
		switch {
		case s.ctx.Err() != nil:
		case errors.Is(err, order.ErrProposal):
			s.e.log.Info("refusing a proposal", "height", b.Height, "view", md.ViewId, "leader", b.Proposer, "err", err)
		default: // it cannot be kept: the ledger has failed
			s.finish(err)
		}
		return nil, err
	}
	return nil, nil
}

// RequestsFromProposal implements the library's Verifier: our ticket for our own proposal.
func (s *session) RequestsFromProposal(p types.Proposal) []types.RequestInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ticket == 0 || !bytes.Equal(s.own[:], p.Header) {
		return nil
	}
	return []types.RequestInfo{ticketInfo(s.ticket)}
}

// tickSize is the size of the library's requests, which are ours alone.
const tickSize = 8

func ticketInfo(n uint64) types.RequestInfo {
	return types.RequestInfo{ID: string(binary.BigEndian.AppendUint64(nil, n))}
}

// RequestID implements the library's RequestInspector.
func (s *session) RequestID(req []byte) types.RequestInfo { return types.RequestInfo{ID: string(req)} }

// VerifyRequest implements the library's Verifier: it has no requests of others.
func (s *session) VerifyRequest(req []byte) (types.RequestInfo, error) { return s.RequestID(req), nil }

// VerificationSequence implements the library's Verifier. A session has one set, so nothing ever changes within it.
func (s *session) VerificationSequence() uint64 { return 0 }

// AuxiliaryData implements the library's Verifier.
func (s *session) AuxiliaryData(msg []byte) []byte {
	_, aux, err := parseHead(msg)
	if err != nil {
		return nil
	}
	return aux
}

// VerifyConsenterSig implements the library's Verifier: a commit's signature for p.
func (s *session) VerifyConsenterSig(sig types.Signature, p types.Proposal) ([]byte, error) {
	md, err := parseMetadata(p.Metadata)
	if err != nil {
		return nil, err
	}
	want := headOf(s.e.cfg.Suite, p.Header, md, p.Metadata).encode()
	if !bytes.HasPrefix(sig.Msg, want) || len(sig.Msg) > len(want)+maxAux || len(sig.Value) > maxSignature {
		return nil, errors.New("the commit is for another proposal")
	}
	if err := s.verify(sig.ID, commitMessage(sig.Msg), sig.Value); err != nil {
		return nil, err
	}
	return s.AuxiliaryData(sig.Msg), nil
}

// VerifySignature implements the library's Verifier: that of a node's state when the view changes.
func (s *session) VerifySignature(sig types.Signature) error {
	return s.verify(sig.ID, viewDataMessage(sig.Msg), sig.Value)
}

func (s *session) verify(id uint64, msg, sig []byte) error {
	v := s.set.Find(chain.ValidatorID(id))
	if v == nil {
		return fmt.Errorf("%d is no validator", id)
	}
	return s.host.VerifySig(v, msg, sig)
}

// Sign implements the library's Signer: this node's state when the view changes.
func (s *session) Sign(raw []byte) []byte {
	if !s.settledAll() {
		return nil
	}
	return s.tellState(raw)
}

// SignProposal implements the library's Signer. With aux the library writes the commit to the journal before it sends it; without, when a change of
// the view takes over another's prepared proposal, it does not, and a node that crashed then would forget its vote: so that is done here.
func (s *session) SignProposal(p types.Proposal, aux []byte) *types.Signature {
	sig := &types.Signature{ID: uint64(s.me)}
	if s.dead() {
		return sig
	}
	md, err := parseMetadata(p.Metadata)
	if err != nil || len(p.Header) != len(crypto.Hash{}) {
		s.finish(errors.New("asked to commit to what is no proposal"))
		return sig
	}
	h := headOf(s.e.cfg.Suite, p.Header, md, p.Metadata)
	sig.Msg = append(h.encode(), aux...)
	if aux != nil {
		s.mayCommit(md.ViewId, md.LatestSequence, p.Header)
	}
	if !s.maySign(h) {
		return sig
	}
	sig.Value = s.sign(commitMessage(sig.Msg))
	if aux == nil && sig.Value != nil {
		if err := s.persistTakeover(p, sig); err != nil {
			s.finish(err)
		}
	}
	return sig
}

func (s *session) sign(msg []byte) []byte {
	sig, err := s.host.Sign(msg)
	if err != nil {
		s.finish(err)
		return nil
	}
	return sig
}

// persistTakeover writes what the library would have written, had it prepared p itself. A quorum holds the body, so asking for it succeeds once
// enough of them can be reached; without them there is no decision either.
func (s *session) persistTakeover(p types.Proposal, sig *types.Signature) error {
	md, err := parseMetadata(p.Metadata)
	if err != nil {
		return err
	}
	prop := &smartbftprotos.Proposal{Header: p.Header, Payload: p.Payload, Metadata: p.Metadata}
	records := []*smartbftprotos.SavedMessage{
		{Content: &smartbftprotos.SavedMessage_ProposedRecord{ProposedRecord: &smartbftprotos.ProposedRecord{
			PrePrepare: &smartbftprotos.PrePrepare{View: md.ViewId, Seq: md.LatestSequence, Proposal: prop},
			Prepare:    &smartbftprotos.Prepare{View: md.ViewId, Seq: md.LatestSequence, Digest: p.Digest()}}}},
		{Content: &smartbftprotos.SavedMessage_Commit{Commit: &smartbftprotos.Message{Content: &smartbftprotos.Message_Commit{
			Commit: &smartbftprotos.Commit{View: md.ViewId, Seq: md.LatestSequence, Digest: p.Digest(),
				Signature: &smartbftprotos.Signature{Signer: sig.ID, Value: sig.Value, Msg: sig.Msg}}}}}},
	}
	hash := crypto.Hash(p.Header)
	s.mu.Lock()
	s.promised.height, s.promised.header = md.LatestSequence, hash
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, s.e.cfg.viewChangeTimeout())
	defer cancel()
	b := s.bodies.wait(ctx, hash, func() { s.askBody(hash) })
	if b == nil {
		s.finish(nil) // the change has failed; the next session tries again from the journal
		return nil
	}
	if !s.settledAll() {
		return nil
	}
	r := record{Height: s.height(), Body: b.raw}
	for _, m := range records {
		raw, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		r.Messages = append(r.Messages, raw)
	}
	return s.journal.append(r, false)
}

// Append implements the library's WriteAheadLog. An error ends the session, not the process: nothing that depends on the entry is sent any more.
func (s *session) Append(entry []byte, truncate bool) error {
	if !s.settledAll() {
		return nil
	}
	r := record{Height: s.height(), Messages: [][]byte{entry}}
	m := new(smartbftprotos.SavedMessage)
	if err := proto.Unmarshal(entry, m); err != nil {
		return err
	}
	if v := m.GetNewView(); v != nil {
		r.View, r.NewView = v.ViewId, s.provenBy(v.ViewId)
	}
	if truncate { // only proposals are
		if header := m.GetProposedRecord().GetPrePrepare().GetProposal().GetHeader(); len(header) == len(crypto.Hash{}) {
			if b, _ := s.bodies.get(crypto.Hash(header)); b != nil {
				r.Body = b.raw
			}
		}
	}
	if err := s.journal.append(r, truncate); err != nil {
		s.finish(err)
	}
	return nil
}

// Deliver implements the library's Application. The keeper does the work, see the package's comment.
func (s *session) Deliver(p types.Proposal, sigs []types.Signature) types.Reconfig {
	md, err := parseMetadata(p.Metadata)
	if err != nil || s.dead() {
		return types.Reconfig{}
	}
	d := types.Decision{Proposal: p, Signatures: sigs}
	s.mu.Lock()
	s.given, s.givenAt = d, md.LatestSequence
	s.mu.Unlock()
	select {
	case s.decided <- d:
	case <-s.ctx.Done():
	}
	return types.Reconfig{}
}

// synchronizer is the library's Synchronizer. The keeper does the work: the library holds a lock and waits.
type synchronizer struct{ s *session }

func (y synchronizer) Sync() types.SyncResponse {
	y.s.libraryAsked.Store(true)
	y.s.askCatchUp(false)
	y.s.mu.Lock()
	defer y.s.mu.Unlock()
	return types.SyncResponse{Latest: y.s.given}
}

// newViewRecord is what the library writes when it enters a view.
func newViewRecord(at viewAt) []byte {
	b, err := proto.Marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_NewView{
		NewView: &smartbftprotos.ViewMetadata{ViewId: at.view, LatestSequence: at.height}}})
	if err != nil {
		panic("bft: encode a view: " + err.Error()) // all fields are encodable types
	}
	return b
}
