package chain

import (
	"bytes"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
)

// Difference names the first key, in canonical order, that the two write sets leave with different values: an account's field or a slot, with both values.
// It is "" when both leave the same; values before the block do not count.
func (w WriteSet) Difference(theirs WriteSet) string {
	i, j := 0, 0
	for i < len(w) || j < len(theirs) {
		switch order := compareNext(w[i:], theirs[j:]); {
		case order < 0:
			return fmt.Sprintf("account %s: we changed it (%s), they did not", w[i].Address, w[i].describe())
		case order > 0:
			return fmt.Sprintf("account %s: they changed it (%s), we did not", theirs[j].Address, theirs[j].describe())
		}
		if d := w[i].difference(&theirs[j]); d != "" {
			return d
		}
		i, j = i+1, j+1
	}
	return ""
}

// compareNext compares the next addresses; an ended list is behind everything.
func compareNext(a, b WriteSet) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].Address.Cmp(b[0].Address)
}

func (c *AccountChange) describe() string {
	s := "it is gone"
	if c.Account != nil {
		s = fmt.Sprintf("nonce %d, balance %s, code hash %s", c.Account.Nonce, c.Account.Balance.Dec(), c.Account.CodeHash)
	}
	if len(c.Slots) > 0 {
		s += fmt.Sprintf(", %d slots from %s on", len(c.Slots), c.Slots[0].Key)
	}
	return s
}

func (c *AccountChange) difference(theirs *AccountChange) string {
	said := func(field string, ours, other any) string {
		return fmt.Sprintf("account %s, %s: ours %v, theirs %v", c.Address, field, ours, other)
	}
	a, b := c.Account, theirs.Account
	switch {
	case (a == nil) != (b == nil):
		return said("existence", a != nil, b != nil)
	case a != nil && a.Nonce != b.Nonce:
		return said("nonce", a.Nonce, b.Nonce)
	case a != nil && a.Balance != b.Balance:
		return said("balance", a.Balance.Dec(), b.Balance.Dec())
	case a != nil && a.CodeHash != b.CodeHash:
		return said("code hash", a.CodeHash, b.CodeHash)
	case c.Wiped != theirs.Wiped:
		return said("storage wiped", c.Wiped, theirs.Wiped)
	case !bytes.Equal(c.Code, theirs.Code):
		return said("new code", fmt.Sprintf("of %d bytes", len(c.Code)), fmt.Sprintf("of %d bytes", len(theirs.Code)))
	}
	return c.slotDifference(theirs)
}

func (c *AccountChange) slotDifference(theirs *AccountChange) string {
	const unchanged = "unchanged"
	said := func(slot common.Hash, ours, other string) string {
		return fmt.Sprintf("slot %s of %s: ours %s, theirs %s", slot, c.Address, ours, other)
	}
	a, b := c.Slots, theirs.Slots
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || (len(a) > 0 && a[0].Key.Cmp(b[0].Key) < 0):
			return said(a[0].Key, a[0].Value.Hex(), unchanged)
		case len(a) == 0 || a[0].Key.Cmp(b[0].Key) > 0:
			return said(b[0].Key, unchanged, b[0].Value.Hex())
		case a[0].Value != b[0].Value:
			return said(a[0].Key, a[0].Value.Hex(), b[0].Value.Hex())
		}
		a, b = a[1:], b[1:]
	}
	return ""
}

// HeaderDifference names the first field in which two headers of one height differ, with both values, causes before effects: what the block stands on, what
// was decided, what executing it gave. "" when they are the same.
func HeaderDifference(ours, theirs *Header) string {
	a, errA := DecodeExtra(ours.Extra)
	b, errB := DecodeExtra(theirs.Extra)
	if errA != nil || errB != nil {
		if bytes.Equal(ours.Extra, theirs.Extra) {
			a, b = new(Extra), new(Extra)
		} else {
			return fmt.Sprintf("extraData: ours %#x, theirs %#x", ours.Extra, theirs.Extra)
		}
	}
	for _, f := range []struct {
		name         string
		ours, theirs any
	}{
		{"number", ours.Number.String(), theirs.Number.String()},
		{"parent", ours.ParentHash, theirs.ParentHash},
		{"parent's suite hash", a.Parent, b.Parent},
		{"decision", a.Decision, b.Decision},
		{"validator set", a.Validators, b.Validators},
		{"next validator set", a.Next, b.Next},
		{"time", fmt.Sprintf("%d.%03d", ours.Time, a.Millis), fmt.Sprintf("%d.%03d", theirs.Time, b.Millis)},
		{"miner", ours.Coinbase, theirs.Coinbase},
		{"gas limit", ours.GasLimit, theirs.GasLimit},
		{"base fee", ours.BaseFee.String(), theirs.BaseFee.String()},
		{"prevrandao", ours.MixDigest, theirs.MixDigest},
		{"transactions root", ours.TxHash, theirs.TxHash},
		{"state root", ours.Root, theirs.Root},
		{"ledger digest", a.Ledger, b.Ledger}, {"records", a.Records, b.Records},
		{"gas used", ours.GasUsed, theirs.GasUsed},
		{"receipts root", ours.ReceiptHash, theirs.ReceiptHash},
		{"logs bloom", ours.Bloom, theirs.Bloom},
		{"extraData", string(ours.Extra), string(theirs.Extra)},
		{"hash", ours.Hash(), theirs.Hash()},
	} {
		if f.ours != f.theirs {
			if f.name == "extraData" {
				f.ours, f.theirs = fmt.Sprintf("%#x", ours.Extra), fmt.Sprintf("%#x", theirs.Extra)
			}
			return fmt.Sprintf("%s: ours %v, theirs %v", f.name, f.ours, f.theirs)
		}
	}
	return ""
}
