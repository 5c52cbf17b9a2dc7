package govern_test

import (
	"encoding/binary"
	"errors"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
)

// The contracts by which contracts judge node signatures belong to internal/execute; these answer as it does there, for the suite of the test.
func init() {
	for addr, run := range map[string]answer{"0x5005": verifies, "0x5006": func([]byte) ([]byte, error) { return genesisHash[:], nil }} {
		a := common.HexToAddress(addr)
		vm.PrecompiledContractsOsaka[a] = run
		vm.PrecompiledAddressesOsaka = append(vm.PrecompiledAddressesOsaka, a)
	}
}

type answer func([]byte) ([]byte, error)

func (answer) Name() string                       { return "TEST" }
func (answer) RequiredGas(input []byte) uint64    { return 8_000 + 12*uint64(len(input)+31)/32 }
func (a answer) Run(input []byte) ([]byte, error) { return a(input) }
func ether(n int64) *big.Int                      { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e18)) }
func hexed(n *big.Int) *math.HexOrDecimal256      { return (*math.HexOrDecimal256)(n) }
func epochBlocks(g *chain.Genesis) uint64         { return g.Consensus.Stake.EpochBlocks }
func sum(a, b *big.Int) *big.Int                  { return new(big.Int).Add(a, b) }
func sub(a, b *big.Int) *big.Int                  { return new(big.Int).Sub(a, b) }
func max256() *big.Int                            { return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)) }

var genesisHash = crypto.Hash{1, 2, 3}

func verifies(input []byte) ([]byte, error) {
	head := 64 + suite.PublicKeySize()
	if len(input) < head {
		return nil, nil
	}
	k, err := suite.ParsePublicKey(input[64:head])
	if err != nil || k.Verify(input[head:], input[:64]) != nil {
		return nil, nil
	}
	return common.LeftPadBytes([]byte{1}, 32), nil
}

// stream is deterministic bytes for making keys.
type stream uint64

func (s *stream) Read(p []byte) (int, error) {
	for i := range p {
		*s = *s*6364136223846793005 + 1442695040888963407
		p[i] = byte(*s >> 56)
	}
	return len(p), nil
}

var madeKeys = map[string]crypto.SecretKey{}

// nodeKey is the n-th node key of the suite.
func nodeKey(n uint64) crypto.SecretKey {
	name := suite.Name() + string(binary.BigEndian.AppendUint64(nil, n))
	if k := madeKeys[name]; k != nil {
		return k
	}
	for try := uint64(0); ; try++ {
		s := stream(n*1000003 + try)
		if k, err := suite.GenerateKey(&s); err == nil {
			madeKeys[name] = k
			return k
		}
	}
}

func public(n uint64) []byte { return nodeKey(n).Public().Bytes() }

// staking is a genesis of stake with n founders of ids 1, 3, 5 …, whose keys are nodeKey(id): epochs of 128 blocks, 7 seats, 100 ether of least self
// stake, 2 epochs of unbonding, 10 ether of reward, slashes of 5 %, 2 epochs of jail.
func staking(n int) *chain.Genesis {
	g := founding(n)
	for i := range g.Validators {
		g.Validators[i].PublicKey = public(uint64(g.Validators[i].ID))
	}
	g.Consensus.Engine = chain.PoS
	g.Consensus.Stake = &chain.StakeParams{EpochBlocks: 128, Seats: 7, MinSelfStake: hexed(ether(100)), UnbondingEpochs: 2, RewardPerEpoch: hexed(ether(10)),
		SlashBasisPoints: 500, JailEpochs: 2}
	return settleAlloc(g)
}

// settleAlloc puts the founding contracts into alloc.
func settleAlloc(g *chain.Genesis) *chain.Genesis {
	g.Alloc[govern.Address], g.Alloc[chain.StakingAddress] = govern.Account(g), govern.StakeAccount(g)
	return g
}

// stakeWorld is both contracts in an EVM.
type stakeWorld struct {
	*world
	g       *chain.Genesis
	initial *big.Int // the supply at first
	minted  *big.Int
	known   map[common.Address]bool
	sent    uint64 // transactions
}

