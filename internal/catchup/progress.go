package catchup

import (
	"log/slog"
	"time"
)

const (
	// reportEvery is how often a long catch-up says how far it is.
	reportEvery = 3 * time.Second
	// worthReporting is how many blocks are worth a line at the end: who only follows fetches one now and then.
	worthReporting = 32
)

// progress tells people how a fetch goes. One goroutine has it.
type progress struct {
	log              *slog.Logger
	from, at, target uint64
	began            time.Time
	reported         time.Time
	blocks, last     int
}

// moved counts delivered blocks up to height.
func (p *progress) moved(blocks int, height uint64) {
	p.blocks += blocks
	p.at = max(p.at, height)
	now := time.Now()
	if p.reported.IsZero() {
		p.reported = p.began
	}
	passed := now.Sub(p.reported)
	if passed < reportEvery {
		return
	}
	rate := float64(p.blocks-p.last) / passed.Seconds()
	p.log.Info("catching up", "height", p.at, "target", p.target, "blocks_per_second", int(rate))
	p.reported, p.last = now, p.blocks
}

// end says what it came to.
func (p *progress) end(err error) {
	took := time.Since(p.began)
	switch {
	case err != nil:
		p.log.Info("catching up ended early", "height", p.at, "target", p.target, "blocks", p.blocks, "took", took.Round(time.Millisecond), "err", err)
	case p.last > 0 || p.blocks >= worthReporting:
		p.log.Info("caught up", "height", p.at, "target", p.target, "blocks", p.blocks, "took", took.Round(time.Millisecond),
			"blocks_per_second", int(float64(p.blocks)/max(took.Seconds(), 0.001)))
	}
}
