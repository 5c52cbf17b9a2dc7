package execute_test

import (
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
)

// seed is JIALING_SEED or a new one; it is printed so that a failure can be repeated.
func seed(t testing.TB) *rand.Rand {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("JIALING_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("JIALING_SEED: %v", err)
		}
	}
	t.Logf("repeat with JIALING_SEED=%d", s)
	return rand.New(rand.NewPCG(s, 1))
}

// program is EVM code under construction.
type program []byte

func (p *program) op(ops ...vm.OpCode) {
	for _, o := range ops {
		*p = append(*p, byte(o))
	}
}

func (p *program) push(b []byte) {
	*p = append(*p, byte(vm.PUSH1)+byte(len(b)-1))
	*p = append(*p, b...)
}

func (p *program) num(n uint64) {
	p.push(binary.BigEndian.AppendUint64(nil, n))
}

// deploying is init code that returns code.
func deploying(code []byte) []byte {
	var p program
	p.num(uint64(len(code)))
	p.op(vm.DUP1)
	p.num(9 + 1 + 9 + 9 + 1 + 9 + 1)
	p.num(0)
	p.op(vm.CODECOPY)
	p.num(0)
	p.op(vm.RETURN)
	return append(p, code...)
}

// generator draws transactions that touch everything that a StateDB does.
type generator struct {
	*rand.Rand
	w *world
	// places are addresses to call: accounts, contracts, precompiles, nothing at all.
	places []common.Address
	// phoenixes are pairs of a contract and the child that it brings back at one address.
	phoenixes []common.Address
	nonces    []uint64
	// ops counts the program steps drawn.
	ops int
	fee *big.Int
}

func newGenerator(r *rand.Rand, w *world) *generator {
	g := &generator{Rand: r, w: w, nonces: make([]uint64, len(w.addrs)), fee: w.genesis.BaseFee()}
	g.places = append(g.places, w.addrs...)
	g.places = append(g.places, proposer, common.HexToAddress("0xdead"), common.HexToAddress("0xbeef"))
	for i := byte(1); i <= 5; i++ {
		g.places = append(g.places, common.BytesToAddress([]byte{i}))
	}
	return g
}

func (g *generator) place() common.Address {
	if len(g.phoenixes) > 0 && g.IntN(5) == 0 {
		return g.phoenixes[g.IntN(len(g.phoenixes))]
	}
	return g.places[g.IntN(len(g.places))]
}

func (g *generator) small() []byte { return []byte{byte(g.IntN(6))} }

