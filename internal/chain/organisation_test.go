package chain_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

func TestGenesisWithOrganisations(t *testing.T) {
	founding := func() *chain.Genesis {
		g := testGenesis()
		g.Consensus.Engine, g.Consensus.BFT = chain.BFT, chain.DefaultBFTParams()
		for i := len(g.Validators); i < 4; i++ {
			g.Validators = append(g.Validators, chain.GenesisValidator{ID: g.Validators[i-1].ID + 1, Name: "v", PublicKey: []byte{byte(i), 9, 9}, Address: common.Address{byte(i)}})
		}
		g.Admission = chain.AdmitCertificates
		g.Organisations = []chain.GenesisOrganisation{{Name: "嘉陵银行", Admin: common.Address{1}, Roots: []chain.DER{{0x30, 1, 2}}}, {Name: "B", Admin: common.Address{1}, Roots: []chain.DER{{3}, {4}}}}
		return g
	}
	g := founding()
	require.NoError(t, g.Validate())
	require.Contains(t, string(g.Encode()), `"MAEC"`)
	back, err := chain.ParseGenesis(g.Encode())
	require.NoError(t, err)
	require.Equal(t, g.Organisations, back.Organisations)
	require.Equal(t, chain.AdmitCertificates, back.Admission)
	plain := testGenesis()
	require.NotContains(t, string(plain.Encode()), "admission", "a chain without them has the genesis that it had")

	for text, alter := range map[string]func(*chain.Genesis){
		"admission: \"closed\" is unknown": func(g *chain.Genesis) { g.Admission = "closed" },
		"no node could be let in":          func(g *chain.Genesis) { g.Organisations = nil },
		"has no other nodes": func(g *chain.Genesis) {
			g.Consensus.Engine, g.Consensus.BFT, g.Validators = chain.Solo, nil, g.Validators[:1]
		},
		"is open to whoever stakes": func(g *chain.Genesis) { g.Consensus.Engine, g.Consensus.Stake = chain.PoS, chain.DefaultStakeParams() },
		"at most 64":                func(g *chain.Genesis) { g.Organisations = make([]chain.GenesisOrganisation, 65) },
		"organisations[1].name: mu": func(g *chain.Genesis) { g.Organisations[1].Name = "" },
		"is there twice":            func(g *chain.Genesis) { g.Organisations[1].Name = "嘉陵银行" },
		"organisations[0].admin":    func(g *chain.Genesis) { g.Organisations[0].Admin = common.Address{} },
		"organisations[0].roots: m": func(g *chain.Genesis) { g.Organisations[0].Roots = nil },
		"organisations[1].roots: m": func(g *chain.Genesis) { g.Organisations[1].Roots = make([]chain.DER, 5) },
		"organisations[1].roots[1]": func(g *chain.Genesis) { g.Organisations[1].Roots[1] = make(chain.DER, crypto.MaxCertificate+1) },
	} {
		g := founding()
		alter(g)
		err := g.Validate()
		require.ErrorIs(t, err, chain.ErrGenesis, text)
		require.ErrorContains(t, err, text)
	}
	require.ErrorContains(t, new(chain.DER).UnmarshalText([]byte("no base64!")), "base64")
}
