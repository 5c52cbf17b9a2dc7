package bft

import (
	"errors"
	"testing"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

func saved(t *testing.T, m *smartbftprotos.SavedMessage) []byte {
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func TestJournalRemains(t *testing.T) {
	proposed := func(view uint64) []byte {
		return saved(t, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ProposedRecord{ProposedRecord: &smartbftprotos.ProposedRecord{
			PrePrepare: &smartbftprotos.PrePrepare{View: view, Seq: 6}}}})
	}
	commit := saved(t, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_Commit{Commit: &smartbftprotos.Message{}}})
	change := saved(t, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ViewChange{ViewChange: &smartbftprotos.ViewChange{NextView: 1}}})
	entered := newViewRecord(viewAt{view: 2, height: 5})
	p1, p2 := proposed(1), proposed(2)
	for name, c := range map[string]struct {
		records [][]byte
		want    [][]byte
		flight  bool
	}{
		"nothing":                           {nil, nil, false},
		"a proposal":                        {[][]byte{p1}, [][]byte{p1}, true},
		"a prepared one":                    {[][]byte{p1, commit}, [][]byte{p1, commit}, true},
		"prepared, then a change":           {[][]byte{p1, commit, change}, [][]byte{p1, commit}, true},
		"not prepared, then a change":       {[][]byte{p1, change}, [][]byte{change}, false},
		"a view without the old proposal":   {[][]byte{p1, commit, change, entered}, [][]byte{entered}, false},
		"a proposal of the next view":       {[][]byte{p1, commit, change, entered, p2}, [][]byte{p2}, true},
		"two changes":                       {[][]byte{entered, change}, [][]byte{change}, false},
		"a change, then another's taken on": {[][]byte{change, p1, commit}, [][]byte{p1, commit}, true},
		"a commit whose proposal is gone":   {[][]byte{commit, change}, [][]byte{change}, false},
	} {
		for _, together := range []bool{false, true} { // as the library writes, and as a rewritten journal has it
			j, err := openJournal(new(ordertest.Journal))
			require.NoError(t, err)
			require.NoError(t, j.append(record{Height: 4, Messages: [][]byte{p2, commit}}, false), "of a height that is decided")
			if together {
				require.NoError(t, j.append(record{Height: 5, Messages: c.records}, true))
			} else {
				for _, r := range c.records {
					require.NoError(t, j.append(record{Height: 5, Messages: [][]byte{r}}, false))
				}
			}
			again, err := openJournal(j.store)
			require.NoError(t, err)
			got, err := again.remains(5)
			require.NoError(t, err)
			require.Equal(t, c.want, got.messages, name)
			require.Equal(t, c.flight, got.proposal != nil, name)
		}
	}
}

// TestJournalStaysSmall: views that change for ever without a decision are no reason to forget a prepared proposal, nor to grow.
func TestJournalStaysSmall(t *testing.T) {
	store := new(ordertest.Journal)
	j, err := openJournal(store)
	require.NoError(t, err)
	prepared := [][]byte{
		saved(t, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ProposedRecord{ProposedRecord: &smartbftprotos.ProposedRecord{
			PrePrepare: &smartbftprotos.PrePrepare{View: 1, Seq: 6}}}}),
		saved(t, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_Commit{Commit: &smartbftprotos.Message{}}}),
	}
	require.NoError(t, j.append(record{Height: 5, Messages: prepared, Body: []byte("body")}, true))
	for i := range 1000 {
		change := saved(t, &smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ViewChange{ViewChange: &smartbftprotos.ViewChange{NextView: uint64(i)}}})
		require.NoError(t, j.append(record{Height: 5, Messages: [][]byte{change}}, false))
	}
	entries, err := store.Entries()
	require.NoError(t, err)
	require.LessOrEqual(t, len(entries), maxRecords)
	got, err := j.remains(5)
	require.NoError(t, err)
	require.Equal(t, prepared, got.messages)
	require.Equal(t, []byte("body"), got.body)
}

func TestJournalErrors(t *testing.T) {
	store := new(ordertest.Journal)
	require.NoError(t, store.Append([]byte("noise"), false))
	_, err := openJournal(store)
	require.ErrorContains(t, err, "entry 0 of the journal")
	store = new(ordertest.Journal)
	j, err := openJournal(store)
	require.NoError(t, err)
	full := errors.New("disk is full")
	store.Fail(full)
	require.ErrorIs(t, j.append(record{Height: 1}, false), full)
	store.Fail(nil)
	require.NoError(t, j.append(record{Height: 1, Messages: [][]byte{{0xff}}}, false))
	_, err = j.remains(1)
	require.Error(t, err)
}
