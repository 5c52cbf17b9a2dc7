package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
)

// maxSigning bounds the requests that are worked on at once; more are told to come again.
const maxSigning = 16

// signerTimes bound what a caller may take to ask and to listen.
const signerTime = 10 * time.Second

func (c *cli) signerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "signer", Short: "Sign for programs that do not get the keys"}
	cmd.AddCommand(c.signerServe())
	return cmd
}

func (c *cli) signerServe() *cobra.Command {
	var listen, policy, logFile string
	cmd := &cobra.Command{
		Use: "serve", Short: "Sign transactions that a policy allows, with accounts of the keystore", Args: cobra.NoArgs,
		Long: `Sign transactions that a policy allows, with accounts of the keystore, until Ctrl-C. Programs ask by POST /sign (docs/keys.md has the protocol) and see
no key; "jialing tx send --signer unix:/path" is one of them. The signer is shown whole transactions, never digests, and each answer is logged.`,
		Example: `  jialing signer serve --listen unix:/run/jialing/signer.sock --policy policy.toml --log signer.log`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if policy == "" {
				return usagef("--policy: what may it sign?")
			}
			judges, err := readPolicy(policy, time.Now)
			if err != nil {
				return err
			}
			l, err := listenSigner(listen)
			if err != nil {
				return err
			}
			defer l.Close() // a second time where run has
			out := c.err
			if logFile != "" {
				f, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
				if err != nil {
					return fmt.Errorf("open the log: %w", err)
				}
				defer f.Close()
				out = f
			}
			s := &signer{judges: judges, accounts: make(map[common.Address]client.KeyAccount), log: slog.New(slog.NewJSONHandler(out, nil)),
				busy: make(chan struct{}, maxSigning)}
			for address := range judges {
				if s.accounts[address], err = c.open(address.Hex()); err != nil {
					return err
				}
			}
			c.warn("signing for %s at %s", plural(len(judges), "account"), listen)
			return s.run(cmd.Context(), l)
		},
	}
	c.keystoreFlags(cmd)
	cmd.Flags().StringVar(&listen, "listen", "unix:jialing-signer.sock", "unix:/path (mode 0600), or http://host:port on loopback")
	cmd.Flags().StringVar(&policy, "policy", "", "TOML file that says what may be signed (required)")
	cmd.Flags().StringVar(&logFile, "log", "", "file to which every request and its answer are appended (default: stderr)")
	return cmd
}

// listenSigner takes a socket that only this user can open, or a port of this machine: what crosses machines needs TLS, which a proxy brings.
func listenSigner(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
			if conn, err := net.Dial("unix", path); err == nil {
				return nil, errors.Join(fmt.Errorf("another signer listens at %s", path), conn.Close())
			}
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove a dead signer's socket: %w", err)
			}
		}
		old := syscall.Umask(0o177) // before it exists, so that there is no moment at which others could open it
		l, err := net.Listen("unix", path)
		syscall.Umask(old)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return l, nil
	}
	hostPort, ok := strings.CutPrefix(address, "http://")
	if !ok || !isLoopback(hostOf(hostPort)) {
		return nil, usagef("--listen %q: write unix:/path, or http://host:port on loopback; other machines reach it through a proxy with TLS", address)
	}
	l, err := net.Listen("tcp", hostPort)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// signer answers POST /sign. Safe for concurrent use.
type signer struct {
	judges   map[common.Address]*judge
	accounts map[common.Address]client.KeyAccount
	log      *slog.Logger
	busy     chan struct{}
}

// run serves until ctx ends (nil).
func (s *signer) run(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sign", s.serve)
	server := &http.Server{Handler: mux, ReadTimeout: signerTime, WriteTimeout: signerTime, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signerTime)
	defer cancel()
	err := server.Shutdown(ctx)
	<-ended
	return err
}

func (s *signer) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	default:
		s.answer(w, http.StatusServiceUnavailable, client.SignResponse{Error: "busy, ask again"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, client.MaxSignMessage))
	if err != nil {
		s.answer(w, http.StatusRequestEntityTooLarge, client.SignResponse{Error: fmt.Sprintf("a request has %d bytes at most", client.MaxSignMessage)})
		return
	}
	var ask client.SignRequest
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&ask); err != nil || ask.ChainID == nil {
		s.answer(w, http.StatusBadRequest, client.SignResponse{Error: "the request is not {account, kind, chainId, payload}"})
		return
	}
	raw, err := s.sign(&ask)
	if err != nil {
		s.log.Warn("refused", "account", ask.Account, "err", err, "payload", ask.Payload)
		s.answer(w, http.StatusForbidden, client.SignResponse{Error: err.Error()})
		return
	}
	s.log.Info("signed", "account", ask.Account, "chain", ask.ChainID, "tx", client.TxHash(raw), "payload", ask.Payload)
	s.answer(w, http.StatusOK, client.SignResponse{Raw: raw})
}

// sign judges what the payload says and signs that.
func (s *signer) sign(ask *client.SignRequest) ([]byte, error) {
	account := s.accounts[ask.Account]
	if account == nil {
		return nil, fmt.Errorf("%w: account %s", errPolicy, ask.Account)
	}
	u, err := client.DecodeUnsigned(ask.Payload)
	if err != nil {
		return nil, err
	}
	if u.Kind != ask.Kind || u.Kind != account.Kind() || u.ChainID.Cmp(ask.ChainID.ToInt()) != 0 {
		return nil, fmt.Errorf("the payload is of kind %s and chain id %s, the account of kind %s; the request says %.20q and %s", u.Kind, u.ChainID, account.Kind(), ask.Kind,
			ask.ChainID.ToInt())
	}
	if err := s.judges[ask.Account].allow(u); err != nil {
		return nil, err
	}
	return account.SignTx(u.ChainID, u.Tx)
}

func (s *signer) answer(w http.ResponseWriter, status int, answer client.SignResponse) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.log.Warn("the caller went away", "err", err)
	}
}
