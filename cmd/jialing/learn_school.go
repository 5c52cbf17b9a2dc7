package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/docs/learn"
	"github.com/jialing-chain/jialing/internal/chain"
)

// school is what answers are compared with: the student's own network and folder. Calls ask anew each time, since the student goes on trying things.
type school interface {
	// where is the network's folder.
	where() string
	// nodes are what those nodes say of themselves that run; errNobodyRuns when none does.
	nodes(ctx context.Context) ([]*nodeStatus, error)
	header(ctx context.Context, height uint64) (*types.Header, error)
	// proposer is the name of the validator that proposed a block, "" for blocks that nobody signs.
	proposer(ctx context.Context, height uint64) (string, error)
	// signatures are how many the certificates of a block carry, one for each running node that keeps one.
	signatures(ctx context.Context, height uint64) ([]int, error)
	nonce(ctx context.Context, account common.Address) (uint64, error)
	// stakers are the validators of a chain of stake that stand or have a seat.
	stakers(ctx context.Context) ([]*stakerView, error)
	// run is the newest run of the demo in the folder on the lab's engine in which that was done to the nodes.
	run(fault string) (*lessonRun, error)
	// trust is what verifies the chain's proofs, and genesis what its parameters are, from the folder: the nodes may be down.
	trust() (*client.Trust, error)
	genesis() (*chain.Genesis, error)
}

var (
	// errNobodyRuns is a network none of whose nodes answers.
	errNobodyRuns = errors.New("no node of the lab's network answers")
	// errOtherEngine is a network of another lab.
	errOtherEngine = errors.New("this is not the lab's network")
	// errNoLesson is a folder where the demo's part of the lab was not run.
	errNoLesson = errors.New("the lab's demo was not run here")
)

// liveNetwork is the network in a folder, or the one node behind a URL.
type liveNetwork struct {
	lab      *learn.Lab
	dir, rpc string

	conns map[string]*client.Client
}

func (n *liveNetwork) where() string { return n.dir }

func (n *liveNetwork) close() {
	for _, c := range n.conns {
		c.Close()
	}
}

func (n *liveNetwork) genesis() (*chain.Genesis, error) {
	g, err := readGenesis(filepath.Join(n.dir, "genesis.json"))
	if err != nil {
		return nil, err
	}
	return g, n.ofLab(n.dir, string(g.Consensus.Engine))
}

func (n *liveNetwork) trust() (*client.Trust, error) {
	t, err := readTrust(filepath.Join(n.dir, "genesis.json"), "")
	if err != nil {
		return nil, err
	}
	return t, n.ofLab(n.dir, t.Engine)
}

// ofLab refuses another lab's chain.
func (n *liveNetwork) ofLab(where, engine string) error {
	if engine != n.lab.Engine {
		return fmt.Errorf("%w: %s orders by %s, lab %d is on %s", errOtherEngine, where, engine, n.lab.Number, n.lab.Engine)
	}
	return nil
}

// urls are where the nodes should answer.
func (n *liveNetwork) urls() ([]string, error) {
	if n.rpc != "" {
		return []string{n.rpc}, nil
	}
	all, err := openNetwork(n.dir)
	if err != nil {
		return nil, err
	}
	urls := make([]string, len(all))
	for i, one := range all {
		urls[i] = one.rpcURL()
	}
	return urls, nil
}

// answers are those of the nodes that run.
func (n *liveNetwork) answers(ctx context.Context) (out []*answer, err error) {
	urls, err := n.urls()
	if err != nil {
		return nil, err
	}
	for _, a := range probeAll(ctx, urls) {
		if a.err != nil {
			err = errors.Join(err, a.err)
			continue
		}
		if err := n.ofLab(a.url, string(a.status.Engine)); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %w", errNobodyRuns, err)
	}
	return out, nil
}

func (n *liveNetwork) nodes(ctx context.Context) ([]*nodeStatus, error) {
	all, err := n.answers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*nodeStatus, len(all))
	for i, a := range all {
		out[i] = a.status
	}
	return out, nil
}

// ahead connects to the running node that is furthest.
func (n *liveNetwork) ahead(ctx context.Context) (*client.Client, *nodeStatus, error) {
	all, err := n.answers(ctx)
	if err != nil {
		return nil, nil, err
	}
	best := all[0]
	for _, a := range all[1:] {
		if a.status.Durable > best.status.Durable {
			best = a
		}
	}
	conn, err := n.connect(ctx, best.url)
	return conn, best.status, err
}

func (n *liveNetwork) connect(ctx context.Context, url string) (*client.Client, error) {
	if c := n.conns[url]; c != nil {
		return c, nil
	}
	c, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	if n.conns == nil {
		n.conns = make(map[string]*client.Client)
	}
	n.conns[url] = c
	return c, nil
}

func (n *liveNetwork) header(ctx context.Context, height uint64) (*types.Header, error) {
	conn, _, err := n.ahead(ctx)
	if err != nil {
		return nil, err
	}
	b, err := readBlock(ctx, conn, fmt.Sprint(height))
	if err != nil {
		return nil, err
	}
	return b.Header, nil
}

func (n *liveNetwork) proposer(ctx context.Context, height uint64) (string, error) {
	conn, s, err := n.ahead(ctx)
	if err != nil {
		return "", err
	}
	var d *struct {
		Proposer hexutil.Uint64 `json:"proposer"`
	}
	if err := conn.RPC().CallContext(ctx, &d, "jl_getDecision", hexutil.Uint64(height)); err != nil {
		return "", fmt.Errorf("read decision %d: %w", height, err)
	}
	if d == nil {
		return "", fmt.Errorf("the network has decided no block %d yet", height)
	}
	if d.Proposer == 0 {
		return "", nil
	}
	return s.memberNames([]chain.ValidatorID{chain.ValidatorID(d.Proposer)}), nil
}

func (n *liveNetwork) signatures(ctx context.Context, height uint64) (out []int, err error) {
	all, err := n.answers(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		conn, err := n.connect(ctx, a.url)
		if err != nil {
			return nil, err
		}
		c, err := conn.Certificate(ctx, height)
		if err != nil {
			return nil, err
		}
		if c != nil {
			out = append(out, len(c.Attestations))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no running node keeps a certificate of block %d", height)
	}
	return out, nil
}

func (n *liveNetwork) nonce(ctx context.Context, account common.Address) (uint64, error) {
	conn, _, err := n.ahead(ctx)
	if err != nil {
		return 0, err
	}
	return conn.Nonce(ctx, account)
}

func (n *liveNetwork) stakers(ctx context.Context) (out []*stakerView, err error) {
	conn, _, err := n.ahead(ctx)
	if err != nil {
		return nil, err
	}
	s := &staking{systemClient{conn: conn, contract: &stakingContract}}
	ids, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		v, err := s.validator(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (n *liveNetwork) run(fault string) (*lessonRun, error) {
	l, err := readLesson(n.dir)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(l.Runs) {
		if string(r.Engine) == n.lab.Engine && slices.ContainsFunc(r.Faults, func(f lessonFault) bool { return f.Action == fault }) {
			return &r, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has no run on %s with a %q in it", errNoLesson, filepath.Join(n.dir, lessonFile), n.lab.Engine, fault)
}
