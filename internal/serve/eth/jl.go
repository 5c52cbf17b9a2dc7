package eth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// jlService has what Ethereum's namespaces have no word for. What is unknown is null.
type jlService struct{ a *API }

// statusJSON is jl_status.
type statusJSON struct {
	Version string         `json:"version"`
	Chain   string         `json:"chain"`
	ChainID hexutil.Uint64 `json:"chainId"`
	Suite   string         `json:"suite"`
	Engine  string         `json:"engine"`
	// Height is what latest means; Executed may be ahead of it by what is on its way to the disk.
	Height    hexutil.Uint64 `json:"height"`
	Executed  hexutil.Uint64 `json:"executed"`
	Durable   hexutil.Uint64 `json:"durable"`
	Finalized hexutil.Uint64 `json:"finalized"`
	Pending   hexutil.Uint64 `json:"pending"`
	Queued    hexutil.Uint64 `json:"queued"`
	Peers     hexutil.Uint64 `json:"peers"`
	// EngineStatus is the consensus engine's own.
	EngineStatus json.RawMessage `json:"engineStatus"`
	// Problem says why the node takes no transactions; null when it does.
	Problem *string `json:"problem"`
}

// Status is jl_status.
func (s *jlService) Status() statusJSON {
	st := s.a.node.Status()
	pending, queued := s.a.pool.Status()
	out := statusJSON{
		Version: st.Version, Chain: s.a.genesis.Name, ChainID: hexutil.Uint64(s.a.genesis.ChainID), Suite: s.a.genesis.Suite,
		Engine: string(s.a.genesis.Consensus.Engine), Height: hexutil.Uint64(s.a.ledger.Head().Number.Uint64()), Executed: hexutil.Uint64(st.Executed),
		Durable: hexutil.Uint64(st.Durable), Finalized: hexutil.Uint64(s.a.node.Finalized()), Pending: hexutil.Uint64(pending),
		Queued: hexutil.Uint64(queued), Peers: hexutil.Uint64(st.Peers), EngineStatus: st.Engine,
	}
	if st.Problem != "" {
		out.Problem = &st.Problem
	}
	return out
}

// Genesis is jl_genesis: the genesis without white space, its fields in canonical order.
func (s *jlService) Genesis() (json.RawMessage, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, s.a.genesis.Encode()); err != nil {
		return nil, fmt.Errorf("encode genesis: %w", err)
	}
	return out.Bytes(), nil
}

// decisionJSON is jl_getDecision.
type decisionJSON struct {
	Height     hexutil.Uint64 `json:"height"`
	Hash       crypto.Hash    `json:"hash"`
	Parent     crypto.Hash    `json:"parent"`
	TimeMillis hexutil.Uint64 `json:"timeMillis"`
	Proposer   hexutil.Uint64 `json:"proposer"`
	// Coinbase is there where Proposer is 0: the account of who found the block.
	Coinbase *common.Address `json:"coinbase,omitempty"`
	Txs      []common.Hash   `json:"transactions"`
	Excluded []exclusionJSON `json:"excluded"`
	// Proof is the engine's own evidence of agreement.
	Proof hexutil.Bytes `json:"proof"`
}

// exclusionJSON is a decided transaction that its block left out, and why.
type exclusionJSON struct {
	Tx     common.Hash    `json:"transaction"`
	Height hexutil.Uint64 `json:"height"`
	Reason string         `json:"reason"`
}

// GetDecision is jl_getDecision(height): what consensus decided, which is more than the block where transactions were left out.
func (s *jlService) GetDecision(n rpc.BlockNumber) (*decisionJSON, error) {
	height, ok := s.a.height(n)
	if !ok || height == 0 {
		return nil, nil
	}
	d, excluded, err := s.decision(height)
	if err != nil || d == nil {
		return nil, err
	}
	out := &decisionJSON{
		Height: hexutil.Uint64(height), Hash: d.Hash(s.a.suite), Parent: d.Parent, TimeMillis: hexutil.Uint64(d.TimeMillis),
		Proposer: hexutil.Uint64(d.Proposer), Txs: d.Txs, Excluded: make([]exclusionJSON, len(excluded)), Proof: d.Proof,
	}
	if d.Proposer == 0 {
		out.Coinbase = &d.Coinbase
	}
	if out.Txs == nil {
		out.Txs = []common.Hash{}
	}
	if out.Proof == nil {
		out.Proof = hexutil.Bytes{}
	}
	for i, x := range excluded {
		out.Excluded[i] = exclusionJSON{x.Tx, hexutil.Uint64(height), x.Reason}
	}
	return out, nil
}

