/**
 * The way from the Safe to the protocol. Where the Safe owns it, its transaction makes the calls. Where an OpenZeppelin
 * TimelockController owns it, the Safe's transaction schedules them there, and whoever holds the executor's role makes them
 * once the delay is over; the precondition is among them, so it is asked again at that moment.
 */
import { encodeAbiParameters, encodeFunctionData, keccak256, parseAbi, toHex, zeroAddress, zeroHash } from 'viem'
import type { PublicClient } from 'viem'
import { BadInputError, UnavailableError } from '../core/errors.ts'
import type { Address, Call, Deployment, Governance, Hex } from '../protocols/adapter.ts'
import { GovernanceMismatchError } from './errors.ts'
import { lower } from './safe.ts'

export const TIMELOCK_ABI = parseAbi([
  'function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt, uint256 delay)',
  'function executeBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt) payable',
  'function cancel(bytes32 id)',
  'function getMinDelay() view returns (uint256)',
  'function getTimestamp(bytes32 id) view returns (uint256)',
  'function hasRole(bytes32 role, address account) view returns (bool)',
  'event CallScheduled(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data, bytes32 predecessor, uint256 delay)',
  'event CallExecuted(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data)',
  'event Cancelled(bytes32 indexed id)',
  'error TimelockInsufficientDelay(uint256 delay, uint256 minDelay)',
  'error TimelockUnexpectedOperationState(bytes32 operationId, bytes32 expectedStates)',
  'error TimelockUnexecutedPredecessor(bytes32 predecessorId)',
  'error AccessControlUnauthorizedAccount(address account, bytes32 neededRole)',
])

const role = (name: string): Hex => keccak256(toHex(name))
const PROPOSER_ROLE = role('PROPOSER_ROLE')
const EXECUTOR_ROLE = role('EXECUTOR_ROLE')
const CANCELLER_ROLE = role('CANCELLER_ROLE')

/** What the Safe's transaction queues. */
export type Queued = {
  readonly kind: 'TIMELOCK'
  readonly address: Address
  /** The timelock's own name for it: keccak256(abi.encode(targets, values, payloads, predecessor, salt)). */
  readonly id: Hex
  /** What the timelock calls, in order. */
  readonly calls: readonly Call[]
  /** Always zero: the precondition among the calls, not another operation, says what must have happened before. */
  readonly predecessor: Hex
  /** keccak256(abi.encode(chain id, Safe, nonce)): no two of the Safe's transactions queue the same operation. */
  readonly salt: Hex
  /** From the block that schedules it to the first that can execute it. */
  readonly delaySec: bigint
  /** Last block time at which it can be scheduled and still be executed in time. */
  readonly queueUntilSec: bigint
  /** Last block time at which it can be executed. */
  readonly executeUntilSec: bigint
}

/** SAFE where the deployment says nothing. */
export const governanceOf = (deployment: Deployment): Governance => deployment.governance ?? { kind: 'SAFE' }

/** Seconds between the Safe's transaction and the first block that can make the changes. */
export const delayOf = (deployment: Deployment): bigint => {
  const governance = governanceOf(deployment)
  return governance.kind === 'SAFE' ? 0n : BigInt(governance.minDelaySec)
}

/** Last block time at which the Safe's transaction can go in and its changes still be made by `validUntilSec`. */
export const safeDeadlineSec = (deployment: Deployment, validUntilSec: bigint): bigint => validUntilSec - delayOf(deployment)

/**
 * The operation that makes `calls` through what stands between the Safe and the protocol; null where nothing does.
 * Throws BadInputError where the deadline is shorter than the delay itself.
 */
export function queuedOperation(deployment: Deployment, safe: Address, plan: { readonly validUntilSec: bigint; readonly nonce: bigint }, calls: readonly Call[]): Queued | null {
  const governance = governanceOf(deployment)
  if (governance.kind === 'SAFE') return null
  const delaySec = BigInt(governance.minDelaySec)
  const queueUntilSec = plan.validUntilSec - delaySec
  if (queueUntilSec < 0n) throw new BadInputError(`Found a deadline of ${plan.validUntilSec}, the timelock ${governance.address} takes ${delaySec} s; choose a later one`)
  const salt = keccak256(encodeAbiParameters([{ type: 'uint256' }, { type: 'address' }, { type: 'uint256' }], [BigInt(deployment.chainId), safe, plan.nonce]))
  const predecessor = zeroHash
  const id = keccak256(encodeAbiParameters([{ type: 'address[]' }, { type: 'uint256[]' }, { type: 'bytes[]' }, { type: 'bytes32' }, { type: 'bytes32' }], [...split(calls), predecessor, salt]))
  return { kind: 'TIMELOCK', address: lower(governance.address), id, calls, predecessor, salt, delaySec, queueUntilSec, executeUntilSec: plan.validUntilSec }
}

const split = (calls: readonly Call[]) => [calls.map((call) => call.to), calls.map((call) => call.value), calls.map((call) => call.data)] as const

const timelockCall = (queued: Queued, data: Hex): Call => ({ to: queued.address, value: 0n, data })

/** By the Safe. */
export const queueCall = (queued: Queued): Call =>
  timelockCall(queued, encodeFunctionData({ abi: TIMELOCK_ABI, functionName: 'scheduleBatch', args: [...split(queued.calls), queued.predecessor, queued.salt, queued.delaySec] }))

/** By whoever may execute, once the delay is over. */
export const executeQueuedCall = (queued: Queued): Call =>
  timelockCall(queued, encodeFunctionData({ abi: TIMELOCK_ABI, functionName: 'executeBatch', args: [...split(queued.calls), queued.predecessor, queued.salt] }))

