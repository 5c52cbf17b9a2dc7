package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// reportEvery is the pace of looking for evidence to report.
const reportEvery = time.Second

// reportLiars takes what nodes can prove of a validator to the Staking contract, as anybody may on a chain of stake, until ctx ends. Each is reported once.
func (c *class) reportLiars(ctx context.Context) {
	if c.d.flags.engine.kind != chain.PoS {
		return
	}
	reported := make(map[string]bool)
	for sleepFor(ctx, reportEvery) == nil {
		for _, i := range c.living() {
			if conn := c.conn(i); conn != nil {
				c.reportFrom(ctx, conn, reported)
			}
		}
	}
}

// reportFrom reports what one node can prove.
func (c *class) reportFrom(ctx context.Context, conn *client.Client, reported map[string]bool) {
	ctx, cancel := context.WithTimeout(ctx, reportPatience)
	defer cancel()
	var evidence []evidenceFile
	if conn.RPC().CallContext(ctx, &evidence, "jl_getEvidence") != nil {
		return // it is asked again, or another one
	}
	for _, e := range evidence {
		key := string(e.PublicKey)
		if reported[key] {
			continue
		}
		r, err := slash(ctx, conn, c.d.reporter, &e)
		if ctx.Err() != nil {
			return
		}
		reported[key] = true
		c.mu.Lock()
		if err != nil {
			c.tell("the evidence is reported in vain: " + err.Error())
		} else {
			text := slashedText(r)
			c.tell(text)
			if n := len(c.faults); n > 0 {
				c.faults[n-1].Slashed = append(c.faults[n-1].Slashed, text)
			}
		}
		c.mu.Unlock()
	}
}

// reportPatience bounds one report: a network that stands still takes none.
const reportPatience = 10 * time.Second

// slash sends evidence to the Staking contract and waits for its block.
func slash(ctx context.Context, conn *client.Client, from client.Account, e *evidenceFile) (*types.Receipt, error) {
	contract := client.Contract{Address: chain.StakingAddress, ABI: *govern.StakingABI()}
	out, err := conn.Call(ctx, contract, "idOfKey", []byte(e.PublicKey))
	if err != nil {
		return nil, err
	}
	id, ok := out[0].(uint64)
	if !ok || id == 0 {
		return nil, fmt.Errorf("nobody has registered the key %s", e.PublicKey)
	}
	return conn.Transact(ctx, from, contract, "slash", id, []byte(e.First), []byte(e.FirstSignature), []byte(e.Second), []byte(e.SecondSignature))
}

// slashedText is what the contract says happened.
func slashedText(r *types.Receipt) string {
	var words []string
	for _, log := range r.Logs {
		event, err := govern.StakingABI().EventByID(log.Topics[0])
		if err != nil {
			continue
		}
		values := make(map[string]any)
		if event.Inputs.UnpackIntoMap(values, log.Data) == nil && len(log.Topics) > 1 {
			values["id"] = log.Topics[1].Big().Uint64()
			words = append(words, eventText(event.Name, values))
		}
	}
	return strings.Join(words, "; ")
}
