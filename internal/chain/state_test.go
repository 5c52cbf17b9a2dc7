package chain_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// TestDigestIsInjective draws pairs of small write sets, alike enough to be mistaken for each other: the digests are equal exactly when the
// writes are.
func TestDigestIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawWrites(t, "a"), drawWrites(t, "b")
		if rapid.Bool().Draw(t, "nearly the same") {
			b = nearly(t, a)
		}
		prevA, prevB := crypto.Hash{rapid.ByteRange(0, 1).Draw(t, "prev a")}, crypto.Hash{rapid.ByteRange(0, 1).Draw(t, "prev b")}
		same := prevA == prevB && said(a) == said(b)
		require.Equal(t, same, a.Digest(suite, prevA) == b.Digest(suite, prevB), "%s\n%s", said(a), said(b))
		require.Equal(t, a.Digest(suite, prevA), a.Digest(suite, prevA))
	})
}

// TestDigestCovers alters one write set field by field.
func TestDigestCovers(t *testing.T) {
	build := func() chain.WriteSet {
		return chain.WriteSet{
			{Address: common.Address{1}, Account: &chain.Account{Nonce: 1, Balance: *uint256.NewInt(5), CodeHash: gethcrypto.Keccak256Hash([]byte("code"))},
				Prev: &chain.Account{Nonce: 9}, Code: []byte("code"), Slots: []chain.SlotChange{{Key: common.Hash{1}, Value: common.Hash{2}, Prev: common.Hash{3}}}},
			{Address: common.Address{2}},
		}
	}
	golden := build().Digest(suite, crypto.Hash{7})
	require.Equal(t, "0x9f3bb5cc4c79b9fa888c46967da497a789a67b6c14d88af05d31bb393aea2e8b", golden.String())
	for name, alter := range map[string]func(chain.WriteSet){
		"address":   func(w chain.WriteSet) { w[1].Address[19] = 1 },
		"nonce":     func(w chain.WriteSet) { w[0].Account.Nonce++ },
		"balance":   func(w chain.WriteSet) { w[0].Account.Balance.AddUint64(&w[0].Account.Balance, 1) },
		"code hash": func(w chain.WriteSet) { w[0].Account.CodeHash[0] ^= 1 },
		"code":      func(w chain.WriteSet) { w[0].Code = []byte("Code") },
		"no code":   func(w chain.WriteSet) { w[0].Code = nil },
		"deleted":   func(w chain.WriteSet) { w[0].Account = nil },
		"wiped":     func(w chain.WriteSet) { w[1].Wiped = true },
		"slot":      func(w chain.WriteSet) { w[0].Slots[0].Key[31] = 1 },
		"value":     func(w chain.WriteSet) { w[0].Slots[0].Value[31] = 1 },
		"no slot":   func(w chain.WriteSet) { w[0].Slots = nil },
	} {
		w := build()
		alter(w)
		require.NotEqual(t, golden, w.Digest(suite, crypto.Hash{7}), name)
	}
	w := build()
	w[0].Prev, w[0].Slots[0].Prev, w[0].Code = nil, common.Hash{}, []byte("code")
	require.Equal(t, golden, w.Digest(suite, crypto.Hash{7}), "what was before is no part of it")
}

// TestDigestOfManyWrites crosses the buffer's edges: the digest does not depend on how the writes are cut.
func TestDigestOfManyWrites(t *testing.T) {
	var w chain.WriteSet
	for i := range 400 {
		c := chain.AccountChange{Address: common.Address{byte(i >> 8), byte(i)}, Account: &chain.Account{Nonce: uint64(i)}}
		for j := range i % 90 {
			c.Slots = append(c.Slots, chain.SlotChange{Key: common.Hash{byte(j)}, Value: common.Hash{byte(i)}})
		}
		w = append(w, c)
	}
	seen := map[crypto.Hash]int{}
	for i := range w {
		d := w[:i].Digest(suite, crypto.Hash{})
		require.NotContains(t, seen, d)
		seen[d] = i
	}
}

// said is all that a write set says of the state after it.
func said(w chain.WriteSet) (out string) {
	for _, c := range w {
		out += fmt.Sprintf("%x", c.Address)
		if c.Account != nil {
			out += fmt.Sprintf(" is %d %s %x", c.Account.Nonce, c.Account.Balance.Hex(), c.Account.CodeHash)
		}
		out += fmt.Sprintf(" wiped %v code %x:", c.Wiped, c.Code)
		for _, s := range c.Slots {
			out += fmt.Sprintf(" %x=%x", s.Key, s.Value)
		}
		out += "\n"
	}
	return out
}

// nearly is w with at most one account drawn anew.
func nearly(t *rapid.T, w chain.WriteSet) chain.WriteSet {
	w = slices.Clone(w)
	if one := drawWrites(t, "one"); len(w) > 0 && len(one) > 0 {
		i := rapid.IntRange(0, len(w)-1).Draw(t, "which")
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			w[i].Code = one[0].Code
		case 1:
			w[i].Slots = one[0].Slots
		case 2:
			w[i].Account, w[i].Wiped = one[0].Account, one[0].Wiped
		}
	}
	return w
}

// drawWrites draws from few bytes, so that a field of one set can look like another field of the other.
func drawWrites(t *rapid.T, name string) chain.WriteSet {
	var w chain.WriteSet
	for i := range rapid.IntRange(0, 2).Draw(t, name) {
		c := chain.AccountChange{Address: common.Address{19: byte(i)}, Wiped: rapid.Bool().Draw(t, "wiped")}
		if rapid.Bool().Draw(t, "exists") {
			c.Account = &chain.Account{Nonce: rapid.Uint64Range(0, 1).Draw(t, "nonce"), Balance: *uint256.NewInt(rapid.Uint64Range(0, 1).Draw(t, "balance"))}
		}
		c.Code = make([]byte, rapid.SampledFrom([]int{0, 0, 4, 64}).Draw(t, "code"))
		for j := range rapid.IntRange(0, 2).Draw(t, "slots") {
			c.Slots = append(c.Slots, chain.SlotChange{Key: common.Hash{31: byte(j)}, Value: common.Hash{31: rapid.ByteRange(0, 1).Draw(t, "value")}})
		}
		w = append(w, c)
	}
	return w
}
