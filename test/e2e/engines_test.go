package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// changes is how many times the engine changes to and fro under load: JIALING_CHANGES=20 for the figure.
func changes(t *testing.T) int {
	word := os.Getenv("JIALING_CHANGES")
	if word == "" {
		return 2
	}
	n, err := strconv.Atoi(word)
	require.NoError(t, err)
	return n
}

// TestEnginesChangeAtRunTime begins with one node that orders alone and three that follow, votes them in, and leads the chain from solo to raft and to and fro
// between raft and bft, by the validators' votes, under load. Nobody is restarted but who is killed; no acknowledged payment is lost.
func TestEnginesChangeAtRunTime(t *testing.T) {
	seed := drawSeed(t)
	nw := createNetwork(t, 4, "--consensus", "solo")
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments before anybody has a voice", 50)
	for node := 1; node < 4; node++ {
		s, err := statusOf(context.Background(), nw.processes()[node].client)
		require.NoError(t, err)
		require.Nil(t, s.Validator, "who only follows is no validator")
		args := []any{[]byte(s.PublicKey), gethcrypto.PubkeyToAddress(devAccount(t, node).PublicKey), fmt.Sprintf("node%d", node+1), nw.endpoint(node)}
		nw.vote(t, "proposeAdd", args, chain.BFT.Quorum(node))
	}
	nw.change(t, chain.Raft)
	b.progress("payments on raft", 50)
	leader := nw.leader()
	nw.kill(leader)
	b.progress("payments after the death of a leader that solo never had", 20)
	nw.start(leader)
	nw.caughtUp(leader)
	for i := range changes(t) {
		engine := []chain.EngineKind{chain.BFT, chain.Raft}[i%2]
		nw.change(t, engine)
		b.progress("payments on "+string(engine), 20)
	}
	away := nw.leader()
	nw.kill(away) // and it finds another engine when it comes back
	b.progress("payments with one away", 20)
	nw.change(t, chain.BFT, away)
	nw.start(away)
	nw.caughtUp(away)
	nw.onEngine(t, chain.BFT)
	b.progress("payments with all there", 50)
	stop()
	b.audit()
	nw.proves(t, b.last())
	nw.stop()
}

// change has the validators decide on another engine and waits until it rules on all nodes but those that are away. Where it rules already nothing is done.
func (nw *network) change(t *testing.T, engine chain.EngineKind, away ...int) {
	t.Helper()
	now, err := statusOf(context.Background(), nw.clients()[0])
	require.NoError(t, err)
	if now.Engine == string(engine) {
		return
	}
	code := uint8(slices.Index(govern.EngineCodes, engine))
	voters := slices.DeleteFunc(nw.all(), func(i int) bool { return slices.Contains(away, i) })
	began := time.Now()
	decided := nw.decideBy(t, voters, code)
	nw.onEngine(t, engine, away...)
	t.Logf("%s rules from block %d on, decided in block %d: all are there %s after the first vote", engine, decided+chain.ActivationDelay, decided,
		time.Since(began).Round(time.Millisecond))
}

// decideBy has a quorum of these validators vote for an engine.
func (nw *network) decideBy(t *testing.T, voters []int, engine uint8) (height uint64) {
	t.Helper()
	contract := govern.EnginesABI()
	data, err := contract.Pack("propose", engine)
	require.NoError(t, err)
	r := nw.transact(t, voters[0], chain.EnginesAddress, data)
	var proposal uint64
	for _, l := range r.Logs {
		if l.Topics[0] == contract.Events["Proposed"].ID {
			proposal = l.Topics[1].Big().Uint64()
		}
	}
	require.NotZero(t, proposal)
	for _, voter := range voters[1:chain.BFT.Quorum(4)] {
		data, err := contract.Pack("vote", proposal)
		require.NoError(t, err)
		r = nw.transact(t, voter, chain.EnginesAddress, data)
	}
	return r.BlockNumber.Uint64()
}

// onEngine waits until the engine rules on all nodes but those that are away.
func (nw *network) onEngine(t *testing.T, engine chain.EngineKind, away ...int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s rules", engine), func() error {
		for i, p := range nw.processes() {
			if p == nil || slices.Contains(away, i) {
				continue
			}
			var v struct {
				Engine string         `json:"engine"`
				Quorum hexutil.Uint64 `json:"quorum"`
			}
			if err := ask(p.client, &v, "jl_getValidators", "latest"); err != nil {
				return err
			}
			s, err := statusOf(context.Background(), p.client)
			if err != nil {
				return err
			}
			if v.Engine != string(engine) || s.Engine != string(engine) {
				return fmt.Errorf("node %d: the last block is by %s, the next by %s", i+1, v.Engine, s.Engine)
			}
			if int(v.Quorum) != engine.Quorum(4) {
				return errors.New("another quorum than the engine's")
			}
		}
		return nil
	})
}

// TestStakeTakesOverALiveNetwork: the validators of a bft network register their stakes, by the commands that their operators have, change to pos under load and
// back.
func TestStakeTakesOverALiveNetwork(t *testing.T) {
	seed := drawSeed(t)
	nw := createNetwork(t, 4, "--engines", "bft,pos", "--fees", "zero", "--min-self-stake", "100ether", "--epoch-blocks", "128")
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments on bft", 20)
	_, stderr, err := jialing(t, "engine", "propose", "pos", "--from", "dev:0", "--rpc", nw.processes()[0].HTTP)
	require.Error(t, err)
	require.Contains(t, stderr, "fewer than four validators have staked enough")
	for i, p := range nw.processes() {
		_, stderr, err := jialing(t, "stake", "register", fmt.Sprintf("node%d", i+1), "--node", nw.dirs[i], "--stake", "150ether", "--endpoint", nw.endpoint(i),
			"--from", fmt.Sprintf("dev:%d", i), "--rpc", p.HTTP)
		require.NoError(t, err, stderr)
	}
	for _, engine := range []chain.EngineKind{chain.PoS, chain.BFT} {
		for i := range chain.BFT.Quorum(4) {
			_, stderr, err := jialing(t, "engine", "propose", string(engine), "--from", fmt.Sprintf("dev:%d", i), "--rpc", nw.processes()[i].HTTP)
			require.NoError(t, err, stderr)
		}
		nw.onEngine(t, engine)
		b.progress("payments on "+string(engine), 150)
		leader := nw.leader()
		nw.kill(leader)
		b.progress("payments without its leader", 20)
		nw.start(leader)
		nw.caughtUp(leader)
	}
	stop()
	b.audit()
	nw.stop()
}
