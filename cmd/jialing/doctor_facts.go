package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

// folderFacts reads what lies on the disk and which process runs.
func folderFacts(folder *nodeFolder) *nodeFacts {
	n := &nodeFacts{name: folder.name, url: folder.rpcURL(), folder: folder, pid: folder.running(), elsewhere: folder.elsewhere()}
	if h, err := node.ReadHalt(folder.dir); err != nil {
		n.halt = &haltFacts{evidence: err.Error()}
	} else if h != nil {
		n.halt = describeHalt(h)
	}
	if n.pid == 0 {
		n.lastWords = folder.lastWords(0)
		if n.elsewhere == "" {
			n.taken = takenPorts(folder)
		}
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder.dir, &fs); err == nil {
		n.diskFree, n.diskKnown = fs.Bavail*uint64(fs.Bsize), true
	}
	return n
}

func describeHalt(h *node.Halt) *haltFacts {
	out := &haltFacts{height: h.Height, advice: h.Advice, forked: h.Fork != nil}
	if f := h.Fork; f != nil {
		out.evidence = strings.Join([]string{fmt.Sprintf("%s at %s, height %d", filepath.Base(node.HaltPath("")), h.Time.Format(timeLayout), h.Height),
			fmt.Sprintf("block %d is the last in common, %d was final here", f.Last, f.Final),
			fmt.Sprintf("this node's chain ends at %d, %s, work %s", f.Ours.Height, f.Ours.Hash, f.Ours.Work),
			fmt.Sprintf("the other one at %d, %s, work %s", f.Theirs.Height, f.Theirs.Hash, f.Theirs.Work),
			"checkpoint of this node's chain: " + f.Checkpoint}, "\n")
		return out
	}
	text := []string{fmt.Sprintf("%s at %s, height %d", filepath.Base(node.HaltPath("")), h.Time.Format(timeLayout), h.Height),
		fmt.Sprintf("this node's header %s, the validators' %s, signed by %v", h.OwnHash, h.CertifiedHash, h.Signers)}
	if h.FirstKey != "" {
		text = append(text, "first difference: "+h.FirstKey)
	}
	if h.Detail != "" {
		text = append(text, h.Detail)
	}
	out.evidence = strings.Join(text, "\n")
	return out
}

// takenPorts are the addresses that the node would listen on and somebody else does.
func takenPorts(folder *nodeFolder) (taken []string) {
	for _, addr := range folder.listens() {
		l, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			taken = append(taken, addr)
		}
		if err == nil {
			_ = l.Close() // it was only tried
		}
	}
	return taken
}

// listens are the addresses that the node opens.
func (n *nodeFolder) listens() []string {
	out := []string{n.cfg.Serve.Addr}
	if n.cfg.Serve.WebSocketAddr != "" {
		out = append(out, n.cfg.Serve.WebSocketAddr)
	}
	if (n.genesis.Networked() || n.genesis.Consensus.Engine != chain.Solo) && n.cfg.Network.Listen != "" {
		out = append(out, n.cfg.Network.Listen)
	}
	return out
}

// readHeads reads the hash of one block, the highest that all answering nodes have, from each of them.
func (f *facts) readHeads(ctx context.Context) map[string]string {
	lowest := uint64(math.MaxUint64)
	answering := 0
	for _, n := range f.nodes {
		if s := n.now(); s != nil {
			answering++
			lowest = min(lowest, s.Durable)
		}
	}
	if answering < 2 {
		return nil
	}
	f.commonHeight = lowest
	var mu sync.Mutex // guards out
	out := make(map[string]string)
	var wg sync.WaitGroup
	for _, n := range f.nodes {
		if n.now() == nil {
			continue
		}
		wg.Go(func() {
			hash, err := blockHash(ctx, n.url, lowest)
			if err != nil {
				return // that it does not answer is another rule's
			}
			mu.Lock()
			defer mu.Unlock()
			out[n.label()] = hash
		})
	}
	wg.Wait()
	return out
}

func blockHash(ctx context.Context, url string, height uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	b, err := conn.Block(ctx, new(big.Int).SetUint64(height))
	if err != nil {
		return "", err
	}
	return b.Hash.Hex(), nil
}

// readFees asks one node what gas costs and, where it costs something, which validators cannot pay for a vote. Without an answer nothing is known.
func (f *facts) readFees(ctx context.Context) {
	for _, n := range f.nodes {
		s := n.now()
		if s == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		conn, err := connect(ctx, n.url)
		if err != nil {
			return
		}
		defer conn.Close()
		head, err := conn.Head(ctx)
		if err != nil || head.BaseFee == nil || head.BaseFee.Sign() == 0 {
			return
		}
		f.baseFee = head.BaseFee
		for _, v := range s.Validators {
			if balance, err := conn.Balance(ctx, v.Address); err == nil && balance.Sign() == 0 {
				f.poor = append(f.poor, memberName(v.Name, v.ID))
			}
		}
		return
	}
}

// reachableValidators are the ruling validators, by key, that answer and are well, or that an answering node is connected to.
func (f *facts) reachableValidators() map[string]bool {
	out := make(map[string]bool)
	newest := f.anyStatus()
	for _, n := range f.nodes {
		s := n.now()
		if s == nil {
			continue
		}
		if newest.rules(s.key()) && s.Problem == nil {
			out[string(s.key())] = true
		}
		for _, p := range n.second.peers {
			if p.Connected && newest.rules(chain.Peer(p.PublicKey)) {
				out[string(p.PublicKey)] = true
			}
		}
	}
	return out
}

// offset is by how much the node's clock is ahead of ours, and how exact that is; false when it did not say.
func (a *answer) offset() (offset, exact time.Duration, ok bool) {
	if a.status == nil || a.status.Now == 0 {
		return 0, 0, false
	}
	return time.UnixMilli(a.status.Now).Sub(a.asked), a.took/2 + time.Millisecond, true
}

// names replaces the validators' keys in a sentence by their names.
func (f *facts) names() *strings.Replacer {
	var pairs []string
	if s := f.anyStatus(); s != nil {
		for _, v := range s.Validators {
			if v.Name != "" {
				pairs = append(pairs, chain.Peer(v.PublicKey).String(), v.Name)
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// lines are those of a text.
func lines(s string) iter.Seq[string] { return strings.SplitSeq(s, "\n") }
