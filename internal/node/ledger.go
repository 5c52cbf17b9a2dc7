package node

import (
	"log/slog"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store"
)

// OpenLedger opens the ledger of a folder whose node does not run, for tools. The caller closes it.
func OpenLedger(cfg Config, log *slog.Logger) (*store.Store, *chain.Genesis, error) {
	g, err := LoadGenesis(cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, nil, err
	}
	st, err := openStore(&cfg, nil, g, suite, log)
	return st, g, err
}
