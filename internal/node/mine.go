package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// MineConfig is the [mine] table of node.toml. On a chain of another engine it means nothing.
type MineConfig struct {
	// Enabled makes the node look for blocks itself.
	Enabled bool `toml:"enabled"`
	// Threads is how many cores it keeps busy with that.
	Threads int `toml:"threads"`
	// Coinbase is the account that the rewards and tips of its blocks go to, also of those that external miners find. Without it the node only follows.
	Coinbase string `toml:"coinbase"`
	// Checkpoints are blocks that this node's chain must go through, "HEIGHT:HASH" of their work headers, beside those of the genesis: how its operator chooses a side
	// when a chain has parted more deeply than its depth.
	Checkpoints []string `toml:"checkpoints"`
}

// DefaultMineConfig follows and does not mine.
func DefaultMineConfig() MineConfig { return MineConfig{Threads: 1, Checkpoints: []string{}} }

// Validate names the first field that cannot be.
func (c *MineConfig) Validate() error {
	switch {
	case c.Threads < 1 || c.Threads > maxMineThreads:
		return fmt.Errorf("mine: threads must be 1 to %d", maxMineThreads)
	case c.Coinbase != "" && !common.IsHexAddress(c.Coinbase):
		return fmt.Errorf("mine: coinbase: %q is no address", c.Coinbase)
	case c.Coinbase != "" && c.account() == (common.Address{}):
		return errors.New("mine: coinbase must not be the zero address: rewards would be lost")
	case c.Enabled && c.Coinbase == "":
		return errors.New("mine: coinbase must name the account that is rewarded where enabled is true")
	case len(c.Checkpoints) > maxCheckpoints:
		return fmt.Errorf("mine: checkpoints: at most %d", maxCheckpoints)
	}
	for _, s := range c.Checkpoints {
		if _, err := parseCheckpoint(s); err != nil {
			return fmt.Errorf("mine: checkpoints: %q: %w", s, err)
		}
	}
	return nil
}

// maxCheckpoints is more sides than an operator ever has to choose.
const maxCheckpoints = 1024

func parseCheckpoint(s string) (c chain.WorkCheckpoint, err error) {
	height, hash, found := strings.Cut(s, ":")
	if c.Height, err = strconv.ParseUint(height, 10, 64); err != nil || !found || c.Height == 0 {
		return c, errors.New("must be HEIGHT:HASH")
	}
	return c, c.Hash.UnmarshalText([]byte(hash))
}

// merge adds the node's own checkpoints to the genesis', by ascending height. One of the genesis comes first.
func (c *MineConfig) merge(genesis []chain.WorkCheckpoint) []chain.WorkCheckpoint {
	out := slices.Clone(genesis)
	for _, s := range c.Checkpoints {
		own, err := parseCheckpoint(s)
		if err == nil && !slices.ContainsFunc(out, func(o chain.WorkCheckpoint) bool { return o.Height == own.Height }) {
			out = append(out, own)
		}
	}
	slices.SortFunc(out, func(a, b chain.WorkCheckpoint) int { return cmp.Compare(a.Height, b.Height) })
	return out
}

// maxMineThreads is more cores than a machine has.
const maxMineThreads = 1024

// account is zero where none is named.
func (c *MineConfig) account() common.Address { return common.HexToAddress(c.Coinbase) }

// check refuses what would do nothing, so that nobody waits for rewards.
func (c *MineConfig) check(engine chain.EngineKind) error {
	if c.Enabled && engine != chain.PoW {
		return fmt.Errorf("node.toml: [mine] is enabled, but blocks of engine %q are not found by work", engine)
	}
	return nil
}
