package gossip

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// compare compares our pool with those of the peers that it may lack something of, until ctx ends.
func (g *Gossip) compare(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	room := make(chan struct{}, g.cfg.Comparisons)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		p, wait := g.dueComparison(time.Now())
		if p == nil {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-g.compareBell:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case room <- struct{}{}:
		}
		running.Go(func() {
			full, err := g.compareWith(ctx, p.id)
			if err != nil && ctx.Err() == nil {
				g.deps.Log.Debug("gossip: comparing pools", "peer", p.id.Short(), "err", err)
			}
			g.compared(p, full, err)
			<-room
			ring(g.compareBell)
		})
	}
}

// dueComparison takes the peer that is due, or tells how long until one will be.
func (g *Gossip) dueComparison(now time.Time) (*peer, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := idle
	var due *peer
	for _, p := range g.peers {
		if !p.lacks || p.comparing || !p.connected {
			continue
		}
		if wait := p.compareAt.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		if due == nil || p.compareAt.Before(due.compareAt) {
			due = p
		}
	}
	if due != nil {
		due.lacks, due.comparing = false, true
	}
	return due, next
}

// compared sets when p may be compared with again. What failed or found no room is tried again, each time after twice the time.
func (g *Gossip) compared(p *peer, full bool, err error) {
	g.stats.comparisons.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	p.comparing = false
	if full || err != nil {
		p.lacks = true
		p.wait = min(2*p.wait, g.cfg.CompareWaitMax)
	} else {
		p.wait = g.cfg.CompareWait
	}
	p.compareAt = time.Now().Add(p.wait)
}

// compareWith fetches what the peer's pool holds ready and ours lacks. full tells that ours had no room for some of it.
func (g *Gossip) compareWith(ctx context.Context, id chain.Peer) (full bool, err error) {
	var snapshot uint64
	for offset := 0; ; {
		p, err := g.listPage(ctx, id, snapshot, offset)
		if err != nil {
			return full, err
		}
		_, missing := g.deps.Pool.Bodies(p.hashes)
		for len(missing) > 0 && !full {
			n := min(len(missing), maxAsk)
			raws, err := g.ask(ctx, id, missing[:n])
			if err != nil {
				return full, err
			}
			answered := len(raws)
			if answered == 0 {
				return full, fmt.Errorf("it lists transactions and sends none")
			}
			got := raws[:0]
			for _, raw := range raws {
				if len(raw) > 0 { // it may have left the peer's pool meanwhile
					got = append(got, raw)
				}
			}
			g.stats.fetched.Add(uint64(len(got)))
			full = g.admit(ctx, id, got, false)
			missing = missing[answered:]
		}
		offset += len(p.hashes)
		if full || len(p.hashes) == 0 || offset >= p.total {
			return full, nil
		}
		snapshot = p.snapshot
	}
}

// listPage asks for hashes of the peer's pool.
func (g *Gossip) listPage(ctx context.Context, id chain.Peer, snapshot uint64, offset int) (*page, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.RequestWait)
	defer cancel()
	b, err := g.deps.Network.Request(ctx, id, Method, encodeListRequest(snapshot, offset))
	if err != nil {
		return nil, fmt.Errorf("list of the pool: %w", err)
	}
	p, err := decodePage(b)
	if err != nil {
		g.deps.Network.Report(id, misbehaviour, "gossip: list: "+err.Error())
		return nil, fmt.Errorf("list of the pool: %w", err)
	}
	return p, nil
}

// ask requests up to maxAsk transactions. The result answers the first of the hashes, as many as it has entries; one that the peer lacks is empty.
func (g *Gossip) ask(ctx context.Context, id chain.Peer, hashes []common.Hash) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.RequestWait)
	defer cancel()
	b, err := g.deps.Network.Request(ctx, id, Method, appendHashes([]byte{kindTxs}, hashes))
	if err != nil {
		return nil, fmt.Errorf("get transactions: %w", err)
	}
	raws, err := decodeTxs(b, len(hashes), true)
	if err != nil {
		g.deps.Network.Report(id, misbehaviour, "gossip: answer: "+err.Error())
		return nil, fmt.Errorf("get transactions: %w", err)
	}
	return raws, nil
}
