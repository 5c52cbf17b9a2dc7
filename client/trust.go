package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// TrustFormat is the word that opens a trust file.
const TrustFormat = "jialing/trust/2"

// MaxGenesisSize bounds a genesis file in bytes.
const MaxGenesisSize = 256 << 20

// maxTrustedValidators is what a genesis may list.
const maxTrustedValidators = 512

// Trust is what a verifier must know of a chain, from a source of its own: which chain, who attests it, and how many of them it takes. Whoever
// holds the genesis file has it by TrustFromGenesis; it is also a small file of its own. The set may change: from a trusted one others follow
// by handovers that it certified (Follow, and what proofs carry).
type Trust struct {
	Format  string         `json:"format"`
	Suite   string         `json:"suite"`
	ChainID hexutil.Uint64 `json:"chainId"`
	// Genesis is the suite's hash of block 0's header.
	Genesis common.Hash `json:"genesis"`
	// Engine is the consensus engine, which rules how many of a set's validators make a certificate: Quorum changes with the set.
	Engine string `json:"engine"`
	// From is the first height that Validators attest: 0 for the founding set.
	From hexutil.Uint64 `json:"from"`
	// Validators is sorted by ID.
	Validators []TrustedValidator `json:"validators"`
	// Quorum is the number of these validators whose signatures make a certificate.
	Quorum int `json:"quorum"`
	// Work is there on a chain of work, which has no validators.
	Work *TrustedWork `json:"work,omitempty"`
}

// TrustedValidator is one that may sign.
type TrustedValidator struct {
	ID        hexutil.Uint64 `json:"id"`
	Name      string         `json:"name"`
	PublicKey hexutil.Bytes  `json:"publicKey"`
	Address   common.Address `json:"address"`
}

// ErrTrust is wrapped by every error of trust data that cannot be.
var ErrTrust = errors.New("trust")

// ParseTrust reads a trust file or a genesis file; it tells them apart by the format field.
func ParseTrust(file []byte) (*Trust, error) {
	var probe struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(file, &probe); err != nil {
		return nil, fmt.Errorf("%w: neither a genesis nor a trust file: %w", ErrTrust, err)
	}
	if probe.Format == "" {
		return TrustFromGenesis(file)
	}
	t := new(Trust)
	if err := decodeStrict(file, t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	return t, t.Validate()
}

// Encode is the trust as a file: indented JSON.
func (t *Trust) Encode() []byte {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		panic("client: encode trust: " + err.Error()) // all fields are encodable types
	}
	return append(b, '\n')
}

// Validate names the first field that cannot be.
func (t *Trust) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrTrust, fmt.Sprintf(format, args...))
	}
	if _, err := suiteByName(t.Suite); err != nil {
		return bad("suite: %v", err)
	}
	switch {
	case t.Format != TrustFormat:
		return bad("format %q is unknown, this version reads %q", t.Format, TrustFormat)
	case t.ChainID == 0:
		return bad("chainId is missing")
	case t.Genesis == common.Hash{}:
		return bad("genesis is missing")
	case (t.Engine == engineOfWork) != (t.Work != nil):
		return bad("work: must be there with engine %q and only with it", engineOfWork)
	case t.Work != nil && len(t.Validators) > 0:
		return bad("validators: engine %q has none, got %d", engineOfWork, len(t.Validators))
	case t.Work == nil && len(t.Validators) == 0 || len(t.Validators) > maxTrustedValidators:
		return bad("validators: 1 to %d, got %d", maxTrustedValidators, len(t.Validators))
	}
	if want, err := quorum(t.Engine, len(t.Validators)); err != nil {
		return bad("%v", err)
	} else if t.Quorum != want {
		return bad("quorum is %d, engine %q with %d validators takes %d", t.Quorum, t.Engine, len(t.Validators), want)
	}
	if t.Work != nil {
		if err := t.Work.validate(); err != nil {
			return bad("%v", err)
		}
	}
	for i, v := range t.Validators {
		if v.ID == 0 || (i > 0 && t.Validators[i-1].ID >= v.ID) {
			return bad("validators[%d].id: ids are nonzero and ascending", i)
		}
	}
	return nil
}

// ruleHash is the hash of t's engine and set.
func (t *Trust) ruleHash(s *suite) (common.Hash, error) {
	set := make([]HandoverValidator, len(t.Validators))
	for i, v := range t.Validators {
		set[i] = HandoverValidator{v.ID, v.PublicKey, v.Address}
	}
	return ruleHash(s, t.Engine, set)
}

// decodeStrict reads exactly one JSON value without unknown fields.
func decodeStrict(file []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the closing brace")
	}
	return nil
}
