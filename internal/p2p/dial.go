package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// maxTargets bounds who is dialled: members, the configuration's peers and those that discovery found.
	maxTargets = 2048
	// memberReconnectMax is the longest pause for members: a partition that heals leaves both ends pausing, and a chain may wait for it.
	memberReconnectMax = time.Second
	// settled is how long a connection has to last before the next pause starts from the shortest again: a peer that hangs up at once is not dialled
	// in a tight loop.
	settled = 5 * time.Second
)

// target is someone to be connected to, and the goroutine that sees to it. key and address are fixed, either may be "".
type target struct {
	net     *Network
	key     chain.Peer
	address string // only of targets without key; the others' are the book's
	// tries bounds the failures in a row after which a target of discovery is given up; 0 for all others.
	tries int
	// network is the neighbourhood of a target of discovery.
	network string
	kick    chan struct{} // holds one token when something has changed
	stop    context.CancelFunc
}

func (t *target) nudge() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// run connects and connects again until ctx ends.
func (t *target) run(ctx context.Context) {
	learned := t.key
	failures := 0
	var next time.Time
	for ctx.Err() == nil {
		// Wait while there is nothing to do.
		if c := t.net.book.connected(learned); c != nil {
			if !t.rest(ctx, -1) {
				return
			}
			if t.net.now().Sub(c.since) >= settled {
				failures, next = 0, time.Time{}
			}
			continue
		}
		if pause := max(time.Until(next), t.net.book.bannedFor(learned)); pause > 0 {
			if !t.rest(ctx, pause) {
				return
			}
			continue
		}
		peer, err := t.dial(ctx, failures)
		if err == nil || isVerdict(err, already) {
			if peer != "" {
				learned = peer
			}
			next = time.Now().Add(t.pause(learned, failures))
			failures++ // until the connection has lasted
			continue
		}
		if ctx.Err() != nil || isVerdict(err, ourselves) {
			return // our own address: nobody to connect to
		}
		failures++
		t.net.count.dialFailures.Add(1)
		if t.tries > 0 && failures >= t.tries {
			t.net.forget(t)
			return
		}
		next = time.Now().Add(t.pause(learned, failures))
		if isRefusal(err) {
			next = time.Now().Add(jitter(t.net.cfg.ReconnectMax)) // it will not change its mind soon
		}
	}
}

// rest waits for pause (for ever when negative) or a nudge; false when ctx ends.
func (t *target) rest(ctx context.Context, pause time.Duration) bool {
	var after <-chan time.Time
	if pause >= 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-t.kick:
	case <-after:
	}
	return true
}

// pause doubles with each failure, within bounds.
func (t *target) pause(peer chain.Peer, failures int) time.Duration {
	longest := t.net.cfg.ReconnectMax
	if peer != "" && t.net.book.isMember(peer) {
		longest = min(longest, memberReconnectMax)
	}
	return jitter(min(longest, t.net.cfg.ReconnectMin<<min(failures, 20)))
}

// jitter spreads d by a quarter to either side, so that two ends do not keep dialling at the same moment.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

// dial makes one attempt and notes how it went.
func (t *target) dial(ctx context.Context, attempt int) (chain.Peer, error) {
	address := t.address
	if t.key != "" {
		addresses := t.net.book.addresses(t.key)
		if len(addresses) == 0 {
			t.rest(ctx, -1) // until it is known where
			return "", &refusal{already, "no address"}
		}
		address = addresses[attempt%len(addresses)]
	}
	mux, err := t.net.channel.dial(ctx, address, t.key)
	if err != nil {
		if t.key != "" && ctx.Err() == nil {
			t.net.unreachable(t.key, address, plain(err))
		} else if ctx.Err() == nil {
			t.net.noteAddress(address, plain(err))
		}
		return "", err
	}
	how := toPeer
	if t.key == "" {
		how = toAddress
	}
	c, err := t.net.greet(ctx, mux, address, how)
	if c == nil {
		return "", err
	}
	if err != nil && ctx.Err() == nil && !isVerdict(err, already) && !isVerdict(err, ourselves) {
		t.net.unreachable(c.peer, address, plain(err))
	}
	if t.key == "" {
		t.net.noteAddress(address, "")
	}
	return c.peer, err
}

func isVerdict(err error, v verdict) bool {
	var r *refusal
	return errors.As(err, &r) && r.verdict == v
}

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r) || errors.Is(err, errOther)
}
