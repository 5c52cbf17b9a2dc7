// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Evidence} from "./Evidence.sol";

/// @title The library Evidence as a contract
/// @notice For tests, and for trying a proof by eth_call before it is sent.
contract EvidenceView {
    /// @notice See Evidence.equivocation.
    function equivocation(bytes calldata key, bytes calldata first, bytes calldata firstSig, bytes calldata second, bytes calldata secondSig)
        external
        view
        returns (uint64 height)
    {
        return Evidence.equivocation(key, first, firstSig, second, secondSig);
    }
}
