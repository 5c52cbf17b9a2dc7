package main

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/client"
)

// maxPerMinute bounds what a policy may allow, and with it what the signer remembers of each account.
const maxPerMinute = 100_000

// policyFile is what a remote signer may sign. What it does not list is refused.
type policyFile struct {
	Account []accountPolicy `toml:"account"`
}

// accountPolicy is what one account may sign.
type accountPolicy struct {
	Address string `toml:"address"`
	// Chains are the chain ids.
	Chains []uint64 `toml:"chains"`
	// MaxValue is per transaction, MaxFee gas × the cap per gas; like 1.5ether. Empty: nothing.
	MaxValue string `toml:"max_value"`
	MaxFee   string `toml:"max_fee"`
	// Recipients are addresses; ["*"] is everybody.
	Recipients []string `toml:"recipients"`
	// Methods are the selectors that call data may begin with, like 0xa9059cbb; ["*"] is any data. Empty: no data.
	Methods []string `toml:"methods"`
	// Create allows contracts to be deployed.
	Create bool `toml:"create"`
	// PerMinute is how many signatures a minute.
	PerMinute int `toml:"per_minute"`
}

// judge decides for one account. Safe for concurrent use.
type judge struct {
	accountPolicy
	address          common.Address
	maxValue, maxFee *big.Int
	recipients       []common.Address
	methods          [][4]byte
	now              func() time.Time

	mu     sync.Mutex
	recent []time.Time // of the last minute's signatures, at most PerMinute
}

// errPolicy is a transaction that the policy does not allow.
var errPolicy = errors.New("the policy does not allow it")

// readPolicy makes the judges, by account.
func readPolicy(path string, now func() time.Time) (map[common.Address]*judge, error) {
	b, err := readUpTo(path, maxSecretFile)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	var f policyFile
	meta, err := toml.Decode(string(b), &f)
	if err != nil {
		return nil, fmt.Errorf("read the policy %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("read the policy %s: unknown key %q", path, unknown[0].String())
	}
	out := make(map[common.Address]*judge)
	for i := range f.Account {
		j, err := newJudge(f.Account[i], now)
		if err != nil {
			return nil, fmt.Errorf("read the policy %s: account %q: %w", path, f.Account[i].Address, err)
		}
		if out[j.address] != nil {
			return nil, fmt.Errorf("read the policy %s: account %s stands there twice", path, j.address)
		}
		out[j.address] = j
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read the policy %s: it lists no account", path)
	}
	return out, nil
}

func newJudge(p accountPolicy, now func() time.Time) (j *judge, err error) {
	j = &judge{accountPolicy: p, maxValue: new(big.Int), maxFee: new(big.Int), now: now}
	if j.address, err = parseAddress(p.Address); err != nil {
		return nil, err
	}
	if len(p.Chains) == 0 {
		return nil, errors.New("chains is empty: for which chain ids may it sign?")
	}
	if p.PerMinute < 1 || p.PerMinute > maxPerMinute {
		return nil, fmt.Errorf("per_minute must be 1 to %d", maxPerMinute)
	}
	for _, amount := range []struct {
		text string
		to   **big.Int
	}{{p.MaxValue, &j.maxValue}, {p.MaxFee, &j.maxFee}} {
		if amount.text == "" {
			continue
		}
		if *amount.to, err = parseAmount(amount.text, "wei"); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(p.Recipients, "*") {
		for _, r := range p.Recipients {
			a, err := parseAddress(r)
			if err != nil {
				return nil, err
			}
			j.recipients = append(j.recipients, a)
		}
	}
	if !slices.Contains(p.Methods, "*") {
		for _, m := range p.Methods {
			b, err := hexutil.Decode(m)
			if err != nil || len(b) != 4 {
				return nil, fmt.Errorf("method %q must be 0x and 8 hex digits", m)
			}
			j.methods = append(j.methods, [4]byte(b))
		}
	}
	return j, nil
}

// allow says why a transaction is not signed, and counts it where it is.
func (j *judge) allow(u *client.Unsigned) error {
	tx := u.Tx
	fee := new(big.Int).Mul(tx.FeeCap, new(big.Int).SetUint64(tx.Gas))
	switch {
	case !u.ChainID.IsUint64() || !slices.Contains(j.Chains, u.ChainID.Uint64()):
		return fmt.Errorf("%w: chain id %s", errPolicy, u.ChainID)
	case tx.To == nil && !j.Create:
		return fmt.Errorf("%w: it deploys a contract", errPolicy)
	case tx.To != nil && !slices.Contains(j.Recipients, "*") && !slices.Contains(j.recipients, *tx.To):
		return fmt.Errorf("%w: recipient %s", errPolicy, tx.To)
	case tx.Value.Cmp(j.maxValue) > 0:
		return fmt.Errorf("%w: value %s wei exceeds %s", errPolicy, tx.Value, j.maxValue)
	case fee.Cmp(j.maxFee) > 0:
		return fmt.Errorf("%w: it may cost %s wei of fees, more than %s", errPolicy, fee, j.maxFee)
	case tx.To != nil && len(tx.Data) > 0 && !slices.Contains(j.Methods, "*") && (len(tx.Data) < 4 || !slices.Contains(j.methods, [4]byte(tx.Data))):
		return fmt.Errorf("%w: call data 0x%x…", errPolicy, tx.Data[:min(4, len(tx.Data))])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	j.recent = slices.DeleteFunc(j.recent, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(j.recent) >= j.PerMinute {
		return fmt.Errorf("%w: %d signatures in the last minute", errPolicy, len(j.recent))
	}
	j.recent = append(j.recent, now)
	return nil
}
