package cryptotest_test

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/cryptotest"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func TestOneSuitesCertificatesAreNotTheOthers(t *testing.T) {
	t.Run("intl", func(t *testing.T) { cryptotest.RunForeign(t, intl.Suite{}, gm.Suite{}) })
	t.Run("gm", func(t *testing.T) { cryptotest.RunForeign(t, gm.Suite{}, intl.Suite{}) })
}
