package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// progressFormat is learn.json's "format".
const progressFormat = 1

// maxProgressFile bounds what is read of learn.json: a few labs of a few questions.
const maxProgressFile = 1 << 20

// progress is learn.json: what a student has answered so far.
type progress struct {
	Format int                  `json:"format"`
	Labs   map[int]*labProgress `json:"labs"`
}

// labProgress is one lab's, by question.
type labProgress struct {
	Questions map[int]*questionProgress `json:"questions"`
}

// questionProgress is one question's. Who was right once has solved it.
type questionProgress struct {
	Tries    int        `json:"tries"`
	Right    bool       `json:"right"`
	SolvedAt *time.Time `json:"solvedAt,omitempty"`
}

// readProgress reads the file; without one there is none yet.
func readProgress(path string) (*progress, error) {
	p := &progress{Format: progressFormat}
	b, err := readUpTo(path, maxProgressFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read your results: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(b, p); err != nil {
			return nil, fmt.Errorf("read your results in %s: %w; remove the file to begin anew", path, err)
		}
		if p.Format != progressFormat {
			return nil, fmt.Errorf("read your results in %s: format %d, this program knows %d; name another file with --progress", path, p.Format, progressFormat)
		}
	}
	if p.Labs == nil {
		p.Labs = make(map[int]*labProgress)
	}
	return p, nil
}

// solved is how many of a lab's questions 1 to n were answered right.
func (p *progress) solved(lab, n int) (count int) {
	l := p.Labs[lab]
	if l == nil {
		return 0
	}
	for q := 1; q <= n; q++ {
		if one := l.Questions[q]; one != nil && one.Right {
			count++
		}
	}
	return count
}

// note adds a try.
func (p *progress) note(lab, question int, right bool, at time.Time) {
	l := p.Labs[lab]
	if l == nil {
		l = new(labProgress)
		p.Labs[lab] = l
	}
	if l.Questions == nil {
		l.Questions = make(map[int]*questionProgress)
	}
	q := l.Questions[question]
	if q == nil {
		q = new(questionProgress)
		l.Questions[question] = q
	}
	q.Tries++
	if right && !q.Right {
		q.Right, q.SolvedAt = true, &at
	}
}

// write replaces the file whole.
func (p *progress) write(path string) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode your results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep your results: %w", err)
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep your results: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("keep your results: %w", err)
	}
	return nil
}
