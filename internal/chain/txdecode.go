package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// DecodeTx decodes the canonical form of a transaction (RLP for type 0, type byte ‖ RLP above). It keeps raw. The sender is unknown
// until Verify.
//
// It reads the fields itself, in one pass and without reflection, because decoding stands on the path of every transaction; it accepts
// exactly what geth's decoder accepts, of the types that the platform carries (FuzzDecodeTx holds it to that), and type 0x50 as geth's RLP would
// decode it from a plain struct (FuzzDecodeSM2Tx).
func DecodeTx(raw []byte) (*Tx, error) {
	if len(raw) > MaxTxSize {
		return nil, ErrTxTooLarge
	}
	tx := &Tx{raw: raw}
	body := raw
	if len(raw) > 0 && raw[0] < 0x80 {
		tx.typ, body = raw[0], raw[1:]
		switch tx.typ {
		case AccessListTxType, DynamicFeeTxType, SetCodeTxType, SM2TxType:
		case BlobTxType:
			return nil, ErrBlobTx
		default:
			return nil, fmt.Errorf("%w: 0x%02x", ErrTxType, tx.typ)
		}
	}
	content, rest, err := rlp.SplitList(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTxEncoding, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow it", ErrTxEncoding, len(rest))
	}
	if err := tx.decode(content); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTxEncoding, err)
	}
	if tx.tipCap.Gt(&tx.feeCap) {
		return nil, ErrTipAboveFeeCap
	}
	tx.hash = gethcrypto.Keccak256Hash(raw)
	return tx, nil
}

// decode reads the fields in the order of EIP-155, EIP-2930, EIP-1559 or EIP-7702; type 0x50 has EIP-1559's before its own signature.
func (tx *Tx) decode(content []byte) error {
	f := fields{rest: content}
	if tx.typ != LegacyTxType {
		f.uint256(&tx.chainID, "chainId")
	}
	tx.nonce = f.uint64("nonce")
	if tx.typ >= DynamicFeeTxType {
		f.uint256(&tx.tipCap, "maxPriorityFeePerGas")
		f.uint256(&tx.feeCap, "maxFeePerGas")
	} else {
		f.uint256(&tx.feeCap, "gasPrice")
		tx.tipCap = tx.feeCap
	}
	tx.gas = f.uint64("gas")
	// A type 4 transaction creates no contract: its recipient is never empty.
	tx.creates = f.address(&tx.to, "to", tx.typ != SetCodeTxType)
	f.uint256(&tx.value, "value")
	tx.data = f.bytes("data")
	if tx.typ != LegacyTxType {
		tx.accessList = f.accessList()
	}
	if tx.typ == SetCodeTxType {
		tx.authorizations = f.authorizations()
	}
	tx.signed = content[:len(content)-len(f.rest)]
	if tx.typ == SM2TxType {
		tx.publicKey = f.fixed("publicKey", sm2.PublicKeySize)
	} else {
		f.uint256(&tx.v, "v")
	}
	f.uint256(&tx.r, "r")
	f.uint256(&tx.s, "s")
	if tx.typ == LegacyTxType {
		tx.chainIDFromV()
	} else {
		tx.protected = true
	}
	return f.end()
}

// chainIDFromV is EIP-155 backwards: v = 35 + 2 × chain id + parity. 27 and 28 (and geth's 0 and 1) are of before it.
func (tx *Tx) chainIDFromV() {
	if tx.v.IsUint64() {
		switch v := tx.v.Uint64(); {
		case v == 0 || v == 1 || v == 27 || v == 28:
			return
		case v < 35:
			tx.protected = true
			return
		}
	}
	tx.protected = true
	tx.chainID.SubUint64(&tx.v, 35)
	tx.chainID.Rsh(&tx.chainID, 1)
}

// fields reads RLP values one after the other and remembers the first error; what follows it reads as zero.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
	f.rest = nil
}

