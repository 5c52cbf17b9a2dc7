package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The view's size where no terminal says another.
const (
	statusWidth  = 80
	statusHeight = 24
)

// statusView is one picture of a node.
type statusView struct {
	RPC      string       `json:"rpc"`
	Error    string       `json:"error,omitempty"`
	Status   *nodeStatus  `json:"status"`
	Behind   uint64       `json:"behind"`
	Rates    *rates       `json:"rates"`
	Peers    []peerStatus `json:"peers"`
	Findings []finding    `json:"findings"`
	// lost is for how long the node has not answered.
	lost time.Duration
	now  time.Time
}

// view is the picture that the samples give.
func (w *watcher) view() *statusView {
	v := &statusView{RPC: w.url, now: time.Now(), Findings: []finding{}}
	if w.err != nil {
		v.Error, v.lost = w.err.Error(), time.Since(w.lost)
	}
	if len(w.samples) == 0 {
		return v
	}
	first, last := w.samples[0], w.samples[len(w.samples)-1]
	v.Status, v.Peers, v.now = last.answer.status, last.answer.peers, last.at
	v.Rates = ratesBetween(first.load, last.load, last.at.Sub(first.at))
	v.Behind = behind(v.Status, v.Peers)
	if w.err == nil {
		// The doctor's two looks are as far apart as it would have them, if there are such.
		earlier := first
		for _, s := range w.samples {
			if last.at.Sub(s.at) >= doctorWait {
				earlier = s
			}
		}
		name := memberName(v.Status.Name, 0)
		n := &nodeFacts{name: name, url: w.url, first: earlier.answer, second: last.answer}
		v.Findings = append(v.Findings, diagnose(&facts{nodes: []*nodeFacts{n}, watched: last.at.Sub(earlier.at)})...)
	}
	return v
}

// behind is by how many blocks the validators that it hears are ahead.
func behind(s *nodeStatus, peers []peerStatus) uint64 {
	top := s.Ordered
	for _, p := range peers {
		if p.Connected && p.Validator != nil && p.Height != nil {
			top = max(top, *p.Height)
		}
	}
	return top - s.Ordered
}

// style is how parts of the view are set off.
type style struct{ strong, faint, alarm, end string }

var (
	plainStyle  style
	colourStyle = style{"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"}
)

// paint sets text off; its width on the screen stays.
func (s style) paint(code, text string) string {
	if code == "" {
		return text
	}
	return code + text + s.end
}

// lines are the view for a screen of that size, never more or wider.
func (v *statusView) lines(width, height int, s style) []string {
	top := v.head(width, s)
	problems := v.problems(width, s)
	// Peers get what is left; problems go before peers.
	room := height - len(top) - len(problems) - 1
	out := append(top, v.peerLines(width, room, s)...)
	out = append(out, problems...)
	return out[:min(len(out), max(height, 1))]
}

func (v *statusView) head(width int, s style) []string {
	st := v.Status
	if st == nil {
		return []string{s.paint(s.strong, fit("jialing status of "+v.RPC, width)), ""}
	}
	who := memberName(st.Name, 0)
	if st.Validator != nil {
		who = fmt.Sprintf("%s, validator %d of %d", memberName(st.Name, *st.Validator), *st.Validator, len(st.Validators))
	} else if st.Work != nil && st.Work.Threads > 0 {
		who = "mines"
	} else if st.Name == "" {
		who = "follows"
	}
	line := func(label, text string) string { return fit(fmt.Sprintf("%-9s %s", label, text), width) }
	heights := fmt.Sprintf("%d ordered, %d on disk, %d final", st.Ordered, st.Durable, st.Finalized)
	if v.Behind > 0 {
		heights += fmt.Sprintf("; %d behind", v.Behind)
	}
	if st.Durable > 0 {
		heights += fmt.Sprintf("; last block %s ago", ago(time.Duration(max(st.Now-st.LastBlockAt, 0))*time.Millisecond))
	}
	leaderLabel, leader := "leader", "one node decides alone"
	if len(st.Validators) > 1 {
		leader = fmt.Sprintf("%s, view %d, %s seen since its start", dash(st.leader()), st.View, plural(st.LeaderChanges, "change"))
	}
	if st.Work != nil {
		leaderLabel, leader = "work", st.Work.line()
	}
	return []string{
		s.paint(s.strong, fit(fmt.Sprintf("%s  chain id %d, %s  |  %s", st.Chain, st.ChainID, st.Engine, who), width)),
		s.paint(s.faint, fit(fmt.Sprintf("%s  up %s  %s", v.RPC, ago(time.Duration(st.Now-st.StartedAt)*time.Millisecond), v.now.UTC().Format("15:04:05 UTC")), width)),
		"",
		line("height", heights),
		line("load", v.loadText()),
		line(leaderLabel, leader),
		line("pool", fmt.Sprintf("%s %d pending, %d queued, of %d", bar(st.Pool.Pending+st.Pool.Queued, st.Pool.Max), st.Pool.Pending, st.Pool.Queued, st.Pool.Max)),
		line("disk", fmt.Sprintf("%s free, reserve %s", bytesText(st.Disk.Free), bytesText(st.Disk.Reserve))),
		"",
	}
}

