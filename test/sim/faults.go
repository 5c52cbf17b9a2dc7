package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

// faultKind is something that goes wrong from outside; what members do wrong of their own will is a vice.
type faultKind int

const (
	faultPowerLoss faultKind = iota
	faultRestart
	faultBlackout
	faultLeaderKills
	faultPartition
	faultIsolation
	faultOneWay
	faultBridge
	faultLoss
	faultDelay
	faultDuplicates
	faultReorder
	faultNarrow
	faultSlowDisk
	faultFullDisk
	faultLostDisk
	faultClocks
	faultKinds
)

var faultNames = [...]string{"power loss", "restart", "blackout", "leader kills", "partition", "isolation", "one-way cut", "bridge", "loss", "delay",
	"duplicates", "reordering", "narrow links", "slow disk", "full disk", "lost disk", "clock skew"}

func (k faultKind) String() string { return faultNames[k] }

// fault is one that has begun. repair ends it.
type fault struct {
	kind   faultKind
	until  time.Time
	repair func()
}

// strike begins a fault of that kind; nil when there is nothing for it to do now.
func (w *world) strike(kind faultKind) *fault {
	begin := map[faultKind]func() (string, func()){
		faultPowerLoss: w.powerLoss, faultRestart: w.restart, faultBlackout: w.blackout, faultLeaderKills: w.leaderKills,
		faultPartition: w.partition, faultIsolation: w.isolation, faultOneWay: w.oneWay, faultBridge: w.bridge,
		faultLoss:       func() (string, func()) { return w.degrade(func(c *condition) { c.loss = 2 + w.rng.IntN(40) }) },
		faultDelay:      func() (string, func()) { return w.degrade(w.laggard()) },
		faultDuplicates: func() (string, func()) { return w.degrade(func(c *condition) { c.duplicate = 5 + w.rng.IntN(40) }) },
		faultReorder:    func() (string, func()) { return w.degrade(func(c *condition) { c.reorder = 5 + w.rng.IntN(60) }) },
		faultNarrow:     func() (string, func()) { return w.degrade(func(c *condition) { c.rate = 500 << w.rng.IntN(9) }) },
		faultSlowDisk:   w.slowDisk, faultFullDisk: w.fullDisk, faultLostDisk: w.lostDisk, faultClocks: w.clocks,
	}[kind]
	what, repair := begin()
	if repair == nil {
		return nil
	}
	length := min(w.duration(kind), w.plan.longest())
	w.count(kind.String())
	w.logf("%s for %s: %s", kind, length.Round(time.Millisecond), what)
	return &fault{kind: kind, until: time.Now().Add(length), repair: repair}
}

// duration draws how long a fault lasts: mostly short, now and then long enough that all time-outs have passed several times.
func (w *world) duration(kind faultKind) time.Duration {
	switch w.rng.IntN(10) {
	case 0, 1, 2:
		return time.Duration(100+w.rng.IntN(2000)) * time.Millisecond
	case 3, 4, 5, 6:
		return time.Duration(2000+w.rng.IntN(20_000)) * time.Millisecond
	case 7, 8:
		return time.Duration(20+w.rng.IntN(60)) * time.Second
	}
	if kind == faultPartition || kind == faultIsolation || kind == faultPowerLoss {
		return time.Duration(2+w.rng.IntN(5)) * time.Minute
	}
	return time.Duration(60+w.rng.IntN(60)) * time.Second
}

// running are the members with a node.
func (w *world) running() []*member {
	return slices.DeleteFunc(slices.Clone(w.members), func(m *member) bool { return m.now.Load() == nil })
}

// some draws up to most of the given, at least one unless there is none.
func (w *world) some(from []*member, most int) []*member {
	if len(from) == 0 || most < 1 {
		return nil
	}
	from = slices.Clone(from)
	w.rng.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return from[:1+w.rng.IntN(min(most, len(from)))]
}

