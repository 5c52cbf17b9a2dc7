package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// readExport reads a whole stream.
func readExport(b []byte) ([]*ExportedBlock, error) {
	r, err := ReadExport(bytes.NewReader(b), intl.Suite{})
	if err != nil {
		return nil, err
	}
	var out []*ExportedBlock
	for {
		x, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
}

func exported(tb testing.TB, blocks int) (*ledger, []byte) {
	tb.Helper()
	l := newLedger(tb, 11)
	s := l.open(smallConfig(vfs.NewMem()))
	for i := range blocks {
		w := l.randomWork(4)
		l.put(s, w)
		if i%2 == 0 {
			require.NoError(tb, s.PutCertificate(&chain.Certificate{Height: w.decision.Height, Block: w.executed.Block.Hash}))
		}
	}
	var out bytes.Buffer
	require.NoError(tb, s.Export(context.Background(), &out, 1, 0, nil))
	require.NoError(tb, s.Close())
	return l, out.Bytes()
}

func TestExportRoundTrip(t *testing.T) {
	l, stream := exported(t, 8)
	blocks, err := readExport(stream)
	require.NoError(t, err)
	require.Len(t, blocks, 8)
	for i, b := range blocks {
		want := l.blocks[i+1]
		require.Equal(t, want.Block.Hash, b.Header.Hash())
		require.Equal(t, want.Decision.Hash(l.suite), b.Decision.Hash(l.suite))
		require.Equal(t, want.Decision.Txs, b.Decision.Txs)
		require.Equal(t, i%2 == 0, b.Certificate != nil)
	}
}

func TestExportRange(t *testing.T) {
	l := newLedger(t, 11)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	for range 5 {
		l.put(s, l.randomWork(2))
	}
	var out bytes.Buffer
	require.NoError(t, s.Export(context.Background(), &out, 3, 4, nil))
	blocks, err := readExport(out.Bytes())
	require.NoError(t, err)
	require.Len(t, blocks, 2)
	for _, r := range [][2]uint64{{0, 3}, {4, 9}, {5, 2}} {
		require.Error(t, s.Export(context.Background(), io.Discard, r[0], r[1], nil), "%v", r)
	}
	require.Error(t, s.Export(context.Background(), failingWriter{}, 1, 5, nil))
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no space") }

// TestExportDamage flips one bit in each third byte of a stream and cuts it there: nothing passes for whole.
func TestExportDamage(t *testing.T) {
	_, stream := exported(t, 2)
	for i := 0; i < len(stream); i += 3 {
		bad := bytes.Clone(stream)
		bad[i] ^= 1 << (i / 3 % 8)
		_, err := readExport(bad)
		require.ErrorIs(t, err, ErrExport, "byte %d", i)
		_, err = readExport(stream[:i])
		require.ErrorIs(t, err, ErrExport, "cut at %d", i)
	}
	_, err := readExport(append(bytes.Clone(stream), 0))
	require.ErrorIs(t, err, ErrExport)
}

func FuzzReadExport(f *testing.F) {
	_, stream := exported(f, 2)
	f.Add(stream)
	f.Add([]byte(exportMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readExport(b); err != nil {
			require.ErrorIs(t, err, ErrExport)
		}
	})
}

func FuzzStoredValues(f *testing.F) {
	f.Add(byte(0), []byte{1, 2, 3})
	f.Add(byte(1), appendDiffEntry(appendDiffEntry(nil, nil, make([]byte, accountKeySize), nil), make([]byte, accountKeySize), bytes.Repeat([]byte{1}, slotKeySize), []byte{5}))
	f.Add(byte(2), appendPosting(nil, []uint32{1, 2, 3, 9}))
	f.Add(byte(3), appendChunkList(nil, []uint16{0, 3, 9}))
	f.Add(byte(4), (&account{exists: true}).appendRecord(nil))
	f.Add(byte(5), appendSlot(nil, &common.Hash{9}))
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		switch kind % 10 {
		case 0:
			if c, err := decodeBodyChunk(b); err == nil {
				for i := range c.raws {
					_, _ = c.tx(i)
				}
			}
		case 1:
			_ = walkDiffChunk(b, func(key, _ []byte) bool {
				require.Contains(t, []int{accountKeySize, slotKeySize}, len(key))
				return true
			})
			_, _, _ = findInDiffChunk(b, make([]byte, slotKeySize))
		case 2:
			if txs, err := decodePosting(nil, b); err == nil {
				require.LessOrEqual(t, len(txs), chain.MaxDecisionTxs)
				again, err := decodePosting(nil, appendPosting(nil, txs))
				require.NoError(t, err)
				require.Equal(t, txs, again)
			}
		case 3:
			if list, err := decodeChunkList(b); err == nil {
				require.LessOrEqual(t, len(list), len(b))
			}
		case 4:
			if a, err := decodeAccount(b); err == nil && len(b) > 0 {
				require.Equal(t, b, a.appendRecord(nil))
			}
		case 5:
			if v, err := decodeSlot(b); err == nil && len(b) > 0 {
				require.Equal(t, b, appendSlot(nil, &v))
			}
		case 6:
			if c, err := decodeReceiptChunk(b, 200); err == nil {
				for i := range c.raws {
					_, _ = c.receipt(i)
				}
			}
		case 7:
			_, _, _, _ = decodeDecision(b)
		case 8:
			_, _, _ = decodeHeader(b)
		case 9:
			_, _ = decodeExclusions(b)
		}
	})
}
