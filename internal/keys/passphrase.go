package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	// EnvPassphrase holds a passphrase, EnvPassphraseFile the name of a file that does.
	EnvPassphrase     = "JIALING_PASSPHRASE"
	EnvPassphraseFile = "JIALING_PASSPHRASE_FILE"
	// envCredentials is where systemd puts what LoadCredential= names.
	envCredentials = "CREDENTIALS_DIRECTORY"

	// maxAttempts is how often a terminal is asked for one secret.
	maxAttempts = 3
	// minPassphrase keeps out what is guessed at once, whatever each guess costs.
	minPassphrase = 8
	// maxPassphrase bounds a passphrase's file; nobody types that much.
	maxPassphrase = 4 << 10
	// generatedBytes are 256 bits: as much as the strongest suite's cipher.
	generatedBytes = 32
)

var (
	// ErrNoPassphrase: a secret is sealed and no source has a passphrase.
	ErrNoPassphrase = errors.New("no passphrase given and no terminal to ask at")
	// ErrPassphraseFile is a file that must not hold a passphrase.
	ErrPassphraseFile = errors.New("passphrase file refused")
)

// Terminal asks a person. One caller at a time.
type Terminal interface {
	// Ask shows the question and reads a line without showing it.
	Ask(question string) ([]byte, error)
	// Tell shows a line.
	Tell(line string)
}

// Sources are where a passphrase comes from: the first that there is, in the order of the fields, the environment before the terminal.
type Sources struct {
	// Flag and Config name files: of the command line, and of node.toml.
	Flag, Config string
	// Env is os.LookupEnv where it is nil.
	Env func(string) (string, bool)
	// Terminal is nil where nobody can be asked.
	Terminal Terminal
}

// Unlock calls open with the passphrase of what (a file, a token) and clears it. open's ErrPassphrase makes a terminal be asked again, three times in all; the
// other sources have one answer. limit, where it is not 0, is how often open may be tried: a token locks itself.
func (s *Sources) Unlock(what string, limit int, open func(passphrase []byte) error) error {
	pass, from, err := s.given()
	if err != nil {
		return err
	}
	if pass != nil {
		defer clear(pass)
		return attempt(what, from, 1, 1, open(pass))
	}
	if s.Terminal == nil {
		return fmt.Errorf("%w: %s is protected. Name a file of mode 0600 that holds it with --passphrase-file or key.passphrase_file in node.toml, set %s, or "+
			"run this at a terminal", ErrNoPassphrase, what, EnvPassphrase)
	}
	attempts := maxAttempts
	if limit > 0 {
		attempts = min(attempts, limit)
	}
	for n := 1; ; n++ {
		pass, err := s.Terminal.Ask("Passphrase of " + what)
		if err != nil {
			return fmt.Errorf("read the passphrase: %w", err)
		}
		err = attempt(what, "", n, attempts, open(pass))
		clear(pass)
		if !errors.Is(err, ErrPassphrase) || n == attempts {
			return err
		}
		s.Terminal.Tell(err.Error())
	}
}

// attempt words a wrong passphrase.
func attempt(what, from string, n, of int, err error) error {
	if !errors.Is(err, ErrPassphrase) {
		return err
	}
	if from != "" {
		from = ", taken from " + from
	}
	return fmt.Errorf("%w for %s (attempt %d of %d%s)", ErrPassphrase, what, n, of, from)
}

// New is a passphrase for a secret that is about to be sealed. A terminal is asked twice. The caller clears it.
func (s *Sources) New(what string) ([]byte, error) {
	pass, from, err := s.given()
	if err != nil {
		return nil, err
	}
	if pass != nil {
		if len(pass) < minPassphrase {
			clear(pass)
			return nil, fmt.Errorf("the passphrase in %s has fewer than %d bytes", from, minPassphrase)
		}
		return pass, nil
	}
	if s.Terminal == nil {
		return nil, fmt.Errorf("%w: a new one is needed for %s. Name a file of mode 0600 that holds it with --passphrase-file, set %s, or run this at a terminal",
			ErrNoPassphrase, what, EnvPassphrase)
	}
	for n := 1; ; n++ {
		pass, err := s.askTwice(what)
		if err == nil {
			return pass, nil
		}
		if !errors.Is(err, errUnfit) || n == maxAttempts {
			return nil, err
		}
		s.Terminal.Tell(err.Error())
	}
}

// errUnfit is what a person can do better.
var errUnfit = errors.New("not accepted")

func (s *Sources) askTwice(what string) ([]byte, error) {
	first, err := s.Terminal.Ask("New passphrase for " + what)
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	if len(first) < minPassphrase {
		clear(first)
		return nil, fmt.Errorf("%w: it must have %d bytes at least", errUnfit, minPassphrase)
	}
	again, err := s.Terminal.Ask("Once more")
	defer clear(again)
	if err != nil {
		clear(first)
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	if !bytes.Equal(first, again) {
		clear(first)
		return nil, fmt.Errorf("%w: the two passphrases differ", errUnfit)
	}
	return first, nil
}

// given is the passphrase of a source that is no person, and which one that was; nil where there is none.
func (s *Sources) given() (pass []byte, from string, err error) {
	env := s.Env
	if env == nil {
		env = os.LookupEnv
	}
	file := s.Flag
	if file == "" {
		file = s.Config
	}
	if file == "" {
		file, _ = env(EnvPassphraseFile)
	}
	if file != "" {
		pass, err := ReadPassphrase(file)
		return pass, file, err
	}
	if p, ok := env(EnvPassphrase); ok {
		if p == "" {
			return nil, "", fmt.Errorf("%s is set and empty", EnvPassphrase)
		}
		return []byte(p), EnvPassphrase, nil
	}
	return nil, "", nil
}

// ReadPassphrase reads a file that holds one line. One that others than its owner may read is refused; but what systemd lends a service
// (LoadCredential=) is as private as its folder, whatever the bits that its access list shows.
func ReadPassphrase(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	others := os.FileMode(0o077)
	if lent := os.Getenv(envCredentials); lent != "" && filepath.Dir(filepath.Clean(path)) == filepath.Clean(lent) {
		others = 0o027
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is no regular file", ErrPassphraseFile, path)
	case info.Mode().Perm()&others != 0:
		return nil, fmt.Errorf("%w: others than its owner may read %s (mode %04o); run: chmod 600 %s", ErrPassphraseFile, path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		clear(b)
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	pass := bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) > maxPassphrase || len(pass) == 0 || bytes.ContainsAny(pass, "\r\n\x00") {
		clear(b)
		return nil, fmt.Errorf("%w: %s must hold one line of 1 to %d bytes", ErrPassphraseFile, path, maxPassphrase)
	}
	return pass, nil
}

// NewPassphrase draws a passphrase that nobody can guess. The caller clears it.
func NewPassphrase(rand io.Reader) ([]byte, error) {
	b := make([]byte, generatedBytes)
	defer clear(b)
	if _, err := io.ReadFull(rand, b); err != nil {
		return nil, fmt.Errorf("draw a passphrase: %w", err)
	}
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// WritePassphrase writes a new file of mode 0600, durably; one that is there is fs.ErrExist.
func WritePassphrase(path string, passphrase []byte) error {
	b := append(append(make([]byte, 0, len(passphrase)+1), passphrase...), '\n')
	defer clear(b)
	return writeSecret(path, b)
}
