package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/store"
)

const (
	// joinAge is how old a chain must be for a node without blocks to ask first whether the others have very many: the founders of a new chain have
	// nothing to ask and start at once.
	joinAge = 10 * time.Minute
	// joinHear is how long peers are given to tell their heights.
	joinHear = 5 * time.Second
	// joinTries is how often a state is tried to be had before all blocks are fetched instead.
	joinTries = 3
)

// errJoining is what peers are answered that ask a node for what it is about to fetch itself.
var errJoining = errors.New("this node is joining and has nothing yet")

// join fetches the state at an attested height where this node has no block and its peers have very many (catchup.Config.SnapshotThreshold). It runs
// before the stages, while the ledger is closed. Where no state is to be had it leaves an empty folder, and the node fetches all blocks.
func (n *Node) join(ctx context.Context) error {
	if !n.genesis.Networked() && n.genesis.Consensus.Engine == chain.Solo || n.cfg.CatchUp.SnapshotThreshold == 0 {
		return nil
	}
	if !n.genesis.Consensus.Engine.Signed() {
		return nil // a state proves itself by a certificate, and there are none: such a chain is fetched from its beginning
	}
	genesis, importing, empty, err := n.lookForBlocks()
	if err != nil || !empty {
		return err
	}
	network, c, err := n.newJoinNetwork(genesis)
	if err != nil {
		return err
	}
	work, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(work)
	g.Go(func() error { return network.Run(gctx) })
	g.Go(func() error { return c.Run(gctx) })
	g.Go(func() error {
		defer cancel()
		if !importing && !n.farBehind(gctx, c) {
			return nil
		}
		return n.fetchState(gctx, c, importing)
	})
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// lookForBlocks opens the ledger for a moment. empty: it holds no block, no decision and nothing of the engine's, or an import that was begun.
func (n *Node) lookForBlocks() (genesis crypto.Hash, importing, empty bool, err error) {
	st, err := n.openRaw()
	if err != nil {
		return genesis, false, false, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	target, err := st.Importing()
	if err != nil {
		return genesis, false, false, err
	}
	if head := st.Head(); head != nil && head.Number.Sign() > 0 {
		return genesis, false, false, nil
	}
	if target == nil {
		if last, err := st.LastDecision(); err != nil || last != nil {
			return genesis, false, false, err
		}
		journal, err := st.EngineLog()
		if err != nil {
			return genesis, false, false, err
		}
		// A validator that has voted must not forget it.
		if entries, err := journal.Entries(); err != nil || len(entries) > 0 {
			return genesis, false, false, err
		}
		if n.now().Sub(time.UnixMilli(int64(n.genesis.TimeMillis))) < joinAge {
			return genesis, false, false, nil
		}
	}
	header, err := st.GenesisHeader(n.genesis)
	if err != nil {
		return genesis, false, false, err
	}
	genesis, err = chain.HeaderHash(n.suite, header)
	return genesis, target != nil, err == nil, err
}

// openRaw opens the folder's ledger without making a chain of it.
func (n *Node) openRaw() (*store.Store, error) {
	return openLedger(&n.cfg, n.opts.FS, n.genesis, n.suite, n.log, false)
}

// newJoinNetwork makes a network over which only heights and states travel.
func (n *Node) newJoinNetwork(genesis crypto.Hash) (Network, *catchup.CatchUp, error) {
	network, err := n.newNetwork(genesis, prometheus.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	c, err := catchup.New(n.cfg.CatchUp, catchup.Deps{Network: exchange{network}, Suite: n.suite, Genesis: n.genesis, GenesisHash: genesis,
		Now: n.opts.Now, Log: n.log})
	if err != nil {
		return nil, nil, err
	}
	network.Handle(protocolStatus, c.Handle)
	network.Watch(c.Changed)
	// The rest is spoken, or the others would be taken for strangers, and comes again when there is a ledger to hold it against.
	for _, p := range []p2p.Protocol{protocolOrder, protocolAttest, protocolTxs} {
		network.Handle(p, func(chain.Peer, []byte) {})
	}
	for _, m := range []p2p.Method{methodTxs, methodBlocks, methodSnapshot, methodWrites} {
		network.Serve(m, func(context.Context, chain.Peer, []byte) ([]byte, error) { return nil, errJoining })
	}
	if a, ok := network.(admitter); ok && n.genesis.Admission == chain.AdmitCertificates {
		a.SetAdmission(newcomer{n.readCertificate()})
	}
	network.SetMembers(founders(n.genesis, n.peer()))
	return network, c, nil
}

// founders are the other validators that the genesis names, with their endpoints.
func founders(g *chain.Genesis, self chain.Peer) map[chain.Peer]string {
	out := make(map[chain.Peer]string)
	for _, v := range g.Validators {
		if p := chain.Peer(v.PublicKey); p != self {
			out[p] = v.Endpoint
		}
	}
	return out
}

// farBehind waits until peers have told that they have very many blocks, or one more of them than may lie that they have not.
func (n *Node) farBehind(ctx context.Context, c *catchup.CatchUp) bool {
	enough := n.genesis.Consensus.Engine.Away(len(n.genesis.Validators)) + 1
	deadline := time.NewTimer(joinHear)
	defer deadline.Stop()
	tick := time.NewTicker(joinHear / 50)
	defer tick.Stop()
	for {
		if c.FarBehind() {
			return true
		}
		heard := 0
		for _, s := range c.States() {
			if !s.Heard.IsZero() {
				heard++
			}
		}
		if heard >= enough {
			return false
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// fetchState makes the ledger one that begins with a fetched state.
func (n *Node) fetchState(ctx context.Context, c *catchup.CatchUp, importing bool) (err error) {
	if !importing {
		if err := n.clearLedger(); err != nil {
			return err
		}
	}
	st, err := n.openRaw()
	if err != nil {
		return err
	}
	for range joinTries {
		if err = c.Join(ctx, stateImporter{st}); err == nil || ctx.Err() != nil {
			return errors.Join(err, st.Close())
		}
		n.log.Warn("the state at an attested height could not be fetched", "err", err)
	}
	n.log.Warn("fetching all blocks instead of a state")
	return errors.Join(st.Close(), n.clearLedger())
}

// clearLedger removes the data folder of a node that has nothing in it.
func (n *Node) clearLedger() error {
	fs := n.opts.FS
	if fs == nil {
		fs = vfs.Default
	}
	if err := fs.RemoveAll(n.cfg.storeConfig(n.genesis, n.log).Dir); err != nil {
		return fmt.Errorf("clear the empty ledger: %w", err)
	}
	return nil
}

// stateImporter is an empty ledger as catch-up sees it.
type stateImporter struct{ *store.Store }

func (s stateImporter) Begin(h *chain.Header) (catchup.Import, error) { return s.BeginImport(h) }

func (s stateImporter) Settled(st chain.State, height uint64) (bool, error) {
	return govern.Settled(st, height)
}

// states are what this node serves to those who join. Safe for concurrent use.
type states struct{ *store.Store }

func (s states) Settled(height uint64) (bool, error) {
	st, err := s.State(height)
	if err != nil {
		return false, err
	}
	return govern.Settled(st, height)
}
