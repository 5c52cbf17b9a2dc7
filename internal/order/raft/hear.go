package raft

import (
	"go.etcd.io/raft/v3/raftpb"

	"github.com/jialing-chain/jialing/internal/chain"
)

// maxLag is how many committed entries may wait to be decided here before this node takes no more: the leader then holds back, and what is missing comes by
// catching up.
const maxLag = 1024

// hear sorts the peers' messages. What is malformed is dropped.
func (s *session) hear() error {
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case l := <-s.e.inbox:
			from := chain.ValidatorID(l.from)
			if from == s.me || from == 0 || len(l.msg) == 0 {
				continue
			}
			s.e.heard(from)
			switch l.msg[0] {
			case frameLibrary:
				if m, err := parseLibrary(l.msg[1:]); err == nil && m.GetFrom() == uint64(from) && m.GetTo() == uint64(s.me) {
					s.sort(m)
				}
			case frameBirth:
				if len(s.births) < cap(s.births) {
					s.births <- letter{l.from, l.msg[1:]}
				}
			}
		}
	}
}

// sort lets entries wait for their transactions, with what the leader appends behind them, as the library would refuse that and have them sent again; it
// gives everything else to the library at once. What finds no room is lost, as on a bad wire.
func (s *session) sort(m *raftpb.Message) {
	to := s.steps
	if m.GetType() == raftpb.MsgApp {
		if v := s.look(); len(m.GetEntries()) > 0 && v.committed-v.applied > maxLag {
			return
		}
		to = s.held
	}
	select {
	case to <- m:
	default:
	}
}

// hold gives messages with entries to the library once the transactions of their proposals are here and kept: whoever acknowledges an entry can serve them.
func (s *session) hold() error {
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case m := <-s.held:
			if !s.keep(m) {
				continue // the leader sends it again
			}
			select {
			case s.steps <- m:
			case <-s.ctx.Done():
				return nil
			}
		}
	}
}

func (s *session) keep(m *raftpb.Message) bool {
	for _, e := range m.GetEntries() {
		if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		p, _, err := decodeOrdered(e.GetData())
		if err != nil {
			s.e.log.Debug("raft: an entry", "peer", m.GetFrom(), "err", err)
			return false
		}
		if p.Height <= s.height() {
			continue
		}
		if err := s.host.Hold(s.ctx, p); err != nil {
			if s.ctx.Err() == nil {
				s.e.log.Info("transactions of a proposal are missing", "height", p.Height, "leader", m.GetFrom(), "err", err)
			}
			return false
		}
	}
	return true
}
