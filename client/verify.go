package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// Proven is what a proof establishes once it holds: nothing in it rests on the word of the node that made it.
type Proven struct {
	ChainID uint64
	TxHash  common.Hash
	// Kind is the way the transaction is signed, "secp256k1" or "sm2"; PublicKey is the signer's, X ‖ Y, for "sm2".
	Kind      string
	PublicKey []byte
	// From signed the transaction; To is nil where it created Contract.
	From     common.Address
	To       *common.Address
	Contract *common.Address
	Nonce    uint64
	Value    *big.Int
	Data     []byte
	// Succeeded is false for a transaction that is in the block but reverted: it then did nothing but pay.
	Succeeded bool
	// Logs carry address, topics and data; the other fields are those of the block and the transaction, Index apart, which is not proven.
	Logs []*types.Log
	// Height, BlockHash and Time are the block's; Time has milliseconds.
	Height    uint64
	BlockHash common.Hash
	Time      time.Time
	// CertifiedHeight is the height of the signed header: the block's own, or a later one's.
	CertifiedHeight uint64
	// Signers are the validators that signed, Quorum what was needed of how many Validators.
	Signers            []TrustedValidator
	Quorum, Validators int
	// Work is what speaks for the block where nobody signs; nil elsewhere.
	Work *Work
}

