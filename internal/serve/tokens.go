package serve

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// A token is tokenPrefix ‖ 16 hex digits that name it ‖ "_" ‖ 64 hex digits of secret: 256 random bits need no slow hash.
const (
	tokenPrefix = "jlt_"
	tokenLength = len(tokenPrefix) + 16 + 1 + 64
)

// Bounds of the tokens file.
const (
	maxTokens     = 10_000
	maxTokensFile = 8 << 20
	maxTokenName  = 64
)

// ErrNoToken is a name that no valid token has.
var ErrNoToken = errors.New("there is no such token")

// Token is what a node keeps of a token: its hash by the chain's suite, never itself.
type Token struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Roles   []string    `json:"roles"`
	Hash    crypto.Hash `json:"hash"`
	Issued  time.Time   `json:"issued"`
	Expires time.Time   `json:"expires"`
	// Revoked is nil while it is not.
	Revoked *time.Time `json:"revoked,omitempty"`

	roles Roles
	// who and key are the caller's that shows it.
	who string
	key limitKey
}

// presented is a token that somebody shows.
type presented struct{ id, text string }

// parseToken checks the form alone.
func parseToken(text string) (presented, bool) {
	if len(text) != tokenLength || text[:len(tokenPrefix)] != tokenPrefix || text[len(tokenPrefix)+16] != '_' {
		return presented{}, false
	}
	id := text[len(tokenPrefix) : len(tokenPrefix)+16]
	if !lowerHex(id) || !lowerHex(text[len(tokenPrefix)+17:]) {
		return presented{}, false
	}
	return presented{id, text}, true
}

func lowerHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func tokenHash(suite crypto.Suite, text string) crypto.Hash {
	return suite.Sum([]byte("jialing rpc token 1"), []byte(text))
}

type tokensJSON struct {
	Suite  string  `json:"suite"`
	Tokens []Token `json:"tokens"`
}

// ReadTokens reads a tokens file; none is no tokens. Anybody but its owner being able to read or write it is an error.
func ReadTokens(path string, suite crypto.Suite) ([]Token, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read tokens: %s has mode %04o, so others could read or change it: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTokensFile+1))
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	tokens, err := decodeTokens(b, suite)
	if err != nil {
		return nil, fmt.Errorf("read tokens %s: %w", path, err)
	}
	return tokens, nil
}

func decodeTokens(b []byte, suite crypto.Suite) ([]Token, error) {
	if len(b) > maxTokensFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxTokensFile)
	}
	var file tokensJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, err
	}
	if file.Suite != suite.Name() {
		return nil, fmt.Errorf("its hashes are of suite %q, the chain's is %q", file.Suite, suite.Name())
	}
	if len(file.Tokens) > maxTokens {
		return nil, fmt.Errorf("it holds more than %d tokens", maxTokens)
	}
	seen := make(map[string]bool, len(file.Tokens))
	for i := range file.Tokens {
		t := &file.Tokens[i]
		var err error
		if len(t.ID) != 16 || !lowerHex(t.ID) || seen[t.ID] || checkTokenName(t.Name) != nil {
			return nil, fmt.Errorf("entry %d has a bad or repeated id, or a bad name", i+1)
		}
		if t.roles, err = ParseRoles(t.Roles); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		seen[t.ID] = true
	}
	return file.Tokens, nil
}

func checkTokenName(name string) error {
	if name == "" || len(name) > maxTokenName || printable(name) != name {
		return fmt.Errorf("a token's name has 1 to %d printable ASCII characters", maxTokenName)
	}
	return nil
}

// IssueToken draws a token from rand, writes its hash into the file and returns the token, which nobody can read again. A name that a valid token has is taken.
func IssueToken(path string, suite crypto.Suite, rand io.Reader, name string, roles []string, issued time.Time, lifetime time.Duration) (text string, t Token, err error) {
	if err := checkTokenName(name); err != nil {
		return "", t, err
	}
	if len(roles) == 0 {
		return "", t, errors.New("a token needs at least one role")
	}
	set, err := ParseRoles(roles)
	if err != nil {
		return "", t, err
	}
	var random [40]byte
	if _, err := io.ReadFull(rand, random[:]); err != nil {
		return "", t, fmt.Errorf("draw a token: %w", err)
	}
	id := hex.EncodeToString(random[:8])
	text = tokenPrefix + id + "_" + hex.EncodeToString(random[8:])
	t = Token{ID: id, Name: name, Roles: set.Words(), Hash: tokenHash(suite, text), Issued: issued.UTC(), Expires: issued.Add(lifetime).UTC(), roles: set}
	err = editTokens(path, suite, func(tokens []Token) ([]Token, error) {
		if slices.ContainsFunc(tokens, func(o Token) bool { return o.Name == name && o.valid(issued) }) {
			return nil, fmt.Errorf("a valid token is named %q already: revoke it first, or take another name", name)
		}
		// What has been over for a while says nothing any more.
		tokens = slices.DeleteFunc(tokens, func(o Token) bool { return issued.Sub(o.Expires) > keepExpired })
		if len(tokens) >= maxTokens {
			return nil, fmt.Errorf("the file holds %d tokens, which is the most", maxTokens)
		}
		return append(tokens, t), nil
	})
	return text, t, err
}

// keepExpired is how long an expired token is told apart from one that never was.
const keepExpired = 90 * 24 * time.Hour

func (t *Token) valid(now time.Time) bool { return t.Revoked == nil && now.Before(t.Expires) }

