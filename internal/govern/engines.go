package govern

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// EngineCodes are the engines by their numbers in the contract Engines, which has none for a chain of work.
var EngineCodes = []chain.EngineKind{"", chain.Solo, chain.Raft, chain.BFT, chain.PoS}

// The fewest validators with which the contract changes to an engine; its constants of these names say the same.
const (
	MinRaft = 3
	MinBFT  = 4
)

// EnginesGas is what the vote that changes the engine costs at the most beyond one that does not. Whoever estimates a vote's gas adds it: another vote may come
// first, and then the estimated one changes the engine.
const EnginesGas = 300_000

//go:embed contract/artifacts/Engines.json
var enginesArtifact []byte

var enginesContract = sync.OnceValue(func() *compiled {
	c := new(compiled)
	if err := json.Unmarshal(enginesArtifact, c); err != nil || len(c.Code) == 0 {
		panic("govern: the embedded contract cannot be read") // it is part of the program and its tests
	}
	return c
})

// EnginesABI is the interface of the contract Engines. Callers must not alter it.
func EnginesABI() *abi.ABI { return &enginesContract().ABI }

// The storage of the contract Engines (see layout.go).
const (
	slotTerms      = 0 // from(8) in the low bytes, beforeFrom(8), settled(1), before(1)
	slotConfigured = 1
)

// EnginesAccount is the contract Engines with g's engine, as a genesis that lets its chain change the engine must hold it in alloc under
// chain.EnginesAddress. The chain may change to the engines for which g has parameters.
func EnginesAccount(g *chain.Genesis) chain.GenesisAccount {
	c := &g.Consensus
	configured := uint64(1) << engineCode(c.Engine)
	for kind, has := range map[chain.EngineKind]bool{chain.Raft: c.Raft != nil, chain.BFT: c.BFT != nil, chain.PoS: c.BFT != nil && c.Stake != nil} {
		if has {
			configured |= 1 << engineCode(kind)
		}
	}
	now := chain.Term{Engine: c.Engine}
	w := writer{number(slotTerms): packTerms(now, now), number(slotConfigured): number(configured)}
	return chain.GenesisAccount{Nonce: 1, Code: bytes.Clone(enginesContract().Code), Storage: w}
}

// checkEngines is Check for the contract Engines.
func checkEngines(g *chain.Genesis) error {
	have, ok := g.Alloc[chain.EnginesAddress]
	if !ok {
		return nil // the engine is for ever
	}
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: alloc.%s%s: %s", chain.ErrGenesis, chain.EnginesAddress.Hex(), field, fmt.Sprintf(format, args...))
	}
	if g.Consensus.Engine == chain.PoW {
		return bad("", "is the engines contract's, and a chain of work has no validators who could change its engine")
	}
	want := EnginesAccount(g)
	switch {
	case !bytes.Equal(have.Code, want.Code):
		return bad(".code", "is not this version's engines contract")
	case have.Nonce != want.Nonce || have.Balance != nil:
		return bad("", "must have nonce %d and no balance", want.Nonce)
	case !maps.Equal(have.Storage, want.Storage):
		return bad(".storage", "does not hold exactly the founding engine and those that the genesis has parameters for")
	}
	return nil
}

// ReadEngines are the last two terms that st has decided on: the newest, which may begin at a height to come, and the one before it.
func ReadEngines(st chain.State) (newest, before chain.Term, err error) {
	v, err := st.Slot(chain.EnginesAddress, number(slotTerms))
	if err != nil {
		return newest, before, err
	}
	for i, t := range []*chain.Term{&newest, &before} {
		code := int(v[15-i])
		if code == 0 || code >= len(EngineCodes) {
			return newest, before, fmt.Errorf("%w: there is no engine %d", ErrState, code)
		}
		*t = chain.Term{Engine: EngineCodes[code], From: binary.BigEndian.Uint64(v[24-8*i:])}
	}
	return newest, before, nil
}

// packTerms is slot 0 of the contract.
func packTerms(newest, before chain.Term) (v common.Hash) {
	for i, t := range []chain.Term{newest, before} {
		binary.BigEndian.PutUint64(v[24-8*i:], t.From)
		v[15-i] = byte(engineCode(t.Engine))
	}
	return v
}

func engineCode(kind chain.EngineKind) int { return max(slices.Index(EngineCodes, kind), 0) }
