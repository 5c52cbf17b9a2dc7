package main

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
)

// genesisFlags are what init and network create ask about a new chain.
type genesisFlags struct {
	chainID     uint64
	name        string
	suite       string
	fees        string
	baseFee     string
	gasLimit    uint64
	batchMillis int
	heartbeat   int
	keepStates  uint64
	alloc       []string
	// transactions are the kinds of account signature; none asks the suite.
	transactions []string
	dev          bool
	devAccounts  int
	// stake is of a chain with engine "pos", now or later.
	stake stakeFlags
	// work is of a chain with engine "pow".
	work workFlags
	// engines are those to which the chain may change.
	engines []string
}

// What a new chain has unless flags say otherwise; docs/genesis.md gives the reasons.
const (
	defaultSuite       = "intl"
	defaultChainID     = 2026
	defaultGasLimit    = 1_000_000_000
	defaultBatchMillis = 5
	maxBlockTxs        = 5000
	// maxBFTBlockTxs keeps a full block of a network well within the time that its validators wait for a leader (2 s): all of them verify its transactions
	// before they vote, on small machines sharing few processors. Larger blocks brought no more throughput and changes of the leader under full load.
	maxBFTBlockTxs = 1000
	maxBlockBytes  = 8 << 20
)

// devBalance is what each dev account gets, Hardhat's and Anvil's 10,000 ether.
var devBalance = new(big.Int).Mul(big.NewInt(10_000), big.NewInt(1e18))

// create2Deployer is the contract through which Foundry and Hardhat deploy to addresses that depend on the code alone. Its own deployment is
// a transaction without replay protection, which this chain refuses, so it stands in the genesis.
var (
	create2Deployer     = common.HexToAddress("0x4e59b44847b379578588920cA78FbF26c0B4956C")
	create2DeployerCode = hexutil.MustDecode("0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3")
)

// buildGenesis makes a chain of one validator, whose key it draws, and lists the accounts that --dev funds.
func buildGenesis(f *genesisFlags) (*chain.Genesis, crypto.SecretKey, []*client.Secp256k1, error) {
	suite, err := f.cryptography()
	if err != nil {
		return nil, nil, nil, err
	}
	key, err := suite.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	public := key.Public().Bytes()
	g, dev, err := f.genesis(chain.Solo, []chain.GenesisValidator{{ID: 1, Name: "node1", PublicKey: public,
		Address: common.BytesToAddress(gethcrypto.Keccak256(public))}})
	if err != nil {
		return nil, nil, nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, nil, nil, usageError{err}
	}
	return g, key, dev, nil
}

// cryptography is the suite that --suite names.
func (f *genesisFlags) cryptography() (crypto.Suite, error) {
	suite, err := node.SuiteByName(f.suite)
	if err != nil {
		return nil, usagef("--suite: %w", err)
	}
	return suite, nil
}

// genesis is what the flags and the founding validators make, not yet validated, and the accounts that --dev funds.
func (f *genesisFlags) genesis(engine chain.EngineKind, founders []chain.GenesisValidator) (*chain.Genesis, []*client.Secp256k1, error) {
	kinds, err := f.kinds()
	if err != nil {
		return nil, nil, err
	}
	g := &chain.Genesis{
		Name: f.name, ChainID: f.chainID, TimeMillis: uint64(time.Now().UnixMilli()), Suite: f.suite,
		Consensus:    chain.Consensus{Engine: engine, MaxBlockTxs: maxBlockTxs, MaxBlockBytes: maxBlockBytes, BatchMillis: f.batchMillis, HeartbeatMillis: f.heartbeat},
		Validators:   founders,
		Transactions: kinds,
		Fees:         chain.Fees{Mode: chain.FeeMode(f.fees)},
		GasLimit:     f.gasLimit,
		Retention:    chain.Retention{StateBlocks: f.keepStates},
		Alloc:        map[common.Address]chain.GenesisAccount{create2Deployer: {Nonce: 1, Code: create2DeployerCode}},
	}
	if err := f.foundEngines(g); err != nil {
		return nil, nil, err
	}
	if engine == chain.PoW {
		// Who proposes is found by work, and a block comes when it comes, with transactions or without.
		if g.Consensus.Work, err = f.work.params(); err != nil {
			return nil, nil, err
		}
		g.Validators, g.Consensus.MaxBlockTxs = []chain.GenesisValidator{}, maxBFTBlockTxs
	}
	if f.baseFee != "" {
		fee, err := parseAmount(f.baseFee, "wei")
		if err != nil {
			return nil, nil, err
		}
		g.Fees.BaseFee = (*math.HexOrDecimal256)(fee)
	} else if g.Fees.Mode == chain.FeesFixed || g.Fees.Mode == chain.FeesMarket {
		g.Fees.BaseFee = (*math.HexOrDecimal256)(big.NewInt(1e9))
	}
	dev, err := f.fund(g.Alloc)
	return g, dev, err
}

