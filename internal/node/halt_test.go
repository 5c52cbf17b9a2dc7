package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

func TestHaltIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	h, err := ReadHalt(dir)
	require.NoError(t, err)
	require.Nil(t, h)
	require.NoError(t, CheckHalt(dir))

	header := func(gas uint64) *chain.Header {
		return &chain.Header{Number: big.NewInt(7), Difficulty: big.NewInt(1), GasUsed: gas, Extra: []byte{}}
	}
	want := &Halt{Height: 7, Time: time.UnixMilli(1_790_000_000_123).UTC(), Own: header(1), OwnHash: crypto.Hash{1}, Certified: header(2),
		CertifiedHash: crypto.Hash{2}, Signers: []chain.ValidatorID{1, 2, 3}, FirstKey: "account 0x01, nonce: ours 1, theirs 2", Advice: "do this"}
	require.NoError(t, WriteHalt(dir, &Halt{Height: 6}))
	require.NoError(t, WriteHalt(dir, want))
	h, err = ReadHalt(dir)
	require.NoError(t, err)
	require.Equal(t, want, h)
	err = CheckHalt(dir)
	require.ErrorIs(t, err, ErrHalted)
	require.ErrorContains(t, err, "at height 7")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no draft is left")
}

func TestHaltThatIsNone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, haltFile), []byte("{"), 0o644))
	_, err := ReadHalt(dir)
	require.ErrorContains(t, err, "read halt.json")
	require.Error(t, CheckHalt(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, haltFile), make([]byte, maxHaltFile+1), 0o644))
	_, err = ReadHalt(dir)
	require.ErrorContains(t, err, "exceeds")
	require.Error(t, WriteHalt(filepath.Join(dir, "none"), &Halt{}))
}

// TestDivergenceLeavesItsAccount: what attestation says of a divergence is in the folder when the node has stopped, and the node does not start again.
func TestDivergenceLeavesItsAccount(t *testing.T) {
	cfg, _ := newFolder(t)
	n, err := New(cfg, "jialing/test", slog.New(slog.DiscardHandler), Options{})
	require.NoError(t, err)
	other := errors.New("something else")
	require.Equal(t, other, n.halted(nil, other))
	h, err := ReadHalt(cfg.Dir)
	require.NoError(t, err)
	require.Nil(t, h, "only a divergence is worth a halt")

	d := &attest.Divergence{Height: 7, Ours: crypto.Hash{1}, Theirs: crypto.Hash{2}, By: []chain.ValidatorID{1, 2, 3}, First: "balance of 0x01: 1, theirs 2",
		OurHeader: &chain.Header{Number: big.NewInt(7), Difficulty: new(big.Int)}, TheirHeader: &chain.Header{Number: big.NewInt(7), Difficulty: new(big.Int), GasUsed: 1}}
	require.ErrorIs(t, n.halted(nil, fmt.Errorf("attest: %w", d)), attest.ErrDivergence)
	h, err = ReadHalt(cfg.Dir)
	require.NoError(t, err)
	require.EqualValues(t, 7, h.Height)
	require.Equal(t, d.First, h.FirstKey)
	require.Equal(t, d.By, h.Signers)
	require.EqualValues(t, 1, h.Certified.GasUsed)
	_, err = New(cfg, "jialing/test", slog.New(slog.DiscardHandler), Options{})
	require.ErrorIs(t, err, ErrHalted)
}
