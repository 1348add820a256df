/** What became of proposals, by the chain and by the index: executed by anyone, replaced, expired, stale, applied. */
import { numberToHex } from 'viem'
import type { PublicClient } from 'viem'
import { Prisma } from '../prisma/client.ts'
import type { PrismaClient } from '../prisma/client.ts'
import type { Hex } from '../protocols/adapter.ts'
import { build, readSafe, rejection, safeOf } from './build.ts'
import type { SafeOnChain } from './build.ts'
import { keyOf } from './draft.ts'
import type { Target } from './draft.ts'
import { executionLogs } from './execute.ts'
import type { ExecutionLog } from './execute.ts'
import { delayOf, readQueued, readQueuedEvents } from './paths.ts'
import type { QueuedEvent, QueuedStatus } from './paths.ts'
import { EXECUTION_FAILURE_TOPIC, EXECUTION_SUCCESS_TOPIC } from './safe.ts'
import { OPEN_STATES, TRANSITIONS, isOpen } from './state.ts'
import type { ProposalState } from './state.ts'
import { find, move, readAnnounced, readIndexed, readValues } from './store.ts'
import type { IndexedBlock, IndexedValue, ProposalRecord, Step } from './store.ts'

/** Public RPC nodes answer logs of so many blocks at once. */
const LOG_RANGE = 10_000n

/** Everything that decides what becomes of one proposal. */
export type Facts = {
  readonly head: { readonly number: bigint; readonly timestamp: bigint }
  /** From the Safe's transaction to the change itself, s: what a timelock takes. */
  readonly delaySec: bigint
  readonly safe: Pick<SafeOnChain, 'owners' | 'threshold' | 'nonce'>
  readonly indexed: IndexedBlock
  /** Current values in the index by `keyOf`. */
  readonly values: ReadonlyMap<string, IndexedValue>
  /** The Safe's log of this very transaction; null where there is none. */
  readonly log: ExecutionLog | null
  /** The Safe's log of the rejection at this nonce, whoever asked for it; null where there is none. */
  readonly rejection: ExecutionLog | null
  /** Where a timelock stands between: how the operation stands there, and what its log says of it. null elsewhere. */
  readonly timelock: { readonly status: QueuedStatus; readonly events: readonly QueuedEvent[] } | null
  /** The block that holds the transaction that this proposal's state came from (execution, or scheduling); null where the chain does not have it any more. */
  readonly includedAt: bigint | null
  /** For an EXECUTED proposal: what the index saw its transaction announce, by `keyOf`. */
  readonly announced: ReadonlyMap<string, bigint>
}

export type Tracked = { readonly id: string; readonly from: ProposalState; readonly to: ProposalState; readonly note: string }

/** The next step of one proposal, null where nothing happened. Pure. */
export function nextStep(proposal: ProposalRecord, facts: Facts): Step {
  if (TRANSITIONS[proposal.state].length === 0) return null
  if (proposal.state === 'EXECUTED') return afterExecution(proposal, facts)
  if (proposal.state === 'APPLIED') return facts.includedAt === null ? undone(proposal, facts) : null
  if (proposal.state === 'CANCELLED') return afterCancellation(proposal, facts)
  if (proposal.state === 'REPLACED') return afterReplacement(proposal, facts)
  if (proposal.scheduled !== null) return afterScheduling(proposal, facts)
  const open = isOpen(proposal.state)
  if (facts.safe.nonce > BigInt(proposal.nonce)) {
    const data = { nonceUsedAtBlock: facts.head.number }
    if (facts.log?.kind === 'SUCCESS') return onSuccess(facts, facts.log)
    if (!open && proposal.state !== 'CANCELLING') return null
    if (facts.rejection?.kind === 'SUCCESS') {
      const reason = `Rejected: the empty transaction at nonce ${proposal.nonce} was executed in ${facts.rejection.txHash}, block ${facts.rejection.block}`
      return { to: 'CANCELLED', note: reason, data: { nonceUsedAtBlock: facts.rejection.block, stateReason: reason } }
    }
    const reason =
      facts.log === null
        ? `The Safe's nonce is ${facts.safe.nonce}: nonce ${proposal.nonce} was used by another transaction`
        : `Executed in transaction ${facts.log.txHash} and failed inside the Safe: nothing changed, and its nonce is used`
    return { to: 'REPLACED', note: reason, data: { ...data, stateReason: reason } }
  }
  if (!open) return null
  const gone = outdated(proposal, facts.head.timestamp, facts.values, facts.delaySec)
  if (gone !== null) return { to: gone.to, note: gone.reason, data: { stateReason: gone.reason } }
  return bySignatures(proposal, facts)
}

