package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

// StakeConfig is the account with which a node of a chain of stake acts by itself: it shows in each epoch that its seat is present, and reports validators that
// contradict themselves.
type StakeConfig struct {
	// Account is a keystore file, relative to the node's folder; empty: the node sends nothing by itself. It needs no more than the gas: give it no other account.
	Account string `toml:"account"`
	// PassphraseFile opens it, a file of mode 0600, relative to the node's folder.
	PassphraseFile string `toml:"passphrase_file"`
}

func (c *StakeConfig) validate() error {
	if (c.Account == "") != (c.PassphraseFile == "") {
		return errors.New("stake.account and stake.passphrase_file stand together: nobody is asked for a passphrase of an account that is used for months")
	}
	return nil
}

// Files are the configuration's files in the node's folder.
func (c *StakeConfig) Files(dir string) (account, passphrase string) {
	within := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	return within(c.Account), within(c.PassphraseFile)
}

// Operator is the account of StakeConfig. Safe for concurrent use.
type Operator interface {
	Address() common.Address
	// SignCall signs a transaction without value that calls a contract.
	SignCall(chainID uint64, c OperatorCall) (raw []byte, err error)
}

// OperatorCall is a transaction of an operator's; fees are in wei per gas.
type OperatorCall struct {
	To             common.Address
	Nonce, Gas     uint64
	FeeCap, TipCap *big.Int
	Data           []byte
}

const (
	// operateEvery is how often the state is looked at: several times in the shortest epoch there is, of 128 blocks in a few seconds.
	operateEvery = 2 * time.Second
	// sendAgain is after how long a transaction that has had no effect is sent again, maxSends how often in all for one purpose: a fee that has risen or a
	// pool that was full are worth another try, a contract that refuses is not.
	sendAgain = 20 * time.Second
	maxSends  = 6
	// operatorGas suffices for an attendance or a slash beside what their calldata costs; operatorWordGas is the dearest that a byte of that is (EIP-7623).
	operatorGas     = 400_000
	operatorByteGas = 40
)

// operator does what StakeConfig says. Its methods but Run are Run's goroutine's.
type operator struct {
	p       *pipeline
	genesis *chain.Genesis
	account Operator
	pending func(common.Address) (uint64, error)
	submit  func(ctx context.Context, raws [][]byte) ([]*chain.Tx, []error)
	now     func() time.Time
	log     *slog.Logger
	// sends are what was sent for each purpose; those of past epochs are dropped.
	sends map[string]sends
	epoch uint64

	mu     sync.Mutex
	status *eth.StakeStatus
}

type sends struct {
	times int
	last  time.Time
}

// newOperator makes the pipeline's operator; nil on a chain without stake.
func (n *Node) newOperator(p *pipeline) {
	if n.genesis.Consensus.Stake == nil {
		return
	}
	p.operator = &operator{p: p, genesis: n.genesis, account: n.opts.Operator, pending: p.pool.PendingNonce, submit: n.Submit, now: n.now, log: n.log,
		sends: make(map[string]sends)}
}

// Run acts until ctx ends. What fails is said and tried again; it is never a reason to stop the node.
func (o *operator) Run(ctx context.Context) error {
	if o == nil {
		return nil
	}
	ticker := time.NewTicker(operateEvery)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		problem := ""
		if err := o.step(ctx); err != nil && ctx.Err() == nil {
			problem = err.Error()
		}
		if problem != said && problem != "" {
			o.log.Warn("the node cannot act with its account of stake", "err", problem)
		}
		said = problem
		o.mu.Lock()
		if o.status != nil {
			o.status.Problem = problem
		}
		o.mu.Unlock()
	}
}

// Status is nil where the node is registered with no stake, or stake does not rule.
func (o *operator) Status() *eth.StakeStatus {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.status == nil {
		return nil
	}
	s := *o.status
	return &s
}

// step looks once and sends what is due.
func (o *operator) step(ctx context.Context) error {
	head := o.p.store.Head()
	height := head.Number.Uint64() + 1
	rule := o.p.sets.Of(height)
	if rule == nil || rule.Engine != chain.PoS {
		o.show(nil)
		return nil
	}
	st, err := o.p.store.State(height - 1)
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	length := o.genesis.Consensus.Stake.EpochBlocks
	if epoch := height / length; epoch != o.epoch {
		o.epoch = epoch
		clear(o.sends)
	}
	own := o.p.key.Public().Bytes()
	me, err := govern.ReadStaker(st, own)
	if err != nil {
		return fmt.Errorf("read the contract Staking: %w", err)
	}
	if me != nil {
		s := &eth.StakeStatus{Validator: me.ID, Epoch: o.epoch, BlocksLeft: length - height%length, Seat: rule.Set.Find(me.ID) != nil, Attended: me.Attended(o.epoch),
			Jailed: me.JailedUntil > 0, Tombstoned: me.Tombstoned}
		if o.account != nil {
			address := o.account.Address()
			s.Operator = &address
		}
		o.show(s)
	} else {
		o.show(nil)
	}
	if o.account == nil {
		return nil
	}
	return errors.Join(o.attend(ctx, st, head, me), o.report(ctx, st, head, own))
}