func names(ms []*member) string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = fmt.Sprint(m.index)
	}
	return strings.Join(out, " ")
}

func (w *world) back(ms []*member) func() {
	return func() {
		for _, m := range ms {
			w.begin(m)
		}
	}
}

// unsynced draws how much of what was not synced survives: often nothing, sometimes all, else a part.
func (w *world) unsynced() int {
	return []int{0, 0, 20, 50, 80, 100}[w.rng.IntN(6)]
}

func (w *world) powerLoss() (string, func()) {
	ms := w.some(w.running(), 2)
	if len(ms) == 0 {
		return "", nil
	}
	keep := w.unsynced()
	for _, m := range ms {
		w.kill(m, keep)
	}
	return fmt.Sprintf("members %s, %d%% of what was unsynced is kept", names(ms), keep), w.back(ms)
}

func (w *world) restart() (string, func()) {
	ms := w.some(w.running(), 3)
	if len(ms) == 0 {
		return "", nil
	}
	for _, m := range ms {
		w.end(m)
	}
	return "members " + names(ms), w.back(ms)
}

func (w *world) blackout() (string, func()) {
	ms := w.running()
	if len(ms) == 0 {
		return "", nil
	}
	keep := w.unsynced()
	for _, m := range ms {
		w.kill(m, keep)
	}
	return fmt.Sprintf("all, %d%% of what was unsynced is kept", keep), w.back(ms)
}

// leader is the member that most running validators take for the leader; nil when none does.
func (w *world) leader() *member {
	votes := make(map[chain.ValidatorID]int)
	for _, m := range w.members {
		m.now.Load().read(func(s *node.Stages) {
			if leader := s.Engine.Status().Leader; leader != 0 {
				votes[leader]++
			}
		})
	}
	var best *member
	most := 0
	for _, m := range w.members {
		if n := votes[w.idOf(m.peer)]; n > 0 && m.now.Load() != nil && (best == nil || n > most) {
			best, most = m, n
		}
	}
	return best
}

// leaderKills takes the leader, and whoever follows it, up to the number that may fail.
func (w *world) leaderKills() (string, func()) {
	var killed []*member
	for range 1 + w.rng.IntN(3) {
		m := w.leader()
		if m == nil {
			break
		}
		keep := w.unsynced()
		w.kill(m, keep)
		killed = append(killed, m)
		if len(killed) > w.plan.faulty {
			w.begin(killed[0])
			killed = killed[1:]
		}
		time.Sleep(time.Duration(500+w.rng.IntN(5000)) * time.Millisecond)
	}
	if len(killed) == 0 {
		return "", nil
	}
	return "the last of them " + names(killed), w.back(killed)
}

// cut loses what goes from one group to another, and the other way if both.
func (w *world) cut(from, to []*member, both, on bool) {
	for _, a := range from {
		for _, b := range to {
			w.net.change(a.index, b.index, func(c *condition) { c.cut = on })
			if both {
				w.net.change(b.index, a.index, func(c *condition) { c.cut = on })
			}
		}
	}
}

// split draws two groups of all members.
func (w *world) split() (a, b []*member) {
	all := slices.Clone(w.members)
	w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := 1 + w.rng.IntN(len(all)-1)
	return all[:n], all[n:]
}

func (w *world) partition() (string, func()) {
	a, b := w.split()
	w.cut(a, b, true, true)
	return fmt.Sprintf("%s | %s", names(a), names(b)), func() { w.cut(a, b, true, false) }
}

// isolation parts one member, often the leader, from all others.
func (w *world) isolation() (string, func()) {
	m := w.members[w.rng.IntN(len(w.members))]
	if l := w.leader(); l != nil && w.rng.IntN(2) == 0 {
		m = l
	}
	rest := slices.DeleteFunc(slices.Clone(w.members), func(o *member) bool { return o == m })
	w.cut([]*member{m}, rest, true, true)
	return fmt.Sprintf("member %d", m.index), func() { w.cut([]*member{m}, rest, true, false) }
}