/** By the Safe, until it is executed. */
export const cancelQueuedCall = (queued: Queued): Call => timelockCall(queued, encodeFunctionData({ abi: TIMELOCK_ABI, functionName: 'cancel', args: [queued.id] }))

/** Where an operation stands. UNSET: never scheduled, or cancelled. EXPIRED: its deadline is over, and it can only be cancelled. */
export type QueuedStatus = {
  readonly state: 'UNSET' | 'WAITING' | 'READY' | 'EXPIRED' | 'DONE'
  /** First block time at which it can be executed; null where it is not waiting for one. */
  readonly readyAtSec: bigint | null
  /** Until then; 0 once it is reached, null where there is none. */
  readonly secondsLeft: bigint | null
}

/** OpenZeppelin keeps 0 for an operation that it does not have, 1 for one that is done, and otherwise the time at which it is ready. */
const DONE_TIMESTAMP = 1n

/** Out of what the timelock keeps for an operation, at a block time. Pure. */
export function queuedStatus(queued: Pick<Queued, 'executeUntilSec'>, kept: bigint, nowSec: bigint): QueuedStatus {
  if (kept === 0n) return { state: 'UNSET', readyAtSec: null, secondsLeft: null }
  if (kept === DONE_TIMESTAMP) return { state: 'DONE', readyAtSec: null, secondsLeft: null }
  const secondsLeft = kept > nowSec ? kept - nowSec : 0n
  const expired = nowSec > queued.executeUntilSec || kept > queued.executeUntilSec
  return { state: expired ? 'EXPIRED' : secondsLeft > 0n ? 'WAITING' : 'READY', readyAtSec: kept, secondsLeft }
}

/** Where an operation stands at the chain's head, or at a block. Throws UnavailableError where the timelock does not answer. */
export async function readQueued(client: PublicClient, queued: Queued, blockNumber?: bigint): Promise<QueuedStatus> {
  const block = await client.getBlock(blockNumber === undefined ? {} : { blockNumber })
  const kept = await asked(queued.address, client.readContract({ address: queued.address, abi: TIMELOCK_ABI, functionName: 'getTimestamp', args: [queued.id], blockNumber: block.number }))
  return queuedStatus(queued, kept, block.timestamp)
}

/** One thing that happened to an operation. */
export type QueuedEvent = { readonly kind: 'SCHEDULED' | 'EXECUTED' | 'CANCELLED'; readonly txHash: Hex; readonly block: bigint }

/** What the timelock's log says of an operation between two blocks, inclusive, in the order of the chain. The caller keeps the range small enough for its node. */
export async function readQueuedEvents(client: PublicClient, queued: Queued, fromBlock: bigint, toBlock: bigint): Promise<readonly QueuedEvent[]> {
  const events = TIMELOCK_ABI.filter((item) => item.type === 'event')
  const logs = await client.getLogs({ address: queued.address, events, fromBlock, toBlock, strict: true })
  const kinds = { CallScheduled: 'SCHEDULED', CallExecuted: 'EXECUTED', Cancelled: 'CANCELLED' } as const
  return logs.flatMap((log): QueuedEvent[] => {
    // One log per call of a batch: the first stands for all.
    if (log.args.id !== queued.id || ('index' in log.args && log.args.index !== 0n)) return []
    return [{ kind: kinds[log.eventName], txHash: log.transactionHash, block: log.blockNumber }]
  })
}

/** Who may execute what is queued, as the chain has it. */
export type Executors = { readonly anyone: boolean; readonly safe: boolean }

/** Whether an account may execute at the timelock now. */
export async function mayExecute(client: PublicClient, queued: Queued, account: Address): Promise<boolean> {
  const [open, own] = await Promise.all([hasRole(client, queued.address, EXECUTOR_ROLE, zeroAddress), hasRole(client, queued.address, EXECUTOR_ROLE, account)])
  return open || own
}

/**
 * Holds the timelock against the deployment's record: its delay, and that the Safe may propose and cancel there. Nothing to
 * hold where the Safe owns the protocol. Throws GovernanceMismatchError, UnavailableError.
 */
export async function readRecordedGovernance(client: PublicClient, deployment: Deployment): Promise<Executors | null> {
  const governance = governanceOf(deployment)
  if (governance.kind === 'SAFE') return null
  const { address } = governance
  const safe = deployment.safe?.address ?? zeroAddress
  const [minDelay, proposes, cancels, anyone, executes] = await Promise.all([
    asked(address, client.readContract({ address, abi: TIMELOCK_ABI, functionName: 'getMinDelay' })),
    hasRole(client, address, PROPOSER_ROLE, safe),
    hasRole(client, address, CANCELLER_ROLE, safe),
    hasRole(client, address, EXECUTOR_ROLE, zeroAddress),
    hasRole(client, address, EXECUTOR_ROLE, safe),
  ])
  const compare = (what: string, found: string, recorded: string): void => {
    if (found !== recorded) throw new GovernanceMismatchError({ timelock: lower(address), what, found, recorded })
  }
  compare('a minimum delay of', String(minDelay), String(governance.minDelaySec))
  compare("the Safe's right to propose:", String(proposes), 'true')
  compare("the Safe's right to cancel:", String(cancels), 'true')
  return { anyone, safe: executes }
}

const hasRole = (client: PublicClient, address: Address, of: Hex, account: Address): Promise<boolean> =>
  asked(address, client.readContract({ address, abi: TIMELOCK_ABI, functionName: 'hasRole', args: [of, account] }))

async function asked<T>(timelock: Address, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch {
    // Without the cause: its text names the RPC's URL, which may carry a key.
    throw new UnavailableError({ part: 'chain', found: `the timelock ${lower(timelock)} did not answer`, action: 'check that the chain runs and that the address is right for it' })
  }
}