func (o *operator) show(s *eth.StakeStatus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s != nil && o.status != nil {
		s.Problem = o.status.Problem
	}
	o.status = s
}

// attend shows that this node's seat is present, once an epoch.
func (o *operator) attend(ctx context.Context, st chain.State, head *chain.Header, me *govern.Staker) error {
	s := o.Status()
	if me == nil || s == nil || !s.Seat || s.Attended {
		return nil
	}
	sig, err := o.p.key.Sign(govern.AttendMessage(o.p.genesisHash, me.ID, o.epoch))
	if err != nil {
		return fmt.Errorf("sign the attendance: %w", err)
	}
	data, err := govern.StakingABI().Pack("attend", uint64(me.ID), o.epoch, sig)
	if err != nil {
		return fmt.Errorf("encode the attendance: %w", err)
	}
	return o.send(ctx, st, head, "attend", data)
}

// report sends the contradictions of validators whose stake can still be slashed. Its own it does not.
func (o *operator) report(ctx context.Context, st chain.State, head *chain.Header, own []byte) (failed error) {
	for _, c := range o.p.docket.All() {
		if string(c.PublicKey) == string(own) {
			continue
		}
		who, err := govern.ReadStaker(st, c.PublicKey)
		if err != nil {
			return fmt.Errorf("read the contract Staking: %w", err)
		}
		claim, _, err := c.Claims()
		stake := o.genesis.Consensus.Stake
		if err != nil || who == nil || who.Tombstoned || claim.Height/stake.EpochBlocks+stake.UnbondingEpochs < o.epoch {
			continue
		}
		data, err := govern.StakingABI().Pack("slash", uint64(who.ID), c.Messages[0], c.Signatures[0], c.Messages[1], c.Signatures[1])
		if err != nil {
			return fmt.Errorf("encode evidence: %w", err)
		}
		failed = errors.Join(failed, o.send(ctx, st, head, fmt.Sprintf("slash %d", who.ID), data))
	}
	return failed
}

// send sends one transaction for a purpose, unless one was sent a moment ago or too many were.
func (o *operator) send(ctx context.Context, st chain.State, head *chain.Header, purpose string, data []byte) error {
	done := o.sends[purpose]
	if done.times >= maxSends {
		return fmt.Errorf("%s: sent %d times in this epoch, without effect", purpose, done.times)
	}
	if done.times > 0 && o.now().Sub(done.last) < sendAgain {
		return nil
	}
	from := o.account.Address()
	call := OperatorCall{To: chain.StakingAddress, Gas: operatorGas + operatorByteGas*uint64(len(data)), Data: data, FeeCap: new(big.Int), TipCap: new(big.Int)}
	if o.genesis.Fees.Mode != chain.FeesZero {
		base := o.p.execute.NextBaseFee(head)
		call.TipCap.Add(new(big.Int).Rsh(base, 3), big.NewInt(1))
		call.FeeCap.Add(new(big.Int).Lsh(base, 1), call.TipCap)
	}
	acc, err := st.Account(from)
	if err != nil {
		return fmt.Errorf("read the account: %w", err)
	}
	cost := new(big.Int).Mul(call.FeeCap, new(big.Int).SetUint64(call.Gas))
	if have := new(big.Int); acc == nil || have.Set(acc.Balance.ToBig()).Cmp(cost) < 0 {
		if cost.Sign() > 0 {
			return fmt.Errorf("%s: account %s must hold %s wei for the gas and does not", purpose, from.Hex(), cost)
		}
	}
	if call.Nonce, err = o.pending(from); err != nil {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	raw, err := o.account.SignCall(o.genesis.ChainID, call)
	if err != nil {
		return fmt.Errorf("%s: sign: %w", purpose, err)
	}
	done.times, done.last = done.times+1, o.now()
	o.sends[purpose] = done
	txs, errs := o.submit(ctx, [][]byte{raw})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	o.log.Info("sent for the node's stake", "what", purpose, "tx", txs[0].Hash(), "account", from)
	return nil
}
