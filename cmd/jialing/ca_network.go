package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/pki"
)

const (
	// organisationsFolder is where a network's folder has its organisations' authorities.
	organisationsFolder = "organisations"
	// foundingDays is how long the founders' certificates are valid.
	foundingDays = 365
	rootDays     = 3650
)

// foundOrganisations gives every founder an organisation with an authority and lists them in the genesis.
func (f *networkFlags) foundOrganisations(g *chain.Genesis, founders []founder, pass string) ([]*authority, error) {
	if !f.organisations {
		return nil, nil
	}
	var out []*authority
	g.Admission = chain.AdmitCertificates
	for i, v := range founders {
		about := authorityAbout{Organisation: fmt.Sprintf("org%d", i+1), Suite: g.Suite}
		a, err := newAuthority(about, nil, nil, pass, rootDays*caDay, f.light)
		if err != nil {
			return nil, fmt.Errorf("make the authority of %s: %w", about.Organisation, err)
		}
		out = append(out, a)
		g.Organisations = append(g.Organisations, chain.GenesisOrganisation{Name: about.Organisation, Admin: v.address, Roots: []chain.DER{a.root}})
	}
	g.Alloc[govern.OrganisationsAddress] = govern.OrganisationsAccount(g)
	return out, errors.Join(g.Validate(), govern.CheckOrganisations(g))
}

// certifyFounders writes the authorities and the founders' certificates into the network's folder.
func certifyFounders(dir string, orgs []*authority, founders []founder, pass string) error {
	for i, a := range orgs {
		if err := a.write(filepath.Join(dir, organisationsFolder, a.about.Organisation)); err != nil {
			return err
		}
		issuer, err := a.issuer(pass)
		if err != nil {
			return err
		}
		v := founders[i]
		der, err := issuer.Node(a.about.Organisation, v.name, pki.Validator, v.key.Public(), time.Now(), foundingDays*caDay)
		if err != nil {
			return fmt.Errorf("certify %s: %w", v.name, err)
		}
		if _, err := a.keep(der); err != nil {
			return err
		}
		cfg := node.DefaultConfig()
		cfg.Dir = filepath.Join(dir, v.name)
		if err := os.WriteFile(cfg.CertificatePath(), pki.EncodeChain(a.full(der)), 0o644); err != nil {
			return fmt.Errorf("certify %s: %w", v.name, err)
		}
	}
	return nil
}
