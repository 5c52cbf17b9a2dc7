package apps_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/execute/executetest"
)

// ledger is a chain in memory that runs blocks as a node does. geth's own EVM, where the other contracts are tested, is not enough here: the
// precompiles are the node's.
type ledger struct {
	t       *testing.T
	genesis *chain.Genesis
	exec    *execute.Executor
	state   *executetest.Ledger
	headers []*chain.Header
	sender  *ecdsa.PrivateKey
	nonce   uint64
}

func newLedger(t *testing.T) *ledger {
	key, err := gethcrypto.GenerateKey()
	require.NoError(t, err)
	l := &ledger{t: t, state: executetest.New(), sender: key}
	l.genesis = &chain.Genesis{
		Name: "test", ChainID: 1337, TimeMillis: 1_700_000_000_000, Suite: "intl",
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 1000, MaxBlockBytes: 16 << 20},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "one", PublicKey: []byte{1}, Address: common.Address{1}}},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesZero}, GasLimit: 1_000_000_000,
		Alloc: map[common.Address]chain.GenesisAccount{l.account(): {Balance: (*math.HexOrDecimal256)(big.NewInt(1e18))}},
	}
	require.NoError(t, l.genesis.Validate())
	l.exec, err = execute.New(execute.DefaultConfig(), l.genesis, intl.Suite{})
	require.NoError(t, err)
	writes := l.genesis.Writes(func(b []byte) common.Hash { return gethcrypto.Keccak256Hash(b) })
	root, err := l.state.Stage(context.Background(), 0, writes)
	require.NoError(t, err)
	l.headers = []*chain.Header{l.genesis.Header(intl.Suite{}, writes, root)}
	return l
}

func (l *ledger) account() common.Address { return gethcrypto.PubkeyToAddress(l.sender.PublicKey) }

func (l *ledger) head() *chain.Header { return l.headers[len(l.headers)-1] }

func (l *ledger) hash(height uint64) common.Hash { return l.headers[height].Hash() }

// send runs a transaction of the ledger's account in a block of its own.
func (l *ledger) send(data types.TxData) *types.Receipt {
	l.t.Helper()
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(l.genesis.ChainID))
	signed, err := types.SignNewTx(l.sender, signer, data)
	require.NoError(l.t, err)
	tx, err := chain.NewTx(signed)
	require.NoError(l.t, err)
	require.NoError(l.t, chain.NewVerifier(l.genesis).Verify(tx))
	height := uint64(len(l.headers))
	out, err := l.exec.Execute(context.Background(), execute.Input{
		Parent: l.head(), State: l.state, Txs: chain.Txs{tx}, BlockHash: l.hash,
		Decision: &chain.Decision{Height: height, TimeMillis: l.genesis.TimeMillis + 1000*height, Proposer: 1, Txs: chain.Txs{tx}.Hashes()},
		Rule:     l.genesis.Rule(), Next: l.genesis.Rule(),
	}, l.state)
	require.NoError(l.t, err)
	require.Empty(l.t, out.Excluded)
	l.headers = append(l.headers, out.Block.Header)
	l.nonce++
	return out.Receipts[0]
}

// deploy returns the address of a contract made with those arguments.
func (l *ledger) deploy(c *apps.Contract, args ...any) common.Address {
	l.t.Helper()
	creation, err := c.Creation(args...)
	require.NoError(l.t, err)
	receipt := l.send(&types.LegacyTx{Nonce: l.nonce, Gas: 5_000_000, GasPrice: new(big.Int), Data: creation})
	require.Equal(l.t, types.ReceiptStatusSuccessful, receipt.Status)
	return receipt.ContractAddress
}

// transact sends the call of a method, and reports whether it held.
func (l *ledger) transact(to common.Address, c *apps.Contract, value int64, method string, args ...any) bool {
	l.t.Helper()
	input, err := c.ABI.Pack(method, args...)
	require.NoError(l.t, err)
	receipt := l.send(&types.LegacyTx{Nonce: l.nonce, To: &to, Gas: 1_000_000, GasPrice: new(big.Int), Value: big.NewInt(value), Data: input})
	return receipt.Status == types.ReceiptStatusSuccessful
}

