package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/pki"
)

const (
	// admissionTick is how soon an expired certificate and a changed file are noticed; looking costs microseconds.
	admissionTick = time.Second
	// announceTime bounds what peers take to look at this node's new certificate.
	announceTime = 10 * time.Second
	// heardLately is how fresh a validator's word about its height must be to count.
	heardLately = 15 * time.Second
)

// RescueFile is the file in a node's folder that lets it take expired certificates for a while: see pki.Grace.
const RescueFile = "rescue.json"

// admitter is a network that lets an Admission decide; a simulated one is none.
type admitter interface {
	SetAdmission(p2p.Admission)
	Readmit()
	Announce(ctx context.Context) error
	Connected() []chain.Peer
}

// admission decides by the certificates of the chain's organisations which nodes may be connected. It implements p2p.Admission. Run follows the chain, the
// clock and the node's own files; everything else is safe for concurrent use.
type admission struct {
	suite   crypto.Suite
	public  crypto.PublicKey
	genesis crypto.Hash
	orgs    *govern.OrganisationTracker
	network admitter
	now     func() time.Time
	// ruling tells whether a peer is a validator now or soon, settled whether this node's ledger is as new as those of enough others: before, it cannot
	// know what was registered and revoked meanwhile.
	ruling  func(chain.Peer) bool
	settled func() bool
	log     *slog.Logger
	// record puts on record that a rescue begins or ends; what is not on record is not done.
	record  func(who, action, result string) error
	refused *prometheus.CounterVec
	// file is the certificate's, grace the rescue's; both may be absent.
	file, rescue string

	changed chan struct{} // holds a token when the chain's organisations changed

	mu       sync.Mutex
	registry *pki.Registry
	// ownFile and rescueFile are as they were when they were read last.
	ownFile, rescueFile watchedFile
	// shown is the node's certificate with its authorities; replaced, never altered. fault says why there is none.
	shown [][]byte
	fault error
	grace *pki.Grace
	// admitted are the peers that were let in last; see prune.
	admitted map[chain.Peer]admitted
}

// admitted is what a peer's certificate says, and when it was looked at.
type admitted struct {
	pki.Certified
	at time.Time
}

// newAdmission is nil on a chain that lets everybody in.
func (n *Node) newAdmission(p *pipeline, registry *prometheus.Registry) error {
	network, ok := p.network.(admitter)
	if n.genesis.Admission != chain.AdmitCertificates || !ok {
		return nil
	}
	orgs, err := govern.NewOrganisationTracker(p.store)
	if err != nil {
		return err
	}
	a := &admission{suite: n.suite, public: n.key.Public(), genesis: n.genesis.ID(n.suite), orgs: orgs, network: network, now: n.now,
		ruling: func(peer chain.Peer) bool { return p.members.id(peer) != 0 }, settled: p.settled, log: n.log, record: n.Record,
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "jialing_admission_refused_total",
			Help: "Certificates of peers that were not accepted, by reason."}, []string{"reason"}),
		file: n.cfg.CertificatePath(), rescue: filepath.Join(n.cfg.Dir, RescueFile), changed: make(chan struct{}, 1), admitted: make(map[chain.Peer]admitted)}
	for _, reason := range pki.Reasons {
		a.refused.WithLabelValues(string(reason))
	}
	a.register()
	a.readFiles()
	if problem := a.problem(); problem != nil {
		a.log.Warn("other nodes will not let this node in", "reason", problem.Error())
	}
	network.SetAdmission(a)
	p.admission = a
	return errors.Join(registry.Register(a.refused), registry.Register(expiries{a}))
}

// CertificatePath is where the node's certificate is.
func (c *Config) CertificatePath() string {
	if filepath.IsAbs(c.Identity.Certificate) {
		return c.Identity.Certificate
	}
	return filepath.Join(c.Dir, c.Identity.Certificate)
}

// newcomer is a node that has no state yet: it shows its certificate and cannot judge others'. It takes nothing from them without proof.
type newcomer struct{ shown [][]byte }

func (c newcomer) Certificates() [][]byte           { return c.shown }
func (c newcomer) Admit(chain.Peer, [][]byte) error { return nil }

// readCertificate is the node's certificate with its authorities; none where there is none that can be read, which the node says when it runs.
func (n *Node) readCertificate() [][]byte {
	b, _, err := new(watchedFile).read(n.cfg.CertificatePath(), pki.MaxFile)
	if err != nil {
		return nil
	}
	shown, err := pki.DecodeChain(b)
	if err != nil {
		return nil
	}
	return shown
}

