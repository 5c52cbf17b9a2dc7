package raft

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// drive owns the library: it is the only goroutine that calls it, and the only one that writes the journal.
func (s *session) drive() error {
	ticker := time.NewTicker(s.e.cfg.tick())
	defer ticker.Stop()
	for {
		if err := s.guard(s.ready); err != nil {
			return err
		}
		if s.reconfigured {
			if err := s.guard(s.forget); err != nil {
				return err
			}
		}
		if v := s.look(); !v.member {
			s.finish(nil)
			return nil
		}
		var act func() error
		select {
		case <-s.ctx.Done():
			return nil
		case <-ticker.C:
			act = s.tick
		case m := <-s.steps:
			act = func() error { s.step(m); return nil }
		case l := <-s.births:
			act = func() error { return s.e.answerBirth(s.host, s.journal, chain.ValidatorID(l.from), l.msg) }
		case o := <-s.proposals:
			act = func() error { s.offered(o); return nil }
		}
		if err := s.guard(act); err != nil {
			return err
		}
	}
}

func (s *session) step(m *raftpb.Message) {
	if err := s.node.Step(m); err != nil { // of a peer that the configuration does not have: it will learn
		s.e.log.Debug("raft: message", "peer", m.GetFrom(), "err", err)
	}
}

func (s *session) offered(o *offer) {
	status := s.node.BasicStatus()
	ok := status.RaftState == raft.StateLeader && status.HardState.GetTerm() == o.term
	if ok {
		ok = s.node.Propose(o.data) == nil
	}
	o.taken <- ok
}

// tick is the library's clock, and the time for what nothing else reminds of.
func (s *session) tick() error {
	s.node.Tick()
	if err := s.reconfigure(); err != nil {
		return err
	}
	return s.forget()
}

// ready does what the library asks for, in its order: journal, peers, committed entries.
func (s *session) ready() error {
	for s.node.HasReady() {
		rd := s.node.Ready()
		if err := s.journal.save(&rd); err != nil {
			return err
		}
		if rd.Snapshot != nil && !raft.IsEmptySnap(rd.Snapshot) {
			height, err := heightOf(rd.Snapshot)
			if err != nil {
				return err
			}
			index := rd.Snapshot.GetMetadata().GetIndex()
			s.configuration, s.reconfigured = rd.Snapshot.GetMetadata().GetConfState(), false
			s.update(func(v *view) { v.behind, v.committed = max(v.behind, height), max(v.committed, index) })
		}
		for _, m := range rd.Messages {
			frame, err := libraryFrame(m)
			if err != nil {
				return fmt.Errorf("encode a message: %w", err)
			}
			s.host.Send(order.PeerID(m.GetTo()), frame)
		}
		if err := s.committed(rd.CommittedEntries); err != nil {
			return err
		}
		s.node.Advance(rd)
		s.noteState()
	}
	return nil
}

// committed takes the changes of the configuration into force and lets the applier have the rest.
func (s *session) committed(entries []*raftpb.Entry) error {
	for _, e := range entries {
		switch e.GetType() {
		case raftpb.EntryConfChangeV2:
			change := new(raftpb.ConfChangeV2)
			if err := proto.Unmarshal(e.GetData(), change); err != nil {
				return err
			}
			s.configuration, s.reconfigured = s.node.ApplyConfChange(change), true
		case raftpb.EntryConfChange:
			change := new(raftpb.ConfChange)
			if err := proto.Unmarshal(e.GetData(), change); err != nil {
				return err
			}
			s.configuration, s.reconfigured = s.node.ApplyConfChange(change), true
		}
	}
	if n := len(entries); n > 0 {
		last := entries[n-1].GetIndex()
		s.update(func(v *view) { v.committed = max(v.committed, last) })
	}
	return nil
}

// noteState tells the others who leads and whether this node belongs here.
func (s *session) noteState() {
	status := s.node.Status()
	term := status.HardState.GetTerm()
	leads := status.RaftState == raft.StateLeader
	_, configured := status.Config.Voters.IDs()[uint64(s.me)]
	if v := s.look(); leads != (v.term == term && v.term != 0) {
		opened := uint64(0)
		if leads {
			opened, _ = s.journal.storage.LastIndex() // a leader begins with an entry of its own, saved just now
		} else {
			term = 0
		}
		s.update(func(v *view) { v.term, v.opened = term, opened })
	}
	s.e.leads(status.HardState.GetTerm(), chain.ValidatorID(status.Lead))
	if v := s.look(); v.set.Find(s.me) == nil && !configured {
		s.update(func(v *view) { v.member = false })
	}
}

// reconfigure asks, as the leader, for the configuration that the chain has decided on.
func (s *session) reconfigure() error {
	v := s.look()
	status := s.node.Status()
	if v.term == 0 || len(status.Config.Voters[1]) > 0 || v.applied < v.opened {
		return nil
	}
	have := status.Config.Voters.IDs()
	if v.set.Find(s.me) == nil {
		// Whoever leaves hands over to one who stays, and that one changes the configuration: nobody waits for an election.
		heir, match := uint64(0), uint64(0)
		for _, member := range v.set {
			if p, ok := status.Progress[uint64(member.ID)]; ok && p.RecentActive && p.Match > match {
				heir, match = uint64(member.ID), p.Match
			}
		}
		if heir != 0 {
			s.node.TransferLeader(heir)
			return nil
		}
	}
	change := &raftpb.ConfChangeV2{}
	for _, member := range v.set {
		if _, ok := have[uint64(member.ID)]; !ok {
			change.Changes = append(change.Changes, &raftpb.ConfChangeSingle{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: new(uint64(member.ID))})
		}
		delete(have, uint64(member.ID))
	}
	var gone []uint64
	for id := range have {
		gone = append(gone, id)
	}
	slices.Sort(gone)
	for _, id := range gone {
		change.Changes = append(change.Changes, &raftpb.ConfChangeSingle{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(id)})
	}
	if len(change.Changes) == 0 {
		return nil
	}
	if err := s.node.ProposeConfChange(change); err != nil {
		s.e.log.Debug("raft: change of the configuration", "err", err) // one is under way; the next tick tries again
	}
	return nil
}

// forget compacts the log when it has grown, and after every change of the configuration: a new member takes no snapshot that does not name it. It waits
// until nothing is between what is committed and what is decided here, so that configuration and decision belong together.
func (s *session) forget() error {
	v, status := s.look(), s.node.BasicStatus()
	snapshot, err := s.journal.storage.Snapshot()
	if err != nil {
		return err
	}
	grown := s.reconfigured || v.applied >= snapshot.GetMetadata().GetIndex()+2*keepEntries || s.journal.records >= maxRecords
	if !grown || v.applied != v.committed || v.applied != status.HardState.GetCommit() || v.behind > 0 ||
		v.applied <= snapshot.GetMetadata().GetIndex() {
		return nil
	}
	height := uint64(0)
	if v.last != nil {
		height = v.last.Height
	}
	s.reconfigured = false
	return s.journal.compact(v.applied, height, s.configuration)
}
