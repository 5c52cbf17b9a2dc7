package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
)

func (c *cli) mineCommand() *cobra.Command {
	var f mineFlags
	cmd := &cobra.Command{
		Use:   "mine",
		Short: "Look for blocks of a chain of work, for a node",
		Long: `Look for blocks of a chain of work, for a node: it asks the node for work (eth_getWork), tries numbers on this machine's processors, and brings what it finds.
The rewards go to the account that the node's own node.toml names ([mine] coinbase). Any number of miners may work for one node.

"mine start" and "mine stop" instead make the node itself look, with its own processors, until it is restarted; node.toml says what it does from the
start. Those are administrative: the caller needs the role.`,
		Example: `  jialing mine --rpc http://127.0.0.1:8545 --threads 4
  jialing mine start --rpc http://127.0.0.1:8545 --threads 2
  jialing mine stop --rpc http://127.0.0.1:8545`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.mine(cmd.Context(), &f) },
	}
	cmd.PersistentFlags().IntVar(&f.threads, "threads", 1, "how many processors to keep busy")
	cmd.Flags().IntVar(&f.blocks, "blocks", 0, "stop after so many blocks were found; 0: go on")
	c.rpcFlags(cmd)
	start := &cobra.Command{Use: "start", Short: "Make the node itself look for blocks", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.threads < 1 {
				return usagef("--threads must be at least 1; \"mine stop\" stops")
			}
			return c.setMining(cmd.Context(), f.threads)
		}}
	stop := &cobra.Command{Use: "stop", Short: "Make the node itself look no more", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.setMining(cmd.Context(), 0) }}
	cmd.AddCommand(start, stop)
	return cmd
}

type mineFlags struct{ threads, blocks int }

// miningView is what the node says of its mining.
type miningView struct {
	Coinbase        *common.Address `json:"coinbase"`
	Threads         int             `json:"threads"`
	HashesPerSecond float64         `json:"hashesPerSecond"`
	HashesPerBlock  float64         `json:"hashesPerBlock"`
	Tip             uint64          `json:"tip"`
}

func (c *cli) setMining(ctx context.Context, threads int) error {
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	var v miningView
	if err := conn.RPC().CallContext(ctx, &v, "jl_setMining", hexutil.Uint64(threads)); err != nil {
		return err
	}
	return c.print(v, func(w io.Writer) {
		if v.Threads == 0 {
			fmt.Fprintln(w, "the node looks for blocks no more")
			return
		}
		fmt.Fprintf(w, "threads\t%d\na block takes\t%.0f hashes on average\n", v.Threads, v.HashesPerBlock)
		if v.Coinbase != nil {
			fmt.Fprintf(w, "for\t%s\n", v.Coinbase)
		}
	})
}

const (
	// workRefresh is how often a miner asks whether there is other work: a block that others found makes its own work worthless.
	workRefresh = 500 * time.Millisecond
	// mineReport is how often it says how fast it is.
	mineReport = 10 * time.Second
	// workSize is what eth_getWork's header has in bytes, the last sixteen of which are extra and nonce.
	workSize, solutionAt = 176, 160
)

// job is a package of work.
type job struct {
	header []byte
	target [32]byte
	height uint64
}

// found is what solves a job.
type found struct {
	job          *job
	extra, nonce uint64
}

// miner works for one node.
type miner struct {
	conn   *client.Client
	suite  crypto.Suite
	hashes atomic.Uint64

	// mu guards job, and changed, which is closed and replaced when job is another one.
	mu      sync.Mutex
	job     *job
	changed chan struct{}
}

func (c *cli) mine(ctx context.Context, f *mineFlags) error {
	if f.threads < 1 || f.threads > 1024 || f.blocks < 0 {
		return usagef("--threads must be 1 to 1024, --blocks not negative")
	}
	conn, err := connect(ctx, c.rpcURL)
	if err != nil {
		return err
	}
	defer conn.Close()
	m := &miner{conn: conn, changed: make(chan struct{})}
	if err := m.fetch(ctx); err != nil {
		return err
	}
	c.say("looking for block %d with %s", m.job.height, plural(f.threads, "thread"))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan found)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	for i := range f.threads {
		extra, err := randomExtra()
		if err != nil {
			return err
		}
		work.Go(func() { m.grind(ctx, extra+uint64(i), results) })
	}
	return c.followWork(ctx, m, f, results)
}

