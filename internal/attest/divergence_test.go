package attest

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// wrote is a block whose balance of one account is as given.
func wrote(balance uint64) chain.WriteSet {
	return chain.WriteSet{{Address: common.Address{1}, Account: &chain.Account{Nonce: 1, Balance: *uint256.NewInt(balance), CodeHash: chain.EmptyCodeHash}}}
}

// realHeader has an Extra that a verifier can follow.
func realHeader(height int64, before crypto.Hash, writes chain.WriteSet, change func(x *chain.Extra)) *chain.Header {
	x := &chain.Extra{Ledger: writes.Digest(suite, before)}
	if change != nil {
		change(x)
	}
	h := header(height, "")
	h.Extra, h.Root = x.Encode(), common.Hash{byte(len(writes[0].Address))}
	h.Root[1] = byte(writes[0].Account.Balance.Uint64())
	return h
}

func TestDivergenceIsExplained(t *testing.T) {
	before := crypto.Hash{7}
	parent := header(1, "")
	parent.Extra = (&chain.Extra{Ledger: before}).Encode()
	ours := realHeader(2, before, wrote(10), nil)
	theirs := realHeader(2, before, wrote(11), nil)
	answer := func(h *chain.Header, w chain.WriteSet, err error) Explain {
		return func(_ context.Context, height uint64, _ crypto.Hash) (*chain.Header, chain.WriteSet, error) {
			require.EqualValues(t, 2, height)
			return h, w, err
		}
	}
	held := func(uint64) (chain.WriteSet, bool) { return wrote(10), true }
	balance := "account 0x0100000000000000000000000000000000000000, balance: ours 10, theirs 11"
	for _, c := range []struct {
		name          string
		theirs        *chain.Header
		explain       Explain
		writes        func(uint64) (chain.WriteSet, bool)
		first, detail string
		headers       bool
	}{
		{"everything known", theirs, answer(theirs, wrote(11), nil), held, balance, "in the headers: state root: ours", true},
		{"our writes gone", theirs, answer(theirs, wrote(11), nil), nil, "state root: ours", "no longer held", true},
		{"their writes unknown", theirs, answer(theirs, nil, nil), held, "state root: ours", "did not give", true},
		{"their writes altered", theirs, answer(theirs, wrote(12), nil), held, "state root: ours", "did not give", true},
		{"their header altered", theirs, answer(realHeader(2, before, wrote(12), nil), wrote(12), nil), held, "", "another one", false},
		{"nobody answers", theirs, answer(nil, nil, errors.New("all peers are away")), held, "", "all peers are away", false},
		{"nobody has it", theirs, answer(nil, nil, nil), held, "", "no peer has", false},
		{"nobody to ask", theirs, nil, held, "", "no peer was asked", false},
		{"other parent", realHeader(2, crypto.Hash{8}, wrote(10), func(x *chain.Extra) { x.Parent = crypto.Hash{1} }),
			answer(realHeader(2, crypto.Hash{8}, wrote(10), func(x *chain.Extra) { x.Parent = crypto.Hash{1} }), wrote(10), nil), held,
			"parent's suite hash: ours", "differed before", true},
		{"same writes, other decision", realHeader(2, before, wrote(10), func(x *chain.Extra) { x.Decision = crypto.Hash{1} }),
			answer(realHeader(2, before, wrote(10), func(x *chain.Extra) { x.Decision = crypto.Hash{1} }), wrote(10), nil), held,
			"decision: ours", "both wrote the same", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newNetwork(t, 4)
			a, m := w.attester(0)
			a.cfg.Explain, a.cfg.Writes = c.explain, c.writes
			m.headers[1] = parent
			execute(t, a, parent)
			execute(t, a, ours)
			require.NoError(t, a.Certified(w.certificateOf(t, c.theirs, 1, 2, 3)))
			err := a.Run(t.Context())
			require.ErrorIs(t, err, ErrDivergence)
			d := new(Divergence)
			require.True(t, errors.As(err, &d))
			require.EqualValues(t, 2, d.Height)
			require.Equal(t, hashOf(t, ours), d.Ours)
			require.Equal(t, hashOf(t, c.theirs), d.Theirs)
			require.Equal(t, []chain.ValidatorID{2, 3, 4}, d.By)
			require.Equal(t, ours, d.OurHeader)
			require.Equal(t, c.headers, d.TheirHeader != nil)
			require.Contains(t, d.First, c.first)
			if c.first == "" {
				require.Empty(t, d.First)
			}
			require.Contains(t, d.Detail, c.detail)
			require.ErrorContains(t, err, c.detail)
		})
	}
}

// TestMinorityAgainstUsIsNoHalt: f+1 signatures of another header are a warning, since one of them is honest; a quorum halts.
func TestMinorityAgainstUsIsNoHalt(t *testing.T) {
	w := newNetwork(t, 4)
	a, _ := w.attester(0)
	log := new(lines)
	a.log = slog.New(slog.NewTextHandler(log, nil))
	theirs := header(1, "theirs")
	execute(t, a, header(1, "ours"))
	require.NoError(t, a.Handle(1, hashOf(t, theirs), w.attestationOf(t, 1, theirs)))
	a.say()
	require.Empty(t, log.String(), "one of four may lie")
	require.NoError(t, a.Handle(1, hashOf(t, theirs), w.attestationOf(t, 2, theirs)))
	require.NoError(t, a.store(t.Context()))
	require.Contains(t, log.String(), "more validators than may lie attest another block than ours")
	require.NoError(t, a.Handle(1, hashOf(t, theirs), w.attestationOf(t, 3, theirs)))
	require.ErrorIs(t, a.store(t.Context()), ErrDivergence)
}
