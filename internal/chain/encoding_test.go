package chain_test

import (
	"encoding/hex"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

var suite crypto.Suite = intl.Suite{}

func goldenExtra() *chain.Extra {
	return &chain.Extra{Millis: 999, Parent: crypto.Hash{1}, Decision: crypto.Hash{2}, Validators: crypto.Hash{3}, Next: crypto.Hash{6}, Ledger: crypto.Hash{4, 31: 5},
		Records: crypto.Hash{8}}
}

func goldenDecision() *chain.Decision {
	return &chain.Decision{Height: 7, Parent: crypto.Hash{1}, TimeMillis: 1_700_000_000_456, Proposer: 3,
		Txs: []common.Hash{{0xaa}, {0xbb}}, Proof: []byte("proof")}
}

func goldenCertificate() *chain.Certificate {
	return &chain.Certificate{Height: 7, Block: common.Hash{1}, Header: crypto.Hash{2},
		Attestations: []chain.Attestation{{Validator: 1, Signature: []byte{1, 2}}, {Validator: 300, Signature: []byte{0x80}}}}
}

func goldenReceipt() *chain.Receipt {
	return &chain.Receipt{Status: 1, GasUsed: 51_000, Logs: []*types.Log{
		{Address: common.Address{1}, Topics: []common.Hash{{2}, {3}}, Data: []byte{4, 5}},
		{Address: common.Address{6}, Topics: []common.Hash{}, Data: []byte{}},
	}}
}

// TestGoldenEncodings pins the byte forms: a change of one is a new format.
func TestGoldenEncodings(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"extra":       {goldenExtra().Encode(), "0303e7010000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000300000000000000000000000000000000000000000000000000000000000000060000000000000000000000000000000000000000000000000000000000000004000000000000000000000000000000000000000000000000000000000000050800000000000000000000000000000000000000000000000000000000000000"},
		"decision":    {goldenDecision().Encode(), "f876f86e07a0010000000000000000000000000000000000000000000000000000000000000086018bcfe569c803f842a0aa00000000000000000000000000000000000000000000000000000000000000a0bb000000000000000000000000000000000000000000000000000000000000008570726f6f66"},
		"certificate": {goldenCertificate().Encode(), "f84f07a00100000000000000000000000000000000000000000000000000000000000000a00200000000000000000000000000000000000000000000000000000000000000cbc401820102c582012c8180"},
		"receipt":     {chain.EncodeReceipt(goldenReceipt()), "f87c0182c738f876f85c940100000000000000000000000000000000000000f842a00200000000000000000000000000000000000000000000000000000000000000a00300000000000000000000000000000000000000000000000000000000000000820405d7940600000000000000000000000000000000000000c080"},
		"attestation message": {chain.AttestationMessage(crypto.Hash{1}, 7, crypto.Hash{2}),
			"6a69616c696e672f6174746573742f31010000000000000000000000000000000000000000000000000000000000000000000000000000070200000000000000000000000000000000000000000000000000000000000000"},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.got), name)
	}
	hash := goldenDecision().Hash(suite)
	require.Equal(t, "0xa829cfadfb5d743d3638ac899e91c121dca506e14ae76c25a8e45d431ed13a1c", hash.String())
	altered := goldenDecision()
	altered.Proof = []byte("another")
	require.Equal(t, hash, altered.Hash(suite), "the proof is no part of what is agreed on")
	altered.TimeMillis++
	require.NotEqual(t, hash, altered.Hash(suite))
}

func TestDecodeReversesEncode(t *testing.T) {
	extra, err := chain.DecodeExtra(goldenExtra().Encode())
	require.NoError(t, err)
	require.Equal(t, goldenExtra(), extra)
	decision, err := chain.DecodeDecision(goldenDecision().Encode())
	require.NoError(t, err)
	require.Equal(t, goldenDecision(), decision)
	certificate, err := chain.DecodeCertificate(goldenCertificate().Encode())
	require.NoError(t, err)
	require.Equal(t, goldenCertificate(), certificate)
	receipt, err := chain.DecodeReceipt(chain.EncodeReceipt(goldenReceipt()))
	require.NoError(t, err)
	require.Equal(t, goldenReceipt(), receipt)
}

