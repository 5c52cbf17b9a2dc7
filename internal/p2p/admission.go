package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	// maxShownCertificates is how many certificates a node shows: its own and three of authorities between it and a root.
	maxShownCertificates = 4
	// maxCertificates bounds them as they travel, each with its length.
	maxCertificates = maxShownCertificates * (crypto.MaxCertificate + 2)
)

// Admission says who may be connected beyond having proven a key. Safe for concurrent use; it must not block.
type Admission interface {
	// Certificates are what this node shows of itself, its own first; none where it has none.
	Certificates() [][]byte
	// Admit judges what a peer shows. The error's text is told to the peer. It is called before a connection is accepted, by Readmit, and when a
	// peer announces others; a peer's certificates are the latest that were admitted.
	Admit(peer chain.Peer, certificates [][]byte) error
}

// SetAdmission lets a decide about peers. Comes before Run; without it every peer of the chain is welcome.
func (n *Network) SetAdmission(a Admission) {
	n.before("SetAdmission")
	n.admission = a
}

// Readmit asks about every connected peer again and disconnects whom it no longer admits: call it when the answer may have changed. Connections that are
// about to be accepted are asked about once more too.
func (n *Network) Readmit() {
	if n.admission == nil {
		return
	}
	n.readmissions.Add(1)
	for _, c := range n.book.conns() {
		n.readmit(c)
	}
}

// readmit ends a connection that is no longer admitted.
func (n *Network) readmit(c *conn) {
	shown, _ := decodeCertificates(c.shown.Load().(string)) // it was decoded before
	if err := n.admission.Admit(c.peer, shown); err != nil {
		n.count.refused.Add(1)
		n.log.Warn("peer is no longer admitted", "peer", c.peer.Short(), "reason", err.Error())
		c.end(fmt.Errorf("its certificate is no longer accepted: %w", err), codeUncertified)
	}
}

// admit asks about a peer that has said hello; its certificate's fault goes into the connection's objection.
func (n *Network) admit(c *conn) verdict {
	if n.admission == nil || c.remote.Genesis != n.id.Genesis || c.peer == n.self {
		return welcome // or for other reasons not
	}
	shown, err := decodeCertificates(c.remote.Certificates)
	if err == nil {
		err = n.admission.Admit(c.peer, shown)
	}
	if err != nil {
		c.objection = err.Error()
		return uncertified
	}
	c.shown.Store(c.remote.Certificates)
	return welcome
}

// Announce shows this node's present certificates to all connected peers, so that they hold them against it instead of the former ones and no connection
// has to end for that. It returns what peers object to; those keep the former ones.
func (n *Network) Announce(ctx context.Context) error {
	if n.admission == nil {
		return nil
	}
	request := []byte(encodeCertificates(n.admission.Certificates()))
	var mu sync.Mutex
	var objections []error
	var work sync.WaitGroup
	for peer := range n.book.conns() {
		work.Go(func() {
			if _, err := n.Request(ctx, peer, certificateMethod.Name, request); err != nil {
				mu.Lock()
				objections = append(objections, fmt.Errorf("peer %s: %w", peer.Short(), err))
				mu.Unlock()
			}
		})
	}
	work.Wait()
	return errors.Join(objections...)
}

// certificateMethod is how a connected node is shown other certificates.
var certificateMethod = Method{Name: "certificate", Priority: 1, MaxRequest: maxCertificates, MaxResponse: 1, Parallel: 1, Timeout: 10 * time.Second}

func (n *Network) hearCertificates(_ context.Context, from chain.Peer, request []byte) ([]byte, error) {
	if n.admission == nil {
		return nil, nil
	}
	shown, err := decodeCertificates(string(request))
	if err != nil {
		n.Report(from, Misbehaviour, err.Error())
		return nil, err
	}
	if err := n.admission.Admit(from, shown); err != nil {
		return nil, err
	}
	if c := n.book.connected(from); c != nil {
		c.shown.Store(string(request))
	}
	return nil, nil
}

// encodeCertificates is their frames one after the other.
func encodeCertificates(certificates [][]byte) string {
	var out []byte
	for _, c := range certificates {
		out = appendFrame(out, c)
	}
	return string(out)
}

// decodeCertificates checks form and bounds only.
func decodeCertificates(s string) (out [][]byte, err error) {
	b := []byte(s)
	for len(b) > 0 {
		size, w := binary.Uvarint(b)
		switch {
		case w <= 0 || size > uint64(len(b)-w):
			return nil, errors.New("malformed certificates: cut short")
		case size == 0 || size > crypto.MaxCertificate:
			return nil, fmt.Errorf("malformed certificates: one has %d bytes, at most %d", size, crypto.MaxCertificate)
		case len(out) == maxShownCertificates:
			return nil, fmt.Errorf("malformed certificates: more than %d", maxShownCertificates)
		}
		out = append(out, b[w:w+int(size)])
		b = b[w+int(size):]
	}
	return out, nil
}
