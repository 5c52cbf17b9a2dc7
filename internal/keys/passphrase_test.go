package keys

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// script is a person at a terminal who types what is written down.
type script struct {
	answers         []string
	questions, told []string
}

func (s *script) Ask(question string) ([]byte, error) {
	s.questions = append(s.questions, question)
	if len(s.answers) == 0 {
		return nil, errors.New("end of input")
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return []byte(a), nil
}

func (s *script) Tell(line string) { s.told = append(s.told, line) }

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func secretFile(t *testing.T, text string, mode os.FileMode) string {
	path := filepath.Join(t.TempDir(), "passphrase")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestSourcesInTheirOrder(t *testing.T) {
	flag, config, env := secretFile(t, "of the flag\n", 0o600), secretFile(t, "of node.toml\r\n", 0o400), secretFile(t, "of the file", 0o600)
	s := Sources{Flag: flag, Config: config, Terminal: &script{answers: []string{"of the terminal"}},
		Env: environment(map[string]string{EnvPassphraseFile: env, EnvPassphrase: "of the environment"})}
	for _, step := range []struct {
		want string
		then func()
	}{
		{"of the flag", func() { s.Flag = "" }},
		{"of node.toml", func() { s.Config = "" }},
		{"of the file", func() { s.Env = environment(map[string]string{EnvPassphrase: "of the environment"}) }},
		{"of the environment", func() { s.Env = environment(nil) }},
		{"of the terminal", func() { s.Terminal = nil }},
	} {
		require.NoError(t, s.Unlock("it", 0, func(p []byte) error { require.Equal(t, step.want, string(p)); return nil }))
		step.then()
	}
	err := s.Unlock("node.key", 0, func([]byte) error { t.Fatal("called"); return nil })
	require.ErrorIs(t, err, ErrNoPassphrase)
	for _, way := range []string{"node.key", "--passphrase-file", "key.passphrase_file", EnvPassphrase, "terminal"} {
		require.ErrorContains(t, err, way, "it says what to do")
	}
	_, err = s.New("it")
	require.ErrorIs(t, err, ErrNoPassphrase)
}

func TestAttemptsAreBounded(t *testing.T) {
	wrong := func([]byte) error { return ErrPassphrase }
	person := &script{answers: []string{"one", "two", "three", "four"}}
	s := Sources{Terminal: person, Env: environment(nil)}
	err := s.Unlock("node.key", 0, wrong)
	require.ErrorIs(t, err, ErrPassphrase)
	require.EqualError(t, err, "wrong passphrase for node.key (attempt 3 of 3)")
	require.Equal(t, []string{"wrong passphrase for node.key (attempt 1 of 3)", "wrong passphrase for node.key (attempt 2 of 3)"}, person.told)
	require.Len(t, person.questions, 3)

	person = &script{answers: []string{"one", "two", "three"}}
	s.Terminal = person
	require.ErrorIs(t, s.Unlock("token", 2, wrong), ErrPassphrase)
	require.Len(t, person.questions, 2, "a token locks itself")

	person = &script{answers: []string{"one", "right"}}
	s.Terminal = person
	require.NoError(t, s.Unlock("it", 0, func(p []byte) error {
		if string(p) != "right" {
			return ErrPassphrase
		}
		return nil
	}))
	broken := errors.New("broken")
	person = &script{answers: []string{"one", "two"}}
	s.Terminal = person
	require.ErrorIs(t, s.Unlock("it", 0, func([]byte) error { return broken }), broken)
	require.Len(t, person.questions, 1, "another error is no reason to ask again")

	calls := 0
	s = Sources{Env: environment(map[string]string{EnvPassphrase: "wrong one"}), Terminal: &script{}}
	err = s.Unlock("node.key", 0, func([]byte) error { calls++; return ErrPassphrase })
	require.EqualError(t, err, "wrong passphrase for node.key (attempt 1 of 1, taken from JIALING_PASSPHRASE)")
	require.Equal(t, 1, calls)
}

func TestPassphraseIsClearedAfterUse(t *testing.T) {
	var kept []byte
	for _, s := range []Sources{{Terminal: &script{answers: []string{"secret!!"}}, Env: environment(nil)}, {Flag: secretFile(t, "secret!!\n", 0o600)}} {
		require.NoError(t, s.Unlock("it", 0, func(p []byte) error { require.Equal(t, "secret!!", string(p)); kept = p; return nil }))
		require.Equal(t, make([]byte, 8), kept)
	}
}

func TestNewPassphraseIsAskedTwice(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    string
		err     string
	}{
		"good":      {[]string{"long enough", "long enough"}, "long enough", ""},
		"corrected": {[]string{"short", "long enough", "long enuogh", "long enough", "long enough"}, "long enough", ""},
		"never":     {[]string{"short", "a", "b"}, "", "8 bytes at least"},
		"gone":      {[]string{"long enough"}, "", "end of input"},
	} {
		s := Sources{Terminal: &script{answers: c.answers}, Env: environment(nil)}
		p, err := s.New("it")
		if c.err != "" {
			require.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, string(p), name)
	}
	s := Sources{Env: environment(map[string]string{EnvPassphrase: "short"})}
	_, err := s.New("it")
	require.ErrorContains(t, err, "fewer than 8 bytes")
}

func TestPassphraseFilesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		says string
	}{
		"group":     {secretFile(t, "secret\n", 0o640), "chmod 600"},
		"world":     {secretFile(t, "secret\n", 0o604), "chmod 600"},
		"empty":     {secretFile(t, "\n", 0o600), "one line"},
		"two lines": {secretFile(t, "a\nb\n", 0o600), "one line"},
		"long":      {secretFile(t, string(make([]byte, maxPassphrase+1)), 0o600), "one line"},
		"folder":    {t.TempDir(), "no regular file"},
	} {
		_, err := ReadPassphrase(c.path)
		require.ErrorIs(t, err, ErrPassphraseFile, name)
		require.ErrorContains(t, err, c.says, name)
	}
	_, err := ReadPassphrase(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestSystemdCredential: systemd gives the service's user access by an access list, whose mask shows as the group's bits.
func TestSystemdCredential(t *testing.T) {
	path := secretFile(t, "secret\n", 0o440)
	_, err := ReadPassphrase(path)
	require.ErrorIs(t, err, ErrPassphraseFile)
	t.Setenv(envCredentials, filepath.Dir(path))
	p, err := ReadPassphrase(path)
	require.NoError(t, err)
	require.Equal(t, "secret", string(p))
	require.NoError(t, os.Chmod(path, 0o444))
	_, err = ReadPassphrase(path)
	require.ErrorIs(t, err, ErrPassphraseFile, "not even there for everybody")
}

func TestDrawnPassphrase(t *testing.T) {
	a, err := NewPassphrase(rand.Reader)
	require.NoError(t, err)
	b, err := NewPassphrase(rand.Reader)
	require.NoError(t, err)
	require.Len(t, a, 43)
	require.NotEqual(t, a, b)
	path := filepath.Join(t.TempDir(), "p")
	require.NoError(t, WritePassphrase(path, a))
	read, err := ReadPassphrase(path)
	require.NoError(t, err)
	require.Equal(t, a, read)
	require.ErrorIs(t, WritePassphrase(path, b), os.ErrExist)
}
