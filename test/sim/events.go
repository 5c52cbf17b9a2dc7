package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// keptEvents bounds the log of a world: what led to a failure is among the last of them.
const keptEvents = 400

// eventLog is what happened, one line each. Safe for concurrent use.
type eventLog struct {
	mu    sync.Mutex
	lines []string
	lost  int
}

func (l *eventLog) add(at time.Duration, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == keptEvents {
		l.lines = l.lines[1:]
		l.lost++
	}
	l.lines = append(l.lines, fmt.Sprintf("%9.3fs %s", at.Seconds(), text))
}

// String is the log, oldest first.
func (l *eventLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	if l.lost > 0 {
		fmt.Fprintf(&b, "          (%d earlier events)\n", l.lost)
	}
	for _, line := range l.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}
