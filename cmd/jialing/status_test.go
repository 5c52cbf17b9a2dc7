package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func healthyView() *statusView {
	a := healthyAnswer(1)
	a.status.Chain, a.status.View = "嘉陵测试链", 7
	a.status.LastBlockAt = a.status.Now - 1500
	a.status.StartedAt = a.status.Now - 3_600_000
	final := 4.25
	return &statusView{RPC: "http://127.0.0.1:8545", Status: a.status, Peers: a.peers, now: doctorNow, Findings: []finding{},
		Rates: &rates{TxsPerSecond: 512.25, BlocksPerSecond: 61.5, FinalMs: &final, Seconds: 60}}
}

func TestStatusShowsANode(t *testing.T) {
	got := strings.Join(healthyView().lines(80, 24, plainStyle), "\n")
	require.Equal(t, `嘉陵测试链  chain id 5, bft  |  node2, validator 2 of 4
http://127.0.0.1:8545  up 1h0m0s  14:13:20 UTC

height    100 ordered, 100 on disk, 100 final; last block 1.5s ago
load      512.2 tx/s, 61.5 blocks/s, 4.2 ms from ordered to final (last 60 s)
leader    node1, view 7, 0 changes seen since its start
pool      [....................] 0 pending, 0 queued, of 1000
disk      100 GiB free, reserve 256 MiB

peer             address                   height    lag     clock      trip
node1            10.0.0.1:30301               100      0     +0 ms    0.4 ms
node3            10.0.0.3:30301               100      0     +0 ms    0.4 ms
node4            10.0.0.4:30301               100      0     +0 ms    0.4 ms

no problems`, got)
}

func TestStatusShowsTrouble(t *testing.T) {
	v := healthyView()
	v.Behind = 50
	v.Peers[0].Connected, v.Peers[0].LastError = false, "i/o timeout"
	v.Error, v.lost = "no node answers", 12*time.Second
	v.Rates = nil
	for i := range 6 {
		v.Findings = append(v.Findings, finding{broken, "x", fmt.Sprintf("trouble %d", i), "", ""})
	}
	got := strings.Join(v.lines(80, 24, plainStyle), "\n")
	require.Contains(t, got, "; 50 behind; last block")
	require.Contains(t, got, "away: i/o timeout")
	require.Contains(t, got, "node3            10.0.0.3:30301               100     50 ")
	require.Contains(t, got, "no answer for 12s: no node answers")
	require.Contains(t, got, "error  trouble 3\n… and 2 more: jialing doctor --rpc")
	require.Contains(t, got, "load      not known yet")
	require.NotContains(t, got, "trouble 4")
	v.Status, v.Peers = nil, nil
	require.Equal(t, []string{"jialing status of http://127.0.0.1:8545", "", "no answer for 12s: no node answers"}, v.lines(80, 24, plainStyle))
}

// The view never exceeds the screen, and what a peer says of itself reaches the terminal as text only.
func TestStatusFitsTheScreen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := healthyView()
		v.Status.Chain = rapid.StringN(0, 70, 200).Draw(t, "chain")
		for range rapid.IntRange(0, 200).Draw(t, "more peers") {
			p := v.Peers[0]
			p.Name, p.Connected = rapid.String().Draw(t, "name"), rapid.Bool().Draw(t, "connected")
			p.LastError = rapid.String().Draw(t, "error")
			v.Peers = append(v.Peers, p)
		}
		for range rapid.IntRange(0, 8).Draw(t, "findings") {
			v.Findings = append(v.Findings, finding{ailing, "x", rapid.String().Draw(t, "cause"), "", ""})
		}
		width, height := rapid.IntRange(2, 120).Draw(t, "width"), rapid.IntRange(1, 60).Draw(t, "height")
		lines := v.lines(width, height, plainStyle)
		require.LessOrEqual(t, len(lines), height)
		for _, line := range lines {
			require.LessOrEqual(t, columnsOf(line), width, line)
			require.NotContains(t, line, "\x1b")
			require.NotContains(t, line, "\n")
		}
	})
}

func TestStatusReadsCounters(t *testing.T) {
	text := func(txs, blocks, seconds, counted int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "# HELP jialing_transactions_total x\njialing_transactions_total %d\njialing_blocks_total %d\nother{a=\"b c\"} 7\nnonsense\n", txs, blocks)
		for _, stage := range blockStages {
			fmt.Fprintf(&b, "jialing_block_seconds_sum{to=%q} %d\njialing_block_seconds_count{to=%q} %d\n", stage, seconds, stage, counted)
		}
		return b.String()
	}
	before, err := parseLoad(strings.NewReader(text(100, 10, 1, 10)))
	require.NoError(t, err)
	now, err := parseLoad(strings.NewReader(text(400, 30, 3, 30)))
	require.NoError(t, err)
	r := ratesBetween(before, now, 20*time.Second)
	require.InDelta(t, 15, r.TxsPerSecond, 1e-9)
	require.InDelta(t, 1, r.BlocksPerSecond, 1e-9)
	require.InDelta(t, 3*100, *r.FinalMs, 1e-9) // each of the three stages took 2 s for 20 blocks
	require.Nil(t, ratesBetween(before, before, time.Second).FinalMs, "without a block there is no latency")
	require.Nil(t, ratesBetween(nil, now, time.Second))
	require.Nil(t, ratesBetween(before, now, 0))
	_, err = parseLoad(strings.NewReader("<html>"))
	require.ErrorContains(t, err, "not a node's")
}
