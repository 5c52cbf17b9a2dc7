package eth

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// callArgs is the transaction object of eth_call and its kin. What it does not know is ignored, as tools add fields of their own.
type callArgs struct {
	From                 *common.Address              `json:"from"`
	To                   *common.Address              `json:"to"`
	Gas                  *hexutil.Uint64              `json:"gas"`
	GasPrice             *hexutil.Big                 `json:"gasPrice"`
	MaxFeePerGas         *hexutil.Big                 `json:"maxFeePerGas"`
	MaxPriorityFeePerGas *hexutil.Big                 `json:"maxPriorityFeePerGas"`
	Value                *hexutil.Big                 `json:"value"`
	Nonce                *hexutil.Uint64              `json:"nonce"`
	Data                 *hexutil.Bytes               `json:"data"`
	Input                *hexutil.Bytes               `json:"input"`
	AccessList           *types.AccessList            `json:"accessList"`
	ChainID              *hexutil.Big                 `json:"chainId"`
	AuthorizationList    []types.SetCodeAuthorization `json:"authorizationList"`
	BlobFeeCap           *hexutil.Big                 `json:"maxFeePerBlobGas"`
	BlobHashes           []common.Hash                `json:"blobVersionedHashes"`
}

// call checks what needs no state.
func (c *callArgs) call(chainID uint64) (*chain.Call, error) {
	switch {
	case c.BlobFeeCap != nil || len(c.BlobHashes) > 0:
		return nil, chain.ErrBlobTx
	case c.GasPrice != nil && (c.MaxFeePerGas != nil || c.MaxPriorityFeePerGas != nil):
		return nil, errors.New("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
	case c.To == nil && c.AuthorizationList != nil:
		return nil, errors.New("EIP-7702 transaction cannot be used to create contract")
	case c.ChainID != nil && c.ChainID.ToInt().Cmp(new(big.Int).SetUint64(chainID)) != 0:
		return nil, fmt.Errorf("chainId does not match node's (have=%v, want=%d)", c.ChainID.ToInt(), chainID)
	}
	out := &chain.Call{
		To: c.To, Gas: (*uint64)(c.Gas), Nonce: (*uint64)(c.Nonce), GasPrice: toU256(c.GasPrice), FeeCap: toU256(c.MaxFeePerGas),
		TipCap: toU256(c.MaxPriorityFeePerGas), Value: toU256(c.Value), Authorizations: c.AuthorizationList,
	}
	if c.From != nil {
		out.From = *c.From
	}
	if c.AccessList != nil {
		out.AccessList = *c.AccessList
	}
	switch {
	case c.Input != nil:
		out.Data = *c.Input
	case c.Data != nil:
		out.Data = *c.Data
	}
	return out, nil
}

// toU256 converts a quantity; hexutil has bounded it to 256 bits and none is negative.
func toU256(b *hexutil.Big) *uint256.Int {
	if b == nil {
		return nil
	}
	return uint256.MustFromBig(b.ToInt())
}

// stateOverride is eth_call's third parameter.
type stateOverride map[common.Address]accountOverride

type accountOverride struct {
	Nonce            *hexutil.Uint64             `json:"nonce"`
	Code             *hexutil.Bytes              `json:"code"`
	Balance          *hexutil.Big                `json:"balance"`
	State            map[common.Hash]common.Hash `json:"state"`
	StateDiff        map[common.Hash]common.Hash `json:"stateDiff"`
	MovePrecompileTo *common.Address             `json:"movePrecompileToAddress"`
}

func (o stateOverride) accounts() (map[common.Address]chain.AccountOverride, error) {
	if len(o) == 0 {
		return nil, nil
	}
	out := make(map[common.Address]chain.AccountOverride, len(o))
	for addr, a := range o {
		if a.State != nil && a.StateDiff != nil {
			return nil, fmt.Errorf("account %s has both 'state' and 'stateDiff'", addr.Hex())
		}
		out[addr] = chain.AccountOverride{
			Nonce: (*uint64)(a.Nonce), Balance: toU256(a.Balance), Code: (*[]byte)(a.Code), Storage: a.State, StorageDiff: a.StateDiff,
			MovePrecompileTo: a.MovePrecompileTo,
		}
	}
	return out, nil
}

// blockOverride is eth_call's fourth parameter.
type blockOverride struct {
	Number        *hexutil.Big      `json:"number"`
	Difficulty    *hexutil.Big      `json:"difficulty"`
	Time          *hexutil.Uint64   `json:"time"`
	GasLimit      *hexutil.Uint64   `json:"gasLimit"`
	FeeRecipient  *common.Address   `json:"feeRecipient"`
	PrevRandao    *common.Hash      `json:"prevRandao"`
	BaseFeePerGas *hexutil.Big      `json:"baseFeePerGas"`
	BlobBaseFee   *hexutil.Big      `json:"blobBaseFee"`
	BeaconRoot    *common.Hash      `json:"beaconRoot"`
	Withdrawals   []json.RawMessage `json:"withdrawals"`
}

func (o *blockOverride) block() (*chain.BlockOverride, error) {
	if o == nil {
		return nil, nil
	}
	switch {
	case o.BeaconRoot != nil && *o.BeaconRoot != common.Hash{}:
		return nil, errors.New(`block override "beaconRoot" is not supported: this chain has no beacon chain`)
	case len(o.Withdrawals) > 0:
		return nil, errors.New(`block override "withdrawals" is not supported: this chain has no withdrawals`)
	case o.BlobBaseFee != nil:
		return nil, errors.New(`block override "blobBaseFee" is not supported: this chain carries no blobs`)
	case o.Number != nil && !o.Number.ToInt().IsUint64():
		return nil, errors.New(`block override "number" exceeds 64 bits`)
	}
	out := &chain.BlockOverride{Time: (*uint64)(o.Time), GasLimit: (*uint64)(o.GasLimit), Coinbase: o.FeeRecipient, Prevrandao: o.PrevRandao,
		BaseFee: toU256(o.BaseFeePerGas)}
	if o.Number != nil {
		n := o.Number.ToInt().Uint64()
		out.Number = &n
	}
	return out, nil
}

// checkKeys fails on a key of a JSON object that no field of t has: a misspelt override would silently change nothing.
func checkKeys(input json.RawMessage, t reflect.Type, what string) error {
	var keys map[string]json.RawMessage
	if json.Unmarshal(input, &keys) != nil {
		return nil // the caller's decoding says what is wrong
	}
next:
	for key := range keys {
		for i := range t.NumField() {
			if strings.EqualFold(key, t.Field(i).Tag.Get("json")) {
				continue next
			}
		}
		return fmt.Errorf("unknown field %q in %s", key, what)
	}
	return nil
}

// hexOrNumber is an unsigned quantity that tools give as hex or as a JSON number.
type hexOrNumber uint64

// UnmarshalJSON implements json.Unmarshaler.
func (n *hexOrNumber) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(s) >= 2 && s[0] == '"' {
		s = s[1 : len(s)-1]
	}
	if strings.HasPrefix(s, "0x") {
		v, err := hexutil.DecodeUint64(s)
		*n = hexOrNumber(v)
		return err
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no unsigned number", s)
	}
	*n = hexOrNumber(v)
	return nil
}
