// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title An ERC-20 token of fixed supply
/// @notice The whole supply goes to the deployer. Nobody can mint, burn, pause or take tokens afterwards.
/// @dev OpenZeppelin's ERC-20 with EIP-2612 permits: a holder who has no gas money signs an approval (EIP-712) and
/// anybody may present it.
contract JialingToken is ERC20, ERC20Permit {
    /// @param supply how many units exist, in the smallest unit: 10^18 units are one JLT
    constructor(uint256 supply) ERC20("Jialing Token", "JLT") ERC20Permit("Jialing Token") {
        _mint(msg.sender, supply);
    }
}
