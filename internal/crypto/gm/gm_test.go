package gm_test

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/cryptotest"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
)

func TestSuite(t *testing.T) { cryptotest.Run(t, gm.Suite{}) }
