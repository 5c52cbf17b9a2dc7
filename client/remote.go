package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

const (
	// MaxSignMessage bounds a request to a remote signer and its answer, in bytes: a payload in hex, and the words around it.
	MaxSignMessage = 512 << 10
	// remoteTime bounds what a remote signer may take; one that waits for a person answers that it does and is asked again.
	remoteTime = 15 * time.Second
)

var (
	// ErrSigner is a remote signer that cannot be reached or does not answer as one.
	ErrSigner = errors.New("the remote signer does not answer as it should")
	// ErrSignerRefused is a remote signer whose policy does not let it sign; the error has its words.
	ErrSignerRefused = errors.New("the remote signer refuses")
)

// SignRequest is the body of POST /sign: what to sign, never a digest of it. Payload is EncodeUnsigned's; ChainID and Kind repeat what it says and must agree.
type SignRequest struct {
	Account common.Address `json:"account"`
	Kind    string         `json:"kind"`
	ChainID *hexutil.Big   `json:"chainId"`
	Payload hexutil.Bytes  `json:"payload"`
}

// SignResponse is the answer: the transaction with its signature, or why there is none.
type SignResponse struct {
	Raw   hexutil.Bytes `json:"raw,omitempty"`
	Error string        `json:"error,omitempty"`
}

// RemoteSigner is a signer in another process or machine: see docs/keys.md for the protocol. Safe for concurrent use.
type RemoteSigner struct {
	url  string
	http *http.Client
}

// DialSigner takes unix:/path, http://host:port or https://host:port. It connects with the first request.
func DialSigner(address string) (*RemoteSigner, error) {
	transport := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10}
	s := &RemoteSigner{url: address, http: &http.Client{Transport: transport, Timeout: remoteTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return nil, errors.New("signer unix: has no path")
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		s.url = "http://signer"
		return s, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("signer %q: write unix:/path, http://host:port or https://host:port", address)
	}
	s.url = strings.TrimSuffix(address, "/")
	return s, nil
}

// Account is the account of that address and kind, whose key the signer has. It is an Account for everything that sends.
func (s *RemoteSigner) Account(address common.Address, kind string) (*RemoteAccount, error) {
	if _, err := unsignedType(kind); err != nil {
		return nil, err
	}
	return &RemoteAccount{s, address, kind}, nil
}

// RemoteAccount is an Account whose key is elsewhere.
type RemoteAccount struct {
	signer  *RemoteSigner
	address common.Address
	kind    string
}

// Address implements Account.
func (a *RemoteAccount) Address() common.Address { return a.address }

// Kind is KindSecp256k1 or KindSM2.
func (a *RemoteAccount) Kind() string { return a.kind }

// SignTx implements Account: it asks the signer, and takes no answer but this very transaction signed by this very account. A refusal is ErrSignerRefused.
func (a *RemoteAccount) SignTx(chainID *big.Int, tx *Tx) ([]byte, error) {
	payload, err := EncodeUnsigned(a.kind, chainID, tx)
	if err != nil {
		return nil, err
	}
	raw, err := a.signer.sign(&SignRequest{Account: a.address, Kind: a.kind, ChainID: (*hexutil.Big)(chainID), Payload: payload})
	if err != nil {
		return nil, err
	}
	from, err := SenderOf(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if signed, err := unsignedOf(raw); err != nil || from != a.address || !bytes.Equal(signed, payload) {
		return nil, fmt.Errorf("%w: it signed another transaction than it was asked to, or as %s", ErrSigner, from)
	}
	return raw, nil
}

func (s *RemoteSigner) sign(ask *SignRequest) ([]byte, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("ask the signer: %w", err)
	}
	resp, err := s.http.Post(s.url+"/sign", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxSignMessage+1))
	if err != nil || len(b) > MaxSignMessage {
		return nil, fmt.Errorf("%w: its answer is cut off or exceeds %d bytes", ErrSigner, MaxSignMessage)
	}
	var answer SignResponse
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("%w: %s, and no JSON", ErrSigner, resp.Status)
	}
	switch {
	case answer.Error != "" && len(answer.Error) <= 1<<10:
		return nil, fmt.Errorf("%w: %s", ErrSignerRefused, answer.Error)
	case resp.StatusCode != http.StatusOK || len(answer.Raw) == 0:
		return nil, fmt.Errorf("%w: %s", ErrSigner, resp.Status)
	}
	return answer.Raw, nil
}
