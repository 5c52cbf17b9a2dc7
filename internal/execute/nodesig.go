package execute

import (
	"errors"
	"maps"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Addresses of the precompiled contracts by which contracts judge what validators say. They are on every chain; what they answer is the chain's own: the
// scheme of its suite's node keys, and the hash that its validators' signatures are bound to.
var (
	NodeSignatureAddress = common.HexToAddress("0x5005")
	ChainHashAddress     = common.HexToAddress("0x5006")
)

// Gas, from the measurement in docs/guomi-contracts.md, by the rule that stands there: for the same time on a processor no contract earns less than
// ecrecover. One price for both suites, so that a contract needs no other gas on another chain: SM2's, the dearer one; a word of the message costs
// what SM3 does for it, which is more than Ed25519's hash asks for.
const (
	nodeSignatureGas     = 8_000
	nodeSignatureWordGas = 12
	// chainHashGas is what Ethereum's cheapest precompile, the copy of nothing, costs with room: it copies 32 bytes.
	chainHashGas = 30
)

// nodeSignatureSize is r ‖ s of either scheme.
const nodeSignatureSize = 64

// errNoChain is a call outside of a chain: geth's own tables know the addresses, not what a chain answers there.
var errNoChain = errors.New("no chain to answer for")

func init() {
	for addr, c := range chainContracts(nil, crypto.Hash{}) {
		vm.PrecompiledContractsOsaka[addr] = c
	}
	vm.PrecompiledAddressesOsaka = append(vm.PrecompiledAddressesOsaka, NodeSignatureAddress, ChainHashAddress)
}

// chainContracts are the contracts whose answers are a chain's own.
func chainContracts(suite crypto.Suite, hash crypto.Hash) vm.PrecompiledContracts {
	return vm.PrecompiledContracts{NodeSignatureAddress: nodeSignature{suite}, ChainHashAddress: chainHash{hash}}
}

// precompiles are all contracts of a chain, for its executor.
func precompiles(suite crypto.Suite, hash crypto.Hash) vm.PrecompiledContracts {
	all := maps.Clone(vm.PrecompiledContractsOsaka)
	maps.Copy(all, chainContracts(suite, hash))
	return all
}

// nodeSignature takes signature(64) ‖ public key(crypto.Suite.PublicKeySize) ‖ message and answers 1 in 32 bytes where the signature is that node key's over
// the message. For everything else it answers nothing, without failing.
type nodeSignature struct{ suite crypto.Suite }

func (nodeSignature) Name() string { return "NODESIGNATURE" }

func (nodeSignature) RequiredGas(input []byte) uint64 {
	return nodeSignatureGas + nodeSignatureWordGas*words(input)
}

func (c nodeSignature) Run(input []byte) ([]byte, error) {
	if c.suite == nil {
		return nil, errNoChain
	}
	head := nodeSignatureSize + c.suite.PublicKeySize()
	if len(input) < head {
		return nil, nil
	}
	key, err := c.suite.ParsePublicKey(input[nodeSignatureSize:head])
	if err != nil || key.Verify(input[head:], input[:nodeSignatureSize]) != nil {
		return nil, nil
	}
	return common.LeftPadBytes([]byte{1}, 32), nil
}

// chainHash answers the suite's hash of block 0's header, which names the chain in all that validators sign. It takes no input.
type chainHash struct{ hash crypto.Hash }

func (chainHash) Name() string              { return "CHAINHASH" }
func (chainHash) RequiredGas([]byte) uint64 { return chainHashGas }

func (c chainHash) Run([]byte) ([]byte, error) {
	if c.hash.IsZero() {
		return nil, errNoChain
	}
	return c.hash[:], nil
}
