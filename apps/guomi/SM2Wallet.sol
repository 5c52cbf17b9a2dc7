// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC721Holder} from "@openzeppelin/contracts/token/ERC721/utils/ERC721Holder.sol";
import {ERC1155Holder} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Holder.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SM2} from "./Guomi.sol";

/// @title A wallet that an SM2 key owns
/// @notice What the key signed, anybody may present and pay for; the key's own account (type 0x50) may also command the wallet itself. Other
/// contracts ask it whether a signature is good (ERC-1271).
/// @dev It works deployed by itself, or as the code that an account takes on by EIP-7702: then the account calls `setOwner` on itself in the
/// transaction that sets the code, and its secp256k1 key keeps its power beside the SM2 key. State lies in a slot of its own (ERC-7201), clear
/// of what else the account's code keeps. Signatures are r ‖ s under the identifier 1234567812345678 over the 32-byte EIP-712 digest, which
/// names chain and wallet: one that is good for this wallet is good for no other, even of the same key.
contract SM2Wallet is EIP712("SM2Wallet", "1"), IERC1271, ERC721Holder, ERC1155Holder {
    /// @custom:storage-location erc7201:jialing.SM2Wallet
    struct State {
        bytes32 x;
        bytes32 y;
        address account; // of the key
        uint256 nonce; // of the next signed command
    }

    bytes32 private constant STATE = keccak256(abi.encode(uint256(keccak256("jialing.SM2Wallet")) - 1)) & ~bytes32(uint256(0xff));
    bytes32 private constant EXECUTE = keccak256("Execute(address to,uint256 value,bytes data,uint256 nonce,uint256 deadline)");
    bytes32 private constant MESSAGE = keccak256("Message(bytes32 hash)");

    event OwnerSet(bytes32 x, bytes32 y, address indexed account);

    /// @notice The key is no point of the curve.
    error NotAKey(bytes32 x, bytes32 y);
    /// @notice `caller` neither is the owner's account nor presents what the owner signed.
    error NotTheOwner(address caller);
    /// @notice The command was good until `deadline` (seconds since 1970).
    error Expired(uint256 deadline);
    /// @notice The signature is not the owner's over this command with this nonce.
    error WrongSignature(uint256 nonce);

    /// @param x, y the owner's public key; both zero for code that accounts take on by EIP-7702, which has no owner itself.
    constructor(bytes32 x, bytes32 y) {
        if (x | y != 0) _setOwner(x, y);
    }

    receive() external payable {}

    /// @notice The owner's key and its account; all zero before the first `setOwner`.
    function owner() external view returns (bytes32 x, bytes32 y, address account) {
        State storage st = _state();
        return (st.x, st.y, st.account);
    }

    /// @notice The nonce that the next signed command must have.
    function nonce() external view returns (uint256) {
        return _state().nonce;
    }

    /// @notice Hands the wallet to another key. Only the wallet itself calls this: by a command of the owner, or as an EIP-7702 account.
    function setOwner(bytes32 x, bytes32 y) external {
        if (msg.sender != address(this)) revert NotTheOwner(msg.sender);
        _setOwner(x, y);
    }

    /// @notice Calls `to`, commanded by the owner's account or by the wallet itself. A failure of the call is passed on as it is.
    function execute(address to, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        if (msg.sender != address(this) && (msg.sender != _state().account || msg.sender == address(0))) revert NotTheOwner(msg.sender);
        return _call(to, value, data);
    }

    /// @notice Calls `to` by a command that the owner signed: EIP-712 `Execute(to,value,data,nonce,deadline)` of this wallet. Anybody may present it.
    function executeSigned(address to, uint256 value, bytes calldata data, uint256 deadline, bytes calldata signature)
        external
        payable
        returns (bytes memory)
    {
        if (block.timestamp > deadline) revert Expired(deadline);
        // Counted before the call, so that a command runs once whatever it calls. If the call fails, everything is undone and it may come again.
        uint256 n = _state().nonce++;
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(EXECUTE, to, value, keccak256(data), n, deadline)));
        if (!_signed(digest, signature)) revert WrongSignature(n);
        return _call(to, value, data);
    }

    /// @inheritdoc IERC1271
    /// @dev The owner signs EIP-712 `Message(hash)` of this wallet, not `hash` itself.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(MESSAGE, hash)));
        return _signed(digest, signature) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    function _signed(bytes32 digest, bytes calldata signature) private view returns (bool) {
        State storage st = _state();
        if (signature.length != 64 || st.account == address(0)) return false;
        return SM2.verify(abi.encodePacked(digest), SM2.DEFAULT_ID, bytes32(signature[:32]), bytes32(signature[32:]), st.x, st.y);
    }

    function _setOwner(bytes32 x, bytes32 y) private {
        if (!SM2.isOnCurve(x, y)) revert NotAKey(x, y);
        State storage st = _state();
        (st.x, st.y, st.account) = (x, y, SM2.addressOf(x, y));
        emit OwnerSet(x, y, st.account);
    }

    function _call(address to, uint256 value, bytes calldata data) private returns (bytes memory) {
        (bool ok, bytes memory answer) = to.call{value: value}(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }

    function _state() private pure returns (State storage st) {
        bytes32 slot = STATE;
        assembly ("memory-safe") {
            st.slot := slot
        }
    }
}
