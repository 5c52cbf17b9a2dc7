package keys

import (
	"errors"

	"github.com/jialing-chain/jialing/internal/crypto"
)

func OpenToken(t Token, suite crypto.Suite, public crypto.PublicKey, from *Sources) (*DeviceKey, error) {
	return nil, errors.New("not yet")
}
