package main

import (
	"bytes"
	"math/big"
	"strconv"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/govern"
)

// repeat runs a command a number of times; it must succeed each time.
func repeat(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil || neg || len(args) < 2 {
		ts.Fatalf("usage: repeat N COMMAND [ARGUMENT...]")
	}
	for range n {
		ts.Check(ts.Exec(args[1], args[2:]...))
	}
}

func event(t *testing.T, name string, proposal, id uint64, values ...any) *types.Log {
	e := govern.ABI().Events[name]
	data, err := e.Inputs.NonIndexed().Pack(values...)
	require.NoError(t, err)
	topics := []common.Hash{e.ID, common.BigToHash(new(big.Int).SetUint64(proposal))}
	if id > 0 {
		topics = append(topics, common.BigToHash(new(big.Int).SetUint64(id)))
	}
	return &types.Log{Address: govern.Address, Topics: topics, Data: data}
}

// TestOutcomeSaysWhatHappensNext: of what events a transaction can leave.
func TestOutcomeSaysWhatHappensNext(t *testing.T) {
	voted := func(votes, needed int64) *types.Log {
		return event(t, "Voted", 7, 2, big.NewInt(votes), big.NewInt(needed))
	}
	lapsed := event(t, "Lapsed", 5, 0)
	proposed := event(t, "Proposed", 7, 1, uint8(1), uint64(4), []byte{}, common.Address{}, "", "", uint64(1000))
	for want, logs := range map[string][]*types.Log{
		"1 of 3 votes: 2 more to go, with \"jialing validator vote 7\"": {lapsed, proposed, voted(1, 3)},
		"3 of 3 votes: passed in block 9, takes effect at block 73":     {voted(3, 3), event(t, "Removed", 7, 4, uint64(73))},
		"applied in block 9, takes effect at block 73":                  {event(t, "Removed", 7, 4, uint64(73)), lapsed},
		"withdrawn": {event(t, "Withdrawn", 7, 0)},
		"4 of 4 votes: passed in block 9, takes effect at block 73": {voted(4, 4),
			event(t, "Added", 7, 8, []byte{1}, common.Address{1}, "n", "", uint64(73))},
	} {
		v := new(validators)
		out, err := v.outcome(t.Context(), &types.Receipt{BlockNumber: big.NewInt(9), Logs: logs})
		require.NoError(t, err)
		require.EqualValues(t, 7, out.Proposal)
		var text bytes.Buffer
		out.text(&text)
		require.Contains(t, text.String(), "result\t"+want+"\n")
	}
	for name, l := range map[string]*types.Log{"another contract": {Topics: []common.Hash{{1}, {2}}}, "no topics": {Address: govern.Address},
		"unknown event": {Address: govern.Address, Topics: []common.Hash{{1}, {2}}},
		"short data":    {Address: govern.Address, Topics: voted(1, 1).Topics, Data: []byte{1}}} {
		_, _, err := decodeEvent(l)
		require.Error(t, err, name)
	}
}

func TestTextFromTheChainPlaysNoTricks(t *testing.T) {
	require.Equal(t, "第五 node", printable("第五 node"))
	require.Equal(t, `"\x1b[2Jnode\t1"`, printable("\x1b[2Jnode\t1"))
	p := proposal{Kind: kindAdd, entry: entry{[]byte{1}, common.Address{2}, "a\nb", ""}}
	require.NotContains(t, p.what(), "\n")
}