func (f *fields) bytes(name string) []byte {
	if f.err != nil {
		return nil
	}
	b, rest, err := rlp.SplitString(f.rest)
	if err != nil {
		f.fail(name, err)
		return nil
	}
	f.rest = rest
	return b
}

func (f *fields) uint64(name string) uint64 {
	if f.err != nil {
		return 0
	}
	x, rest, err := rlp.SplitUint64(f.rest)
	if err != nil {
		f.fail(name, err)
		return 0
	}
	f.rest = rest
	return x
}

func (f *fields) uint256(to *uint256.Int, name string) {
	b := f.bytes(name)
	switch {
	case len(b) > 32:
		f.fail(name, fmt.Errorf("exceeds 256 bits"))
	case len(b) > 0 && b[0] == 0:
		f.fail(name, rlp.ErrCanonInt)
	default:
		to.SetBytes(b)
	}
}

// address reads 20 bytes, or none where mayBeEmpty, and reports whether it was none.
func (f *fields) address(to *common.Address, name string, mayBeEmpty bool) (empty bool) {
	b := f.bytes(name)
	switch {
	case len(b) == len(to):
		copy(to[:], b)
	case len(b) == 0 && mayBeEmpty:
		return true
	default:
		f.fail(name, fmt.Errorf("%d bytes, want %d", len(b), len(to)))
	}
	return false
}

// fixed reads that many bytes.
func (f *fields) fixed(name string, size int) []byte {
	b := f.bytes(name)
	if f.err == nil && len(b) != size {
		f.fail(name, fmt.Errorf("%d bytes, want %d", len(b), size))
		return nil
	}
	return b
}

// list reads a list, whose own fields the result reads.
func (f *fields) list(name string) fields {
	if f.err != nil {
		return fields{err: f.err}
	}
	content, rest, err := rlp.SplitList(f.rest)
	if err != nil {
		f.fail(name, err)
		return fields{err: f.err}
	}
	f.rest = rest
	return fields{rest: content}
}

// end is the first error, or that something is left over.
func (f *fields) end() error {
	if f.err == nil && len(f.rest) > 0 {
		f.err = fmt.Errorf("%d bytes are left after the last field", len(f.rest))
	}
	return f.err
}

func (f *fields) accessList() types.AccessList {
	list := f.list("accessList")
	out := types.AccessList{}
	for len(list.rest) > 0 {
		tuple := list.list("accessList")
		entry := types.AccessTuple{StorageKeys: []common.Hash{}}
		tuple.address(&entry.Address, "accessList.address", false)
		keys := tuple.list("accessList.storageKeys")
		for len(keys.rest) > 0 {
			b := keys.bytes("accessList.storageKeys")
			if len(b) != common.HashLength {
				keys.fail("accessList.storageKeys", fmt.Errorf("%d bytes, want %d", len(b), common.HashLength))
			}
			entry.StorageKeys = append(entry.StorageKeys, common.BytesToHash(b))
		}
		if err := first(list.err, tuple.err, keys.err, tuple.end()); err != nil {
			f.fail("accessList", err)
			return nil
		}
		out = append(out, entry)
	}
	return out
}

func (f *fields) authorizations() []types.SetCodeAuthorization {
	list := f.list("authorizationList")
	out := []types.SetCodeAuthorization{}
	for len(list.rest) > 0 {
		item := list.list("authorizationList")
		var a types.SetCodeAuthorization
		item.uint256(&a.ChainID, "chainId")
		item.address(&a.Address, "address", false)
		a.Nonce = item.uint64("nonce")
		parity := item.uint64("yParity")
		if parity > 0xff {
			item.fail("yParity", fmt.Errorf("%d exceeds 8 bits", parity))
		}
		a.V = uint8(parity)
		item.uint256(&a.R, "r")
		item.uint256(&a.S, "s")
		if err := first(list.err, item.end()); err != nil {
			f.fail("authorizationList", err)
			return nil
		}
		out = append(out, a)
	}
	return out
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
