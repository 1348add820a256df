// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface IAggregator {
    function report(int256 answer, uint256 updatedAt) external;
}

interface IFeed {
    function cacheTwap(uint256 interval) external;
}

/// Reports several prices and refreshes the feeds behind them in one transaction.
contract PriceKeeper {
    error NotOperator(address caller);
    error LengthMismatch(uint256 aggregators, uint256 answers);

    address public immutable operator;

    constructor(address operatorArg) {
        operator = operatorArg;
    }

    /// @param answers one per aggregator, 8 decimals; observed now
    /// @param feeds ChainlinkPriceFeedV3 contracts that take over what was reported
    /// @param interval seconds of the average that the feeds cache
    function push(address[] calldata aggregators, int256[] calldata answers, address[] calldata feeds, uint256 interval) external {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        if (aggregators.length != answers.length) revert LengthMismatch(aggregators.length, answers.length);
        for (uint256 i = 0; i < aggregators.length; i++) IAggregator(aggregators[i]).report(answers[i], block.timestamp);
        for (uint256 i = 0; i < feeds.length; i++) IFeed(feeds[i]).cacheTwap(interval);
    }
}
