package govern_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// judge is the library Evidence in an EVM.
type judge struct {
	*world
	abi  abi.ABI
	addr common.Address
}

func newJudge(t testing.TB) *judge {
	b, err := os.ReadFile("contract/artifacts/EvidenceView.json")
	require.NoError(t, err)
	var artifact struct {
		ABI      abi.ABI       `json:"abi"`
		Bytecode hexutil.Bytes `json:"bytecode"`
	}
	require.NoError(t, json.Unmarshal(b, &artifact))
	j := &judge{world: newWorld(t, founding(4)), abi: artifact.ABI, addr: common.HexToAddress("0xe1")}
	code, _, _, err := runtime.Create(artifact.Bytecode, j.cfg)
	require.NoError(t, err)
	j.db.CreateAccount(j.addr)
	j.db.SetCode(j.addr, code, tracing.CodeChangeUnspecified)
	return j
}

// judges is the height for which c convicts, or the name of the error.
func (j *judge) judges(c *chain.Contradiction) (height uint64, refused string, gas uint64) {
	in, err := j.abi.Pack("equivocation", c.PublicKey, c.Messages[0], c.Signatures[0], c.Messages[1], c.Signatures[1])
	require.NoError(j.t, err)
	j.cfg.GasLimit = 16_777_216
	out, left, err := runtime.Call(j.addr, in, j.cfg)
	gas = j.cfg.GasLimit - left
	if errors.Is(err, vm.ErrExecutionReverted) {
		for name, e := range j.abi.Errors {
			if bytes.Equal(out[:4], e.ID[:4]) {
				return 0, name, gas
			}
		}
	}
	require.NoError(j.t, err)
	return new(big.Int).SetBytes(out).Uint64(), "", gas
}

// committed is a commit as the bft engine signs it.
func committed(genesis crypto.Hash, height, view uint64, what byte, aux ...byte) []byte {
	b := append([]byte(chain.OrderDomain), genesis[:]...)
	b = binary.BigEndian.AppendUint64(append(b, chain.CommitDomain...), height)
	b = append(binary.BigEndian.AppendUint64(b, view), bytes.Repeat([]byte{what}, 32)...)
	return append(b, aux...)
}

func pair(key uint64, first, second []byte) *chain.Contradiction {
	return &chain.Contradiction{Validator: chain.ValidatorID(key), PublicKey: public(key), Messages: [2][]byte{first, second},
		Signatures: [2][]byte{signed(key, first), signed(key, second)}}
}