// ask calls a method without a transaction.
func (l *ledger) ask(from, to common.Address, gas uint64, c *apps.Contract, method string, args ...any) *chain.CallResult {
	l.t.Helper()
	input, err := c.ABI.Pack(method, args...)
	require.NoError(l.t, err)
	res, err := l.exec.Call(context.Background(), &chain.CallContext{Header: l.head(), State: l.state, BlockHash: l.hash},
		&chain.Call{From: from, To: &to, Data: input, Gas: &gas}, gas)
	require.NoError(l.t, err)
	return res
}

// read is what a method answers, which must not fail.
func (l *ledger) read(to common.Address, c *apps.Contract, method string, args ...any) []any {
	l.t.Helper()
	res := l.ask(common.Address{}, to, 10_000_000, c, method, args...)
	require.NoError(l.t, res.Err, method)
	out, err := c.ABI.Unpack(method, res.Return)
	require.NoError(l.t, err)
	return out
}

// refused checks that the call reverts with the named error.
func (l *ledger) refused(want string, from, to common.Address, c *apps.Contract, method string, args ...any) {
	l.t.Helper()
	res := l.ask(from, to, 10_000_000, c, method, args...)
	var revert *chain.RevertError
	require.ErrorAs(l.t, res.Err, &revert, method)
	id := c.ABI.Errors[want].ID
	require.GreaterOrEqual(l.t, len(revert.Data), 4, method)
	require.Equal(l.t, id[:4], revert.Data[:4], "%s is refused with %x, not with %s", method, revert.Data, want)
}

func (l *ledger) balance(of common.Address) uint64 {
	a, err := l.state.Account(of)
	require.NoError(l.t, err)
	if a == nil {
		return 0
	}
	return a.Balance.Uint64()
}

func bytes32(t *testing.T, s string) [32]byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return [32]byte(b)
}

