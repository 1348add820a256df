/**
 * A batch and the way back from it, tried out on a fork through the Safe itself: every parameter read before and after, every
 * event and storage slot by its name, every account's margin by the contracts' own getters.
 */
import type { PublicClient } from 'viem'
import { createPublicClient, decodeErrorResult, http, LimitExceededRpcError, numberToHex, parseAbi, parseEther, RpcRequestError, BaseError, BlockNotFoundError } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Address, Call, Hex, ParameterRef } from '../protocols/adapter.ts'
import { protocols } from '../protocols/index.ts'
import { isUnreadable, type Backing, type OnChain, type ReadMany, type Standing, type Unreadable } from '../protocols/onchain.ts'
import { safeOf } from './build.ts'
import type { Built, Plan } from './build.ts'
import { keyOf, labelOf } from './draft.ts'
import type { Change, Target } from './draft.ts'
import { openFork } from './fork.ts'
import type { Fork, ForkClient } from './fork.ts'
import { guardRefusal, GUARD_ADDRESS } from './guard.ts'
import { EXECUTION_SUCCESS_TOPIC, encodeExecution, lower } from './safe.ts'
import { executeQueuedCall, readRecordedGovernance } from './paths.ts'
import { receiptOf } from './receipt.ts'
import { preValidatedSignature } from './sign.ts'
import { decodeEvent, decodeSlot, keysOf, knownContracts, locate, othersOf, slotsOf } from './slots.ts'
import type { EventSeen, PrestateDiff, SlotChange } from './slots.ts'
import type { IndexedBlock, IndexedValue } from './store.ts'

/** One call of the batch, as the trace of the execution shows it. `what`: the precondition, or the change that it makes. */
export type CallResult = { readonly to: Address; readonly what: string; readonly success: boolean; readonly gasUsed: string | null; readonly error: string | null }
export type ParameterResult = { readonly name: string; readonly subject: Address; readonly before: string; readonly after: string; readonly expected: string }

/** A transaction that was sent: the Safe's, and what it queued where a path delays it. */
export type Stage = { readonly what: 'execTransaction' | 'execute'; /** Chain time of its block, s. */ readonly timestampSec: string; readonly success: boolean; readonly gasUsed: string | null }

/** What one batch did. Integers as decimal strings. */
export type BatchResult = {
  readonly success: boolean
  /** Why it failed, one sentence; null where it succeeded. */
  readonly failure: string | null
  /** Gas of all stages; null where one did not go through. */
  readonly gasUsed: string | null
  readonly stages: readonly Stage[]
  /** In order, up to the first that fails. */
  readonly results: readonly CallResult[]
  /** What the batch sets. */
  readonly parameters: readonly ParameterResult[]
  /** All others of the catalog: how many were read, and those that changed although the batch does not name them. */
  readonly others: { readonly read: number; readonly changed: readonly ParameterResult[] }
  readonly events: readonly EventSeen[]
  readonly storage: readonly SlotChange[]
  /** Balances and code that changed, but for the sender's gas. */
  readonly accounts: readonly { readonly address: Address; readonly what: 'balance' | 'code'; readonly from: string; readonly to: string }[]
  /** What a reader should know of a batch that succeeds, one sentence each: what has no name, what was not expected. */
  readonly warnings: readonly string[]
}

/** What the simulation saw: plain JSON, to be stored and digested. */
export type SimulationResult = BatchResult & {
  readonly version: 2
  readonly block: string
  readonly blockHash: Hex
  /** Of that block, s. */
  readonly timestampSec: string
  /** The way back, run right after it on the same fork; null where there is none, or the batch itself failed. */
  readonly rollback: BatchResult | null
}

/** Margins before and after, read at the same chain time, so that the change alone lies between them. */
export type Seen = {
  /** s. */
  readonly timestampSec: bigint
  readonly before: readonly (Standing | Unreadable)[]
  readonly after: readonly (Standing | Unreadable)[]
  readonly backingBefore: Backing
  readonly backingAfter: Backing
}

export type Batch = { readonly plan: Plan; readonly built: Built }

export type SimulateOptions = {
  readonly rpcUrl: string
  readonly stateDir: string
  readonly block: { readonly number: bigint; readonly hash: Hex }
  /** The way back; left out or null where there is none. */
  readonly rollback?: Batch | null
  /** Accounts whose margins are read before and after; none where left out. */
  readonly accounts?: readonly Address[]
}

