package eth

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// ReceiptProofFormat names the form of ReceiptProof.
const ReceiptProofFormat = "jialing/proof/3"

// MaxProofLinks is how many headers may lie between a transaction's block and the certified one.
const MaxProofLinks = 256

// ReceiptProof is what jl_getReceiptProof returns: everything that somebody who trusts a chain's genesis needs to see, offline, that a
// transaction was executed and with what outcome. The order of its fields is part of the form. To verify it:
//
//  1. keccak(Tx) is TxHash; TxProof leads from Header's transactionsRoot along the nibbles of rlp(Index) to Tx.
//  2. ReceiptProof leads from Header's receiptsRoot along the same nibbles to Receipt.
//  3. RecordProof leads from the pair of Tx and Receipt, record Index of Count, to the root in Header's extraData: the same as 1 and 2 by the suite's
//     hash instead of Keccak-256.
//  4. Each header's suite hash is the parent hash in the extraData of the next of Links; the last one's (Header's own where Links is empty)
//     is Certificate.Header.
//  5. A quorum of the validators whose set's hash is in that header's extraData signed chain.AttestationMessage(Genesis,
//     Certificate.Height, Certificate.Header).
//  6. Each of Handovers leads from one validator set to the next: its Header names both in its extraData and is certified by a quorum of the
//     former. The first is of the founding set, the last leads to the set of step 5.
//
// On a chain of work there are neither Links nor Handovers, and instead of 5 and 6 work speaks for Header: Certificate.Work are work headers that follow each
// other from the block's height on, each as hard to find as the genesis' rules ask; the first is for the decision in Header's extraData, the one
// WorkParams.Depth above it names Header's suite hash, and those from there on are the confirmations.
//
// The founding validators themselves are not part of it: they are what the verifier trusts, from the genesis.
type ReceiptProof struct {
	Format  string         `json:"format"`
	Suite   string         `json:"suite"`
	ChainID hexutil.Uint64 `json:"chainId"`
	// Genesis is the suite's hash of block 0's header.
	Genesis common.Hash    `json:"genesis"`
	TxHash  common.Hash    `json:"txHash"`
	Index   hexutil.Uint64 `json:"index"`
	// Tx is the raw transaction. TxProof is the trie's nodes from the root to its leaf.
	Tx      hexutil.Bytes   `json:"tx"`
	TxProof []hexutil.Bytes `json:"txProof"`
	// Receipt is the receipt's consensus encoding (EIP-2718).
	Receipt      hexutil.Bytes   `json:"receipt"`
	ReceiptProof []hexutil.Bytes `json:"receiptProof"`
	// Count is the number of the block's records, RecordProof the hashes beside the path from this one to their root, see chain.Records.
	Count       hexutil.Uint64 `json:"count"`
	RecordProof []crypto.Hash  `json:"recordProof"`
	BlockHash   common.Hash    `json:"blockHash"`
	// Header is RLP.
	Header hexutil.Bytes `json:"header"`
	// Links are the headers that follow, ascending, up to and with the certified one; empty when the block has its own certificate.
	Links []hexutil.Bytes `json:"links"`
	// Handovers are the changes of the validator set up to the certified height, ascending.
	Handovers   []Handover       `json:"handovers"`
	Certificate ProofCertificate `json:"certificate"`
}

// ProofCertificate is a chain.Certificate as JSON, or the work that stands for it.
type ProofCertificate struct {
	// Kind is "work" where nobody signs, and then Attestations is empty.
	Kind   string         `json:"kind,omitempty"`
	Height hexutil.Uint64 `json:"height"`
	// Block is the certified header's Keccak-256, Header its suite hash, on which the signatures rest.
	Block        common.Hash        `json:"block"`
	Header       common.Hash        `json:"header"`
	Attestations []ProofAttestation `json:"attestations"`
	// Work are the work headers (decisions' proofs) from the block's height on: see API.workCertificate.
	Work []hexutil.Bytes `json:"work,omitempty"`
}

// ProofAttestation is one validator's signature.
type ProofAttestation struct {
	Validator hexutil.Uint64 `json:"validator"`
	Signature hexutil.Bytes  `json:"signature"`
}