func TestGuomiView(t *testing.T) {
	l := newLedger(t)
	view := l.deploy(apps.GuomiView)

	// GB/T 32905-2016, A.1; GB/T 32918.5-2017, A.2.
	require.Equal(t, []any{bytes32(t, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")}, l.read(view, apps.GuomiView, "sm3", []byte("abc")))
	message, id := []byte("message digest"), []byte(sm2.DefaultID)
	x := bytes32(t, "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020")
	y := bytes32(t, "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13")
	r := bytes32(t, "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3")
	s := bytes32(t, "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa")
	e := bytes32(t, "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640")
	require.Equal(t, []any{e}, l.read(view, apps.GuomiView, "digest", message, id, x, y))
	require.Equal(t, []any{true}, l.read(view, apps.GuomiView, "verify", message, id, r, s, x, y))
	for name, args := range map[string][]any{
		"message": {[]byte("message digesT"), id, r, s, x, y}, "id": {message, []byte("1234567812345679"), r, s, x, y}, "no id": {message, []byte{}, r, s, x, y},
		"r and s": {message, id, s, r, x, y}, "x and y": {message, id, r, s, y, x},
	} {
		require.Equal(t, []any{false}, l.read(view, apps.GuomiView, "verify", args...), name)
	}
	require.Equal(t, []any{true}, l.read(view, apps.GuomiView, "isOnCurve", x, y))
	require.Equal(t, []any{false}, l.read(view, apps.GuomiView, "isOnCurve", y, x))
	require.Equal(t, []any{false}, l.read(view, apps.GuomiView, "isOnCurve", [32]byte{}, [32]byte{}))
	require.Equal(t, []any{chain.SM2Address(append(x[:], y[:]...))}, l.read(view, apps.GuomiView, "addressOf", x, y))
	l.refused("IdentifierTooLong", l.account(), view, apps.GuomiView, "digest", message, make([]byte, 8192), x, y)

	// Fresh keys, identifiers of any length: what the Go side signs verifies.
	for _, length := range []int{1, 16, 8191} {
		key, err := sm2.GenerateKey(rand.Reader)
		require.NoError(t, err)
		public := key.Public().Bytes()
		id := bytes.Repeat([]byte{'i'}, length)
		sig, err := key.Sign(rand.Reader, string(id), message)
		require.NoError(t, err)
		ok := l.read(view, apps.GuomiView, "verify", message, id, [32]byte(sig), [32]byte(sig[32:]), [32]byte(public), [32]byte(public[32:]))
		require.Equal(t, []any{true}, ok, "an identifier of %d bytes", length)
	}
}

func TestGuomiViewSealsAndOpens(t *testing.T) {
	l := newLedger(t)
	view := l.deploy(apps.GuomiView)
	key, nonce, aad, plain := [16]byte{1}, [12]byte{2}, []byte("lot 7"), []byte("出价 1,200,000")
	sealed := l.read(view, apps.GuomiView, "seal", key, nonce, aad, plain)[0].([]byte)
	require.Len(t, sealed, len(plain)+16)
	require.Equal(t, []any{plain}, l.read(view, apps.GuomiView, "open", key, nonce, aad, sealed))
	require.Equal(t, []any{true, plain}, l.read(view, apps.GuomiView, "tryOpen", key, nonce, aad, sealed))
	tag := l.read(view, apps.GuomiView, "seal", key, nonce, aad, []byte{})[0].([]byte)
	require.Equal(t, []any{true, []byte{}}, l.read(view, apps.GuomiView, "tryOpen", key, nonce, aad, tag))

	altered := append([]byte{sealed[0] ^ 1}, sealed[1:]...)
	for name, args := range map[string][]any{
		"text": {key, nonce, aad, altered}, "aad": {key, nonce, []byte("lot 8"), sealed}, "key": {[16]byte{3}, nonce, aad, sealed},
		"nonce": {key, [12]byte{3}, aad, sealed}, "nothing": {key, nonce, aad, []byte{}},
	} {
		l.refused("SM4DoesNotOpen", l.account(), view, apps.GuomiView, "open", args...)
		require.Equal(t, []any{false, []byte{}}, l.read(view, apps.GuomiView, "tryOpen", args...), name)
	}
	// What does not open costs what it takes to see that, not all the gas there is.
	res := l.ask(l.account(), view, 1_000_000, apps.GuomiView, "tryOpen", key, nonce, aad, altered)
	require.NoError(t, res.Err)
	require.Less(t, res.GasUsed, uint64(40_000))

	// With any gas at all the answer is the right one or none: want of gas does not pass for a wrong tag. The text is long, so that the 64th of
	// the gas that stays with the contract would do to answer.
	plain = bytes.Repeat([]byte("嘉陵江"), 10_000)
	sealed = l.read(view, apps.GuomiView, "seal", key, nonce, aad, plain)[0].([]byte)
	input := mustPack(t, apps.GuomiView, "tryOpen", key, nonce, aad, sealed)
	answered, relay := 0, common.HexToAddress("0x4e1a")
	for gas := 0; gas < 500_000; gas += 499 {
		// The input passed on to the contract with that gas; the answer is whether it succeeded and what it returned.
		code := slices.Concat([]byte{0x36, 0x5f, 0x5f, 0x37, 0x5f, 0x5f, 0x36, 0x5f, 0x73}, view[:], []byte{0x62, byte(gas >> 16), byte(gas >> 8), byte(gas), 0xfa},
			[]byte{0x5f, 0x52, 0x3d, 0x5f, 0x60, 0x20, 0x3e, 0x3d, 0x60, 0x20, 0x01, 0x5f, 0xf3})
		res, err := l.exec.Call(context.Background(), &chain.CallContext{Header: l.head(), State: l.state, BlockHash: l.hash,
			Accounts: map[common.Address]chain.AccountOverride{relay: {Code: &code}}}, &chain.Call{To: &relay, Data: input}, 20_000_000)
		require.NoError(t, err)
		require.NoError(t, res.Err)
		if res.Return[31] == 1 {
			out, err := apps.GuomiView.ABI.Unpack("tryOpen", res.Return[32:])
			require.NoError(t, err)
			require.True(t, out[0].(bool) && bytes.Equal(plain, out[1].([]byte)), "with %d gas", gas)
			answered++
		} else {
			require.Zero(t, answered, "%d gas do not do, less did", gas)
		}
	}
	require.NotZero(t, answered)
}

// owner is a wallet's key.
type owner struct{ *sm2.PrivateKey }

func newOwner(t *testing.T) owner {
	key, err := sm2.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return owner{key}
}

func (o owner) x() [32]byte { return [32]byte(o.Public().Bytes()) }
func (o owner) y() [32]byte { return [32]byte(o.Public().Bytes()[32:]) }

func (o owner) account() common.Address { return chain.SM2Address(o.Public().Bytes()) }

// typed signs an EIP-712 struct of the wallet.
func (o owner) typed(t *testing.T, chainID uint64, wallet common.Address, typ string, fields ...[]byte) []byte {
	hash := func(parts ...[]byte) []byte { return gethcrypto.Keccak256(parts...) }
	domain := hash(hash([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")), hash([]byte("SM2Wallet")), hash([]byte("1")),
		word(new(big.Int).SetUint64(chainID).Bytes()), word(wallet[:]))
	digest := hash([]byte{0x19, 0x01}, domain, hash(append([][]byte{hash([]byte(typ))}, fields...)...))
	sig, err := o.Sign(rand.Reader, sm2.DefaultID, digest)
	require.NoError(t, err)
	return sig
}

func word(b []byte) []byte { return common.LeftPadBytes(b, 32) }

// command is a signed call of a wallet.
type command struct {
	to       common.Address
	value    int64
	data     []byte
	nonce    int64
	deadline int64
}

func (c command) signed(t *testing.T, o owner, chainID uint64, wallet common.Address) []byte {
	return o.typed(t, chainID, wallet, "Execute(address to,uint256 value,bytes data,uint256 nonce,uint256 deadline)",
		word(c.to[:]), word(big.NewInt(c.value).Bytes()), gethcrypto.Keccak256(c.data), word(big.NewInt(c.nonce).Bytes()), word(big.NewInt(c.deadline).Bytes()))
}

func (c command) args(sig []byte) []any {
	return []any{c.to, big.NewInt(c.value), c.data, big.NewInt(c.deadline), sig}
}

const never = 1 << 40

func TestSM2WalletObeysItsKey(t *testing.T) {
	l, o, w := newLedger(t), newOwner(t), apps.SM2Wallet
	wallet := l.deploy(w, o.x(), o.y())
	require.Equal(t, []any{o.x(), o.y(), o.account()}, l.read(wallet, w, "owner"))
	require.Equal(t, types.ReceiptStatusSuccessful, l.send(&types.LegacyTx{Nonce: l.nonce, To: &wallet, Gas: 100_000, GasPrice: new(big.Int), Value: big.NewInt(1000)}).Status)

	pay := command{to: bob, value: 300, data: []byte{}, deadline: never}
	sig := pay.signed(t, o, l.genesis.ChainID, wallet)
	require.True(t, l.transact(wallet, w, 0, "executeSigned", pay.args(sig)...))
	require.Equal(t, uint64(300), l.balance(bob))
	require.Equal(t, uint64(700), l.balance(wallet))
	requireBig(t, []any{big.NewInt(1)}, l.read(wallet, w, "nonce"))
	l.refused("WrongSignature", l.account(), wallet, w, "executeSigned", pay.args(sig)...) // a second time

	pay.nonce = 1
	sig = pay.signed(t, o, l.genesis.ChainID, wallet)
	for name, alter := range map[string]func(c *command, sig []byte) []byte{
		"to":            func(c *command, sig []byte) []byte { c.to = alice; return sig },
		"value":         func(c *command, sig []byte) []byte { c.value++; return sig },
		"data":          func(c *command, sig []byte) []byte { c.data = []byte{1}; return sig },
		"deadline":      func(c *command, sig []byte) []byte { c.deadline++; return sig },
		"a bit":         func(_ *command, sig []byte) []byte { sig[40] ^= 1; return sig },
		"short":         func(_ *command, sig []byte) []byte { return sig[:63] },
		"long":          func(_ *command, sig []byte) []byte { return append(sig, 0) },
		"none":          func(*command, []byte) []byte { return []byte{} },
		"other key":     func(c *command, _ []byte) []byte { return c.signed(t, newOwner(t), l.genesis.ChainID, wallet) },
		"other chain":   func(c *command, _ []byte) []byte { return c.signed(t, o, 1, wallet) },
		"other wallet":  func(c *command, _ []byte) []byte { return c.signed(t, o, l.genesis.ChainID, bob) },
		"a later nonce": func(c *command, _ []byte) []byte { c.nonce++; return c.signed(t, o, l.genesis.ChainID, wallet) },
	} {
		c := pay
		t.Log(name)
		bad := alter(&c, bytes.Clone(sig))
		l.refused("WrongSignature", l.account(), wallet, w, "executeSigned", c.args(bad)...)
	}
	late := command{to: bob, value: 1, data: []byte{}, nonce: 1, deadline: int64(l.head().Time) - 1}
	l.refused("Expired", l.account(), wallet, w, "executeSigned", late.args(late.signed(t, o, l.genesis.ChainID, wallet))...)

	// A call that fails comes back as it is, and counts for nothing.
	again := command{to: wallet, data: mustPack(t, w, "setOwner", [32]byte{1}, [32]byte{2}), nonce: 1, deadline: never}
	l.refused("NotAKey", l.account(), wallet, w, "executeSigned", again.args(again.signed(t, o, l.genesis.ChainID, wallet))...)
	requireBig(t, []any{big.NewInt(1)}, l.read(wallet, w, "nonce"))
}

func TestSM2WalletObeysItsKeysAccount(t *testing.T) {
	l, o, w := newLedger(t), newOwner(t), apps.SM2Wallet
	wallet := l.deploy(w, o.x(), o.y())
	require.Equal(t, types.ReceiptStatusSuccessful, l.send(&types.LegacyTx{Nonce: l.nonce, To: &wallet, Gas: 100_000, GasPrice: new(big.Int), Value: big.NewInt(1000)}).Status)

	require.NoError(t, l.ask(o.account(), wallet, 1_000_000, w, "execute", bob, big.NewInt(5), []byte{}).Err)
	l.refused("NotTheOwner", l.account(), wallet, w, "execute", bob, big.NewInt(5), []byte{})
	l.refused("NotTheOwner", common.Address{}, wallet, w, "execute", bob, big.NewInt(5), []byte{})
	l.refused("NotTheOwner", o.account(), wallet, w, "setOwner", o.x(), o.y())

	heir := newOwner(t)
	handover := command{to: wallet, data: mustPack(t, w, "setOwner", heir.x(), heir.y()), deadline: never}
	require.True(t, l.transact(wallet, w, 0, "executeSigned", handover.args(handover.signed(t, o, l.genesis.ChainID, wallet))...))
	require.Equal(t, []any{heir.x(), heir.y(), heir.account()}, l.read(wallet, w, "owner"))
	l.refused("NotTheOwner", o.account(), wallet, w, "execute", bob, big.NewInt(5), []byte{})
	require.NoError(t, l.ask(heir.account(), wallet, 1_000_000, w, "execute", bob, big.NewInt(5), []byte{}).Err)
}

func TestSM2WalletSignatures(t *testing.T) {
	l, o, w := newLedger(t), newOwner(t), apps.SM2Wallet
	wallet, twin := l.deploy(w, o.x(), o.y()), l.deploy(w, o.x(), o.y())
	hash := [32]byte(gethcrypto.Keccak256([]byte("a permit")))
	const message = "Message(bytes32 hash)"
	good, bad := []any{[4]byte{0x16, 0x26, 0xba, 0x7e}}, []any{[4]byte{0xff, 0xff, 0xff, 0xff}}
	sig := o.typed(t, l.genesis.ChainID, wallet, message, hash[:])
	require.Equal(t, good, l.read(wallet, w, "isValidSignature", hash, sig))
	require.Equal(t, bad, l.read(twin, w, "isValidSignature", hash, sig), "another wallet of the same key")
	require.Equal(t, bad, l.read(wallet, w, "isValidSignature", [32]byte{1}, sig))
	require.Equal(t, bad, l.read(wallet, w, "isValidSignature", hash, sig[:63]))
	require.Equal(t, bad, l.read(wallet, w, "isValidSignature", hash, newOwner(t).typed(t, l.genesis.ChainID, wallet, message, hash[:])))
	bare, err := o.Sign(rand.Reader, sm2.DefaultID, hash[:])
	require.NoError(t, err)
	require.Equal(t, bad, l.read(wallet, w, "isValidSignature", hash, bare), "the hash itself")

	ownerless := l.deploy(w, [32]byte{}, [32]byte{})
	require.Equal(t, bad, l.read(ownerless, w, "isValidSignature", hash, make([]byte, 64)))
	l.refused("NotTheOwner", common.Address{}, ownerless, w, "execute", bob, big.NewInt(0), []byte{})
	_, err = w.Creation([32]byte{}, [32]byte{})
	require.NoError(t, err)
	res, err := l.exec.Call(context.Background(), &chain.CallContext{Header: l.head(), State: l.state, BlockHash: l.hash},
		&chain.Call{From: l.account(), Data: mustCreation(t, w, [32]byte{1}, [32]byte{1})}, 5_000_000)
	require.NoError(t, err)
	require.Error(t, res.Err, "a key that is no point")
}

// TestSM2WalletIsTakenOn: an account with a secp256k1 key takes on the wallet's code (EIP-7702) and gives an SM2 key power over itself.
func TestSM2WalletIsTakenOn(t *testing.T) {
	l, o, w := newLedger(t), newOwner(t), apps.SM2Wallet
	code := l.deploy(w, [32]byte{}, [32]byte{})
	me := l.account()
	l.refused("NotTheOwner", bob, code, w, "setOwner", o.x(), o.y())

	authorization, err := types.SignSetCode(l.sender, types.SetCodeAuthorization{ChainID: *uint256.NewInt(l.genesis.ChainID), Address: code, Nonce: l.nonce + 1})
	require.NoError(t, err)
	receipt := l.send(&types.SetCodeTx{ChainID: uint256.NewInt(l.genesis.ChainID), Nonce: l.nonce, Gas: 500_000, To: me, GasTipCap: new(uint256.Int),
		GasFeeCap: new(uint256.Int), Value: new(uint256.Int), Data: mustPack(t, w, "setOwner", o.x(), o.y()), AuthList: []types.SetCodeAuthorization{authorization}})
	require.Equal(t, types.ReceiptStatusSuccessful, receipt.Status)
	l.nonce++ // the authorization's
	require.Equal(t, []any{o.x(), o.y(), o.account()}, l.read(me, w, "owner"))
	require.Equal(t, []any{[32]byte{}, [32]byte{}, common.Address{}}, l.read(code, w, "owner"), "the code itself has no owner")

	hash := [32]byte{7}
	sig := o.typed(t, l.genesis.ChainID, me, "Message(bytes32 hash)", hash[:])
	require.Equal(t, []any{[4]byte{0x16, 0x26, 0xba, 0x7e}}, l.read(me, w, "isValidSignature", hash, sig))
	pay := command{to: bob, value: 77, data: []byte{}, deadline: never}
	require.True(t, l.transact(me, w, 0, "executeSigned", pay.args(pay.signed(t, o, l.genesis.ChainID, me))...))
	require.Equal(t, uint64(77), l.balance(bob))
	l.refused("NotTheOwner", bob, me, w, "setOwner", o.x(), o.y())
}

// TestGuomiGas holds docs/guomi-contracts.md to its figures.
func TestGuomiGas(t *testing.T) {
	l, o, w := newLedger(t), newOwner(t), apps.SM2Wallet
	view, wallet := l.deploy(apps.GuomiView), l.deploy(w, o.x(), o.y())
	message, id := make([]byte, 32), []byte(sm2.DefaultID)
	sig, err := o.Sign(rand.Reader, sm2.DefaultID, message)
	require.NoError(t, err)
	args := []any{message, id, [32]byte(sig), [32]byte(sig[32:]), o.x(), o.y()}
	var tokens uint64 // EIP-2028: 4 gas for a zero byte of the input, 16 for another
	for _, b := range mustPack(t, apps.GuomiView, "verify", args...) {
		tokens += 4
		if b == 0 {
			tokens -= 3
		}
	}
	verify := l.ask(l.account(), view, 1_000_000, apps.GuomiView, "verify", args...).GasUsed - 21_000 - 4*tokens
	t.Logf("SM2.verify: %d gas", verify)
	require.InDelta(t, 11_100, verify, 100)

	pay := command{to: bob, data: []byte{}, deadline: never}
	require.True(t, l.transact(wallet, w, 0, "executeSigned", pay.args(pay.signed(t, o, l.genesis.ChainID, wallet))...))
	pay.nonce++
	signed := pay.args(pay.signed(t, o, l.genesis.ChainID, wallet))
	command := l.ask(l.account(), wallet, 1_000_000, w, "executeSigned", signed...).GasUsed
	t.Logf("SM2Wallet.executeSigned: %d gas", command)
	require.InDelta(t, 50_300, command, 300)
}

func mustPack(t *testing.T, c *apps.Contract, method string, args ...any) []byte {
	input, err := c.ABI.Pack(method, args...)
	require.NoError(t, err)
	return input
}

func mustCreation(t *testing.T, c *apps.Contract, args ...any) []byte {
	data, err := c.Creation(args...)
	require.NoError(t, err)
	return data
}
