package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/docs/learn"
	"github.com/jialing-chain/jialing/internal/chain"
)

// fakeSchool is a network of four that a test makes up.
type fakeSchool struct {
	headers   map[uint64]*types.Header
	proposers map[uint64]string
	signed    []int
	nonces    uint64
	status    []*nodeStatus
	runs      []lessonRun
	staked    []*stakerView
	founding  *chain.Genesis
	// down is why no node answers.
	down error
}

func (f *fakeSchool) where() string { return "lab" }

func (f *fakeSchool) nodes(context.Context) ([]*nodeStatus, error) { return f.status, f.down }

func (f *fakeSchool) header(_ context.Context, height uint64) (*types.Header, error) {
	return f.headers[height], f.down
}

func (f *fakeSchool) proposer(_ context.Context, height uint64) (string, error) {
	return f.proposers[height], f.down
}

func (f *fakeSchool) signatures(context.Context, uint64) ([]int, error) { return f.signed, f.down }

func (f *fakeSchool) nonce(context.Context, common.Address) (uint64, error) { return f.nonces, f.down }

func (f *fakeSchool) run(fault string) (*lessonRun, error) {
	for i := range f.runs {
		return &f.runs[i], nil
	}
	return nil, errNoLesson
}

func (f *fakeSchool) stakers(context.Context) ([]*stakerView, error) { return f.staked, f.down }

func (f *fakeSchool) genesis() (*chain.Genesis, error) { return f.founding, nil }

func (f *fakeSchool) trust() (*client.Trust, error) { return nil, errors.New("no genesis") }