// RevokeToken revokes the valid tokens with that name or id; ErrNoToken when there is none.
func RevokeToken(path string, suite crypto.Suite, which string, now time.Time) (revoked []Token, err error) {
	err = editTokens(path, suite, func(tokens []Token) ([]Token, error) {
		at := now.UTC()
		for i := range tokens {
			if t := &tokens[i]; (t.Name == which || t.ID == which) && t.valid(now) {
				t.Revoked = &at
				revoked = append(revoked, *t)
			}
		}
		if len(revoked) == 0 {
			return nil, fmt.Errorf("%w: no valid token has the name or id %q", ErrNoToken, which)
		}
		return tokens, nil
	})
	return revoked, err
}

// editTokens changes the file as a whole; two that do so at once wait for each other.
func editTokens(path string, suite crypto.Suite, change func([]Token) ([]Token, error)) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock tokens: %w", err)
	}
	tokens, err := ReadTokens(path, suite)
	if err != nil {
		return err
	}
	if tokens, err = change(tokens); err != nil {
		return err
	}
	b, err := json.MarshalIndent(tokensJSON{suite.Name(), tokens}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode tokens: %w", err)
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write tokens: %w", err)
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err = errors.Join(err, dir.Sync()); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	return nil
}

// tokenFile is a tokens file that is read again when it changes. Safe for concurrent use.
type tokenFile struct {
	path   string
	suite  crypto.Suite
	log    *slog.Logger
	tokens atomic.Pointer[map[string]*Token]
	// changed, if not nil, hears in words what reading the file again has changed.
	changed func(what string)

	mu    sync.Mutex // guards watch, and reading
	watch watch
}

func openTokens(path string, suite crypto.Suite, log *slog.Logger) (*tokenFile, error) {
	f := &tokenFile{path: path, suite: suite, log: log, watch: newWatch(path)}
	f.watch.changed(time.Now())
	return f, f.read()
}

func (f *tokenFile) read() error {
	list, err := ReadTokens(f.path, f.suite)
	if err != nil {
		return err
	}
	tokens := make(map[string]*Token, len(list))
	for _, t := range list {
		t.who, t.key = "token "+t.Name, limitKey{name: "t" + t.ID}
		tokens[t.ID] = &t
	}
	f.tokens.Store(&tokens)
	return nil
}

// refresh reads the file again when it has changed, or when it is forced to. What cannot be read leaves what was.
func (f *tokenFile) refresh(now time.Time, force bool) error {
	if !force && !f.watch.due(now) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.watch.changed(now) && !force {
		return nil
	}
	before := *f.tokens.Load()
	if err := f.read(); err != nil {
		f.watch.failures.Add(1)
		f.log.Warn("the tokens file has changed and cannot be read; the tokens stay as they were", "err", err)
		return err
	}
	if what := tokenChanges(before, *f.tokens.Load()); what != "" && f.changed != nil {
		f.changed(what)
	}
	return nil
}

// tokenChanges tells which tokens came, were revoked or went; "" for none.
func tokenChanges(before, after map[string]*Token) string {
	var out []string
	for id, t := range after {
		switch old, ok := before[id]; {
		case !ok:
			out = append(out, "issued "+t.Name+" ("+id+"): "+strings.Join(t.Roles, ","))
		case old.Revoked == nil && t.Revoked != nil:
			out = append(out, "revoked "+t.Name+" ("+id+")")
		case old.Hash != t.Hash || old.roles != t.roles || !old.Expires.Equal(t.Expires) || (old.Revoked == nil) != (t.Revoked == nil):
			out = append(out, "altered "+t.Name+" ("+id+"): "+strings.Join(t.Roles, ","))
		}
	}
	for id, t := range before {
		if _, ok := after[id]; !ok {
			out = append(out, "removed "+t.Name+" ("+id+")")
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// check finds the token that p is; the error is an *errUnauthorized. How long it takes tells whether there is a token of that id, and nothing of its secret.
func (f *tokenFile) check(p presented, now time.Time) (*Token, error) {
	_ = f.refresh(now, false) // it has told the log, and what was stays
	t := (*f.tokens.Load())[p.id]
	if t == nil {
		return nil, errUnknownToken
	}
	hash := tokenHash(f.suite, p.text)
	if subtle.ConstantTimeCompare(hash[:], t.Hash[:]) != 1 {
		return nil, errUnknownToken
	}
	return t, t.over(now)
}

// still tells whether a token that check has found is valid yet, without its text.
func (f *tokenFile) still(was *Token, now time.Time) error {
	_ = f.refresh(now, false)
	t := (*f.tokens.Load())[was.ID]
	if t == nil || t.Hash != was.Hash {
		return errUnknownToken
	}
	if t.roles != was.roles {
		return &errUnauthorized{"altered", "the roles of the token have changed: connect again"}
	}
	return t.over(now)
}

var errUnknownToken = &errUnauthorized{"unknown", "the token is unknown to this node: it was issued for another one, or altered; ask the node's operator for one " +
	"(jialing rpc token issue)"}

// over is why the token is valid no more; nil while it is.
func (t *Token) over(now time.Time) error {
	switch {
	case t.Revoked != nil:
		return &errUnauthorized{"revoked", "the token was revoked on " + t.Revoked.Format(time.RFC3339) + ": ask the node's operator for a new one (jialing rpc token issue)"}
	case !now.Before(t.Expires):
		return &errUnauthorized{"expired", "the token expired on " + t.Expires.Format(time.RFC3339) + ": ask the node's operator for a new one (jialing rpc token issue)"}
	}
	return nil
}

// count is how many tokens are valid.
func (f *tokenFile) count(now time.Time) (n int) {
	for _, t := range *f.tokens.Load() {
		if t.valid(now) {
			n++
		}
	}
	return n
}
