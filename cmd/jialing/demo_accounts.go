package main

import (
	"slices"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
)

// drawAccounts settles who sends: the test accounts, and where the chain takes SM2 transactions, every second one after the owner is a fresh SM2 account.
// Gas costs nothing here, so nobody needs ether. The notary signs with SM2 too where it can.
func (d *demonstration) drawAccounts() error {
	kinds, err := (&genesisFlags{suite: d.flags.suite}).kinds()
	if err != nil {
		return err
	}
	d.notary = d.dev[0]
	d.reporter = d.dev[len(d.dev)-1] // makeNetwork has one more than there are senders
	for i := range d.flags.senders {
		if i%2 == 0 || !slices.Contains(kinds, chain.SM2) {
			d.senders = append(d.senders, d.dev[i])
			continue
		}
		a, err := client.NewSM2()
		if err != nil {
			return err
		}
		d.senders = append(d.senders, a)
		d.notary = a
		d.shown.SM2Senders++
	}
	return nil
}