/** The Safe made the proposal's own transaction: the change itself, or its place in the timelock's queue. */
function onSuccess(facts: Facts, log: ExecutionLog): Step {
  const where = `in transaction ${log.txHash}, block ${log.block}`
  if (facts.timelock === null) return { to: 'EXECUTED', note: `Executed ${where}`, data: { nonceUsedAtBlock: log.block, executionTxHash: log.txHash, executedAtBlock: log.block, stateReason: null } }
  const { readyAtSec } = facts.timelock.status
  // Executed or cancelled since: the next look says so, and the delay is over anyway.
  const ready = readyAtSec ?? facts.head.timestamp
  return { to: 'QUEUED', note: `Queued in the timelock ${where}; it can be executed from chain time ${ready}`, data: { nonceUsedAtBlock: log.block, scheduledTxHash: log.txHash, scheduledAtBlock: log.block, readyAtSec: ready, stateReason: null } }
}

/** What becomes of an operation in the timelock. */
function afterScheduling(proposal: ProposalRecord, facts: Facts): Step {
  const { scheduled } = proposal
  if (scheduled === null || facts.timelock === null) return null
  const unscheduled = { scheduledTxHash: null, scheduledAtBlock: null, readyAtSec: null, nonceUsedAtBlock: null }
  if (facts.includedAt === null) {
    if (proposal.state !== 'QUEUED') return null
    return { to: validSignatures(proposal, facts) >= facts.safe.threshold ? 'READY' : 'AWAITING_SIGNATURES', note: `The chain was reorganised and does not have transaction ${scheduled.txHash} any more`, data: unscheduled }
  }
  if (facts.includedAt !== scheduled.block && proposal.state === 'QUEUED') return { to: 'QUEUED', note: `The chain was reorganised: the transaction that queued it is in block ${facts.includedAt} now`, data: { scheduledAtBlock: facts.includedAt, nonceUsedAtBlock: facts.includedAt } }
  const { status, events } = facts.timelock
  const executed = events.findLast((event) => event.kind === 'EXECUTED')
  if (status.state === 'DONE' && executed !== undefined) {
    return { to: 'EXECUTED', note: `Executed by the timelock in transaction ${executed.txHash}, block ${executed.block}`, data: { executionTxHash: executed.txHash, executedAtBlock: executed.block, stateReason: null } }
  }
  const cancelled = events.findLast((event) => event.kind === 'CANCELLED')
  if (status.state === 'UNSET' && cancelled !== undefined) {
    const reason = `Taken out of the timelock in transaction ${cancelled.txHash}, block ${cancelled.block}`
    return { to: 'CANCELLED', note: reason, data: { stateReason: reason } }
  }
  if (proposal.state !== 'QUEUED') return null
  if (status.state === 'EXPIRED') {
    const reason = `Chain time ${facts.head.timestamp}: it can no longer be executed in the timelock by ${proposal.validUntil}; its precondition reverts it from then on`
    return { to: 'EXPIRED', note: reason, data: { stateReason: reason } }
  }
  const gone = outdated(proposal, facts.head.timestamp, facts.values)
  return gone === null ? null : { to: gone.to, note: gone.reason, data: { stateReason: gone.reason } }
}

/** A reorganisation may take back what used its nonce, or put the proposal's own transaction there. */
function afterReplacement(proposal: ProposalRecord, facts: Facts): Step {
  if (facts.safe.nonce > BigInt(proposal.nonce)) return facts.log?.kind === 'SUCCESS' ? onSuccess(facts, facts.log) : null
  const to = validSignatures(proposal, facts) >= facts.safe.threshold ? 'READY' : proposal.signatures.length > 0 ? 'AWAITING_SIGNATURES' : 'DRAFT'
  return { to, note: `The chain was reorganised: nonce ${proposal.nonce} is not used any more`, data: { nonceUsedAtBlock: null, stateReason: null } }
}

/** A reorganisation may take a rejection back. */
function afterCancellation(proposal: ProposalRecord, facts: Facts): Step {
  const back = (what: string): Step => ({ to: 'CANCELLING', note: `The chain was reorganised and does not have ${what} any more`, data: { stateReason: null, ...(proposal.scheduled === null ? { nonceUsedAtBlock: null } : {}) } })
  if (proposal.scheduled !== null) return facts.timelock === null || facts.timelock.status.state === 'UNSET' ? null : back('what took it out of the timelock')
  return facts.safe.nonce > BigInt(proposal.nonce) ? null : back('the rejection')
}

