package eth

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

// stateService has the methods that read accounts, at any height whose state is kept.
type stateService struct{ a *API }

// stateAt returns the state after a block and its height.
func (a *API) stateAt(at *rpc.BlockNumberOrHash) (chain.State, uint64, error) {
	height, ok, err := a.heightOf(at)
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, errNoBlock
	}
	st, err := a.states.State(height)
	if err != nil {
		return nil, 0, fmt.Errorf("state of block %d: %w", height, err)
	}
	return st, height, nil
}

// account is nil for one that does not exist.
func (a *API) account(addr common.Address, at *rpc.BlockNumberOrHash) (*chain.Account, error) {
	st, _, err := a.stateAt(at)
	if err != nil {
		return nil, err
	}
	acc, err := st.Account(addr)
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", addr, err)
	}
	return acc, nil
}

// GetBalance is eth_getBalance.
func (s *stateService) GetBalance(addr common.Address, at *rpc.BlockNumberOrHash) (*hexutil.U256, error) {
	acc, err := s.a.account(addr, at)
	if err != nil {
		return nil, err
	}
	if acc == nil {
		return new(hexutil.U256), nil
	}
	return (*hexutil.U256)(&acc.Balance), nil
}

// GetCode is eth_getCode.
func (s *stateService) GetCode(addr common.Address, at *rpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	st, _, err := s.a.stateAt(at)
	if err != nil {
		return nil, err
	}
	acc, err := st.Account(addr)
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", addr, err)
	}
	if acc == nil {
		return hexutil.Bytes{}, nil
	}
	code, err := st.Code(acc.CodeHash)
	if err != nil {
		return nil, fmt.Errorf("read code of %s: %w", addr, err)
	}
	return code, nil
}

// GetStorageAt is eth_getStorageAt.
func (s *stateService) GetStorageAt(addr common.Address, key string, at *rpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	slot, _, err := parseSlot(key)
	if err != nil {
		return nil, err
	}
	st, _, err := s.a.stateAt(at)
	if err != nil {
		return nil, err
	}
	v, err := st.Slot(addr, slot)
	if err != nil {
		return nil, fmt.Errorf("read storage of %s: %w", addr, err)
	}
	return v[:], nil
}

// GetProof is eth_getProof (EIP-1186), at any height whose state is kept.
func (s *stateService) GetProof(ctx context.Context, addr common.Address, keys []string, at *rpc.BlockNumberOrHash) (json.RawMessage, error) {
	if len(keys) > s.a.cfg.MaxStorageKeys {
		return nil, invalidParams("too many storage keys: %d, at most %d", len(keys), s.a.cfg.MaxStorageKeys)
	}
	slots := make([]common.Hash, len(keys))
	whole := make([]bool, len(keys))
	for i, key := range keys {
		var err error
		if slots[i], whole[i], err = parseSlot(key); err != nil {
			return nil, err
		}
	}
	height, ok, err := s.a.heightOf(at)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errNoBlock
	}
	leave, err := s.a.callGate.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, s.a.cfg.CallTimeout)
	defer cancel()
	p, err := s.a.states.Prove(ctx, height, addr, slots)
	if err != nil {
		return nil, clientError(fmt.Errorf("prove %s at block %d: %w", addr, height, err))
	}
	if len(p.Storage) != len(slots) {
		return nil, errors.New("the proof lacks storage slots")
	}
	return proofJSON(p, whole), nil
}

// proofJSON writes EIP-1186's shape. A key comes back as it was given: 32 bytes as such, shorter ones as a quantity.
func proofJSON(p *chain.AccountProof, whole []bool) json.RawMessage {
	b := append([]byte(nil), `{"address":`...)
	b = appendBytes(b, p.Address[:])
	b = append(b, `,"accountProof":`...)
	b = appendByteList(b, p.Proof)
	b = append(b, `,"balance":`...)
	b = appendU256(b, &p.Account.Balance)
	b = append(b, `,"codeHash":`...)
	b = appendBytes(b, p.Account.CodeHash[:])
	b = append(b, `,"nonce":`...)
	b = appendUint(b, p.Account.Nonce)
	b = append(b, `,"storageHash":`...)
	b = appendBytes(b, p.StorageHash[:])
	b = append(b, `,"storageProof":[`...)
	for i := range p.Storage {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"key":`...)
		if whole[i] {
			b = appendBytes(b, p.Storage[i].Key[:])
		} else {
			b = appendBig(b, p.Storage[i].Key.Big())
		}
		b = append(b, `,"value":`...)
		b = appendBig(b, p.Storage[i].Value.Big())
		b = append(b, `,"proof":`...)
		b = appendByteList(b, p.Storage[i].Proof)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

func appendByteList(b []byte, list [][]byte) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendBytes(b, list[i])
	}
	return append(b, ']')
}

// parseSlot reads a storage key, which tools give as 32 bytes, as a quantity, and with or without 0x. whole tells that it had 32 bytes.
func parseSlot(s string) (slot common.Hash, whole bool, err error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	if len(digits) > 64 {
		return slot, false, invalidParams("storage key too long (want at most 32 bytes): %q", s[:min(len(s), 80)])
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return slot, false, invalidParams("invalid hex in storage key: %q", s)
	}
	return common.BytesToHash(b), len(b) == 32, nil
}
