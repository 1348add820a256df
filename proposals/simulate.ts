/** A batch tried out on a fork, through the Safe itself, with every parameter read before and after. */
import type { PublicClient } from 'viem'
import { createPublicClient, decodeErrorResult, http, LimitExceededRpcError, numberToHex, parseAbi, parseEther, RpcRequestError, BaseError, BlockNotFoundError } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Address, Call, Hex, ParameterRef } from '../protocols/adapter.ts'
import { safeOf } from './build.ts'
import type { Built } from './build.ts'
import { keyOf } from './draft.ts'
import type { Change, Target } from './draft.ts'
import { openFork } from './fork.ts'
import { receiptOf } from './receipt.ts'
import type { ForkClient } from './fork.ts'
import { EXECUTION_SUCCESS_TOPIC, encodeExecution } from './safe.ts'
import { preValidatedSignature } from './sign.ts'
import type { IndexedBlock, IndexedValue } from './store.ts'

export type CallResult = { readonly to: Address; readonly success: boolean; readonly gasUsed: string | null; readonly error: string | null }
export type ParameterResult = { readonly name: string; readonly subject: Address; readonly before: string; readonly after: string; readonly expected: string }

/** What the simulation saw. Integers as decimal strings: it is stored as JSON. */
export type SimulationResult = {
  readonly block: string
  readonly blockHash: Hex
  readonly success: boolean
  /** Why it failed, one sentence; null where it succeeded. */
  readonly failure: string | null
  /** Gas of the execution through the Safe; null where it did not go through. */
  readonly gasUsed: string | null
  /** Each call alone, sent by the Safe, in order. */
  readonly results: readonly CallResult[]
  readonly parameters: readonly ParameterResult[]
}

/** Storage slot of the threshold in every Safe since 1.0. */
const THRESHOLD_SLOT = numberToHex(4n, { size: 32 })
const GAS = 20_000_000n
const RECEIPT_TIMEOUT_MS = 60_000
const REVERT_ABI = parseAbi(['error Error(string)', 'error Panic(uint256)'])

/** The raw value of a parameter by the protocol's own getter, at the head or at a block of the chain. */
export async function readParameter({ catalog, deployment }: Target, client: { call: ForkClient['call'] }, change: { parameter: string; subject: Address }, blockHash?: Hex): Promise<bigint> {
  const ref = { name: change.parameter, subject: change.subject }
  const read = catalog.encodeRead(deployment, ref)
  const call = { to: read.to, data: read.data }
  const { data } = await (blockHash === undefined ? client.call(call) : client.call({ ...call, blockHash }))
  if (data === undefined) throw new UnavailableError({ part: 'chain', found: `no answer for ${change.parameter} of ${change.subject} at ${read.to}`, action: 'check that the chain is the one that the deployment records' })
  return catalog.decodeRead(ref, data)
}

/**
 * Throws UnavailableError where the chain has the block but not its state any more: a node without an archive keeps the
 * state of its last 128 blocks or so. Errors of other kinds (no connection, a rate limit) pass through as they are.
 */
export async function assertStateKept(target: Target, client: PublicClient, block: bigint): Promise<void> {
  try {
    await client.getBalance({ address: safeOf(target.deployment).address, blockNumber: block })
  } catch (error) {
    const refused = error instanceof BaseError && error.walk((each) => each instanceof RpcRequestError) !== null && error.walk((each) => each instanceof LimitExceededRpcError) === null
    const head = refused ? await client.getBlockNumber({ cacheTime: 0 }) : 0n
    if (head <= block) throw error
    throw new UnavailableError({
      part: 'chain',
      found: `the state of indexed block ${block} is gone: the head is ${head}, and this node keeps the states of its last blocks alone`,
      action: 'wait for the index to catch up and try again, or name an RPC that keeps older states',
    })
  }
}

