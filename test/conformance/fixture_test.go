package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// stateTest is one named test of a fixture file: a state, a transaction in variants, and per fork what each variant leads to.
type stateTest struct {
	Env  environment              `json:"env"`
	Pre  types.GenesisAlloc       `json:"pre"`
	Tx   transaction              `json:"transaction"`
	Post map[string][]expectation `json:"post"`
}

type environment struct {
	Coinbase      common.Address        `json:"currentCoinbase"`
	Difficulty    *math.HexOrDecimal256 `json:"currentDifficulty"`
	Random        *math.HexOrDecimal256 `json:"currentRandom"`
	GasLimit      math.HexOrDecimal64   `json:"currentGasLimit"`
	Number        math.HexOrDecimal64   `json:"currentNumber"`
	Timestamp     math.HexOrDecimal64   `json:"currentTimestamp"`
	BaseFee       *math.HexOrDecimal256 `json:"currentBaseFee"`
	ExcessBlobGas *math.HexOrDecimal64  `json:"currentExcessBlobGas"`
}

type transaction struct {
	Nonce                *math.HexOrDecimal256 `json:"nonce"`
	GasPrice             *math.HexOrDecimal256 `json:"gasPrice"`
	MaxFeePerGas         *math.HexOrDecimal256 `json:"maxFeePerGas"`
	MaxPriorityFeePerGas *math.HexOrDecimal256 `json:"maxPriorityFeePerGas"`
	MaxFeePerBlobGas     *math.HexOrDecimal256 `json:"maxFeePerBlobGas"`
	To                   string                `json:"to"`
	Sender               common.Address        `json:"sender"`
	Data                 []hexutil.Bytes       `json:"data"`
	GasLimit             []math.HexOrDecimal64 `json:"gasLimit"`
	Value                []string              `json:"value"`
	AccessLists          []*types.AccessList   `json:"accessLists"`
	BlobVersionedHashes  []common.Hash         `json:"blobVersionedHashes"`
}

type expectation struct {
	Root      common.Hash   `json:"hash"`
	Logs      common.Hash   `json:"logs"`
	TxBytes   hexutil.Bytes `json:"txbytes"`
	Exception string        `json:"expectException"`
	Indexes   struct {
		Data, Gas, Value int
	} `json:"indexes"`
}

// exceptions are the texts that an expected exception may have here.
var exceptions = map[string][]string{
	"INTRINSIC_GAS_TOO_LOW":                 {"intrinsic gas too low"},
	"INSUFFICIENT_ACCOUNT_FUNDS":            {"insufficient funds"},
	"GASLIMIT_PRICE_PRODUCT_OVERFLOW":       {"required balance exceeds 256 bits"},
	"SENDER_NOT_EOA":                        {"sender not an eoa"},
	"INITCODE_SIZE_EXCEEDED":                {"max initcode size exceeded"},
	"TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH": {"invalid hash version"},
	"INSUFFICIENT_MAX_FEE_PER_GAS":          {"max fee per gas less than block base fee"},
	"INSUFFICIENT_MAX_FEE_PER_BLOB_GAS":     {"max fee per blob gas less than block blob gas fee"},
	"TYPE_3_TX_ZERO_BLOBS":                  {"blob transaction missing blob hashes"},
	"TYPE_3_TX_BLOB_COUNT_EXCEEDED":         {"blob gas exceeds maximum"},
	"TYPE_3_TX_PRE_FORK":                    {"transaction type not supported"},
	"TYPE_3_TX_CONTRACT_CREATION":           {"blob transaction of type create", "rlp: input string too short for common.Address"},
	"NONCE_IS_MAX":                          {"nonce has max value"},
	"GAS_ALLOWANCE_EXCEEDED":                {"gas limit reached"},
	"PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS": {"max priority fee per gas higher than max fee per gas"},
	"RLP_INVALID_VALUE":                     {"exceeds 256 bits", "rlp:"},
}

