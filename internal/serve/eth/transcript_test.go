package eth

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

var update = flag.Bool("update", false, "write the answers that the transcripts then hold; read the diff")

// newTranscriptNode serves four blocks: 1 from the ledger, 2 and 3 from memory; 2 left a transaction out, 3 is empty. One transaction waits
// in the pool. The state before block 1 is no longer kept. names are what the transcripts' {…} stand for.
func newTranscriptNode(t *testing.T) (n *node, names *strings.Replacer) {
	f := newFake(t)
	f.seal(f.kinds())
	n = newNode(t, f, func(c *Config, s *serve.Config) {
		c.MaxLogRange, c.MaxLogResults, c.MaxLogTerms, c.MaxStorageKeys = 3, 3, 4, 2
		c.MaxTraceBytes = 1024
	})
	f.changes = []chain.SetChange{{Rule: *f.genesis.Rule()}, {From: 3, Rule: ruleOf(chain.Validator{ID: 2, PublicKey: []byte{1, 2}, Address: testToken})}}
	n.publish(f.kinds(), chain.Exclusion{Tx: common.HexToHash("0xee"), Reason: "nonce too low: next nonce 7, tx nonce 3"})
	n.publish(nil)
	pooled := f.kinds()[2]
	f.pool[pooled.Hash()] = pooled
	f.pruned = 1
	pairs := []string{"{pooled}", pooled.Hash().Hex(), "{excluded}", common.HexToHash("0xee").Hex(), "{unknown}", testMissing.Hex(),
		"{sender}", strings.ToLower(testSender.Hex()), "{token}", strings.ToLower(testToken.Hex()), "{new}", common.Bytes2Hex(f.kinds()[1].Raw()), "{known}", common.Bytes2Hex(pooled.Raw()),
		"{old}", common.Bytes2Hex(f.at(1).Txs[0].Raw())}
	for h, b := range f.blocks {
		pairs = append(pairs, fmt.Sprintf("{block%d}", h), b.Hash.Hex())
		for i, tx := range b.Txs {
			pairs = append(pairs, fmt.Sprintf("{tx%d.%d}", h, i), tx.Hash().Hex())
		}
	}
	return n, strings.NewReplacer(pairs...)
}

// Transcripts are testdata/*.io: ">> request" and "<< answer" by turns, "//" begins a comment. Every one runs over HTTP and over WebSocket.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.io")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		for _, transport := range []string{"http", "ws"} {
			t.Run(filepath.Base(file)+"/"+transport, func(t *testing.T) {
				n, names := newTranscriptNode(t)
				ask := n.askHTTP
				if transport == "ws" {
					c, _, err := websocket.DefaultDialer.Dial(n.ws, nil)
					require.NoError(t, err)
					defer c.Close()
					ask = func(t *testing.T, request string) string {
						require.NoError(t, c.WriteMessage(websocket.TextMessage, []byte(request)))
						_, m, err := c.ReadMessage()
						require.NoError(t, err)
						return string(m)
					}
				}
				replay(t, file, names, ask)
			})
		}
	}
}

func (n *node) askHTTP(t *testing.T, request string) string {
	r, err := http.Post(n.url, "application/json", strings.NewReader(request))
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, 200, r.StatusCode)
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func replay(t *testing.T, file string, names *strings.Replacer, ask func(*testing.T, string) string) {
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<24)
	var request, got string
	asked := 0
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, ">> "):
			request = names.Replace(line[3:])
			got = ask(t, request)
			asked++
			if *update {
				fmt.Fprintf(&out, "%s\n<< %s\n", line, got)
				continue
			}
		case strings.HasPrefix(line, "<< "):
			if *update {
				continue
			}
			require.Equal(t, line[3:], got, request)
			asked--
		default:
			require.True(t, line == "" || strings.HasPrefix(line, "//"), line)
		}
		fmt.Fprintln(&out, line)
	}
	require.NoError(t, lines.Err())
	if *update {
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
		return
	}
	require.Zero(t, asked, "a request without an answer")
}