func (v *statusView) loadText() string {
	r := v.Rates
	if r == nil {
		return "not known yet (it is read from the node's /metrics)"
	}
	out := fmt.Sprintf("%.1f tx/s, %.1f blocks/s", r.TxsPerSecond, r.BlocksPerSecond)
	if r.FinalMs != nil {
		out += fmt.Sprintf(", %.1f ms from ordered to final", *r.FinalMs)
	}
	return out + fmt.Sprintf(" (last %.0f s)", r.Seconds)
}

// barWidth is the length of the pool's bar.
const barWidth = 20

func bar(n, limit int) string {
	full := 0
	if limit > 0 {
		full = min(barWidth, (n*barWidth+limit-1)/limit)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

func (v *statusView) peerLines(width, room int, s style) []string {
	if len(v.Peers) == 0 || room < 2 {
		return nil
	}
	out := []string{s.paint(s.faint, fit(fmt.Sprintf("%-16s %-22s %9s %6s %9s %9s", "peer", "address", "height", "lag", "clock", "trip"), width))}
	top := v.Status.Ordered + v.Behind
	for i, p := range v.Peers {
		if len(out) == room-1 && i < len(v.Peers)-1 {
			return append(out, fit(fmt.Sprintf("… and %d more", len(v.Peers)-i), width))
		}
		out = append(out, v.peerLine(&p, top, width, s))
	}
	return append(out, "")
}

func (v *statusView) peerLine(p *peerStatus, top uint64, width int, s style) string {
	name, address := cells(p.label(), 16), cells(dash(p.Address), 22)
	if !p.Connected {
		why := "away"
		if p.BannedUntil != nil {
			why = "banned"
		}
		if p.LastError != "" {
			why += ": " + p.LastError
		}
		return s.paint(s.alarm, fit(name+" "+address+" "+why, width))
	}
	height, lag, off, trip := "-", "-", "-", "-"
	if p.Height != nil {
		height, lag = fmt.Sprint(*p.Height), fmt.Sprint(top-min(top, *p.Height))
	}
	if p.ClockOffsetMs != nil {
		off = fmt.Sprintf("%+d ms", *p.ClockOffsetMs)
	}
	if p.RoundTripMs != nil {
		trip = fmt.Sprintf("%.1f ms", *p.RoundTripMs)
	}
	return fit(fmt.Sprintf("%s %s %9s %6s %9s %9s", name, address, height, lag, off, trip), width)
}

// shownProblems bounds the problems in the view; doctor lists all.
const shownProblems = 4

func (v *statusView) problems(width int, s style) []string {
	var out []string
	if v.Error != "" {
		out = append(out, s.paint(s.alarm, fit(fmt.Sprintf("no answer for %s: %s", ago(v.lost), v.Error), width)))
	}
	if v.Status == nil {
		return out
	}
	for i, d := range v.Findings {
		if i == shownProblems {
			out = append(out, fit(fmt.Sprintf("… and %d more: jialing doctor --rpc %s", len(v.Findings)-i, v.RPC), width))
			break
		}
		code := s.alarm
		if d.Severity == remark {
			code = s.faint
		}
		out = append(out, s.paint(code, fit(string(d.Severity)+"  "+d.Cause, width)))
	}
	if len(out) == 0 {
		out = []string{fit("no problems", width)}
	} else if len(v.Findings) > 0 && len(v.Findings) <= shownProblems {
		out = append(out, s.paint(s.faint, fit("what to do: jialing doctor --rpc "+v.RPC, width)))
	}
	return out
}

// cells pads or cuts text to a number of columns.
func cells(text string, columns int) string {
	text = fit(text, columns)
	return text + strings.Repeat(" ", columns-columnsOf(text))
}

// fit cuts text to a number of columns and marks the cut. Text of others must not play tricks on the terminal, so control characters become spaces.
func fit(text string, columns int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if columnsOf(text) <= columns {
		return text
	}
	var b strings.Builder
	used := 0
	for _, r := range text {
		if used+columnsOfRune(r) > columns-1 {
			break
		}
		b.WriteRune(r)
		used += columnsOfRune(r)
	}
	return b.String() + "…"
}

func columnsOf(text string) (n int) {
	for _, r := range text {
		n += columnsOfRune(r)
	}
	return n
}

// columnsOfRune is 2 for the characters of East Asian scripts, which terminals draw wide.
func columnsOfRune(r rune) int {
	if (r >= 0x1100 && r <= 0x115f) || (r >= 0x2e80 && r <= 0xa4cf) || (r >= 0xac00 && r <= 0xd7a3) || (r >= 0xf900 && r <= 0xfaff) ||
		(r >= 0xfe30 && r <= 0xfe6f) || (r >= 0xff00 && r <= 0xff60) || (r >= 0xffe0 && r <= 0xffe6) || (r >= 0x1f300 && r <= 0x3fffd) {
		return 2
	}
	return 1
}
