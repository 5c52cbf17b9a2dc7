package execute

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// Addresses of the precompiled contracts for China's commercial cryptography: on every chain, whatever its suite, so that a contract means the
// same everywhere. 0x5001 stands far from Ethereum's and from those of RIPs (0x100 and up), which may still grow.
var (
	SM3Address     = common.HexToAddress("0x5001")
	SM2Address     = common.HexToAddress("0x5002")
	SM4SealAddress = common.HexToAddress("0x5003")
	SM4OpenAddress = common.HexToAddress("0x5004")
)

// Gas, from the measurement in docs/guomi-contracts.md: for the same time on a processor every contract costs more than ecrecover does, whatever the
// length of its input. SM3 costs what SHA-256 does. SM4's words cost more than its time asks for on processors with fast instructions for it,
// because without those it takes four times as long. What a call costs comes on top.
const (
	sm3Gas     = 60
	sm3WordGas = 12
	sm2Gas     = 7_500
	sm4Gas     = 300
	sm4WordGas = 24
)

const (
	sm2Input = 5 * 32 // e ‖ r ‖ s ‖ x ‖ y
	sm4Key   = 16
	// sm4Nonce is GCM's own length of a nonce (RFC 8998), for which it needs no hashing.
	sm4Nonce = 12
	sm4Head  = sm4Key + sm4Nonce + 4
)

// Errors of the SM4 contracts: the call fails and consumes its gas, as with Ethereum's precompiles for malformed input.
var (
	errSM4Input = errors.New("sm4-gcm: the input is not key ‖ nonce ‖ length of aad ‖ aad ‖ text")
	errSM4Tag   = errors.New("sm4-gcm: the tag does not fit")
)

// The contracts join geth's own tables, because that is where the preparation of a message, access lists and tracers look up what a precompile is: one
// that only the EVM knew would be cold to some and an account to others. All chains run Osaka's rules from their genesis; older rules, which only
// the conformance tests use, stay as they are.
func init() {
	for _, c := range []struct {
		addr common.Address
		vm.PrecompiledContract
	}{{SM3Address, sm3Hash{}}, {SM2Address, sm2Verify{}}, {SM4SealAddress, sm4Seal{}}, {SM4OpenAddress, sm4Open{}}} {
		vm.PrecompiledContractsOsaka[c.addr] = c.PrecompiledContract
		vm.PrecompiledAddressesOsaka = append(vm.PrecompiledAddressesOsaka, c.addr)
	}
}

// words is the length of the input in EVM words, rounded up.
func words(input []byte) uint64 { return (uint64(len(input)) + 31) / 32 }

// sm3Hash answers SM3 of its input (GB/T 32905).
type sm3Hash struct{}

func (sm3Hash) Name() string                    { return "SM3" }
func (sm3Hash) RequiredGas(input []byte) uint64 { return sm3Gas + sm3WordGas*words(input) }

func (sm3Hash) Run(input []byte) ([]byte, error) {
	sum := sm3.Sum(input)
	return sum[:], nil
}

// sm2Verify takes e ‖ r ‖ s ‖ x ‖ y, 32 bytes each, big-endian, and answers 1 in 32 bytes where (r, s) is the key's signature over the digest e
// (GB/T 32918.2, e = SM3(Z ‖ M)). For everything else it answers nothing, without failing, as RIP-7212's contract does.
type sm2Verify struct{}

func (sm2Verify) Name() string              { return "SM2VERIFY" }
func (sm2Verify) RequiredGas([]byte) uint64 { return sm2Gas }

func (sm2Verify) Run(input []byte) ([]byte, error) {
	if len(input) != sm2Input {
		return nil, nil
	}
	key, err := sm2.ParsePublicKey(input[96:])
	if err != nil || !key.VerifyDigest([32]byte(input), input[32:96]) {
		return nil, nil
	}
	return common.LeftPadBytes([]byte{1}, 32), nil
}

// sm4Seal takes key(16) ‖ nonce(12) ‖ length of aad (4, big-endian) ‖ aad ‖ plaintext and answers ciphertext ‖ tag(16): SM4-GCM of RFC 8998.
type sm4Seal struct{}

func (sm4Seal) Name() string                    { return "SM4GCMSEAL" }
func (sm4Seal) RequiredGas(input []byte) uint64 { return sm4Gas + sm4WordGas*words(input) }

func (sm4Seal) Run(input []byte) ([]byte, error) {
	gcm, nonce, aad, text, err := parseSM4(input)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(nil, nonce, text, aad), nil
}

// sm4Open takes key(16) ‖ nonce(12) ‖ length of aad (4, big-endian) ‖ aad ‖ ciphertext ‖ tag(16) and answers the plaintext.
type sm4Open struct{}

func (sm4Open) Name() string                    { return "SM4GCMOPEN" }
func (sm4Open) RequiredGas(input []byte) uint64 { return sm4Gas + sm4WordGas*words(input) }

func (sm4Open) Run(input []byte) ([]byte, error) {
	gcm, nonce, aad, text, err := parseSM4(input)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, text, aad)
	if err != nil {
		return nil, errSM4Tag
	}
	return plain, nil
}

// parseSM4 takes the input of both contracts apart; what it returns borrows from it.
func parseSM4(input []byte) (gcm cipher.AEAD, nonce, aad, text []byte, err error) {
	if len(input) < sm4Head {
		return nil, nil, nil, nil, errSM4Input
	}
	n := uint64(binary.BigEndian.Uint32(input[sm4Head-4:]))
	rest := input[sm4Head:]
	if n > uint64(len(rest)) {
		return nil, nil, nil, nil, errSM4Input
	}
	block, err := sm4.NewCipher(input[:sm4Key])
	if err != nil {
		return nil, nil, nil, nil, err
	}
	gcm, err = cipher.NewGCM(block)
	return gcm, input[sm4Key : sm4Key+sm4Nonce], rest[:n], rest[n:], err
}
