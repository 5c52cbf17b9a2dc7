package node

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve"
	"github.com/jialing-chain/jialing/internal/serve/audit"
	"github.com/jialing-chain/jialing/internal/store"
)

// AuditFolder is where the node of a folder keeps its audit log.
func (c *Config) AuditFolder() string { return within(c.Dir, c.Access.Audit) }

// TokensFile is where the node of a folder keeps the hashes of its tokens.
func (c *Config) TokensFile() string { return within(c.Dir, c.Access.Tokens) }

// within makes a path of node.toml whole: relative ones are within the node's folder. "" stays.
func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// serveConfig is the ports' configuration with whole paths.
func (c *Config) serveConfig() (serve.Config, serve.AccessConfig) {
	s, a := c.Serve, c.Access
	for _, path := range []*string{&s.TLS.CertFile, &s.TLS.KeyFile, &s.TLS.ClientCAFile} {
		*path = within(c.Dir, *path)
	}
	a.Tokens, a.Audit = c.TokensFile(), c.AuditFolder()
	return s, a
}

// openAudit opens the audit log and records the start. A simulated node has no folder and keeps none.
func (n *Node) openAudit() error {
	if n.opts.FS != nil || n.opts.Headless {
		return nil
	}
	l, err := audit.Open(n.cfg.AuditFolder(), n.suite, n.now, n.log)
	if errors.Is(err, audit.ErrInUse) {
		return fmt.Errorf("%w: %w", store.ErrLocked, err) // who has the log has the ledger, too
	}
	if err != nil {
		return err
	}
	n.audit = l
	// A disk that is full makes no node useless: it answers reads, and administrative calls are refused until there is room.
	if _, err := l.Append(audit.Entry{Who: "node", Action: "start", Params: []byte(n.version), Result: audit.OK}); err != nil {
		n.log.Error("the start is not in the audit log", "err", err)
	}
	n.warnOfOpenPorts()
	return nil
}

// closeAudit records why the node stops. What cannot be recorded any more (the disk may be full) stops nothing.
func (n *Node) closeAudit(why error) {
	if n.audit == nil {
		return
	}
	result := audit.OK
	if why != nil {
		result = why.Error()
	}
	_, err := n.audit.Append(audit.Entry{Who: "node", Action: "stop", Result: result})
	if err := errors.Join(err, n.audit.Close()); err != nil {
		n.log.Error("the stop is not in the audit log", "err", err)
	}
}

// Record puts something that was administered on record: it is on disk when Record returns. A node without a folder keeps no log.
func (n *Node) Record(who, action, result string) error {
	if n.audit == nil {
		return nil
	}
	_, err := n.audit.Append(audit.Entry{Who: who, Action: action, Result: result})
	return err
}

// auditor is nil for a node that keeps no log.
func (n *Node) auditor() serve.Auditor {
	if n.audit == nil {
		return nil
	}
	return n.audit
}

// auditHead is the newest record; zero where there is none.
func (n *Node) auditHead() (uint64, crypto.Hash) {
	if n.audit == nil {
		return 0, crypto.Hash{}
	}
	return n.audit.Head()
}

// warnOfOpenPorts tells who opens the ports to a network without protecting them what that means.
func (n *Node) warnOfOpenPorts() {
	if n.cfg.Serve.TLS.Enabled() {
		return
	}
	for _, addr := range []string{n.cfg.Serve.Addr, n.cfg.Serve.WebSocketAddr} {
		host, _, err := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); err != nil || host == "localhost" || ip != nil && ip.IsLoopback() {
			continue
		}
		n.log.Warn("RPC is open to a network without TLS: whoever listens there reads tokens and transactions; see docs/access.md", "addr", addr,
			"anonymous", n.cfg.Access.Anonymous)
	}
}

// administration is what administrative methods do.
type administration struct{ *Node }

// ReloadAccess implements eth.Admin.
func (a administration) ReloadAccess() (serve.AccessStatus, error) {
	s := a.serving()
	if s == nil {
		return serve.AccessStatus{}, fmt.Errorf("reload: %w", errStarting)
	}
	return s.Reload()
}

// serving is the server of the run under way; nil without ports.
func (n *Node) serving() *serve.Server { n.mu.Lock(); defer n.mu.Unlock(); return n.server }

// Heads are the last durable block and the last finalized height; nil while the pipeline does not run.
func (n *Node) Heads() (head *chain.Header, finalized uint64) {
	n.mu.Lock()
	p := n.running
	n.mu.Unlock()
	if p == nil {
		return nil, 0
	}
	return p.store.Head(), p.attest.Finalized()
}
