package eth

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// clientError gives err the code and data that clients expect: a revert is code 3 with its data as one hex string.
func clientError(err error) error {
	var revert *chain.RevertError
	var coded rpc.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revert):
		return &serve.Error{Code: serve.CodeRevert, Message: revert.Error(), Data: hexutil.Encode(revert.Data)}
	case errors.As(err, &coded):
		if e, ok := err.(rpc.Error); ok {
			return e
		}
		return &serve.Error{Code: coded.ErrorCode(), Message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &serve.Error{Code: serve.CodeTimeout, Message: "request timed out"}
	}
	return err
}

func invalidParams(format string, args ...any) error {
	return &serve.Error{Code: serve.CodeInvalidParams, Message: fmt.Sprintf(format, args...)}
}

func limitExceeded(format string, args ...any) error {
	return &serve.Error{Code: serve.CodeLimitExceeded, Message: fmt.Sprintf(format, args...)}
}
