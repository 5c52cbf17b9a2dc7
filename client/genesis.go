package client

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/holiman/uint256"
)

// genesisFile is a genesis as its file holds it. Field order matters: the identifier is the suite's hash of this very JSON, indented by two
// spaces and closed by a newline.
type genesisFile struct {
	Name       string `json:"name"`
	ChainID    uint64 `json:"chainId"`
	TimeMillis uint64 `json:"timeMillis"`
	Suite      string `json:"suite"`
	Consensus  struct {
		Engine          string `json:"engine"`
		MaxBlockTxs     int    `json:"maxBlockTxs"`
		MaxBlockBytes   int    `json:"maxBlockBytes"`
		BatchMillis     int    `json:"batchMillis"`
		HeartbeatMillis int    `json:"heartbeatMillis"`
		BFT             *struct {
			LeaderTimeoutMillis     int `json:"leaderTimeoutMillis"`
			RequestTimeoutMillis    int `json:"requestTimeoutMillis"`
			ViewChangeTimeoutMillis int `json:"viewChangeTimeoutMillis"`
		} `json:"bft,omitempty"`
		Raft *struct {
			ElectionTimeoutMillis int `json:"electionTimeoutMillis"`
		} `json:"raft,omitempty"`
		Stake *struct {
			EpochBlocks      uint64                `json:"epochBlocks"`
			Seats            int                   `json:"seats"`
			MinSelfStake     *math.HexOrDecimal256 `json:"minSelfStake"`
			UnbondingEpochs  uint64                `json:"unbondingEpochs"`
			RewardPerEpoch   *math.HexOrDecimal256 `json:"rewardPerEpoch,omitempty"`
			SlashBasisPoints int                   `json:"slashBasisPoints"`
			JailEpochs       uint64                `json:"jailEpochs"`
		} `json:"stake,omitempty"`
		Work *genesisWork `json:"work,omitempty"`
	} `json:"consensus"`
	Validators []struct {
		ID        uint64         `json:"id"`
		Name      string         `json:"name"`
		PublicKey hexutil.Bytes  `json:"publicKey"`
		Address   common.Address `json:"address"`
		Endpoint  string         `json:"endpoint,omitempty"`
	} `json:"validators"`
	Transactions []string `json:"transactions"`
	Fees         struct {
		Mode    string                `json:"mode"`
		BaseFee *math.HexOrDecimal256 `json:"baseFee,omitempty"`
		// BaseFeeTo gets the base fees.
		BaseFeeTo *common.Address `json:"baseFeeTo,omitempty"`
	} `json:"fees"`
	GasLimit  uint64 `json:"gasLimit"`
	Retention struct {
		StateBlocks uint64 `json:"stateBlocks"`
	} `json:"retention"`
	Admission     string `json:"admission,omitempty"`
	Organisations []struct {
		Name  string         `json:"name"`
		Admin common.Address `json:"admin"`
		Roots [][]byte       `json:"roots"` // in base64
	} `json:"organisations,omitempty"`
	Alloc map[common.Address]genesisAccount `json:"alloc"`
}

// genesisWork is what binds the miners of a chain of work.
type genesisWork struct {
	BlockMillis    int                   `json:"blockMillis"`
	Depth          int                   `json:"depth"`
	Bits           uint32                `json:"bits"`
	HalfLifeMillis int                   `json:"halfLifeMillis"`
	Reward         *math.HexOrDecimal256 `json:"reward,omitempty"`
	HalvingBlocks  uint64                `json:"halvingBlocks,omitempty"`
	Checkpoints    []struct {
		Height uint64      `json:"height"`
		Hash   common.Hash `json:"hash"`
	} `json:"checkpoints,omitempty"`
}

type genesisAccount struct {
	Balance *math.HexOrDecimal256       `json:"balance,omitempty"`
	Nonce   math.HexOrDecimal64         `json:"nonce,omitempty"`
	Code    hexutil.Bytes               `json:"code,omitempty"`
	Storage map[common.Hash]common.Hash `json:"storage,omitempty"`
}

