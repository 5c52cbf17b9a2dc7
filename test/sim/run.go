package sim

import (
	"context"
	"fmt"
	"time"
)

// result is what one seed came to.
type result struct {
	// Name is the seed.
	Name string `json:"name"`
	// Failure is the broken invariant, empty for none.
	Failure string `json:"failure,omitempty"`
	// Events are the last ones before a failure.
	Events string `json:"events,omitempty"`
	// Log is the end of the nodes' logs before a failure.
	Log string `json:"log,omitempty"`
	// Simulated is the time on the bubble's clock, CPU what it cost.
	Simulated time.Duration `json:"simulated"`
	CPU       time.Duration `json:"cpu"`
	Nodes     int           `json:"nodes"`
	// Decisions is the height that the chain has reached, Transactions what is in it, Messages what nodes sent each other.
	Decisions    uint64         `json:"decisions"`
	Transactions int            `json:"transactions"`
	Messages     uint64         `json:"messages"`
	Faults       map[string]int `json:"faults"`
	// Recovery is the longest time that the network took to commit again after faults had ended.
	Recovery time.Duration `json:"recovery"`
}

// Bounds of a run, in the bubble's time.
const (
	// step is how often invariants are looked at while nothing else happens.
	step = time.Second
	// recovery bounds how long the network may take to commit, and all nodes to agree, once faults have ended.
	recovery = 60 * time.Second
	// quiet is how long a calm lasts after recovery.
	quiet = 20 * time.Second
	// maxFaults bounds those at a time.
	maxFaults = 3
)

// run lets a plan happen, in a bubble. dir is for what nodes want to have on a real disk.
func run(p *plan, dir string) *result {
	w, err := newWorld(p, dir)
	if err != nil {
		return &result{Failure: err.Error()}
	}
	r := &result{Nodes: p.nodes, Faults: w.counts}
	w.logf("%d validators, %d hosts, vices %v, faults %v", p.validators, p.nodes, p.vices, p.faults)
	for _, m := range w.members {
		w.begin(m)
	}
	ctx, cancel := context.WithCancel(context.Background())
	clients := make(chan struct{})
	go func() { defer close(clients); w.clients.run(ctx) }()
	r.Recovery = w.recover("start")
	for range p.rounds {
		if w.failed() != nil {
			break
		}
		w.chaos()
		r.Recovery = max(r.Recovery, w.recover("the faults"))
	}
	cancel()
	<-clients
	if w.failed() == nil {
		r.Transactions = w.check.final()
	}
	w.close()
	r.Simulated, r.Decisions, r.Messages = w.now(), w.check.height(), w.net.sent
	if n := w.nodeLog.leftovers; n > 0 {
		w.fail("%d times a node said: %s", n, leftBehind)
	}
	if err := w.failed(); err != nil {
		r.Failure, r.Events = err.Error(), w.events.String()
		r.Log = w.nodeLog.String(w.start)
	}
	return r
}

// chaos lets faults begin and end for as long as the plan says, and ends those that are left.
func (w *world) chaos() {
	var active []*fault
	end := time.Now().Add(w.plan.chaos)
	next := time.Now()
	for time.Now().Before(end) && w.failed() == nil {
		if !time.Now().Before(next) {
			next = time.Now().Add(time.Duration(w.rng.ExpFloat64() * float64(w.plan.pace)))
			if len(active) < maxFaults {
				if f := w.strike(w.plan.faults[w.rng.IntN(len(w.plan.faults))]); f != nil {
					active = append(active, f)
				}
			}
		}
		wake := time.Now().Add(step)
		if next.Before(wake) {
			wake = next
		}
		active = w.mend(active, time.Now(), &wake)
		time.Sleep(time.Until(wake))
		w.reap()
		w.check.step()
	}
	w.mend(active, time.Now().Add(24*time.Hour), new(time.Time))
	w.logf("all faults end")
}

// mend repairs what is over by t and sets wake to the next such time.
func (w *world) mend(active []*fault, t time.Time, wake *time.Time) (left []*fault) {
	for _, f := range active {
		if f.until.After(t) {
			left = append(left, f)
			if f.until.Before(*wake) {
				*wake = f.until
			}
			continue
		}
		w.logf("%s ends", f.kind)
		f.repair()
	}
	return left
}

// recover starts what is down and waits until the network commits again and all nodes agree.
func (w *world) recover(after string) time.Duration {
	for _, m := range w.members {
		w.begin(m)
	}
	begun := time.Now()
	probe := w.clients.probe()
	var waits string
	for {
		time.Sleep(step / 2)
		w.reap()
		w.check.step()
		if w.failed() != nil {
			return 0
		}
		if waits = w.check.settled(probe); waits == "" {
			break
		}
		if limit := recovery + w.plan.confirming(); time.Since(begun) > limit {
			w.fail("no progress within %s after %s: %s", limit, after, waits)
			return 0
		}
	}
	took := time.Since(begun)
	w.logf("recovered in %s at height %d", took.Round(time.Millisecond), w.check.height())
	for end := time.Now().Add(quiet); time.Now().Before(end) && w.failed() == nil; {
		time.Sleep(step)
		w.reap()
		w.check.step()
	}
	return took
}

func (r *result) String() string {
	return fmt.Sprintf("seed %s: %.1f min, %d nodes, %d decisions, %d transactions, recovery %s, CPU %.0f ms/min", r.Name, r.Simulated.Minutes(), r.Nodes, r.Decisions,
		r.Transactions, r.Recovery.Round(time.Millisecond), float64(r.CPU.Milliseconds())/max(r.Simulated.Minutes(), 0.001))
}
