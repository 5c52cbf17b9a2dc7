package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"slices"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// MaxGenesisSize bounds a genesis file in bytes: about 100,000 accounts with code and storage belong into transactions, not here.
const MaxGenesisSize = 256 << 20

// ActivationDelay is after how many blocks a change of the validator set that a block made takes effect: block h is ordered and attested by the
// set that the state after block h−ActivationDelay names. It exceeds what may be ordered and not yet executed (see order.Config.Pipeline), so that
// whoever has ordered block h−1 can know the set of block h.
const ActivationDelay = 64

// FeeMode says what gas costs.
type FeeMode string

// The fee modes.
const (
	// FeesZero: base fee 0 and no minimum price; consortium chains meter gas without charging for it.
	FeesZero FeeMode = "zero"
	// FeesMarket: EIP-1559, starting at BaseFee.
	FeesMarket FeeMode = "market"
	// FeesFixed: the base fee is BaseFee for ever.
	FeesFixed FeeMode = "fixed"
)

// Genesis is block 0: everything that all nodes of a chain must agree on before the first decision. Unknown fields are errors.
type Genesis struct {
	// Name is the chain's name for people; it is part of the genesis hash.
	Name string `json:"name"`
	// ChainID is EIP-155's, 1 to 2^53−1 (JavaScript tools hold it in a double).
	ChainID uint64 `json:"chainId"`
	// TimeMillis is the chain's first time, Unix milliseconds.
	TimeMillis uint64 `json:"timeMillis"`
	// Suite names the cryptographic suite: "intl" or "gm". Which words there are is known where suites are chosen, not here.
	Suite string `json:"suite"`
	// Consensus is the engine with its parameters: they bind every node, so they stand here and in no node's own file.
	Consensus Consensus `json:"consensus"`
	// Validators is sorted by id.
	Validators []GenesisValidator `json:"validators"`
	// Transactions lists the accepted kinds of signature, one or more, each once; their order means nothing.
	Transactions []TxKind `json:"transactions"`
	Fees         Fees     `json:"fees"`
	// GasLimit bounds the gas of one block.
	GasLimit  uint64    `json:"gasLimit"`
	Retention Retention `json:"retention"`
	// Admission is "open" where it is absent.
	Admission Admission `json:"admission,omitempty"`
	// Organisations are those whose certificates let nodes in from the beginning.
	Organisations []GenesisOrganisation `json:"organisations,omitempty"`
	// Alloc is the state of block 0.
	Alloc map[common.Address]GenesisAccount `json:"alloc"`
}

// Consensus is the engine and what it is bound by.
type Consensus struct {
	Engine EngineKind `json:"engine"`
	// MaxBlockTxs closes a batch by count, 1 to MaxDecisionTxs.
	MaxBlockTxs int `json:"maxBlockTxs"`
	// MaxBlockBytes closes a batch by the size of its transactions.
	MaxBlockBytes int `json:"maxBlockBytes"`
	// BatchMillis is how long a batch waits for more once it has its first transaction.
	BatchMillis int `json:"batchMillis"`
	// HeartbeatMillis makes an empty block after that long without one; 0: blocks only when there is work.
	HeartbeatMillis int `json:"heartbeatMillis"`
	// BFT stands where Engine is "bft" or "pos". The parameters of other engines may stand there too: a chain that changes to them uses them.
	BFT *BFTParams `json:"bft,omitempty"`
	// Raft stands where Engine is "raft".
	Raft *RaftParams `json:"raft,omitempty"`
	// Stake stands where Engine is "pos".
	Stake *StakeParams `json:"stake,omitempty"`
	// Work stands where Engine is "pow".
	Work *WorkParams `json:"work,omitempty"`
}

// GenesisValidator is a founding validator.
type GenesisValidator struct {
	ID        ValidatorID    `json:"id"`
	Name      string         `json:"name"`
	PublicKey hexutil.Bytes  `json:"publicKey"`
	Address   common.Address `json:"address"`
	// Endpoint is the host:port where other nodes reach it; may be absent where each node's own file says so.
	Endpoint string `json:"endpoint,omitempty"`
}

