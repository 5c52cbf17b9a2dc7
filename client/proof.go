package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// ProofFormat is the word that opens a proof.
const ProofFormat = "jialing/proof/3"

// MaxProofSize bounds a proof file in bytes. A proof holds one transaction, one receipt and one header, in hex; only a receipt with the logs of
// a whole block comes near.
const MaxProofSize = 128 << 20

// maxLinks bounds the headers between a transaction's block and the certified one: certificates trail by a few blocks.
const maxLinks = 256

// Proof is the evidence that a transaction happened: the transaction and its receipt, their Merkle proofs up to a block's header, and the
// signatures of a quorum of validators on that header or on a later one that links back to it. It is what jl_getReceiptProof returns.
//
// As a file it is JSON in one form: fields in this order, lower-case hex, quantities without leading zeros. White space is free.
type Proof struct {
	Format string `json:"format"`
	// Suite names the chain's cryptographic suite, Genesis is the suite's hash of its block 0's header.
	Suite   string         `json:"suite"`
	ChainID hexutil.Uint64 `json:"chainId"`
	Genesis common.Hash    `json:"genesis"`
	TxHash  common.Hash    `json:"txHash"`
	// Index is the transaction's position in its block, which is its key in both tries.
	Index hexutil.Uint64 `json:"index"`
	// Tx is the raw transaction, Receipt the receipt as the receipts trie holds it (EIP-2718).
	Tx           hexutil.Bytes   `json:"tx"`
	TxProof      []hexutil.Bytes `json:"txProof"`
	Receipt      hexutil.Bytes   `json:"receipt"`
	ReceiptProof []hexutil.Bytes `json:"receiptProof"`
	// Count is the number of the block's records, RecordProof the hashes beside the path from this one to their root in the header's extra data: what the
	// two tries show by Keccak-256, these show by the suite's hash.
	Count       hexutil.Uint64 `json:"count"`
	RecordProof []common.Hash  `json:"recordProof"`
	// BlockHash is the Keccak-256 of Header, the block's RLP.
	BlockHash common.Hash   `json:"blockHash"`
	Header    hexutil.Bytes `json:"header"`
	// Links are the RLP of the headers that follow, up to and with the certified one; empty when the block has its own certificate.
	Links []hexutil.Bytes `json:"links"`
	// Handovers are the changes of the validator set from the founding one to the one that signed, ascending; empty when that never changed.
	Handovers   []Handover       `json:"handovers"`
	Certificate ProofCertificate `json:"certificate"`
}

// ProofCertificate holds the validators' signatures on a header, or the work that stands for them.
type ProofCertificate struct {
	// Kind is CertificateOfWork on a chain of work, empty where validators sign.
	Kind   string         `json:"kind,omitempty"`
	Height hexutil.Uint64 `json:"height"`
	// Block is the certified header's Keccak-256, Header its suite hash: the signatures rest on the latter.
	Block        common.Hash        `json:"block"`
	Header       common.Hash        `json:"header"`
	Attestations []ProofAttestation `json:"attestations"`
	// Work are the work headers from the block's height on, ascending; the one Depth above it names its executed header.
	Work []hexutil.Bytes `json:"work,omitempty"`
}

// ProofAttestation is one validator's signature.
type ProofAttestation struct {
	Validator hexutil.Uint64 `json:"validator"`
	Signature hexutil.Bytes  `json:"signature"`
}

// ErrProof is wrapped by every error of a proof that does not hold; the text says at which step.
var ErrProof = errors.New("proof does not hold")

// Proof asks the node for the evidence of a transaction. ethereum.NotFound while it is in no block. The result is not verified: see Verify.
func (c *Client) Proof(ctx context.Context, tx common.Hash) (*Proof, error) {
	var p *Proof
	if err := c.rpc.CallContext(ctx, &p, "jl_getReceiptProof", tx); err != nil {
		return nil, describe("get proof", err)
	}
	if p == nil {
		return nil, fmt.Errorf("get proof of %s: %w", tx, ethereum.NotFound)
	}
	return p, nil
}

// Encode is the proof as a file: indented JSON.
func (p *Proof) Encode() []byte {
	out := *p
	if out.Links == nil {
		out.Links = []hexutil.Bytes{}
	}
	if out.RecordProof == nil {
		out.RecordProof = []common.Hash{}
	}
	if out.Handovers == nil {
		out.Handovers = []Handover{}
	}
	b, err := json.MarshalIndent(&out, "", "  ")
	if err != nil {
		panic("client: encode proof: " + err.Error()) // all fields are encodable types
	}
	return append(b, '\n')
}

// ParseProof reads a proof file. It refuses any form but the one, so that whatever is in the file is part of what Verify checks.
func ParseProof(file []byte) (*Proof, error) {
	if len(file) > MaxProofSize {
		return nil, fmt.Errorf("%w: the file exceeds %d bytes", ErrProof, MaxProofSize)
	}
	p := new(Proof)
	if err := json.Unmarshal(file, p); err != nil {
		return nil, fmt.Errorf("%w: the file cannot be read: %w", ErrProof, err)
	}
	var have, want bytes.Buffer
	if err := errors.Join(json.Compact(&have, file), json.Compact(&want, p.Encode())); err != nil {
		return nil, fmt.Errorf("%w: the file cannot be read: %w", ErrProof, err)
	}
	if !bytes.Equal(have.Bytes(), want.Bytes()) {
		return nil, fmt.Errorf("%w: the file is not in its one form (field order, lower-case hex, no other fields)", ErrProof)
	}
	return p, nil
}
