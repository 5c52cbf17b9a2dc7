package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"
)

// patience is how long a condition may take that takes seconds at most on an idle machine. CI's machine is not idle.
const patience = 90 * time.Second

// pollPause is between two looks at a condition that nothing announces.
const pollPause = 20 * time.Millisecond

// eventually returns when the condition holds; otherwise the test ends with what the condition said last.
func eventually(t testing.TB, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := holds()
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "%s: not within %s: %v", what, patience, err)
		pause(context.Background())
	}
}

func pause(ctx context.Context) {
	timer := time.NewTimer(pollPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// network is validators as processes of this machine.
type network struct {
	t    testing.TB
	dir  string
	dirs []string // of the nodes
	// behind is the command that a node runs behind, listen its address for JSON-RPC.
	behind func(node int) []string
	listen func(node int) string

	mu sync.Mutex
	// nodes are the processes; nil where one is down.
	nodes []*process
}

// suite is the one of the chains that the tests make, unless they say otherwise.
var suite = cmp.Or(os.Getenv("JIALING_SUITE"), "intl")

// createNetwork makes the folders of a network on loopback, with funded development accounts.
func createNetwork(t testing.TB, validators int, args ...string) *network {
	base := freePorts(t, 2*validators)
	nw := &network{t: t, dir: filepath.Join(t.TempDir(), "network"), nodes: make([]*process, validators)}
	nw.behind = func(int) []string { return nil }
	nw.listen = func(int) string { return "127.0.0.1:0" }
	_, stderr, err := jialing(t, append([]string{"network", "create", "--dir", nw.dir, "--validators", fmt.Sprint(validators), "--dev", "--dev-accounts", "12", "--suite", suite,
		"--p2p-port", fmt.Sprint(base), "--http-port", fmt.Sprint(base + validators)}, args...)...)
	require.NoError(t, err, stderr)
	configs, err := filepath.Glob(filepath.Join(nw.dir, "*", "node.toml"))
	require.NoError(t, err)
	require.Len(t, configs, validators)
	for _, c := range configs {
		nw.dirs = append(nw.dirs, filepath.Dir(c))
	}
	slices.SortFunc(nw.dirs, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // node9 before node10
	t.Cleanup(func() {
		if t.Failed() {
			for i, p := range nw.processes() {
				if p != nil {
					t.Logf("node %d said last: %s", i+1, tail(p.stderr.String(), 3000))
				}
			}
		}
	})
	return nw
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// freePorts finds n ports in a row that nobody listens on, below those that the kernel gives to outgoing connections and that other packages' tests, which
// run at the same time, take: a node that is down must find its port again.
func freePorts(t testing.TB, n int) int {
	for range 100 {
		first, free := 5_000+rand.IntN(5_000-n), true
		for port := first; port < first+n && free; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

// processes are the nodes as they are now.
func (nw *network) processes() []*process {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	return slices.Clone(nw.nodes)
}

// clients are connections to the nodes that run.
func (nw *network) clients() (out []*rpc.Client) {
	for _, p := range nw.processes() {
		if p != nil {
			out = append(out, p.client)
		}
	}
	return out
}

// start runs nodes that are down, all at once, and waits until they serve.
func (nw *network) start(nodes ...int) {
	nw.t.Helper()
	launched := make([]*process, len(nodes))
	serves := make([]func() error, len(nodes))
	for i, n := range nodes {
		launched[i], serves[i] = launchNode(nw.t, nw.behind(n), nw.dirs[n], "--http.addr", nw.listen(n), "--log.level", "info")
	}
	for i, n := range nodes {
		require.NoError(nw.t, serves[i](), "node %d", n+1)
		nw.mu.Lock()
		nw.nodes[n] = launched[i]
		nw.mu.Unlock()
	}
}

func (nw *network) all() (out []int) {
	for i := range nw.nodes {
		out = append(out, i)
	}
	return out
}

// kill ends nodes as kill -9 does, one right after the other.
func (nw *network) kill(nodes ...int) {
	var dead []*process
	nw.mu.Lock()
	for _, n := range nodes {
		dead = append(dead, nw.nodes[n])
		nw.nodes[n] = nil
	}
	nw.mu.Unlock()
	for _, p := range dead {
		p.cmd.Process.Kill()
	}
	for _, p := range dead {
		p.kill()
	}
}

// signal sends a signal to a node, which stays one of those that run.
func (nw *network) signal(node int, s syscall.Signal) {
	nw.t.Helper()
	require.NoError(nw.t, nw.processes()[node].cmd.Process.Signal(s))
}

// stop ends all nodes that run as Ctrl-C does, and expects a clean end.
func (nw *network) stop() {
	for _, p := range nw.processes() {
		if p != nil {
			p.stop()
		}
	}
}

// nodeStatus is what of jl_nodeStatus the tests need.
type nodeStatus struct {
	Engine     string        `json:"engine"`
	Validator  *uint64       `json:"validator"`
	PublicKey  hexutil.Bytes `json:"publicKey"`
	Ordered    uint64        `json:"ordered"`
	Durable    uint64        `json:"durable"`
	Finalized  uint64        `json:"finalized"`
	Leader     *uint64       `json:"leader"`
	Peers      int           `json:"peers"`
	Validators []struct {
		ID uint64 `json:"id"`
	} `json:"validators"`
	Pool struct {
		Pending int `json:"pending"`
		Queued  int `json:"queued"`
	} `json:"pool"`
	Problem *string `json:"problem"`
	// Abstains says why a validator signs nothing.
	Abstains *string `json:"abstains"`
	// Work is nil where blocks are not found by work.
	Work *struct {
		Tip     uint64 `json:"tip"`
		Reorgs  uint64 `json:"reorgs"`
		Deepest int    `json:"deepest"`
	} `json:"work"`
}

func statusOf(ctx context.Context, c *rpc.Client) (*nodeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s := new(nodeStatus)
	return s, c.CallContext(ctx, s, "jl_nodeStatus")
}

// askTimeout is when a client gives up a node that does not answer.
const askTimeout = 5 * time.Second

// leader is the number of the node that most nodes that run say leads.
func (nw *network) leader() (leader int) {
	nw.t.Helper()
	eventually(nw.t, "a leader that the nodes agree on", func() error {
		votes, nodes := map[uint64]int{}, map[uint64]int{}
		running := 0
		for i, p := range nw.processes() {
			if p == nil {
				continue
			}
			running++
			s, err := statusOf(context.Background(), p.client)
			if err != nil {
				return err
			}
			if s.Validator != nil {
				nodes[*s.Validator] = i
			}
			if s.Leader != nil {
				votes[*s.Leader]++
			}
		}
		for id, n := range votes {
			if i, here := nodes[id]; here && n > running/2 {
				leader = i
				return nil
			}
		}
		return fmt.Errorf("votes by leader: %v", votes)
	})
	return leader
}

// closeBy is how many blocks a node that comes along may be behind when two are asked one after the other.
const closeBy = 3

// caughtUp waits until a node has about the final height of the others, under load.
func (nw *network) caughtUp(node int) {
	nw.t.Helper()
	eventually(nw.t, fmt.Sprintf("node %d catches up", node+1), func() error {
		own, err := statusOf(context.Background(), nw.processes()[node].client)
		if err != nil {
			return err
		}
		for i, p := range nw.processes() {
			if p == nil || i == node {
				continue
			}
			s, err := statusOf(context.Background(), p.client)
			if err != nil {
				return err
			}
			if own.Finalized+closeBy < s.Finalized {
				return fmt.Errorf("it has %d, node %d has %d", own.Finalized, i+1, s.Finalized)
			}
		}
		return nil
	})
}

// settled waits until all nodes that run have the same last block, final, and nothing left to do; it returns the height. A chain of work does not come to rest:
// there it waits until all nodes have as final what any has now.
func (nw *network) settled() (height uint64) {
	nw.t.Helper()
	work := uint64(0)
	eventually(nw.t, "the nodes come to rest at one block", func() error {
		var heights []uint64
		for i, p := range nw.processes() {
			if p == nil {
				continue
			}
			s, err := statusOf(context.Background(), p.client)
			if err != nil {
				return err
			}
			if s.Problem != nil {
				return fmt.Errorf("node %d: %s", i+1, *s.Problem)
			}
			if s.Work != nil {
				work = max(work, s.Finalized)
				heights = append(heights, s.Finalized)
				continue
			}
			if s.Finalized != s.Ordered || s.Pool.Pending > 0 {
				return fmt.Errorf("node %d: ordered %d, final %d, pending %d", i+1, s.Ordered, s.Finalized, s.Pool.Pending)
			}
			heights = append(heights, s.Finalized)
		}
		if work > 0 {
			if height = cmp.Or(height, work); slices.Min(heights) < height {
				return fmt.Errorf("heights %v, one had %d", heights, height)
			}
			return nil
		}
		if slices.Min(heights) != slices.Max(heights) {
			return fmt.Errorf("heights %v", heights)
		}
		height = heights[0]
		return nil
	})
	return height
}

// sameBlocks compares every block of all nodes that run, up to a height that they all have.
func (nw *network) sameBlocks(height uint64) {
	nw.t.Helper()
	var want []common.Hash
	for i, p := range nw.processes() {
		if p == nil {
			continue
		}
		got := p.blockHashes(height)
		if want == nil {
			want = got
		}
		for h := range want {
			require.Equal(nw.t, want[h], got[h], "block %d of node %d is another one", h, i+1)
		}
	}
}

// blockHashes are those of blocks 0 to height.
func (p *process) blockHashes(height uint64) (out []common.Hash) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for from := uint64(0); from <= height; from += 100 {
		var calls []rpc.BatchElem
		for h := from; h <= min(height, from+99); h++ {
			calls = append(calls, rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexutil.Uint64(h), false}, Result: new(*block)})
		}
		require.NoError(p.t, p.client.BatchCallContext(ctx, calls))
		for i, c := range calls {
			require.NoError(p.t, c.Error)
			b := *c.Result.(**block)
			require.NotNil(p.t, b, "block %d is missing", from+uint64(i))
			out = append(out, b.Hash)
		}
	}
	return out
}

// editConfig changes a line of a node's node.toml.
func (nw *network) editConfig(node int, from, to string) { editConfig(nw.t, nw.dirs[node], from, to) }

func editConfig(t testing.TB, dir, from, to string) {
	t.Helper()
	path := filepath.Join(dir, "node.toml")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), from)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o644))
}

// known says that a transaction reached a node before.
func known(err error) bool {
	return strings.Contains(err.Error(), "already known") || strings.Contains(err.Error(), "nonce too low")
}
