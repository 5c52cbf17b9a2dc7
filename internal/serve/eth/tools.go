package eth

import (
	"bytes"
	"cmp"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve"
)

// NodeDetails is what people and tools want to know of a node beyond NodeStatus: enough to say why a chain stands still.
type NodeDetails struct {
	// Genesis is the suite's hash of block 0's header: nodes with another one are of another chain.
	Genesis crypto.Hash
	// PublicKey is the node's own, Validator its number in the set that rules now; 0 when it is none.
	PublicKey []byte
	Validator chain.ValidatorID
	// Names are those of the validators, by key; who is missing has the name that the genesis gives.
	Names map[chain.Peer]string
	// Ordered is the height of the last delivered decision.
	Ordered uint64
	// Leader proposes the next decision; 0 when that is not known. View counts changes of the leader, LeaderChanges those that this node has seen
	// since it started.
	Leader        chain.ValidatorID
	View          uint64
	LeaderChanges int
	// PoolMax is how many transactions the pool holds at most.
	PoolMax int
	// DiskFree and DiskReserve are bytes: what is free where the ledger is, and below what the node stops taking transactions.
	DiskFree, DiskReserve uint64
	// Conflicts are signs that another node uses this one's key, Evidence that validators contradicted themselves; one sentence each.
	Conflicts []string
	Evidence  []string
	// Contradictions are proofs of that, as the contract Staking takes them, the newest last.
	Contradictions []*chain.Contradiction
	// Abstains says why this validator signs nothing for now; empty when it does.
	Abstains string
	// Unsigned are the ruling validators whose signature the next block to be certified still lacks.
	Unsigned     []chain.ValidatorID
	Started, Now time.Time
	// Certificate is nil on a chain that lets everybody in.
	Certificate *CertificateStatus
	// Stake is nil where stake does not rule, or the node's key is not registered.
	Stake *StakeStatus
	// Teaching is nil on a node that gives no lessons.
	Teaching *TeachingStatus
	// Encryption is nil where the ledger is in plain text.
	Encryption *EncryptionStatus
	// Access is nil without ports. AuditSeq and AuditHead are the newest record of the audit log; 0 without one.
	Access    *serve.AccessStatus
	AuditSeq  uint64
	AuditHead crypto.Hash
}

// EncryptionStatus is how far a ledger is sealed with one key. Its JSON form is jl_nodeStatus's "encryption".
type EncryptionStatus struct {
	// Key seals new files; Keys are all that some file may need.
	Key  uint32   `json:"key"`
	Keys []uint32 `json:"keys"`
	// Converting: files in plain text are still read. Pending: there are files to seal anew, or were until a moment ago. Running: that is being done.
	Converting bool `json:"converting"`
	Pending    bool `json:"pending"`
	Running    bool `json:"running"`
	// OldFiles and OldBytes are not sealed with Key yet; Bytes are those of all files; Done were read of old ones since the work began.
	OldFiles int   `json:"oldFiles"`
	OldBytes int64 `json:"oldBytes"`
	Bytes    int64 `json:"bytes"`
	Done     int64 `json:"doneBytes"`
	// Problem is why the last attempt failed; "" when it did not.
	Problem string `json:"problem,omitempty"`
}

// PeerStatus is what a node knows of another one, connected or not.
type PeerStatus struct {
	PublicKey []byte
	// Validator is its number in the set that rules now, Name the one in the genesis; 0 and "" when it has none.
	Validator chain.ValidatorID
	Name      string
	// Address is the host:port that it was last reached at or came from.
	Address            string
	Connected, Inbound bool
	// Channel names the algorithms of the connection, as negotiated; "" without one.
	Channel string
	// Since is when it connected or went; zero when it never was.
	Since time.Time
	// Height and Finalized are what it last said of itself, Heard when; zero when it never did.
	Height, Finalized uint64
	Heard             time.Time
	// ClockOffset is by how much its clock is ahead of ours; RoundTrip the last measured one. Both 0 when unknown.
	ClockOffset, RoundTrip time.Duration
	// Score is 0 for a peer without offences, -100 bans.
	Score       int
	BannedUntil time.Time
	// LastError is why the last attempt to connect failed or the last connection ended; "" after a success.
	LastError string
	// Sent and Received are bytes, Dropped messages that found a full queue.
	Sent, Received, Dropped uint64
}