// check compares what a run said with the expectation.
func (x *expectation) check(err error) error {
	switch {
	case err == nil && x.Exception == "":
		return nil
	case err == nil:
		return fmt.Errorf("expected %s, it ran", x.Exception)
	case x.Exception == "":
		return fmt.Errorf("it did not run: %w", err)
	}
	for _, name := range strings.Split(x.Exception, "|") {
		texts := exceptions[strings.TrimPrefix(name, "TransactionException.")]
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) }) {
			return nil
		}
	}
	return fmt.Errorf("expected %s, got: %w", x.Exception, err)
}

// baseFee is the block's; the tests' own generator takes 10 wei where a fixture does not say.
func (e *environment) baseFee(london bool) *big.Int {
	switch {
	case !london:
		return nil
	case e.BaseFee == nil:
		return big.NewInt(10)
	}
	return (*big.Int)(e.BaseFee)
}

// message is the variant of the transaction that x is about.
func (t *transaction) message(x *expectation, baseFee *big.Int) (*core.Message, error) {
	nonce := (*big.Int)(t.Nonce)
	if !nonce.IsUint64() {
		return nil, errors.New("nonce has max value: it exceeds 64 bits")
	}
	value, ok := new(big.Int), true
	if text := t.Value[x.Indexes.Value]; text != "0x" {
		value, ok = math.ParseBig256(text)
	}
	if !ok {
		return nil, fmt.Errorf("value %q exceeds 256 bits", t.Value[x.Indexes.Value])
	}
	price, feeCap, tipCap := (*big.Int)(t.GasPrice), (*big.Int)(t.MaxFeePerGas), (*big.Int)(t.MaxPriorityFeePerGas)
	if feeCap == nil {
		feeCap = price
	}
	if tipCap == nil {
		tipCap = feeCap
	}
	if baseFee != nil {
		if price = new(big.Int).Add(tipCap, baseFee); price.Cmp(feeCap) > 0 {
			price = feeCap
		}
	}
	msg := &core.Message{
		From: t.Sender, Nonce: nonce.Uint64(), Value: uint256.MustFromBig(value), GasLimit: uint64(t.GasLimit[x.Indexes.Gas]),
		GasPrice: uint256.MustFromBig(price), GasFeeCap: uint256.MustFromBig(feeCap), GasTipCap: uint256.MustFromBig(tipCap),
		Data: t.Data[x.Indexes.Data], BlobHashes: t.BlobVersionedHashes, BlobGasFeeCap: uint256.MustFromBig((*big.Int)(t.MaxFeePerBlobGas)),
	}
	if t.To != "" {
		to := common.HexToAddress(t.To)
		msg.To = &to
	}
	if t.AccessLists != nil && t.AccessLists[x.Indexes.Data] != nil {
		msg.AccessList = *t.AccessLists[x.Indexes.Data]
	}
	return msg, nil
}

// writes is the state before the transaction as a write set. Unlike a genesis it may hold empty accounts and storage without code.
func (t *stateTest) writes() chain.WriteSet {
	out := make(chain.WriteSet, 0, len(t.Pre))
	for addr, a := range t.Pre {
		acc := &chain.Account{Nonce: a.Nonce, Balance: *uint256.MustFromBig(a.Balance), CodeHash: chain.EmptyCodeHash}
		c := chain.AccountChange{Address: addr, Account: acc}
		if len(a.Code) > 0 {
			acc.CodeHash, c.Code = crypto.Keccak256Hash(a.Code), a.Code
		}
		for key, value := range a.Storage {
			if value != (common.Hash{}) {
				c.Slots = append(c.Slots, chain.SlotChange{Key: key, Value: value})
			}
		}
		slices.SortFunc(c.Slots, func(a, b chain.SlotChange) int { return a.Key.Cmp(b.Key) })
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b chain.AccountChange) int { return a.Address.Cmp(b.Address) })
	return out
}

func parseFixture(b []byte) (map[string]*stateTest, error) {
	var out map[string]*stateTest
	return out, json.Unmarshal(b, &out)
}