// Fees says what gas costs.
type Fees struct {
	Mode FeeMode `json:"mode"`
	// BaseFee in wei: the first one with "market", the only one with "fixed", absent with "zero".
	BaseFee *math.HexOrDecimal256 `json:"baseFee,omitempty"`
	// BaseFeeTo gets the base fee of every transaction; absent: it is burnt, as on Ethereum. The tip is always the proposer's.
	BaseFeeTo *common.Address `json:"baseFeeTo,omitempty"`
}

// Retention says how far back nodes answer questions about state. Blocks and receipts are kept for ever.
type Retention struct {
	// StateBlocks is the number of past blocks whose state can be read; 0 keeps all.
	StateBlocks uint64 `json:"stateBlocks"`
}

// GenesisAccount is an account of block 0.
type GenesisAccount struct {
	Balance *math.HexOrDecimal256       `json:"balance,omitempty"`
	Nonce   math.HexOrDecimal64         `json:"nonce,omitempty"`
	Code    hexutil.Bytes               `json:"code,omitempty"`
	Storage map[common.Hash]common.Hash `json:"storage,omitempty"`
}

// ErrGenesis is wrapped by every error of a genesis that cannot be; the text names the field.
var ErrGenesis = errors.New("genesis")

// ParseGenesis reads JSON and validates it.
func ParseGenesis(b []byte) (*Genesis, error) {
	if len(b) > MaxGenesisSize {
		return nil, fmt.Errorf("%w: file exceeds %d bytes", ErrGenesis, MaxGenesisSize)
	}
	g, err := decodeGenesis(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// Encode is the canonical JSON: indented, fields in declared order, maps sorted. Its suite hash identifies the genesis.
func (g *Genesis) Encode() []byte {
	canonical := *g
	if canonical.Alloc == nil {
		canonical.Alloc = map[common.Address]GenesisAccount{}
	}
	b, err := json.MarshalIndent(&canonical, "", "  ")
	if err != nil {
		panic("chain: encode genesis: " + err.Error()) // all fields are encodable types
	}
	return append(b, '\n')
}

// ID is the suite's hash of the canonical JSON; it goes into block 0, so two chains with one genesis hash have one configuration.
func (g *Genesis) ID(suite crypto.Suite) crypto.Hash {
	return suite.Sum([]byte("jialing/genesis/1"), g.Encode())
}

// Validate names the first field that is wrong or contradicts another.
func (g *Genesis) Validate() error {
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrGenesis, field, fmt.Sprintf(format, args...))
	}
	switch {
	case g.Name == "" || utf8.RuneCountInString(g.Name) > 64:
		return bad("name", "must have 1 to 64 characters")
	case g.ChainID == 0 || g.ChainID >= 1<<53:
		return bad("chainId", "must be 1 to 2^53-1, JavaScript tools hold it in a double")
	case g.TimeMillis == 0 || g.TimeMillis > 1<<48:
		return bad("timeMillis", "must be Unix milliseconds")
	case g.Suite == "" || len(g.Suite) > 16:
		return bad("suite", "%q names no cryptographic suite, use \"intl\" or \"gm\"", g.Suite)
	case g.GasLimit < params.MaxTxGas:
		return bad("gasLimit", "%d is below %d, the largest transaction (EIP-7825)", g.GasLimit, uint64(params.MaxTxGas))
	case g.GasLimit > 1<<40:
		return bad("gasLimit", "%d is above 2^40", g.GasLimit)
	case len(g.Transactions) == 0:
		return bad("transactions", "lists no kind, so no transaction could ever be sent; use [\"secp256k1\"], [\"sm2\"] or both")
	}
	for i, k := range g.Transactions {
		if !slices.Contains(TxKinds, k) {
			return bad("transactions", "%q is unknown, use \"secp256k1\" or \"sm2\"", k)
		}
		if slices.Contains(g.Transactions[:i], k) {
			return bad("transactions", "%q is there twice", k)
		}
	}
	for _, check := range []func(func(string, string, ...any) error) error{g.validateConsensus, g.validateFees, g.validateValidators, g.validateOrganisations, g.validateAlloc} {
		if err := check(bad); err != nil {
			return err
		}
	}
	return nil
}

