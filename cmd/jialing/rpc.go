package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/serve"
	"github.com/jialing-chain/jialing/internal/serve/audit"
)

func (c *cli) rpcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rpc",
		Short: "Say who may call a node, and call it",
	}
	token := &cobra.Command{
		Use:   "token",
		Short: "Issue, list and revoke the tokens of a node",
		Long: `Issue, list and revoke the tokens of a node. They work on the node's folder; a running node takes the change within a second of the next call.
A token is shown once: the node keeps only its hash.`,
	}
	token.AddCommand(c.tokenIssue(), c.tokenList(), c.tokenRevoke())
	cmd.AddCommand(token, c.rpcCall())
	return cmd
}

// accessFolder is a node's folder as far as tokens and audit need it.
type accessFolder struct {
	cfg   node.Config
	suite crypto.Suite
}

func openAccess(dir string) (*accessFolder, error) {
	cfg, err := node.LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	g, err := node.LoadGenesis(dir)
	if err != nil {
		return nil, err
	}
	suite, err := node.SuiteByName(g.Suite)
	return &accessFolder{cfg, suite}, err
}

// record puts a change of the folder on record. A running node has its log to itself: it records the change when it reads the file again.
func (f *accessFolder) record(action, what string) error {
	err := audit.Append(f.cfg.AuditFolder(), f.suite, audit.Entry{Who: "command line", Action: action, Params: []byte(what), Result: audit.OK})
	if errors.Is(err, audit.ErrInUse) {
		return nil
	}
	return err
}

// maxTokenLife is a lifetime beyond which a token is as good as one that never ends.
const maxTokenLife = 10 * 365 * 24 * time.Hour

type tokenView struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Roles   []string  `json:"roles"`
	Expires time.Time `json:"expires"`
	State   string    `json:"state,omitempty"`
	Token   string    `json:"token,omitempty"`
}

func (c *cli) tokenIssue() *cobra.Command {
	var dir, name, roles string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:     "issue",
		Short:   "Issue a token and print it, once",
		Example: `  jialing rpc token issue --dir mychain --name explorer --roles read,submit --expires 720h > explorer.token`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if expires < time.Minute || expires > maxTokenLife {
				return usagef("--expires must be 1m to %s", maxTokenLife)
			}
			if name == "" {
				return usagef("--name says whose token it is, for the audit log and for revoking it")
			}
			words := strings.FieldsFunc(roles, func(r rune) bool { return r == ',' || r == ' ' })
			if _, err := serve.ParseRoles(words); err != nil {
				return usageError{err}
			}
			f, err := openAccess(dir)
			if err != nil {
				return err
			}
			text, t, err := serve.IssueToken(f.cfg.TokensFile(), f.suite, rand.Reader, name, words, time.Now(), expires)
			if err != nil {
				return err
			}
			if err := f.record("token issued", fmt.Sprintf("%s (%s): %s", t.Name, t.ID, strings.Join(t.Roles, ","))); err != nil {
				return err
			}
			if c.json {
				return c.print(tokenView{Name: t.Name, ID: t.ID, Roles: t.Roles, Expires: t.Expires, Token: text}, nil)
			}
			c.warn("token %q (%s) for %s until %s; it is shown only now", t.Name, t.ID, strings.Join(t.Roles, ", "), t.Expires.Format(timeLayout))
			_, err = fmt.Fprintln(c.out, text)
			return err
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().StringVar(&name, "name", "", "who gets it")
	cmd.Flags().StringVar(&roles, "roles", "read,submit", "what it may: read, submit, admin, debug")
	cmd.Flags().DurationVar(&expires, "expires", 30*24*time.Hour, "how long it is valid")
	return cmd
}

func (c *cli) tokenList() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens of a node",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := openAccess(dir)
			if err != nil {
				return err
			}
			tokens, err := serve.ReadTokens(f.cfg.TokensFile(), f.suite)
			if err != nil {
				return err
			}
			out := make([]tokenView, len(tokens))
			for i, t := range tokens {
				out[i] = tokenView{Name: t.Name, ID: t.ID, Roles: t.Roles, Expires: t.Expires, State: tokenState(&t)}
			}
			return c.print(out, func(w io.Writer) {
				if len(out) == 0 {
					fmt.Fprintln(w, "no tokens")
				}
				for _, t := range out {
					fmt.Fprintf(w, "%s\t%s\t%s\tuntil %s\t%s\n", t.Name, t.ID, strings.Join(t.Roles, ","), t.Expires.Format(timeLayout), t.State)
				}
			})
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

func tokenState(t *serve.Token) string {
	switch {
	case t.Revoked != nil:
		return "revoked " + t.Revoked.Format(timeLayout)
	case !time.Now().Before(t.Expires):
		return "expired"
	}
	return "valid"
}

func (c *cli) tokenRevoke() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "revoke NAME|ID",
		Short: "Revoke a token: connections that were made with it end",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := openAccess(dir)
			if err != nil {
				return err
			}
			revoked, err := serve.RevokeToken(f.cfg.TokensFile(), f.suite, args[0], time.Now())
			if err != nil {
				return err
			}
			out := make([]tokenView, len(revoked))
			for i, t := range revoked {
				out[i] = tokenView{Name: t.Name, ID: t.ID, Roles: t.Roles, Expires: t.Expires, State: tokenState(&t)}
				if err := f.record("token revoked", t.Name+" ("+t.ID+")"); err != nil {
					return err
				}
			}
			return c.print(out, func(w io.Writer) {
				for _, t := range out {
					fmt.Fprintf(w, "revoked %s (%s)\n", t.Name, t.ID)
				}
			})
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

func (c *cli) rpcCall() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "call METHOD [PARAMETER]...",
		Short: "Call a method of a node and print its result",
		Long: `Call a method of a node and print its result as JSON. Parameters are JSON; what is none is taken as a string. The token of the file that
` + tokenVar + ` names goes along.`,
		Example: `  jialing rpc call eth_getBlockByNumber latest false
  ` + tokenVar + `=ops.token jialing rpc call jl_reloadAccess`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, ctx, done, err := c.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			params := make([]any, len(args)-1)
			for i, arg := range args[1:] {
				if params[i] = json.RawMessage(arg); !json.Valid([]byte(arg)) {
					params[i] = arg
				}
			}
			var result json.RawMessage
			if err := conn.RPC().CallContext(ctx, &result, args[0], params...); err != nil {
				return refusal(err)
			}
			enc := json.NewEncoder(c.out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return enc.Encode(result)
		},
	}
	c.rpcFlags(cmd)
	return cmd
}

// refusalText is the sentence in the body of a 401.
func refusalText(body []byte) string {
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error.Message == "" {
		return "401 Unauthorized"
	}
	return answer.Error.Message
}
