// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Proofs that a validator contradicted itself
/// @notice An honest validator never signs two blocks at one height, nor commits to two proposals in one view of one height; its node keeps it from that across
/// crashes and restored backups (docs/slashing.md). Two signatures that exclude each other therefore convict whoever holds the key, on the word of nobody else.
/// @dev What is signed says in clear which chain, height and view it is for (internal/chain/certificate.go, internal/order/engine.go,
/// internal/order/bft/signed.go):
///
///     attestation   "jialing/attest/1" ‖ chain(32) ‖ height(8) ‖ header(32)
///     commit        "jialing/order/1" ‖ chain(32) ‖ "commit/2:" ‖ height(8) ‖ view(8) ‖ proposal(32) ‖ whatever else the validator says
///
/// so nothing is hashed, guessed or decoded here, and nothing can be read in two ways. The same offence can be shown by many pairs of messages (a third
/// header, swapped order, another signature over the same message): whoever punishes must remember for which height of a key it has, not which bytes it saw.
library Evidence {
    /// @notice The messages are of different kinds, of no kind that contradicts anything, or too long.
    error NoEvidence();
    /// @notice A message was signed for another chain.
    error OtherChain(bytes32 chain);
    /// @notice The messages do not exclude each other: they are of different heights or views, or say the same.
    error NoContradiction();
    /// @notice The first or second signature is not of that key.
    error BadSignature(uint256 index);
    /// @notice A precompiled contract is missing, or the gas left is less than it takes.
    /// @dev A failure for want of gas must not pass for a wrong signature: whoever sends a transaction chooses its gas.
    error PrecompileUnavailable(address precompile);

    /// @dev signature(64) ‖ public key ‖ message: 1 where the node key signed the message (internal/execute/nodesig.go).
    address internal constant NODE_SIGNATURE = address(0x5005);
    /// @dev Answers the hash that names this chain in what is signed.
    address internal constant CHAIN_HASH = address(0x5006);

    uint256 internal constant SIGNATURE_SIZE = 64;
    /// @dev The longest commit of 512 validators; more is none, and costs whoever judges it.
    uint256 internal constant MAX_MESSAGE = 104 + 8192;

    bytes16 private constant ATTESTATION = "jialing/attest/1";
    bytes15 private constant ORDER = "jialing/order/1";
    bytes9 private constant COMMIT = "commit/2:";
    uint256 private constant ATTESTATION_SIZE = 88;
    uint256 private constant COMMIT_SIZE = 104;

    /// @dev What a message claims.
    struct Claim {
        bool commit;
        bytes32 chain;
        uint64 height;
        uint64 view_; // 0 for attestations
        bytes32 what; // the header, or the proposal's digest
    }

    /// @notice Returns the height at which the owner of the node key `key` signed two messages of which one excludes the other; reverts if these two do not
    /// prove it. The signatures are checked last: they are what costs.
    function equivocation(bytes memory key, bytes memory first, bytes memory firstSig, bytes memory second, bytes memory secondSig)
        internal
        view
        returns (uint64 height)
    {
        Claim memory a = claim(first);
        Claim memory b = claim(second);
        if (a.commit != b.commit) revert NoEvidence();
        bytes32 chain = chainHash();
        if (a.chain != chain) revert OtherChain(a.chain);
        if (b.chain != chain) revert OtherChain(b.chain);
        if (a.height != b.height || a.view_ != b.view_ || a.what == b.what) revert NoContradiction();
        if (!signed(key, first, firstSig)) revert BadSignature(0);
        if (!signed(key, second, secondSig)) revert BadSignature(1);
        return a.height;
    }

    /// @notice Reads a signed message.
    function claim(bytes memory message) internal pure returns (Claim memory c) {
        uint256 size = message.length;
        if (size > MAX_MESSAGE) revert NoEvidence();
        if (size == ATTESTATION_SIZE && bytes16(word(message, 0)) == ATTESTATION) {
            c.chain = word(message, 16);
            c.height = uint64(bytes8(word(message, 48)));
            c.what = word(message, 56);
        } else if (size >= COMMIT_SIZE && bytes15(word(message, 0)) == ORDER && bytes9(word(message, 47)) == COMMIT) {
            c.commit = true;
            c.chain = word(message, 15);
            c.height = uint64(bytes8(word(message, 56)));
            c.view_ = uint64(bytes8(word(message, 64)));
            c.what = word(message, 72);
        } else {
            revert NoEvidence();
        }
    }

    /// @notice Whether `sig` is the node key's signature over `message`, by the scheme of the chain's suite.
    function signed(bytes memory key, bytes memory message, bytes memory sig) internal view returns (bool) {
        if (sig.length != SIGNATURE_SIZE) return false;
        (bool done, bytes memory answer) = NODE_SIGNATURE.staticcall(abi.encodePacked(sig, key, message));
        // An account without code answers nothing to everything, as a signature that does not verify does: that there are such contracts here, `chainHash` has
        // shown before.
        if (!done) revert PrecompileUnavailable(NODE_SIGNATURE);
        return answer.length == 32 && abi.decode(answer, (uint256)) == 1;
    }

    /// @notice The suite's hash of block 0's header.
    function chainHash() internal view returns (bytes32) {
        (bool done, bytes memory answer) = CHAIN_HASH.staticcall("");
        if (!done || answer.length != 32) revert PrecompileUnavailable(CHAIN_HASH);
        return abi.decode(answer, (bytes32));
    }

    /// @dev The 32 bytes at `offset`. What lies beyond the end of the message is cut off by the caller's type: `claim` checks the size first.
    function word(bytes memory message, uint256 offset) private pure returns (bytes32 w) {
        assembly ("memory-safe") {
            w := mload(add(add(message, 32), offset))
        }
    }
}