// nodeStatusJSON is jl_nodeStatus. Its numbers are plain: tools read them. Times are Unix milliseconds; what is unknown is null.
type nodeStatusJSON struct {
	Version string      `json:"version"`
	Chain   string      `json:"chain"`
	ChainID uint64      `json:"chainId"`
	Genesis crypto.Hash `json:"genesis"`
	Suite   string      `json:"suite"`
	// Channel names the algorithms by which nodes talk to each other.
	Channel    string             `json:"channel"`
	Engine     string             `json:"engine"`
	PublicKey  hexutil.Bytes      `json:"publicKey"`
	Validator  *chain.ValidatorID `json:"validator"`
	Name       string             `json:"name"`
	Account    *common.Address    `json:"account"`
	Validators []memberJSON       `json:"validators"`
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

	Peers     int      `json:"peers"`
	Pool      poolJSON `json:"pool"`
	Disk      diskJSON `json:"disk"`
	StartedAt int64    `json:"startedAt"`
	Now       int64    `json:"now"`
	// Problem says why the node takes no transactions; null when it does.
	Problem *string `json:"problem"`
	// Conflicts are signs that another node uses this one's key, Evidence that validators contradicted themselves.
	Conflicts []string `json:"conflicts"`
	Evidence  []string `json:"evidence"`
	// Abstains says why this node, though a validator, signs nothing for now; null when it does.
	Abstains *string `json:"abstains"`
	// Unsigned are the validators whose signature the next block to be certified still lacks.
	Unsigned []chain.ValidatorID `json:"unsigned"`
	// Work is there on a chain of work.
	Work *workStatusJSON `json:"work,omitempty"`
	// Certificate is there on chains whose organisations certify nodes.
	Certificate *identityJSON `json:"certificate,omitempty"`
	// Encryption is there where the ledger is encrypted.
	Encryption *EncryptionStatus `json:"encryption,omitempty"`
	// Stake is there on a chain of stake where the node's key is registered.
	Stake *StakeStatus `json:"stake,omitempty"`
	// Teaching is there on nodes that give lessons.
	Teaching *TeachingStatus `json:"teaching,omitempty"`
	// Access is who may call, AuditHead the newest record of the audit log: its end is missing where the files know less.
	Access    *accessJSON `json:"access,omitempty"`
	AuditHead *auditJSON  `json:"auditHead,omitempty"`
}

type memberJSON struct {
	ID        chain.ValidatorID `json:"id"`
	Name      string            `json:"name"`
	PublicKey hexutil.Bytes     `json:"publicKey"`
	Address   common.Address    `json:"address"`
}

type poolJSON struct {
	Pending int `json:"pending"`
	Queued  int `json:"queued"`
	Max     int `json:"max"`
}

type diskJSON struct {
	Free    uint64 `json:"free"`
	Reserve uint64 `json:"reserve"`
}

