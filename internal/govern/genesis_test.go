package govern_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

func TestCheck(t *testing.T) {
	g := founding(7)
	require.NoError(t, g.Validate())
	require.NoError(t, govern.Check(g))
	again, err := chain.ParseGenesis(g.Encode())
	require.NoError(t, err)
	require.NoError(t, govern.Check(again), "the file holds it all")

	some := func(g *chain.Genesis, alter func(*chain.GenesisAccount)) {
		a := govern.Account(g)
		alter(&a)
		g.Alloc[govern.Address] = a
	}
	for text, alter := range map[string]func(*chain.Genesis){
		"is missing": func(g *chain.Genesis) { delete(g.Alloc, govern.Address) },
		".code":      func(g *chain.Genesis) { some(g, func(a *chain.GenesisAccount) { a.Code = append(a.Code, 0) }) },
		"nonce 1":    func(g *chain.Genesis) { some(g, func(a *chain.GenesisAccount) { a.Nonce = 2 }) },
		"no balance": func(g *chain.Genesis) {
			some(g, func(a *chain.GenesisAccount) { a.Balance = (*math.HexOrDecimal256)(big.NewInt(1)) })
		},
		"founding validator": func(g *chain.Genesis) { g.Validators[2].PublicKey = key(1000) },
		".storage": func(g *chain.Genesis) {
			some(g, func(a *chain.GenesisAccount) { a.Storage[common.Hash{9}] = common.Hash{1} })
		},
		"does not hold": func(g *chain.Genesis) { g.Validators = g.Validators[:6] },
		"hold exactly":  func(g *chain.Genesis) { g.Validators[0].Endpoint = "elsewhere:1" },
		"validators[1].address: is also validator 1's": func(g *chain.Genesis) {
			g.Validators[1].Address = g.Validators[0].Address
			g.Alloc[govern.Address] = govern.Account(g)
		},
		"at most 128": func(g *chain.Genesis) { *g = *founding(govern.MaxMembers + 1) },
	} {
		g := founding(7)
		alter(g)
		err := govern.Check(g)
		require.ErrorIs(t, err, chain.ErrGenesis, text)
		require.ErrorContains(t, err, text)
	}
	solo := founding(4)
	solo.Consensus.Engine, solo.Alloc = chain.Solo, nil
	require.NoError(t, govern.Check(solo))
}

// TestGoldenContract pins code and founding storage: another one is another chain.
func TestGoldenContract(t *testing.T) {
	storage, err := json.Marshal(govern.Account(founding(5)).Storage)
	require.NoError(t, err)
	require.Equal(t, "0x848bc8fbeeefe85926f0c25a8107a402d1e8aaa07b46de7125b5d3476d0d93a2", crypto.Keccak256Hash(govern.Code()).Hex())
	require.Equal(t, "0x1c75d344fc729cfc040b63e90116cc25125d409a82284876d00cd3b15e218b02", crypto.Keccak256Hash(storage).Hex())
}

// slots is a chain.State of nothing but the contract's storage.
type slots map[common.Hash]common.Hash

func (s slots) Account(common.Address) (*chain.Account, error) { panic("nobody reads accounts") }
func (s slots) Code(common.Hash) ([]byte, error)               { panic("nobody reads code") }
func (s slots) Slot(_ common.Address, slot common.Hash) (common.Hash, error) {
	return s[slot], nil
}

// TestReadRefusesWhatTheContractNeverWrites: it ends with an error and bounded work, whatever is there.
func TestReadRefusesWhatTheContractNeverWrites(t *testing.T) {
	_, _, err := govern.Read(slots{})
	require.ErrorIs(t, err, govern.ErrState)
	good := govern.Account(founding(4)).Storage
	set, _, err := govern.Read(slots(good))
	require.NoError(t, err)
	huge := common.HexToHash("0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")
	refused := 0
	for slot, value := range good {
		for _, bad := range []common.Hash{{}, {31: 1}, {31: 200}, {31: 64}, {30: 2, 31: 3}, huge} {
			altered := make(slots)
			for k, v := range good {
				altered[k] = v
			}
			altered[slot] = bad
			got, members, err := govern.Read(altered)
			if err != nil {
				require.ErrorIs(t, err, govern.ErrState, "slot %s = %s, was %s", slot, bad, value)
				refused++
				continue
			}
			require.Len(t, members, len(got))
			require.LessOrEqual(t, len(got), govern.MaxMembers)
		}
	}
	require.Greater(t, refused, 20)
	again, _, err := govern.Read(slots(good))
	require.NoError(t, err)
	require.Equal(t, set, again)
}

func TestReadMakesTextSafe(t *testing.T) {
	g := founding(4)
	g.Validators[0].Name, g.Validators[0].Endpoint = "\xff\xfe", "no port"
	_, members, err := govern.Read(slots(govern.Account(g).Storage))
	require.NoError(t, err)
	require.Equal(t, "\uFFFD", members[0].Name)
	require.Empty(t, members[0].Endpoint)
}

func TestSettled(t *testing.T) {
	w := newWorld(t, founding(4))
	settled := func(height uint64) bool {
		ok, err := govern.Settled(w, height)
		require.NoError(t, err)
		return ok
	}
	require.True(t, settled(0))
	w.setHeight(10)
	p := w.proposeAdd(1, 99)
	w.call(account(3), "vote", p)
	require.True(t, settled(10))
	w.call(account(5), "vote", p)
	require.False(t, settled(10))
	require.False(t, settled(10+chain.ActivationDelay-2))
	require.True(t, settled(10+chain.ActivationDelay-1), "the new set rules the next block")
}