// TestEvidence: the contract convicts whom chain.Contradiction convicts and nobody else, on both suites, for a bounded price.
func TestEvidence(t *testing.T) {
	defer func(s crypto.Suite) { suite = s }(suite)
	for _, suite = range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) {
			j := newJudge(t)
			g, other := genesisHash, crypto.Hash{9}
			att := func(g crypto.Hash, height uint64, what byte) []byte {
				return chain.AttestationMessage(g, height, crypto.Hash{what})
			}
			long := make([]byte, 16*chain.MaxValidators)
			altered := func(c *chain.Contradiction, alter func(*chain.Contradiction)) *chain.Contradiction {
				alter(c)
				return c
			}
			for name, c := range map[string]struct {
				c    *chain.Contradiction
				want string // "": it convicts
			}{
				"attestations":              {pair(1, att(g, 50, 1), att(g, 50, 2)), ""},
				"swapped":                   {pair(1, att(g, 50, 2), att(g, 50, 1)), ""},
				"commits":                   {pair(1, committed(g, 50, 3, 1), committed(g, 50, 3, 2)), ""},
				"commits with other words":  {pair(1, committed(g, 50, 3, 1, 7, 8), committed(g, 50, 3, 2, 9)), ""},
				"the longest commits":       {pair(1, committed(g, 50, 3, 1, long...), committed(g, 50, 3, 2, long...)), ""},
				"the same twice":            {pair(1, att(g, 50, 1), att(g, 50, 1)), "NoContradiction"},
				"the same with other words": {pair(1, committed(g, 50, 3, 1, 7), committed(g, 50, 3, 1, 8)), "NoContradiction"},
				"two heights":               {pair(1, att(g, 50, 1), att(g, 51, 2)), "NoContradiction"},
				"two views":                 {pair(1, committed(g, 50, 3, 1), committed(g, 50, 4, 2)), "NoContradiction"},
				"two kinds":                 {pair(1, att(g, 50, 1), committed(g, 50, 0, 2)), "NoEvidence"},
				"another chain's":           {pair(1, att(other, 50, 1), att(other, 50, 2)), "OtherChain"},
				"half another chain's":      {pair(1, committed(g, 50, 3, 1), committed(other, 50, 3, 2)), "OtherChain"},
				"another's key":             {altered(pair(1, att(g, 50, 1), att(g, 50, 2)), func(c *chain.Contradiction) { c.PublicKey = public(3) }), "BadSignature"},
				"half another's": {altered(pair(1, att(g, 50, 1), att(g, 50, 2)), func(c *chain.Contradiction) {
					c.Signatures[1] = signed(3, c.Messages[1])
				}), "BadSignature"},
				"a signature on the other": {altered(pair(1, att(g, 50, 1), att(g, 50, 2)), func(c *chain.Contradiction) {
					c.Signatures[1] = c.Signatures[0]
				}), "BadSignature"},
				"no signature":      {altered(pair(1, att(g, 50, 1), att(g, 50, 2)), func(c *chain.Contradiction) { c.Signatures[0] = nil }), "BadSignature"},
				"a long signature":  {altered(pair(1, att(g, 50, 1), att(g, 50, 2)), func(c *chain.Contradiction) { c.Signatures[0] = append(c.Signatures[0], 0) }), "BadSignature"},
				"no key":            {altered(pair(1, att(g, 50, 1), att(g, 50, 2)), func(c *chain.Contradiction) { c.PublicKey = nil }), "BadSignature"},
				"nothing":           {pair(1, nil, nil), "NoEvidence"},
				"a short one":       {pair(1, att(g, 50, 1)[1:], att(g, 50, 2)), "NoEvidence"},
				"a long one":        {pair(1, append(att(g, 50, 1), 0), append(att(g, 50, 2), 1)), "NoEvidence"},
				"a short commit":    {pair(1, committed(g, 50, 3, 1)[:103], committed(g, 50, 3, 2)), "NoEvidence"},
				"a commit too long": {pair(1, append(committed(g, 50, 3, 1, long...), 0), committed(g, 50, 3, 2)), "NoEvidence"},
				"a former commit":   {pair(1, bytes.Replace(committed(g, 50, 3, 1), []byte("commit/2"), []byte("commit/1"), 1), committed(g, 50, 3, 2)), "NoEvidence"},
				"states": {pair(1, append([]byte(chain.OrderDomain+string(g[:])+"view data:"), long[:80]...),
					append([]byte(chain.OrderDomain+string(g[:])+"view data:"), long[:81]...)), "NoEvidence"},
			} {
				height, refused, gas := j.judges(c.c)
				require.Equal(t, c.want, refused, name)
				require.Equal(t, c.want == "", c.c.Verify(suite, g) == nil, "%s: Go and Solidity differ", name)
				if refused == "" {
					require.EqualValues(t, 50, height, name)
				}
				require.Less(t, gas, uint64(80_000), "%s: judging costs, without the calldata", name)
			}
			// Every byte counts: none can be altered without the proof failing.
			for i := range 104 {
				c := pair(1, committed(g, 50, 3, 1), committed(g, 50, 3, 2))
				c.Messages[0] = bytes.Clone(c.Messages[0])
				c.Messages[0][i] ^= 1
				_, refused, _ := j.judges(c)
				require.NotEmpty(t, refused, "byte %d", i)
			}
		})
	}
}

// FuzzEvidence: what the contract makes of any two messages is what chain.Contradiction makes of them, and its price follows their length.
func FuzzEvidence(f *testing.F) {
	f.Add(chain.AttestationMessage(genesisHash, 5, crypto.Hash{1}), chain.AttestationMessage(genesisHash, 5, crypto.Hash{2}), false)
	f.Add(committed(genesisHash, 5, 1, 1, 3), committed(genesisHash, 5, 1, 2), false)
	f.Add(committed(genesisHash, 5, 1, 1, 3), committed(genesisHash, 5, 1, 2), true)
	f.Add([]byte("jialing/order/1"), []byte{}, false)
	j := newJudge(f)
	f.Fuzz(func(t *testing.T, first, second []byte, forged bool) {
		j.t = t
		c := pair(1, first, second)
		if forged {
			c.Signatures[1] = c.Signatures[0]
		}
		height, refused, gas := j.judges(c)
		err := c.Verify(suite, genesisHash)
		require.Equal(t, err == nil, refused == "")
		if err == nil {
			claim, _, err := c.Claims()
			require.NoError(t, err)
			require.Equal(t, claim.Height, height)
		}
		require.Less(t, gas, 60_000+100*uint64(len(first)+len(second)))
	})
}
