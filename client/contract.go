package client

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Contract is a deployed contract with what it understands.
type Contract struct {
	Address common.Address
	ABI     abi.ABI
}

// ErrNoCode is a call to an address where there is no contract.
var ErrNoCode = errors.New("there is no contract at this address")

// Deploy sends creation (creation code followed by the encoded constructor arguments), waits for the receipt and returns the address. A
// constructor that reverts is a *RevertError when the node foresees it, ErrFailed with the receipt when it was mined.
func (c *Client) Deploy(ctx context.Context, from Account, creation []byte) (common.Address, *types.Receipt, error) {
	r, err := c.execute(ctx, "deploy", from, Tx{Data: creation}, nil)
	if err != nil {
		return common.Address{}, r, err
	}
	return r.ContractAddress, r, nil
}

// Transact calls a method in a transaction and waits for its receipt. A call that reverts is a *RevertError, decoded with the contract's own
// errors, when the node foresees it, and ErrFailed with the receipt when it was mined: receipts carry no reason.
func (c *Client) Transact(ctx context.Context, from Account, contract Contract, method string, args ...any) (*types.Receipt, error) {
	data, err := contract.ABI.Pack(method, args...)
	if err != nil {
		return nil, fmt.Errorf("encode arguments of %s: %w", method, err)
	}
	return c.execute(ctx, method, from, Tx{To: &contract.Address, Data: data}, &contract.ABI)
}

// Call runs a method on the latest state without a transaction and returns its results.
func (c *Client) Call(ctx context.Context, contract Contract, method string, args ...any) ([]any, error) {
	data, err := contract.ABI.Pack(method, args...)
	if err != nil {
		return nil, fmt.Errorf("encode arguments of %s: %w", method, err)
	}
	out, err := c.eth.CallContract(ctx, ethereum.CallMsg{To: &contract.Address, Data: data}, nil)
	if err != nil {
		return nil, withErrors(describe(method, err), &contract.ABI)
	}
	if len(out) == 0 && len(contract.ABI.Methods[method].Outputs) > 0 {
		return nil, fmt.Errorf("%s: %w: %s", method, ErrNoCode, contract.Address)
	}
	results, err := contract.ABI.Unpack(method, out)
	if err != nil {
		return nil, fmt.Errorf("decode results of %s: %w", method, err)
	}
	return results, nil
}

// CallRaw runs a message on the state after a block, nil for the latest, without a transaction, and returns the raw result.
func (c *Client) CallRaw(ctx context.Context, msg ethereum.CallMsg, block *big.Int) ([]byte, error) {
	out, err := c.eth.CallContract(ctx, msg, block)
	return out, describe("call", err)
}

// ErrFailed is a transaction that was mined with status 0.
var ErrFailed = errors.New("transaction failed: it reverted or ran out of gas")

func (c *Client) execute(ctx context.Context, operation string, from Account, tx Tx, contract *abi.ABI) (*types.Receipt, error) {
	hash, err := c.Send(ctx, from, tx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, withErrors(err, contract))
	}
	r, err := c.WaitReceipt(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	if r.Status != types.ReceiptStatusSuccessful {
		return r, fmt.Errorf("%s: transaction %s in block %s: %w", operation, hash, r.BlockNumber, ErrFailed)
	}
	return r, nil
}

// withErrors lets a revert within err name the contract's custom error.
func withErrors(err error, contract *abi.ABI) error {
	var revert *RevertError
	if contract != nil && errors.As(err, &revert) {
		revert.Decode(contract)
	}
	return err
}
