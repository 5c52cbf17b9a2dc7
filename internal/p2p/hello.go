package p2p

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// hello is what two nodes tell each other first, before either knows that the other is of its chain. Its encoding therefore stays as it is: later
// versions append fields, which earlier ones skip.
type hello struct {
	// Instance is drawn anew by each process, which tells a peer that came back from a second process with the same key.
	Instance [16]byte
	Genesis  crypto.Hash
	ChainID  uint64
	// Version is the software's, for people.
	Version string
	// Endpoint is the host:port that the node says it can be reached at; "" or without a host where it does not know.
	Endpoint string
	// Certificates are what the node shows of itself where the chain's organisations certify nodes (see encodeCertificates).
	Certificates string
}

const (
	// maxHello leaves room for the fields of later versions.
	maxHello   = 1024 + maxCertificates
	maxVersion = 64
)

var errHello = errors.New("malformed hello")

func (h *hello) encode() []byte {
	out := make([]byte, 0, 16+32+8+2+len(h.Version)+2+len(h.Endpoint)+2+len(h.Certificates))
	out = append(out, h.Instance[:]...)
	out = append(out, h.Genesis[:]...)
	out = binary.BigEndian.AppendUint64(out, h.ChainID)
	return appendFrame(appendFrame(appendFrame(out, []byte(h.Version)), []byte(h.Endpoint)), []byte(h.Certificates))
}

// decodeHello checks form only. The endpoint is a claim: it is believed when a connection to it has proven the peer's key.
func decodeHello(b []byte) (h hello, err error) {
	if len(b) > maxHello || len(b) < 16+32+8 {
		return h, fmt.Errorf("%w: %d bytes", errHello, len(b))
	}
	b = b[copy(h.Instance[:], b):]
	b = b[copy(h.Genesis[:], b):]
	h.ChainID, b = binary.BigEndian.Uint64(b), b[8:]
	if h.Version, b, err = takeText(b, maxVersion); err != nil {
		return h, fmt.Errorf("%w: version: %w", errHello, err)
	}
	if h.Endpoint, b, err = takeText(b, maxEndpoint); err != nil {
		return h, fmt.Errorf("%w: endpoint: %w", errHello, err)
	}
	if h.Endpoint != "" {
		if err := checkEndpoint(h.Endpoint, true); err != nil {
			return h, fmt.Errorf("%w: endpoint: %w", errHello, err)
		}
	}
	if len(b) == 0 {
		return h, nil // an earlier version's
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || n > maxCertificates || n > uint64(len(b)-w) {
		return h, fmt.Errorf("%w: certificates", errHello)
	}
	h.Certificates = string(b[w : w+int(n)])
	return h, nil
}

// takeText takes a frame of printable ASCII, which can go to logs and terminals as it is.
func takeText(b []byte, limit int) (string, []byte, error) {
	n, w := binary.Uvarint(b)
	switch {
	case w <= 0:
		return "", nil, errors.New("no length")
	case n > uint64(limit):
		return "", nil, fmt.Errorf("%d bytes: %w: %d", n, errTooLong, limit)
	case n > uint64(len(b)-w):
		return "", nil, errors.New("cut short")
	}
	text := b[w : w+int(n)]
	for _, c := range text {
		if c < ' ' || c > '~' {
			return "", nil, errors.New("not printable")
		}
	}
	return string(text), b[w+int(n):], nil
}

// verdict is the answer to a hello: welcome, or why not. It is one byte and, for people, a text.
type verdict byte

const (
	welcome       verdict = iota
	otherChain            // the peer's genesis differs from ours
	banned                // the peer misbehaved, and its time is not over
	full                  // no room for peers that are neither members nor configured
	already               // there is a connection to this peer already
	oneKey                // another process with the peer's key is connected: two nodes have one key
	ourselves             // the peer is this very process
	leaving               // this node is shutting down
	uncertified           // the peer's certificate does not let it in; the text says why
	unknownAnswer         // first of those that a later version may send
)

var verdictTexts = [unknownAnswer]string{
	welcome: "welcome", otherChain: "of another chain", banned: "banned here", full: "no room for more peers", already: "already connected",
	oneKey: "another node with the same key is connected", ourselves: "this is the same node", leaving: "shutting down",
	uncertified: "its certificate is not accepted",
}

func (v verdict) String() string {
	if v < unknownAnswer {
		return verdictTexts[v]
	}
	return fmt.Sprintf("refused with code %d", byte(v))
}

const maxVerdict = 256

func encodeVerdict(v verdict, text string) []byte {
	return append([]byte{byte(v)}, text[:min(len(text), maxVerdict-1)]...)
}

// decodeVerdict keeps of the text what can be printed.
func decodeVerdict(b []byte) (verdict, string, error) {
	if len(b) == 0 || len(b) > maxVerdict {
		return 0, "", fmt.Errorf("malformed answer to a hello: %d bytes", len(b))
	}
	return verdict(b[0]), printable(b[1:]), nil
}

// printable is a peer's text with everything replaced that could play tricks on a terminal or a log.
func printable(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c < ' ' || c > '~' {
			c = '?'
		}
		out[i] = c
	}
	return string(out)
}