func TestRefusedExtra(t *testing.T) {
	good := goldenExtra().Encode()
	for name, b := range map[string][]byte{
		"empty":       nil,
		"short":       good[:len(good)-1],
		"long":        append(append([]byte(nil), good...), 0),
		"version":     append([]byte{1}, good[1:]...),
		"millisecond": append([]byte{good[0], 0x03, 0xe8}, good[3:]...),
	} {
		_, err := chain.DecodeExtra(b)
		require.ErrorIs(t, err, chain.ErrExtra, name)
	}
}

func TestRefusedDecision(t *testing.T) {
	for text, alter := range map[string]func(*chain.Decision){
		"height 0":                func(d *chain.Decision) { d.Height = 0 },
		"names neither":           func(d *chain.Decision) { d.Proposer = 0 },
		"0xaa00000000000000":      func(d *chain.Decision) { d.Txs[1] = d.Txs[0] },
		"65537 transactions, at ": func(d *chain.Decision) { d.Txs = distinct(chain.MaxDecisionTxs + 1) },
	} {
		d := goldenDecision()
		alter(d)
		require.ErrorContains(t, d.Validate(), text)
		_, err := chain.DecodeDecision(d.Encode())
		require.ErrorContains(t, err, text)
	}
	both := goldenDecision()
	both.Coinbase[19] = 1
	require.ErrorContains(t, both.Validate(), "a proposer and an account")
	mined := goldenDecision()
	mined.Proposer, mined.Coinbase[19] = 0, 1
	back, err := chain.DecodeDecision(mined.Encode())
	require.NoError(t, err)
	require.Equal(t, mined, back)
	other := *mined
	other.Coinbase[19] = 2
	require.NotEqual(t, mined.Hash(intl.Suite{}), other.Hash(intl.Suite{}))
	d := goldenDecision()
	d.Txs = distinct(chain.MaxDecisionTxs)
	_, err = chain.DecodeDecision(d.Encode())
	require.NoError(t, err)
	for _, b := range [][]byte{nil, {0xc0}, goldenDecision().Encode()[1:], append(goldenDecision().Encode(), 0)} {
		_, err := chain.DecodeDecision(b)
		require.Error(t, err)
	}
}

func TestRefusedReceipt(t *testing.T) {
	for text, alter := range map[string]func(*chain.Receipt){
		"status 2": func(r *chain.Receipt) { r.Status = 2 },
		"5 topics": func(r *chain.Receipt) { r.Logs[0].Topics = distinct(5) },
	} {
		r := goldenReceipt()
		alter(r)
		_, err := chain.DecodeReceipt(chain.EncodeReceipt(r))
		require.ErrorContains(t, err, text)
	}
	for _, b := range [][]byte{nil, {0xc0}, append(chain.EncodeReceipt(goldenReceipt()), 0)} {
		_, err := chain.DecodeReceipt(b)
		require.Error(t, err)
	}
}

func FuzzDecodeExtra(f *testing.F) {
	f.Add(goldenExtra().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := chain.DecodeExtra(b); err == nil {
			require.Equal(t, b, e.Encode())
		}
	})
}

func FuzzDecodeDecision(f *testing.F) {
	f.Add(goldenDecision().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := chain.DecodeDecision(b); err == nil {
			require.Equal(t, b, d.Encode())
			require.NoError(t, d.Validate())
		}
	})
}

func FuzzDecodeCertificate(f *testing.F) {
	f.Add(goldenCertificate().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := chain.DecodeCertificate(b); err == nil {
			require.Equal(t, b, c.Encode())
			require.Error(t, c.Verify(suite, crypto.Hash{}, nil, 1), "nobody is a member of no set")
		}
	})
}

func FuzzDecodeReceipt(f *testing.F) {
	f.Add(chain.EncodeReceipt(goldenReceipt()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := chain.DecodeReceipt(b); err == nil {
			require.Equal(t, b, chain.EncodeReceipt(r))
			types.CreateBloom(r)
		}
	})
}

func distinct(n int) []common.Hash {
	out := make([]common.Hash, n)
	for i := range out {
		out[i] = common.Hash{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)}
	}
	return out
}
