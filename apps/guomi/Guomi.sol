// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

// SM3, SM2 and SM4-GCM (GB/T 32905, 32918, 32907; RFC 8998) on a Jialing chain, by its precompiled contracts; see docs/guomi-contracts.md.
// The functions are internal: a contract that uses them holds their code.

/// @notice The chain has no such precompiled contract, or the gas left is less than it takes.
/// @dev A failure for want of gas must not pass for "the signature is wrong": whoever sends a transaction chooses its gas.
error GuomiUnavailable(address precompile);

/// @notice SM4-GCM data does not open: another key, nonce or associated data, or the text was altered.
error SM4DoesNotOpen();

/// @title The hash function SM3
library SM3 {
    address internal constant PRECOMPILE = address(0x5001);

    /// @notice SM3 of `data`.
    function hash(bytes memory data) internal view returns (bytes32 digest) {
        address precompile = PRECOMPILE;
        bool done;
        assembly ("memory-safe") {
            done := and(eq(returndatasize(), 32), staticcall(gas(), precompile, add(data, 32), mload(data), 0, 32))
            digest := mload(0)
        }
        if (!done) revert GuomiUnavailable(PRECOMPILE);
    }
}

/// @title Signatures of SM2
/// @dev Keys are points (x, y); a private key never belongs into a contract or its input.
library SM2 {
    address internal constant PRECOMPILE = address(0x5002);

    /// @notice The signer's identifier where nothing else is agreed (GM/T 0009).
    bytes internal constant DEFAULT_ID = "1234567812345678";

    // The curve of GB/T 32918.5: y² = x³ + ax + b over the field of P, with the base point (GX, GY).
    uint256 internal constant P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF;
    uint256 internal constant A = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC;
    uint256 internal constant B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93;
    uint256 internal constant GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7;
    uint256 internal constant GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0;

    /// @notice The identifier of a signer is longer than the standard has room for: 8,191 bytes.
    error IdentifierTooLong(uint256 length);

    /// @notice Whether (r, s) is the signature of the key (x, y), which goes by `id`, over `message`.
    function verify(bytes memory message, bytes memory id, bytes32 r, bytes32 s, bytes32 x, bytes32 y) internal view returns (bool) {
        return verifyDigest(digest(message, id, x, y), r, s, x, y);
    }

    /// @notice Whether (r, s) is the signature of the key (x, y) over the digest `e`, which `digest` makes.
    /// @dev A digest that others chose proves nothing: it must come from a message.
    function verifyDigest(bytes32 e, bytes32 r, bytes32 s, bytes32 x, bytes32 y) internal view returns (bool) {
        (bool done, bytes memory answer) = PRECOMPILE.staticcall(abi.encode(e, r, s, x, y));
        if (!done) revert GuomiUnavailable(PRECOMPILE);
        return answer.length == 32 && abi.decode(answer, (uint256)) == 1;
    }

    /// @notice e = SM3(Z ‖ message), what is signed (GB/T 32918.2, 6.1).
    function digest(bytes memory message, bytes memory id, bytes32 x, bytes32 y) internal view returns (bytes32) {
        return SM3.hash(abi.encodePacked(identity(id, x, y), message));
    }

    /// @notice Z, which binds a signature to the identifier, the curve and the key (GB/T 32918.2, 5.5).
    function identity(bytes memory id, bytes32 x, bytes32 y) internal view returns (bytes32) {
        if (id.length > 8191) revert IdentifierTooLong(id.length);
        return SM3.hash(abi.encodePacked(uint16(id.length * 8), id, A, B, GX, GY, x, y));
    }

    /// @notice The account of the key: the last 20 bytes of SM3(x ‖ y). It sends the transactions of type 0x50 that the key signs.
    function addressOf(bytes32 x, bytes32 y) internal view returns (address) {
        return address(uint160(uint256(SM3.hash(abi.encodePacked(x, y)))));
    }

    /// @notice Whether (x, y) is a point of the curve, and so can be a public key.
    function isOnCurve(bytes32 x, bytes32 y) internal pure returns (bool) {
        uint256 u = uint256(x);
        uint256 v = uint256(y);
        if (u >= P || v >= P) return false;
        return mulmod(v, v, P) == addmod(mulmod(addmod(mulmod(u, u, P), A, P), u, P), B, P);
    }
}

/// @title Authenticated encryption with SM4-GCM
/// @dev WHAT A TRANSACTION CARRIES IS PUBLIC, FOR EVER, AND SO IS A CONTRACT'S STORAGE. A key in either is no secret. Seal in eth_call on a node
/// that you trust, or off the chain; open in a transaction only what has ceased to be a secret: when the key of a sealed bid is published, say.
/// A nonce must never serve twice under one key.
library SM4 {
    address internal constant SEAL = address(0x5003);
    address internal constant OPEN = address(0x5004);

    /// @notice ciphertext ‖ tag of `plaintext`. `aad` is not encrypted but bound.
    function seal(bytes16 key, bytes12 nonce, bytes memory aad, bytes memory plaintext) internal view returns (bytes memory) {
        (bool done, bytes memory answer) = run(SEAL, encode(key, nonce, aad, plaintext));
        if (!done || answer.length != plaintext.length + 16) revert GuomiUnavailable(SEAL);
        return answer;
    }

    /// @notice The plaintext of `ciphertext`, which ends with its tag. Reverts with `SM4DoesNotOpen` if it does not open.
    function open(bytes16 key, bytes12 nonce, bytes memory aad, bytes memory ciphertext) internal view returns (bytes memory plaintext) {
        bool done;
        (done, plaintext) = tryOpen(key, nonce, aad, ciphertext);
        if (!done) revert SM4DoesNotOpen();
    }

    /// @notice `open` that answers false where that reverts.
    function tryOpen(bytes16 key, bytes12 nonce, bytes memory aad, bytes memory ciphertext) internal view returns (bool, bytes memory) {
        (bool done, bytes memory answer) = run(OPEN, encode(key, nonce, aad, ciphertext));
        if (!done) return (false, "");
        // A chain without the contract answers nothing, and nothing is an answer only to a bare tag.
        if (answer.length + 16 != ciphertext.length) revert GuomiUnavailable(OPEN);
        return (true, answer);
    }

    function encode(bytes16 key, bytes12 nonce, bytes memory aad, bytes memory text) private pure returns (bytes memory) {
        return abi.encodePacked(key, nonce, uint32(aad.length), aad, text);
    }

    /// @dev A call that fails consumes the gas that it was given, so it is given what it takes and no more.
    function run(address precompile, bytes memory input) private view returns (bool done, bytes memory answer) {
        uint256 cost = 300 + 24 * ((input.length + 31) / 32);
        // 63/64 of what is left can be given (EIP-150). From here to the call no memory is touched, so 1,000 for the steps are plenty.
        if ((gasleft() * 63) / 64 < cost + 1_000) revert GuomiUnavailable(precompile);
        assembly ("memory-safe") {
            done := staticcall(cost, precompile, add(input, 32), mload(input), 0, 0)
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 32), 0, returndatasize())
            mstore(0x40, and(add(add(answer, returndatasize()), 63), not(31)))
        }
    }
}
