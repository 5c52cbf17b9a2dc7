package pool

import (
	"bytes"
	"fmt"
	"math"
	"math/big"

	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// rules are the checks that need no state. Immutable.
type rules struct {
	gasLimit uint64
	// minFeeCap is the lowest fee cap that can ever be included; with a fixed base fee that is the base fee itself.
	minFeeCap uint256.Int
	fixed     bool
	zero      bool
}

func newRules(g *chain.Genesis, minFeeCap uint64) rules {
	r := rules{gasLimit: g.GasLimit, fixed: g.Fees.Mode == chain.FeesFixed, zero: g.Fees.Mode == chain.FeesZero}
	switch {
	case r.fixed:
		r.minFeeCap = *uint256.MustFromBig(g.BaseFee())
	case !r.zero:
		r.minFeeCap = *uint256.NewInt(minFeeCap)
	}
	return r
}

// check applies every rule of Osaka that does not depend on an account.
func (r *rules) check(tx *chain.Tx) error {
	switch {
	case tx.To() == nil && len(tx.Data()) > params.MaxInitCodeSize:
		return fmt.Errorf("%w: code size %d limit %d", ErrInitCodeSize, len(tx.Data()), params.MaxInitCodeSize)
	case tx.Gas() > params.MaxTxGas:
		return fmt.Errorf("%w (cap: %d, tx: %d)", ErrGasLimitTooHigh, params.MaxTxGas, tx.Gas())
	case tx.Gas() > r.gasLimit:
		return ErrGasLimit
	case tx.Nonce() == math.MaxUint64: // EIP-2681
		return ErrNonceMax
	}
	if tx.Type() == chain.SetCodeTxType {
		if len(tx.Authorizations()) == 0 {
			return ErrEmptyAuthorizations
		}
		if tx.To() == nil {
			return ErrSetCodeCreate
		}
	}
	if need := intrinsicGas(tx); tx.Gas() < need {
		return fmt.Errorf("%w: gas %d, minimum needed %d", ErrIntrinsicGas, tx.Gas(), need)
	}
	if need := floorDataGas(tx.Data()); tx.Gas() < need {
		return fmt.Errorf("%w: gas %d, minimum needed %d", ErrFloorDataGas, tx.Gas(), need)
	}
	if tx.FeeCap().Lt(&r.minFeeCap) {
		if r.fixed {
			return fmt.Errorf("%w: maxFeePerGas: %s, baseFee: %s", ErrFeeCapTooLow, tx.FeeCap().Dec(), r.minFeeCap.Dec())
		}
		return fmt.Errorf("%w: max fee per gas %s, minimum needed %s", ErrUnderpriced, tx.FeeCap().Dec(), r.minFeeCap.Dec())
	}
	return nil
}

// intrinsicGas is what a transaction costs before its first opcode: EIP-2, 2028, 2930, 3860, 7702. It cannot overflow: a transaction has at
// most chain.MaxTxSize bytes.
func intrinsicGas(tx *chain.Tx) uint64 {
	data := tx.Data()
	zeros := uint64(bytes.Count(data, []byte{0}))
	gas := zeros*params.TxDataZeroGas + (uint64(len(data))-zeros)*params.TxDataNonZeroGasEIP2028
	if tx.To() == nil {
		gas += params.TxGasContractCreation + (uint64(len(data))+31)/32*params.InitCodeWordGas
	} else {
		gas += params.TxGas
	}
	if list := tx.AccessList(); len(list) > 0 {
		gas += uint64(len(list))*params.TxAccessListAddressGas + uint64(list.StorageKeys())*params.TxAccessListStorageKeyGas
	}
	return gas + uint64(len(tx.Authorizations()))*params.CallNewAccountGas
}

// floorDataGas is EIP-7623's least price of a transaction's data.
func floorDataGas(data []byte) uint64 {
	zeros := uint64(bytes.Count(data, []byte{0}))
	tokens := zeros + (uint64(len(data))-zeros)*params.TxTokenPerNonZeroByte
	return params.TxGas + tokens*params.TxCostFloorPerToken
}

// price is wei per gas in 128 bits, more is all the same: nobody holds 2^128 wei. It makes ordering cheap.
type price struct{ hi, lo uint64 }

func priceOf(x *uint256.Int) price {
	if x[3]|x[2] != 0 {
		return price{math.MaxUint64, math.MaxUint64}
	}
	return price{x[1], x[0]}
}

func priceOfBig(x *big.Int) price {
	if x == nil {
		return price{}
	}
	v, overflow := uint256.FromBig(x)
	if overflow {
		return price{math.MaxUint64, math.MaxUint64}
	}
	return priceOf(v)
}

func (p price) less(q price) bool { return p.hi < q.hi || p.hi == q.hi && p.lo < q.lo }