// checkOrganisations refuses a genesis whose organisations could admit nobody.
func checkOrganisations(g *chain.Genesis, suite crypto.Suite) error {
	if err := govern.CheckOrganisations(g); err != nil {
		return err
	}
	for i, o := range g.Organisations {
		for j, root := range o.Roots {
			if err := pki.CheckRoot(suite, root); err != nil {
				return fmt.Errorf("%w: organisations[%d].roots[%d]: %w", chain.ErrGenesis, i, j, err)
			}
		}
	}
	return nil
}

// Run follows the chain's organisations, the clock and the node's files until ctx ends (nil).
func (a *admission) Run(ctx context.Context) error {
	ticker := time.NewTicker(admissionTick)
	defer ticker.Stop()
	settled := a.settled()
	for {
		again := false
		select {
		case <-ctx.Done():
			return nil
		case <-a.changed:
			a.register()
			again = true
		case <-ticker.C:
			again = a.refresh(ctx)
			a.prune()
		}
		if now := a.settled(); now != settled {
			again, settled = true, now
		}
		if again || a.expired() {
			a.network.Readmit()
		}
	}
}

// Certificates implements p2p.Admission.
func (a *admission) Certificates() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown
}

// Admit implements p2p.Admission.
func (a *admission) Admit(peer chain.Peer, certificates [][]byte) error {
	registry, grace := a.rules()
	c, err := registry.Verify(certificates, []byte(peer), a.now(), grace)
	if err != nil {
		// A node that is behind must be able to catch up from those of whom the chain last said that they rule: it believes none of their blocks
		// without a quorum's signatures, and asks again when it is no longer behind.
		if !pki.ReasonOf(err).OfRegistry() || !a.ruling(peer) || a.settled() {
			a.refused.WithLabelValues(string(pki.ReasonOf(err))).Inc()
			a.mu.Lock()
			delete(a.admitted, peer)
			a.mu.Unlock()
			return err
		}
		c = &pki.Certified{Role: pki.Validator}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.admitted[peer] = admitted{*c, time.Now()}
	return nil
}

// usable says why the node is of no use to clients, as /readyz does: it takes no transactions, or would take them and the others do not let it in.
func (n *Node) usable(p *pipeline) func() error {
	return func() error {
		if err := n.Problem(); err != nil || p.admission == nil {
			return err
		}
		return p.admission.problem()
	}
}

// heard tells whether a peer's certificate lets it speak as a validator.
func (a *admission) heard(peer chain.Peer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.admitted[peer].Role == pki.Validator
}

// prune forgets peers that are not connected; those that were let in a moment ago are about to be.
func (a *admission) prune() {
	connected := a.network.Connected()
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.admitted, func(p chain.Peer, e admitted) bool {
		_, there := slices.BinarySearch(connected, p)
		return !there && time.Since(e.at) > time.Minute
	})
}

// durable looks at what a durable block wrote.
func (a *admission) durable(height uint64, writes chain.WriteSet) error {
	changed, err := a.orgs.Durable(height, writes)
	if changed {
		select {
		case a.changed <- struct{}{}:
		default:
		}
	}
	return err
}

