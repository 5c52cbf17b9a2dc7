package main

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// stakeOutcome is what a transaction to the contract did.
type stakeOutcome struct {
	Transaction common.Hash  `json:"transaction"`
	Block       uint64       `json:"block"`
	Events      []stakeEvent `json:"events"`
}

type stakeEvent struct {
	Event  string         `json:"event"`
	Values map[string]any `json:"values"`
	text   string
}

// stakeOutcomeOf reads it from the receipt's events.
func stakeOutcomeOf(_ context.Context, r *types.Receipt) (*stakeOutcome, error) {
	out := &stakeOutcome{Transaction: r.TxHash, Block: r.BlockNumber.Uint64(), Events: []stakeEvent{}}
	for _, l := range r.Logs {
		if l.Address != chain.StakingAddress || len(l.Topics) < 2 {
			continue // what the payee of a payment has done with it
		}
		event, err := govern.StakingABI().EventByID(l.Topics[0])
		if err != nil {
			return nil, fmt.Errorf("read the transaction's events: %w", err)
		}
		values, err := eventValues(event, l)
		if err != nil {
			return nil, fmt.Errorf("read event %s: %w", event.Name, err)
		}
		text := eventText(event.Name, values)
		for name, v := range values {
			switch v := v.(type) {
			case []byte:
				values[name] = hexutil.Bytes(v)
			case *big.Int:
				values[name] = wei{v}
			}
		}
		out.Events = append(out.Events, stakeEvent{event.Name, values, text})
	}
	return out, nil
}

// eventText says it for people.
func eventText(name string, v map[string]any) string {
	id, _ := v["id"].(uint64)
	amount := func(of string) string {
		n, _ := v[of].(*big.Int)
		return formatAmount(n)
	}
	switch name {
	case "Registered":
		return fmt.Sprintf("validator %d is registered and stands for election", id)
	case "Delegated":
		return fmt.Sprintf("%s staked behind validator %d", amount("amount"), id)
	case "Undelegated":
		return fmt.Sprintf("%s come back from validator %d: to withdraw from epoch %d on", amount("amount"), id, v["from"])
	case "Withdrawn":
		if burnt, _ := v["burnt"].(*big.Int); burnt != nil && burnt.Sign() > 0 {
			return fmt.Sprintf("%s withdrawn, %s were slashed", amount("amount"), amount("burnt"))
		}
		return amount("amount") + " withdrawn"
	case "Claimed":
		return fmt.Sprintf("%s claimed from validator %d", amount("amount"), id)
	case "Changed", "KeyChanged":
		return fmt.Sprintf("validator %d is changed, from the next election on", id)
	case "CommissionChanged":
		points, _ := v["commission"].(uint16)
		return fmt.Sprintf("validator %d keeps %s from epoch %d on", id, percent(points), v["from"])
	case "Stood":
		return fmt.Sprintf("validator %d stands for election", id)
	case "Left":
		return fmt.Sprintf("validator %d does not stand for election any more", id)
	case "Attended":
		return fmt.Sprintf("validator %d is present in epoch %d", id, v["epoch"])
	case "Unjailed":
		return fmt.Sprintf("validator %d has left jail", id)
	case "Slashed":
		return fmt.Sprintf("validator %d is slashed for block %d: %s burnt, %s to the reporter", id, v["height"], amount("burnt"), amount("reward"))
	}
	return fmt.Sprintf("%s of validator %d", strings.ToLower(name), id)
}

func (o *stakeOutcome) text(w io.Writer) {
	fmt.Fprintf(w, "transaction\t%s\nblock\t%d\n", o.Transaction, o.Block)
	for _, e := range o.Events {
		fmt.Fprintf(w, "result\t%s\n", e.text)
	}
}
