// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Price source in the shape of a Chainlink aggregator (AggregatorV3Interface).
/// It repeats what its keeper last reported; when nothing is reported it goes stale, as a real one does.
contract Aggregator {
    struct Round {
        int192 answer;
        uint64 updatedAt;
    }

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    error NotKeeper(address caller);

    uint8 public constant decimals = 8;
    uint256 public constant version = 1;
    /// Only this address may report.
    address public immutable keeper;
    string public description;
    uint80 public latestRound;
    /// The last rounds, as a ring: a devnet's state stays small.
    uint80 internal constant ROUNDS_KEPT = 64;
    mapping(uint80 => Round) internal rounds;

    error NoSuchRound(uint80 id, uint80 oldestKept, uint80 latest);

    constructor(string memory descriptionArg, address keeperArg) {
        description = descriptionArg;
        keeper = keeperArg;
    }

    /// @param answer price with 8 decimals; zero or less is what a broken source would say
    /// @param updatedAt unix seconds of the observation
    function report(int256 answer, uint256 updatedAt) external {
        if (msg.sender != keeper) revert NotKeeper(msg.sender);
        uint80 id = ++latestRound;
        rounds[id % ROUNDS_KEPT] = Round(int192(answer), uint64(updatedAt));
        emit AnswerUpdated(answer, id, updatedAt);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return _round(latestRound);
    }

    function getRoundData(uint80 id) external view returns (uint80, int256, uint256, uint256, uint80) {
        if (id == 0 || id > latestRound || id + ROUNDS_KEPT <= latestRound) {
            revert NoSuchRound(id, latestRound > ROUNDS_KEPT ? latestRound - ROUNDS_KEPT + 1 : 1, latestRound);
        }
        return _round(id);
    }

    function _round(uint80 id) internal view returns (uint80, int256, uint256, uint256, uint80) {
        Round memory r = rounds[id % ROUNDS_KEPT];
        return (id, r.answer, r.updatedAt, r.updatedAt, id);
    }
}