func (g *Genesis) validateFees(bad func(string, string, ...any) error) error {
	fee := (*big.Int)(g.Fees.BaseFee)
	if to := g.Fees.BaseFeeTo; to != nil && (*to == (common.Address{}) || g.Fees.Mode == FeesZero) {
		return bad("fees.baseFeeTo", "must be an account, and absent where fees.mode is \"zero\"")
	}
	switch g.Fees.Mode {
	case FeesZero:
		if fee != nil && fee.Sign() != 0 {
			return bad("fees.baseFee", "must be absent where fees.mode is \"zero\"")
		}
	case FeesMarket, FeesFixed:
		if fee == nil || fee.Sign() <= 0 || fee.BitLen() > 128 {
			return bad("fees.baseFee", "must be 1 to 2^128-1 wei where fees.mode is %q", g.Fees.Mode)
		}
	default:
		return bad("fees.mode", "%q is unknown, use \"zero\", \"fixed\" or \"market\"", g.Fees.Mode)
	}
	return nil
}

func (g *Genesis) validateValidators(bad func(string, string, ...any) error) error {
	switch {
	case g.Consensus.Engine == Solo && len(g.Validators) != 1:
		return bad("validators", "engine \"solo\" has exactly one, this lists %d", len(g.Validators))
	case (g.Consensus.Engine == BFT || g.Consensus.Engine == PoS) && len(g.Validators) < 4:
		return bad("validators", "engine %q needs at least 4 to bear one fault, this lists %d", g.Consensus.Engine, len(g.Validators))
	case g.Consensus.Engine == PoW && len(g.Validators) > 0:
		return bad("validators", "engine \"pow\" has none, whoever works proposes; this lists %d", len(g.Validators))
	case g.Consensus.Engine == Raft && len(g.Validators) < 3:
		return bad("validators", "engine \"raft\" needs at least 3 to bear one crash, this lists %d", len(g.Validators))
	case len(g.Validators) > MaxValidators:
		return bad("validators", "at most %d", MaxValidators)
	}
	keys := make(map[string]ValidatorID)
	for i, v := range g.Validators {
		field := fmt.Sprintf("validators[%d]", i)
		switch {
		case v.ID == 0 || (i > 0 && g.Validators[i-1].ID >= v.ID):
			return bad(field+".id", "ids are nonzero and ascending")
		case v.Name == "" || utf8.RuneCountInString(v.Name) > 64:
			return bad(field+".name", "must have 1 to 64 characters")
		case len(v.PublicKey) == 0 || len(v.PublicKey) > 128:
			return bad(field+".publicKey", "is missing or longer than 128 bytes")
		case v.Address == (common.Address{}):
			return bad(field+".address", "must be set: it is the COINBASE of this validator's blocks")
		}
		if v.Endpoint != "" {
			if host, port, err := net.SplitHostPort(v.Endpoint); err != nil || host == "" || port == "" || len(v.Endpoint) > 255 {
				return bad(field+".endpoint", "must be host:port")
			}
		}
		if other, dup := keys[string(v.PublicKey)]; dup {
			return bad(field+".publicKey", "is also validator %d's; one key signs for one validator", other)
		}
		keys[string(v.PublicKey)] = v.ID
	}
	return nil
}

func (g *Genesis) validateAlloc(bad func(string, string, ...any) error) error {
	total := new(big.Int)
	for _, addr := range slices.SortedFunc(maps.Keys(g.Alloc), common.Address.Cmp) {
		a, field := g.Alloc[addr], "alloc."+addr.Hex()
		if a.Balance != nil {
			if (*big.Int)(a.Balance).Sign() < 0 {
				return bad(field+".balance", "is negative")
			}
			total.Add(total, (*big.Int)(a.Balance))
		}
		if len(a.Code) > params.MaxCodeSize {
			return bad(field+".code", "exceeds %d bytes", params.MaxCodeSize)
		}
		if len(a.Code) == 0 && len(a.Storage) > 0 {
			return bad(field+".storage", "stands without code, nothing could ever read it")
		}
	}
	if total.BitLen() > 255 {
		return bad("alloc", "the balances sum up to more than 2^255 wei")
	}
	return nil
}

