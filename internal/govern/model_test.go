package govern_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

const lifetime = 1_000_000

// proposal and model are the contract's rules once more, in Go and without its storage.
type proposal struct {
	kind             string
	proposer, target uint64
	expires          uint64
	content          viewed
	voters           []uint64
}

type model struct {
	height, changed      uint64
	lastID, lastProposal uint64
	members              map[uint64]viewed
	proposals            map[uint64]*proposal
}

func newModel(g *chain.Genesis) *model {
	m := &model{height: 1, members: map[uint64]viewed{}, proposals: map[uint64]*proposal{}}
	for _, v := range g.Validators {
		m.members[uint64(v.ID)] = viewed{uint64(v.ID), v.Address, v.Name, v.Endpoint, string(v.PublicKey)}
		m.lastID = uint64(v.ID)
	}
	return m
}

func (m *model) who(a common.Address) uint64 {
	for id, v := range m.members {
		if v.Account == a {
			return id
		}
	}
	return 0
}

func (m *model) votes(p *proposal) (n int) {
	for _, v := range p.voters {
		if _, present := m.members[v]; present {
			n++
		}
	}
	return n
}

// hindrance is the contract's enum.
func (m *model) hindrance(p *proposal) int {
	_, present := m.members[p.target]
	switch {
	case p.kind == "Remove" && !present:
		return 5
	case p.kind == "Remove" && len(m.members) <= govern.MinMembers:
		return 1
	}
	if p.kind != "Remove" {
		for id, v := range m.members {
			if id != p.target && v.PublicKey == p.content.PublicKey {
				return 3
			}
		}
		if id := m.who(p.content.Account); id != 0 && id != p.target {
			return 4
		}
	}
	if m.changed == m.height {
		return 6
	}
	return 0
}

func (m *model) propose(from common.Address, kind string, target uint64, content viewed) string {
	id := m.who(from)
	if id == 0 {
		return "NotAValidator"
	}
	if kind == "Change" {
		target = id
	}
	if kind != "Remove" {
		switch {
		case len(content.PublicKey) == 0 || len(content.PublicKey) > govern.MaxKey:
			return "BadPublicKey"
		case content.Account == common.Address{}:
			return "BadAccount"
		case content.Name == "" || len(content.Name) > govern.MaxName:
			return "BadName"
		case len(content.Endpoint) > govern.MaxEndpoint:
			return "BadEndpoint"
		}
	}
	p := &proposal{kind, id, target, m.height + lifetime, content, []uint64{id}}
	open := 0
	for _, other := range m.proposals {
		if other.proposer == id && other.expires >= m.height {
			open++
		}
	}
	if open >= 4 {
		return "TooManyOpen"
	}
	if h := m.hindrance(p); h != 0 && h != 6 {
		return "Hindered"
	}
	maps.DeleteFunc(m.proposals, func(_ uint64, p *proposal) bool { return p.proposer == id && p.expires < m.height })
	m.lastProposal++
	m.proposals[m.lastProposal] = p
	return ""
}

func (m *model) open(from common.Address, n uint64) (uint64, *proposal, string) {
	id, p := m.who(from), m.proposals[n]
	switch {
	case id == 0:
		return 0, nil, "NotAValidator"
	case p == nil:
		return 0, nil, "NoSuchProposal"
	case m.height > p.expires:
		return 0, nil, "Expired"
	}
	return id, p, ""
}

func (m *model) vote(from common.Address, n uint64) string {
	id, p, refusal := m.open(from, n)
	if refusal != "" {
		return refusal
	}
	if slices.Contains(p.voters, id) {
		return "AlreadyVoted"
	}
	p.voters = append(p.voters, id)
	if m.votes(p) >= chain.BFT.Quorum(len(m.members)) && m.hindrance(p) == 0 {
		m.apply(n, p)
	}
	return ""
}

func (m *model) execute(from common.Address, n uint64) string {
	_, p, refusal := m.open(from, n)
	switch {
	case refusal != "":
		return refusal
	case m.votes(p) < chain.BFT.Quorum(len(m.members)):
		return "NotEnoughVotes"
	case m.hindrance(p) != 0:
		return "Hindered"
	}
	m.apply(n, p)
	return ""
}

func (m *model) withdraw(from common.Address, n uint64) string {
	id, p := m.who(from), m.proposals[n]
	switch {
	case id == 0:
		return "NotAValidator"
	case p == nil:
		return "NoSuchProposal"
	case p.proposer != id:
		return "NotTheProposer"
	}
	delete(m.proposals, n)
	return ""
}

func (m *model) apply(n uint64, p *proposal) {
	delete(m.proposals, n)
	m.changed = m.height
	switch p.kind {
	case "Remove":
		delete(m.members, p.target)
		maps.DeleteFunc(m.proposals, func(_ uint64, other *proposal) bool { return other.proposer == p.target })
	case "Add":
		m.lastID++
		p.content.ID = m.lastID
		m.members[m.lastID] = p.content
	default:
		p.content.ID = p.target
		m.members[p.target] = p.content
	}
}

