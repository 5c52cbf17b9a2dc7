package pow

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// journal remembers the blocks that are held and not delivered: each is an entry, the decision with its proof. Their transactions are with the host. What a
// crash takes of it is no harm to the chain: a block that is not delivered is nobody's promise, and peers have it too.
type journal struct {
	journal order.Journal
	// entries counts those of now; restored are the blocks of the former life, parents first.
	entries  int
	restored []*chain.Decision
}

// slack is how many entries beyond twice those that are of use the journal may hold before it is written anew.
const slack = 64

func openJournal(j order.Journal) (*journal, error) {
	entries, err := j.Entries()
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	out := &journal{journal: j, entries: len(entries)}
	for i, b := range entries {
		d, err := chain.DecodeDecision(b)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the journal: %w", i, err)
		}
		out.restored = append(out.restored, d)
	}
	// A block's transactions may have come before its parent's, and then it stands before it here: a header without its parent could not be taken up.
	slices.SortStableFunc(out.restored, func(a, b *chain.Decision) int { return cmp.Compare(a.Height, b.Height) })
	return out, nil
}

// add makes d durable. Live lists the blocks that are of use, parents first, for a journal that has grown.
func (j *journal) add(d *chain.Decision, live func() []*chain.Decision) error {
	if j.entries >= slack {
		if all := live(); j.entries >= 2*len(all)+slack {
			return j.rewrite(d, all)
		}
	}
	return j.append(d, false)
}

// rewrite begins the journal anew. A crash within it loses blocks that peers have.
func (j *journal) rewrite(d *chain.Decision, all []*chain.Decision) error {
	j.entries = 0
	for i, have := range append(all, d) {
		if err := j.append(have, i == 0); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) append(d *chain.Decision, truncate bool) error {
	if err := j.journal.Append(d.Encode(), truncate); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.entries++
	return nil
}
