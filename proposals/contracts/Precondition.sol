// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The first call of a batch: reverts, and the whole batch with it, once the world is no longer what the batch was made for.
/// @notice Holds no state, no funds and no rights, and only reads: anybody may call it, and nothing but a revert can come of it.
contract Precondition {
    /// A getter's answer as it was when the batch was made.
    struct Expectation {
        /// Contract that is asked.
        address target;
        /// The getter's calldata.
        bytes callData;
        /// Which 32-byte word of the answer is compared, from 0.
        uint256 word;
        /// What that word must be, to the bit.
        bytes32 expected;
    }

    /// The block's time is after the deadline. The deadline's own second is in time.
    error Expired(uint256 deadline, uint256 timestamp);
    /// A batch that expects nothing guards nothing.
    error NothingExpected();
    /// There is no contract at the target: it would "answer" anything with success.
    error NoContract(uint256 index, address target);
    /// The getter reverted.
    error Unreadable(uint256 index, address target, bytes reason);
    /// The answer has no such word.
    error AnswerTooShort(uint256 index, uint256 length);
    /// The getter answers something else by now.
    error Drifted(uint256 index, bytes32 found, bytes32 expected);

    /// @notice Returns nothing where every getter answers as expected and the block is not after the deadline; reverts otherwise,
    /// with the index of the first expectation that fails.
    /// @param expectations At least one, asked in order by STATICCALL.
    /// @param deadline Last block time at which the batch may run, s.
    function check(Expectation[] calldata expectations, uint256 deadline) external view {
        if (block.timestamp > deadline) revert Expired(deadline, block.timestamp);
        if (expectations.length == 0) revert NothingExpected();
        for (uint256 i = 0; i < expectations.length; i++) {
            Expectation calldata each = expectations[i];
            if (each.target.code.length == 0) revert NoContract(i, each.target);
            (bool success, bytes memory answer) = each.target.staticcall(each.callData);
            if (!success) revert Unreadable(i, each.target, answer);
            uint256 word = each.word;
            if (answer.length / 32 <= word) revert AnswerTooShort(i, answer.length);
            bytes32 found;
            // The words of `answer` begin after its length; `word` is within it, so nothing overflows.
            assembly ("memory-safe") {
                found := mload(add(add(answer, 32), mul(word, 32)))
            }
            if (found != each.expected) revert Drifted(i, found, each.expected);
        }
    }
}
