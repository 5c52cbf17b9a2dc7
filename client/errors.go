package client

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// RevertError is a call or an estimate that the contract refused.
type RevertError struct {
	// Data is what the contract returned: Error(string), Panic(uint256), a custom error, or nothing.
	Data []byte
	// Name and Args are the custom error as the contract's ABI describes it; empty where no ABI is known or matches.
	Name string
	Args []any
	// message is the node's sentence.
	message string
}

// Error is "execution reverted" with the custom error or the reason.
func (e *RevertError) Error() string {
	if e.Name != "" {
		args := make([]string, len(e.Args))
		for i, a := range e.Args {
			args[i] = fmt.Sprint(a)
			if b, ok := a.([32]byte); ok {
				args[i] = hexutil.Encode(b[:])
			}
		}
		return fmt.Sprintf("execution reverted: %s(%s)", e.Name, strings.Join(args, ", "))
	}
	if reason, err := abi.UnpackRevert(e.Data); err == nil {
		return "execution reverted: " + reason
	}
	if e.message != "" {
		return e.message
	}
	return "execution reverted"
}

// Decode fills Name and Args where contract defines the error. Not for concurrent use.
func (e *RevertError) Decode(contract *abi.ABI) {
	if len(e.Data) < 4 {
		return
	}
	def, err := contract.ErrorByID([4]byte(e.Data))
	if err != nil {
		return
	}
	if args, err := def.Inputs.Unpack(e.Data[4:]); err == nil {
		e.Name, e.Args = def.Name, args
	}
}

// revertCode is the JSON-RPC error code of "execution reverted".
const revertCode = 3

// describe wraps err with the operation; a revert becomes a *RevertError, a broken connection ErrUnreachable. Nil stays nil.
func describe(operation string, err error) error {
	if err == nil {
		return nil
	}
	var answered rpc.Error
	if !errors.As(err, &answered) {
		var network *net.OpError
		if errors.As(err, &network) {
			return fmt.Errorf("%s: %w: %w", operation, ErrUnreachable, err)
		}
		return fmt.Errorf("%s: %w", operation, err)
	}
	if answered.ErrorCode() == revertCode {
		revert := &RevertError{message: answered.Error()}
		var data rpc.DataError
		if errors.As(err, &data) {
			if s, ok := data.ErrorData().(string); ok {
				revert.Data, _ = hexutil.Decode(s) // not hex: there is no data to show
			}
		}
		return &revertedError{operation, revert}
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// revertedError puts the operation before a revert. It forms its text when asked, so that a contract's ABI may still name the custom error.
type revertedError struct {
	operation string
	revert    *RevertError
}

func (e *revertedError) Error() string { return e.operation + ": " + e.revert.Error() }

func (e *revertedError) Unwrap() error { return e.revert }
