package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// nodeStatus is jl_nodeStatus; docs/rpc.md explains its fields.
type nodeStatus struct {
	Version    string             `json:"version"`
	Chain      string             `json:"chain"`
	ChainID    uint64             `json:"chainId"`
	Genesis    crypto.Hash        `json:"genesis"`
	Suite      string             `json:"suite"`
	Channel    string             `json:"channel"`
	Engine     chain.EngineKind   `json:"engine"`
	PublicKey  hexutil.Bytes      `json:"publicKey"`
	Validator  *chain.ValidatorID `json:"validator"`
	Name       string             `json:"name"`
	Account    *common.Address    `json:"account"`
	Validators []member           `json:"validators"`
	Quorum     int                `json:"quorum"`

	Ordered     uint64 `json:"ordered"`
	Executed    uint64 `json:"executed"`
	Durable     uint64 `json:"durable"`
	Finalized   uint64 `json:"finalized"`
	LastBlockAt int64  `json:"lastBlockAt"`

	Leader        *chain.ValidatorID `json:"leader"`
	LeaderName    string             `json:"leaderName"`
	View          uint64             `json:"view"`
	LeaderChanges int                `json:"leaderChanges"`

	Peers int `json:"peers"`
	Pool  struct {
		Pending int `json:"pending"`
		Queued  int `json:"queued"`
		Max     int `json:"max"`
	} `json:"pool"`
	Disk struct {
		Free    uint64 `json:"free"`
		Reserve uint64 `json:"reserve"`
	} `json:"disk"`
	StartedAt int64   `json:"startedAt"`
	Now       int64   `json:"now"`
	Problem   *string `json:"problem"`
	// Conflicts are signs that another node uses this one's key.
	Conflicts []string `json:"conflicts"`
	// Evidence is of validators that contradicted themselves.
	Evidence []string `json:"evidence"`
	// Stake is nil where stake does not rule, or the node's key is not registered.
	Stake *stakeStatus `json:"stake,omitempty"`
	// Abstains says why a validator signs nothing for now; nil when it does.
	Abstains *string `json:"abstains"`
	// Unsigned are the validators whose signature the next block to be certified still lacks.
	Unsigned []chain.ValidatorID `json:"unsigned"`
	// Work is nil where blocks are not found by work.
	Work *workStatus `json:"work,omitempty"`
	// Certificate is nil on a chain that lets everybody in.
	Certificate *certificateStatus `json:"certificate,omitempty"`
	// Access and AuditHead are nil where an older node answers.
	Access    *accessStatus `json:"access,omitempty"`
	AuditHead *headStatus   `json:"auditHead,omitempty"`
}

// member is a validator of the ruling set.
type member struct {
	ID        chain.ValidatorID `json:"id"`
	Name      string            `json:"name"`
	PublicKey hexutil.Bytes     `json:"publicKey"`
	Address   common.Address    `json:"address"`
}

func (s *nodeStatus) key() chain.Peer { return chain.Peer(s.PublicKey) }

// memberNames are what people call validators, by number.
func (s *nodeStatus) memberNames(ids []chain.ValidatorID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = memberName("", id)
		if at := slices.IndexFunc(s.Validators, func(v member) bool { return v.ID == id }); at >= 0 {
			names[i] = memberName(s.Validators[at].Name, id)
		}
	}
	return strings.Join(names, ", ")
}

// rules tells whether a node is of the set that rules now. A peer may have a number and not rule yet.
func (s *nodeStatus) rules(key chain.Peer) bool {
	return slices.ContainsFunc(s.Validators, func(v member) bool { return chain.Peer(v.PublicKey) == key })
}

// leader is the leader as people call it; "" when it is not known.
func (s *nodeStatus) leader() string {
	if s.Leader == nil {
		return ""
	}
	return memberName(s.LeaderName, *s.Leader)
}

// peerStatus is one entry of jl_peers.
type peerStatus struct {
	PublicKey     hexutil.Bytes      `json:"publicKey"`
	Validator     *chain.ValidatorID `json:"validator"`
	Name          string             `json:"name"`
	Address       string             `json:"address"`
	Connected     bool               `json:"connected"`
	Inbound       bool               `json:"inbound"`
	Channel       string             `json:"channel"`
	Since         *int64             `json:"since"`
	Height        *uint64            `json:"height"`
	Finalized     *uint64            `json:"finalized"`
	HeardAt       *int64             `json:"heardAt"`
	ClockOffsetMs *int64             `json:"clockOffsetMs"`
	RoundTripMs   *float64           `json:"roundTripMs"`
	Score         int                `json:"score"`
	BannedUntil   *int64             `json:"bannedUntil"`
	LastError     string             `json:"lastError"`
	Sent          uint64             `json:"sent"`
	Received      uint64             `json:"received"`
	Dropped       uint64             `json:"dropped"`
}

// rank puts validators first, by number.
func (p *peerStatus) rank() chain.ValidatorID {
	if p.Validator == nil {
		return math.MaxUint64
	}
	return *p.Validator
}

// label is what people call the peer: its name, its validator number, or the beginning of its key.
func (p *peerStatus) label() string {
	if p.Name == "" && p.Validator == nil {
		return chain.Peer(p.PublicKey).Short()
	}
	var id chain.ValidatorID
	if p.Validator != nil {
		id = *p.Validator
	}
	return memberName(p.Name, id)
}

// answer is what a node said when it was asked, or why it did not.
type answer struct {
	url    string
	status *nodeStatus
	peers  []peerStatus
	err    error
	// asked is the middle of asking and being answered, our clock: the node's own Now was said then.
	asked time.Time
	took  time.Duration
}

// probeTimeout bounds what one node is waited for: it answers from memory, so who takes longer is not well.
const probeTimeout = 3 * time.Second

// probe asks a node how it is.
func probe(ctx context.Context, url string) *answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a := &answer{url: url}
	conn, err := connect(ctx, url)
	if err != nil {
		a.err = err
		return a
	}
	defer conn.Close()
	begin := time.Now()
	status := new(nodeStatus)
	batch := []rpc.BatchElem{{Method: "jl_nodeStatus", Result: status}, {Method: "jl_peers", Result: &a.peers}}
	err = conn.RPC().BatchCallContext(ctx, batch)
	a.took = time.Since(begin)
	a.asked = begin.Add(a.took / 2)
	if a.err = errors.Join(err, batch[0].Error, batch[1].Error); a.err == nil {
		a.status = status
	}
	slices.SortStableFunc(a.peers, func(a, b peerStatus) int { return cmp.Compare(a.rank(), b.rank()) })
	return a
}

// probeAll asks all at once; the answers are in the order of the URLs.
func probeAll(ctx context.Context, urls []string) []*answer {
	out := make([]*answer, len(urls))
	var wg sync.WaitGroup
	for i, url := range urls {
		wg.Go(func() { out[i] = probe(ctx, url) })
	}
	wg.Wait()
	return out
}
