// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SM2, SM3, SM4} from "./Guomi.sol";

/// @title The functions of Guomi.sol for callers outside: eth_call, and contracts that would rather call than hold the code
/// @dev It holds nothing. `seal` and `open` take a key: call them, never send a transaction to them.
contract GuomiView {
    function sm3(bytes calldata data) external view returns (bytes32) {
        return SM3.hash(data);
    }

    function verify(bytes calldata message, bytes calldata id, bytes32 r, bytes32 s, bytes32 x, bytes32 y) external view returns (bool) {
        return SM2.verify(message, id, r, s, x, y);
    }

    function digest(bytes calldata message, bytes calldata id, bytes32 x, bytes32 y) external view returns (bytes32) {
        return SM2.digest(message, id, x, y);
    }

    function addressOf(bytes32 x, bytes32 y) external view returns (address) {
        return SM2.addressOf(x, y);
    }

    function isOnCurve(bytes32 x, bytes32 y) external pure returns (bool) {
        return SM2.isOnCurve(x, y);
    }

    function seal(bytes16 key, bytes12 nonce, bytes calldata aad, bytes calldata plaintext) external view returns (bytes memory) {
        return SM4.seal(key, nonce, aad, plaintext);
    }

    function open(bytes16 key, bytes12 nonce, bytes calldata aad, bytes calldata ciphertext) external view returns (bytes memory) {
        return SM4.open(key, nonce, aad, ciphertext);
    }

    function tryOpen(bytes16 key, bytes12 nonce, bytes calldata aad, bytes calldata ciphertext) external view returns (bool, bytes memory) {
        return SM4.tryOpen(key, nonce, aad, ciphertext);
    }
}