func newStakeWorld(t fataler, g *chain.Genesis) *stakeWorld {
	t.Helper()
	w := &stakeWorld{world: newWorld(t, g), g: g, minted: new(big.Int), known: map[common.Address]bool{{}: true}}
	a := g.Alloc[chain.StakingAddress]
	w.db.CreateAccount(chain.StakingAddress)
	w.db.SetNonce(chain.StakingAddress, uint64(a.Nonce), tracing.NonceChangeGenesis)
	w.db.SetCode(chain.StakingAddress, a.Code, tracing.CodeChangeGenesis)
	for k, v := range a.Storage {
		w.db.SetState(chain.StakingAddress, k, v)
	}
	if a.Balance != nil {
		w.fund(chain.StakingAddress, (*big.Int)(a.Balance))
	}
	w.db.Finalise(w.rules)
	for n := range uint64(1000) {
		w.fund(account(n), ether(1_000_000))
	}
	w.initial = w.supply()
	return w
}

func (w *stakeWorld) fund(a common.Address, wei *big.Int) {
	w.known[a] = true
	w.db.AddBalance(a, uint256.MustFromBig(wei), tracing.BalanceIncreaseGenesisBalance)
}

// fundOnce gives an account a million ether, which counts as there from the beginning, unless it is one that has it.
func (w *stakeWorld) fundOnce(n uint64) {
	if !w.known[account(n)] {
		w.fund(account(n), ether(1_000_000))
		w.initial = sum(w.initial, ether(1_000_000))
	}
}

func (w *stakeWorld) balance(a common.Address) *big.Int { return w.db.GetBalance(a).ToBig() }

// supply is the sum of all accounts that wei was ever sent to by the tests, and of those that the contract made: wei that went anywhere else would be missing.
func (w *stakeWorld) supply() *big.Int {
	total := new(big.Int)
	for a := range w.known {
		total.Add(total, w.balance(a))
	}
	for n := range w.db.GetNonce(chain.StakingAddress) {
		total.Add(total, w.balance(gethcrypto.CreateAddress(chain.StakingAddress, n)))
	}
	return total
}

// conserved asserts that no wei came or went but by what is minted and what the contract says is burnt, and that the contract holds what it owes.
func (w *stakeWorld) conserved() {
	w.t.Helper()
	totals := w.ask("totals")
	require.Equal(w.t, sum(w.initial, w.minted).String(), sum(w.supply(), totals[2].(*big.Int)).String(), "wei in all accounts and burnt")
	require.Equal(w.t, w.balance(chain.StakingAddress).String(), sum(totals[1].(*big.Int), totals[3].(*big.Int)).String(), "owed and pool")
}

func (w *stakeWorld) epoch() uint64 { return w.cfg.BlockNumber.Uint64() / epochBlocks(w.g) }

// tx sends a transaction to Staking. What fails leaves no trace.
func (w *stakeWorld) tx(from common.Address, value *big.Int, method string, args ...any) ([]byte, error) {
	w.t.Helper()
	input, err := govern.StakingABI().Pack(method, args...)
	require.NoError(w.t, err, method)
	w.cfg.Origin, w.cfg.Value = from, value
	defer func() { w.cfg.Value = nil }()
	if value == nil {
		w.cfg.Value = new(big.Int)
	}
	w.sent++
	hash := common.BigToHash(new(big.Int).SetUint64(w.sent))
	w.db.SetTxContext(hash, 0, 0)
	snapshot := w.db.Snapshot()
	out, left, err := runtime.Call(chain.StakingAddress, input, w.cfg)
	if err != nil {
		w.db.RevertToSnapshot(snapshot)
	}
	w.logs, w.gas = w.db.GetLogs(hash, 0, common.Hash{}, 0), w.cfg.GasLimit-left
	w.db.Finalise(w.rules)
	return out, err
}

// does is tx that must succeed.
func (w *stakeWorld) does(from common.Address, value *big.Int, method string, args ...any) []any {
	w.t.Helper()
	out, err := w.tx(from, value, method, args...)
	require.NoError(w.t, err, "%s: %s", method, stakeRevert(out))
	results, err := govern.StakingABI().Unpack(method, out)
	require.NoError(w.t, err)
	return results
}

