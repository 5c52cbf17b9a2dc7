// Package learn holds the labs: what a student reads, in English and in Chinese, and the questions at the end of each.
//
// It stands beside pool → order → execute → attest → store → serve as a client does: it imports nothing of it and owns text only. "jialing learn" shows
// the labs and asks the questions. What is right stands nowhere beside a question: cmd/jialing computes it from the student's own chain or from the
// platform's own rules, and of a choice choices.json has a digest.
//
// Invariants, which tests hold: both languages have the same commands and the same questions with the same options; every option has its explanation.
package learn

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.md choices.json
var files embed.FS

// Lang is a language in which the labs are written.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Langs are all of them.
var Langs = []Lang{English, Chinese}

// file is the name that a text has in a language.
func (l Lang) file(name string) string {
	if l == Chinese {
		return name + ".zh-CN.md"
	}
	return name + ".md"
}

// Lab is one lab in one language.
type Lab struct {
	Number int
	// Engine is the consensus engine's word, as the genesis has it.
	Engine  string
	Minutes int
	// Title is without the lab's number; Text is the whole lab as Markdown.
	Title, Text string
	Questions   []Question
}

// Question is one of a lab.
type Question struct {
	Number int
	Text   string
	// Options are none where the answer is not a choice.
	Options []Option
}

// Option is one answer to choose.
type Option struct{ Letter, Text string }

// entry is what stands in no text.
type entry struct {
	file, engine string
	minutes      int
}

var entries = []entry{
	{"1-block", "solo", 25},
	{"2-crashes", "raft", 35},
	{"3-lies", "bft", 40},
	{"4-stake", "pos", 40},
	{"5-work", "pow", 40},
}

// Count is how many labs there are; they are numbered from 1.
func Count() int { return len(entries) }

// ErrNoLab is a number or name that nothing here has.
var ErrNoLab = errors.New("there is no such lab")

// Read is lab number n in a language.
func Read(n int, lang Lang) (*Lab, error) {
	if n < 1 || n > len(entries) {
		return nil, fmt.Errorf("%w: %d (there are 1 to %d)", ErrNoLab, n, len(entries))
	}
	e := entries[n-1]
	text, err := read(lang.file(e.file))
	if err != nil {
		return nil, err
	}
	lab := &Lab{Number: n, Engine: e.engine, Minutes: e.minutes, Text: text}
	title := titles.FindStringSubmatch(text)
	if title == nil || title[1] != strconv.Itoa(n) {
		return nil, fmt.Errorf("lab %d in %q has no title with its number", n, lang)
	}
	lab.Title = title[2]
	lab.Questions, err = questions(text)
	if err != nil {
		return nil, fmt.Errorf("lab %d in %q: %w", n, lang, err)
	}
	return lab, nil
}

// Glossary is the list of words in a language, as Markdown.
func Glossary(lang Lang) (string, error) { return read(lang.file("glossary")) }

func read(name string) (string, error) {
	b, err := files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read the labs: %w", err)
	}
	return string(b), nil
}

var (
	titles  = regexp.MustCompile(`^# (?:Lab |实验)(\d+)(?:: |：)(.+)\n`)
	asked   = regexp.MustCompile(`^\*\*(?:Question |问题 ?)(\d+)(?:\.|。)\*\* *(.*)$`)
	options = regexp.MustCompile(`^- ([a-e])\) (.+)$`)
)

// questions reads them from a lab's text: each begins with its number in bold, its options are a list lettered from a, and a heading ends it. Lines that
// are indented go on with what is above.
func questions(text string) (out []Question, err error) {
	var part *string // what the next line goes on with
	for _, line := range strings.Split(text, "\n") {
		switch m, o := asked.FindStringSubmatch(line), options.FindStringSubmatch(line); {
		case m != nil:
			n, err := strconv.Atoi(m[1])
			if err != nil || n != len(out)+1 {
				return nil, fmt.Errorf("question %q follows %d others", m[1], len(out))
			}
			out = append(out, Question{Number: n, Text: m[2]})
			part = &out[len(out)-1].Text
		case o != nil && len(out) > 0:
			q := &out[len(out)-1]
			if want := string(rune('a' + len(q.Options))); o[1] != want {
				return nil, fmt.Errorf("question %d: option %q where %q is due", q.Number, o[1], want)
			}
			q.Options = append(q.Options, Option{o[1], o[2]})
			part = &q.Options[len(q.Options)-1].Text
		case strings.HasPrefix(line, "#") || strings.HasPrefix(line, "```"):
			part = nil
		case part != nil && strings.TrimSpace(line) != "":
			*part += joint(*part, line) + strings.TrimSpace(line)
		}
	}
	return out, nil
}

// joint is what stands between two lines that are joined: nothing between Chinese characters.
func joint(above, below string) string {
	last, first := []rune(above), []rune(strings.TrimSpace(below))
	if len(last) > 0 && last[len(last)-1] > 0x2e7f && first[0] > 0x2e7f {
		return ""
	}
	return " "
}

// Choice is what there is to say on the options of one question.
type Choice struct {
	// Right is the digest of the letter that is right, see Digest.
	Right string `json:"right"`
	// Why explains each option by its letter and language.
	Why map[string]map[Lang]string `json:"why"`
}

// Choices are those of a lab, by question.
func Choices(lab int) (map[int]Choice, error) {
	b, err := files.ReadFile("choices.json")
	if err != nil {
		return nil, fmt.Errorf("read the labs' choices: %w", err)
	}
	var all map[int]map[int]Choice
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("read the labs' choices: %w", err)
	}
	return all[lab], nil
}

// Is tells whether the letter is the right one.
func (c *Choice) Is(lab, question int, letter string) bool {
	return c.Right == Digest(lab, question, letter)
}

// Digest is what choices.json has of the right letter, so that nobody reads it by accident. Whoever wants to know tries all letters.
func Digest(lab, question int, letter string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "jialing/learn/1 %d.%d %s", lab, question, letter))
	return hex.EncodeToString(sum[:8])
}

// ParseLang reads a language's word or locale, like "zh", "zh_CN.UTF-8" or "en".
func ParseLang(word string) (Lang, bool) {
	prefix, _, _ := strings.Cut(strings.ToLower(word), ".")
	prefix, _, _ = strings.Cut(strings.ReplaceAll(prefix, "-", "_"), "_")
	lang := Lang(prefix)
	return lang, slices.Contains(Langs, lang)
}
