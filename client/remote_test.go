package client

import (
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"
)

func completeTx() *Tx {
	nonce, to := uint64(7), common.Address{0x70}
	return &Tx{To: &to, Value: big.NewInt(5), Data: []byte{1, 2, 3, 4, 5}, Gas: 60_000, Nonce: &nonce, FeeCap: big.NewInt(20), TipCap: big.NewInt(1),
		AccessList: types.AccessList{{Address: to, StorageKeys: []common.Hash{{1}}}}}
}

func newAccounts(t testing.TB) []KeyAccount {
	var out []KeyAccount
	for _, kind := range []string{KindSecp256k1, KindSM2} {
		a, err := NewAccount(kind)
		require.NoError(t, err)
		out = append(out, a)
	}
	return out
}

// serveSigner answers at a socket what answer says.
func serveSigner(t *testing.T, answer func(*SignRequest) (int, any)) *RemoteSigner {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask SignRequest
		if r.Method != http.MethodPost || r.URL.Path != "/sign" || json.NewDecoder(r.Body).Decode(&ask) != nil {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		status, body := answer(&ask)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() { require.NoError(t, server.Close()); <-done })
	s, err := DialSigner("unix:" + path)
	require.NoError(t, err)
	return s
}

func TestUnsignedIsWhatIsSigned(t *testing.T) {
	chainID := big.NewInt(2026)
	for _, a := range newAccounts(t) {
		for name, change := range map[string]func(*Tx){"call": func(*Tx) {}, "creation": func(tx *Tx) { tx.To = nil }, "empty": func(tx *Tx) { tx.Data, tx.AccessList, tx.Value = nil, nil, nil }} {
			tx := completeTx()
			change(tx)
			payload, err := EncodeUnsigned(a.Kind(), chainID, tx)
			require.NoError(t, err)
			u, err := DecodeUnsigned(payload)
			require.NoError(t, err, "%s %s", a.Kind(), name)
			require.Equal(t, a.Kind(), u.Kind)
			raw, err := a.SignTx(u.ChainID, u.Tx)
			require.NoError(t, err)
			from, err := SenderOf(raw)
			require.NoError(t, err)
			require.Equal(t, a.Address(), from)
			signed, err := unsignedOf(raw)
			require.NoError(t, err)
			require.Equal(t, payload, signed)
		}
	}
	tx := completeTx()
	tx.Authorizations = []types.SetCodeAuthorization{{}}
	_, err := EncodeUnsigned(KindSecp256k1, chainID, tx)
	require.ErrorContains(t, err, "EIP-7702")
	_, err = EncodeUnsigned("rsa", chainID, completeTx())
	require.ErrorContains(t, err, "unknown")
	_, err = EncodeUnsigned(KindSM2, chainID, &Tx{})
	require.ErrorIs(t, err, ErrIncompleteTx)
}

func TestRemoteAccountSigns(t *testing.T) {
	for _, a := range newAccounts(t) {
		s := serveSigner(t, func(ask *SignRequest) (int, any) {
			u, err := DecodeUnsigned(ask.Payload)
			if err != nil || ask.Account != a.Address() || ask.Kind != a.Kind() || ask.ChainID.ToInt().Cmp(u.ChainID) != 0 {
				return http.StatusBadRequest, SignResponse{Error: "not what was promised"}
			}
			raw, err := a.SignTx(u.ChainID, u.Tx)
			if err != nil {
				return http.StatusBadRequest, SignResponse{Error: err.Error()}
			}
			return http.StatusOK, SignResponse{Raw: raw}
		})
		remote, err := s.Account(a.Address(), a.Kind())
		require.NoError(t, err)
		raw, err := remote.SignTx(big.NewInt(2026), completeTx())
		require.NoError(t, err)
		from, err := SenderOf(raw)
		require.NoError(t, err)
		require.Equal(t, a.Address(), from)
	}
}

// TestRemoteSignerIsNotBelieved lets a signer sign other things than it was asked to.
func TestRemoteSignerIsNotBelieved(t *testing.T) {
	for _, a := range newAccounts(t) {
		other, err := NewAccount(a.Kind())
		require.NoError(t, err)
		sign := func(by Account, chainID int64, change func(*Tx)) func(*SignRequest) (int, any) {
			return func(*SignRequest) (int, any) {
				tx := completeTx()
				change(tx)
				raw, err := by.SignTx(big.NewInt(chainID), tx)
				if err != nil {
					panic(err)
				}
				return http.StatusOK, SignResponse{Raw: raw}
			}
		}
		say := func(status int, body any) func(*SignRequest) (int, any) {
			return func(*SignRequest) (int, any) { return status, body }
		}
		for name, c := range map[string]struct {
			answer func(*SignRequest) (int, any)
			is     error
		}{
			"another's signature": {sign(other, 2026, func(*Tx) {}), ErrSigner},
			"more value":          {sign(a, 2026, func(tx *Tx) { tx.Value = big.NewInt(6) }), ErrSigner},
			"another recipient":   {sign(a, 2026, func(tx *Tx) { tx.To = &common.Address{0x71} }), ErrSigner},
			"another chain":       {sign(a, 2027, func(*Tx) {}), ErrSigner},
			"garbage":             {say(200, SignResponse{Raw: []byte{2, 1}}), ErrSigner},
			"legacy":              {say(200, SignResponse{Raw: []byte{0xc0}}), ErrSigner},
			"nothing":             {say(200, SignResponse{}), ErrSigner},
			"no JSON":             {say(200, "yes"), ErrSigner},
			"too much":            {say(200, strings.Repeat("x", MaxSignMessage)), ErrSigner},
			"refusal":             {say(403, SignResponse{Error: "too much money"}), ErrSignerRefused},
			"long refusal":        {say(403, SignResponse{Error: strings.Repeat("x", 2000)}), ErrSigner},
			"failure":             {say(500, SignResponse{}), ErrSigner},
		} {
			remote, err := serveSigner(t, c.answer).Account(a.Address(), a.Kind())
			require.NoError(t, err)
			_, err = remote.SignTx(big.NewInt(2026), completeTx())
			require.ErrorIs(t, err, c.is, "%s %s", a.Kind(), name)
			require.Less(t, len(err.Error()), 2000)
		}
	}
	s, err := DialSigner("unix:" + filepath.Join(t.TempDir(), "nobody"))
	require.NoError(t, err)
	remote, err := s.Account(common.Address{1}, KindSM2)
	require.NoError(t, err)
	_, err = remote.SignTx(big.NewInt(2026), completeTx())
	require.ErrorIs(t, err, ErrSigner)
	for _, bad := range []string{"", "unix:", "ftp://x", "host:1", "http://"} {
		_, err := DialSigner(bad)
		require.Error(t, err, bad)
	}
	_, err = s.Account(common.Address{1}, "rsa")
	require.Error(t, err)
}

func FuzzDecodeUnsigned(f *testing.F) {
	for _, kind := range []string{KindSecp256k1, KindSM2} {
		b, err := EncodeUnsigned(kind, big.NewInt(2026), completeTx())
		require.NoError(f, err)
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{0x50, 0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := DecodeUnsigned(b)
		if err != nil {
			if !errors.Is(err, ErrUnsigned) {
				t.Fatal(err)
			}
			return
		}
		again, err := EncodeUnsigned(u.Kind, u.ChainID, u.Tx)
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}
