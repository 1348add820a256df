/**
 * The first call of every batch: `Precondition.check` reverts it once a value that it changes is no longer what it was made
 * for, or the deadline has passed. What is derived from an intent goes in, so the call itself is derived as well.
 */
import { readFileSync } from 'node:fs'
import type { PublicClient } from 'viem'
import { decodeErrorResult, encodeFunctionData, getContractAddress, keccak256, parseAbi, zeroHash } from 'viem'
import type { Address, Call, Hex } from '../protocols/adapter.ts'
import type { PreconditionArtifact } from './contracts/compile.ts'
import type { Change, Target } from './draft.ts'
import { GuardMissingError } from './errors.ts'
import { lower } from './safe.ts'

/** As committed: the bytes that the address follows from. */
export const PRECONDITION = JSON.parse(readFileSync(new URL('./contracts/Precondition.json', import.meta.url), 'utf8')) as PreconditionArtifact

/** Arachnid's deterministic deployment proxy: calldata is salt ‖ creation code, the address follows from both. */
export const DEPLOYMENT_PROXY: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c'

/** Where the precondition contract stands on every chain that has it. */
export const GUARD_ADDRESS: Address = lower(getContractAddress({ opcode: 'CREATE2', from: DEPLOYMENT_PROXY, salt: zeroHash, bytecode: PRECONDITION.bytecode }))

export const GUARD_ABI = parseAbi([
  'struct Expectation { address target; bytes callData; uint256 word; bytes32 expected; }',
  'function check(Expectation[] expectations, uint256 deadline) view',
  'error Expired(uint256 deadline, uint256 timestamp)',
  'error NothingExpected()',
  'error NoContract(uint256 index, address target)',
  'error Unreadable(uint256 index, address target, bytes reason)',
  'error AnswerTooShort(uint256 index, uint256 length)',
  'error Drifted(uint256 index, bytes32 found, bytes32 expected)',
])

/** The call that reverts unless every change's parameter still has its `from`, and the block's time is at most `deadlineSec`. */
export function guardCall({ catalog, deployment }: Target, changes: readonly Change[], deadlineSec: bigint): Call {
  const expectations = changes.map((change) => catalog.expectation(deployment, { name: change.parameter, subject: change.subject }, change.from))
  return { to: GUARD_ADDRESS, value: 0n, data: encodeFunctionData({ abi: GUARD_ABI, functionName: 'check', args: [expectations, deadlineSec] }) }
}

/** Anybody may send it, once per chain. */
export const guardDeployment = (): Call => ({ to: DEPLOYMENT_PROXY, value: 0n, data: `${zeroHash}${PRECONDITION.bytecode.slice(2)}` })

/**
 * Throws GuardMissingError where the chain does not have the very contract. Without code at its address the batch's first
 * call would succeed and guard nothing.
 */
export async function assertGuard(client: PublicClient, network: string): Promise<void> {
  const code = await client.getCode({ address: GUARD_ADDRESS })
  if (code === undefined || keccak256(code) !== PRECONDITION.codeHash) throw new GuardMissingError({ network, address: GUARD_ADDRESS, found: code === undefined ? 'no code' : `code ${keccak256(code)}` })
}

/** What the precondition contract refused, in one sentence; null where `data` is none of its errors. */
export function guardRefusal({ catalog }: Pick<Target, 'catalog'>, changes: readonly Change[], data: Hex): string | null {
  try {
    const error = decodeErrorResult({ abi: GUARD_ABI, data })
    switch (error.errorName) {
      case 'Expired':
        return `the deadline ${error.args[0]} has passed: the block's time is ${error.args[1]}`
      case 'NothingExpected':
        return 'it expects nothing'
      case 'NoContract':
        return `${nameOf(changes, error.args[0])} cannot be read: there is no contract at ${lower(error.args[1])}`
      case 'Unreadable':
        return `${nameOf(changes, error.args[0])} cannot be read: its getter at ${lower(error.args[1])} reverts with ${error.args[2]}`
      case 'AnswerTooShort':
        return `${nameOf(changes, error.args[0])} cannot be read: its getter answers ${error.args[1]} bytes`
      case 'Drifted': {
        const change = changes[Number(error.args[0])]
        const found = change === undefined ? null : catalog.valueOfWord({ name: change.parameter, subject: change.subject }, error.args[1])
        return `${nameOf(changes, error.args[0])} is ${found ?? error.args[1]}, expected ${change?.from ?? error.args[2]}`
      }
    }
  } catch {
    return null
  }
}

const nameOf = (changes: readonly Change[], index: bigint): string => {
  const change = changes[Number(index)]
  return change === undefined ? `expectation ${index}` : `${change.parameter} of ${change.subjectLabel}`
}
