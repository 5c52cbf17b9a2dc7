package gossip

import (
	"bytes"
	"context"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// signedData is a valid transaction with size bytes of data.
func signedData(t testing.TB, nonce, size int) []byte {
	tx, err := types.SignNewTx(testKey, types.LatestSignerForChainID(big.NewInt(77)), &types.DynamicFeeTx{ChainID: big.NewInt(77), Nonce: uint64(nonce), Gas: 21_000,
		To: &common.Address{1}, GasFeeCap: new(big.Int), GasTipCap: new(big.Int), Value: new(big.Int), Data: make([]byte, size)})
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return raw
}

func TestWireGolden(t *testing.T) {
	require.Equal(t, []byte{1, 2, 0xaa, 0xbb, 1, 0xcc}, appendTx(appendTx([]byte{kindTxs}, []byte{0xaa, 0xbb}), []byte{0xcc}))
	require.Equal(t, []byte{2, 1, 'a', 2, 'b', 'c'}, encodeLinks([]chain.Peer{"a", "bc"}))
	require.Equal(t, []byte{4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9}, encodeListRequest(5, 9))
	p := page{snapshot: 1, total: 2, hashes: []common.Hash{{7}}}
	require.Equal(t, append([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 7}, make([]byte, 31)...), p.encode())
	back, err := decodePage(p.encode())
	require.NoError(t, err)
	require.Equal(t, &p, back)
	links, err := decodeLinks([]byte{1, 'a', 2, 'b', 'c'})
	require.NoError(t, err)
	require.Equal(t, map[chain.Peer]struct{}{"a": {}, "bc": {}}, links)
}

func TestDecodePageRefuses(t *testing.T) {
	for name, p := range map[string]*page{"no snapshot": {total: 1}, "fewer than it holds": {snapshot: 1, hashes: make([]common.Hash, 1)},
		"too many": {snapshot: 1, total: maxList + 1}, "too long": {snapshot: 1, total: maxList, hashes: make([]common.Hash, listPage+1)}} {
		_, err := decodePage(p.encode())
		require.ErrorIs(t, err, errWire, name)
	}
	_, err := decodePage(make([]byte, listHead-1))
	require.ErrorIs(t, err, errWire)
}

func FuzzDecode(f *testing.F) {
	f.Add(appendTx(appendTx(nil, []byte("one")), nil))
	f.Add(encodeLinks([]chain.Peer{"a", "bc"})[1:])
	f.Add((&page{snapshot: 1, total: 2, hashes: []common.Hash{{7}}}).encode())
	f.Add(encodeListRequest(5, 9)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if raws, err := decodeTxs(b, 100, true); err == nil {
			var again []byte
			for _, raw := range raws {
				again = appendTx(again, raw)
			}
			if len(again) > len(b) {
				t.Fatalf("%x became %x", b, again)
			}
			same, err := decodeTxs(again, 100, true)
			require.NoError(t, err)
			require.Equal(t, raws, same)
		}
		if links, err := decodeLinks(b); err == nil {
			require.LessOrEqual(t, len(links), maxLinks)
		}
		if p, err := decodePage(b); err == nil {
			require.Equal(t, b, p.encode())
		}
		if hashes, err := decodeHashes(b, 8); err == nil {
			require.True(t, bytes.Equal(b, appendHashes(nil, hashes)))
		}
		if snapshot, offset, err := decodeListRequest(b); err == nil {
			require.Equal(t, b, encodeListRequest(snapshot, offset)[1:])
		}
	})
}

// quiet is a network on which nobody is.
type quiet struct{}

func (quiet) Send(chain.Peer, string, []byte) bool { return true }
func (quiet) Request(context.Context, chain.Peer, string, []byte) ([]byte, error) {
	return nil, context.Canceled
}
func (quiet) Report(chain.Peer, int, string) {}
func (quiet) Connected() []chain.Peer        { return nil }

// FuzzHandle takes any message and any request of a peer.
func FuzzHandle(f *testing.F) {
	good := signed(f, 1, 77)
	f.Add(appendTx([]byte{kindTxs}, good))
	f.Add(encodeLinks([]chain.Peer{"a", "bc"}))
	f.Add([]byte{kindLacks})
	f.Add(encodeListRequest(0, 0))
	hash := hashOf(good)
	f.Add(append([]byte{kindTxs}, hash[:]...))
	f.Fuzz(func(t *testing.T, msg []byte) {
		p := newPool()
		g, err := New(DefaultConfig(), Deps{Network: quiet{}, Pool: p, Blocks: blocks{}, Verifier: p.verifier})
		require.NoError(t, err)
		g.Changed("peer", true)
		g.Handle("peer", bytes.Clone(msg))
		select {
		case from := <-g.work:
			g.admitQueued(context.Background(), from)
		default:
		}
		out, err := g.Serve(context.Background(), "peer", msg)
		if err == nil {
			require.LessOrEqual(t, len(out), MaxResponse)
		}
	})
}
