/** What became of proposals, by the chain and by the index: executed by anyone, replaced, expired, stale, applied. */
import { numberToHex } from 'viem'
import type { PublicClient } from 'viem'
import type { PrismaClient } from '../prisma/client.ts'
import type { Hex } from '../protocols/adapter.ts'
import { readSafe, safeOf } from './build.ts'
import type { SafeOnChain } from './build.ts'
import { keyOf } from './draft.ts'
import type { Target } from './draft.ts'
import { executionLogs } from './execute.ts'
import type { ExecutionLog } from './execute.ts'
import { EXECUTION_FAILURE_TOPIC, EXECUTION_SUCCESS_TOPIC } from './safe.ts'
import { ABANDONED_STATES, OPEN_STATES, TRANSITIONS, isOpen } from './state.ts'
import type { ProposalState } from './state.ts'
import { find, move, readAnnounced, readIndexed, readValues } from './store.ts'
import type { IndexedBlock, IndexedValue, ProposalRecord, Step } from './store.ts'

/** Public RPC nodes answer logs of so many blocks at once. */
const LOG_RANGE = 10_000n

/** Everything that decides what becomes of one proposal. */
export type Facts = {
  readonly head: { readonly number: bigint; readonly timestamp: bigint }
  readonly safe: Pick<SafeOnChain, 'owners' | 'threshold' | 'nonce'>
  readonly indexed: IndexedBlock
  /** Current values in the index by `keyOf`. */
  readonly values: ReadonlyMap<string, IndexedValue>
  /** The Safe's log of this very transaction; null where there is none. */
  readonly log: ExecutionLog | null
  /** For an EXECUTED proposal: the block that holds its transaction now; null where the chain does not have it any more. */
  readonly includedAt: bigint | null
  /** For an EXECUTED proposal: what the index saw its transaction announce, by `keyOf`. */
  readonly announced: ReadonlyMap<string, bigint>
}

export type Tracked = { readonly id: string; readonly from: ProposalState; readonly to: ProposalState; readonly note: string }

/** The next step of one proposal, null where nothing happened. Pure. */
export function nextStep(proposal: ProposalRecord, facts: Facts): Step {
  if (TRANSITIONS[proposal.state].length === 0) return null
  if (proposal.state === 'EXECUTED') return afterExecution(proposal, facts)
  const open = isOpen(proposal.state)
  if (facts.safe.nonce > BigInt(proposal.nonce)) {
    const data = { nonceUsedAtBlock: facts.head.number }
    if (facts.log?.kind === 'SUCCESS') {
      return {
        to: 'EXECUTED',
        note: `Executed in transaction ${facts.log.txHash}, block ${facts.log.block}`,
        data: { nonceUsedAtBlock: facts.log.block, executionTxHash: facts.log.txHash, executedAtBlock: facts.log.block, stateReason: null },
      }
    }
    if (!open) return null
    const reason =
      facts.log === null
        ? `The Safe's nonce is ${facts.safe.nonce}: nonce ${proposal.nonce} was used by another transaction`
        : `Executed in transaction ${facts.log.txHash} and failed inside the Safe: nothing changed, and its nonce is used`
    return { to: 'REPLACED', note: reason, data: { ...data, stateReason: reason } }
  }
  if (!open) return null
  const gone = outdated(proposal, facts.head.timestamp, facts.values)
  if (gone !== null) return { to: gone.to, note: gone.reason, data: { stateReason: gone.reason } }
  return bySignatures(proposal, facts)
}

/** Why an open proposal must not go on: past its deadline, or a value moved since the draft. null while neither. */
export function outdated(proposal: ProposalRecord, nowSec: bigint, values: ReadonlyMap<string, IndexedValue>): { readonly to: 'EXPIRED' | 'STALE'; readonly reason: string } | null {
  if (nowSec > proposal.validUntil) return { to: 'EXPIRED', reason: `Chain time ${nowSec} is past ${proposal.validUntil}, until when it was valid` }
  for (const change of proposal.changes) {
    const now = values.get(keyOf(change))
    if (now !== undefined && now.value !== change.from) {
      return { to: 'STALE', reason: `${change.parameter} of ${change.subjectLabel} was ${change.from} when drafted and is ${now.value} since block ${now.updatedAtBlock}` }
    }
  }
  return null
}

function afterExecution(proposal: ProposalRecord, facts: Facts): Step {
  if (facts.includedAt === null) {
    const to = validSignatures(proposal, facts) >= facts.safe.threshold ? 'READY' : 'AWAITING_SIGNATURES'
    return { to, note: `The chain was reorganised and does not have transaction ${proposal.executionTxHash} any more`, data: { executionTxHash: null, executedAtBlock: null, nonceUsedAtBlock: null } }
  }
  if (facts.includedAt !== proposal.executedAtBlock) {
    return { to: 'EXECUTED', note: `The chain was reorganised: the transaction is in block ${facts.includedAt} now`, data: { executedAtBlock: facts.includedAt, nonceUsedAtBlock: facts.includedAt } }
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

/**
 * Brings every proposal that can still change up to date, and says what it moved. Safe to run at any time and often.
 * Throws UnavailableError where chain, Safe or index do not answer.
 */
export async function track(prisma: PrismaClient, client: PublicClient, target: Target): Promise<readonly Tracked[]> {
  const { deployment } = target
  const proposals = await find(prisma, {
    chainId: deployment.chainId,
    OR: [{ state: { in: [...OPEN_STATES, 'EXECUTED'] } }, { state: { in: [...ABANDONED_STATES] }, nonceUsedAtBlock: null }],
  })
  if (proposals.length === 0) return []
  const { address } = safeOf(deployment)
  // The index before the chain: a value that the index shows must not be newer than the nonce that is read beside it.
  const indexed = await readIndexed(prisma)
  const refs = new Map(proposals.flatMap((proposal) => proposal.changes).map((change) => [keyOf(change), { name: change.parameter, subject: change.subject }]))
  const values = await readValues(prisma, [...refs.values()])
  const head = await client.getBlock()
  const safe = await readSafe(client, deployment, head.number)
  const used = proposals.filter((proposal) => proposal.state !== 'EXECUTED' && safe.nonce > BigInt(proposal.nonce))
  const logs = used.length === 0 ? [] : await readExecutionLogs(client, address, used.map((each) => each.draftedAt.number).reduce((a, b) => (a < b ? a : b)), head.number)

  const tracked: Tracked[] = []
  for (const proposal of proposals.toReversed()) {
    const executed = proposal.state === 'EXECUTED' && proposal.executionTxHash !== null
    const facts: Facts = {
      head,
      safe,
      indexed,
      values,
      log: logs.find((log) => log.safeTxHash === proposal.safeTxHash) ?? null,
      includedAt: executed ? await includedAt(client, proposal.executionTxHash!) : null,
      announced: executed ? await readAnnounced(prisma, proposal.executionTxHash!) : new Map(),
    }
    if (nextStep(proposal, facts) === null) {
      // An abandoned one whose nonce others used is settled: nobody can execute it any more.
      if (used.includes(proposal) && !isOpen(proposal.state)) await prisma.proposal.update({ where: { id: proposal.id }, data: { nonceUsedAtBlock: head.number } })
      continue
    }
    let step: Step = null
    await move(prisma, proposal.id, head.timestamp, (record) => (step = record.state === proposal.state ? nextStep(record, facts) : null))
    const done = step as Step
    if (done !== null) tracked.push({ id: proposal.id, from: proposal.state, to: done.to, note: done.note })
  }
  return tracked
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
