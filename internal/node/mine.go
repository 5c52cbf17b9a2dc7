package node

import (
	"errors"
	"fmt"

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
}

// DefaultMineConfig follows and does not mine.
func DefaultMineConfig() MineConfig { return MineConfig{Threads: 1} }

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
	}
	return nil
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
