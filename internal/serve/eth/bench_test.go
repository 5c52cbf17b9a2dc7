package eth

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// stubPool admits everything at no cost, so that a benchmark shows what serving adds.
type stubPool struct {
	fakePool
	tx *chain.Tx
}

func (p stubPool) AddBatch(_ context.Context, raws [][]byte, _ bool) ([]*chain.Tx, []error) {
	txs := make([]*chain.Tx, len(raws))
	for i := range txs {
		txs[i] = p.tx
	}
	return txs, make([]error, len(raws))
}

// sendBatch is a JSON-RPC batch of n sends; spoil adds a key that keeps the ordinary way.
func sendBatch(raw []byte, n int, spoil string) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"jsonrpc":"2.0","id":%d,%s"method":"eth_sendRawTransaction","params":["0x%s"]}`, i+1, spoil, hex.EncodeToString(raw))
	}
	b.WriteByte(']')
	return b.Bytes()
}

// cpu is the process's time in user and system, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkSend measures the CPU of both sides of a socket per transaction, client included, around a pool that costs nothing.
func BenchmarkSend(b *testing.B) {
	const perBatch = 100
	for _, way := range []struct{ name, spoil string }{{"fast", ""}, {"rpc", `"extra":0,`}} {
		b.Run("ws-batch/"+way.name, func(b *testing.B) {
			f := newFake(b)
			tx := f.kinds()[2]
			n := newNode(b, f, nil)
			n.api.pool = stubPool{fakePool{f}, tx}
			c, _, err := websocket.DefaultDialer.Dial(n.ws, nil)
			require.NoError(b, err)
			defer c.Close()
			frame := sendBatch(tx.Raw(), perBatch, way.spoil)
			var answers []struct{ Result common.Hash }
			b.ReportAllocs()
			start, sent := cpu(), 0
			for b.Loop() {
				require.NoError(b, c.WriteMessage(websocket.TextMessage, frame))
				_, m, err := c.ReadMessage()
				require.NoError(b, err)
				if sent == 0 {
					require.NoError(b, json.Unmarshal(m, &answers))
					require.Len(b, answers, perBatch)
					require.Equal(b, tx.Hash(), answers[perBatch-1].Result)
				}
				sent += perBatch
			}
			b.ReportMetric(float64(cpu()-start)/1000/float64(sent), "cpu-us/tx")
		})
	}
}

// BenchmarkCall measures one request over HTTP and WebSocket.
func BenchmarkCall(b *testing.B) {
	f := newFake(b)
	n := newNode(b, f, nil)
	n.publish(f.kinds())
	hash := f.at(1).Txs[1].Hash()
	for name, req := range map[string]string{
		"receipt":     fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["%s"]}`, hash),
		"blockNumber": `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}`,
	} {
		b.Run("http/"+name, func(b *testing.B) {
			start, sent := cpu(), 0
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.Post(n.url, "application/json", bytes.NewReader([]byte(req)))
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, r.Body)
				require.NoError(b, err)
				r.Body.Close()
				sent++
			}
			b.ReportMetric(float64(cpu()-start)/1000/float64(sent), "cpu-us/call")
		})
		b.Run("ws/"+name, func(b *testing.B) {
			c, _, err := websocket.DefaultDialer.Dial(n.ws, nil)
			require.NoError(b, err)
			defer c.Close()
			start, sent := cpu(), 0
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, c.WriteMessage(websocket.TextMessage, []byte(req)))
				_, _, err := c.ReadMessage()
				require.NoError(b, err)
				sent++
			}
			b.ReportMetric(float64(cpu()-start)/1000/float64(sent), "cpu-us/call")
		})
	}
}

// BenchmarkReceipts measures polling for receipts in batches of 100.
func BenchmarkReceipts(b *testing.B) {
	const perBatch = 100
	f := newFake(b)
	n := newNode(b, f, nil)
	n.publish(f.kinds())
	c, _, err := websocket.DefaultDialer.Dial(n.ws, nil)
	require.NoError(b, err)
	defer c.Close()
	var frame bytes.Buffer
	frame.WriteByte('[')
	for i := range perBatch {
		if i > 0 {
			frame.WriteByte(',')
		}
		fmt.Fprintf(&frame, `{"jsonrpc":"2.0","id":%d,"method":"eth_getTransactionReceipt","params":["%s"]}`, i+1, f.at(1).Txs[i%5].Hash())
	}
	frame.WriteByte(']')
	b.ReportAllocs()
	start, asked := cpu(), 0
	for b.Loop() {
		require.NoError(b, c.WriteMessage(websocket.TextMessage, frame.Bytes()))
		_, m, err := c.ReadMessage()
		require.NoError(b, err)
		if asked == 0 {
			var answers []struct{ Result *struct{ Status string } }
			require.NoError(b, json.Unmarshal(m, &answers))
			require.NotNil(b, answers[perBatch-1].Result)
		}
		asked += perBatch
	}
	b.ReportMetric(float64(cpu()-start)/1000/float64(asked), "cpu-us/receipt")
}