// register takes over the organisations that the chain has.
func (a *admission) register() {
	now := a.orgs.Now()
	all := make([]pki.Organisation, len(now))
	for i, o := range now {
		all[i] = pki.Organisation{Name: o.Name, Roots: o.Roots, Intermediates: o.Intermediates, Revoked: o.Revoked}
	}
	registry := pki.NewRegistry(a.suite, all)
	for _, err := range registry.Problems() {
		a.log.Warn("a registered certificate is of no use", "err", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.registry = registry
}

// rules are what certificates are held against now.
func (a *admission) rules() (*pki.Registry, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.registry, a.grace.At(a.now())
}

// expired tells whether any admitted peer's certificate has expired since.
func (a *admission) expired() bool {
	_, grace := a.rules()
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.admitted {
		if !c.Until.IsZero() && now.After(c.Until.Add(grace)) {
			return true
		}
	}
	return false
}

// refresh looks at the node's files. It shows a new certificate to the connected peers, and tells whether the rescue changed.
func (a *admission) refresh(ctx context.Context) (rescue bool) {
	certificate, rescue := a.readFiles()
	if !certificate {
		return rescue
	}
	if problem := a.problem(); problem != nil {
		a.log.Error("the node's new certificate is not one that others accept; connected peers keep the former one", "reason", problem.Error())
		return rescue
	}
	a.log.Info("showing the node's new certificate to the connected peers")
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	if err := a.network.Announce(ctx); err != nil {
		a.log.Warn("not every peer has taken the node's new certificate; they see it with the next connection", "err", err)
	}
	return rescue
}

// readFiles reads the certificate and the rescue where they have changed, and tells which did.
func (a *admission) readFiles() (certificate, rescue bool) {
	a.mu.Lock()
	own, leave := a.ownFile, a.rescueFile
	a.mu.Unlock()
	if b, changed, err := own.read(a.file, pki.MaxFile); changed {
		certificate = true
		var shown [][]byte
		if err == nil {
			shown, err = pki.DecodeChain(b)
		}
		if err != nil {
			err = fmt.Errorf("the node's certificate cannot be read: %w", err)
		}
		a.mu.Lock()
		a.ownFile, a.shown, a.fault = own, shown, err
		a.mu.Unlock()
	}
	if b, changed, err := leave.read(a.rescue, pki.MaxGraceFile); changed {
		rescue = a.takeRescue(leave, b, err)
	}
	return certificate, rescue
}

// takeRescue takes over what the rescue file says now, and tells whether anything has changed. What cannot be recorded is tried again at the next look.
func (a *admission) takeRescue(file watchedFile, b []byte, err error) bool {
	var grace *pki.Grace
	if err == nil {
		grace, err = pki.OpenGrace(b, a.genesis, a.public)
	}
	a.mu.Lock()
	before := a.grace
	a.mu.Unlock()
	action, detail := "", ""
	switch {
	case err == nil:
		action, detail = "rescue begins", fmt.Sprintf("certificates expired at most %d days ago are taken until %s: %s", grace.Days, grace.Until.Format(time.RFC3339), grace.Reason)
	case !errors.Is(err, os.ErrNotExist):
		action, detail = "rescue refused", err.Error()
	case before != nil:
		action, detail = "rescue ends", "its file is gone"
	}
	if action != "" {
		if err := a.record("command line", action, detail); err != nil && grace != nil {
			a.log.Error("no rescue: it cannot be put on record", "err", err)
			return false
		}
		a.log.Warn(action, "detail", detail)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rescueFile, a.grace = file, grace
	return grace != before
}

// problem says why the others would not let this node in; nil when they do.
func (a *admission) problem() error {
	a.mu.Lock()
	shown, fault, grace := a.shown, a.fault, a.grace.At(a.now())
	registry := a.registry
	a.mu.Unlock()
	if fault != nil && !errors.Is(fault, os.ErrNotExist) {
		return fault
	}
	c, err := registry.Verify(shown, a.public.Bytes(), a.now(), grace)
	if err != nil {
		return err
	}
	if c.Role != pki.Validator && a.ruling(chain.Peer(a.public.Bytes())) {
		return fmt.Errorf("the chain lists this node as validator and its certificate says %q: it is not heard; have one with role validator issued (jialing ca issue --role validator)",
			c.Role)
	}
	return nil
}

// settled tells whether enough validators have said lately how far they are that an honest one is among them, and none of these is far ahead of this ledger.
func (p *pipeline) settled() bool {
	height := p.store.Head().Number.Uint64()
	rule := p.sets.Of(height + 1)
	if rule == nil {
		return false
	}
	needed, heard := rule.Engine.Away(len(rule.Set))+1, 0
	for _, s := range p.catchup.States() {
		if self := p.members.id(s.Peer); self == 0 || time.Since(s.Heard) > heardLately {
			continue
		}
		if s.Finalized <= height+chain.ActivationDelay {
			heard++
		}
	}
	return heard >= needed
}

// watchedFile remembers a file's state when it was read last.
type watchedFile struct {
	known    bool
	modified time.Time
	size     int64
}

// read reads the file if it is another than last time; a file that went is a change with fs.ErrNotExist.
func (w *watchedFile) read(path string, limit int64) (b []byte, changed bool, err error) {
	info, err := os.Stat(path)
	now := watchedFile{known: true}
	if err == nil {
		now.modified, now.size = info.ModTime(), info.Size()
	}
	if *w == now {
		return nil, false, nil
	}
	*w = now
	if err == nil && info.Size() > limit {
		err = fmt.Errorf("%s has %d bytes, at most %d", path, info.Size(), limit)
	}
	if err == nil {
		b, err = os.ReadFile(path)
	}
	return b, true, err
}
