package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
)

const testPolicy = `[[account]]
address = "ADDRESS"
chains = [2026]
max_value = "1ether"
max_fee = "100gwei"
recipients = ["0x7000000000000000000000000000000000000000"]
methods = ["0xa9059cbb"]
per_minute = 3
`

func writePolicy(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "policy.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestSignerJudgesWhatItSigns(t *testing.T) {
	for _, kind := range []string{client.KindSecp256k1, client.KindSM2} {
		a, err := client.NewAccount(kind)
		require.NoError(t, err)
		now := time.Unix(1_790_000_000, 0)
		judges, err := readPolicy(writePolicy(t, strings.Replace(testPolicy, "ADDRESS", a.Address().Hex(), 1)), func() time.Time { return now })
		require.NoError(t, err)
		var log bytes.Buffer
		s := &signer{judges: judges, accounts: map[common.Address]client.KeyAccount{a.Address(): a}, log: slog.New(slog.NewJSONHandler(&log, nil)), busy: make(chan struct{}, 1)}
		to := common.Address{0x70}
		request := func(chainID int64, change func(*client.Tx)) *client.SignRequest {
			nonce := uint64(0)
			tx := &client.Tx{To: &to, Gas: 21_000, Nonce: &nonce, FeeCap: big.NewInt(1), TipCap: big.NewInt(1)}
			change(tx)
			payload, err := client.EncodeUnsigned(kind, big.NewInt(chainID), tx)
			require.NoError(t, err)
			return &client.SignRequest{Account: a.Address(), Kind: kind, ChainID: (*hexutil.Big)(big.NewInt(chainID)), Payload: payload}
		}
		ether := big.NewInt(1e18)
		for name, c := range map[string]struct {
			ask  *client.SignRequest
			says string
		}{
			"chain":     {request(2027, func(*client.Tx) {}), "chain id 2027"},
			"value":     {request(2026, func(tx *client.Tx) { tx.Value = new(big.Int).Add(ether, big.NewInt(1)) }), "exceeds"},
			"fee":       {request(2026, func(tx *client.Tx) { tx.Gas, tx.FeeCap = 1_000_000, big.NewInt(1e6) }), "of fees"},
			"recipient": {request(2026, func(tx *client.Tx) { tx.To = &common.Address{0x71} }), "recipient"},
			"creation":  {request(2026, func(tx *client.Tx) { tx.To, tx.Data = nil, []byte{1} }), "deploys"},
			"method":    {request(2026, func(tx *client.Tx) { tx.Data = []byte{1, 2, 3, 4} }), "call data 0x01020304"},
			"stub":      {request(2026, func(tx *client.Tx) { tx.Data = []byte{0xa9, 5} }), "call data"},
			"account":   {&client.SignRequest{Account: common.Address{9}, Kind: kind, ChainID: new(hexutil.Big)}, "account"},
			"digest":    {&client.SignRequest{Account: a.Address(), Kind: kind, ChainID: new(hexutil.Big), Payload: make([]byte, 32)}, "no unsigned transaction"},
			"nothing":   {&client.SignRequest{Account: a.Address(), Kind: kind, ChainID: new(hexutil.Big)}, "no unsigned transaction"},
		} {
			_, err := s.sign(c.ask)
			require.ErrorContains(t, err, c.says, name)
		}
		lying := request(2026, func(*client.Tx) {})
		lying.ChainID = (*hexutil.Big)(big.NewInt(5))
		_, err = s.sign(lying)
		require.ErrorContains(t, err, "the request says")

		for _, change := range []func(*client.Tx){func(*client.Tx) {}, func(tx *client.Tx) { tx.Value = ether }, func(tx *client.Tx) { tx.Data = []byte{0xa9, 0x05, 0x9c, 0xbb, 1} }} {
			raw, err := s.sign(request(2026, change))
			require.NoError(t, err)
			from, err := client.SenderOf(raw)
			require.NoError(t, err)
			require.Equal(t, a.Address(), from)
		}
		_, err = s.sign(request(2026, func(*client.Tx) {}))
		require.ErrorContains(t, err, "3 signatures in the last minute")
		now = now.Add(time.Minute)

		body, err := json.Marshal(request(2026, func(*client.Tx) {}))
		require.NoError(t, err)
		post := func(body []byte) (int, string) {
			w := httptest.NewRecorder()
			s.serve(w, httptest.NewRequest(http.MethodPost, "/sign", bytes.NewReader(body)))
			return w.Code, w.Body.String()
		}
		status, text := post(body)
		require.Equal(t, http.StatusOK, status, text)
		status, _ = post(make([]byte, client.MaxSignMessage+1))
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
		for _, bad := range []string{"", "[]", `{"digest":"0x00"}`, `{"account":"0x01"}`} {
			status, _ = post([]byte(bad))
			require.Equal(t, http.StatusBadRequest, status, bad)
		}
		s.busy <- struct{}{}
		status, _ = post(body)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, log.String(), `"msg":"signed"`)
		require.NotContains(t, log.String(), a.Hex()[2:])
	}
}

func TestPoliciesThatCannotBe(t *testing.T) {
	good := strings.Replace(testPolicy, "ADDRESS", "0x0000000000000000000000000000000000000001", 1)
	for text, says := range map[string]string{
		"": "lists no account",
		strings.Replace(good, "chains", "chain", 1):                 "unknown key",
		strings.Replace(good, "[2026]", "[]", 1):                    "chains is empty",
		strings.Replace(good, "per_minute = 3", "", 1):              "per_minute",
		strings.Replace(good, "per_minute = 3", "per_minute=-1", 1): "per_minute",
		strings.Replace(good, "1ether", "much", 1):                  "amount",
		strings.Replace(good, "0xa9059cbb", "0xa9", 1):              "8 hex digits",
		strings.Replace(good, "0x7000", "0x70zz", 1):                "no address",
		strings.Replace(good, "0x0000", "0x00", 1):                  "no address",
		good + good: "twice",
	} {
		_, err := readPolicy(writePolicy(t, text), time.Now)
		require.ErrorContains(t, err, says, text)
	}
}
