package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/docs/learn"
)

// learnFlags are what the subcommands of learn share.
type learnFlags struct {
	lang, progress string
}

func (c *cli) learnCommand() *cobra.Command {
	f := new(learnFlags)
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "Labs: try what a chain does, and have your answers checked",
		Long: `Labs in English and Chinese: what a chain does, tried out on this machine, with questions at the end. "jialing learn check" asks them. It computes the
answers from your own running network and from the rules of the platform, so everybody's answers are their own.

Without a subcommand it lists the labs and how far you are.`,
		Example: `  jialing learn
  jialing learn show 1 --lang zh
  jialing learn check 1 --dir lab1`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.listLabs(f) },
	}
	cmd.PersistentFlags().StringVar(&f.lang, "lang", "", "language: en or zh (default what LC_ALL, LC_MESSAGES or LANG says, else en)")
	cmd.PersistentFlags().StringVar(&f.progress, "progress", "", "file that keeps what you have solved (default ~/.jialing/learn.json)")
	cmd.AddCommand(c.learnShow(f), c.learnCheck(f))
	return cmd
}

// language is what --lang says, else the environment.
func (f *learnFlags) language() (learn.Lang, error) {
	if f.lang != "" {
		lang, ok := learn.ParseLang(f.lang)
		if !ok {
			return "", usagef("--lang %q: the labs are written in en and zh", f.lang)
		}
		return lang, nil
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if word := os.Getenv(name); word != "" {
			if lang, ok := learn.ParseLang(word); ok {
				return lang, nil
			}
			break // the first that is set counts
		}
	}
	return learn.English, nil
}

// progressFile is where the results are kept.
func (f *learnFlags) progressFile() (string, error) {
	if f.progress != "" {
		return f.progress, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the file of results: %w; name one with --progress", err)
	}
	return filepath.Join(home, ".jialing", "learn.json"), nil
}

// labView is a line of the list.
type labView struct {
	Lab       int    `json:"lab"`
	Title     string `json:"title"`
	Engine    string `json:"engine"`
	Minutes   int    `json:"minutes"`
	Questions int    `json:"questions"`
	Solved    int    `json:"solved"`
}

func (c *cli) listLabs(f *learnFlags) error {
	lang, err := f.language()
	if err != nil {
		return err
	}
	path, err := f.progressFile()
	if err != nil {
		return err
	}
	p, err := readProgress(path)
	if err != nil {
		return err
	}
	var rows []labView
	for n := 1; n <= learn.Count(); n++ {
		lab, err := learn.Read(n, lang)
		if err != nil {
			return err
		}
		rows = append(rows, labView{n, lab.Title, lab.Engine, lab.Minutes, len(lab.Questions), p.solved(n, len(lab.Questions))})
	}
	return c.print(rows, func(w io.Writer) {
		fmt.Fprintln(w, say(lang, "lab\tminutes\tengine\tsolved\ttitle", "实验\t分钟\t共识\t答对\t标题"))
		for _, r := range rows {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\n", r.Lab, r.Minutes, r.Engine, say(lang, fmt.Sprintf("%d of %d", r.Solved, r.Questions), fmt.Sprintf("%d/%d", r.Solved, r.Questions)),
				r.Title)
		}
		fmt.Fprintln(w, say(lang, "\nread one with \"jialing learn show 1\", answer its questions with \"jialing learn check 1\"; \"jialing learn show glossary\" explains the words",
			"\n用 jialing learn show 1 阅读，用 jialing learn check 1 答题；术语见 jialing learn show glossary"))
	})
}

func (c *cli) learnShow(f *learnFlags) *cobra.Command {
	return &cobra.Command{
		Use: "show LAB|glossary", Short: "Print a lab, or the glossary", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			lang, err := f.language()
			if err != nil {
				return err
			}
			text := ""
			if args[0] == "glossary" {
				text, err = learn.Glossary(lang)
			} else {
				var lab *learn.Lab
				if lab, err = readLab(args[0], lang); err == nil {
					text = lab.Text
				}
			}
			if err != nil {
				return err
			}
			return c.print(map[string]string{"text": text}, func(w io.Writer) { fmt.Fprint(w, text) })
		},
	}
}

// readLab reads the lab that an argument names by its number.
func readLab(arg string, lang learn.Lang) (*learn.Lab, error) {
	n, err := strconv.Atoi(strings.TrimSpace(arg))
	if err != nil {
		return nil, usagef("%q is no lab: give a number from 1 to %d", arg, learn.Count())
	}
	lab, err := learn.Read(n, lang)
	if errors.Is(err, learn.ErrNoLab) {
		return nil, usageError{err}
	}
	return lab, err
}

// say chooses the words of a language.
func say(lang learn.Lang, en, zh string) string {
	if lang == learn.Chinese {
		return zh
	}
	return en
}
