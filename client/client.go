package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// ErrUnreachable is a node that did not answer: not running, another address, or no JSON-RPC there.
var ErrUnreachable = errors.New("no node answers")

// Client talks to one node. It is safe for concurrent use. Close it when done.
type Client struct {
	rpc     *rpc.Client
	eth     *ethclient.Client
	chainID *big.Int
	// notifies tells whether the connection carries subscriptions (WebSocket).
	notifies bool
}

// Dial connects to http://, https://, ws:// or wss:// and asks for the chain id. Over WebSocket, receipts are awaited by subscription and
// SubscribeHeads works; over HTTP, by polling. ctx bounds the dialling only. opts bring what a node asks of its callers: a token
// (rpc.WithHeader("Authorization", "Bearer "+token)), or TLS settings (rpc.WithHTTPClient, rpc.WithWebsocketDialer).
func Dial(ctx context.Context, rawURL string, opts ...rpc.ClientOption) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("dial: %q is no URL like http://127.0.0.1:8545", rawURL)
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
	default:
		return nil, fmt.Errorf("dial: scheme %q is unknown, use http, https, ws or wss", u.Scheme)
	}
	conn, err := rpc.DialOptions(ctx, rawURL, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w: %w", rawURL, ErrUnreachable, err)
	}
	c := &Client{rpc: conn, eth: ethclient.NewClient(conn), notifies: strings.HasPrefix(u.Scheme, "ws")}
	if c.chainID, err = c.eth.ChainID(ctx); err != nil {
		conn.Close()
		var answered rpc.Error
		if errors.As(err, &answered) {
			return nil, fmt.Errorf("dial %s: ask for the chain id: %w", rawURL, err)
		}
		return nil, fmt.Errorf("dial %s: %w: %w", rawURL, ErrUnreachable, err)
	}
	return c, nil
}

// Close ends the connection; calls under way fail.
func (c *Client) Close() { c.rpc.Close() }

// RPC is the connection, for methods that have no helper here.
func (c *Client) RPC() *rpc.Client { return c.rpc }

// Eth is go-ethereum's client on the same connection; it serves abigen's bindings too.
func (c *Client) Eth() *ethclient.Client { return c.eth }

// ChainID is the chain's EIP-155 id, as asked for when dialling.
func (c *Client) ChainID() *big.Int { return new(big.Int).Set(c.chainID) }

// Balance is the account's balance in wei after the latest block.
func (c *Client) Balance(ctx context.Context, account common.Address) (*big.Int, error) {
	b, err := c.eth.BalanceAt(ctx, account, nil)
	return b, describe("read balance", err)
}

// Nonce is the account's next nonce, its transactions in the pool counted.
func (c *Client) Nonce(ctx context.Context, account common.Address) (uint64, error) {
	n, err := c.eth.PendingNonceAt(ctx, account)
	return n, describe("read nonce", err)
}

// Head is the latest block's header.
func (c *Client) Head(ctx context.Context) (*types.Header, error) {
	h, err := c.eth.HeaderByNumber(ctx, nil)
	return h, describe("read latest block", err)
}

// Finalized is the header of the latest block with a certificate.
func (c *Client) Finalized(ctx context.Context) (*types.Header, error) {
	h, err := c.eth.HeaderByNumber(ctx, big.NewInt(int64(rpc.FinalizedBlockNumber)))
	return h, describe("read finalized block", err)
}

// Block is a block with its transactions' hashes.
type Block struct {
	Header *types.Header
	Hash   common.Hash
	Txs    []common.Hash
}

// BlockTime is a block's time, with milliseconds where the header carries this platform's extra data and in seconds elsewhere.
func BlockTime(h *types.Header) time.Time {
	millis := int64(h.Time) * 1000
	if extra, err := decodeExtra(h.Extra); err == nil {
		millis += int64(extra.Millis)
	}
	return time.UnixMilli(millis).UTC()
}

// Block reads a block by number; nil is the latest. An unknown one is ethereum.NotFound.
func (c *Client) Block(ctx context.Context, number *big.Int) (*Block, error) {
	tag := "latest"
	if number != nil {
		tag = hexutil.EncodeBig(number)
	}
	return c.block(ctx, "eth_getBlockByNumber", tag)
}

// BlockByTag reads the block that "latest", "safe", "finalized", "earliest" or "pending" names.
func (c *Client) BlockByTag(ctx context.Context, tag string) (*Block, error) {
	return c.block(ctx, "eth_getBlockByNumber", tag)
}

// BlockByHash reads a block by its hash. An unknown one is ethereum.NotFound.
func (c *Client) BlockByHash(ctx context.Context, hash common.Hash) (*Block, error) {
	return c.block(ctx, "eth_getBlockByHash", hash)
}

func (c *Client) block(ctx context.Context, method string, id any) (*Block, error) {
	var raw json.RawMessage
	if err := c.rpc.CallContext(ctx, &raw, method, id, false); err != nil {
		return nil, describe("read block", err)
	}
	if string(raw) == "null" {
		return nil, fmt.Errorf("read block: %w", ethereum.NotFound)
	}
	b := &Block{Header: new(types.Header)}
	var body struct {
		Hash         common.Hash   `json:"hash"`
		Transactions []common.Hash `json:"transactions"`
	}
	if err := errors.Join(json.Unmarshal(raw, &body), json.Unmarshal(raw, b.Header)); err != nil {
		return nil, fmt.Errorf("read block: %w", err)
	}
	b.Hash, b.Txs = b.Header.Hash(), body.Transactions
	if b.Hash != body.Hash {
		return nil, fmt.Errorf("read block: the node names it %s, its header hashes to %s", body.Hash, b.Hash)
	}
	return b, nil
}

// Logs are the logs that match q, ascending. The node bounds the range and the number of results.
func (c *Client) Logs(ctx context.Context, q ethereum.FilterQuery) ([]types.Log, error) {
	logs, err := c.eth.FilterLogs(ctx, q)
	return logs, describe("read logs", err)
}

// SubscribeHeads sends every new block's header to ch until the subscription is dropped. It needs a WebSocket connection. Who reads ch too
// slowly is dropped: the error channel says so.
func (c *Client) SubscribeHeads(ctx context.Context, ch chan<- *types.Header) (ethereum.Subscription, error) {
	sub, err := c.eth.SubscribeNewHead(ctx, ch)
	return sub, describe("subscribe to blocks", err)
}