func (s *jlService) decision(height uint64) (*chain.Decision, []chain.Exclusion, error) {
	if b := s.a.recent.block(height); b != nil && b.decision != nil {
		return b.decision, b.excluded, nil
	}
	d, _, err := s.a.ledger.Decision(height)
	if err != nil {
		return nil, nil, fmt.Errorf("read decision %d: %w", height, err)
	}
	excluded, err := s.a.ledger.Exclusions(height)
	if err != nil {
		return nil, nil, fmt.Errorf("read exclusions of block %d: %w", height, err)
	}
	return d, excluded, nil
}

// GetCertificate is jl_getCertificate(height | hash): the quorum's signatures on a block, or the work on it where nobody signs; null while there are none.
func (s *jlService) GetCertificate(ctx context.Context, at rpc.BlockNumberOrHash) (*ProofCertificate, error) {
	height, ok, err := s.a.heightOf(&at)
	if err != nil || !ok {
		return nil, err
	}
	if !s.a.genesis.Consensus.Engine.Signed() {
		return run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(context.Context) (*ProofCertificate, error) { return s.a.workCertificate(height) })
	}
	c, err := s.a.ledger.Certificate(height)
	if err != nil {
		return nil, fmt.Errorf("read certificate %d: %w", height, err)
	}
	if c == nil {
		return nil, nil
	}
	out := certificateJSON(c)
	return &out, nil
}

// GetExclusion is jl_getExclusion(txHash): why a decided transaction is in no block; null when that did not happen.
func (s *jlService) GetExclusion(hash common.Hash) (*exclusionJSON, error) {
	if b, p, ok := s.a.recent.tx(hash); ok && p.excluded {
		return &exclusionJSON{hash, hexutil.Uint64(p.height), b.excluded[p.index].Reason}, nil
	}
	x, height, err := s.a.ledger.Excluded(hash)
	if err != nil {
		return nil, fmt.Errorf("read exclusion of %s: %w", hash, err)
	}
	if x == nil {
		return nil, nil
	}
	return &exclusionJSON{hash, hexutil.Uint64(height), x.Reason}, nil
}

// GetReceiptProof is jl_getReceiptProof(txHash); null while the transaction is in no block. It hashes the whole block anew, so it waits its
// turn as a call does.
func (s *jlService) GetReceiptProof(ctx context.Context, hash common.Hash) (*ReceiptProof, error) {
	tx, at, err := s.a.mined(hash)
	if err != nil || tx == nil {
		return nil, err
	}
	return run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) (*ReceiptProof, error) {
		return s.a.receiptProof(ctx, at.header.Number.Uint64(), int(at.index))
	})
}

// validatorsJSON is jl_getValidators.
type validatorsJSON struct {
	Hash       crypto.Hash      `json:"hash"`
	Engine     chain.EngineKind `json:"engine"`
	Quorum     hexutil.Uint64   `json:"quorum"`
	Validators []validatorJSON  `json:"validators"`
}

type validatorJSON struct {
	ID        hexutil.Uint64 `json:"id"`
	PublicKey hexutil.Bytes  `json:"publicKey"`
	Address   common.Address `json:"address"`
}

// GetValidators is jl_getValidators(height): who attests that block and how many of them have to.
func (s *jlService) GetValidators(n rpc.BlockNumber) (*validatorsJSON, error) {
	height, ok := s.a.height(n)
	if !ok {
		return nil, nil
	}
	rule, err := s.a.node.Rule(height)
	if err != nil {
		return nil, fmt.Errorf("read validators of block %d: %w", height, err)
	}
	return &validatorsJSON{Hash: rule.Hash(s.a.suite), Engine: rule.Engine, Quorum: hexutil.Uint64(rule.Quorum()), Validators: validatorList(rule.Set)}, nil
}