/** Storage slots of every Safe since 1.0. */
const THRESHOLD_SLOT = numberToHex(4n, { size: 32 })
const NONCE_SLOT = numberToHex(5n, { size: 32 })
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
 * owner sends it with a pre-validated signature, so that a guard of the Safe stays active; the nonce is set to the
 * proposal's. Then, on the same fork, the way back from it. Fails where a value before is not `from` or after not `to`, and
 * where anything of the protocol changed that the batch does not name.
 * A failing batch is a result, not an error; throws UnavailableError where the chain or the fork does not answer.
 */
export async function simulate(target: Target, plan: Plan, built: Built, options: SimulateOptions): Promise<{ readonly result: SimulationResult; /** null where no accounts were asked for, or the batch failed. */ readonly seen: Seen | null }> {
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
    for (const address of [owner, EXECUTOR, safe.address]) {
      await fork.client.setBalance({ address, value: parseEther('1000') })
      await fork.client.impersonateAccount({ address })
    }
    const run = new Run(target, fork, lower(owner), pinned.timestamp)
    const { seen, result: batch } = await run.batch({ plan, built }, options.accounts ?? null)
    const back = !batch.success || options.rollback === undefined || options.rollback === null ? null : await run.batch(options.rollback, null)
    const rollback = back === null ? null : back.result
    const failure = batch.failure ?? (rollback?.failure == null ? null : `The way back does not work: ${rollback.failure}`)
    return { result: { version: 2, block: pinned.number.toString(), blockHash: pinned.hash, timestampSec: pinned.timestamp.toString(), ...batch, success: failure === null, failure, rollback }, seen }
  } catch (error) {
    // A block at the edge may be forgotten while the fork still asks for its state.
    if (error instanceof BaseError || error instanceof UnavailableError) await assertStateKept(target, upstream, pinned.number)
    if (error instanceof BaseError) throw new UnavailableError({ part: 'fork', found: error.shortMessage, action: 'check that the chain answers at that block, and simulate again' })
    throw error
  } finally {
    await fork.close()
  }
}

type Ran = { readonly result: BatchResult; readonly seen: Seen | null }

/** Whoever executes what has been queued: an account without a role of its own. */
const EXECUTOR: Address = '0x00000000000000000000000000000000000b0b0b'

type Send = { readonly what: Stage['what']; readonly from: Address; readonly to: Address; readonly data: Hex; readonly timestampSec: bigint }
type Frame = { readonly type: string; readonly from: Address; readonly to?: Address; readonly input: Hex; readonly output?: Hex; readonly error?: string; readonly gasUsed: Hex; readonly calls?: readonly Frame[] }
type Mined = Stage & { readonly frame: Frame; readonly diff: PrestateDiff; readonly logs: readonly { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex }[]; readonly except: readonly Address[] }

/** Batches one after the other on one fork. */
class Run {
  readonly #target: Target
  readonly #fork: Fork
  readonly #owner: Address
  readonly #onChain: OnChain | null
  /** Of the last block. Feeds must not age: left alone, the next block would carry wall time. */
  #timestampSec: bigint

  constructor(target: Target, fork: Fork, owner: Address, timestampSec: bigint) {
    this.#target = target
    this.#fork = fork
    this.#owner = owner
    this.#timestampSec = timestampSec
    this.#onChain = protocols.find((protocol) => protocol.catalog === target.catalog)?.onChain ?? null
  }

