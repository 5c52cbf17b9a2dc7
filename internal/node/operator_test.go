package node

import (
	"crypto/ecdsa"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

type testOperator struct{ key *ecdsa.PrivateKey }

func (o testOperator) Address() common.Address { return gethcrypto.PubkeyToAddress(o.key.PublicKey) }

func (o testOperator) SignCall(chainID uint64, c OperatorCall) ([]byte, error) {
	id := new(big.Int).SetUint64(chainID)
	tx, err := types.SignNewTx(o.key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{ChainID: id, Nonce: c.Nonce, GasTipCap: c.TipCap, GasFeeCap: c.FeeCap,
		Gas: c.Gas, To: &c.To, Data: c.Data})
	if err != nil {
		return nil, err
	}
	return tx.MarshalBinary()
}

// newStakeNetwork is one of stake, with a market of fees.
func newStakeNetwork(t *testing.T, operators ...Operator) *testNetwork {
	w := newTestNetwork(t)
	g := w.genesis
	wei := func(n int64) *math.HexOrDecimal256 { return (*math.HexOrDecimal256)(big.NewInt(n)) }
	g.Consensus.Engine, g.Consensus.HeartbeatMillis = chain.PoS, 200
	g.Consensus.Stake = &chain.StakeParams{EpochBlocks: 2 * chain.ActivationDelay, Seats: 4, MinSelfStake: wei(1e12), UnbondingEpochs: 1, SlashBasisPoints: 1000, JailEpochs: 1}
	g.Fees = chain.Fees{Mode: chain.FeesMarket, BaseFee: wei(1e9), BaseFeeTo: &chain.StakingAddress}
	for i := range g.Validators {
		g.Alloc[g.Validators[i].Address] = chain.GenesisAccount{Balance: wei(1e18)}
	}
	for i, o := range operators {
		w.nodes[i].operator = o
	}
	g.Alloc[govern.Address], g.Alloc[chain.StakingAddress] = govern.Account(g), govern.StakeAccount(g)
	require.NoError(t, g.Validate())
	return w
}

func (n *testNode) stake() *eth.StakeStatus {
	if p := n.running(); p != nil {
		return p.operator.Status()
	}
	return nil
}

// TestOperator: with an account of its own a node shows that its seat is present and reports who contradicts himself; without one, or with an empty one, it says so.
func TestOperator(t *testing.T) {
	account := func(n byte) *ecdsa.PrivateKey {
		key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte{n}))
		require.NoError(t, err)
		return key
	}
	funded, empty := testOperator{account(1)}, testOperator{account(2)}
	w := newStakeNetwork(t, funded, empty)
	w.genesis.Alloc[funded.Address()] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(big.NewInt(1e18))}
	for _, n := range w.nodes {
		w.start(n)
	}
	attended := func() bool { s := w.nodes[0].stake(); return s != nil && s.Attended }
	require.Eventually(t, attended, patience, 20e6)
	s := w.nodes[0].stake()
	require.True(t, s.Seat)
	require.EqualValues(t, 1, s.Validator)
	require.Equal(t, funded.Address(), *s.Operator)
	require.Empty(t, s.Problem)
	require.Eventually(t, func() bool { s := w.nodes[1].stake(); return s != nil && s.Problem != "" }, patience, 20e6)
	poor := w.nodes[1].stake()
	require.Contains(t, poor.Problem, "account "+empty.Address().Hex()+" must hold")
	require.False(t, poor.Attended)
	require.Eventually(t, func() bool { return w.nodes[2].stake() != nil }, patience, 20e6)
	require.Nil(t, w.nodes[2].stake().Operator)

	// The fourth contradicts itself, and the first has heard it; so has the fourth itself, which tells nobody.
	p := w.nodes[0].running()
	liar := &chain.Contradiction{Validator: 4, PublicKey: w.nodes[3].key.Public().Bytes()}
	for i := range liar.Messages {
		liar.Messages[i] = chain.AttestationMessage(p.genesisHash, 1, crypto.Hash{byte(i + 1)})
		sig, err := w.nodes[3].key.Sign(liar.Messages[i])
		require.NoError(t, err)
		liar.Signatures[i] = sig
	}
	require.NoError(t, liar.Verify(w.nodes[0].node.suite, p.genesisHash))
	require.True(t, p.docket.put(liar))
	require.Eventually(t, func() bool { s := w.nodes[3].stake(); return s != nil && s.Tombstoned }, patience, 20e6)
}
