// Code generated via abigen V2 - DO NOT EDIT.
// This file is a generated binding and any manual changes will be lost.

package binding

import (
	"bytes"
	"errors"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Reference imports to suppress errors if they are not otherwise used.
var (
	_ = bytes.Equal
	_ = errors.New
	_ = big.NewInt
	_ = common.Big1
	_ = types.BloomLookup
	_ = abi.ConvertType
)

// DelegateCall is an auto generated low-level Go binding around an user-defined struct.
type DelegateCall struct {
	To    common.Address
	Value *big.Int
	Data  []byte
}

// ProbeDelivery is an auto generated low-level Go binding around an user-defined struct.
type ProbeDelivery struct {
	From     common.Address
	To       common.Address
	Document string
	Amount   *big.Int
}

// DelegateMetaData contains all meta data concerning the Delegate contract.
var DelegateMetaData = bind.MetaData{
	ABI: "[{\"inputs\":[{\"internalType\":\"address\",\"name\":\"caller\",\"type\":\"address\"}],\"name\":\"NotSelf\",\"type\":\"error\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"account\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"uint256\",\"name\":\"calls\",\"type\":\"uint256\"}],\"name\":\"Executed\",\"type\":\"event\"},{\"inputs\":[{\"components\":[{\"internalType\":\"address\",\"name\":\"to\",\"type\":\"address\"},{\"internalType\":\"uint256\",\"name\":\"value\",\"type\":\"uint256\"},{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"internalType\":\"structDelegate.Call[]\",\"name\":\"calls\",\"type\":\"tuple[]\"}],\"name\":\"executeBatch\",\"outputs\":[],\"stateMutability\":\"payable\",\"type\":\"function\"},{\"stateMutability\":\"payable\",\"type\":\"receive\"}]",
	ID:  "Delegate",
	Bin: "0x6080604052348015600e575f5ffd5b506102d38061001c5f395ff3fe608060405260043610610020575f3560e01c806334fcd5be1461002b575f5ffd5b3661002757005b5f5ffd5b61003e6100393660046101aa565b610040565b005b333014610066576040516307d116ed60e41b815233600482015260240160405180910390fd5b5f5b81811015610170575f5f8484848181106100845761008461021b565b9050602002810190610096919061022f565b6100a490602081019061024d565b6001600160a01b03168585858181106100bf576100bf61021b565b90506020028101906100d1919061022f565b602001358686868181106100e7576100e761021b565b90506020028101906100f9919061022f565b61010790604081019061027a565b6040516101159291906102c4565b5f6040518083038185875af1925050503d805f811461014f576040519150601f19603f3d011682016040523d82523d5f602084013e610154565b606091505b50915091508161016657805160208201fd5b5050600101610068565b5060405181815230907f6f6c6d78a4851d4c222c8404fc92372ee84b7b81054305ae8ea3c83c2dabd42e9060200160405180910390a25050565b5f5f602083850312156101bb575f5ffd5b823567ffffffffffffffff8111156101d1575f5ffd5b8301601f810185136101e1575f5ffd5b803567ffffffffffffffff8111156101f7575f5ffd5b8560208260051b840101111561020b575f5ffd5b6020919091019590945092505050565b634e487b7160e01b5f52603260045260245ffd5b5f8235605e19833603018112610243575f5ffd5b9190910192915050565b5f6020828403121561025d575f5ffd5b81356001600160a01b0381168114610273575f5ffd5b9392505050565b5f5f8335601e1984360301811261028f575f5ffd5b83018035915067ffffffffffffffff8211156102a9575f5ffd5b6020019150368190038213156102bd575f5ffd5b9250929050565b818382375f910190815291905056",
}

// Delegate is an auto generated Go binding around an Ethereum contract.
type Delegate struct {
	abi abi.ABI
}

// GetABI returns the ABI associated with this contract binding.
func (c *Delegate) GetABI() abi.ABI {
	return c.abi
}

// NewDelegate creates a new instance of Delegate.
func NewDelegate() *Delegate {
	parsed, err := DelegateMetaData.ParseABI()
	if err != nil {
		panic(errors.New("invalid ABI: " + err.Error()))
	}
	return &Delegate{abi: *parsed}
}

// Instance creates a wrapper for a deployed contract instance at the given address.
// Use this to create the instance object passed to abigen v2 library functions Call, Transact, etc.
func (c *Delegate) Instance(backend bind.ContractBackend, addr common.Address) *bind.BoundContract {
	return bind.NewBoundContract(addr, c.abi, backend, backend, backend)
}

// PackExecuteBatch is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x34fcd5be.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function executeBatch((address,uint256,bytes)[] calls) payable returns()
func (delegate *Delegate) PackExecuteBatch(calls []DelegateCall) []byte {
	enc, err := delegate.abi.Pack("executeBatch", calls)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackExecuteBatch is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x34fcd5be.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function executeBatch((address,uint256,bytes)[] calls) payable returns()
func (delegate *Delegate) TryPackExecuteBatch(calls []DelegateCall) ([]byte, error) {
	return delegate.abi.Pack("executeBatch", calls)
}

// DelegateExecuted represents a Executed event raised by the Delegate contract.
type DelegateExecuted struct {
	Account common.Address
	Calls   *big.Int
	Raw     *types.Log // Blockchain specific contextual infos
}

const DelegateExecutedEventName = "Executed"

// ContractEventName returns the user-defined event name.
func (DelegateExecuted) ContractEventName() string {
	return DelegateExecutedEventName
}

// UnpackExecutedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Executed(address indexed account, uint256 calls)
func (delegate *Delegate) UnpackExecutedEvent(log *types.Log) (*DelegateExecuted, error) {
	event := "Executed"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != delegate.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(DelegateExecuted)
	if len(log.Data) > 0 {
		if err := delegate.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range delegate.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// UnpackError attempts to decode the provided error data using user-defined
// error definitions.
func (delegate *Delegate) UnpackError(raw []byte) (any, error) {
	if bytes.Equal(raw[:4], delegate.abi.Errors["NotSelf"].ID.Bytes()[:4]) {
		return delegate.UnpackNotSelfError(raw[4:])
	}
	return nil, errors.New("Unknown error")
}

// DelegateNotSelf represents a NotSelf error raised by the Delegate contract.
type DelegateNotSelf struct {
	Caller common.Address
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotSelf(address caller)
func DelegateNotSelfErrorID() common.Hash {
	return common.HexToHash("0x7d116ed0034b60cbd7ac51123250ba1987156a6d5a5dac7d1b740c1202a31722")
}

// UnpackNotSelfError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotSelf(address caller)
func (delegate *Delegate) UnpackNotSelfError(raw []byte) (*DelegateNotSelf, error) {
	out := new(DelegateNotSelf)
	if err := delegate.abi.UnpackIntoInterface(out, "NotSelf", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ProbeMetaData contains all meta data concerning the Probe contract.
var ProbeMetaData = bind.MetaData{
	ABI: "[{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"start\",\"type\":\"uint256\"}],\"stateMutability\":\"payable\",\"type\":\"constructor\"},{\"inputs\":[],\"name\":\"InnerCallFailed\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"caller\",\"type\":\"address\"},{\"internalType\":\"uint256\",\"name\":\"asked\",\"type\":\"uint256\"},{\"internalType\":\"string\",\"name\":\"why\",\"type\":\"string\"}],\"name\":\"Refused\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"got\",\"type\":\"address\"},{\"internalType\":\"address\",\"name\":\"want\",\"type\":\"address\"}],\"name\":\"WrongSigner\",\"type\":\"error\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"signer\",\"type\":\"address\"},{\"indexed\":true,\"internalType\":\"bytes32\",\"name\":\"digest\",\"type\":\"bytes32\"},{\"indexed\":false,\"internalType\":\"uint256\",\"name\":\"amount\",\"type\":\"uint256\"}],\"name\":\"Accepted\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"from\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"uint256\",\"name\":\"amount\",\"type\":\"uint256\"}],\"name\":\"Deposited\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"by\",\"type\":\"address\"},{\"indexed\":true,\"internalType\":\"uint256\",\"name\":\"before\",\"type\":\"uint256\"},{\"indexed\":false,\"internalType\":\"uint256\",\"name\":\"value\",\"type\":\"uint256\"},{\"indexed\":false,\"internalType\":\"string\",\"name\":\"note\",\"type\":\"string\"}],\"name\":\"ValueSet\",\"type\":\"event\"},{\"inputs\":[{\"components\":[{\"internalType\":\"address\",\"name\":\"from\",\"type\":\"address\"},{\"internalType\":\"address\",\"name\":\"to\",\"type\":\"address\"},{\"internalType\":\"string\",\"name\":\"document\",\"type\":\"string\"},{\"internalType\":\"uint256\",\"name\":\"amount\",\"type\":\"uint256\"}],\"internalType\":\"structProbe.Delivery\",\"name\":\"d\",\"type\":\"tuple\"},{\"internalType\":\"uint8\",\"name\":\"v\",\"type\":\"uint8\"},{\"internalType\":\"bytes32\",\"name\":\"r\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"s\",\"type\":\"bytes32\"}],\"name\":\"accept\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"deposit\",\"outputs\":[],\"stateMutability\":\"payable\",\"type\":\"function\"},{\"inputs\":[{\"components\":[{\"internalType\":\"address\",\"name\":\"from\",\"type\":\"address\"},{\"internalType\":\"address\",\"name\":\"to\",\"type\":\"address\"},{\"internalType\":\"string\",\"name\":\"document\",\"type\":\"string\"},{\"internalType\":\"uint256\",\"name\":\"amount\",\"type\":\"uint256\"}],\"internalType\":\"structProbe.Delivery\",\"name\":\"d\",\"type\":\"tuple\"}],\"name\":\"digestOf\",\"outputs\":[{\"internalType\":\"bytes32\",\"name\":\"\",\"type\":\"bytes32\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"asked\",\"type\":\"uint256\"}],\"name\":\"failWithError\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"x\",\"type\":\"uint256\"}],\"name\":\"failWithPanic\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"string\",\"name\":\"reason\",\"type\":\"string\"}],\"name\":\"failWithReason\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"rounds\",\"type\":\"uint256\"}],\"name\":\"nested\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"to\",\"type\":\"uint256\"},{\"internalType\":\"string\",\"name\":\"note\",\"type\":\"string\"}],\"name\":\"set\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"value\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"rounds\",\"type\":\"uint256\"}],\"name\":\"work\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"}]",
	ID:  "Probe",
	Bin: "0x60806040526040516109293803806109298339810160408190526020916026565b5f55603c565b5f602082840312156035575f5ffd5b5051919050565b6108e0806100495f395ff3fe60806040526004361061008e575f3560e01c80635b0f0c1a116100575780635b0f0c1a14610136578063643719771461015557806384b4340b14610174578063d0e30db014610193578063e552b8561461019b575f5ffd5b80620ed6231461009257806310b80908146100b35780633fa4f245146100d257806351eed107146100f85780635858d16114610117575b5f5ffd5b34801561009d575f5ffd5b506100b16100ac36600461062d565b6101ba565b005b3480156100be575f5ffd5b506100b16100cd36600461062d565b6101d3565b3480156100dd575f5ffd5b506100e65f5481565b60405190815260200160405180910390f35b348015610103575f5ffd5b506100b161011236600461065a565b61023a565b348015610122575f5ffd5b506100b161013136600461062d565b61035b565b348015610141575f5ffd5b506100b161015036600461062d565b6103a5565b348015610160575f5ffd5b506100b161016f3660046106ff565b6103f2565b34801561017f575f5ffd5b506100b161018e366004610747565b61043f565b6100b161045e565b3480156101a6575f5ffd5b506100e66101b5366004610786565b610495565b6101c481806107c0565b6101ce90826107e5565b5f5550565b604051635858d16160e01b8152600481018290523090635858d161906024015f604051808303815f87803b158015610209575f5ffd5b505af192505050801561021a575060015b61023757604051635be15b8360e11b815260040160405180910390fd5b50565b5f61024485610495565b604080515f8082526020820180845284905260ff88169282019290925260608101869052608081018590529192509060019060a0016020604051602081039080840390855afa158015610299573d5f5f3e3d5ffd5b5050604051601f19015191506102b490506020870187610804565b6001600160a01b0316816001600160a01b03161461030b57806102da6020880188610804565b60405163366d29f760e01b81526001600160a01b039283166004820152911660248201526044015b60405180910390fd5b81816001600160a01b03167f4e3146457a9040b9825ace0a567115831772ecaf727b88bf9accb8eb876dd2ce886060013560405161034b91815260200190565b60405180910390a3505050505050565b6001545f5b8281101561039e57604080516020810184905290810182905260600160408051601f1981840301815291905280516020909101209150600101610360565b5060015550565b5f8055604051636ec168df60e01b815233600482015260248101829052606060448201526011606482015270e68b92e7bb9d3a206e6f7420746f64617960781b608482015260a401610302565b5f54336001600160a01b03167f10cf6c39b489b1c2e225de5b8116d764ebbb85cfdc7cc8a91da839946f580c3d85858560405161043193929190610859565b60405180910390a350505f55565b5f805560405162461bcd60e51b8152610302908390839060040161087b565b60405134815233907f2da466a7b24304f47e87fa2e1e5a81b9831ce54fec19055ce277ca2f39ba42c49060200160405180910390a2565b604080517f8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f60208201527f22be4e92dc328a631d1f38a226b87bd5500c2a09e8c4ccb093d0503b27889a6c918101919091527fc89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc660608201524660808201523060a08201525f90819060c00160408051601f19818403018152919052805160209182012091505f907f99396e91651c4693d5a13001a76ddd83a8cda247a6ba1a936691795b319f937c9061056a90860186610804565b61057a6040870160208801610804565b610587604088018861088e565b6040516105959291906108d1565b6040805191829003822060208301959095526001600160a01b0393841690820152911660608083019190915260808201929092529085013560a082015260c00160408051601f1981840301815290829052805160209182012061190160f01b91830191909152602282018490526042820181905291506062016040516020818303038152906040528051906020012092505050919050565b5f6020828403121561063d575f5ffd5b5035919050565b5f60808284031215610654575f5ffd5b50919050565b5f5f5f5f6080858703121561066d575f5ffd5b843567ffffffffffffffff811115610683575f5ffd5b61068f87828801610644565b945050602085013560ff811681146106a5575f5ffd5b93969395505050506040820135916060013590565b5f5f83601f8401126106ca575f5ffd5b50813567ffffffffffffffff8111156106e1575f5ffd5b6020830191508360208285010111156106f8575f5ffd5b9250929050565b5f5f5f60408486031215610711575f5ffd5b83359250602084013567ffffffffffffffff81111561072e575f5ffd5b61073a868287016106ba565b9497909650939450505050565b5f5f60208385031215610758575f5ffd5b823567ffffffffffffffff81111561076e575f5ffd5b61077a858286016106ba565b90969095509350505050565b5f60208284031215610796575f5ffd5b813567ffffffffffffffff8111156107ac575f5ffd5b6107b884828501610644565b949350505050565b818103818111156107df57634e487b7160e01b5f52601160045260245ffd5b92915050565b5f826107ff57634e487b7160e01b5f52601260045260245ffd5b500490565b5f60208284031215610814575f5ffd5b81356001600160a01b038116811461082a575f5ffd5b9392505050565b81835281816020850137505f828201602090810191909152601f909101601f19169091010190565b838152604060208201525f610872604083018486610831565b95945050505050565b602081525f6107b8602083018486610831565b5f5f8335601e198436030181126108a3575f5ffd5b83018035915067ffffffffffffffff8211156108bd575f5ffd5b6020019150368190038213156106f8575f5ffd5b818382375f910190815291905056",
}

// Probe is an auto generated Go binding around an Ethereum contract.
type Probe struct {
	abi abi.ABI
}

// GetABI returns the ABI associated with this contract binding.
func (c *Probe) GetABI() abi.ABI {
	return c.abi
}

// NewProbe creates a new instance of Probe.
func NewProbe() *Probe {
	parsed, err := ProbeMetaData.ParseABI()
	if err != nil {
		panic(errors.New("invalid ABI: " + err.Error()))
	}
	return &Probe{abi: *parsed}
}

// Instance creates a wrapper for a deployed contract instance at the given address.
// Use this to create the instance object passed to abigen v2 library functions Call, Transact, etc.
func (c *Probe) Instance(backend bind.ContractBackend, addr common.Address) *bind.BoundContract {
	return bind.NewBoundContract(addr, c.abi, backend, backend, backend)
}

// PackConstructor is the Go binding used to pack the parameters required for
// contract deployment.
//
// Solidity: constructor(uint256 start) payable returns()
func (probe *Probe) PackConstructor(start *big.Int) []byte {
	enc, err := probe.abi.Pack("", start)
	if err != nil {
		panic(err)
	}
	return enc
}

// PackAccept is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x51eed107.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function accept((address,address,string,uint256) d, uint8 v, bytes32 r, bytes32 s) returns()
func (probe *Probe) PackAccept(d ProbeDelivery, v uint8, r [32]byte, s [32]byte) []byte {
	enc, err := probe.abi.Pack("accept", d, v, r, s)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackAccept is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x51eed107.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function accept((address,address,string,uint256) d, uint8 v, bytes32 r, bytes32 s) returns()
func (probe *Probe) TryPackAccept(d ProbeDelivery, v uint8, r [32]byte, s [32]byte) ([]byte, error) {
	return probe.abi.Pack("accept", d, v, r, s)
}

// PackDeposit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xd0e30db0.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function deposit() payable returns()
func (probe *Probe) PackDeposit() []byte {
	enc, err := probe.abi.Pack("deposit")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackDeposit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xd0e30db0.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function deposit() payable returns()
func (probe *Probe) TryPackDeposit() ([]byte, error) {
	return probe.abi.Pack("deposit")
}

// PackDigestOf is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe552b856.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function digestOf((address,address,string,uint256) d) view returns(bytes32)
func (probe *Probe) PackDigestOf(d ProbeDelivery) []byte {
	enc, err := probe.abi.Pack("digestOf", d)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackDigestOf is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe552b856.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function digestOf((address,address,string,uint256) d) view returns(bytes32)
func (probe *Probe) TryPackDigestOf(d ProbeDelivery) ([]byte, error) {
	return probe.abi.Pack("digestOf", d)
}

// UnpackDigestOf is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xe552b856.
//
// Solidity: function digestOf((address,address,string,uint256) d) view returns(bytes32)
func (probe *Probe) UnpackDigestOf(data []byte) ([32]byte, error) {
	out, err := probe.abi.Unpack("digestOf", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackFailWithError is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5b0f0c1a.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function failWithError(uint256 asked) returns()
func (probe *Probe) PackFailWithError(asked *big.Int) []byte {
	enc, err := probe.abi.Pack("failWithError", asked)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFailWithError is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5b0f0c1a.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function failWithError(uint256 asked) returns()
func (probe *Probe) TryPackFailWithError(asked *big.Int) ([]byte, error) {
	return probe.abi.Pack("failWithError", asked)
}

// PackFailWithPanic is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x000ed623.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function failWithPanic(uint256 x) returns()
func (probe *Probe) PackFailWithPanic(x *big.Int) []byte {
	enc, err := probe.abi.Pack("failWithPanic", x)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFailWithPanic is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x000ed623.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function failWithPanic(uint256 x) returns()
func (probe *Probe) TryPackFailWithPanic(x *big.Int) ([]byte, error) {
	return probe.abi.Pack("failWithPanic", x)
}

// PackFailWithReason is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x84b4340b.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function failWithReason(string reason) returns()
func (probe *Probe) PackFailWithReason(reason string) []byte {
	enc, err := probe.abi.Pack("failWithReason", reason)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFailWithReason is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x84b4340b.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function failWithReason(string reason) returns()
func (probe *Probe) TryPackFailWithReason(reason string) ([]byte, error) {
	return probe.abi.Pack("failWithReason", reason)
}

// PackNested is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x10b80908.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function nested(uint256 rounds) returns()
func (probe *Probe) PackNested(rounds *big.Int) []byte {
	enc, err := probe.abi.Pack("nested", rounds)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackNested is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x10b80908.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function nested(uint256 rounds) returns()
func (probe *Probe) TryPackNested(rounds *big.Int) ([]byte, error) {
	return probe.abi.Pack("nested", rounds)
}

// PackSet is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x64371977.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function set(uint256 to, string note) returns()
func (probe *Probe) PackSet(to *big.Int, note string) []byte {
	enc, err := probe.abi.Pack("set", to, note)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackSet is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x64371977.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function set(uint256 to, string note) returns()
func (probe *Probe) TryPackSet(to *big.Int, note string) ([]byte, error) {
	return probe.abi.Pack("set", to, note)
}

// PackValue is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x3fa4f245.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function value() view returns(uint256)
func (probe *Probe) PackValue() []byte {
	enc, err := probe.abi.Pack("value")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackValue is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x3fa4f245.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function value() view returns(uint256)
func (probe *Probe) TryPackValue() ([]byte, error) {
	return probe.abi.Pack("value")
}

// UnpackValue is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x3fa4f245.
//
// Solidity: function value() view returns(uint256)
func (probe *Probe) UnpackValue(data []byte) (*big.Int, error) {
	out, err := probe.abi.Unpack("value", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackWork is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5858d161.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function work(uint256 rounds) returns()
func (probe *Probe) PackWork(rounds *big.Int) []byte {
	enc, err := probe.abi.Pack("work", rounds)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackWork is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5858d161.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function work(uint256 rounds) returns()
func (probe *Probe) TryPackWork(rounds *big.Int) ([]byte, error) {
	return probe.abi.Pack("work", rounds)
}

// ProbeAccepted represents a Accepted event raised by the Probe contract.
type ProbeAccepted struct {
	Signer common.Address
	Digest [32]byte
	Amount *big.Int
	Raw    *types.Log // Blockchain specific contextual infos
}

const ProbeAcceptedEventName = "Accepted"

// ContractEventName returns the user-defined event name.
func (ProbeAccepted) ContractEventName() string {
	return ProbeAcceptedEventName
}

// UnpackAcceptedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Accepted(address indexed signer, bytes32 indexed digest, uint256 amount)
func (probe *Probe) UnpackAcceptedEvent(log *types.Log) (*ProbeAccepted, error) {
	event := "Accepted"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != probe.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ProbeAccepted)
	if len(log.Data) > 0 {
		if err := probe.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range probe.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ProbeDeposited represents a Deposited event raised by the Probe contract.
type ProbeDeposited struct {
	From   common.Address
	Amount *big.Int
	Raw    *types.Log // Blockchain specific contextual infos
}

const ProbeDepositedEventName = "Deposited"

// ContractEventName returns the user-defined event name.
func (ProbeDeposited) ContractEventName() string {
	return ProbeDepositedEventName
}

// UnpackDepositedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Deposited(address indexed from, uint256 amount)
func (probe *Probe) UnpackDepositedEvent(log *types.Log) (*ProbeDeposited, error) {
	event := "Deposited"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != probe.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ProbeDeposited)
	if len(log.Data) > 0 {
		if err := probe.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range probe.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ProbeValueSet represents a ValueSet event raised by the Probe contract.
type ProbeValueSet struct {
	By     common.Address
	Before *big.Int
	Value  *big.Int
	Note   string
	Raw    *types.Log // Blockchain specific contextual infos
}

const ProbeValueSetEventName = "ValueSet"

// ContractEventName returns the user-defined event name.
func (ProbeValueSet) ContractEventName() string {
	return ProbeValueSetEventName
}

// UnpackValueSetEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event ValueSet(address indexed by, uint256 indexed before, uint256 value, string note)
func (probe *Probe) UnpackValueSetEvent(log *types.Log) (*ProbeValueSet, error) {
	event := "ValueSet"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != probe.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ProbeValueSet)
	if len(log.Data) > 0 {
		if err := probe.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range probe.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// UnpackError attempts to decode the provided error data using user-defined
// error definitions.
func (probe *Probe) UnpackError(raw []byte) (any, error) {
	if bytes.Equal(raw[:4], probe.abi.Errors["InnerCallFailed"].ID.Bytes()[:4]) {
		return probe.UnpackInnerCallFailedError(raw[4:])
	}
	if bytes.Equal(raw[:4], probe.abi.Errors["Refused"].ID.Bytes()[:4]) {
		return probe.UnpackRefusedError(raw[4:])
	}
	if bytes.Equal(raw[:4], probe.abi.Errors["WrongSigner"].ID.Bytes()[:4]) {
		return probe.UnpackWrongSignerError(raw[4:])
	}
	return nil, errors.New("Unknown error")
}

// ProbeInnerCallFailed represents a InnerCallFailed error raised by the Probe contract.
type ProbeInnerCallFailed struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error InnerCallFailed()
func ProbeInnerCallFailedErrorID() common.Hash {
	return common.HexToHash("0xb7c2b70668afb0152c5a98742335ab0881410d11fa557dbff0b950fc2b37e6a1")
}

// UnpackInnerCallFailedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error InnerCallFailed()
func (probe *Probe) UnpackInnerCallFailedError(raw []byte) (*ProbeInnerCallFailed, error) {
	out := new(ProbeInnerCallFailed)
	if err := probe.abi.UnpackIntoInterface(out, "InnerCallFailed", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ProbeRefused represents a Refused error raised by the Probe contract.
type ProbeRefused struct {
	Caller common.Address
	Asked  *big.Int
	Why    string
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error Refused(address caller, uint256 asked, string why)
func ProbeRefusedErrorID() common.Hash {
	return common.HexToHash("0x6ec168df103e8eba57c4e000542fe0163649a4f5c91ea070a17798ce6ed97e39")
}

// UnpackRefusedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error Refused(address caller, uint256 asked, string why)
func (probe *Probe) UnpackRefusedError(raw []byte) (*ProbeRefused, error) {
	out := new(ProbeRefused)
	if err := probe.abi.UnpackIntoInterface(out, "Refused", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ProbeWrongSigner represents a WrongSigner error raised by the Probe contract.
type ProbeWrongSigner struct {
	Got  common.Address
	Want common.Address
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error WrongSigner(address got, address want)
func ProbeWrongSignerErrorID() common.Hash {
	return common.HexToHash("0x366d29f7de543b1e5962d6f7315450f1f5ec3d853d28dca80282b4c242185268")
}

// UnpackWrongSignerError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error WrongSigner(address got, address want)
func (probe *Probe) UnpackWrongSignerError(raw []byte) (*ProbeWrongSigner, error) {
	out := new(ProbeWrongSigner)
	if err := probe.abi.UnpackIntoInterface(out, "WrongSigner", raw); err != nil {
		return nil, err
	}
	return out, nil
}
