package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/govern"
)

// TestMembersChangeAtRunTime lets a fifth node join a running network, makes it a validator by the validators' votes, and takes that back. Nobody is
// restarted; the load never stops.
func TestMembersChangeAtRunTime(t *testing.T) {
	seed := drawSeed(t)
	nw := createNetwork(t, 4)
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments before anybody joins", 50)

	fifth := nw.join(t)
	nw.caughtUp(fifth)
	own, err := statusOf(context.Background(), nw.processes()[fifth].client)
	require.NoError(t, err)
	require.Nil(t, own.Validator, "whoever joins is no validator yet")

	nw.vote(t, "proposeAdd", []any{[]byte(own.PublicKey), gethcrypto.PubkeyToAddress(devAccount(t, 4).PublicKey), "node5", nw.endpoint(fifth)}, 3)
	id := nw.awaitMembers(t, 5)

	// Four of five decide: with one away the new one's signature is needed.
	victim := nw.leader()
	if victim == fifth {
		victim = 0
	}
	nw.kill(victim)
	b.progress("payments with the new validator in an old one's place", 20)
	nw.awaitSigner(t, fifth, id)
	t.Logf("node 5 is validator %d and signs blocks", id)
	nw.start(victim)
	nw.caughtUp(victim)

	nw.vote(t, "proposeRemove", []any{id}, 4)
	nw.awaitMembers(t, 4)
	b.progress("payments after the removal", 20)
	nw.caughtUp(fifth)
	own, err = statusOf(context.Background(), nw.processes()[fifth].client)
	require.NoError(t, err)
	require.Nil(t, own.Validator, "whoever was removed follows")
	stop()
	b.audit()
	nw.stop()
}

// join makes the folder of another node by "jialing node join" and starts it; it returns its number.
func (nw *network) join(t *testing.T, args ...string) int {
	dir := filepath.Join(nw.dir, fmt.Sprintf("node%d", len(nw.dirs)+1))
	_, stderr, err := jialing(t, append([]string{"node", "join", "--dir", dir, "--genesis", filepath.Join(nw.dir, "genesis.json"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1))}, args...)...)
	require.NoError(t, err, stderr)
	nw.mu.Lock()
	nw.dirs, nw.nodes = append(nw.dirs, dir), append(nw.nodes, nil)
	nw.mu.Unlock()
	nw.start(len(nw.dirs) - 1)
	return len(nw.dirs) - 1
}

// vote has validator 1 make a proposal, and the next ones vote for it until it has that many votes.
func (nw *network) vote(t *testing.T, method string, args []any, votes int) {
	t.Helper()
	contract := govern.ABI()
	data, err := contract.Pack(method, args...)
	require.NoError(t, err)
	r := nw.transact(t, 0, govern.Address, data)
	var proposal uint64
	for _, l := range r.Logs {
		if l.Topics[0] == contract.Events["Proposed"].ID {
			proposal = l.Topics[1].Big().Uint64()
		}
	}
	require.NotZero(t, proposal)
	for validator := 1; validator < votes; validator++ {
		data, err := contract.Pack("vote", proposal)
		require.NoError(t, err)
		nw.transact(t, validator, govern.Address, data)
	}
}

// transact sends a call of a contract from a validator's account to its own node and waits for the receipt of its success.
func (nw *network) transact(t *testing.T, validator int, to common.Address, data []byte) *types.Receipt {
	t.Helper()
	p, key, id := nw.processes()[validator], devAccount(t, validator), big.NewInt(defaultChainID)
	var nonce hexutil.Uint64
	p.call(&nonce, "eth_getTransactionCount", gethcrypto.PubkeyToAddress(key.PublicKey), "pending")
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{ChainID: id, Nonce: uint64(nonce), GasTipCap: new(big.Int),
		GasFeeCap: new(big.Int), Gas: 3_000_000, To: &to, Data: data})
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	p.call(new(common.Hash), "eth_sendRawTransaction", hexutil.Bytes(raw))
	var r *types.Receipt
	eventually(t, "a vote's receipt", func() error {
		if p.call(&r, "eth_getTransactionReceipt", tx.Hash()); r == nil {
			return errors.New("none yet")
		}
		return nil
	})
	require.EqualValues(t, 1, r.Status, "the vote was reverted")
	return r
}

// awaitMembers waits until all nodes see that many validators rule, and returns the id of the latest one.
func (nw *network) awaitMembers(t *testing.T, n int) (last uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d validators rule", n), func() error {
		for i, p := range nw.processes() {
			s, err := statusOf(context.Background(), p.client)
			if err != nil {
				return err
			}
			if len(s.Validators) != n {
				return fmt.Errorf("node %d sees %d", i+1, len(s.Validators))
			}
			for _, v := range s.Validators {
				last = max(last, v.ID)
			}
		}
		return nil
	})
	return last
}

// awaitSigner waits until a certificate on that node holds the validator's signature.
func (nw *network) awaitSigner(t *testing.T, node int, id uint64) {
	t.Helper()
	c := nw.processes()[node]
	eventually(t, fmt.Sprintf("validator %d signs", id), func() error {
		final, err := finalHeight(c.client)
		if err != nil {
			return err
		}
		var cert struct {
			Attestations []struct {
				Validator hexutil.Uint64 `json:"validator"`
			} `json:"attestations"`
		}
		if err := ask(c.client, &cert, "jl_getCertificate", hexutil.Uint64(final)); err != nil {
			return err
		}
		for _, s := range cert.Attestations {
			if uint64(s.Validator) == id {
				return nil
			}
		}
		return fmt.Errorf("block %d is signed by %v", final, cert.Attestations)
	})
}

// endpoint is where a node listens for others.
func (nw *network) endpoint(node int) string {
	var config struct {
		Network struct{ Listen, Announce string }
	}
	_, err := toml.DecodeFile(filepath.Join(nw.dirs[node], "node.toml"), &config)
	require.NoError(nw.t, err)
	return cmp.Or(config.Network.Announce, config.Network.Listen)
}
