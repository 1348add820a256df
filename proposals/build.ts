/** Changes → Safe transaction, derived twice: by our own few lines and by protocol-kit. They must agree to the byte. */
import SafeModule, { calculateSafeTransactionHash } from '@safe-global/protocol-kit'
import type { PublicClient } from 'viem'
import { zeroAddress } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Call, Deployment, Hex, SafeDeployment } from '../protocols/adapter.ts'
import { callsOf } from './draft.ts'
import type { Change, Target } from './draft.ts'
import { NoSafeError, SafeMismatchError, TamperedError } from './errors.ts'
import { assertGuard, guardCall } from './guard.ts'
import { cancelQueuedCall, queueCall, queuedOperation, readRecordedGovernance } from './paths.ts'
import type { Queued } from './paths.ts'
import { SAFE_ABI, SUPPORTED_SAFE_VERSIONS, assertPlainCalls, batchTxOf, hashesOf, lower, singleTxOf } from './safe.ts'
import type { SafeTx, SafeTxHashes } from './safe.ts'

/** The kit's default export is the class in one module system and the module in another. */
const Safe = ((SafeModule as unknown as { default?: unknown }).default ?? SafeModule) as unknown as typeof SafeModule.default

/** All that calldata is derived from, beside the target. */
export type Plan = {
  readonly changes: readonly [Change, ...Change[]]
  /** Last block time at which the changes may be made, s. */
  readonly validUntilSec: bigint
  /** Of the Safe. */
  readonly nonce: bigint
}

/** Everything that is derived from a plan. */
export type Built = {
  /** What the protocol's owner calls, in order: the precondition, then one call per change. */
  readonly calls: readonly [Call, Call, ...Call[]]
  /** What the Safe calls, in order: `calls` where it owns the protocol, and otherwise the precondition and the call that queues them. */
  readonly safeCalls: readonly [Call, Call, ...Call[]]
  readonly safeTx: SafeTx
  readonly hashes: SafeTxHashes
  /** What the Safe's transaction queues; null where the Safe makes the calls itself. */
  readonly queued: Queued | null
}

/** A transaction of the Safe that changes no parameter. */
export type Signable = Pick<Built, 'safeTx' | 'hashes'>

/** The Safe as the chain has it. */
export type SafeOnChain = { readonly version: string; readonly owners: readonly Hex[]; readonly threshold: number; readonly nonce: bigint }

/** Throws NoSafeError where the network has none. */
export function safeOf(deployment: Deployment): SafeDeployment {
  if (deployment.safe === null) throw new NoSafeError({ network: deployment.network })
  return deployment.safe
}

/** Plan → calls → Safe transaction → hashes, offline: the same function drafts, and checks what was drafted. */
export function build(target: Target, plan: Plan): Built {
  const { deployment } = target
  const safe = safeOf(deployment)
  const [first, ...rest] = callsOf(target, plan.changes)
  const calls = [guardCall(target, plan.changes, plan.validUntilSec), first, ...rest] as const
  const queued = queuedOperation(deployment, safe.address, plan, calls)
  // Asked before scheduling, too: what has drifted by then, or could not be executed in time, is not worth the wait.
  const safeCalls = queued === null ? calls : ([guardCall(target, plan.changes, queued.queueUntilSec), queueCall(queued)] as const)
  return { calls, safeCalls, queued, ...signable(deployment, batchTxOf(safeCalls, { multiSendCallOnly: safe.multiSendCallOnly, nonce: plan.nonce })) }
}

/** The empty transaction of the Safe to itself that uses up a nonce: once it is executed, nothing else at that nonce can be. */
export const rejection = (deployment: Deployment, nonce: bigint): Signable => signable(deployment, singleTxOf({ to: safeOf(deployment).address, value: 0n, data: '0x' }, nonce))

/** The Safe's transaction that takes an operation back out of the timelock. */
export const cancellation = (deployment: Deployment, queued: Queued, nonce: bigint): Signable => signable(deployment, singleTxOf(cancelQueuedCall(queued), nonce))

const signable = (deployment: Deployment, safeTx: SafeTx): Signable => ({ safeTx, hashes: hashesOf({ chainId: deployment.chainId, safe: safeOf(deployment).address }, safeTx) })

/**
 * Derives a stored proposal again from its changes and compares every byte that would be signed. Offline.
 * Throws TamperedError at the first difference.
 */
export function verify(target: Target, stored: { changes: readonly [Change, ...Change[]]; validUntil: bigint; calls: readonly Call[]; safeTx: SafeTx; hashes: SafeTxHashes; safe: string; chainId: number }): Built {
  const safe = safeOf(target.deployment)
  const built = build(target, { changes: stored.changes, validUntilSec: stored.validUntil, nonce: stored.safeTx.nonce })
  const compare = (what: string, found: string, expected: string): void => {
    if (found.toLowerCase() !== expected.toLowerCase()) throw new TamperedError({ what, found, expected })
  }
  compare('Safe', stored.safe, safe.address)
  compare('chain id', String(stored.chainId), String(target.deployment.chainId))
  compare('calls', canonical(stored.calls), canonical(built.calls))
  for (const key of Object.keys(built.safeTx) as (keyof SafeTx)[]) compare(`Safe transaction field ${key}`, String(stored.safeTx[key]), String(built.safeTx[key]))
  for (const key of Object.keys(built.hashes) as (keyof SafeTxHashes)[]) compare(key, stored.hashes[key], built.hashes[key])
  return built
}