/** Why an open proposal must not go on: past its deadline less the delay of its path, or a value moved since the draft. null while neither. */
export function outdated(proposal: ProposalRecord, nowSec: bigint, values: ReadonlyMap<string, IndexedValue>, delaySec = 0n): { readonly to: 'EXPIRED' | 'STALE'; readonly reason: string } | null {
  const until = proposal.validUntil - delaySec
  if (nowSec > until) return { to: 'EXPIRED', reason: `Chain time ${nowSec} is past ${until}, until when ${delaySec === 0n ? 'it was valid' : `it could be queued to be executed by ${proposal.validUntil}`}` }
  for (const change of proposal.changes) {
    const now = values.get(keyOf(change))
    if (now !== undefined && now.value !== change.from) {
      return { to: 'STALE', reason: `${change.parameter} of ${change.subjectLabel} was ${change.from} when drafted and is ${now.value} since block ${now.updatedAtBlock}` }
    }
  }
  return null
}

/** A reorganisation took the execution away. */
function undone(proposal: ProposalRecord, facts: Facts): Step {
  const note = `The chain was reorganised and does not have transaction ${proposal.executionTxHash} any more`
  const data = { executionTxHash: null, executedAtBlock: null, appliedAtBlock: null, aftermath: Prisma.DbNull }
  if (proposal.scheduled !== null) return { to: 'QUEUED', note, data }
  return { to: validSignatures(proposal, facts) >= facts.safe.threshold ? 'READY' : 'AWAITING_SIGNATURES', note, data: { ...data, nonceUsedAtBlock: null } }
}

function afterExecution(proposal: ProposalRecord, facts: Facts): Step {
  if (facts.includedAt === null) return undone(proposal, facts)
  if (facts.includedAt !== proposal.executedAtBlock) {
    return { to: 'EXECUTED', note: `The chain was reorganised: the transaction is in block ${facts.includedAt} now`, data: { executedAtBlock: facts.includedAt, ...(proposal.scheduled === null ? { nonceUsedAtBlock: facts.includedAt } : {}) } }
  }
  if (facts.indexed.number < facts.includedAt) return null
  const shown = proposal.changes.every((change) => {
    const now = facts.values.get(keyOf(change))
    const current = now !== undefined && now.value === change.to && now.updatedAtBlock >= facts.includedAt!
    return current || facts.announced.get(keyOf(change)) === change.to
  })
  return shown ? { to: 'APPLIED', note: `The index shows all changes at block ${facts.indexed.number}`, data: { appliedAtBlock: facts.indexed.number } } : null
}

function bySignatures(proposal: ProposalRecord, facts: Facts): Step {
  const count = validSignatures(proposal, facts)
  const data = { threshold: facts.safe.threshold }
  if (proposal.state === 'AWAITING_SIGNATURES' && count >= facts.safe.threshold) return { to: 'READY', note: `${count} signatures of current owners, threshold ${facts.safe.threshold}`, data }
  if (proposal.state === 'READY' && count < facts.safe.threshold) return { to: 'AWAITING_SIGNATURES', note: `The Safe's owners or threshold changed: ${count} signatures of current owners, threshold ${facts.safe.threshold}`, data }
  return null
}

const validSignatures = (proposal: ProposalRecord, { safe }: Facts): number => proposal.signatures.filter(({ signer }) => safe.owners.includes(signer)).length

/** Blocks for which a reorganisation may still take a rejection or an execution back; graph-node and the mirror go no further either. */
const REORG_BLOCKS = 250n

/**
 * Brings every proposal that can still change up to date, and says what it moved. Safe to run at any time and often.
 * Throws UnavailableError where chain, Safe, timelock or index do not answer.
 */