func (m *model) sorted() []viewed {
	out := slices.Collect(maps.Values(m.members))
	slices.SortFunc(out, func(a, b viewed) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (m *model) openNow() (out []uint64) {
	for n, p := range m.proposals {
		if p.expires >= m.height {
			out = append(out, n)
		}
	}
	return out
}

// TestModel: whatever validators, former validators and strangers send, in whatever order, the contract does what the model does, and Go reads
// from its storage what the contract's own views say.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := founding(rapid.IntRange(4, 8).Draw(t, "founders"))
		w, m := newWorld(t, g), newModel(g)
		// Accounts and keys: those of the founders (odd) and of others, so that actors are of every kind and collide often.
		someone := rapid.Custom(func(t *rapid.T) common.Address { return account(rapid.Uint64Range(0, 20).Draw(t, "account")) })
		content := rapid.Custom(func(t *rapid.T) viewed {
			v := viewed{Account: someone.Draw(t, "for"), Name: strings.Repeat("n", rapid.SampledFrom([]int{1, 31, 32, 33, 64, 256}).Draw(t, "name")),
				Endpoint:  rapid.SampledFrom([]string{"", "host.example:1", "[::1]:30000", strings.Repeat("h", 249) + ":30000"}).Draw(t, "endpoint"),
				PublicKey: string(key(rapid.Uint64Range(1, 20).Draw(t, "key")))}
			switch rapid.IntRange(0, 30).Draw(t, "fault") {
			case 0:
				v.PublicKey = strings.Repeat("k", rapid.SampledFrom([]int{0, 129, 5000}).Draw(t, "length"))
			case 1:
				v.Account = common.Address{}
			case 2:
				v.Name = strings.Repeat("n", rapid.SampledFrom([]int{0, 257, 5000}).Draw(t, "length"))
			case 3:
				v.Endpoint = strings.Repeat("e", rapid.SampledFrom([]int{256, 5000}).Draw(t, "length"))
			}
			return v
		})
		// Whoever acts is a validator more often than not, or hardly anything would ever pass; the first of them is the busiest.
		actor := func(t *rapid.T) common.Address {
			if present := m.sorted(); rapid.IntRange(0, 3).Draw(t, "stranger") > 0 {
				return present[rapid.IntRange(0, len(present)-1).Draw(t, "validator")].Account
			}
			return someone.Draw(t, "from")
		}
		target := func(t *rapid.T) uint64 {
			if present := m.sorted(); rapid.IntRange(0, 3).Draw(t, "unknown") > 0 {
				return present[rapid.IntRange(0, len(present)-1).Draw(t, "target")].ID
			}
			return rapid.Uint64Range(0, 20).Draw(t, "target")
		}
		which := func(t *rapid.T) uint64 { return rapid.Uint64Range(0, m.lastProposal+1).Draw(t, "proposal") }
		same := func(refusal string, from common.Address, method string, args ...any) {
			out, err := w.raw(from, method, args...)
			require.Equal(t, refusal, w.revert(out), "%s by validator %d", method, m.who(from))
			require.Equal(t, refusal != "", err != nil)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				from, c := actor(t), content.Draw(t, "content")
				same(m.propose(from, "Add", 0, c), from, "proposeAdd", []byte(c.PublicKey), c.Account, c.Name, c.Endpoint)
			},
			"change": func(t *rapid.T) {
				from, c := actor(t), content.Draw(t, "content")
				same(m.propose(from, "Change", 0, c), from, "proposeChange", []byte(c.PublicKey), c.Account, c.Name, c.Endpoint)
			},
			"remove": func(t *rapid.T) {
				from, id := actor(t), target(t)
				same(m.propose(from, "Remove", id, viewed{}), from, "proposeRemove", id)
			},
			"vote": func(t *rapid.T) {
				from, n := actor(t), which(t)
				same(m.vote(from, n), from, "vote", n)
			},
			"campaign": func(t *rapid.T) { // random votes alone pass hardly anything
				n := which(t)
				for _, v := range m.sorted() {
					if rapid.IntRange(0, 4).Draw(t, "votes") > 0 {
						same(m.vote(v.Account, n), v.Account, "vote", n)
					}
				}
			},
			"execute": func(t *rapid.T) {
				from, n := actor(t), which(t)
				same(m.execute(from, n), from, "execute", n)
			},
			"withdraw": func(t *rapid.T) {
				from, n := actor(t), which(t)
				same(m.withdraw(from, n), from, "withdraw", n)
			},
			"time": func(t *rapid.T) {
				m.height += rapid.SampledFrom([]uint64{1, 1, 1, 1, 1, 1, 1, 63, lifetime, lifetime + 1}).Draw(t, "blocks")
				w.setHeight(m.height)
			},
			"": func(t *rapid.T) {
				w.t = t
				want := m.sorted()
				require.Equal(t, want, w.agrees())
				require.ElementsMatch(t, m.openNow(), w.call(account(1), "openProposals")[0])
				require.Equal(t, []any{m.changed}, w.call(account(1), "changedAt"))
				require.GreaterOrEqual(t, len(want), govern.MinMembers)
			},
		})
	})
}