// fails is tx that must revert with that custom error of Staking, Evidence or Validators.
func (w *stakeWorld) fails(want string, from common.Address, value *big.Int, method string, args ...any) {
	w.t.Helper()
	out, err := w.tx(from, value, method, args...)
	require.ErrorIs(w.t, err, vm.ErrExecutionReverted, method)
	require.Equal(w.t, want, stakeRevert(out), method)
}

func stakeRevert(out []byte) string {
	for _, a := range []*abi.ABI{govern.StakingABI(), govern.ABI()} {
		for name, e := range a.Errors {
			if len(out) >= 4 && slices.Equal(out[:4], e.ID[:4]) {
				return name
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return common.Bytes2Hex(out)
}

// ask calls a view.
func (w *stakeWorld) ask(method string, args ...any) []any {
	w.t.Helper()
	return w.does(account(1), nil, method, args...)
}

func (w *stakeWorld) register(n uint64, stake *big.Int) uint64 {
	w.t.Helper()
	return w.does(account(n), stake, "register", public(n), possession(n, account(n)), "staker", "", uint16(0))[0].(uint64)
}

func possession(key uint64, a common.Address) []byte {
	return signed(key, govern.StakeMessage(genesisHash, a))
}

func signed(key uint64, msg []byte) []byte {
	sig, err := nodeKey(key).Sign(msg)
	if err != nil {
		panic(err)
	}
	return sig
}

func (w *stakeWorld) attend(id, key uint64) {
	w.t.Helper()
	w.does(account(1), nil, "attend", id, w.epoch(), signed(key, govern.AttendMessage(genesisHash, chain.ValidatorID(id), w.epoch())))
}

// equivocation is evidence by a node key: two attestations of one height.
func equivocation(key, height uint64) []any {
	a, b := chain.AttestationMessage(genesisHash, height, crypto.Hash{1}), chain.AttestationMessage(genesisHash, height, crypto.Hash{2})
	return []any{a, signed(key, a), b, signed(key, b)}
}

// system calls as the chain does at the end of the present block.
func (w *stakeWorld) system(method string, args ...any) error {
	w.cfg.GasLimit = 1_000_000_000
	defer func() { w.cfg.GasLimit = 16_777_216 }()
	out, err := w.tx(params.SystemAddress, nil, method, args...)
	if err != nil {
		return errors.Join(err, errors.New(stakeRevert(out)))
	}
	return nil
}

// endBlock does what the chain does at the end of the present block.
func (w *stakeWorld) endBlock() {
	w.t.Helper()
	h, p := w.cfg.BlockNumber.Uint64(), w.g.Consensus.Stake
	if p.Ends(h) {
		w.fund(chain.StakingAddress, p.EpochReward())
		w.minted.Add(w.minted, p.EpochReward())
		require.NoError(w.t, w.system("endEpoch", p.EpochReward()), "at %d", h)
	}
	if p.Elects(h) {
		require.NoError(w.t, w.system("elect"), "at %d", h)
	}
}

// goTo ends the present block and those up to h, at whose beginning the world is then.
func (w *stakeWorld) goTo(h uint64) {
	w.t.Helper()
	for now := w.cfg.BlockNumber.Uint64(); now < h; now++ {
		w.endBlock()
		w.setHeight(now + 1)
	}
}

// standing is a validator as the contract shows it.
type standing struct {
	Id             uint64 //nolint:revive // the ABI's name
	Account        common.Address
	Name, Endpoint string
	PublicKey      []byte
	Stake          *big.Int
	SelfStake      *big.Int
	Commission     uint16
	NextCommission uint16
	JailedUntil    uint64
	Stands         bool
	Tombstoned     bool
	Able           bool
}

func (w *stakeWorld) validator(id uint64) standing {
	w.t.Helper()
	return *abi.ConvertType(w.ask("validatorOf", id)[0], new(standing)).(*standing)
}

func (w *stakeWorld) seats(epoch uint64) []uint64 {
	w.t.Helper()
	return w.ask("seatsOf", epoch)[0].([]uint64)
}
