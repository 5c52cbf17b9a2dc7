package p2p

import (
	"context"
	"slices"
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
)

// maxConflicts is how many different findings are kept: one is enough to act on, some help to find the other machine.
const maxConflicts = 16

// conflicts are signs that another process uses this node's key. Safe for concurrent use.
type conflicts struct {
	mu     sync.Mutex
	found  []string
	notify []func(string)
}

// OnConflict calls f for every new sign that another process uses this node's key. Comes before Run. f must not block.
func (n *Network) OnConflict(f func(string)) {
	n.before("OnConflict")
	n.twice.notify = append(n.twice.notify, f)
}

// Conflicts are the signs so far that another process uses this node's key. Some are what this node has seen itself, some what a peer says; the text
// tells which.
func (n *Network) Conflicts() []string {
	n.twice.mu.Lock()
	defer n.twice.mu.Unlock()
	return slices.Clone(n.twice.found)
}

// conflict notes a sign that this node's key is in use elsewhere.
func (n *Network) conflict(what string) {
	t := &n.twice
	t.mu.Lock()
	if slices.Contains(t.found, what) || len(t.found) == maxConflicts {
		t.mu.Unlock()
		return
	}
	t.found = append(t.found, what)
	t.mu.Unlock()
	n.log.Error("two nodes have one key: stop one of them, give it a key of its own; two validators with one key can sign against each other", "finding", what)
	for _, f := range t.notify {
		f(what)
	}
}

// noticeMethod is how a node is told that another process with its key has appeared elsewhere.
var noticeMethod = Method{Name: "one-key", Priority: 0, MaxRequest: maxEndpoint, MaxResponse: 1, Parallel: 1, Timeout: askTime}

// twins tells the connected one of two nodes with one key of the other, which learns it from our verdict.
func (n *Network) twins(ctx context.Context, old, other *conn) {
	n.log.Warn("two nodes have one key: the later one is refused", "peer", old.peer.Short(), "connected", old.address, "refused", other.address)
	if _, err := n.Request(ctx, old.peer, noticeMethod.Name, []byte(other.address)); err != nil {
		n.log.Debug("node could not be told that its key is in use elsewhere", "peer", old.peer.Short(), "err", err)
	}
}

func (n *Network) hearNotice(_ context.Context, from chain.Peer, request []byte) ([]byte, error) {
	n.conflict("peer " + from.String() + " says that another node with this node's key came from " + printable(request))
	return nil, nil
}
