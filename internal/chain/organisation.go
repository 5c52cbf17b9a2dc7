package chain

import (
	"encoding/base64"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Admission says how a chain's nodes know whom to connect with.
type Admission string

// The ways of admission.
const (
	// AdmitOpen lets every node in that proves its key; the same as saying nothing.
	AdmitOpen Admission = "open"
	// AdmitCertificates lets in whom one of the chain's organisations has certified.
	AdmitCertificates Admission = "certificates"
)

// What the genesis may list; the contract Organisations allows as much.
const (
	MaxOrganisations     = 64
	MaxOrganisationRoots = 4
)

// GenesisOrganisation is a founding organisation.
type GenesisOrganisation struct {
	// Name is subject O of its nodes' certificates.
	Name string `json:"name"`
	// Admin is the account that revokes its certificates.
	Admin common.Address `json:"admin"`
	// Roots are its root certificates.
	Roots []DER `json:"roots"`
}

// DER is a certificate; in JSON it is base64 as in PEM, on one line.
type DER []byte

// MarshalText implements encoding.TextMarshaler.
func (d DER) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, d), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DER) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("must be a certificate's DER in base64: %w", err)
	}
	*d = b
	return nil
}

func (g *Genesis) validateOrganisations(bad func(string, string, ...any) error) error {
	switch {
	case g.Admission != "" && g.Admission != AdmitOpen && g.Admission != AdmitCertificates:
		return bad("admission", "%q is unknown, use \"open\" or \"certificates\"", g.Admission)
	case g.Admission == AdmitCertificates && len(g.Organisations) == 0:
		return bad("organisations", "lists none, but admission is \"certificates\": no node could be let in")
	case len(g.Organisations) > 0 && g.Consensus.Engine == PoS:
		return bad("organisations", "engine \"pos\" is open to whoever stakes; certificates would let in whom no stake elects, and keep out whom it does")
	case len(g.Organisations) > 0 && g.Consensus.Engine != BFT:
		return bad("organisations", "engine %q has no other nodes to admit", g.Consensus.Engine)
	case len(g.Organisations) > MaxOrganisations:
		return bad("organisations", "at most %d, this lists %d", MaxOrganisations, len(g.Organisations))
	}
	for i, o := range g.Organisations {
		field := fmt.Sprintf("organisations[%d]", i)
		switch {
		case o.Name == "" || utf8.RuneCountInString(o.Name) > 64 || !utf8.ValidString(o.Name):
			return bad(field+".name", "must have 1 to 64 characters")
		case slices.ContainsFunc(g.Organisations[:i], func(other GenesisOrganisation) bool { return other.Name == o.Name }):
			return bad(field+".name", "%q is there twice", o.Name)
		case o.Admin == (common.Address{}):
			return bad(field+".admin", "must be set: it is the account that revokes the organisation's certificates")
		case len(o.Roots) == 0 || len(o.Roots) > MaxOrganisationRoots:
			return bad(field+".roots", "must be 1 to %d certificates", MaxOrganisationRoots)
		}
		for j, root := range o.Roots {
			if len(root) == 0 || len(root) > crypto.MaxCertificate {
				return bad(fmt.Sprintf("%s.roots[%d]", field, j), "must have 1 to %d bytes", crypto.MaxCertificate)
			}
		}
	}
	return nil
}
