package main

import (
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common/math"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
)

// workFlags are what a new chain of work is asked about; chain.WorkParams says what they mean.
type workFlags struct {
	interval, halfLife time.Duration
	depth              int
	reward             string
	halving            uint64
}

func (w *workFlags) register(cmd *cobra.Command) {
	p, flags := chain.DefaultWorkParams(), cmd.Flags()
	flags.DurationVar(&w.interval, "block-interval", time.Duration(p.BlockMillis)*time.Millisecond, "with pow: the time between blocks that the difficulty aims at")
	flags.IntVar(&w.depth, "depth", p.Depth, "with pow: how many blocks, its own included, confirm a block before it is final and executed")
	flags.DurationVar(&w.halfLife, "half-life", time.Duration(p.HalfLifeMillis)*time.Millisecond, "with pow: by how much blocks must be late together for the difficulty to halve")
	flags.StringVar(&w.reward, "block-reward", etherText(p.Reward), "with pow: what is minted for each block's miner")
	flags.Uint64Var(&w.halving, "halving-blocks", p.HalvingBlocks, "with pow: after how many blocks the reward halves; 0: never")
}

// words are the flags' names.
func (w *workFlags) words() []string {
	return []string{"block-interval", "depth", "half-life", "block-reward", "halving-blocks"}
}

// params are what the flags say; whether they can be is the genesis' to judge. A chain whose command has no such flags gets the defaults.
func (w *workFlags) params() (*chain.WorkParams, error) {
	p := chain.DefaultWorkParams()
	if w.interval == 0 && w.depth == 0 {
		return p, nil
	}
	reward, err := parseAmount(w.reward, "ether")
	if err != nil {
		return nil, err
	}
	p.BlockMillis, p.HalfLifeMillis, p.Depth = int(w.interval.Milliseconds()), int(w.halfLife.Milliseconds()), w.depth
	p.Reward, p.HalvingBlocks = (*math.HexOrDecimal256)(reward), w.halving
	return p, nil
}

// forWork refuses what has no place in another chain than one of work, and the other way round.
func (f *networkFlags) forWork(said func(flag string) bool) error {
	if chain.EngineKind(f.consensus) != chain.PoW {
		if i := slices.IndexFunc(f.work.words(), said); i >= 0 {
			return usagef("--%s belongs to --consensus pow", f.work.words()[i])
		}
		return nil
	}
	for _, flag := range []string{"heartbeat-millis", "organisations"} {
		if said(flag) {
			return usagef("--%s has no meaning with --consensus pow: blocks come by work, and everybody may join", flag)
		}
	}
	return nil
}