// snippet is one stack-neutral step of a program.
func (g *generator) snippet(p *program, depth int) {
	g.ops++
	switch g.IntN(20) {
	case 0, 1, 2:
		p.push(g.small())
		p.push(g.small())
		p.op(vm.SSTORE)
	case 3:
		p.push(g.small())
		p.op(vm.SLOAD)
		p.op([]vm.OpCode{vm.CALLER, vm.ADDRESS, vm.CALLVALUE, vm.GAS, vm.TIMESTAMP, vm.NUMBER, vm.PREVRANDAO, vm.COINBASE, vm.BASEFEE, vm.GASLIMIT,
			vm.SELFBALANCE, vm.ORIGIN, vm.GASPRICE, vm.CODESIZE}[g.IntN(14)], vm.XOR)
		p.push(g.small())
		p.op(vm.SSTORE)
	case 4:
		p.push(g.small())
		p.push(g.small())
		p.op(vm.TSTORE)
	case 5:
		p.push(g.small())
		p.op(vm.TLOAD)
		p.push(g.small())
		p.op(vm.SSTORE)
	case 6, 7:
		n := g.IntN(5)
		for range n {
			p.push(g.small())
		}
		p.push(g.small())
		p.push(g.small())
		p.op(vm.LOG0 + vm.OpCode(n))
	case 8:
		at := g.place()
		p.push(at[:])
		p.op([]vm.OpCode{vm.BALANCE, vm.EXTCODESIZE, vm.EXTCODEHASH}[g.IntN(3)])
		p.push(g.small())
		p.op(vm.SSTORE)
	case 9, 10, 11, 12:
		g.call(p)
	case 13, 14, 15:
		g.create(p, depth)
	case 16:
		p.op(vm.NUMBER)
		p.push([]byte{byte(g.IntN(4))})
		p.op(vm.SWAP1, vm.SUB, vm.BLOCKHASH)
		p.push(g.small())
		p.op(vm.SSTORE)
	case 17:
		p.push(g.small())
		p.push([]byte{0})
		p.op(vm.MSTORE)
		p.push([]byte{32})
		p.push([]byte{0})
		p.op(vm.KECCAK256)
		p.push(g.small())
		p.op(vm.SSTORE)
	default:
		at := g.place()
		p.push([]byte{40})
		p.push([]byte{0})
		p.push([]byte{0})
		p.push(at[:])
		p.op(vm.EXTCODECOPY)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (g *generator) call(p *program) {
	kind := []vm.OpCode{vm.CALL, vm.CALL, vm.CALLCODE, vm.DELEGATECALL, vm.STATICCALL}[g.IntN(5)]
	p.push([]byte{32})
	p.push([]byte{0})
	p.push([]byte{byte(g.IntN(40))})
	p.push([]byte{0})
	if kind == vm.CALL || kind == vm.CALLCODE {
		p.push([]byte{byte(g.IntN(3))})
	}
	at := g.place()
	p.push(at[:])
	p.num(uint64(g.IntN(200_000)))
	p.op(kind)
	if g.IntN(2) == 0 {
		p.op(vm.POP)
		return
	}
	p.push(g.small())
	p.op(vm.SSTORE)
}

// create makes a child; with CREATE2 and a constant salt the same address comes back after a self-destruct.
func (g *generator) create(p *program, depth int) {
	if depth > 2 {
		return
	}
	child := deploying(g.program(depth + 1))
	if g.IntN(4) == 0 {
		child = g.program(depth + 1)
	}
	for i := 0; i < len(child); i += 32 {
		word := make([]byte, 32)
		copy(word, child[i:])
		p.push(word)
		p.num(uint64(i))
		p.op(vm.MSTORE)
	}
	salted := g.IntN(2) == 0
	if salted {
		p.push([]byte{byte(g.IntN(2))})
	}
	p.num(uint64(len(child)))
	p.push([]byte{0})
	p.push([]byte{byte(g.IntN(2))})
	if salted {
		p.op(vm.CREATE2)
	} else {
		p.op(vm.CREATE)
	}
	switch g.IntN(3) {
	case 0:
		p.op(vm.POP)
	case 1:
		p.push(g.small())
		p.op(vm.SSTORE)
	default: // call the child
		for range 5 {
			p.push([]byte{0})
		}
		p.op(vm.DUP6)
		p.num(100_000)
		p.op(vm.CALL, vm.POP, vm.POP)
	}
}

// program is code of a few steps with an end.
func (g *generator) program(depth int) program {
	var p program
	for range 1 + g.IntN(9) {
		g.snippet(&p, depth)
	}
	switch g.IntN(12) {
	case 0:
		p.push([]byte{0})
		p.push([]byte{0})
		p.op(vm.REVERT)
	case 1:
		p.op(vm.INVALID)
	case 2, 3, 4:
		at := g.place()
		p.push(at[:])
		if g.IntN(4) == 0 {
			p.op(vm.POP, vm.ADDRESS)
		}
		p.op(vm.SELFDESTRUCT)
	default:
		p.op(vm.STOP)
	}
	return p
}

// phoenix is code that makes, on each call, a child at one and the same address, and that child's address where the code stands at addr.
// The child counts its calls in storage and destroys itself when it is called.
func (g *generator) phoenix(addr common.Address) (code []byte, childAddr common.Address) {
	var child program
	child.push([]byte{1})
	child.push(g.small())
	child.op(vm.DUP1, vm.SLOAD, vm.DUP3, vm.ADD, vm.SWAP1, vm.SSTORE, vm.POP, vm.CALLER, vm.SELFDESTRUCT)
	init := deploying(child)
	p := program{}
	for i := 0; i < len(init); i += 32 {
		word := make([]byte, 32)
		copy(word, init[i:])
		p.push(word)
		p.num(uint64(i))
		p.op(vm.MSTORE)
	}
	p.push([]byte{0})
	p.num(uint64(len(init)))
	p.push([]byte{0})
	p.push([]byte{0})
	p.op(vm.CREATE2, vm.STOP)
	return p, gethcrypto.CreateAddress2(addr, [32]byte{}, gethcrypto.Keccak256(init))
}

// tx draws a signed transaction of sender i; sometimes one that cannot be in a block.
func (g *generator) tx(i int) types.TxData {
	nonce := g.nonces[i]
	g.nonces[i]++
	switch g.IntN(40) {
	case 0:
		g.nonces[i] = nonce
		nonce += uint64(1 + g.IntN(3))
	case 1:
		g.nonces[i] = nonce
		nonce -= min(nonce, 1)
	}
	gas := uint64(60_000 + g.IntN(3_000_000))
	if g.IntN(30) == 0 {
		gas = uint64(20_000 + g.IntN(3_000))
	}
	feeCap := new(big.Int).Add(g.fee, big.NewInt(int64(g.IntN(5))))
	tip := new(big.Int)
	if g.fee.Sign() > 0 {
		tip.SetInt64(int64(g.IntN(3)))
		if g.IntN(20) == 0 {
			feeCap.Sub(g.fee, big.NewInt(1))
		}
		if tip.Cmp(feeCap) > 0 {
			tip.Set(feeCap)
		}
	}
	value := big.NewInt(int64(g.IntN(4)))
	if g.IntN(40) == 0 {
		value.Lsh(value, 90)
	}
	to := g.place()
	var data []byte
	for range g.IntN(40) {
		data = append(data, byte(g.IntN(3)))
	}
	switch g.IntN(8) {
	case 0, 1, 2: // deploy
		at := gethcrypto.CreateAddress(g.w.addrs[i], nonce)
		code := deploying(g.program(0))
		switch g.IntN(6) {
		case 0:
			code = g.program(0)
		case 1:
			runtime, child := g.phoenix(at)
			code = deploying(runtime)
			g.phoenixes = append(g.phoenixes, at, child)
		}
		g.places = append(g.places, at)
		return &types.DynamicFeeTx{ChainID: g.w.signer.ChainID(), Nonce: nonce, Gas: gas, GasFeeCap: feeCap, GasTipCap: tip, Value: value, Data: code}
	case 3:
		return &types.AccessListTx{ChainID: g.w.signer.ChainID(), Nonce: nonce, Gas: gas, GasPrice: feeCap, To: &to, Value: value, Data: data,
			AccessList: types.AccessList{{Address: g.place(), StorageKeys: []common.Hash{{31: 1}, {31: byte(g.IntN(6))}}}, {Address: to}}}
	case 4:
		return g.setCode(nonce, gas, feeCap, tip, value, to, data)
	}
	return &types.LegacyTx{Nonce: nonce, Gas: gas, GasPrice: feeCap, To: &to, Value: value, Data: data}
}

func (g *generator) setCode(nonce, gas uint64, feeCap, tip, value *big.Int, to common.Address, data []byte) types.TxData {
	var list []types.SetCodeAuthorization
	for range 1 + g.IntN(3) {
		who := g.IntN(len(g.w.keys))
		target := g.place()
		if g.IntN(4) == 0 {
			target = common.Address{}
		}
		a, err := types.SignSetCode(g.w.keys[who], types.SetCodeAuthorization{
			ChainID: *uint256.NewInt(uint64(g.IntN(2)) * g.w.genesis.ChainID), Address: target, Nonce: g.nonces[who] + uint64(g.IntN(2)),
		})
		if err != nil {
			panic(err)
		}
		list = append(list, a)
	}
	return &types.SetCodeTx{ChainID: uint256.NewInt(g.w.genesis.ChainID), Nonce: nonce, Gas: gas, GasFeeCap: uint256.MustFromBig(feeCap),
		GasTipCap: uint256.MustFromBig(tip), To: to, Value: uint256.MustFromBig(value), Data: data, AuthList: list}
}
