package main

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
)

// operator is an account that acts for a node.
type operator struct{ client.KeyAccount }

// SignCall implements node.Operator.
func (o operator) SignCall(chainID uint64, c node.OperatorCall) ([]byte, error) {
	return o.SignTx(new(big.Int).SetUint64(chainID), &client.Tx{To: &c.To, Data: c.Data, Gas: c.Gas, Nonce: &c.Nonce, FeeCap: c.FeeCap, TipCap: c.TipCap})
}

// openOperator opens the account that node.toml names; nil where it names none.
func openOperator(cfg *node.Config) (node.Operator, error) {
	if cfg.Stake.Account == "" {
		return nil, nil
	}
	path, secret := cfg.Stake.Files(cfg.Dir)
	file, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("stake.account: %w", err)
	}
	pass, err := keys.ReadPassphrase(secret)
	if err != nil {
		return nil, fmt.Errorf("stake.passphrase_file: %w", err)
	}
	defer clear(pass)
	account, err := client.AccountFromKeystore(file, strings.TrimRight(string(pass), "\r\n"))
	if err != nil {
		return nil, fmt.Errorf("stake.account %s: %w", path, err)
	}
	return operator{account}, nil
}
