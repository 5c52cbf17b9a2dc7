package node

import (
	"time"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/gossip"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// The protocols and methods of a node. Priorities: what a decision waits for goes first, what only fills pools goes last.
var (
	// protocolOrder carries the engine's messages. The largest is a change of leader that brings two proposals per member of a quorum; a proposal is
	// 32 bytes per transaction. A member that floods is slowed down to what a full chain of blocks needs.
	protocolOrder = p2p.Protocol{Name: "order", Priority: 0, MaxMessage: 16 << 20, QueueMessages: 4096, QueueBytes: 32 << 20,
		BytesPerSecond: 32 << 20, Burst: 64 << 20, MembersOnly: true}
	// protocolWork is protocolOrder on a chain of work, where everybody speaks: headers, and bodies of blocks that are lists of hashes (2 MiB at the most).
	// A stranger is slowed down to what syncing headers takes.
	protocolWork = p2p.Protocol{Name: protocolOrder.Name, Priority: 0, MaxMessage: 4 << 20, QueueMessages: 1024, QueueBytes: 8 << 20,
		BytesPerSecond: 4 << 20, Burst: 16 << 20}
	// protocolAttest carries signatures on executed headers, some 150 bytes each.
	protocolAttest = p2p.Protocol{Name: "attest", Priority: 1, MaxMessage: attest.MaxMessage, QueueMessages: 1024, QueueBytes: 1 << 20,
		BytesPerSecond: 1 << 20, Burst: 4 << 20}
	// protocolStatus carries heights and clocks; a newer one makes an older one worthless, so the queue is short.
	protocolStatus = p2p.Protocol{Name: "status", Priority: 1, MaxMessage: 4 << 10, QueueMessages: 64, QueueBytes: 64 << 10,
		BytesPerSecond: 64 << 10, Burst: 256 << 10}
	// protocolTxs carries transactions in batches. A transaction has at most 128 KiB; see gossip for the largest batch. 16 MiB a second are some 90,000
	// transfers, more than any pool takes; a member that sends what all know already at that rate costs us a fifth of a core.
	protocolTxs = p2p.Protocol{Name: "txs", Priority: 2, MaxMessage: gossip.MaxMessage, QueueMessages: 1024, QueueBytes: 16 << 20,
		BytesPerSecond: 16 << 20, Burst: 32 << 20}

	// methodTxs asks for transactions by hash, or for the hashes that a pool holds. A proposal waits for the answer.
	methodTxs = p2p.Method{Name: "gettxs", Priority: 1, MaxRequest: gossip.MaxRequest, MaxResponse: gossip.MaxResponse, Parallel: 4, Timeout: 10 * time.Second}
	// methodBlocks asks for decisions with their transactions, headers and certificates. A large block comes in parts.
	methodBlocks = p2p.Method{Name: "getblocks", Priority: 2, MaxRequest: catchup.MaxRequest, MaxResponse: catchup.MaxResponse, Parallel: 4, Timeout: 60 * time.Second}
	// methodSnapshot asks for a part of the state at an attested height.
	methodSnapshot = p2p.Method{Name: catchup.SnapshotMethod, Priority: 3, MaxRequest: catchup.MaxSnapshotRequest,
		MaxResponse: catchup.MaxSnapshotResponse, Parallel: 4, Timeout: 30 * time.Second}
	// methodWrites asks what a recent block changed, to find out why two nodes differ.
	methodWrites = p2p.Method{Name: "getwrites", Priority: 3, MaxRequest: 1 << 10, MaxResponse: 64 << 20, Parallel: 1, Timeout: 30 * time.Second}
)