func madeUpSchool() *fakeSchool {
	leader := chain.ValidatorID(3)
	members := []member{{ID: 1, Name: "node1"}, {ID: 2, Name: "node2"}, {ID: 3, Name: "node3"}, {ID: 4, Name: "node4"}}
	status := &nodeStatus{View: 7, Leader: &leader, LeaderName: "node3", Validators: members, Quorum: 3}
	f := &fakeSchool{headers: map[uint64]*types.Header{}, proposers: map[uint64]string{20: "node2", 21: "node3"}, signed: []int{3, 4}, nonces: 3, status: []*nodeStatus{status}}
	f.founding = &chain.Genesis{Consensus: chain.Consensus{Stake: chain.DefaultStakeParams(), Work: chain.DefaultWorkParams()}}
	f.founding.Consensus.Stake.EpochBlocks = 128
	for id := range uint64(5) {
		v := &stakerView{ID: id + 1, Name: fmt.Sprintf("node%d", id+1), Stake: wei{big.NewInt(1e18)}, SelfStake: wei{big.NewInt(1e18)}, Seat: int(id)}
		f.staked = append(f.staked, v)
	}
	f.staked[4].Stake = wei{new(big.Int).Mul(big.NewInt(1750), oneEther)}
	parent := common.Hash{}
	for h := range uint64(11) {
		f.headers[h] = &types.Header{Number: new(big.Int).SetUint64(h), ParentHash: parent, Coinbase: common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")}
		parent = f.headers[h].Hash()
	}
	f.runs = []lessonRun{{Engine: chain.Raft, Faults: []lessonFault{{Action: faultKill, Nodes: []string{"node1"}, Pause: 536.944},
		{Action: faultRestart, Nodes: []string{"node1"}, Pause: 12},
		{Action: faultByzantine, Nodes: []string{"node2"}, Evidence: []string{"validator 2 attested two blocks at height 9"}},
		{Action: faultPartition, Nodes: []string{"node1", "node2", "node3", "node4"}, Forks: 23}}}}
	return f
}

// TestAnswers: what is right and what is wrong on the network that is made up.
func TestAnswers(t *testing.T) {
	s := madeUpSchool()
	parent := s.headers[2].ParentHash.Hex()
	for _, tc := range []struct {
		lab, question int
		right, wrong  []string
	}{
		{1, 1, []string{parent, parent[2:], parent[:10], parent[2:10] + "…", "0x" + common.HexToHash(parent).Hex()[2:]},
			[]string{"", "0x", parent[:9], s.headers[2].Hash().Hex(), s.headers[1].ParentHash.Hex(), parent + "00", "block 1"}},
		{1, 3, []string{"3", " 3 "}, []string{"2", "4", "three", "-3", "3.0"}},
		{1, 6, []string{"3", "4"}, []string{"0", "1", "5", "all"}},
		{2, 1, []string{"4"}, []string{"3", "5", "7", "four"}},
		{2, 2, []string{"2"}, []string{"3", "1"}},
		{2, 3, []string{"7"}, []string{"6", "8", ""}},
		{2, 4, []string{"537", "536", "537 ms", "537ms"}, []string{"12", "535", "539", "half a second"}},
		{3, 1, []string{"10"}, []string{"9", "11", "4"}},
		{3, 2, []string{"5"}, []string{"4", "6", "7"}},
		{3, 3, []string{"node2", " Node2 "}, []string{"node3", "2", "node"}},
		{3, 4, []string{"2", "node2", "Validator 2"}, []string{"1", "node1", "validator", "", "22"}},
		{4, 1, []string{"node2, node3,node4 node5", "Node5、node4，node3；node2"}, []string{"node1,node2,node3,node4", "node2,node3,node4", "", "5"}},
		{4, 2, []string{"192"}, []string{"256", "128", "64"}},
		{4, 3, []string{"1750", "1750 ether", "1750ether", "1750.0"}, []string{"1", "1751", "1500", "much"}},
		{4, 4, []string{"100", "100 ether"}, []string{"5", "500", "1000", "2000", "-100"}},
		{5, 1, []string{"65537", "65536", "65538", "65,537"}, []string{"65535", "65539", "31", "520159231"}},
		{5, 2, []string{"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "70997970", "0x70997970…"}, []string{"0x7099", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "node2", ""}},
		{5, 3, []string{"23"}, []string{"0", "22", "many"}},
	} {
		check := questionChecks[tc.lab][tc.question]
		require.NotNil(t, check, "lab %d, question %d", tc.lab, tc.question)
		for want, answers := range map[bool][]string{true: tc.right, false: tc.wrong} {
			for _, a := range answers {
				v, err := check(t.Context(), s, a)
				require.NoError(t, err, "lab %d, question %d: %q", tc.lab, tc.question, a)
				require.Equal(t, want, v.right, "lab %d, question %d: %q: %s", tc.lab, tc.question, a, v.en)
				require.NotEmpty(t, v.en)
				require.NotEmpty(t, v.zh)
			}
		}
	}
}

// TestAnswersOfOtherNetworks: the same answer is wrong where the network is another.
func TestAnswersOfOtherNetworks(t *testing.T) {
	s := madeUpSchool()
	answer := s.headers[2].ParentHash.Hex()
	s.headers[2] = &types.Header{Number: big.NewInt(2), ParentHash: common.Hash{1}}
	v, err := checkParentHash(t.Context(), s, answer)
	require.NoError(t, err)
	require.False(t, v.right)
	s.nonces = 0
	v, err = checkNextNonce(t.Context(), s, "0")
	require.NoError(t, err)
	require.False(t, v.right, "nothing was sent: the lab was not done")
	s.staked[4].Seat, s.staked[0].Seat = 0, 5
	v, err = checkSeats(t.Context(), s, "node1 node2 node3 node4")
	require.NoError(t, err)
	require.False(t, v.right, "nobody new was elected: the lab was not done")
	s.staked = s.staked[:4]
	v, err = checkBehind(t.Context(), s, "0")
	require.NoError(t, err)
	require.False(t, v.right, "there is no fifth validator")
	s.founding.Consensus.Stake.EpochBlocks, s.founding.Consensus.Work.Bits = 200, 0x1e00ffff
	v, err = checkElectedAt(t.Context(), s, "192")
	require.NoError(t, err)
	require.False(t, v.right)
	v, err = checkFirstWork(t.Context(), s, "16777472")
	require.NoError(t, err)
	require.True(t, v.right, "the target is 256 times as hard")
	s.runs[0].Faults = s.runs[0].Faults[:2]
	for _, check := range []answerCheck{checkLiar, checkForks} {
		_, err = check(t.Context(), s, "2")
		require.ErrorIs(t, err, errNoLesson)
	}
}

// TestWhatCannotBeChecked is neither right nor wrong, and no try.
func TestWhatCannotBeChecked(t *testing.T) {
	s := &fakeSchool{down: errNobodyRuns}
	e := newExam(t, 2, s)
	for _, q := range e.lab.Questions {
		row := e.judge(t.Context(), &q, "4")
		switch {
		case len(q.Options) > 0:
			require.Equal(t, answerWrong, row.State, "question %d", q.Number)
		case q.Number == 3 || q.Number == 4:
			require.Equal(t, answerUnchecked, row.State, "question %d", q.Number)
			require.NotNil(t, row.Why)
			require.Nil(t, e.kept.Labs[2].Questions[q.Number])
		}
	}
}

func newExam(t *testing.T, n int, s school) *exam {
	lab, err := learn.Read(n, learn.English)
	require.NoError(t, err)
	choices, err := learn.Choices(n)
	require.NoError(t, err)
	kept, err := readProgress(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	return &exam{cli: &cli{}, lab: lab, lang: learn.English, choices: choices, school: s, kept: kept}
}

// TestChoices: of every question to choose from, one letter is right, however it is written, and all others are wrong.
func TestChoices(t *testing.T) {
	for n := 1; n <= learn.Count(); n++ {
		e := newExam(t, n, madeUpSchool())
		for _, q := range e.lab.Questions {
			if len(q.Options) == 0 {
				continue
			}
			rights := 0
			for _, o := range q.Options {
				for _, answer := range []string{o.Letter, " (" + string(o.Letter[0]-'a'+'A') + ") "} {
					if e.judge(t.Context(), &q, answer).State == answerRight {
						rights++
					}
				}
			}
			require.Equal(t, 2, rights, "lab %d, question %d", n, q.Number)
			for _, answer := range []string{"", "z", "ab", "a b", "1"} {
				require.Equal(t, answerWrong, e.judge(t.Context(), &q, answer).State, "lab %d, question %d: %q", n, q.Number, answer)
			}
		}
	}
}

func TestProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "learn.json")
	p, err := readProgress(path)
	require.NoError(t, err)
	at := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	p.note(2, 1, false, at)
	p.note(2, 1, true, at.Add(time.Hour))
	p.note(2, 1, false, at.Add(2*time.Hour))
	p.note(2, 3, false, at)
	p.note(2, 9, true, at)
	require.NoError(t, p.write(path))
	p, err = readProgress(path)
	require.NoError(t, err)
	require.Equal(t, 1, p.solved(2, 6), "question 9 is none of the lab's any more; who was right once has solved it")
	require.Equal(t, 3, p.Labs[2].Questions[1].Tries)
	require.Equal(t, at.Add(time.Hour), *p.Labs[2].Questions[1].SolvedAt)
	require.Zero(t, p.solved(1, 6))
	for _, bad := range []string{"", "[]", `{"format": 2}`, `{"labs": {"x": {}}}`} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		_, err = readProgress(path)
		require.Error(t, err, "%q", bad)
	}
	for _, odd := range []string{`{"format": 1}`, `{"format": 1, "labs": {"1": null}}`, `{"format": 1, "labs": {"1": {"questions": {"1": null}}}}`} {
		require.NoError(t, os.WriteFile(path, []byte(odd), 0o600))
		p, err = readProgress(path)
		require.NoError(t, err, "%q", odd)
		p.note(1, 1, true, at)
		require.Equal(t, 1, p.solved(1, 1))
	}
}
