package main

import (
	"io"
	"text/tabwriter"
	"time"
)

// conclude puts what the run measured into lesson.json and shows it beside what earlier runs in the folder did.
func (d *demonstration) conclude() error {
	r := &d.lesson
	r.Engine, r.Suite, r.Nodes, r.At = d.flags.engine.kind, d.flags.suite, len(d.nodes.folders), time.Now().UTC()
	r.Finality, r.Parameters = d.flags.engine.finality, d.flags.parameters
	if r.Faults == nil {
		r.Faults = []lessonFault{}
	}
	l, err := readLesson(d.flags.dir)
	if err != nil {
		return err
	}
	l.add(*r)
	if err := l.write(d.flags.dir); err != nil {
		return err
	}
	if d.json {
		return nil
	}
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	io.WriteString(w, "\n")
	compareText(w, l.latest())
	return w.Flush()
}
