package eth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// Miner looks for blocks on a chain of work, and lets others look. Safe for concurrent use.
type Miner interface {
	// Work is what to look for now. It fails with a sentence for clients while there is nothing to look for: without an account, or while the node syncs.
	Work() (*WorkPackage, error)
	// Submit takes what solves a package, and returns when its block is this node's newest. ErrStaleWork where another one came first.
	Submit(ctx context.Context, header []byte, extra, nonce uint64) error
	// SetThreads makes the node itself look with that many threads; 0 stops it. It fails without an account.
	SetThreads(n int) error
	Status() WorkStatus
}

// ErrStaleWork is work that came too late: its package is not the newest any more.
var ErrStaleWork = errors.New("the work is for a block that is not looked for any more")

// WorkPackage is what a miner works on: extra (8 bytes) and nonce (8 bytes) at the end of Header are to be found such that the suite's hash of the suite's hash
// of the header is at most Target, as big-endian numbers.
type WorkPackage struct {
	// Header is encoded, with zeros for extra and nonce.
	Header []byte
	Target [32]byte
	Height uint64
}

// WorkStatus is how mining goes.
type WorkStatus struct {
	// Coinbase is who is rewarded for blocks that are found here; zero: nobody, and nothing is looked for.
	Coinbase common.Address
	// Threads look for blocks in this node itself, with Rate hashes per second.
	Threads int
	Rate    float64
	// Tip is the height of the best branch, Headers that of the best header, which may be ahead of it while blocks are fetched.
	Tip, Headers uint64
	// Work is the sum of work of the best branch, Difficulty how many hashes the next block takes on average.
	Work       *big.Int
	Difficulty float64
	// Blocks are those that are here and not final, on all branches; Orphans are headers that wait for their parent.
	Blocks, Orphans int
	// Forks counts blocks that came beside another of their height, Reorgs how often another branch took over, Deepest the most blocks that took back, all since
	// the start.
	Forks, Reorgs uint64
	Deepest       int
	// Mined are the blocks that were found here since the start, Refused what was not accepted, by reason.
	Mined   uint64
	Refused map[string]uint64
}

// workStatusJSON is jl_nodeStatus's "work".
type workStatusJSON struct {
	Coinbase        *common.Address `json:"coinbase"`
	Threads         int             `json:"threads"`
	HashesPerSecond float64         `json:"hashesPerSecond"`
	Tip             uint64          `json:"tip"`
	Headers         uint64          `json:"headers"`
	Depth           int             `json:"depth"`
	BlockMillis     int             `json:"blockMillis"`
	// TotalWork is in hex: it exceeds what a JSON number holds.
	TotalWork      *hexutil.Big      `json:"totalWork"`
	HashesPerBlock float64           `json:"hashesPerBlock"`
	Blocks         int               `json:"blocks"`
	Orphans        int               `json:"orphans"`
	Forks          uint64            `json:"forks"`
	Reorgs         uint64            `json:"reorgs"`
	Deepest        int               `json:"deepest"`
	Mined          uint64            `json:"mined"`
	Refused        map[string]uint64 `json:"refused"`
}

// workView is nil where blocks are not found by work.
func workView(p *chain.WorkParams, m Miner) *workStatusJSON {
	if p == nil || m == nil {
		return nil
	}
	s := m.Status()
	out := &workStatusJSON{Threads: s.Threads, HashesPerSecond: s.Rate, Tip: s.Tip, Headers: s.Headers, Depth: p.Depth, BlockMillis: p.BlockMillis,
		HashesPerBlock: s.Difficulty, Blocks: s.Blocks, Orphans: s.Orphans, Forks: s.Forks, Reorgs: s.Reorgs, Deepest: s.Deepest, Mined: s.Mined, Refused: s.Refused}
	if s.Coinbase != (common.Address{}) {
		out.Coinbase = &s.Coinbase
	}
	if s.Work != nil {
		out.TotalWork = (*hexutil.Big)(s.Work)
	}
	if out.Refused == nil {
		out.Refused = map[string]uint64{}
	}
	return out
}

// mineService has the methods of miners. On a chain without work they fail and say so.
type mineService struct{ a *API }

// miner is the chain's, or an error that says why there is none.
func (a *API) minerOrError() (Miner, error) {
	if a.miner == nil {
		return nil, &serve.Error{Code: serve.CodeMethodNotFound, Message: fmt.Sprintf("blocks of this chain are not found by work: its engine is %q",
			a.genesis.Consensus.Engine)}
	}
	return a.miner, nil
}

// Mining is eth_mining: whether the node itself looks for blocks.
func (s *mineService) Mining() bool { return s.a.miner != nil && s.a.miner.Status().Threads > 0 }

// Hashrate is eth_hashrate: of the node's own threads.
func (s *mineService) Hashrate() hexutil.Uint64 {
	if s.a.miner == nil {
		return 0
	}
	return hexutil.Uint64(s.a.miner.Status().Rate)
}

// GetWork is eth_getWork: [header, hash, target, height]. The header is 176 bytes of which the last 16, extra and nonce, are to be found; hash names the suite's
// hash, which is taken twice; the result must not exceed the target.
func (s *mineService) GetWork() ([4]string, error) {
	m, err := s.a.minerOrError()
	if err != nil {
		return [4]string{}, err
	}
	w, err := m.Work()
	if err != nil {
		return [4]string{}, err
	}
	return [4]string{hexutil.Encode(w.Header), s.a.suite.Name(), hexutil.Encode(w.Target[:]), hexutil.EncodeUint64(w.Height)}, nil
}

// solutionBytes is the length of extra and of nonce.
const solutionBytes = 8

// SubmitWork is eth_submitWork(nonce, header, extra): header as eth_getWork gave it. False where the work came too late; what does not meet the target is an error.
func (s *mineService) SubmitWork(ctx context.Context, nonce, header, extra hexutil.Bytes) (bool, error) {
	m, err := s.a.minerOrError()
	if err != nil {
		return false, err
	}
	if len(nonce) != solutionBytes || len(extra) != solutionBytes {
		return false, invalidParams("nonce and extra have %d bytes each, these have %d and %d", solutionBytes, len(nonce), len(extra))
	}
	err = m.Submit(ctx, header, binary.BigEndian.Uint64(extra), binary.BigEndian.Uint64(nonce))
	switch {
	case errors.Is(err, ErrStaleWork):
		return false, nil
	case err != nil:
		return false, invalidParams("%s", err)
	}
	return true, nil
}

// SetMining is jl_setMining(threads): the node itself looks with that many threads from now on, until it is restarted; 0 stops it.
func (s *adminService) SetMining(threads hexutil.Uint64) (*workStatusJSON, error) {
	m, err := s.a.minerOrError()
	if err != nil {
		return nil, err
	}
	if threads > maxMiners {
		return nil, invalidParams("%d threads, at most %d", uint64(threads), maxMiners)
	}
	if err := m.SetThreads(int(threads)); err != nil {
		return nil, err
	}
	return workView(s.a.genesis.Consensus.Work, m), nil
}

// maxMiners is more cores than a machine has.
const maxMiners = 1024
