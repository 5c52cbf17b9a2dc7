package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/docs/learn"
)

// labTools are the programs beside jialing and make that labs use: on every system with a shell.
var labTools = []string{"kill", "sed", "grep", "tail", "cut", "cat", "cp", "rm", "curl", "sleep"}

// commandLines are the commands in a text's shell blocks, comments and continuations taken away.
func commandLines(text string) (out []string) {
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		code := strings.ReplaceAll(block[1], "\\\n", " ")
		for _, line := range strings.Split(code, "\n") {
			if i := strings.Index(line, " #"); i >= 0 {
				line = line[:i]
			}
			if line = strings.Join(strings.Fields(line), " "); line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

// commandWords splits a line into its commands and each of these into words, as a shell does: quotes hold together, a pipe, a semicolon, an ampersand and
// $( ) set commands apart, assignments and redirections are none.
func commandWords(t *testing.T, line string) (out [][]string) {
	var words []string
	end := func() {
		for len(words) > 0 && regexp.MustCompile(`^[A-Z]+=`).MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) > 0 {
			out = append(out, words)
		}
		words = nil
	}
	for rest := line; rest != ""; {
		switch {
		case rest[0] == ' ':
			rest = rest[1:]
		case strings.ContainsRune("|;&)", rune(rest[0])):
			end()
			rest = rest[1:]
		case rest[0] == '>':
			rest = regexp.MustCompile(`^> *\S+`).ReplaceAllString(rest, "")
		default:
			word := ""
			for rest != "" && !strings.ContainsRune(" |;&)", rune(rest[0])) {
				if inner, ok := strings.CutPrefix(rest, "$("); ok {
					depth, at := 1, 0
					for ; at < len(inner) && depth > 0; at++ {
						switch inner[at] {
						case '(':
							depth++
						case ')':
							depth--
						}
					}
					require.Zero(t, depth, line)
					out = append(out, commandWords(t, inner[:at-1])...)
					word, rest = word+"value", inner[at:]
					continue
				}
				if q := rest[0]; q == '\'' || q == '"' {
					closing := strings.IndexByte(rest[1:], q)
					require.GreaterOrEqual(t, closing, 0, line)
					word, rest = word+rest[1:1+closing], rest[closing+2:]
					continue
				}
				word, rest = word+rest[:1], rest[1:]
			}
			words = append(words, word)
		}
	}
	end()
	return out
}

// requireCommand wants a command of ours to be one: the subcommand exists, takes these flags and as many arguments.
func requireCommand(t *testing.T, args []string) {
	t.Helper()
	root := (&cli{}).root()
	cmd, rest, err := root.Find(args)
	require.NoError(t, err, "%q", args)
	require.True(t, cmd != root, "%q", args)
	if slices.Contains(rest, "--help") {
		return
	}
	require.NoError(t, cmd.ParseFlags(rest), "%q", args)
	require.True(t, cmd.Runnable(), "%q", args)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%q", args)
}

func requireCommandLine(t *testing.T, line string, targets []string) {
	t.Helper()
	for _, words := range commandWords(t, line) {
		switch words[0] {
		case "bin/jialing":
			requireCommand(t, words[1:])
		case "make":
			require.Contains(t, targets, words[1], line)
		default:
			require.Contains(t, labTools, words[0], line)
		}
	}
}

// makeTargets are the Makefile's.
func makeTargets(t *testing.T) (out []string) {
	b, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^([a-z]+):`).FindAllStringSubmatch(string(b), -1) {
		out = append(out, m[1])
	}
	return out
}

// TestLabsCommandsExist holds every command line of the labs to the commands that there are.
func TestLabsCommandsExist(t *testing.T) {
	targets := makeTargets(t)
	entries, err := os.ReadDir("../../docs/learn")
	require.NoError(t, err)
	lines := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".md") {
			continue
		}
		b, err := os.ReadFile("../../docs/learn/" + e.Name())
		require.NoError(t, err)
		for _, line := range commandLines(string(b)) {
			requireCommandLine(t, line, targets)
			lines++
		}
		// In running text too: `bin/jialing …` in backquotes.
		for _, m := range regexp.MustCompile("`(bin/jialing [^`]+)`").FindAllStringSubmatch(string(b), -1) {
			requireCommandLine(t, m[1], targets)
		}
	}
	require.Greater(t, lines, 10*learn.Count())
}

func TestCommandWords(t *testing.T) {
	for line, want := range map[string][][]string{
		`bin/jialing tx send 0x1 --value 1 --from dev:0`: {{"bin/jialing", "tx", "send", "0x1", "--value", "1", "--from", "dev:0"}},
		`TX=$(a b | c 'd e' | f) `:                       {{"a", "b"}, {"c", "d e"}, {"f"}},
		`sed 's/a b/c/' x > y`:                           {{"sed", "s/a b/c/", "x"}},
		`kill -9 $(cat a/$B/c)`:                          {{"cat", "a/$B/c"}, {"kill", "-9", "value"}},
		`A=b`:                                            nil,
		`a "b c" & d; e`:                                 {{"a", "b c"}, {"d"}, {"e"}},
	} {
		require.Equal(t, want, commandWords(t, line), line)
	}
}

// TestLanguagesAgree holds the two languages to the same commands and questions, and the tool to all of these.
func TestLanguagesAgree(t *testing.T) {
	for n := 1; n <= learn.Count(); n++ {
		en, err := learn.Read(n, learn.English)
		require.NoError(t, err)
		zh, err := learn.Read(n, learn.Chinese)
		require.NoError(t, err)
		require.Equal(t, commandLines(en.Text), commandLines(zh.Text), "lab %d", n)
		require.Equal(t, len(en.Questions), len(zh.Questions), "lab %d", n)
		require.GreaterOrEqual(t, len(en.Questions), 4)
		require.LessOrEqual(t, len(en.Questions), 7)
		choices, err := learn.Choices(n)
		require.NoError(t, err)
		for i, q := range en.Questions {
			require.Equal(t, len(q.Options), len(zh.Questions[i].Options), "lab %d, question %d", n, q.Number)
			choice, known := choices[q.Number]
			if len(q.Options) == 0 {
				require.NotNil(t, questionChecks[n][q.Number], "lab %d, question %d has neither options nor a check", n, q.Number)
				require.False(t, known)
				continue
			}
			require.Nil(t, questionChecks[n][q.Number])
			requireChoice(t, n, &q, choice)
		}
		require.Equal(t, len(en.Questions), len(choices)+len(questionChecks[n]), "lab %d: a check or choice without a question", n)
	}
	en, err := learn.Glossary(learn.English)
	require.NoError(t, err)
	zh, err := learn.Glossary(learn.Chinese)
	require.NoError(t, err)
	require.Equal(t, glossaryPairs(en, 1, 2), glossaryPairs(zh, 2, 1))
}

// requireChoice wants exactly one option right, and words in both languages on each.
func requireChoice(t *testing.T, lab int, q *learn.Question, choice learn.Choice) {
	t.Helper()
	right := 0
	var digests []string
	for _, o := range q.Options {
		digests = append(digests, o.Letter+" "+learn.Digest(lab, q.Number, o.Letter))
		if choice.Is(lab, q.Number, o.Letter) {
			right++
		}
		for _, lang := range learn.Langs {
			require.NotEmpty(t, choice.Why[o.Letter][lang], "lab %d, question %d, option %s in %s", lab, q.Number, o.Letter, lang)
		}
	}
	require.Equal(t, 1, right, "lab %d, question %d; its digests: %q", lab, q.Number, digests)
	require.Len(t, choice.Why, len(q.Options), "lab %d, question %d", lab, q.Number)
}

// glossaryPairs are the words of the table, English and Chinese, sorted.
func glossaryPairs(text string, en, zh int) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 4 && !strings.HasPrefix(cells[1], "--") {
			out = append(out, strings.TrimSpace(cells[en])+" = "+strings.TrimSpace(cells[zh])+" "+strings.TrimSpace(cells[len(cells)-2]))
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(out, func(s string) bool { return strings.Contains(s, "source") || strings.Contains(s, "来源") })
}
