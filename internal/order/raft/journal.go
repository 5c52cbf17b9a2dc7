package raft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/rlp"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// record is one entry of the journal. What it leaves empty it does not change.
type record struct {
	// Member is the validator's number that the log is of, Birth the name of this life under it, see birth.go.
	Member chain.ValidatorID
	Birth  []byte
	// Alive tells that this life takes part.
	Alive bool
	// Known are other validators' lives.
	Known []life
	// Snapshot, Hard and Entries are the library's, in its encoding.
	Snapshot []byte
	Hard     []byte
	Entries  [][]byte
}

// life is another validator's first word.
type life struct {
	Member chain.ValidatorID
	Birth  []byte
}

// journal is the library's storage over order.Journal. The session's driving goroutine writes; the library and the applier read storage.
type journal struct {
	store   order.Journal
	storage *raft.MemoryStorage
	member  chain.ValidatorID
	birth   []byte
	alive   bool
	known   map[chain.ValidatorID]string
	hard    *raftpb.HardState
	records int
}

// maxRecords is after how many entries the journal is rewritten, if something can be forgotten.
const maxRecords = 512

func openJournal(store order.Journal) (*journal, error) {
	entries, err := store.Entries()
	if err != nil {
		return nil, fmt.Errorf("raft: read the journal: %w", err)
	}
	j := &journal{store: store, storage: raft.NewMemoryStorage(), known: make(map[chain.ValidatorID]string)}
	for i, b := range entries {
		var r record
		if err := rlp.DecodeBytes(b, &r); err != nil {
			return nil, fmt.Errorf("raft: entry %d of the journal: %w", i, err)
		}
		if err := j.take(&r); err != nil {
			return nil, fmt.Errorf("raft: entry %d of the journal: %w", i, err)
		}
		j.records++
	}
	return j, nil
}

// take makes what r says the case.
func (j *journal) take(r *record) error {
	if len(r.Birth) > 0 {
		j.member, j.birth = r.Member, r.Birth
	}
	j.alive = j.alive || r.Alive
	for _, l := range r.Known {
		j.known[l.Member] = string(l.Birth)
	}
	if len(r.Snapshot) > 0 {
		snapshot := new(raftpb.Snapshot)
		if err := proto.Unmarshal(r.Snapshot, snapshot); err != nil {
			return err
		}
		if err := j.storage.ApplySnapshot(snapshot); err != nil {
			return err
		}
	}
	if len(r.Hard) > 0 {
		hard := new(raftpb.HardState)
		if err := proto.Unmarshal(r.Hard, hard); err != nil {
			return err
		}
		j.hard = hard
	}
	if snapshot, err := j.storage.Snapshot(); err == nil && j.hard != nil {
		// A snapshot says that what is before it was committed, whether or not that was worth a write of its own.
		j.hard = &raftpb.HardState{Term: new(j.hard.GetTerm()), Vote: new(j.hard.GetVote()), Commit: new(max(j.hard.GetCommit(), snapshot.GetMetadata().GetIndex()))}
		if err := j.storage.SetHardState(j.hard); err != nil {
			return err
		}
	}
	var list []*raftpb.Entry
	for _, b := range r.Entries {
		e := new(raftpb.Entry)
		if err := proto.Unmarshal(b, e); err != nil {
			return err
		}
		list = append(list, e)
	}
	if len(list) > 0 {
		if last, _ := j.storage.LastIndex(); list[0].GetIndex() > last+1 {
			return fmt.Errorf("entry %d follows entry %d", list[0].GetIndex(), last)
		}
	}
	return j.storage.Append(list)
}

// append makes r durable and the case.
func (j *journal) append(r *record) error {
	if err := j.write(r, false); err != nil {
		return err
	}
	return j.take(r)
}

func (j *journal) write(r *record, truncate bool) error {
	b, err := rlp.EncodeToBytes(r)
	if err != nil {
		return fmt.Errorf("raft: encode a journal entry: %w", err)
	}
	if err := j.store.Append(b, truncate); err != nil {
		return fmt.Errorf("raft: write the journal: %w", err)
	}
	if truncate {
		j.records = 0
	}
	j.records++
	return nil
}

