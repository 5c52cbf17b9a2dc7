package execute_test

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute"
)

// BenchmarkPrecompile sets the guomi precompiles beside Ethereum's. Mgas/s is what a second of a processor earns: a contract that earns less than
// ecrecover is too cheap, a block full of it takes longer than one full of ecrecover. docs/guomi-contracts.md holds the table.
func BenchmarkPrecompile(b *testing.B) {
	type input struct {
		name  string
		addr  common.Address
		data  []byte
		suite crypto.Suite // of the chain's own contracts
	}
	key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte("bench")))
	require.NoError(b, err)
	digest := gethcrypto.Keccak256([]byte("message"))
	sig, err := gethcrypto.Sign(digest, key)
	require.NoError(b, err)
	recover := append(append(digest, common.LeftPadBytes([]byte{sig[64] + 27}, 32)...), sig[:64]...)
	inputs := []input{{"ecrecover", common.BytesToAddress([]byte{1}), recover, nil}, {"sm2", execute.SM2Address, sm2Example(b), nil}}
	for _, size := range []int{0, 32, 64, 256, 1024, 32 << 10} {
		name := func(of string) string { return fmt.Sprintf("%s/%d", of, size) }
		text := make([]byte, size)
		sealed := precompiled(b, execute.SM4SealAddress, sm4Input(nil, text))
		aad := sm4Input(text, nil)
		inputs = append(inputs, input{name("sha256"), common.BytesToAddress([]byte{2}), text, nil}, input{name("sm3"), execute.SM3Address, text, nil},
			input{name("sm4seal"), execute.SM4SealAddress, sm4Input(nil, text), nil}, input{name("sm4open"), execute.SM4OpenAddress, sm4Input(nil, sealed), nil},
			input{name("sm4seal-aad"), execute.SM4SealAddress, aad, nil})
		for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
			inputs = append(inputs, input{name("nodesig-" + suite.Name()), execute.NodeSignatureAddress, signedInput(b, suite, text), suite})
		}
	}
	rules := params.Rules{IsOsaka: true}
	for _, in := range inputs {
		p := vm.ActivePrecompiledContracts(rules)[in.addr]
		if in.suite != nil {
			p = ofChain(in.suite, crypto.Hash{1}, in.addr)
		}
		b.Run(in.name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				gas := p.RequiredGas(in.data)
				out, err := p.Run(in.data)
				if err != nil || (len(out) == 0 && in.addr != execute.SM4OpenAddress) || gas == 0 {
					b.Fatal(hex.EncodeToString(out), err)
				}
			}
			cpu := float64((cpuTime() - start).Nanoseconds()) / float64(b.N)
			gas := float64(p.RequiredGas(in.data))
			b.ReportMetric(cpu, "cpu-ns/op")
			b.ReportMetric(gas, "gas")
			b.ReportMetric(gas*1000/cpu, "Mgas/s")
		})
	}
}