// TrustFromGenesis computes what to trust from a genesis file: its block 0 with the state root and the ledger digest, and from that the hash
// that every attestation names. The file must come from a source that the verifier trusts; the node validates it more closely.
func TrustFromGenesis(file []byte) (*Trust, error) {
	g := new(genesisFile)
	if err := decodeStrict(file, g); err != nil {
		return nil, fmt.Errorf("%w: genesis file: %w", ErrTrust, err)
	}
	s, err := suiteByName(g.Suite)
	if err != nil {
		return nil, fmt.Errorf("%w: genesis file: %w", ErrTrust, err)
	}
	t := &Trust{Format: TrustFormat, Suite: g.Suite, ChainID: hexutil.Uint64(g.ChainID), Engine: g.Consensus.Engine,
		Validators: []TrustedValidator{}}
	for _, v := range g.Validators {
		t.Validators = append(t.Validators, TrustedValidator{hexutil.Uint64(v.ID), v.Name, v.PublicKey, v.Address})
	}
	if w := g.Consensus.Work; w != nil {
		if t.Work, err = w.trusted(); err != nil {
			return nil, fmt.Errorf("%w: genesis file: %w", ErrTrust, err)
		}
	}
	if t.Quorum, err = quorum(g.Consensus.Engine, len(t.Validators)); err != nil {
		return nil, fmt.Errorf("%w: genesis file: %w", ErrTrust, err)
	}
	if t.Genesis, err = g.headerHash(s, t); err != nil {
		return nil, fmt.Errorf("%w: genesis file: %w", ErrTrust, err)
	}
	return t, t.Validate()
}

// quorum is the number of signatures that an engine's certificates need.
func quorum(engine string, validators int) (int, error) {
	switch {
	case engine == "solo" && validators == 1:
		return 1, nil
	case engine == engineOfWork && validators == 0:
		return 0, nil
	case engine == "raft" && validators >= 3:
		return validators/2 + 1, nil
	case (engine == "bft" || engine == "pos") && validators >= 4:
		faulty := (validators - 1) / 3
		return (validators + faulty + 2) / 2, nil // ⌈(n+f+1)/2⌉
	}
	return 0, fmt.Errorf("consensus engine %q with %d validators is unknown to this version", engine, validators)
}

// headerHash is the suite's hash of block 0's header.
func (g *genesisFile) headerHash(s *suite, t *Trust) (common.Hash, error) {
	canonical, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return common.Hash{}, err
	}
	id := s.sum([]byte("jialing/genesis/1"), append(canonical, '\n'))
	validators, err := t.ruleHash(s)
	if err != nil {
		return common.Hash{}, err
	}
	root, ledger, err := g.state(s, id)
	if err != nil {
		return common.Hash{}, err
	}
	extra := headerExtra{Millis: uint16(g.TimeMillis % 1000), Decision: id, Validators: validators, Next: validators, Ledger: ledger,
		Records: s.sum(append([]byte{recordRoot}, make([]byte, 8+common.HashLength)...))}
	baseFee := new(big.Int)
	if g.Fees.BaseFee != nil {
		baseFee = (*big.Int)(g.Fees.BaseFee)
	}
	if baseFee.Sign() < 0 {
		return common.Hash{}, fmt.Errorf("fees.baseFee is negative")
	}
	header, err := rlp.EncodeToBytes(&types.Header{
		UncleHash: types.EmptyUncleHash, Root: root, TxHash: types.EmptyTxsHash, ReceiptHash: types.EmptyReceiptsHash,
		Difficulty: new(big.Int), Number: new(big.Int), GasLimit: g.GasLimit, Time: g.TimeMillis / 1000, Extra: extra.encode(),
		BaseFee: baseFee, WithdrawalsHash: &types.EmptyWithdrawalsHash, BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64),
		ParentBeaconRoot: new(common.Hash), RequestsHash: &types.EmptyRequestsHash,
	})
	if err != nil {
		return common.Hash{}, err
	}
	return s.sum(header), nil
}

