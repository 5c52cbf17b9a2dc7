package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/apps"
)

// chainID is the benchmark's own, so that nothing signed here means anything elsewhere.
const chainID = 20260

// unitsPerHolder is what every holder owns at first.
const unitsPerHolder = 1_000_000

// fundPerTx is how many holders one transaction funds: about 62,000 gas each, within the 2^24 that one transaction may use (EIP-7825).
const fundPerTx = 250

// funderCode is a contract that gives each of many addresses 1 wei and an amount of a token that it owns itself. Its call data is
// token (32 bytes) ‖ amount (32 bytes) ‖ address (20 bytes)…; one failed payment reverts all.
var funderCode = []byte{
	0x63, 0xa9, 0x05, 0x9c, 0xbb, 0x60, 0xe0, 0x1b, 0x5f, 0x52, // memory[0] = selector of transfer(address,uint256)
	0x60, 0x20, 0x35, 0x60, 0x24, 0x52, // memory[36] = amount
	0x60, 0x40, // i = 64
	0x5b,                                                 // 18 loop:
	0x36, 0x81, 0x10, 0x15, 0x60, funderEnd & 0xff, 0x57, // if i >= calldatasize goto end
	0x80, 0x35, 0x60, 0x60, 0x1c, // address = calldata[i] >> 96
	0x80, 0x60, 0x04, 0x52, // memory[4] = address
	0x5f, 0x5f, 0x5f, 0x5f, 0x60, 0x01, 0x85, 0x5a, 0xf1, // call(gas, address, 1 wei)
	0x15, 0x60, funderFail & 0xff, 0x57, // if it failed goto fail
	0x50,                                                       // forget the address
	0x5f, 0x5f, 0x60, 0x44, 0x5f, 0x5f, 0x5f, 0x35, 0x5a, 0xf1, // call(gas, token, 0 wei, memory[0:68])
	0x15, 0x60, funderFail & 0xff, 0x57, // if it failed goto fail
	0x60, 0x14, 0x01, 0x60, 0x12, 0x56, // i += 20, goto loop
	0x5b, 0x00, // end: stop
	0x5b, 0x5f, 0x5f, 0xfd, // fail: revert
}

const (
	funderEnd  = 69
	funderFail = 71
)

// creation wraps code into init code that returns it.
func creation(code []byte) []byte {
	return append([]byte{0x60, byte(len(code)), 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3, 0x00}, code...)
}

// token is the deployed ERC-20 and what we know of its holders.
type token struct {
	chainID *big.Int
	address common.Address
	// moved is what each holder has won or lost by the transfers signed so far.
	moved []int
}

// treasurer owns everything at first and pays for the set-up.
type treasurer struct {
	key     *ecdsa.PrivateKey
	address common.Address
	nonce   uint64
}

func newTreasurer(seed int64) *treasurer {
	key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte("jialing bench treasurer"), big.NewInt(seed).Bytes()))
	if err != nil {
		panic("bench: " + err.Error()) // one chance in 2^128
	}
	return &treasurer{key: key, address: gethcrypto.PubkeyToAddress(key.PublicKey)}
}

// sign signs the treasurer's next transaction; to nil creates a contract.
func (t *treasurer) sign(to *common.Address, value *big.Int, gas uint64, data []byte) (signed, error) {
	id := big.NewInt(chainID)
	tx, err := types.SignNewTx(t.key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: t.nonce, GasTipCap: new(big.Int), GasFeeCap: new(big.Int), Gas: gas, To: to, Value: value, Data: data})
	if err != nil {
		return signed{}, fmt.Errorf("sign: %w", err)
	}
	t.nonce++
	raw, err := tx.MarshalBinary()
	return signed{tx.Hash(), raw}, err
}

// newToken is the token that deploy deploys: the treasurer's first transaction.
func newToken(owner common.Address, holders int) *token {
	return &token{chainID: big.NewInt(chainID), address: gethcrypto.CreateAddress(owner, 0), moved: make([]int, holders)}
}

// deploy deploys the token and the funder, which then owns all units, and has the funder pay every holder.
func (c *token) deploy(ctx context.Context, nodes []string, t *treasurer, h *holders) error {
	supply := new(big.Int).Mul(big.NewInt(unitsPerHolder), big.NewInt(int64(len(h.addresses))))
	data, err := apps.Token.Creation(supply)
	if err != nil {
		return err
	}
	funder := gethcrypto.CreateAddress(t.address, t.nonce+1)
	var txs []signed
	add := func(to *common.Address, value *big.Int, gas uint64, data []byte) {
		tx, e := t.sign(to, value, gas, data)
		err = errors.Join(err, e)
		txs = append(txs, tx)
	}
	add(nil, new(big.Int), 5_000_000, data)
	add(nil, new(big.Int), 1_000_000, creation(funderCode))
	add(&c.address, new(big.Int), 100_000, transferData(funder, supply))
	for at := 0; at < len(h.addresses); at += fundPerTx {
		to := h.addresses[at:min(at+fundPerTx, len(h.addresses))]
		add(&funder, big.NewInt(int64(len(to))), 1<<24, fundData(c.address, to))
	}
	if err != nil {
		return err
	}
	// One connection and small batches keep the nonces in order; the gas of this many is some blocks' worth.
	o, err := drive(ctx, nodes, load{txs: txs, batch: 10, connections: 1, window: 400})
	if err != nil {
		return err
	}
	return verifyReceipts(ctx, nodes[0], o, len(txs))
}

func fundData(token common.Address, to []common.Address) []byte {
	data := make([]byte, 64, 64+20*len(to))
	copy(data[12:], token[:])
	big.NewInt(unitsPerHolder).FillBytes(data[32:])
	for _, a := range to {
		data = append(data, a[:]...)
	}
	return data
}

// verifyReceipts checks that all n transactions of an outcome's blocks succeeded.
func verifyReceipts(ctx context.Context, node string, o *outcome, n int) error {
	view, err := dialView(ctx, node)
	if err != nil {
		return err
	}
	defer view.close()
	failed, total, err := view.failures(ctx, o.from, o.to)
	if err != nil {
		return err
	}
	if failed > 0 || total != n {
		return fmt.Errorf("blocks %d to %d hold %d receipts, %d of them failed; %d successes were due", o.from+1, o.to, total, failed, n)
	}
	return nil
}

// verifyBalances asks for the balance of some holders and compares it with what the transfers must have left.
func (c *token) verifyBalances(ctx context.Context, node string, h *holders, sample int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	view, err := dialView(ctx, node)
	if err != nil {
		return err
	}
	defer view.close()
	step := max(1, len(h.addresses)/sample)
	for i := 0; i < len(h.addresses); i += step {
		var got hexutil.Bytes
		data := append(common.FromHex("70a08231"), common.LeftPadBytes(h.addresses[i][:], 32)...)
		call := map[string]any{"to": c.address, "data": hexutil.Bytes(data)}
		if err := view.rpc.CallContext(ctx, &got, "eth_call", call, "latest"); err != nil {
			return fmt.Errorf("ask for a balance: %w", err)
		}
		if want := int64(unitsPerHolder + c.moved[i]); new(big.Int).SetBytes(got).Cmp(big.NewInt(want)) != 0 {
			return fmt.Errorf("holder %d owns %d units, the transfers leave %d", i, new(big.Int).SetBytes(got), want)
		}
	}
	return nil
}