// oneWay loses what a group sends to another; the other direction works.
func (w *world) oneWay() (string, func()) {
	a, b := w.split()
	w.cut(a, b, false, true)
	return fmt.Sprintf("%s no longer reach %s", names(a), names(b)), func() { w.cut(a, b, false, false) }
}

// bridge splits all but one member, which both sides see.
func (w *world) bridge() (string, func()) {
	a, b := w.split()
	a = a[1:]
	if len(a) == 0 {
		return "", nil
	}
	w.cut(a, b, true, true)
	return fmt.Sprintf("%s | %s with one member between", names(a), names(b)), func() { w.cut(a, b, true, false) }
}

func (w *world) laggard() func(*condition) {
	delay := time.Duration(10<<w.rng.IntN(9)) * time.Millisecond
	return func(c *condition) { c.delay, c.jitter = delay, delay/2+1 }
}

// degrade spoils the links of some members, or all links.
func (w *world) degrade(spoil func(*condition)) (string, func()) {
	ms := w.some(w.members, len(w.members))
	for _, m := range ms {
		for _, o := range w.members {
			w.net.change(m.index, o.index, spoil)
		}
	}
	return "what members " + names(ms) + " send", func() {
		for _, m := range ms {
			for _, o := range w.members {
				w.net.change(m.index, o.index, func(c *condition) {
					cut := c.cut
					*c = healthy
					c.cut = cut
				})
			}
		}
	}
}

func (w *world) slowDisk() (string, func()) {
	ms := w.some(w.members, w.plan.faulty+1)
	slow := time.Duration(5<<w.rng.IntN(8)) * time.Millisecond
	for _, m := range ms {
		m.disk.slow.Store(int64(slow))
	}
	return fmt.Sprintf("members %s, %s a sync", names(ms), slow), func() {
		for _, m := range ms {
			m.disk.slow.Store(0)
		}
	}
}

// fullDisk lets a node stop by itself; who repairs the disk starts it again.
func (w *world) fullDisk() (string, func()) {
	ms := w.some(w.running(), 1)
	if len(ms) == 0 {
		return "", nil
	}
	m := ms[0]
	m.ailing = true
	m.disk.full.Store(true)
	return fmt.Sprintf("member %d", m.index), func() {
		m.disk.full.Store(false)
		w.end(m)
		m.ailing = false
		w.begin(m)
	}
}

// lostDisk replaces a disk: the member forgets what it promised, so it counts as one of those that may fail from then on. Who only follows promised
// nothing, unless it may be voted in or elected.
func (w *world) lostDisk() (string, func()) {
	promises := func(m *member) bool { return w.plan.work == nil && m.founder || w.plan.votes > 0 || w.plan.stake }
	untrusted := 0
	for _, m := range w.members {
		if m.untrusted.Load() && promises(m) && !w.isTwin(m) {
			untrusted++
		}
	}
	candidates := slices.DeleteFunc(w.running(), func(m *member) bool {
		return m.vice != nil || (!m.untrusted.Load() && promises(m) && untrusted >= w.plan.faulty)
	})
	ms := w.some(candidates, 1)
	if len(ms) == 0 {
		return "", nil
	}
	m := ms[0]
	if promises(m) {
		m.untrusted.Store(true)
	}
	w.kill(m, 0)
	w.wipe(m)
	w.check.forget(m)
	return fmt.Sprintf("member %d", m.index), w.back(ms)
}

// clocks sets some clocks wrong by as much as the chain is made to bear: any two differ by less than what a proposal may run ahead.
func (w *world) clocks() (string, func()) {
	ms := w.some(w.members, len(w.members))
	for _, m := range ms {
		m.clock.Store(int64(time.Duration(w.rng.IntN(9000)-4500) * time.Millisecond))
	}
	return "members " + names(ms), func() {
		for _, m := range ms {
			m.clock.Store(0)
		}
	}
}
