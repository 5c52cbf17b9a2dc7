package client

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// The kinds of accounts, as a genesis lists them.
const (
	KindSecp256k1 = "secp256k1"
	KindSM2       = "sm2"
)

// SignedTx is a signed transaction of any type, decoded, its signature checked.
type SignedTx struct {
	Hash common.Hash
	// Type is the EIP-2718 type, SM2TxType for kind "sm2".
	Type uint8
	// Kind is the way it is signed: "secp256k1" or "sm2".
	Kind string
	// From signed it; To is nil where it creates a contract.
	From           common.Address
	To             *common.Address
	Nonce, Gas     uint64
	FeeCap, TipCap *big.Int
	Value          *big.Int
	Data           []byte
	AccessList     types.AccessList
	// PublicKey is the one that a transaction of kind "sm2" carries, X ‖ Y; nil for the other kind.
	PublicKey []byte
}

// DecodeTx decodes the raw form of a transaction and checks that it is signed for that chain. Where go-ethereum's types.Transaction refuses SM2
// transactions, this reads them too.
func DecodeTx(chainID *big.Int, raw []byte) (*SignedTx, error) {
	if len(raw) > 0 && raw[0] == SM2TxType {
		return decodeSM2Tx(chainID, raw)
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("decode transaction: %w", err)
	}
	from, err := types.Sender(types.LatestSignerForChainID(chainID), &tx)
	if err != nil {
		return nil, fmt.Errorf("sender of the transaction: %w", err)
	}
	return &SignedTx{Hash: TxHash(raw), Type: tx.Type(), Kind: KindSecp256k1, From: from, To: tx.To(), Nonce: tx.Nonce(), Gas: tx.Gas(), FeeCap: tx.GasFeeCap(),
		TipCap: tx.GasTipCap(), Value: tx.Value(), Data: tx.Data(), AccessList: tx.AccessList()}, nil
}

func decodeSM2Tx(chainID *big.Int, raw []byte) (*SignedTx, error) {
	var tx sm2Tx
	if err := rlp.DecodeBytes(raw[1:], &tx); err != nil {
		return nil, fmt.Errorf("decode transaction: %w", err)
	}
	for _, v := range []*big.Int{tx.TipCap, tx.FeeCap, tx.Value} {
		if v.BitLen() > 256 {
			return nil, errors.New("decode transaction: fees and value must be 0 to 2^256-1")
		}
	}
	if tx.ChainID.Cmp(chainID) != 0 {
		return nil, fmt.Errorf("sender of the transaction: it is signed for chain %s, not %s", tx.ChainID, chainID)
	}
	from, err := tx.sender()
	if err != nil {
		return nil, fmt.Errorf("sender of the transaction: %w", err)
	}
	return &SignedTx{Hash: TxHash(raw), Type: SM2TxType, Kind: KindSM2, From: from, To: tx.To, Nonce: tx.Nonce, Gas: tx.Gas, FeeCap: tx.FeeCap, TipCap: tx.TipCap,
		Value: tx.Value, Data: tx.Data, AccessList: tx.AccessList, PublicKey: tx.PublicKey[:]}, nil
}

// decodeReceipt decodes a receipt's canonical form (EIP-2718). Receipts of type 0x50 have the form of all typed ones, but go-ethereum refuses types that it
// does not know.
func decodeReceipt(raw []byte) (*types.Receipt, error) {
	r := new(types.Receipt)
	if len(raw) == 0 || raw[0] != SM2TxType {
		return r, r.UnmarshalBinary(raw)
	}
	if err := r.UnmarshalBinary(append([]byte{types.DynamicFeeTxType}, raw[1:]...)); err != nil {
		return nil, err
	}
	r.Type = SM2TxType
	return r, nil
}

// Transaction reads a transaction from the node, of the pool or of a block, and checks hash and signature; ethereum.NotFound where the node knows none.
func (c *Client) Transaction(ctx context.Context, hash common.Hash) (*SignedTx, error) {
	var raw *hexutil.Bytes // null for one that is unknown
	if err := c.rpc.CallContext(ctx, &raw, "eth_getRawTransactionByHash", hash); err != nil {
		return nil, describe("read transaction", err)
	}
	if raw == nil {
		return nil, fmt.Errorf("read transaction: %w", ethereum.NotFound)
	}
	tx, err := DecodeTx(c.chainID, *raw)
	if err != nil {
		return nil, fmt.Errorf("read transaction: %w", err)
	}
	if tx.Hash != hash {
		return nil, fmt.Errorf("read transaction: the node gives %s for %s", tx.Hash, hash)
	}
	return tx, nil
}
