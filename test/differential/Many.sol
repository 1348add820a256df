// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Asks many contracts in one call. Never deployed: the recorder lends its code to an address for the time of an eth_call.
contract Many {
    struct Call {
        address to;
        bytes data;
    }

    struct Answer {
        bool success;
        bytes data;
    }

    /// `gasEach` bounds every call; one that cannot be given as much is refused as a whole, so that no answer is a lack of gas.
    function ask(uint256 gasEach, Call[] calldata calls)
        external
        view
        returns (uint256 number, uint256 timestampSec, Answer[] memory answers)
    {
        number = block.number;
        timestampSec = block.timestamp;
        answers = new Answer[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            require((gasleft() * 63) / 64 > gasEach + 50_000, "too many calls");
            (answers[i].success, answers[i].data) = calls[i].to.staticcall{gas: gasEach}(calls[i].data);
        }
    }
}