/** Version, owners, threshold and nonce at the chain's head, or at a block. */
export async function readSafe(client: PublicClient, deployment: Deployment, blockNumber?: bigint): Promise<SafeOnChain> {
  const { address } = safeOf(deployment)
  const at = blockNumber === undefined ? {} : { blockNumber }
  try {
    const [version, owners, threshold, nonce] = await Promise.all([
      client.readContract({ address, abi: SAFE_ABI, functionName: 'VERSION', ...at }),
      client.readContract({ address, abi: SAFE_ABI, functionName: 'getOwners', ...at }),
      client.readContract({ address, abi: SAFE_ABI, functionName: 'getThreshold', ...at }),
      client.readContract({ address, abi: SAFE_ABI, functionName: 'nonce', ...at }),
    ])
    return { version, owners: owners.map(lower), threshold: Number(threshold), nonce }
  } catch {
    // Without the cause: its text names the RPC's URL, which may carry a key.
    throw new UnavailableError({ part: 'chain', found: `the Safe ${lower(address)} did not answer at ${deployment.network}`, action: 'check that the chain runs and that the address is right for it' })
  }
}

/** Reads the Safe, and what stands between it and the protocol, and holds them against the deployment's record; the precondition contract must be there. Throws SafeMismatchError, GovernanceMismatchError, GuardMissingError. */
export async function readRecordedSafe(client: PublicClient, deployment: Deployment): Promise<SafeOnChain> {
  const recorded = safeOf(deployment)
  const onChain = await readSafe(client, deployment)
  const compare = (what: string, found: string, expected: string): void => {
    if (found !== expected) throw new SafeMismatchError({ safe: lower(recorded.address), what, found, recorded: expected })
  }
  compare('version', onChain.version, recorded.version)
  if (!(SUPPORTED_SAFE_VERSIONS as readonly string[]).includes(onChain.version)) {
    throw new SafeMismatchError({ safe: lower(recorded.address), what: 'version', found: onChain.version, recorded: `one of ${SUPPORTED_SAFE_VERSIONS.join(', ')}` })
  }
  compare('threshold', String(onChain.threshold), String(recorded.threshold))
  compare('owners', onChain.owners.toSorted().join(', '), recorded.owners.map(lower).toSorted().join(', '))
  // Slot 0 of a Safe proxy is the contract that it runs.
  const slot0 = await client.getStorageAt({ address: recorded.address, slot: '0x0' })
  compare('singleton', `0x${(slot0 ?? '0x').slice(-40)}`, lower(recorded.singleton))
  await assertGuard(client, deployment.network)
  await readRecordedGovernance(client, deployment)
  return onChain
}

/**
 * Lets protocol-kit build the same transaction and hash it, offline and by the Safe's own getter.
 * Throws TamperedError where a field or a hash differs from ours.
 */
export async function crossCheck(rpcUrl: string, deployment: Deployment, built: Built): Promise<void> {
  const safe = safeOf(deployment)
  const kit = await Safe.init({
    provider: rpcUrl,
    safeAddress: safe.address,
    contractNetworks: {
      [String(deployment.chainId)]: {
        safeSingletonAddress: safe.singleton,
        safeProxyFactoryAddress: safe.proxyFactory,
        fallbackHandlerAddress: safe.fallbackHandler,
        multiSendAddress: safe.multiSend,
        multiSendCallOnlyAddress: safe.multiSendCallOnly,
      },
    },
  })
  // Where the kit cannot read a Safe's version, it takes 1.4.1 without a word.
  if (kit.getContractVersion() !== safe.version) throw new SafeMismatchError({ safe: lower(safe.address), what: 'version', found: `${kit.getContractVersion()} by protocol-kit`, recorded: safe.version })
  assertPlainCalls(built.safeTx, safe.multiSendCallOnly)
  const transaction = await kit.createTransaction({
    transactions: built.safeCalls.map((call) => ({ to: call.to, value: call.value.toString(), data: call.data, operation: 0 })),
    onlyCalls: true,
    options: { safeTxGas: '0', baseGas: '0', gasPrice: '0', gasToken: zeroAddress, refundReceiver: zeroAddress, nonce: Number(built.safeTx.nonce) },
  })
  for (const key of Object.keys(built.safeTx) as (keyof SafeTx)[]) {
    const found = String(transaction.data[key]).toLowerCase()
    if (found !== String(built.safeTx[key]).toLowerCase()) throw new TamperedError({ what: `Safe transaction field ${key} by protocol-kit`, found, expected: String(built.safeTx[key]) })
  }
  const offline = calculateSafeTransactionHash(safe.address, transaction.data, safe.version, BigInt(deployment.chainId))
  const onChain = await kit.getTransactionHash(transaction)
  for (const [what, found] of [['safeTxHash by protocol-kit', offline], ['safeTxHash by the Safe contract', onChain]] as const) {
    if (found.toLowerCase() !== built.hashes.safeTxHash) throw new TamperedError({ what, found, expected: built.hashes.safeTxHash })
  }
}

const canonical = (calls: readonly Call[]): string => calls.map((call) => `${call.to.toLowerCase()} ${call.value} ${call.data.toLowerCase()}`).join('; ')