// Verify checks p against t and tells what it proves. It needs no node and no network. In order: the chain is t's; every change of the
// validator set from t's on is certified by the set before it; a quorum of the last set signed the certified header; the block's header links to it by the suite's hashes; transaction and receipt are in the block at the same
// position. On a chain of work no set is followed and nobody has signed: instead the work that t asks for speaks for the block (see TrustedWork). Every error wraps ErrProof, or ErrTrust where t itself cannot be.
func Verify(p *Proof, t *Trust) (*Proven, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	s, err := suiteByName(t.Suite)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	switch {
	case p.Format != ProofFormat:
		return nil, fmt.Errorf("%w: format %q is unknown, this version reads %q", ErrProof, p.Format, ProofFormat)
	case p.Suite != t.Suite || p.ChainID != t.ChainID || p.Genesis != t.Genesis:
		return nil, fmt.Errorf("%w: it is of chain %d with genesis %s (%s), the trusted one is chain %d with genesis %s (%s)", ErrProof,
			uint64(p.ChainID), p.Genesis, p.Suite, uint64(t.ChainID), t.Genesis, t.Suite)
	}
	now, err := t.follow(s, p.Handovers)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	header, err := p.verifyHeaders(s, now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	var signers []TrustedValidator
	var work *Work
	if now.Work != nil {
		work, err = p.verifyWork(s, now)
	} else {
		signers, err = p.Certificate.verify(s, now)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrProof, err)
	}
	out, err := p.verifyInclusion(s, header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	out.Work = work
	out.CertifiedHeight = uint64(p.Certificate.Height)
	out.Signers, out.Quorum, out.Validators = signers, now.Quorum, len(now.Validators)
	return out, nil
}

// verifyHeaders checks that the block's header leads to the certified one, and that t's validators, to whom
// the changes led, are the ones who attest that.
func (p *Proof) verifyHeaders(s *suite, t *Trust) (*types.Header, error) {
	if len(p.Links) > maxLinks {
		return nil, fmt.Errorf("%d headers up to the certificate, at most %d", len(p.Links), maxLinks)
	}
	var first, last *types.Header
	var lastRaw []byte
	for i := range 1 + len(p.Links) {
		raw := []byte(p.Header)
		if i > 0 {
			raw = p.Links[i-1]
		}
		h, extra, err := decodeHeader(raw)
		if err != nil {
			return nil, fmt.Errorf("header %d: %w", i, err)
		}
		if i == 0 {
			first = h
		} else if h.Number.Uint64() != last.Number.Uint64()+1 || h.ParentHash != crypto.Keccak256Hash(lastRaw) || extra.Parent != s.sum(lastRaw) {
			return nil, fmt.Errorf("header %d does not follow header %d", i, i-1)
		}
		last, lastRaw = h, raw
		if i == len(p.Links) {
			validators, err := t.ruleHash(s)
			if err != nil {
				return nil, err
			}
			if extra.Validators != validators {
				return nil, fmt.Errorf("block %s is attested by other validators than the trusted ones, and the proof holds no change from those to these", h.Number)
			}
		}
	}
	c := &p.Certificate
	switch {
	case uint64(c.Height) != last.Number.Uint64():
		return nil, fmt.Errorf("the certificate is of height %d, the header of %s", uint64(c.Height), last.Number)
	case c.Block != crypto.Keccak256Hash(lastRaw) || c.Header != s.sum(lastRaw):
		return nil, errors.New("the certificate is of another header")
	case p.BlockHash != crypto.Keccak256Hash(p.Header):
		return nil, errors.New("the block hash is not the header's")
	}
	return first, nil
}

// verifyWork checks the work that speaks for the block itself: a chain of work has no certified header above it to which others would lead.
func (p *Proof) verifyWork(s *suite, t *Trust) (*Work, error) {
	if len(p.Links) > 0 || len(p.Handovers) > 0 {
		return nil, errors.New("headers or changes of validators have no place in the proof of a chain of work")
	}
	header, extra, err := decodeHeader(p.Header)
	if err != nil {
		return nil, err
	}
	return p.Certificate.verifyWork(s, t, header, extra.Decision)
}

// verifyInclusion checks that transaction and receipt are in the header's tries and its tree of records, and tells what they say.
func (p *Proof) verifyInclusion(s *suite, h *types.Header) (*Proven, error) {
	if crypto.Keccak256Hash(p.Tx) != p.TxHash {
		return nil, errors.New("the transaction hash is not the transaction's")
	}
	key := rlp.AppendUint64(nil, uint64(p.Index))
	for _, part := range []struct {
		name  string
		root  common.Hash
		nodes [][]byte
		value []byte
	}{{"transaction", h.TxHash, byteSlices(p.TxProof), p.Tx}, {"receipt", h.ReceiptHash, byteSlices(p.ReceiptProof), p.Receipt}} {
		value, err := proveValue(part.root, key, part.nodes)
		if err != nil {
			return nil, fmt.Errorf("%s %d of block %s: %w", part.name, uint64(p.Index), h.Number, err)
		}
		if !bytes.Equal(value, part.value) {
			return nil, fmt.Errorf("%s %d of block %s is another one", part.name, uint64(p.Index), h.Number)
		}
	}
	if err := p.verifyRecord(s, h); err != nil {
		return nil, fmt.Errorf("record %d of block %s: %w", uint64(p.Index), h.Number, err)
	}
	tx, err := DecodeTx(new(big.Int).SetUint64(uint64(p.ChainID)), p.Tx)
	if err != nil {
		return nil, err
	}
	receipt, err := decodeReceipt(p.Receipt)
	if err != nil {
		return nil, fmt.Errorf("decode receipt: %w", err)
	}
	if receipt.Type != tx.Type {
		return nil, fmt.Errorf("the receipt is of type %#x, the transaction of type %#x", receipt.Type, tx.Type)
	}
	return p.proven(h, tx, receipt)
}

func (p *Proof) proven(h *types.Header, tx *SignedTx, receipt *types.Receipt) (*Proven, error) {
	if h.Time > 1<<40 {
		return nil, fmt.Errorf("block time %d is out of range", h.Time)
	}
	out := &Proven{ChainID: uint64(p.ChainID), TxHash: p.TxHash, Kind: tx.Kind, PublicKey: tx.PublicKey, From: tx.From, To: tx.To, Nonce: tx.Nonce, Value: tx.Value, Data: tx.Data,
		Succeeded: receipt.Status == types.ReceiptStatusSuccessful, Logs: receipt.Logs, Height: h.Number.Uint64(), BlockHash: p.BlockHash,
		Time: BlockTime(h)}
	if tx.To == nil {
		created := crypto.CreateAddress(tx.From, tx.Nonce)
		out.Contract = &created
	}
	for _, l := range out.Logs {
		l.BlockNumber, l.BlockHash, l.BlockTimestamp = out.Height, out.BlockHash, h.Time
		l.TxHash, l.TxIndex = out.TxHash, uint(p.Index)
	}
	return out, nil
}

// headerExtra is a header's extraData: version(1) = 3 ‖ millisecond(2, big-endian) ‖ suite hash of the parent header ‖ hash of the decision ‖
// hash of the set of validators that attests the block ‖ hash of the set that attests the next one ‖ ledger digest ‖ root of the records.
type headerExtra struct {
	Millis                                              uint16
	Parent, Decision, Validators, Next, Ledger, Records common.Hash
}

const extraVersion = 3

const extraSize = 1 + 2 + 6*common.HashLength

func (e *headerExtra) encode() []byte {
	b := binary.BigEndian.AppendUint16([]byte{extraVersion}, e.Millis)
	for _, h := range []*common.Hash{&e.Parent, &e.Decision, &e.Validators, &e.Next, &e.Ledger, &e.Records} {
		b = append(b, h[:]...)
	}
	return b
}

func decodeExtra(b []byte) (*headerExtra, error) {
	if len(b) != extraSize || b[0] != extraVersion {
		return nil, errors.New("its extra data are not of this platform's format")
	}
	e := &headerExtra{Millis: binary.BigEndian.Uint16(b[1:])}
	if e.Millis > 999 {
		return nil, errors.New("its millisecond exceeds 999")
	}
	for i, h := range []*common.Hash{&e.Parent, &e.Decision, &e.Validators, &e.Next, &e.Ledger, &e.Records} {
		copy(h[:], b[3+common.HashLength*i:])
	}
	return e, nil
}

func decodeHeader(raw []byte) (*types.Header, *headerExtra, error) {
	h := new(types.Header)
	if err := rlp.DecodeBytes(raw, h); err != nil {
		return nil, nil, fmt.Errorf("decode: %w", err)
	}
	if !h.Number.IsUint64() {
		return nil, nil, errors.New("its number exceeds 64 bits")
	}
	extra, err := decodeExtra(h.Extra)
	return h, extra, err
}

func byteSlices(in []hexutil.Bytes) [][]byte {
	out := make([][]byte, len(in))
	for i, b := range in {
		out[i] = b
	}
	return out
}