// kinds are the kinds of account signature that the chain takes.
func (f *genesisFlags) kinds() (out []chain.TxKind, err error) {
	words := f.transactions
	if len(words) == 0 {
		suite, err := f.cryptography()
		if err != nil {
			return nil, err
		}
		words = suite.AccountKinds()
	}
	for _, w := range words {
		out = append(out, chain.TxKind(strings.TrimSpace(w)))
	}
	if f.dev && !slices.Contains(out, chain.Secp256k1) {
		return nil, usagef("--dev: the well-known accounts are of kind %q, which --transactions leaves out; fund accounts of your own with --alloc", chain.Secp256k1)
	}
	return out, nil
}

// ownKind is the kind of the accounts that are made for the chain's validators: the suite's own where the chain takes it.
func (f *genesisFlags) ownKind() (string, error) {
	kinds, err := f.kinds()
	if err != nil {
		return "", err
	}
	suite, err := f.cryptography()
	if err != nil {
		return "", err
	}
	for _, k := range suite.AccountKinds() {
		if slices.Contains(kinds, chain.TxKind(k)) {
			return k, nil
		}
	}
	return string(kinds[0]), nil
}

// register adds the flags to a command.
func (f *genesisFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Uint64Var(&f.chainID, "chain-id", defaultChainID, "EIP-155 chain id")
	flags.StringVar(&f.name, "name", "jialing", "the chain's name")
	flags.StringVar(&f.suite, "suite", defaultSuite, "cryptographic suite: intl (SHA-256, Ed25519, AES) or gm (SM3, SM2, SM4)")
	flags.StringVar(&f.fees, "fees", string(chain.FeesZero), "what gas costs: zero, fixed or market (EIP-1559)")
	flags.StringVar(&f.baseFee, "base-fee", "", "base fee per gas with --fees fixed or market (default 1gwei)")
	flags.Uint64Var(&f.gasLimit, "gas-limit", defaultGasLimit, "gas limit of a block")
	flags.IntVar(&f.batchMillis, "batch-millis", defaultBatchMillis, "how long a block waits for more transactions after its first")
	flags.IntVar(&f.heartbeat, "heartbeat-millis", 0, "make an empty block after that long without one; 0: blocks only when there is work")
	flags.Uint64Var(&f.keepStates, "keep-states", 0, "past blocks whose state can be read; 0 keeps all")
	flags.StringArrayVar(&f.alloc, "alloc", nil, "fund an account: ADDRESS=AMOUNT, in ether; may be repeated")
	flags.StringSliceVar(&f.transactions, "transactions", nil, "kinds of account signature that the chain takes: secp256k1, sm2 or both (default: what the suite says)")
	flags.BoolVar(&f.dev, "dev", false, "fund test accounts whose keys everybody knows (Hardhat's and Anvil's)")
	flags.IntVar(&f.devAccounts, "dev-accounts", 10, "with --dev: how many")
}

// fund gives the accounts of --alloc and --dev their balances.
func (f *genesisFlags) fund(alloc map[common.Address]chain.GenesisAccount) ([]*client.Secp256k1, error) {
	for _, a := range f.alloc {
		who, amount, found := strings.Cut(a, "=")
		if !found {
			return nil, usagef("--alloc %q: write ADDRESS=AMOUNT, like 0x7099…79C8=1000ether", a)
		}
		address, err := parseAddress(who)
		if err != nil {
			return nil, err
		}
		if _, twice := alloc[address]; twice {
			return nil, usagef("--alloc: %s is there twice", address)
		}
		wei, err := parseAmount(amount, "ether")
		if err != nil {
			return nil, err
		}
		alloc[address] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(wei)}
	}
	if !f.dev {
		return nil, nil
	}
	dev, err := client.DevAccounts(f.devAccounts)
	if err != nil {
		return nil, usageError{err}
	}
	for _, a := range dev {
		if _, twice := alloc[a.Address()]; twice {
			return nil, usagef("--alloc: %s is a dev account and has its balance already", a.Address())
		}
		alloc[a.Address()] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(devBalance)}
	}
	return dev, nil
}

// readGenesis reads a genesis file to join its chain.
func readGenesis(path string) (*chain.Genesis, error) {
	b, err := readUpTo(path, chain.MaxGenesisSize)
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	return chain.ParseGenesis(b)
}