/** Values at the indexed block by `keyOf`: the index's own, and the getter's answer for those that no event has announced yet. */
export async function readCurrent(target: Target, client: PublicClient, refs: readonly ParameterRef[], indexed: ReadonlyMap<string, IndexedValue>, block: IndexedBlock): Promise<ReadonlyMap<string, bigint>> {
  const changes = refs.map((ref) => ({ parameter: ref.name, subject: ref.subject }))
  if (changes.some((change) => !indexed.has(keyOf(change)))) await assertStateKept(target, client, block.number)
  const values = await Promise.all(changes.map(async (change) => [keyOf(change), indexed.get(keyOf(change))?.value ?? (await readParameter(target, client, change, block.hash))] as const))
  return new Map(values)
}

/**
 * Runs the batch at the end of `block` on a fork, as the Safe's `execTransaction` would: the threshold is set to 1 and an
 * owner sends it with a pre-validated signature, so that a guard of the Safe stays active. Before that, each call runs
 * alone, sent by the Safe, to say which one fails. Also fails where a value before is not `from`, or after not `to`.
 * A failing batch is a result, not an error; throws UnavailableError where the chain or the fork does not answer.
 */
export async function simulate(target: Target, changes: readonly Change[], built: Built, options: { rpcUrl: string; stateDir: string; block: { number: bigint; hash: Hex } }): Promise<SimulationResult> {
  const { deployment } = target
  const safe = safeOf(deployment)
  const [owner] = safe.owners
  if (owner === undefined) throw new UnavailableError({ part: 'fork', found: `the Safe ${safe.address} is recorded without owners`, action: "correct the deployment's record" })
  const upstream = createPublicClient({ transport: http(options.rpcUrl) })
  const pinned = await upstream.getBlock({ blockNumber: options.block.number }).catch((error: unknown) => {
    if (!(error instanceof BlockNotFoundError)) throw error
    throw new UnavailableError({ part: 'chain', found: `block ${options.block.number} is not there`, action: 'wait for the index to follow the chain, and simulate again' })
  })
  if (pinned.hash !== options.block.hash) {
    throw new UnavailableError({ part: 'mirror', found: `block ${options.block.number} is ${options.block.hash} in the index and ${pinned.hash} on chain`, action: 'wait for the index to follow the reorganisation, and simulate again' })
  }
  await assertStateKept(target, upstream, pinned.number)
  const fork = await openFork({ rpcUrl: options.rpcUrl, blockNumber: options.block.number, chainId: deployment.chainId, stateDir: options.stateDir })
  try {
    const { client } = fork
    const before = await Promise.all(changes.map((change) => readParameter(target, client, change)))
    for (const address of [safe.address, owner]) {
      await client.setBalance({ address, value: parseEther('1000') })
      await client.impersonateAccount({ address })
    }
    // Feeds must not age: without this, the next block would carry wall time. Each send gets a second of its own.
    let time = pinned.timestamp
    const send = async (call: { from: Address; to: Address; data: Hex; value: bigint }) => {
      await client.setNextBlockTimestamp({ timestamp: (time += 1n) })
      const hash = await client.request({ method: 'eth_sendTransaction', params: [{ from: call.from, to: call.to, data: call.data, value: numberToHex(call.value), gas: numberToHex(GAS) }] } as never)
      const receipt = await receiptOf(client, hash as Hex, { timeoutMs: RECEIPT_TIMEOUT_MS, everyMs: 20 })
      if (receipt === null) throw new UnavailableError({ part: 'fork', found: `transaction ${hash as Hex} is not mined after ${RECEIPT_TIMEOUT_MS / 1000} s`, action: 'simulate again' })
      return receipt
    }

    const untouched = await client.snapshot()
    const results: CallResult[] = []
    for (const call of built.calls) {
      const error = await whyReverted(client, safe.address, call)
      const receipt = await send({ from: safe.address, ...call })
      results.push({ to: call.to, success: receipt.status === 'success', gasUsed: receipt.gasUsed.toString(), error: receipt.status === 'success' ? null : (error ?? 'reverted without a reason') })
      if (receipt.status !== 'success') break
    }
    await client.revert({ id: untouched })
    time = pinned.timestamp

    await client.setStorageAt({ address: safe.address, index: THRESHOLD_SLOT, value: numberToHex(1n, { size: 32 }) })
    const tx = built.safeTx
    // The nonce of the fork's Safe is set to ours: what is queued before it changes other things, or has to be simulated again.
    await client.setStorageAt({ address: safe.address, index: numberToHex(5n, { size: 32 }), value: numberToHex(tx.nonce, { size: 32 }) })
    const data = encodeExecution(tx, preValidatedSignature(owner))
    const receipt = await send({ from: owner, to: safe.address, data, value: 0n })
    const executed = receipt.status === 'success' && receipt.logs.some((log) => log.address.toLowerCase() === safe.address.toLowerCase() && log.topics[0] === EXECUTION_SUCCESS_TOPIC)
    const after = await Promise.all(changes.map((change) => readParameter(target, client, change)))

    const parameters = changes.map((change, i): ParameterResult => ({ name: change.parameter, subject: change.subject, before: String(before[i]), after: String(after[i]), expected: change.to.toString() }))
    const failure = failureOf(changes, before, after, results, executed)
    return { block: pinned.number.toString(), blockHash: pinned.hash, success: failure === null, failure, gasUsed: executed ? receipt.gasUsed.toString() : null, results, parameters }
  } catch (error) {
    // A block at the edge may be forgotten while the fork still asks for its state.
    if (error instanceof BaseError) await assertStateKept(target, upstream, pinned.number)
    if (error instanceof BaseError) throw new UnavailableError({ part: 'fork', found: error.shortMessage, action: 'check that the chain answers at that block, and simulate again' })
    throw error
  } finally {
    await fork.close()
  }
}

