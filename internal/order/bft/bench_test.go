package bft

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// benchHost is a host that costs next to nothing but for signatures, and syncs a file where a node would.
type benchHost struct {
	id    chain.ValidatorID
	set   chain.ValidatorSet
	key   crypto.PrivateKey
	peers map[order.PeerID]*Engine
	txs   int
	file  *os.File
	past  *benchPast
	last  *chain.Decision

	mu        sync.Mutex
	built     map[uint64]time.Time
	latencies []time.Duration
	limit     uint64
	done      chan struct{}
}

// benchMessages counts what the hosts send.
var benchMessages atomic.Int64

// benchPast is what the hosts of a cluster have decided, for one that has missed the end: on a loaded machine nobody repeats that.
type benchPast struct {
	mu        sync.Mutex
	decisions map[uint64]*chain.Decision
	behind    map[chain.ValidatorID]chan struct{}
	heights   map[chain.ValidatorID]uint64
}

// add keeps a decision until all hosts have it.
func (p *benchPast) add(id chain.ValidatorID, d *chain.Decision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.decisions[d.Height] == nil {
		p.decisions[d.Height] = d
	}
	p.heights[id] = d.Height
	least := d.Height
	for _, h := range p.heights {
		least = min(least, h)
	}
	delete(p.decisions, least-1)
	for other, bell := range p.behind {
		if p.heights[other] < d.Height {
			select {
			case bell <- struct{}{}:
			default:
			}
		}
	}
}

func (p *benchPast) at(height uint64) *chain.Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decisions[height]
}

func (h *benchHost) Build(_ context.Context, parent *chain.Decision) (*order.Proposal, error) {
	p := &order.Proposal{Height: 1, Proposer: h.id, TimeMillis: 1}
	if parent != nil {
		p.Height, p.Parent = parent.Height+1, parent.Hash(suite)
	}
	if p.Height > h.limit {
		return p, nil
	}
	p.Txs = make([]common.Hash, h.txs)
	for i := range p.Txs {
		binary.BigEndian.PutUint64(p.Txs[i][:], p.Height)
		binary.BigEndian.PutUint64(p.Txs[i][8:], uint64(i))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.built[p.Height] = time.Now()
	return p, nil
}

func (h *benchHost) Hold(context.Context, *order.Proposal) error { return nil }

func (h *benchHost) Verify(context.Context, *order.Proposal) error { return nil }

func (h *benchHost) Deliver(_ context.Context, d *chain.Decision) (chain.ValidatorSet, error) {
	if h.file != nil {
		if _, err := h.file.Write(d.Proof); err != nil {
			return nil, err
		}
		if err := h.file.Sync(); err != nil {
			return nil, err
		}
	}
	if h.past != nil {
		h.past.add(h.id, d)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = d
	if at, ok := h.built[d.Height]; ok {
		h.latencies = append(h.latencies, time.Since(at))
	}
	if d.Height == h.limit {
		close(h.done)
	}
	return nil, nil
}

func (h *benchHost) Sync(ctx context.Context, _ uint64) (*chain.Decision, chain.ValidatorSet, error) {
	for h.past != nil {
		d := h.past.at(heightOf(h.last) + 1)
		if d == nil {
			break
		}
		if _, err := h.Deliver(ctx, d); err != nil {
			return nil, nil, err
		}
	}
	return h.last, h.set, nil
}

func (h *benchHost) Behind() <-chan struct{} {
	if h.past == nil {
		return nil
	}
	return h.past.behind[h.id]
}

func (h *benchHost) Overdue(time.Duration, int) []common.Hash { return nil }
func (h *benchHost) Wanted(order.PeerID, []common.Hash)       {}
func (h *benchHost) Sign(msg []byte) ([]byte, error) {
	return h.key.Sign(order.SigningMessage(crypto.Hash{1}, msg))
}
func (h *benchHost) VerifySig(v *chain.Validator, msg, sig []byte) error {
	return order.VerifySig(suite, crypto.Hash{1}, v, msg, sig)
}
func (h *benchHost) Send(to order.PeerID, msg []byte) {
	benchMessages.Add(1)
	h.peers[to].Handle(order.PeerID(h.id), slices.Clone(msg))
}
func (h *benchHost) Broadcast([]byte) {}

// fileJournal syncs a file for each entry.
type fileJournal struct{ file *os.File }

func (j fileJournal) Append(entry []byte, _ bool) error {
	if j.file == nil {
		return nil
	}
	if _, err := j.file.Write(entry); err != nil {
		return err
	}
	return j.file.Sync()
}
func (j fileJournal) Entries() ([][]byte, error) { return nil, nil }

// benchCluster runs four nodes to the given height; with synced they sync files as nodes do.
func benchCluster(b testing.TB, txs int, height uint64, synced bool) (hosts []*benchHost, stop func()) {
	set, keys := signers(b, 4)
	engines := make(map[order.PeerID]*Engine)
	open := func(name string) *os.File {
		if !synced {
			return nil
		}
		f, err := os.Create(filepath.Join(b.TempDir(), name))
		require.NoError(b, err)
		b.Cleanup(func() { f.Close() })
		return f
	}
	past := &benchPast{decisions: make(map[uint64]*chain.Decision), behind: make(map[chain.ValidatorID]chan struct{}), heights: make(map[chain.ValidatorID]uint64)}
	for i, v := range set {
		past.behind[v.ID], past.heights[v.ID] = make(chan struct{}, 1), 0
		e, err := New(Config{Suite: suite, GenesisHash: crypto.Hash{1}, Public: v.PublicKey, Params: *chain.DefaultBFTParams(), Journal: fileJournal{open("journal")}})
		require.NoError(b, err)
		engines[order.PeerID(v.ID)] = e
		hosts = append(hosts, &benchHost{id: v.ID, set: set, key: keys[i], peers: engines, txs: txs, limit: height, file: open("ledger"), past: past,
			built: make(map[uint64]time.Time), done: make(chan struct{})})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, h := range hosts {
		running.Go(func() {
			if err := engines[order.PeerID(h.id)].Run(ctx, h); err != nil {
				b.Error(err)
			}
		})
	}
	return hosts, func() { cancel(); running.Wait() }
}

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkDecide measures the CPU that four nodes in one process spend on a decision, all together, and how long the leader's takes from being
// built to being durable there.
func BenchmarkDecide(b *testing.B) {
	for _, synced := range []bool{false, true} {
		for _, txs := range []int{1, 1000, 5000} {
			b.Run(fmt.Sprintf("txs=%d/synced=%t", txs, synced), func(b *testing.B) {
				start, sent := cpu(), benchMessages.Load()
				hosts, stop := benchCluster(b, txs, uint64(b.N), synced)
				for _, h := range hosts {
					<-h.done
				}
				b.StopTimer()
				spent := cpu() - start
				b.ReportMetric(float64(benchMessages.Load()-sent)/float64(b.N), "messages/decision")
				stop()
				all := hosts[0].latencies
				slices.Sort(all)
				b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs/decision")
				if len(all) > 0 {
					b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
				}
			})
		}
	}
}

// BenchmarkIdle measures the share of a core that one of four idle nodes takes.
func BenchmarkIdle(b *testing.B) {
	_, stop := benchCluster(b, 0, 0, false)
	defer stop()
	time.Sleep(time.Second)
	for b.Loop() {
		start, from := time.Now(), cpu()
		time.Sleep(5 * time.Second)
		b.ReportMetric(100*float64(cpu()-from)/float64(time.Since(start))/4, "%core/node")
	}
}