// state is block 0's state root and ledger digest. The digest is the suite's hash over the genesis id and, for every account by ascending
// address: address ‖ flags(1) ‖ nonce(8) ‖ balance(32) ‖ code hash ‖ [code size(4) ‖ code] ‖ number of slots(4) ‖ (key ‖ value)… by ascending
// key; flags are 5 with code and 1 without. Accounts that are empty (EIP-161) and slots that are zero are left out of both.
func (g *genesisFile) state(s *suite, id common.Hash) (root, ledger common.Hash, err error) {
	digest := s.newHash()
	digest.Write(id[:])
	addresses := make([]common.Address, 0, len(g.Alloc))
	for a := range g.Alloc {
		addresses = append(addresses, a)
	}
	slices.SortFunc(addresses, common.Address.Cmp)
	leaves := make(map[common.Hash][]byte, len(addresses))
	for _, address := range addresses {
		a := g.Alloc[address]
		account := types.StateAccount{Nonce: uint64(a.Nonce), Balance: new(uint256.Int), Root: types.EmptyRootHash, CodeHash: types.EmptyCodeHash[:]}
		if a.Balance != nil {
			balance := (*big.Int)(a.Balance)
			if overflow := account.Balance.SetFromBig(balance); overflow || balance.Sign() < 0 {
				return root, ledger, fmt.Errorf("alloc.%s.balance is not within 256 bits", address)
			}
		}
		if len(a.Code) > 0 {
			account.CodeHash = crypto.Keccak256(a.Code)
		}
		if account.Nonce == 0 && account.Balance.IsZero() && len(a.Code) == 0 {
			continue
		}
		keys := nonzeroSlots(a.Storage)
		account.Root = storageRoot(a.Storage, keys)
		leaf, err := rlp.EncodeToBytes(&account)
		if err != nil {
			return root, ledger, err
		}
		leaves[crypto.Keccak256Hash(address[:])] = leaf
		digest.Write(accountDigest(address, &account, a, keys))
	}
	digest.Sum(ledger[:0])
	return trieRoot(leaves), ledger, nil
}

func accountDigest(address common.Address, account *types.StateAccount, a genesisAccount, keys []common.Hash) []byte {
	const exists, hasCode = 1, 4
	flags := byte(exists)
	if len(a.Code) > 0 {
		flags |= hasCode
	}
	b := append(address[:], flags)
	b = binary.BigEndian.AppendUint64(b, account.Nonce)
	balance := account.Balance.Bytes32()
	b = append(append(b, balance[:]...), account.CodeHash...)
	if len(a.Code) > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(a.Code)))
		b = append(b, a.Code...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(keys)))
	for _, k := range keys {
		value := a.Storage[k]
		b = append(append(b, k[:]...), value[:]...)
	}
	return b
}

func nonzeroSlots(storage map[common.Hash]common.Hash) []common.Hash {
	keys := make([]common.Hash, 0, len(storage))
	for k, v := range storage {
		if v != (common.Hash{}) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, common.Hash.Cmp)
	return keys
}

func storageRoot(storage map[common.Hash]common.Hash, keys []common.Hash) common.Hash {
	leaves := make(map[common.Hash][]byte, len(keys))
	for _, k := range keys {
		value := storage[k]
		leaf, err := rlp.EncodeToBytes(common.TrimLeftZeroes(value[:]))
		if err != nil {
			panic("client: encode a byte string: " + err.Error()) // cannot fail
		}
		leaves[crypto.Keccak256Hash(k[:])] = leaf
	}
	return trieRoot(leaves)
}

// trieRoot is the root of Ethereum's Merkle-Patricia trie of leaves.
func trieRoot(leaves map[common.Hash][]byte) common.Hash {
	keys := make([]common.Hash, 0, len(leaves))
	for k := range leaves {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, common.Hash.Cmp)
	t := trie.NewStackTrie(nil)
	for _, k := range keys {
		if err := t.Update(k[:], leaves[k]); err != nil {
			panic("client: stack trie: " + err.Error()) // keys ascend and values are not empty
		}
	}
	return t.Hash()
}