export async function track(prisma: PrismaClient, client: PublicClient, target: Target): Promise<readonly Tracked[]> {
  const { deployment } = target
  const head = await client.getBlock()
  const proposals = await find(prisma, {
    chainId: deployment.chainId,
    OR: [
      { state: { in: [...OPEN_STATES, 'QUEUED', 'EXECUTED', 'CANCELLING'] } },
      { state: { in: ['STALE', 'EXPIRED', 'WITHDRAWN'] }, OR: [{ nonceUsedAtBlock: null }, { scheduledTxHash: { not: null } }] },
      { state: { in: ['CANCELLED', 'REPLACED'] }, nonceUsedAtBlock: { gt: head.number - REORG_BLOCKS } },
      { state: 'APPLIED', executedAtBlock: { gt: head.number - REORG_BLOCKS } },
    ],
  })
  if (proposals.length === 0) return []
  const { address } = safeOf(deployment)
  // The index before the chain: a value that the index shows must not be newer than the nonce that is read beside it.
  const indexed = await readIndexed(prisma)
  const refs = new Map(proposals.flatMap((proposal) => proposal.changes).map((change) => [keyOf(change), { name: change.parameter, subject: change.subject }]))
  const values = await readValues(prisma, target.catalog, [...refs.values()])
  const safe = await readSafe(client, deployment, head.number)
  const used = proposals.filter((proposal) => !['EXECUTED', 'APPLIED', 'QUEUED'].includes(proposal.state) && safe.nonce > BigInt(proposal.nonce))
  const logs = used.length === 0 ? [] : await readExecutionLogs(client, address, used.map((each) => each.draftedAt.number).reduce((a, b) => (a < b ? a : b)), head.number)

  const tracked: Tracked[] = []
  for (const proposal of proposals.toReversed()) {
    const from = ['EXECUTED', 'APPLIED'].includes(proposal.state) ? proposal.executionTxHash : (proposal.scheduled?.txHash ?? null)
    const own = logs.find((log) => log.safeTxHash === proposal.safeTxHash) ?? null
    const rejected = rejection(deployment, BigInt(proposal.nonce)).hashes.safeTxHash
    const facts: Facts = {
      head,
      delaySec: delayOf(deployment),
      safe,
      indexed,
      values,
      log: own,
      rejection: logs.find((log) => log.safeTxHash === rejected) ?? null,
      timelock: proposal.scheduled !== null || own?.kind === 'SUCCESS' ? await readTimelock(client, target, proposal, head.number) : null,
      includedAt: from === null ? null : await includedAt(client, from),
      announced: proposal.state === 'EXECUTED' && from !== null ? await readAnnounced(prisma, from) : new Map(),
    }
    if (nextStep(proposal, facts) === null) {
      // An abandoned one whose nonce others used is settled: nobody can execute it any more.
      if (used.includes(proposal) && proposal.nonceUsedAtBlock === null && !isOpen(proposal.state)) await prisma.proposal.update({ where: { id: proposal.id }, data: { nonceUsedAtBlock: head.number } })
      continue
    }
    let step: Step = null
    await move(prisma, proposal.id, head.timestamp, (record) => (step = record.state === proposal.state ? nextStep(record, facts) : null))
    const done = step as Step
    if (done !== null) tracked.push({ id: proposal.id, from: proposal.state, to: done.to, note: done.note })
  }
  return tracked
}

/** How the proposal's operation stands in the timelock; null where the Safe makes the changes itself. */
async function readTimelock(client: PublicClient, target: Target, proposal: ProposalRecord, head: bigint): Promise<Facts['timelock']> {
  const { queued } = build(target, { changes: proposal.changes, validUntilSec: proposal.validUntil, nonce: BigInt(proposal.nonce) })
  if (queued === null) return null
  const events: QueuedEvent[] = []
  for (let from = proposal.scheduled?.block ?? proposal.draftedAt.number; from <= head; from += LOG_RANGE) {
    events.push(...(await readQueuedEvents(client, queued, from, from + LOG_RANGE - 1n < head ? from + LOG_RANGE - 1n : head)))
  }
  return { status: await readQueued(client, queued, head), events }
}

async function includedAt(client: PublicClient, hash: Hex): Promise<bigint | null> {
  const receipt = (await client.request({ method: 'eth_getTransactionReceipt', params: [hash] })) as { blockNumber: Hex } | null
  return receipt === null ? null : BigInt(receipt.blockNumber)
}

async function readExecutionLogs(client: PublicClient, safe: Hex, fromBlock: bigint, toBlock: bigint): Promise<readonly ExecutionLog[]> {
  const logs: ExecutionLog[] = []
  for (let from = fromBlock; from <= toBlock; from += LOG_RANGE) {
    const to = from + LOG_RANGE - 1n < toBlock ? from + LOG_RANGE - 1n : toBlock
    const raw = await client.request({ method: 'eth_getLogs', params: [{ address: safe, topics: [[EXECUTION_SUCCESS_TOPIC, EXECUTION_FAILURE_TOPIC]], fromBlock: numberToHex(from), toBlock: numberToHex(to) }] })
    logs.push(...executionLogs(safe, raw))
  }
  return logs
}
