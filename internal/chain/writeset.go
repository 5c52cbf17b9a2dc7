package chain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
)

// ErrWriteSet is wrapped by every error of DecodeWriteSet.
var ErrWriteSet = errors.New("write set is not canonical")

// Encode is the canonical form that Digest hashes, one change behind the other: what a block wrote, without the values before it.
func (w WriteSet) Encode() []byte {
	size := 0
	for i := range w {
		size += 100 + len(w[i].Code) + 64*len(w[i].Slots)
	}
	b := make([]byte, 0, size)
	for i := range w {
		b = w[i].appendCanonical(b)
	}
	return b
}

// DecodeWriteSet reverses Encode. Previous values are absent, so the result tells what a block wrote and cannot be staged. Work and memory are bounded by
// the input; code and nothing else keeps pointing into it.
func DecodeWriteSet(b []byte) (WriteSet, error) {
	var out WriteSet
	for len(b) > 0 {
		var c AccountChange
		rest, err := c.cutCanonical(b)
		if err != nil {
			return nil, fmt.Errorf("%w: change %d: %w", ErrWriteSet, len(out), err)
		}
		if n := len(out); n > 0 && out[n-1].Address.Cmp(c.Address) >= 0 {
			return nil, fmt.Errorf("%w: %s does not follow %s", ErrWriteSet, c.Address, out[n-1].Address)
		}
		out, b = append(out, c), rest
	}
	return out, nil
}

var errCut = errors.New("it ends in the middle")

// cutCanonical reads what appendCanonical wrote.
func (c *AccountChange) cutCanonical(b []byte) (rest []byte, err error) {
	cut := func(n int) (out []byte) {
		if err != nil || len(b) < n {
			err = errCut
			return make([]byte, min(n, 64))
		}
		out, b = b[:n:n], b[n:]
		return out
	}
	c.Address = common.Address(cut(common.AddressLength))
	flags := cut(1)[0]
	if err == nil && flags > 7 {
		return nil, fmt.Errorf("flags %#x", flags)
	}
	c.Wiped = flags&2 != 0
	if flags&1 != 0 {
		c.Account = &Account{Nonce: binary.BigEndian.Uint64(cut(8))}
		c.Account.Balance.SetBytes32(cut(32))
		c.Account.CodeHash = common.Hash(cut(32))
	}
	if flags&4 != 0 {
		size := binary.BigEndian.Uint32(cut(4))
		if err == nil && size == 0 {
			return nil, errors.New("code of no bytes")
		}
		if uint64(size) > uint64(len(b)) {
			return nil, errCut
		}
		c.Code = cut(int(size))
	}
	count := binary.BigEndian.Uint32(cut(4))
	if err != nil || uint64(count)*64 > uint64(len(b)) {
		return nil, errCut
	}
	if count > 0 {
		c.Slots = make([]SlotChange, count)
	}
	for i := range c.Slots {
		c.Slots[i] = SlotChange{Key: common.Hash(cut(32)), Value: common.Hash(cut(32))}
		if i > 0 && c.Slots[i-1].Key.Cmp(c.Slots[i].Key) >= 0 {
			return nil, fmt.Errorf("slot %s does not follow %s", c.Slots[i].Key, c.Slots[i-1].Key)
		}
	}
	return b, err
}
