// Package apps embeds the compiled contracts that ship with the platform: an ERC-20 token, a registry of document
// evidence, and what contracts do with SM2, SM3 and SM4. It stands outside the node, with the clients: what it holds reaches the chain through RPC only.
//
// It owns the artifacts under apps/*/artifacts, which build.mjs makes from the Solidity sources beside them;
// "node build.mjs --check" fails when they have drifted apart. Invariant: every artifact parses and carries creation
// bytecode, or the package panics when it is loaded.
package apps

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

var (
	//go:embed token/artifacts/JialingToken.json
	tokenArtifact []byte
	//go:embed evidence/artifacts/Evidence.json
	evidenceArtifact []byte
	//go:embed guomi/artifacts/GuomiView.json
	guomiViewArtifact []byte
	//go:embed guomi/artifacts/SM2Wallet.json
	sm2WalletArtifact []byte
)

var (
	// Token is JialingToken: OpenZeppelin's ERC-20 (18 decimals, fixed supply) with EIP-2612 permits. Its constructor
	// takes the supply in the smallest unit, a *big.Int, and gives all of it to the deployer.
	Token = mustParse(tokenArtifact)

	// Evidence is the registry of document digests: the first account to notarise a digest is on record for ever.
	// Its constructor takes nothing.
	Evidence = mustParse(evidenceArtifact)

	// GuomiView answers with SM3, SM2 and SM4-GCM to callers off the chain. Its constructor takes nothing. It needs the precompiled
	// contracts of a Jialing chain (docs/guomi-contracts.md), and so does SM2Wallet.
	GuomiView = mustParse(guomiViewArtifact)

	// SM2Wallet is a contract wallet (ERC-1271) that an SM2 key owns. Its constructor takes the public key as two [32]byte; both are zero
	// where accounts are to take on its code (EIP-7702).
	SM2Wallet = mustParse(sm2WalletArtifact)
)

// Contract is one compiled contract. It is read-only: safe for concurrent use as long as nobody writes to it.
type Contract struct {
	Name     string  // as in the Solidity source
	Compiler string  // solc's full version
	ABI      abi.ABI // methods, events and custom errors
	Bytecode []byte  // creation code, without constructor arguments
}

// Creation returns the data of the transaction that deploys the contract: its creation code followed by the encoded
// constructor arguments (Contract ABI Specification). It fails if the arguments do not fit the constructor.
func (c *Contract) Creation(args ...any) ([]byte, error) {
	packed, err := c.ABI.Pack("", args...)
	if err != nil {
		return nil, fmt.Errorf("encode constructor arguments of %s: %w", c.Name, err)
	}
	return append(append(make([]byte, 0, len(c.Bytecode)+len(packed)), c.Bytecode...), packed...), nil
}

// Parse reads an artifact as build.mjs writes it. Fields it does not know are skipped, so that Hardhat's artifacts
// parse too. Unlinked bytecode is an error, and so is an interface or abstract contract, which has none.
func Parse(artifact []byte) (*Contract, error) {
	var a struct {
		ContractName string        `json:"contractName"`
		Compiler     string        `json:"compiler"`
		ABI          abi.ABI       `json:"abi"`
		Bytecode     hexutil.Bytes `json:"bytecode"`
	}
	if err := json.Unmarshal(artifact, &a); err != nil {
		return nil, fmt.Errorf("parse contract artifact: %w", err)
	}
	if a.ContractName == "" {
		return nil, errors.New("parse contract artifact: no contractName")
	}
	if len(a.Bytecode) == 0 {
		return nil, fmt.Errorf("parse contract artifact: %s has no bytecode", a.ContractName)
	}
	return &Contract{Name: a.ContractName, Compiler: a.Compiler, ABI: a.ABI, Bytecode: a.Bytecode}, nil
}

func mustParse(artifact []byte) *Contract {
	c, err := Parse(artifact)
	if err != nil {
		panic(err)
	}
	return c
}
