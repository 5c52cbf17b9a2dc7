package pki

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	// MaxGrace is how long a rescue may last: long enough for all organisations to renew, short enough that nobody gets used to it.
	MaxGrace = 7 * 24 * time.Hour
	// MaxGraceDays is how long ago a certificate may have expired that a rescue still takes.
	MaxGraceDays = 365
	maxReason    = 256
	// MaxGraceFile bounds the file.
	MaxGraceFile = 4 << 10
)

// Grace lets one node take certificates that have expired, for a while: the way out for a network whose certificates all have. It is signed by the node's
// own key, so that whoever can write a file to the node's folder, or copies one from another node's, cannot open its door.
type Grace struct {
	Created time.Time `json:"created"`
	Until   time.Time `json:"until"`
	// Days is how long ago certificates may have expired.
	Days      int    `json:"days"`
	Reason    string `json:"reason"`
	Signature string `json:"signature"`
}

// SignGrace makes the file's content for the node with that key on the chain whose genesis has that id.
func SignGrace(g Grace, genesis crypto.Hash, key crypto.PrivateKey) ([]byte, error) {
	g.Created, g.Until = g.Created.UTC().Truncate(time.Second), g.Until.UTC().Truncate(time.Second)
	if err := g.check(); err != nil {
		return nil, err
	}
	sig, err := key.Sign(g.signed(genesis))
	if err != nil {
		return nil, fmt.Errorf("sign the rescue: %w", err)
	}
	g.Signature = hex.EncodeToString(sig)
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the rescue: %w", err)
	}
	return append(b, '\n'), nil
}

// OpenGrace reads the file's content. It refuses what is not signed by key for that chain, or lets in more than a rescue may.
func OpenGrace(b []byte, genesis crypto.Hash, key crypto.PublicKey) (*Grace, error) {
	g := new(Grace)
	if len(b) > MaxGraceFile {
		return nil, fmt.Errorf("the rescue file has %d bytes, at most %d", len(b), MaxGraceFile)
	}
	if err := json.Unmarshal(b, g); err != nil {
		return nil, fmt.Errorf("read the rescue file: %w", err)
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	sig, err := hex.DecodeString(g.Signature)
	if err != nil || key.Verify(g.signed(genesis), sig) != nil {
		return nil, errors.New("the rescue file is not signed by this node's key for this chain: make it here with \"jialing node rescue\"")
	}
	return g, nil
}

// At is how long ago certificates may have expired at time now: 0 before and after the rescue.
func (g *Grace) At(now time.Time) time.Duration {
	if g == nil || now.Before(g.Created.Add(-backdate)) || !now.Before(g.Until) {
		return 0
	}
	return time.Duration(g.Days) * 24 * time.Hour
}

func (g *Grace) check() error {
	switch {
	case !g.Until.After(g.Created):
		return errors.New("the rescue must end after it begins: give a later --until")
	case g.Until.Sub(g.Created) > MaxGrace:
		return fmt.Errorf("a rescue lasts %d days at most: give an earlier --until", int(MaxGrace.Hours()/24))
	case g.Days < 1 || g.Days > MaxGraceDays:
		return fmt.Errorf("a rescue takes certificates that expired 1 to %d days ago", MaxGraceDays)
	case g.Reason == "" || len(g.Reason) > maxReason || !utf8.ValidString(g.Reason):
		return fmt.Errorf("give the reason for the rescue, in at most %d bytes: it goes into the audit log", maxReason)
	}
	return nil
}

// signed is what the signature covers.
func (g *Grace) signed(genesis crypto.Hash) []byte {
	out := append([]byte("jialing/rescue/1"), genesis[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(g.Created.Unix()))
	out = binary.BigEndian.AppendUint64(out, uint64(g.Until.Unix()))
	out = binary.BigEndian.AppendUint64(out, uint64(g.Days))
	return append(out, g.Reason...)
}
