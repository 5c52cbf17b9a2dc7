package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/client"
)

const (
	// steadyRate is how many transfers a second every engine gets while nothing is made to hurry: little enough for the slowest, enough for figures.
	steadyRate = 125
	// sendEvery is the pace of messages with transfers.
	sendEvery = 40 * time.Millisecond
	// maxOpenTransfers bounds those that wait for a block: with a chain that stands still the load waits, too.
	maxOpenTransfers = 400
	// giveAgain is how long a transfer may be in no block before another node gets it as well: the one that has it may be dead or cut off.
	giveAgain = 2 * time.Second
	// maxLatencies bounds those that are remembered for the view.
	maxLatencies = 1000
)

// classLoad is the transfers of a lesson. Guarded by class.mu.
type classLoad struct {
	// open are in no block yet.
	open map[common.Hash]*openTransfer
	// made were signed, sent taken by some node, included are in blocks.
	made, sent, included int
	// latencies are the newest, in no order that matters.
	latencies []time.Duration
	all       []time.Duration
	keepAll   bool
}

// openTransfer waits for its block.
type openTransfer struct {
	raw   []byte
	node  int
	at    time.Time
	given time.Time
	taken bool
}

// transferMaker signs transfers one by one, senders taking turns.
type transferMaker struct {
	d              *demonstration
	chainID        *big.Int
	nonces         []uint64
	feeCap, tipCap *big.Int
	made           int
}

func (d *demonstration) newTransferMaker(ctx context.Context, conn *client.Client) (*transferMaker, error) {
	m := &transferMaker{d: d, chainID: conn.ChainID(), nonces: make([]uint64, d.flags.senders)}
	var err error
	for i := range m.nonces {
		if m.nonces[i], err = conn.Nonce(ctx, d.senders[i].Address()); err != nil {
			return nil, err
		}
	}
	m.feeCap, m.tipCap, err = conn.Fees(ctx)
	return m, err
}

func (m *transferMaker) next() ([]byte, error) {
	who := m.made % len(m.nonces)
	data, err := m.d.token.ABI.Pack("transfer", recipient(m.d.shown.Transfers+m.made), big.NewInt(1))
	if err != nil {
		return nil, err
	}
	nonce := m.nonces[who]
	m.nonces[who]++
	m.made++
	return m.d.senders[who].SignTx(m.chainID, &client.Tx{To: &m.d.token.Address, Data: data, Gas: m.d.gas, Nonce: &nonce, FeeCap: m.feeCap, TipCap: m.tipCap})
}

// send keeps the load up until n transfers were sent, or stop is closed; n 0 is without end. While nodes cannot keep up it sends less.
func (c *class) send(ctx context.Context, maker *transferMaker, rate float64, n int, stop <-chan struct{}) error {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	due, turn, last := 0.0, 0, time.Now()
	for sent := 0; n == 0 || sent < n; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stop:
			return nil
		case <-tick.C:
		}
		now := time.Now()
		due = min(due+rate*now.Sub(last).Seconds(), rate) // what could not be sent within a second is not made up for
		last = now
		c.mu.Lock()
		room := maxOpenTransfers - len(c.load.open)
		c.mu.Unlock()
		count := min(int(due), room)
		if n > 0 {
			count = min(count, n-sent)
		}
		if count <= 0 {
			continue
		}
		due -= float64(count)
		if err := c.sendBatch(ctx, maker, count, turn); err != nil {
			return err
		}
		sent += count
		turn++
	}
	return nil
}

// sendBatch signs count transfers and gives them to the living node whose turn it is.
func (c *class) sendBatch(ctx context.Context, maker *transferMaker, count, turn int) error {
	batch := make([][]byte, count)
	now := time.Now()
	for i := range batch {
		raw, err := maker.next()
		if err != nil {
			return err
		}
		batch[i] = raw
		c.mu.Lock()
		c.load.open[client.TxHash(raw)] = &openTransfer{raw: raw, at: now, given: now}
		c.load.made++
		c.mu.Unlock()
	}
	c.give(ctx, batch, turn)
	return nil
}

// give hands transfers to the living node whose turn it is. What no node takes stays open and is given again.
func (c *class) give(ctx context.Context, batch [][]byte, turn int) {
	living := c.living()
	if len(living) == 0 {
		return
	}
	node := living[turn%len(living)]
	conn := c.conn(node)
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, errs, err := conn.SendRawBatch(ctx, batch)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, raw := range batch {
		t := c.load.open[client.TxHash(raw)]
		if t == nil {
			continue // it is in a block already
		}
		t.node, t.given = node, time.Now()
		if err == nil && (errs[i] == nil || hadBefore(errs[i])) && !t.taken {
			t.taken = true
			c.load.sent++
		}
	}
}

// hadBefore tells that a node refused a transaction because it, or the chain, has it.
func hadBefore(err error) bool {
	return strings.Contains(err.Error(), "already known") || strings.Contains(err.Error(), "nonce too low")
}

// giveOn hands what waits for long, or waits at a node that is dead, to another node, until ctx ends.
func (c *class) giveOn(ctx context.Context) {
	for turn := 0; sleepFor(ctx, giveAgain/4) == nil; turn++ {
		var late [][]byte
		c.mu.Lock()
		for _, t := range c.load.open {
			if time.Since(t.given) > giveAgain || !c.nodes[t.node].alive() {
				late = append(late, t.raw)
			}
		}
		c.mu.Unlock()
		for batch := range slices.Chunk(late, 100) {
			c.give(ctx, batch, turn)
		}
	}
}

// included notes the transfers of a block that was heard of at that time. The caller holds mu.
func (l *classLoad) take(txs []common.Hash, heard time.Time) (n int) {
	for _, hash := range txs {
		t := l.open[hash]
		if t == nil {
			continue
		}
		delete(l.open, hash)
		if !t.taken {
			l.sent++ // a node had it, whatever became of its answer
		}
		l.included++
		n++
		latency := heard.Sub(t.at)
		if l.latencies = append(l.latencies, latency); len(l.latencies) > maxLatencies {
			l.latencies = slices.Delete(l.latencies, 0, len(l.latencies)-maxLatencies)
		}
		if l.keepAll {
			l.all = append(l.all, latency)
		}
	}
	return n
}

// percentileMillis is 0 of nothing. It sorts.
func percentileMillis(of []time.Duration, p int) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return float64(sorted[int(math.Ceil(float64(p)/100*float64(len(sorted))))-1].Microseconds()) / 1000
}

// settle waits until everything that was sent is in a block; what is not after that long is lost.
func (c *class) settle(ctx context.Context, patience time.Duration) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.until(wait, func() bool { return len(c.load.open) == 0 })
	if err == nil || ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("wait for the last transfers: %w", err)
}