func certificateJSON(c *chain.Certificate) ProofCertificate {
	out := ProofCertificate{Height: hexutil.Uint64(c.Height), Block: c.Block, Header: common.Hash(c.Header),
		Attestations: make([]ProofAttestation, len(c.Attestations))}
	for i, a := range c.Attestations {
		out.Attestations[i] = ProofAttestation{Validator: hexutil.Uint64(a.Validator), Signature: a.Signature}
	}
	return out
}

// receiptProof proves the transaction at index of an existing block.
func (a *API) receiptProof(ctx context.Context, height uint64, index int) (*ReceiptProof, error) {
	b, err := a.sealed(height)
	if err != nil {
		return nil, err
	}
	records := chain.NewRecords(b.Txs, b.receipts)
	genesis, _, err := a.header(0)
	if err != nil {
		return nil, err
	}
	id, err := chain.HeaderHash(a.suite, genesis)
	if err != nil {
		return nil, err
	}
	tx := b.Txs[index]
	p := &ReceiptProof{
		Format: ReceiptProofFormat, Suite: a.suite.Name(), ChainID: hexutil.Uint64(a.genesis.ChainID), Genesis: common.Hash(id),
		TxHash: tx.Hash(), Index: hexutil.Uint64(index), Tx: tx.Raw(), Receipt: records.Receipt(index), BlockHash: b.Hash, Header: headerRLP(b.Header),
		Count: hexutil.Uint64(len(b.Txs)), RecordProof: records.Proof(a.suite, index), Links: []hexutil.Bytes{},
	}
	if p.TxProof, err = proveLeaf(b.Txs, index, b.Header.TxHash); err != nil {
		return nil, fmt.Errorf("prove transaction %d of block %d: %w", index, height, err)
	}
	if p.ReceiptProof, err = proveLeaf(records, index, b.Header.ReceiptHash); err != nil {
		return nil, fmt.Errorf("prove receipt %d of block %d: %w", index, height, err)
	}
	if err := a.certify(p, height); err != nil {
		return nil, err
	}
	if a.genesis.Consensus.Engine.Signed() {
		p.Handovers, err = a.proofHandovers(ctx, uint64(p.Certificate.Height))
	}
	return p, err
}

// certify adds the first certificate at or above height and the headers that lead there.
func (a *API) certify(p *ReceiptProof, height uint64) error {
	head := a.ledger.Head().Number.Uint64()
	if !a.genesis.Consensus.Engine.Signed() {
		c, err := a.workCertificate(height)
		if err == nil && c == nil {
			err = fmt.Errorf("block %d is final, but the header that names it is %d blocks above it and not final yet: ask again at block %d", height,
				a.genesis.Consensus.Work.Depth, height+uint64(a.genesis.Consensus.Work.Depth))
		}
		if c != nil {
			p.Certificate, p.Handovers = *c, []Handover{}
		}
		return err
	}
	for h := height; h <= min(head, height+MaxProofLinks); h++ {
		if h > height {
			header, _, err := a.header(h)
			if err != nil {
				return err
			}
			p.Links = append(p.Links, headerRLP(header))
		}
		c, err := a.ledger.Certificate(h)
		if err != nil {
			return fmt.Errorf("read certificate %d: %w", h, err)
		}
		if c != nil {
			p.Certificate = certificateJSON(c)
			return nil
		}
	}
	return fmt.Errorf("block %d is not finalized yet: neither it nor the %d blocks after it have a certificate", height, min(head-height, MaxProofLinks))
}

// proveLeaf returns the nodes from root to the leaf of index in the trie that geth derives a list's root with. The list is hashed once more
// and the nodes on the leaf's path are kept as they come by.
func proveLeaf(list types.DerivableList, index int, root common.Hash) ([]hexutil.Bytes, error) {
	var key []byte
	for _, b := range rlp.AppendUint64(nil, uint64(index)) {
		key = append(key, b>>4, b&15)
	}
	type node struct {
		depth int
		blob  []byte
	}
	var nodes []node
	got := types.DeriveSha(list, trie.NewStackTrie(func(path []byte, _ common.Hash, blob []byte) {
		if bytes.HasPrefix(key, path) {
			nodes = append(nodes, node{len(path), bytes.Clone(blob)})
		}
	}))
	if got != root {
		return nil, fmt.Errorf("the list's root is %s, the header says %s", got, root)
	}
	slices.SortFunc(nodes, func(a, b node) int { return a.depth - b.depth })
	out := make([]hexutil.Bytes, len(nodes))
	for i, n := range nodes {
		out[i] = n.blob
	}
	return out, nil
}
