package bft

import (
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/rlp"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/order"
)

// record is one entry of the journal: one or more of the library's saved messages.
type record struct {
	// Height is the last decision's when it was written: what it says is about the height after, and void once that is decided.
	Height uint64
	// Messages are saved messages in the library's encoding.
	Messages [][]byte
	// Body is that of the proposal in Messages, if there is one.
	Body []byte
	// Promised is the newest view for which this node has told its state: it commits to nothing in earlier ones any more, at any height.
	Promised uint64
	// NewView is the message that began View, the newest that this node has entered at this height; none before the first change.
	View    uint64 `rlp:"optional"`
	NewView []byte `rlp:"optional"`
	// Signed is the highest height for which this node has signed a commit, and Words all those commits: every entry has them, so that truncation forgets
	// none. Whatever else is true, this node signs nothing that one of them contradicts.
	Signed uint64 `rlp:"optional"`
	Words  []word `rlp:"optional"`
}

// maxRecords is after how many entries the journal is rewritten: only views that change without a decision make it grow.
const maxRecords = 32

// journal is the library's log over order.Journal. Safe for concurrent use.
type journal struct {
	store order.Journal
	// turn is held by whoever reads or writes what follows and the store.
	turn     chan struct{}
	records  []record
	promised uint64
	// began is the message that began the view entered last, at the height that follows beganAt.
	began   viewProof
	beganAt uint64
	words   words
}

// openJournal reads what there is.
func openJournal(store order.Journal) (*journal, error) {
	entries, err := store.Entries()
	if err != nil {
		return nil, fmt.Errorf("bft: read the journal: %w", err)
	}
	j := &journal{store: store, turn: make(chan struct{}, 1)}
	for i, b := range entries {
		var r record
		if err := rlp.DecodeBytes(b, &r); err != nil {
			return nil, fmt.Errorf("bft: entry %d of the journal: %w", i, err)
		}
		j.records = append(j.records, r)
		j.promised = max(j.promised, r.Promised)
		if len(r.NewView) > 0 {
			j.began, j.beganAt = viewProof{r.View, r.NewView}, r.Height
		}
		if r.Signed > 0 {
			j.words = words{height: r.Signed, said: r.Words}
		}
	}
	return j, nil
}

// promise is the newest view for which this node has told its state.
func (j *journal) promise() uint64 {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	return j.promised
}

// entered is the message that began the view that was entered last at the height after that of the last decision.
func (j *journal) entered(height uint64) viewProof {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if j.beganAt != height {
		return viewProof{}
	}
	return j.began
}

// maySign notes that this node is about to sign a commit; false when one that it signed before forbids it. The next entry makes that durable, and nothing that
// was signed leaves before.
func (j *journal) maySign(h head) bool {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	return j.words.add(h)
}

// knows tells whether this node remembers to have signed h, or a commit that came later.
func (j *journal) knows(h head) bool {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	return j.words.cover(h)
}

// append makes r durable. With truncate all before it is forgotten.
func (j *journal) append(r record, truncate bool) error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if !truncate && len(j.records) >= maxRecords {
		k, err := j.sift(r.Height)
		if err != nil {
			return err
		}
		r.Messages, truncate = append(k.messages, r.Messages...), true
		if r.Body == nil {
			r.Body = k.body
		}
	}
	r.Promised = max(r.Promised, j.promised) // so that truncation forgets no promise
	if len(r.NewView) == 0 && truncate && j.beganAt == r.Height {
		r.View, r.NewView = j.began.view, j.began.raw // nor this
	}
	r.Signed, r.Words = j.words.height, slices.Clone(j.words.said)
	b, err := rlp.EncodeToBytes(&r)
	if err != nil {
		return fmt.Errorf("bft: encode a journal entry: %w", err)
	}
	if err := j.store.Append(b, truncate); err != nil {
		return fmt.Errorf("bft: write the journal: %w", err)
	}
	if truncate {
		j.records = j.records[:0]
	}
	j.records = append(j.records, r)
	j.promised = r.Promised
	if len(r.NewView) > 0 {
		j.began, j.beganAt = viewProof{r.View, r.NewView}, r.Height
	}
	return nil
}

// remains is what of the journal binds this node at the height after the last decision's.
type remains struct {
	// messages is what the library restores from.
	messages [][]byte
	// proposal is the one in flight, with its body; nil when none is.
	proposal *smartbftprotos.PrePrepare
	body     []byte
}

// remains is what of the entries binds this node.
func (j *journal) remains(height uint64) (*remains, error) {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	return j.sift(height)
}

// sift reads the entries. The library restores from the last one only and so would forget a proposal that it had prepared when a change of
// the view came after. It is not told of the change then: it stays in the proposal's view, where it has voted and can vote for nothing else, until
// it hears of the next one. A proposal that was not prepared is forgotten instead, lest it be committed in a view that was left.
func (j *journal) sift(height uint64) (*remains, error) {
	var proposed, commit, change []byte
	out := new(remains)
	for _, r := range j.records {
		if r.Height != height {
			continue
		}
		for _, b := range r.Messages {
			m := new(smartbftprotos.SavedMessage)
			if err := proto.Unmarshal(b, m); err != nil {
				return nil, fmt.Errorf("bft: an entry of the journal: %w", err)
			}
			switch m.GetContent().(type) {
			case *smartbftprotos.SavedMessage_ProposedRecord:
				proposed, commit, change = b, nil, nil
				out.proposal, out.body = m.GetProposedRecord().GetPrePrepare(), r.Body
			case *smartbftprotos.SavedMessage_Commit:
				commit = b
			case *smartbftprotos.SavedMessage_ViewChange:
				change = b
			case *smartbftprotos.SavedMessage_NewView: // the new view began without the old proposal: it cannot have been decided
				proposed, commit, change = nil, nil, b
				out.proposal, out.body = nil, nil
			default:
				return nil, fmt.Errorf("bft: an entry of the journal has no known kind")
			}
		}
	}
	switch {
	case commit != nil && proposed != nil:
		out.messages = [][]byte{proposed, commit}
	case change != nil:
		out.messages, out.proposal, out.body = [][]byte{change}, nil, nil
	case proposed != nil:
		out.messages = [][]byte{proposed}
	}
	return out, nil
}
