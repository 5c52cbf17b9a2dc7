package serve

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

func subscribe(t *testing.T, c *websocket.Conn) string {
	send(t, c, `{"jsonrpc":"2.0","id":"s","method":"eth_subscribe","params":["newHeads"]}`)
	var answer struct{ Result string }
	require.NoError(t, json.Unmarshal([]byte(receive(t, c)), &answer))
	require.True(t, strings.HasPrefix(answer.Result, "0x"))
	return answer.Result
}

func notification(id, event string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"%s","result":%s}}`, id, event)
}

func TestSubscribe(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	id := subscribe(t, c)
	s.events <- []json.RawMessage{json.RawMessage(`{"n":1}`), json.RawMessage(`{"n":2}`)}
	require.Equal(t, notification(id, `{"n":1}`), receive(t, c))
	require.Equal(t, notification(id, `{"n":2}`), receive(t, c))
	send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"eth_unsubscribe","params":["%s"]}`, id))
	require.Equal(t, `{"jsonrpc":"2.0","id":2,"result":true}`, receive(t, c))
	send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":3,"method":"eth_unsubscribe","params":["%s"]}`, id))
	require.Equal(t, `{"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"subscription not found"}}`, receive(t, c))
}

func TestSubscribeMistakes(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	for request, answer := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["nothing"]}`:  `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no \"nothing\" subscription in eth namespace"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"jl_subscribe","params":["newHeads"]}`:  `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no \"newHeads\" subscription in jl namespace"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe"}`:                       `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"expected a string as first argument"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":[7]}`:          `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"expected a string as first argument"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":{}}`:           `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"non-array args"}}`,
		`{"id":1,"method":"eth_subscribe","params":["newHeads"]}`:                 `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]x`: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`,
	} {
		send(t, c, request)
		require.Equal(t, answer, receive(t, c), request)
	}
	_, body, _ := s.post(t, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"notifications not supported"}}`, body)
}

func TestSubscribeInABatch(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	send(t, c, `[{"jsonrpc":"2.0","id":1,"method":"test_add","params":[1,2]},{"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["newHeads"]},{"jsonrpc":"2.0","method":"test_echo"}]`)
	s.events <- []json.RawMessage{json.RawMessage(`1`)}
	var answers []struct{ Result json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(receive(t, c)), &answers), "the answer comes before the first event")
	require.Len(t, answers, 2)
	require.Equal(t, `3`, string(answers[0].Result))
	var id string
	require.NoError(t, json.Unmarshal(answers[1].Result, &id))
	require.Equal(t, notification(id, `1`), receive(t, c))
}

func TestSubscriptionsAreBounded(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxSubscriptions = 2 })
	c := s.dial(t)
	id := subscribe(t, c)
	subscribe(t, c)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)
	require.Contains(t, receive(t, c), `"code":-32005`)
	send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"eth_unsubscribe","params":["%s"]}`, id))
	require.Contains(t, receive(t, c), `true`)
	subscribe(t, c)
}

func TestDroppedSubscriberIsTold(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	id := subscribe(t, c)
	s.events <- nil
	_, _, err := c.ReadMessage()
	var closed *websocket.CloseError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, websocket.CloseTryAgainLater, closed.Code)
	require.Equal(t, "subscription "+id+" dropped: 7 blocks behind", closed.Text)
}

func TestSendsOfOneConnectionStayInOrderAndGather(t *testing.T) {
	s := start(t, nil)
	s.hold = make(chan struct{})
	c := s.dial(t)
	const n = 20
	for i := range n {
		send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"eth_sendRawTransaction","params":["0x01%02x"]}`, i, i))
		if i == 0 {
			<-s.started // the first is on its way alone
		}
	}
	// Another request's answer shows that the reader has queued all of them.
	send(t, c, `{"jsonrpc":"2.0","id":"after","method":"test_echo"}`)
	require.Contains(t, receive(t, c), `"after"`)
	s.hold <- struct{}{}
	<-s.started
	close(s.hold)
	for i := range n {
		require.Contains(t, receive(t, c), fmt.Sprintf(`"id":%d,"result"`, i))
	}
	require.Equal(t, []int{1, n - 1}, s.groups, "what waited went together")
	for i, raw := range s.sent {
		require.Equal(t, string([]byte{1, byte(i)}), raw)
	}
}

// A client that asks and never reads costs what it may have in flight, and ends when its answers cannot be written.
func TestClientThatNeverReads(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxInFlight, c.WriteTimeout = 4, 300*time.Millisecond })
	c := s.dial(t)
	require.NoError(t, c.NetConn().(*net.TCPConn).SetReadBuffer(4096))
	big := []byte(`{"jsonrpc":"2.0","id":1,"method":"test_big","params":[4000000]}`)
	var err error
	for err == nil {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(20*time.Second)))
		err = c.WriteMessage(websocket.TextMessage, big)
	}
	require.NotErrorIs(t, err, net.ErrClosed)
	var timeout net.Error
	if strings.Contains(err.Error(), "timeout") {
		require.ErrorAs(t, err, &timeout)
		t.Fatal("the server kept a client that never reads")
	}
}

func TestDeadConnectionEnds(t *testing.T) {
	s := start(t, func(c *Config) { c.IdleTimeout = 3 * time.Second })
	alive, dead := s.dial(t), s.dial(t)
	dead.SetPingHandler(func(string) error { return nil }) // answers no ping
	ended := make(chan error, 1)
	go func() {
		_, _, err := dead.ReadMessage()
		ended <- err
	}()
	pings := 0
	pong := alive.PingHandler()
	alive.SetPingHandler(func(data string) error {
		if pings++; pings == 4 { // more than a connection may be silent
			send(t, alive, `{"jsonrpc":"2.0","id":1,"method":"test_echo"}`)
		}
		return pong(data)
	})
	require.Contains(t, receive(t, alive), `"result":null`, "who answers pings stays")
	require.Error(t, <-ended)
}
