package serve

import (
	"encoding/hex"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"
)

// Error is a JSON-RPC error with its code and, if not nil, its data. It implements rpc.Error and rpc.DataError.
type Error struct {
	Code    int
	Message string
	Data    any
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// ErrorCode is JSON-RPC's code.
func (e *Error) ErrorCode() int { return e.Code }

// ErrorData is JSON-RPC's data, nil for none.
func (e *Error) ErrorData() any { return e.Data }

// Error codes: JSON-RPC 2.0, EIP-1474 and, where both are silent, geth's.
const (
	CodeInvalidRequest   = -32600
	CodeMethodNotFound   = -32601
	CodeInvalidParams    = -32602
	CodeInternal         = -32603
	CodeServerError      = -32000
	CodeTimeout          = -32002
	CodeResponseTooLarge = -32003
	CodeLimitExceeded    = -32005
	CodeRevert           = 3
)

var nullID = []byte("null")

// appendHead writes a response up to its id.
func appendHead(b, id []byte) []byte {
	if len(id) == 0 {
		id = nullID
	}
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	return append(b, id...)
}

func appendResult(b, id, result []byte) []byte {
	b = appendHead(b, id)
	b = append(b, `,"result":`...)
	b = append(b, result...)
	return append(b, '}')
}

func appendHash(b, id []byte, hash common.Hash) []byte {
	b = appendHead(b, id)
	b = append(b, `,"result":"0x`...)
	b = hex.AppendEncode(b, hash[:])
	return append(b, `"}`...)
}

// appendError writes err as go-ethereum's rpc does: code -32000 unless it says otherwise, no data unless it has some.
func appendError(b, id []byte, err error) []byte {
	e := struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{Code: CodeServerError, Message: err.Error()}
	if c, ok := err.(rpc.Error); ok {
		e.Code = c.ErrorCode()
	}
	if d, ok := err.(rpc.DataError); ok {
		e.Data = d.ErrorData()
	}
	enc, jerr := json.Marshal(&e)
	if jerr != nil {
		return appendError(b, id, &Error{Code: CodeInternal, Message: "error data cannot be encoded"})
	}
	b = appendHead(b, id)
	b = append(b, `,"error":`...)
	b = append(b, enc...)
	return append(b, '}')
}

// tooManyItems answers a batch that is too long: one error, with the id of the first call, as there is no way to answer all.
func tooManyItems(f *frame) []byte {
	b := []byte{'['}
	var id []byte
	for i := range f.items {
		if it := &f.items[i]; it.validID() && it.method != nil {
			id = it.id
			break
		}
	}
	b = appendError(b, id, &Error{Code: CodeInvalidRequest, Message: "batch too large"})
	return append(b, ']')
}

// busy answers a frame whose answer does not fit in memory now.
func busy(f *frame) []byte {
	return answerAll(f, &Error{Code: CodeLimitExceeded, Message: errBusy.Error()})
}
