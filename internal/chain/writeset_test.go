package chain_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func randomWriteSet(rng *rand.Rand, n int) chain.WriteSet {
	out := make(chain.WriteSet, 0, n)
	for i := range n {
		c := chain.AccountChange{Address: common.Address{byte(i), byte(rng.IntN(256))}}
		if rng.IntN(4) > 0 {
			c.Account = &chain.Account{Nonce: rng.Uint64(), Balance: *uint256.NewInt(rng.Uint64()), CodeHash: common.Hash{byte(rng.IntN(3))}}
		}
		c.Wiped = rng.IntN(5) == 0
		if rng.IntN(4) == 0 {
			c.Code = bytes.Repeat([]byte{7}, 1+rng.IntN(300))
		}
		for k := range rng.IntN(5) {
			c.Slots = append(c.Slots, chain.SlotChange{Key: common.Hash{byte(k)}, Value: common.Hash{byte(rng.IntN(3))}})
		}
		out = append(out, c)
	}
	return out
}

func TestWriteSetEncodesAsItIsHashed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		w := randomWriteSet(rng, rng.IntN(20))
		encoded := w.Encode()
		got, err := chain.DecodeWriteSet(encoded)
		require.NoError(t, err)
		require.Equal(t, len(w), len(got))
		require.Equal(t, w.Digest(intl.Suite{}, crypto.Hash{1}), got.Digest(intl.Suite{}, crypto.Hash{1}))
		require.Equal(t, "", w.Difference(got))
		prev := crypto.Hash{1}
		require.Equal(t, intl.Suite{}.Sum(prev[:], encoded), w.Digest(intl.Suite{}, prev), "the digest is the hash of the form that travels")
		if len(encoded) > 0 {
			cut := rng.IntN(len(encoded))
			if part, err := chain.DecodeWriteSet(encoded[:cut]); err == nil {
				require.Less(t, len(part), len(w), "a cut between two changes")
			} else {
				require.ErrorIs(t, err, chain.ErrWriteSet)
			}
		}
	})
}

func TestWriteSetRefuses(t *testing.T) {
	a, b := chain.AccountChange{Address: common.Address{1}}, chain.AccountChange{Address: common.Address{2}}
	slots := func(keys ...byte) chain.WriteSet {
		c := chain.AccountChange{Address: common.Address{1}}
		for _, k := range keys {
			c.Slots = append(c.Slots, chain.SlotChange{Key: common.Hash{k}})
		}
		return chain.WriteSet{c}
	}
	flags := chain.WriteSet{a}.Encode()
	flags[20] = 8
	huge := chain.WriteSet{a}.Encode()
	huge[21], huge[22] = 0xff, 0xff
	code := append(chain.WriteSet{a}.Encode()[:20], 4, 0, 0, 0, 0, 0, 0, 0, 0)
	longCode := append(chain.WriteSet{a}.Encode()[:20], 4, 0xff, 0xff, 0xff, 0xff, 1, 2, 3)
	for name, encoded := range map[string][]byte{
		"accounts out of order":    chain.WriteSet{b, a}.Encode(),
		"account twice":            chain.WriteSet{a, a}.Encode(),
		"slots out of order":       slots(2, 1).Encode(),
		"slot twice":               slots(1, 1).Encode(),
		"unknown flag":             flags,
		"slots that are not there": huge,
		"empty code":               code,
		"code that is not there":   longCode,
	} {
		_, err := chain.DecodeWriteSet(encoded)
		require.ErrorIs(t, err, chain.ErrWriteSet, name)
	}
}

func FuzzDecodeWriteSet(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 5 {
		f.Add(randomWriteSet(rng, n).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := chain.DecodeWriteSet(b)
		if err != nil {
			return
		}
		if !bytes.Equal(w.Encode(), b) {
			t.Fatal("two forms of one write set")
		}
	})
}