function failureOf(changes: readonly Change[], before: readonly bigint[], after: readonly bigint[], results: readonly CallResult[], executed: boolean): string | null {
  const failed = results.findIndex((result) => !result.success)
  if (failed !== -1) return `Call ${failed + 1} (${nameOf(changes[failed])}) fails: ${results[failed]!.error}`
  const moved = changes.findIndex((change, i) => before[i] !== change.from)
  if (moved !== -1) return `${nameOf(changes[moved])} was ${changes[moved]!.from} when drafted and is ${before[moved]} at the simulated block`
  if (!executed) return "The calls succeed one by one, but the Safe's execTransaction does not; look for a guard of the Safe"
  const unset = changes.findIndex((change, i) => after[i] !== change.to)
  if (unset !== -1) return `${nameOf(changes[unset])} reads ${after[unset]} after the batch, expected ${changes[unset]!.to}`
  return null
}

const nameOf = (change: Change | undefined): string => (change === undefined ? 'an unknown change' : `${change.parameter} of ${change.subjectLabel}`)

/** The reason that a call by the Safe would be refused; null where it would succeed. */
async function whyReverted(client: ForkClient, safe: Address, call: Call): Promise<string | null> {
  try {
    await client.call({ account: safe, to: call.to, data: call.data, value: call.value, gas: GAS })
    return null
  } catch (error) {
    return revertReason(error)
  }
}

/** One line out of a refused call: the contract's own reason where it gave one. */
export function revertReason(error: unknown): string {
  if (!(error instanceof BaseError)) return error instanceof Error ? error.message : 'unknown reason'
  const withData = error.walk((each) => typeof (each as { data?: unknown }).data === 'string' || typeof (each as { data?: { data?: unknown } }).data?.data === 'string') as { data?: Hex | { data: Hex } } | null
  const data = typeof withData?.data === 'object' ? withData.data.data : withData?.data
  if (data !== undefined && data !== '0x') {
    try {
      const decoded = decodeErrorResult({ abi: REVERT_ABI, data })
      return decoded.errorName === 'Error' ? `reverted with "${decoded.args[0]}"` : `panicked with code ${decoded.args[0]}`
    } catch {
      return `reverted with ${data.slice(0, 10)}`
    }
  }
  const rpc = error.walk((each) => each instanceof RpcRequestError)
  return rpc instanceof RpcRequestError ? rpc.details : error.shortMessage
}
