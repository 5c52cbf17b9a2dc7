package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/docs/learn"
)

// Bounds of what a student hands in.
const (
	// maxAnswersFile bounds a file of answers: some lines.
	maxAnswersFile = 64 << 10
	// maxAnswer bounds one answer: a path or a few names.
	maxAnswer = 4096
	// answerTimeout bounds the checking of one answer: each takes some calls to nodes on this machine.
	answerTimeout = 30 * time.Second
)

// errNotRight is an exam with open or wrong answers.
var errNotRight = errors.New("not all answers are right yet")

type checkFlags struct {
	*learnFlags
	dir, rpc, file string
	answers        []string
}

func (c *cli) learnCheck(shared *learnFlags) *cobra.Command {
	f := &checkFlags{learnFlags: shared}
	cmd := &cobra.Command{
		Use:   "check LAB",
		Short: "Ask a lab's questions and check the answers",
		Long: `Ask a lab's questions and check the answers. The network that you built in the lab must run: answers are compared with what it says. Everything else
is computed from the rules by which the nodes themselves work.

It asks at the terminal; an empty line leaves a question for later. With --answers or --answer it asks nothing. FILE has a line for each answer:

  1 = 0x5c504ed4…
  2 = b

What you have solved is kept in the file that --progress names. Exit codes: 0 all answers were right, 1 some were not or could not be checked, 2 it was
asked wrongly.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.checkLab(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.dir, "dir", "", "folder of the lab's network or demo (default labN)")
	cmd.Flags().StringVar(&f.rpc, "rpc", "", "a node of the lab's network, instead of those in --dir")
	cmd.Flags().StringVar(&f.file, "answers", "", "file of answers; - reads stdin")
	cmd.Flags().StringArrayVar(&f.answers, "answer", nil, "one answer: N=TEXT; may be repeated")
	return cmd
}

func (c *cli) checkLab(ctx context.Context, which string, f *checkFlags) error {
	lang, err := f.language()
	if err != nil {
		return err
	}
	lab, err := readLab(which, lang)
	if err != nil {
		return err
	}
	given, err := f.given(lab)
	if err != nil {
		return err
	}
	if given == nil && c.json {
		return usagef("--json needs the answers: give --answers FILE or --answer N=TEXT")
	}
	path, err := f.progressFile()
	if err != nil {
		return err
	}
	kept, err := readProgress(path)
	if err != nil {
		return err
	}
	choices, err := learn.Choices(lab.Number)
	if err != nil {
		return err
	}
	if f.dir == "" {
		f.dir = fmt.Sprintf("lab%d", lab.Number)
	}
	school := &liveNetwork{lab: lab, dir: f.dir, rpc: f.rpc}
	defer school.close()
	e := &exam{cli: c, lab: lab, lang: lang, choices: choices, school: school, kept: kept}
	if given == nil {
		err = e.ask(ctx)
	} else {
		e.mark(ctx, given)
	}
	return errors.Join(err, kept.write(path), e.report())
}

// given are the answers that the command line brings, by question; nil where it brings none.
func (f *checkFlags) given(lab *learn.Lab) (map[int]string, error) {
	if f.file == "" && len(f.answers) == 0 {
		return nil, nil
	}
	lines := f.answers
	if f.file != "" {
		b, err := readUpTo(f.file, maxAnswersFile)
		if err != nil {
			return nil, fmt.Errorf("read the answers: %w", err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	out := make(map[int]string)
	for _, line := range lines {
		number, text, found := strings.Cut(line, "=")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		switch text = strings.TrimSpace(text); {
		case !found || err != nil || text == "" || len(text) > maxAnswer:
			return nil, usagef("answer %.80q: write the question's number, = and the answer, like 2=b", line)
		case n < 1 || n > len(lab.Questions):
			return nil, usagef("answer %.80q: lab %d has questions 1 to %d", line, lab.Number, len(lab.Questions))
		case out[n] != "":
			return nil, usagef("question %d is answered twice", n)
		}
		out[n] = text
	}
	return out, nil
}

// exam is one run of questions.
type exam struct {
	*cli
	lab     *learn.Lab
	lang    learn.Lang
	choices map[int]learn.Choice
	school  school
	kept    *progress
	rows    []examRow
}

// What came of a question.
const (
	answerRight     = "right"
	answerWrong     = "wrong"
	answerUnchecked = "unchecked"
	answerOpen      = "open"
)

type examRow struct {
	Question int    `json:"question"`
	Answer   string `json:"answer,omitempty"`
	State    string `json:"state"`
	Why      string `json:"why,omitempty"`
}

// judge checks one answer.
func (e *exam) judge(ctx context.Context, q *learn.Question, answer string) examRow {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	row := examRow{Question: q.Number, Answer: answer, State: answerWrong}
	v, err := e.verdict(ctx, q, answer)
	switch {
	case err != nil:
		row.State, row.Why = answerUnchecked, err.Error()
		if hint := e.hint(err); hint != "" {
			row.Why += "\n→ " + hint
		}
		return row // it was nobody's try
	case v.right:
		row.State = answerRight
	}
	row.Why = say(e.lang, v.en, v.zh)
	e.kept.note(e.lab.Number, q.Number, v.right, time.Now().UTC().Truncate(time.Second))
	return row
}

// hint says what to do where an answer could not be checked.
func (e *exam) hint(err error) string {
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, errNobodyRuns) {
		return say(e.lang, "start the lab's network: ", "先启动本实验的网络：") + "jialing network start --dir " + e.school.where()
	}
	return advice(err)
}

func (e *exam) verdict(ctx context.Context, q *learn.Question, answer string) (verdict, error) {
	if len(q.Options) == 0 {
		return questionChecks[e.lab.Number][q.Number](ctx, e.school, answer)
	}
	letter := strings.ToLower(strings.Trim(answer, " ()."))
	choice := e.choices[q.Number]
	why, found := choice.Why[letter]
	if !found {
		last := q.Options[len(q.Options)-1].Letter
		return wrong("answer with one letter, a to "+last, "请用一个字母作答，a 到 "+last), nil
	}
	return verdict{choice.Is(e.lab.Number, q.Number, letter), why[learn.English], why[learn.Chinese]}, nil
}

// mark judges given answers.
func (e *exam) mark(ctx context.Context, given map[int]string) {
	for i := range e.lab.Questions {
		q := &e.lab.Questions[i]
		if answer := given[q.Number]; answer != "" {
			e.rows = append(e.rows, e.judge(ctx, q, answer))
		} else {
			e.rows = append(e.rows, examRow{Question: q.Number, State: answerOpen})
		}
	}
}

// ask asks one question after the other, each until it is right or left.
func (e *exam) ask(ctx context.Context) error {
	in := bufio.NewScanner(io.LimitReader(e.in, maxAnswersFile))
	in.Buffer(nil, maxAnswer)
	fmt.Fprintln(e.out, say(e.lang, fmt.Sprintf("Lab %d: %s. An empty line leaves a question for later.", e.lab.Number, e.lab.Title),
		fmt.Sprintf("实验%d：%s。直接回车跳过一题。", e.lab.Number, e.lab.Title)))
	for i := range e.lab.Questions {
		q := &e.lab.Questions[i]
		fmt.Fprintf(e.out, "\n%d. %s\n", q.Number, q.Text)
		for _, o := range q.Options {
			fmt.Fprintf(e.out, "   %s) %s\n", o.Letter, o.Text)
		}
		row := examRow{Question: q.Number, State: answerOpen}
		for row.State != answerRight && ctx.Err() == nil {
			fmt.Fprint(e.out, "> ")
			if !in.Scan() {
				break
			}
			answer := strings.TrimSpace(in.Text())
			if answer == "" {
				break
			}
			row = e.judge(ctx, q, answer)
			fmt.Fprintf(e.out, "%s  %s\n", row.word(e.lang), strings.ReplaceAll(row.Why, "\n", "\n   "))
		}
		row.Why = "" // it was said
		e.rows = append(e.rows, row)
	}
	if err := errors.Join(in.Err(), ctx.Err()); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	return nil
}

// word is the state in a language.
func (r *examRow) word(lang learn.Lang) string {
	switch r.State {
	case answerRight:
		return say(lang, "right", "正确")
	case answerWrong:
		return say(lang, "wrong", "不对")
	case answerUnchecked:
		return say(lang, "cannot be checked", "无法检查")
	}
	return say(lang, "open", "未答")
}

type examView struct {
	Lab       int       `json:"lab"`
	Right     int       `json:"right"`
	Of        int       `json:"of"`
	Questions []examRow `json:"questions"`
}

// report prints the result; the error tells that something is missing.
func (e *exam) report() error {
	v := examView{Lab: e.lab.Number, Of: len(e.lab.Questions), Questions: e.rows}
	for _, r := range e.rows {
		if r.State == answerRight {
			v.Right++
		}
	}
	err := e.print(v, func(w io.Writer) {
		fmt.Fprintln(w)
		for _, r := range v.Questions {
			fmt.Fprintf(w, "%d\t%s\t%s\n", r.Question, r.word(e.lang), strings.ReplaceAll(r.Why, "\n", "\n\t\t"))
		}
		fmt.Fprintln(w, say(e.lang, fmt.Sprintf("\n%d of %d right", v.Right, v.Of), fmt.Sprintf("\n答对 %d/%d", v.Right, v.Of)))
	})
	if err == nil && v.Right < v.Of {
		err = fmt.Errorf("lab %d: %w", v.Lab, errNotRight)
	}
	return err
}
