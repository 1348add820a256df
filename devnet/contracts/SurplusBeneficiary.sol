// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface IERC20Transfer {
    function transfer(address to, uint256 amount) external returns (bool);
}

/// Receives what the insurance fund distributes above its threshold. Its owner decides where that goes.
contract SurplusBeneficiary {
    error NotOwner(address caller);

    address public immutable owner;
    address public immutable getToken;

    constructor(address ownerArg, address tokenArg) {
        owner = ownerArg;
        getToken = tokenArg;
    }

    function dispatch(address to, uint256 amount) external {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        require(IERC20Transfer(getToken).transfer(to, amount), "transfer failed");
    }
}
