package node

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/store"
)

// Options replace a node's surroundings, for simulations and tests. The zero value is a real node.
type Options struct {
	// Genesis and Key stand for the folder's genesis.json and node.key.
	Genesis *chain.Genesis
	Key     crypto.PrivateKey
	// FS is where the ledger is; nil: the operating system's.
	FS vfs.FS
	// Network makes the network that one run uses; nil: p2p.Network where the chain has other nodes.
	Network func() (Network, error)
	// Now is the clock of proposals and of what the node tells its peers; time.Now when nil.
	Now func() time.Time
	// Operator acts for a node of a chain of stake, see StakeConfig; nil: nobody does. It is the caller's to open, as the node knows nothing of accounts.
	Operator Operator
	// Headless opens no port.
	Headless bool
	// Watch is given the stages of each run when they begin to work, and nil before the ledger closes: what looks inside has let go of them when that
	// call returns. It may be called by any goroutine, one at a time.
	Watch func(*Stages)
	// Solver finds blocks of a chain of work in place of this machine's processors.
	Solver pow.Solver
}

// Stages are what works inside a node, for simulations and tests.
type Stages struct {
	Store  *store.Store
	Pool   *pool.Pool
	Engine order.Engine
	// Contradictions are what convicts validators of having contradicted themselves, as far as this node has noticed.
	Contradictions func() []*chain.Contradiction
}