func TestDifference(t *testing.T) {
	addr := common.Address{1}
	one := func(change func(c *chain.AccountChange)) chain.WriteSet {
		c := chain.AccountChange{Address: addr, Account: &chain.Account{Nonce: 1, Balance: *uint256.NewInt(10), CodeHash: chain.EmptyCodeHash},
			Slots: []chain.SlotChange{{Key: common.Hash{1}, Value: common.Hash{1}}, {Key: common.Hash{3}, Value: common.Hash{3}}}}
		change(&c)
		return chain.WriteSet{c}
	}
	plain := one(func(*chain.AccountChange) {})
	later := chain.AccountChange{Address: common.Address{2}}
	for _, c := range []struct {
		name         string
		ours, theirs chain.WriteSet
		want         []string
	}{
		{"same", plain, plain, nil},
		{"previous values do not count", plain, one(func(c *chain.AccountChange) { c.Prev = &chain.Account{}; c.Slots[0].Prev = common.Hash{9} }), nil},
		{"only we", plain, nil, []string{addr.Hex(), "we changed it", "nonce 1", "balance 10"}},
		{"only they", nil, plain, []string{addr.Hex(), "they changed it"}},
		{"only we, later", append(slices.Clone(plain), later), plain, []string{later.Address.Hex(), "we changed it", "gone"}},
		{"existence", plain, one(func(c *chain.AccountChange) { c.Account = nil }), []string{"existence: ours true, theirs false"}},
		{"nonce", plain, one(func(c *chain.AccountChange) { c.Account.Nonce = 2 }), []string{addr.Hex(), "nonce: ours 1, theirs 2"}},
		{"balance", plain, one(func(c *chain.AccountChange) { c.Account.Balance.SetUint64(11) }), []string{"balance: ours 10, theirs 11"}},
		{"code hash", plain, one(func(c *chain.AccountChange) { c.Account.CodeHash = common.Hash{} }), []string{"code hash"}},
		{"wiped", plain, one(func(c *chain.AccountChange) { c.Wiped = true }), []string{"wiped: ours false, theirs true"}},
		{"code", plain, one(func(c *chain.AccountChange) { c.Code = []byte{1} }), []string{"new code: ours of 0 bytes, theirs of 1 bytes"}},
		{"slot value", plain, one(func(c *chain.AccountChange) { c.Slots[1].Value = common.Hash{4} }),
			[]string{"slot 0x03", addr.Hex(), "ours 0x03", "theirs 0x04"}},
		{"slot of ours", plain, one(func(c *chain.AccountChange) { c.Slots = c.Slots[1:] }), []string{"slot 0x01", "theirs unchanged"}},
		{"slot of theirs", plain, one(func(c *chain.AccountChange) { c.Slots[0].Key = common.Hash{0, 1} }), []string{"slot 0x0001", "ours unchanged"}},
		{"the nonce comes before slots", plain, one(func(c *chain.AccountChange) { c.Account.Nonce = 2; c.Slots = nil }), []string{"nonce"}},
	} {
		got := c.ours.Difference(c.theirs)
		if c.want == nil {
			require.Empty(t, got, c.name)
			continue
		}
		for _, part := range c.want {
			require.Contains(t, strings.ToLower(got), strings.ToLower(part), c.name)
		}
	}
}

func TestHeaderDifference(t *testing.T) {
	g := testGenesis()
	header := func(change func(h *chain.Header, x *chain.Extra)) *chain.Header {
		h := g.Header(intl.Suite{}, nil, common.Hash{1})
		x, err := chain.DecodeExtra(h.Extra)
		require.NoError(t, err)
		change(h, x)
		h.Extra = x.Encode()
		return h
	}
	same := func(*chain.Header, *chain.Extra) {}
	require.Empty(t, chain.HeaderDifference(header(same), header(same)))
	for _, c := range []struct {
		name   string
		change func(h *chain.Header, x *chain.Extra)
		want   string
	}{
		{"decision before root", func(h *chain.Header, x *chain.Extra) { h.Root[0]++; x.Decision[0]++ }, "decision: ours"},
		{"root before receipts", func(h *chain.Header, x *chain.Extra) { h.Root[0]++; h.ReceiptHash[0]++ }, "state root: ours"},
		{"millisecond", func(h *chain.Header, x *chain.Extra) { x.Millis++ }, "time: ours"},
		{"ledger", func(h *chain.Header, x *chain.Extra) { x.Ledger[0]++ }, "ledger digest: ours"},
		{"next set", func(h *chain.Header, x *chain.Extra) { x.Next[0]++ }, "next validator set: ours"},
		{"a field that has no name here", func(h *chain.Header, x *chain.Extra) { h.Nonce[0]++ }, "hash: ours"},
	} {
		require.Contains(t, chain.HeaderDifference(header(same), header(c.change)), c.want, c.name)
	}
	odd := header(same)
	odd.Extra = []byte("odd")
	require.Contains(t, chain.HeaderDifference(header(same), odd), "extraData")
	odd.Nonce[0]++
	require.Contains(t, chain.HeaderDifference(odd, &chain.Header{Extra: []byte("odd"), Number: odd.Number, BaseFee: odd.BaseFee}), "time: ", "both extras unreadable")
}

func TestEquivocation(t *testing.T) {
	suite, genesis := intl.Suite{}, crypto.Hash{1}
	key, err := suite.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{1}, 32)))
	require.NoError(t, err)
	set := chain.ValidatorSet{{ID: 3, PublicKey: key.Public().Bytes()}}
	sign := func(height uint64, h crypto.Hash) []byte {
		sig, err := key.Sign(chain.AttestationMessage(genesis, height, h))
		require.NoError(t, err)
		return sig
	}
	good := func() *chain.Equivocation {
		return &chain.Equivocation{Height: 5, Validator: 3, Headers: [2]crypto.Hash{{1}, {2}}, Signatures: [2][]byte{sign(5, crypto.Hash{1}), sign(5, crypto.Hash{2})}}
	}
	require.NoError(t, good().Verify(suite, genesis, set))
	for name, spoil := range map[string]func(e *chain.Equivocation){
		"same header":   func(e *chain.Equivocation) { e.Headers[1], e.Signatures[1] = e.Headers[0], e.Signatures[0] },
		"other height":  func(e *chain.Equivocation) { e.Height = 6 },
		"no member":     func(e *chain.Equivocation) { e.Validator = 4 },
		"bad signature": func(e *chain.Equivocation) { e.Signatures[1] = e.Signatures[0] },
		"no signature":  func(e *chain.Equivocation) { e.Signatures[0] = nil },
	} {
		e := good()
		spoil(e)
		require.Error(t, e.Verify(suite, genesis, set), name)
	}
	require.ErrorIs(t, good().Verify(suite, crypto.Hash{2}, set), crypto.ErrSignature, "another chain")
}
