// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Evidence that a document existed
/// @notice Whoever holds a document notarises its digest: the chain then says who knew that digest and since when, to
/// anyone, for ever. The document itself never leaves its owner, and the contract never learns what the digest is of.
/// @dev The first notarisation of a digest wins and is never altered. Withdrawing it (`revoke`) adds a second fact and
/// keeps the first. Names and reasons are the notary's words: the contract does not judge them.
contract Evidence {
    /// @notice Who notarised a digest, and when. All zero for a digest never notarised.
    /// @dev One storage slot, and so one write for a notarisation.
    struct Record {
        address by; // the account that notarised
        uint48 time; // seconds since 1970, of the block
        uint48 blockNumber; // the block whose receipts hold the `Notarised` event
    }

    /// @notice When and why a notarisation was withdrawn. `time` is zero while it stands.
    struct Revocation {
        uint48 time; // seconds since 1970, of the block
        string reason; // the notary's words
    }

    /// @notice `by` vouches for `digest` from `time` (seconds since 1970) on, under the name `name`.
    event Notarised(bytes32 indexed digest, address indexed by, uint256 time, string name);

    /// @notice `by` no longer vouches for `digest`.
    event Revoked(bytes32 indexed digest, address indexed by, uint256 time, string reason);

    /// @notice The zero digest is a mistake of the caller, never a document.
    error EmptyDigest();

    /// @notice `digest` was notarised before, by `by` at `time`.
    error AlreadyNotarised(bytes32 digest, address by, uint256 time);

    /// @notice There is nothing to revoke: nobody notarised `digest`.
    error NotNotarised(bytes32 digest);

    /// @notice Only `by`, who notarised `digest`, may revoke it.
    error NotTheNotary(bytes32 digest, address by);

    /// @notice `digest` was revoked before, at `time`.
    error AlreadyRevoked(bytes32 digest, uint256 time);

    /// @notice A batch needs one name for each digest.
    error LengthMismatch(uint256 digests, uint256 names);

    mapping(bytes32 digest => Record) private records;
    mapping(bytes32 digest => Revocation) private revocations;

    /// @notice Puts on record that the caller knows `digest` now.
    /// @param digest the hash of the document: SHA-256, SM3 or Keccak-256, as the parties agree
    /// @param name what the caller calls the document; it appears in the event only
    function notarise(bytes32 digest, string calldata name) external {
        _notarise(digest, name);
    }

    /// @notice Notarises many documents at once: all of them, or none if one cannot be.
    /// @param digests the documents' hashes
    /// @param names one name for each digest
    function notariseBatch(bytes32[] calldata digests, string[] calldata names) external {
        if (digests.length != names.length) revert LengthMismatch(digests.length, names.length);
        for (uint256 i = 0; i < digests.length; ++i) {
            _notarise(digests[i], names[i]);
        }
    }

    /// @notice Withdraws the caller's own notarisation. It stays on record, and cannot be made again.
    /// @param digest what the caller notarised
    /// @param reason why it no longer holds
    function revoke(bytes32 digest, string calldata reason) external {
        Record memory record = records[digest];
        if (record.by == address(0)) revert NotNotarised(digest);
        if (record.by != msg.sender) revert NotTheNotary(digest, record.by);
        Revocation storage revocation = revocations[digest];
        if (revocation.time != 0) revert AlreadyRevoked(digest, revocation.time);
        revocation.time = uint48(block.timestamp);
        revocation.reason = reason;
        emit Revoked(digest, msg.sender, block.timestamp, reason);
    }

    /// @notice Who notarised `digest`, and when. All zero if nobody did. Says nothing about a revocation.
    function recordOf(bytes32 digest) external view returns (address by, uint256 time, uint256 blockNumber) {
        Record memory record = records[digest];
        return (record.by, record.time, record.blockNumber);
    }

    /// @notice When and why `digest` was revoked. `time` is zero if it was not.
    function revocationOf(bytes32 digest) external view returns (uint256 time, string memory reason) {
        Revocation storage revocation = revocations[digest];
        return (revocation.time, revocation.reason);
    }

    /// @notice Whether `digest` was notarised and has not been revoked.
    function stands(bytes32 digest) external view returns (bool) {
        return records[digest].by != address(0) && revocations[digest].time == 0;
    }

    function _notarise(bytes32 digest, string calldata name) private {
        if (digest == 0) revert EmptyDigest();
        Record memory record = records[digest];
        if (record.by != address(0)) revert AlreadyNotarised(digest, record.by, record.time);
        records[digest] = Record(msg.sender, uint48(block.timestamp), uint48(block.number));
        emit Notarised(digest, msg.sender, block.timestamp, name);
    }
}
