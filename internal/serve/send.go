package serve

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// admit hands transactions to the pool and counts the calls.
func (s *Server) admit(ctx context.Context, raws [][]byte) (hashes []common.Hash, errs []error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	hashes, errs = s.sendRaw(ctx, raws)
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	m := s.metrics.methods["eth_sendRawTransaction"]
	m.ok.Add(float64(len(raws) - failed))
	m.failed.Add(float64(failed))
	m.seconds.Observe(time.Since(start).Seconds())
	return hashes, errs
}

// sendRaw calls the sender. Should it panic, its callers hear of it as they would of any other method, and the node goes on.
func (s *Server) sendRaw(ctx context.Context, raws [][]byte) (hashes []common.Hash, errs []error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("sending crashed", "err", v, "stack", string(debug.Stack()))
			hashes, errs = make([]common.Hash, len(raws)), make([]error, len(raws))
			for i := range errs {
				errs[i] = &Error{Code: CodeInternal, Message: "method handler crashed"}
			}
		}
	}()
	return s.backend.Sender.SendRaw(ctx, raws)
}

// appendSent writes the response to f.
func appendSent(b []byte, f *sends, hashes []common.Hash, errs []error) []byte {
	if f.batch {
		b = append(b, '[')
	}
	for i, id := range f.ids {
		if i > 0 {
			b = append(b, ',')
		}
		if errs[i] != nil {
			b = appendError(b, id, errs[i])
		} else {
			b = appendHash(b, id, hashes[i])
		}
	}
	if f.batch {
		b = append(b, ']')
	}
	return b
}

// maxSendGroup is how many transactions of one connection are admitted at once when several of its messages wait: enough to keep every
// worker of the pool busy, few enough that a message's answer does not wait long for the others'.
const maxSendGroup = 1024

// pendingSends is a message of transactions on its way into the pool.
type pendingSends struct {
	message *message
	sends   sends
}

// runSends admits a connection's transactions in the order in which they came: a client may send nonce 5 and then 6 without waiting.
// What queued up while the last group was admitted goes into the pool together, so one connection fills all verification workers.
func (c *socket) runSends(ctx context.Context) {
	var group []pendingSends
	var raws [][]byte
	for {
		group, raws = group[:0], raws[:0]
		select {
		case <-ctx.Done():
			return
		case p := <-c.sends:
			group = append(group, p)
			raws = append(raws, p.sends.raws...)
		}
	more:
		for len(raws) < maxSendGroup {
			select {
			case p := <-c.sends:
				group = append(group, p)
				raws = append(raws, p.sends.raws...)
			default:
				break more
			}
		}
		hashes, errs := c.server.admit(ctx, raws)
		for _, p := range group {
			n := len(p.sends.raws)
			c.out = appendSent(c.out[:0], &p.sends, hashes[:n], errs[:n])
			hashes, errs = hashes[n:], errs[n:]
			p.message.release()
			c.write(c.out)
		}
		clear(raws) // the pool owns them now
	}
}
