package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve/audit"
)

// accessStatus is what a node says of who may call it.
type accessStatus struct {
	TLS            bool   `json:"tls"`
	Expires        *int64 `json:"expires"`
	Tokens         int    `json:"tokens"`
	ReloadFailures int64  `json:"reloadFailures"`
}

// headStatus is the newest record of a node's audit log.
type headStatus struct {
	Seq  uint64      `json:"seq"`
	Hash crypto.Hash `json:"hash"`
}

// auditFault reads the audit log of a folder's node and holds it to the head that the node shows; nil when there is nothing wrong with it.
func auditFault(n *nodeFacts) error {
	if n.folder == nil {
		return nil
	}
	f, err := openAccess(n.folder.dir)
	if err != nil {
		return nil // a folder that cannot be read is another rule's
	}
	var head headStatus
	if s := n.now(); s != nil && s.AuditHead != nil {
		head = *s.AuditHead
	}
	_, err = verifyAudit(f.cfg.AuditFolder(), f.suite, head.Seq, head.Hash)
	var broken *audit.Broken
	switch {
	case errors.Is(err, os.ErrNotExist) && head.Seq == 0:
		return nil // a node that never ran has none
	case errors.As(err, &broken) && broken.Torn:
		return nil // a record that is being written, or that a crash cut: the node knows what to do
	}
	return err
}

// ruleAudit: somebody has changed what must not change.
func ruleAudit(f *facts) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		if n.audit == nil {
			return nil
		}
		return &finding{broken, "audit", "the audit log of " + n.name + " is not what the node wrote", n.audit.Error(),
			fmt.Sprintf("Keep a copy of its folder for the investigation; jialing audit verify --dir %s says where it breaks, jialing audit show what is before that.", n.place())}
	})
}

// rulePortCertificate forecasts the end of the certificate of a node's ports, and tells of files that could not be taken.
func rulePortCertificate(f *facts) []finding {
	out := perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Access == nil || s.Access.Expires == nil {
			return nil
		}
		left := time.UnixMilli(*s.Access.Expires).Sub(time.UnixMilli(s.Now))
		how := expirySeverity(left)
		if how == "" {
			return nil
		}
		cause := fmt.Sprintf("the TLS certificate of the RPC ports of %s expires %s", n.name, untilText(left))
		if left <= 0 {
			cause = "the TLS certificate of the RPC ports of " + n.name + " has expired"
		}
		return &finding{how, "rpc_certificate", cause, "on " + time.UnixMilli(*s.Access.Expires).UTC().Format(time.DateOnly),
			"Put a new one and its key into the files that [serve.tls] of node.toml names; the node takes them without a restart (docs/access.md)."}
	})
	return append(out, perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Access == nil || s.Access.ReloadFailures == 0 {
			return nil
		}
		return &finding{ailing, "access_files", n.name + " could not take a changed token or TLS file and works with the old one",
			plural(int(s.Access.ReloadFailures), "failure") + " since it started", "Its log says why; put the file right, then: jialing rpc call jl_reloadAccess (docs/access.md)."}
	})...)
}