// save makes what the library asks for durable. A commit index alone is not worth a write: it is learnt again.
func (j *journal) save(rd *raft.Ready) error {
	var r record
	if rd.Snapshot != nil && !raft.IsEmptySnap(rd.Snapshot) {
		r.Snapshot = mustMarshal(rd.Snapshot)
	}
	if h := rd.HardState; h != nil && !raft.IsEmptyHardState(h) {
		if j.hard == nil || h.GetTerm() != j.hard.GetTerm() || h.GetVote() != j.hard.GetVote() || len(rd.Entries) > 0 || r.Snapshot != nil {
			r.Hard = mustMarshal(h)
		} else {
			j.hard = h
			if err := j.storage.SetHardState(h); err != nil {
				return err
			}
		}
	}
	for _, e := range rd.Entries {
		r.Entries = append(r.Entries, mustMarshal(e))
	}
	if r.Snapshot == nil && r.Hard == nil && r.Entries == nil {
		return nil
	}
	return j.append(&r)
}

// begin starts the log of a member, behind the decision of a height. Founders begin with each other; who comes later is told by the leader.
func (j *journal) begin(founders chain.ValidatorSet, height uint64) error {
	r := &record{Member: j.member, Birth: j.birth, Alive: true, Known: j.lives()}
	if founders.Find(j.member) != nil {
		state := &raftpb.ConfState{}
		for _, v := range founders {
			state.Voters = append(state.Voters, uint64(v.ID))
		}
		r.Snapshot = mustMarshal(newSnapshot(1, 1, height, state))
		r.Hard = mustMarshal(&raftpb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(1))})
	}
	j.storage, j.hard = raft.NewMemoryStorage(), nil
	if err := j.write(r, true); err != nil {
		return err
	}
	return j.take(r)
}

// keepEntries is how many entries behind the last decided one are kept for validators that are a little behind.
const keepEntries = 256

// compact forgets entries up to index, at which the decision of that height was the last and the configuration was state.
func (j *journal) compact(index, height uint64, state *raftpb.ConfState) error {
	snapshot, err := j.storage.CreateSnapshot(index, state, binary.BigEndian.AppendUint64(nil, height))
	if err != nil {
		return fmt.Errorf("raft: compact the log: %w", err)
	}
	if index > keepEntries {
		if err := j.storage.Compact(index - keepEntries); err != nil && !errors.Is(err, raft.ErrCompacted) {
			return fmt.Errorf("raft: compact the log: %w", err)
		}
	}
	r := &record{Member: j.member, Birth: j.birth, Alive: j.alive, Known: j.lives(), Snapshot: mustMarshal(snapshot), Hard: mustMarshal(j.hard)}
	last, err := j.storage.LastIndex()
	if err != nil {
		return err
	}
	if last > index {
		rest, err := j.storage.Entries(index+1, last+1, 1<<62)
		if err != nil {
			return fmt.Errorf("raft: compact the log: %w", err)
		}
		for _, e := range rest {
			r.Entries = append(r.Entries, mustMarshal(e))
		}
	}
	return j.write(r, true)
}

func (j *journal) lives() (out []life) {
	for id, birth := range j.known {
		out = append(out, life{id, []byte(birth)})
	}
	return out
}

func newSnapshot(index, term, height uint64, state *raftpb.ConfState) *raftpb.Snapshot {
	return &raftpb.Snapshot{Data: binary.BigEndian.AppendUint64(nil, height),
		Metadata: &raftpb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: raftpb.EnsureConfState(state)}}
}

// heightOf is the height of the last decision at a snapshot.
func heightOf(s *raftpb.Snapshot) (uint64, error) {
	if len(s.GetData()) == 0 {
		return 0, nil
	}
	if len(s.GetData()) != 8 {
		return 0, errors.New("raft: a snapshot without a height")
	}
	return binary.BigEndian.Uint64(s.GetData()), nil
}

func mustMarshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic("raft: encode: " + err.Error()) // all fields are encodable types
	}
	return b
}