// NodeStatus is jl_nodeStatus: what jialing status and jialing doctor ask for.
func (s *jlService) NodeStatus() (*nodeStatusJSON, error) {
	st, d := s.a.node.Status(), s.a.node.Details()
	head := s.a.ledger.Head()
	rule, err := s.a.node.Rule(head.Number.Uint64() + 1)
	if err != nil {
		return nil, err
	}
	name := func(key []byte) string { return cmp.Or(d.Names[chain.Peer(key)], s.a.nameOf(key)) }
	pending, queued := s.a.pool.Status()
	out := &nodeStatusJSON{
		Version: st.Version, Chain: s.a.genesis.Name, ChainID: s.a.genesis.ChainID, Genesis: d.Genesis,
		Suite: s.a.suite.Name(), Channel: s.a.suite.Channel().Protocol(), Engine: string(rule.Engine),
		PublicKey: d.PublicKey, Validator: known(d.Validator), Name: name(d.PublicKey), Quorum: rule.Quorum(),
		Validators: make([]memberJSON, len(rule.Set)),
		Ordered:    d.Ordered, Executed: st.Executed, Durable: st.Durable, Finalized: s.a.node.Finalized(), LastBlockAt: blockMillis(head),
		Leader: known(d.Leader), View: d.View, LeaderChanges: d.LeaderChanges,
		Peers: st.Peers, Pool: poolJSON{pending, queued, d.PoolMax}, Disk: diskJSON{d.DiskFree, d.DiskReserve},
		StartedAt: millis(d.Started), Now: millis(d.Now),
	}
	out.Conflicts, out.Evidence, out.Unsigned = notNull(d.Conflicts), notNull(d.Evidence), notNull(d.Unsigned)
	out.Certificate, out.Encryption = certificateView(d.Certificate), d.Encryption
	out.Teaching, out.Stake = d.Teaching, d.Stake
	if d.Abstains != "" {
		out.Abstains = &d.Abstains
	}
	out.Work = workView(s.a.genesis.Consensus.Work, s.a.miner)
	out.Access, out.AuditHead = accessView(d.Access), auditView(d.AuditSeq, d.AuditHead)
	for i, v := range rule.Set {
		out.Validators[i] = memberJSON{v.ID, name(v.PublicKey), v.PublicKey, v.Address}
		if v.ID == d.Leader {
			out.LeaderName = out.Validators[i].Name
		}
	}
	if st.Coinbase != (common.Address{}) {
		out.Account = &st.Coinbase
	}
	if st.Problem != "" {
		out.Problem = &st.Problem
	}
	return out, nil
}

// peerJSON is one entry of jl_peers, with plain numbers as in jl_nodeStatus.
type peerJSON struct {
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

// Peers is jl_peers: every other node that this one knows of, connected or not.
func (s *jlService) Peers() []peerJSON {
	peers := s.a.node.Peers()
	out := make([]peerJSON, len(peers))
	for i, p := range peers {
		name := p.Name
		if name == "" {
			name = s.a.nameOf(p.PublicKey)
		}
		out[i] = peerJSON{
			PublicKey: p.PublicKey, Validator: known(p.Validator), Name: name, Address: p.Address, Connected: p.Connected, Inbound: p.Inbound, Channel: p.Channel,
			Since: moment(p.Since), HeardAt: moment(p.Heard), Score: p.Score, BannedUntil: moment(p.BannedUntil), LastError: p.LastError,
			Sent: p.Sent, Received: p.Received, Dropped: p.Dropped,
		}
		if !p.Heard.IsZero() {
			offset := p.ClockOffset.Milliseconds()
			out[i].Height, out[i].Finalized, out[i].ClockOffsetMs = &p.Height, &p.Finalized, &offset
		}
		if p.RoundTrip > 0 {
			ms := float64(p.RoundTrip.Microseconds()) / 1000
			out[i].RoundTripMs = &ms
		}
	}
	return out
}

// nameOf is the name that the genesis gives a node key; "" when it names none.
func (a *API) nameOf(publicKey []byte) string {
	for _, v := range a.genesis.Validators {
		if bytes.Equal(v.PublicKey, publicKey) {
			return v.Name
		}
	}
	return ""
}

// notNull is an empty list rather than null.
func notNull[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func known(id chain.ValidatorID) *chain.ValidatorID {
	if id == 0 {
		return nil
	}
	return &id
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

// blockMillis is a header's time with its milliseconds.
func blockMillis(h *chain.Header) int64 {
	ms := int64(h.Time) * 1000
	if extra, err := chain.DecodeExtra(h.Extra); err == nil {
		ms += int64(extra.Millis)
	}
	return ms
}
