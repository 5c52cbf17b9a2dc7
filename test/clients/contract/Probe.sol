// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a client must be able to do with a node, one function each
/// @notice Deployed by the client tests only.
contract Probe {
    struct Delivery {
        address from;
        address to;
        string document;
        uint256 amount;
    }

    event ValueSet(address indexed by, uint256 indexed before, uint256 value, string note);
    event Deposited(address indexed from, uint256 amount);
    event Accepted(address indexed signer, bytes32 indexed digest, uint256 amount);

    error Refused(address caller, uint256 asked, string why);
    error InnerCallFailed();
    error WrongSigner(address got, address want);

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant DELIVERY_TYPEHASH =
        keccak256("Delivery(address from,address to,string document,uint256 amount)");

    uint256 public value;
    uint256 private sink;

    constructor(uint256 start) payable {
        value = start;
    }

    /// @notice An event with indexed and plain fields.
    function set(uint256 to, string calldata note) external {
        emit ValueSet(msg.sender, value, to, note);
        value = to;
    }

    /// @notice Takes ether.
    function deposit() external payable {
        emit Deposited(msg.sender, msg.value);
    }

    /// @notice Always reverts with the reason given.
    function failWithReason(string calldata reason) external {
        value = 0;
        revert(reason);
    }

    /// @notice Always reverts with a custom error.
    function failWithError(uint256 asked) external {
        value = 0;
        revert Refused(msg.sender, asked, unicode"拒绝: not today");
    }

    /// @notice Always divides by zero: Panic(0x12).
    function failWithPanic(uint256 x) external {
        value = x / (x - x);
    }

    /// @notice Fails unless the call inside had enough gas, of which only 63/64 are passed on (EIP-150): an estimate
    /// equal to the gas used is too low.
    function nested(uint256 rounds) external {
        try this.work(rounds) {}
        catch {
            revert InnerCallFailed();
        }
    }

    /// @notice Uses about 100 gas a round.
    function work(uint256 rounds) external {
        uint256 x = sink;
        for (uint256 i = 0; i < rounds; ++i) {
            x = uint256(keccak256(abi.encode(x, i)));
        }
        sink = x;
    }

    /// @notice The EIP-712 digest that the sender of a delivery signs.
    function digestOf(Delivery calldata d) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Jialing Probe"), keccak256("1"), block.chainid, address(this))
        );
        bytes32 message =
            keccak256(abi.encode(DELIVERY_TYPEHASH, d.from, d.to, keccak256(bytes(d.document)), d.amount));
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    /// @notice Accepts a delivery that `d.from` signed.
    function accept(Delivery calldata d, uint8 v, bytes32 r, bytes32 s) external {
        bytes32 digest = digestOf(d);
        address signer = ecrecover(digest, v, r, s);
        if (signer != d.from) revert WrongSigner(signer, d.from);
        emit Accepted(signer, digest, d.amount);
    }
}

/// @title Code that an ordinary account takes on by an EIP-7702 authorization
contract Delegate {
    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    event Executed(address indexed account, uint256 calls);

    error NotSelf(address caller);

    /// @notice Makes the calls in the account's name. Only the account itself may ask.
    function executeBatch(Call[] calldata calls) external payable {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool ok, bytes memory out) = calls[i].to.call{value: calls[i].value}(calls[i].data);
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(out, 0x20), mload(out))
                }
            }
        }
        emit Executed(address(this), calls.length);
    }

    receive() external payable {}
}