// followWork keeps the job the newest one and brings what is found.
func (c *cli) followWork(ctx context.Context, m *miner, f *mineFlags, results <-chan found) error {
	refresh, report := time.NewTicker(workRefresh), time.NewTicker(mineReport)
	defer refresh.Stop()
	defer report.Stop()
	mined, lost := 0, false
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil // told to stop
		case r := <-results:
			accepted, err := m.submit(ctx, r)
			switch {
			case err != nil && ctx.Err() == nil:
				c.warn("block %d was not taken: %v", r.job.height, err)
			case accepted:
				mined++
				c.say("found block %d", r.job.height)
			default:
				c.say("block %d came too late", r.job.height)
			}
			if f.blocks > 0 && mined >= f.blocks {
				return c.print(map[string]int{"mined": mined}, func(w io.Writer) { fmt.Fprintf(w, "found\t%s\n", plural(mined, "block")) })
			}
		case <-refresh.C:
		case now := <-report.C:
			c.say("%.0f hashes per second, %s found", float64(m.hashes.Swap(0))/now.Sub(last).Seconds(), plural(mined, "block"))
			last = now
			continue
		}
		if err := m.fetch(ctx); err != nil && ctx.Err() == nil {
			if errors.Is(err, errWorkForm) {
				return err
			}
			if !lost {
				c.warn("no work from the node, asking again: %v", err)
			}
			lost = true
			m.set(nil)
		} else {
			lost = false
		}
	}
}

// errWorkForm is a node that gives work of another form than this program knows.
var errWorkForm = errors.New("the node's work is of another form than this version's")

// fetch asks for work.
func (m *miner) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var answer [4]string
	if err := m.conn.RPC().CallContext(ctx, &answer, "eth_getWork"); err != nil {
		return fmt.Errorf("ask for work: %w", err)
	}
	header, err1 := hexutil.Decode(answer[0])
	target, err2 := hexutil.Decode(answer[2])
	height, err3 := hexutil.DecodeUint64(answer[3])
	if err := errors.Join(err1, err2, err3); err != nil || len(header) != workSize || len(target) != 32 {
		return fmt.Errorf("%w: %d bytes of header, %d of target", errWorkForm, len(header), len(target))
	}
	if m.suite == nil {
		if m.suite, err1 = node.SuiteByName(answer[1]); err1 != nil {
			return fmt.Errorf("%w: %w", errWorkForm, err1)
		}
	}
	m.set(&job{header, [32]byte(target), height})
	return nil
}

// set makes j what is worked on; nil: nothing.
func (m *miner) set(j *job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.job != nil && j != nil && bytes.Equal(m.job.header, j.header) {
		return
	}
	m.job = j
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *miner) look() (*job, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.job, m.changed
}

func (m *miner) submit(ctx context.Context, f found) (accepted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err = m.conn.RPC().CallContext(ctx, &accepted, "eth_submitWork", hexutil.Bytes(binary.BigEndian.AppendUint64(nil, f.nonce)), hexutil.Bytes(f.job.header),
		hexutil.Bytes(binary.BigEndian.AppendUint64(nil, f.extra)))
	return accepted, err
}

// grind tries nonces under one extra on whatever the job is, until ctx ends.
func (m *miner) grind(ctx context.Context, extra uint64, results chan<- found) {
	for ctx.Err() == nil {
		j, changed := m.look()
		if j == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		nonce, ok := m.try(ctx, j, changed, extra)
		if !ok {
			continue
		}
		select {
		case results <- found{j, extra, nonce}:
		case <-ctx.Done():
			return
		}
		select { // one solution of a job is all that it is worth
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// tryAtOnce is how many nonces are tried between two looks whether the job has changed: less than a millisecond's.
const tryAtOnce = 512

func (m *miner) try(ctx context.Context, j *job, changed <-chan struct{}, extra uint64) (nonce uint64, ok bool) {
	b := bytes.Clone(j.header)
	binary.BigEndian.PutUint64(b[solutionAt:], extra)
	for {
		for range tryAtOnce {
			binary.BigEndian.PutUint64(b[solutionAt+8:], nonce)
			hash := m.suite.Sum(b)
			hash = m.suite.Sum(hash[:])
			if bytes.Compare(hash[:], j.target[:]) <= 0 {
				return nonce, true
			}
			nonce++
		}
		m.hashes.Add(tryAtOnce)
		select {
		case <-changed:
			return 0, false
		case <-ctx.Done():
			return 0, false
		default:
		}
	}
}

func randomExtra() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a beginning: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}