// ValidatorSet is the set that rules from block 1.
func (g *Genesis) ValidatorSet() ValidatorSet {
	set := make(ValidatorSet, len(g.Validators))
	for i, v := range g.Validators {
		set[i] = Validator{ID: v.ID, PublicKey: bytes.Clone(v.PublicKey), Address: v.Address}
	}
	return set
}

// Rule is what rules from block 1.
func (g *Genesis) Rule() *Rule { return &Rule{g.Consensus.Engine, g.ValidatorSet()} }

// BaseFee is the base fee of block 0 and, but for the market, of all blocks.
func (g *Genesis) BaseFee() *big.Int {
	if g.Fees.BaseFee == nil {
		return new(big.Int)
	}
	return new(big.Int).Set((*big.Int)(g.Fees.BaseFee))
}

// ChainConfig is the EVM's rules: every fork up to Osaka from block 0, no blobs.
func (g *Genesis) ChainConfig() *params.ChainConfig {
	zero := uint64(0)
	return &params.ChainConfig{
		ChainID:        new(big.Int).SetUint64(g.ChainID),
		HomesteadBlock: new(big.Int), EIP150Block: new(big.Int), EIP155Block: new(big.Int), EIP158Block: new(big.Int),
		ByzantiumBlock: new(big.Int), ConstantinopleBlock: new(big.Int), PetersburgBlock: new(big.Int), IstanbulBlock: new(big.Int),
		MuirGlacierBlock: new(big.Int), BerlinBlock: new(big.Int), LondonBlock: new(big.Int), ArrowGlacierBlock: new(big.Int),
		GrayGlacierBlock: new(big.Int), MergeNetsplitBlock: new(big.Int), TerminalTotalDifficulty: new(big.Int),
		ShanghaiTime: &zero, CancunTime: &zero, PragueTime: &zero, OsakaTime: &zero,
		BlobScheduleConfig: &params.BlobScheduleConfig{Cancun: params.DefaultCancunBlobConfig, Prague: params.DefaultPragueBlobConfig},
	}
}

// Writes is block 0 as a write set.
func (g *Genesis) Writes(hashCode func([]byte) common.Hash) WriteSet {
	out := make(WriteSet, 0, len(g.Alloc))
	for addr, a := range g.Alloc {
		acc := &Account{Nonce: uint64(a.Nonce), CodeHash: EmptyCodeHash}
		if a.Balance != nil {
			acc.Balance = *uint256.MustFromBig((*big.Int)(a.Balance))
		}
		c := AccountChange{Address: addr, Account: acc}
		if len(a.Code) > 0 {
			acc.CodeHash, c.Code = hashCode(a.Code), a.Code
		}
		if acc.IsEmpty() {
			continue
		}
		for k, v := range a.Storage {
			if v != (common.Hash{}) {
				c.Slots = append(c.Slots, SlotChange{Key: k, Value: v})
			}
		}
		slices.SortFunc(c.Slots, func(a, b SlotChange) int { return a.Key.Cmp(b.Key) })
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b AccountChange) int { return a.Address.Cmp(b.Address) })
	return out
}

// Header is block 0's, given the state root of Writes.
func (g *Genesis) Header(suite crypto.Suite, writes WriteSet, root common.Hash) *Header {
	id, rule := g.ID(suite), g.Rule().Hash(suite)
	extra := Extra{
		Millis:     uint16(g.TimeMillis % 1000),
		Decision:   id,
		Validators: rule,
		Next:       rule,
		Ledger:     writes.Digest(suite, id),
		Records:    new(Records).Root(suite),
	}
	return &Header{
		UncleHash: types.EmptyUncleHash, Root: root, TxHash: types.EmptyTxsHash, ReceiptHash: types.EmptyReceiptsHash,
		Difficulty: new(big.Int), Number: new(big.Int), GasLimit: g.GasLimit, Time: g.TimeMillis / 1000, Extra: extra.Encode(),
		BaseFee: g.BaseFee(), WithdrawalsHash: &types.EmptyWithdrawalsHash, BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64),
		ParentBeaconRoot: new(common.Hash), RequestsHash: &types.EmptyRequestsHash,
	}
}
