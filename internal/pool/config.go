package pool

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds the pool. All of it is local to a node: no setting here can make nodes disagree.
type Config struct {
	// Workers verify signatures in parallel; 0 means one per CPU that Go uses. More would only queue inside the scheduler.
	Workers int `toml:"workers"`
	// MaxTxs bounds the pooled transactions. Each costs about 1.2 KiB of memory beside its bytes; the default is some seconds of full load.
	MaxTxs int `toml:"max_txs"`
	// MaxBytes bounds their raw bytes: MaxTxs of the largest size would be 16 GiB.
	MaxBytes int `toml:"max_bytes"`
	// AccountExecutable bounds one account's transactions that are ready to be ordered, so that one sender cannot fill the pool.
	AccountExecutable int `toml:"account_executable"`
	// AccountGapped bounds one account's transactions that wait for a missing nonce: they may never execute, so they get less room.
	AccountGapped int `toml:"account_gapped"`
	// GappedLifetime is how long an account's gapped transactions wait after the last of them arrived. Three hours is what Ethereum's tools know.
	GappedLifetime time.Duration `toml:"gapped_lifetime"`
	// PriceBumpPercent is by how much both price caps must rise to replace a transaction; it pays for spreading the replacement.
	PriceBumpPercent int `toml:"price_bump_percent"`
	// MinFeeCap in wei per gas is the least fee cap on a chain whose base fee moves: lower ones would wait for ever. No effect without fees.
	MinFeeCap uint64 `toml:"min_fee_cap"`
	// Retries is how often a transaction that a block left out may be ordered again before it is dropped: each try costs the chain a place in a decision.
	Retries int `toml:"retries"`
	// Reasons is how many dropped transactions' reasons are remembered for Reason, the oldest go first; about 150 bytes each.
	Reasons int `toml:"reasons"`

	// Journal is the folder in which locally submitted transactions survive a restart; empty turns the journal off.
	Journal string `toml:"journal"`
	// JournalBytes is the size at which the journal is rewritten with what still waits. It bounds the disk used (twice this and MaxBytes) and
	// the time to read it at start.
	JournalBytes int64 `toml:"journal_bytes"`
	// JournalSync makes Add wait for an fsync, shared by all calls that wait at the same time. Without it an accepted transaction survives
	// the death of the process but not of the machine; once decided it survives both, whatever this says.
	JournalSync bool `toml:"journal_sync"`
}

// DefaultConfig is for a node of a few cores and some GiB of memory. The journal is off until a folder is named.
func DefaultConfig() Config {
	return Config{
		MaxTxs: 131_072, MaxBytes: 128 << 20, AccountExecutable: 4096, AccountGapped: 256, GappedLifetime: 3 * time.Hour,
		PriceBumpPercent: 10, MinFeeCap: 1, Retries: 3, Reasons: 65_536, JournalBytes: 16 << 20,
	}
}

// Validate names the first field that is out of range.
func (c *Config) Validate() error {
	bad := func(field, rule string) error { return fmt.Errorf("pool: %s %s", field, rule) }
	switch {
	case c.Workers < 0 || c.Workers > 1024:
		return bad("workers", "must be 0 (one per CPU) to 1024")
	case c.MaxTxs < 1:
		return bad("max_txs", "must be at least 1")
	case c.MaxBytes < 1:
		return bad("max_bytes", "must be at least 1")
	case c.AccountExecutable < 1:
		return bad("account_executable", "must be at least 1")
	case c.AccountGapped < 0:
		return bad("account_gapped", "must not be negative")
	case c.GappedLifetime <= 0:
		return bad("gapped_lifetime", "must be positive")
	case c.PriceBumpPercent < 1 || c.PriceBumpPercent > 1000:
		return bad("price_bump_percent", "must be 1 to 1000")
	case c.Retries < 0 || c.Retries > 100:
		return bad("retries", "must be 0 to 100")
	case c.Reasons < 1:
		return bad("reasons", "must be at least 1")
	case c.Journal != "" && c.JournalBytes < minJournalBytes:
		return bad("journal_bytes", fmt.Sprintf("must be at least %d", minJournalBytes))
	}
	return nil
}

// Reasons for refusing or dropping a transaction. The texts are those that ethers, viem and geth's clients match.
var (
	ErrAlreadyKnown        = errors.New("already known")
	ErrNonceTooLow         = errors.New("nonce too low")
	ErrNonceMax            = errors.New("nonce has max value")
	ErrReplaceUnderpriced  = errors.New("replacement transaction underpriced")
	ErrUnderpriced         = errors.New("transaction underpriced")
	ErrFeeCapTooLow        = errors.New("max fee per gas less than block base fee")
	ErrInsufficientFunds   = errors.New("insufficient funds for gas * price + value")
	ErrIntrinsicGas        = errors.New("intrinsic gas too low")
	ErrFloorDataGas        = errors.New("insufficient gas for floor data gas cost")
	ErrGasLimit            = errors.New("exceeds block gas limit")
	ErrGasLimitTooHigh     = errors.New("transaction gas limit too high")
	ErrInitCodeSize        = errors.New("max initcode size exceeded")
	ErrSenderNoEOA         = errors.New("sender not an eoa")
	ErrEmptyAuthorizations = errors.New("EIP-7702 transaction with empty auth list")
	ErrSetCodeCreate       = errors.New("EIP-7702 transaction cannot be used to create contract")
	ErrAccountLimit        = errors.New("account limit exceeded")
	ErrFull                = errors.New("txpool is full")
	ErrEvicted             = errors.New("evicted: txpool is full")
	ErrExpired             = errors.New("expired: waited too long for a missing nonce")
	ErrReplaced            = errors.New("replaced by another transaction with the same nonce")
	ErrClosed              = errors.New("txpool is closed")
)