  async batch({ plan, built }: Batch, accounts: readonly Address[] | null): Promise<Ran> {
    const { catalog, deployment } = this.#target
    const { client } = this.#fork
    const safe = safeOf(deployment)
    // What is queued before it changes other things, or has to be simulated again.
    await client.setStorageAt({ address: safe.address, index: THRESHOLD_SLOT, value: numberToHex(1n, { size: 32 }) })
    await client.setStorageAt({ address: safe.address, index: NONCE_SLOT, value: numberToHex(built.safeTx.nonce, { size: 32 }) })
    const touched = new Set(plan.changes.map(keyOf))
    const named = plan.changes.map((change): ParameterRef => ({ name: change.parameter, subject: change.subject }))
    const rest = catalog.refs(deployment).filter((ref) => !touched.has(keyOf({ parameter: ref.name, subject: ref.subject })))
    const refs = [...named, ...rest]
    const before = await this.#values(refs)

    const mined: Mined[] = []
    let seen: Seen | null = null
    const stages = await this.#stages(built)
    for (const [i, stage] of stages.entries()) {
      const isLast = i === stages.length - 1
      const earlier = isLast && accounts !== null ? await this.#standings(stage.timestampSec, accounts) : null
      mined.push(await this.#send(stage))
      if (!mined.at(-1)!.success) break
      if (earlier !== null && accounts !== null) seen = { timestampSec: stage.timestampSec, ...earlier, ...(await this.#standingsNow(accounts)) }
    }
    const executed = mined.length === stages.length && mined.every((each) => each.success)
    const after = await this.#values(refs)

    const results = resultsOf(plan.changes, built, mined, catalog)
    const changed = rest.flatMap((ref, i): ParameterResult[] => {
      const [from, to] = [before[named.length + i], after[named.length + i]]
      return from === to ? [] : [{ name: ref.name, subject: lower(ref.subject), before: shown(from), after: shown(to), expected: shown(from) }]
    })
    const logs = mined.flatMap((each) => each.logs)
    const views = knownContracts(deployment, this.#onChain?.views(deployment) ?? [])
    const located = locate(views, keysOf(deployment, [...plan.changes.flatMap((change) => (change.scope === 'ACCOUNT' ? [change.subject] : [])), ...safe.owners, safe.address], logs.flatMap((log) => log.topics)))
    const storage = mined.flatMap((each) => slotsOf(each.diff)).map((slot) => decodeSlot(located, deployment, slot))
    const balances = mined.flatMap((each) => othersOf(each.diff, each.except))
    const events = logs.map((log) => decodeEvent(views, log))
    const own = new Set((this.#onChain?.views(deployment) ?? []).map((view) => view.address))
    const parameters = plan.changes.map((change, i): ParameterResult => ({ name: change.parameter, subject: change.subject, before: shown(before[i]), after: shown(after[i]), expected: change.to.toString() }))
    const unexpected = storage.flatMap((slot) => unexpectedIn(slot, plan.changes, own, lower(safe.address)))
    const failure =
      movedOf(plan.changes, before) ?? failedOf(results) ?? refusedOf(mined, executed) ?? unsetOf(plan.changes, after) ??
      (changed[0] === undefined ? null : `${changed[0].name} of ${labelOf(deployment, catalog.find(changed[0].name).scope, changed[0].subject)} changed from ${changed[0].before} to ${changed[0].after}, and the batch does not name it`) ??
      unexpected.find((each) => each.stops)?.text ?? blindOf(seen)
    const warnings = [
      ...unexpected.filter((each) => !each.stops).map((each) => each.text),
      ...events.flatMap((event) => (event.name === null ? [`An event of ${event.contract ?? event.address} with topic ${event.raw?.topics[0] ?? 'none'} has no name here`] : [])),
      ...balances.map((each) => `The ${each.what} of ${each.address} changed from ${each.from} to ${each.to}`),
    ]
    const gas = mined.reduce((sum, each) => sum + BigInt(each.gasUsed ?? 0), 0n)
    const result: BatchResult = {
      success: failure === null,
      failure,
      gasUsed: executed ? gas.toString() : null,
      stages: mined.map(({ what, timestampSec, success, gasUsed }) => ({ what, timestampSec, success, gasUsed: success ? gasUsed : null })),
      results,
      parameters,
      others: { read: rest.length, changed },
      events,
      storage,
      accounts: balances,
      warnings,
    }
    return { result, seen: executed ? seen : null }
  }

  /** The Safe's transaction, and what it queued in the first second in which it may be executed. */
  async #stages(built: Built): Promise<readonly Send[]> {
    const { deployment } = this.#target
    const safe = lower(safeOf(deployment).address)
    const timestampSec = this.#timestampSec + 1n
    const own: Send = { what: 'execTransaction', from: this.#owner, to: safe, data: encodeExecution(built.safeTx, preValidatedSignature(this.#owner)), timestampSec }
    if (built.queued === null) return [own]
    const executors = await readRecordedGovernance(createPublicClient({ transport: http(this.#fork.url) }), deployment)
    const call = executeQueuedCall(built.queued)
    return [own, { what: 'execute', from: executors?.anyone === true ? EXECUTOR : safe, to: call.to, data: call.data, timestampSec: timestampSec + built.queued.delaySec }]
  }

  async #send(stage: Send): Promise<Mined> {
    const { client } = this.#fork
    await client.setNextBlockTimestamp({ timestamp: stage.timestampSec })
    this.#timestampSec = stage.timestampSec
    const hash = (await client.request({ method: 'eth_sendTransaction', params: [{ from: stage.from, to: stage.to, data: stage.data, gas: numberToHex(GAS) }] } as never)) as Hex
    const receipt = await receiptOf(client, hash, { timeoutMs: RECEIPT_TIMEOUT_MS, everyMs: 20 })
    if (receipt === null) throw new UnavailableError({ part: 'fork', found: `transaction ${hash} is not mined after ${RECEIPT_TIMEOUT_MS / 1000} s`, action: 'simulate again' })
    const trace = async (options: unknown): Promise<unknown> => await client.request({ method: 'debug_traceTransaction', params: [hash, options] } as never)
    const frame = (await trace({ tracer: 'callTracer' })) as Frame
    const diff = (await trace({ tracer: 'prestateTracer', tracerConfig: { diffMode: true } })) as PrestateDiff
    const { miner } = await client.getBlock({ blockNumber: receipt.blockNumber })
    const isSafe = stage.what === 'execTransaction'
    const success = receipt.status === 'success' && (!isSafe || receipt.logs.some((log) => lower(log.address) === stage.to && log.topics[0] === EXECUTION_SUCCESS_TOPIC))
    return { what: stage.what, timestampSec: stage.timestampSec.toString(), success, gasUsed: receipt.gasUsed.toString(), frame, diff, logs: receipt.logs, except: [stage.from, miner] }
  }

  /** Values of parameters at the fork's head; null where a getter reverts. */
  async #values(refs: readonly ParameterRef[]): Promise<readonly (bigint | null)[]> {
    const { catalog, deployment } = this.#target
    const answers = await this.#fork.read(refs.map((ref) => catalog.encodeRead(deployment, ref)))
    return refs.map((ref, i) => (answers[i] == null ? null : catalog.decodeRead(ref, answers[i])))
  }

  /** Margins as they would be at a later time without the batch: the fork goes there with an empty block, and back. */
  async #standings(timestampSec: bigint, accounts: readonly Address[]): Promise<{ readonly before: Seen['before']; readonly backingBefore: Backing }> {
    const { client } = this.#fork
    const here = await client.snapshot()
    await client.setNextBlockTimestamp({ timestamp: timestampSec })
    await client.mine({ blocks: 1 })
    const { after: before, backingAfter: backingBefore } = await this.#standingsNow(accounts)
    await client.revert({ id: here })
    return { before, backingBefore }
  }

  async #standingsNow(accounts: readonly Address[]): Promise<{ readonly after: Seen['after']; readonly backingAfter: Backing }> {
    const { deployment } = this.#target
    if (this.#onChain === null) return { after: [], backingAfter: { fundE18: null } }
    const read: ReadMany = (calls) => this.#fork.read(calls)
    return { after: await this.#onChain.standings(deployment, accounts, read), backingAfter: await this.#onChain.backing(deployment, read) }
  }
}

const shown = (value: bigint | null | undefined): string => (value == null ? 'unreadable' : value.toString())

type Made = { readonly call: Call; readonly what: string }

/** The calls in the order in which they are made: where a path delays them, first those that queue them. */
function madeBy(changes: readonly Change[], built: Built): readonly Made[] {
  const calls = built.calls.map((call, i): Made => ({ call, what: i === 0 ? 'the precondition' : nameOf(changes[i - 1]) }))
  return built.queued === null ? calls : [{ call: built.safeCalls[0], what: 'the precondition before it is queued' }, { call: built.safeCalls[1], what: 'queueing it at the timelock' }, ...calls]
}

/** What became of each call, out of the traces: found by target and calldata, up to the first that fails. */
function resultsOf(changes: readonly Change[], built: Built, mined: readonly Mined[], catalog: Target['catalog']): readonly CallResult[] {
  const made = madeBy(changes, built)
  const results: CallResult[] = []
  const walk = (frame: Frame): void => {
    const next = made[results.length]
    if (next !== undefined && frame.type === 'CALL' && frame.to !== undefined && lower(frame.to) === lower(next.call.to) && frame.input.toLowerCase() === next.call.data.toLowerCase()) {
      const success = frame.error === undefined
      results.push({ to: lower(next.call.to), what: next.what, success, gasUsed: BigInt(frame.gasUsed).toString(), error: success ? null : reasonOf(frame, next.call, changes, catalog) })
      return
    }
    for (const each of frame.calls ?? []) walk(each)
  }
  for (const each of mined) walk(each.frame)
  return results
}

const nameOf = (change: Change | undefined): string => (change === undefined ? 'an unknown change' : `${change.parameter} of ${change.subjectLabel}`)

function reasonOf(frame: Frame, call: Call, changes: readonly Change[], catalog: Target['catalog']): string {
  const data = frame.output ?? '0x'
  const refused = lower(call.to) === GUARD_ADDRESS ? guardRefusal({ catalog }, changes, data) : null
  return refused ?? revertText(data) ?? frame.error ?? 'reverted without a reason'
}

function movedOf(changes: readonly Change[], before: readonly (bigint | null)[]): string | null {
  const moved = changes.findIndex((change, i) => before[i] !== change.from)
  return moved === -1 ? null : `${nameOf(changes[moved])} was ${changes[moved]!.from} when drafted and is ${shown(before[moved])} at the simulated block`
}

function failedOf(results: readonly CallResult[]): string | null {
  const failed = results.findIndex((result) => !result.success)
  return failed === -1 ? null : `Call ${failed + 1} (${results[failed]!.what}) fails: ${results[failed]!.error}`
}

function refusedOf(mined: readonly Mined[], executed: boolean): string | null {
  if (executed) return null
  const last = mined.at(-1)
  const reason = revertText(last?.frame.output ?? '0x') ?? last?.frame.error ?? 'the inner transaction failed'
  return last?.what === 'execute' ? `What was queued does not execute: ${reason}` : `The Safe's execTransaction does not go through: ${reason}; look for a guard of the Safe`
}

function unsetOf(changes: readonly Change[], after: readonly (bigint | null)[]): string | null {
  const unset = changes.findIndex((change, i) => after[i] !== change.to)
  return unset === -1 ? null : `${nameOf(changes[unset])} reads ${shown(after[unset])} after the batch, expected ${changes[unset]!.to}`
}

/** Accounts whose margin could be read before and cannot be after: nothing that depends on it works any more. */
function blindOf(seen: Seen | null): string | null {
  const before = new Map((seen?.before ?? []).map((each) => [each.account, each]))
  const blind = (seen?.after ?? []).filter(isUnreadable).filter((each) => { const was = before.get(each.account); return was !== undefined && !isUnreadable(was) })
  return blind[0] === undefined ? null : `After the batch the margins of ${blind.length} accounts cannot be read any more, of ${blind[0].account} first: ${blind[0].reason}`
}

/** What the batch wrote and does not name. It stops the proposal where it is the protocol's own; elsewhere people decide. */
function unexpectedIn(slot: SlotChange, changes: readonly Change[], own: ReadonlySet<Address>, safe: Address): readonly { readonly text: string; readonly stops: boolean }[] {
  const stops = own.has(slot.address)
  const where = slot.contract ?? slot.address
  const named = slot.variables.flatMap((each) => {
    const { parameter } = each
    const isMeant =
      (parameter !== null && changes.some((change) => change.parameter === parameter.name && (change.subject === parameter.subject || change.scope === 'ACCOUNT'))) ||
      (slot.address === safe && each.label === 'nonce') ||
      each.label.startsWith('timestamps[')
    return isMeant ? [] : [{ text: `${each.label} of ${where} changed from ${each.from} to ${each.to}, and the batch does not name it`, stops }]
  })
  return slot.undecoded ? [...named, { text: `Slot ${slot.slot} of ${where} changed from ${slot.from} to ${slot.to}, and it is not known what it holds`, stops }] : named
}

/** Revert data in words; null where it is none that is known. */
function revertText(data: Hex): string | null {
  if (data === '0x') return null
  try {
    const decoded = decodeErrorResult({ abi: REVERT_ABI, data })
    return decoded.errorName === 'Error' ? `reverted with "${decoded.args[0]}"` : `panicked with code ${decoded.args[0]}`
  } catch {
    return `reverted with ${data.slice(0, 10)}`
  }
}

/** One line out of a refused call: the contract's own reason where it gave one. */
export function revertReason(error: unknown): string {
  if (!(error instanceof BaseError)) return error instanceof Error ? error.message : 'unknown reason'
  const withData = error.walk((each) => typeof (each as { data?: unknown }).data === 'string' || typeof (each as { data?: { data?: unknown } }).data?.data === 'string') as { data?: Hex | { data: Hex } } | null
  const data = typeof withData?.data === 'object' ? withData.data.data : withData?.data
  const text = data === undefined ? null : revertText(data)
  if (text !== null) return text
  const rpc = error.walk((each) => each instanceof RpcRequestError)
  return rpc instanceof RpcRequestError ? rpc.details : error.shortMessage
}
