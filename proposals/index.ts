/**
 * Proposals: what was recommended or wished becomes one Safe transaction that its signers can verify for themselves.
 *
 *   draft → simulate → requestSignatures → addSignature … → execute → track (APPLIED once the index shows it)
 *
 * Clocks are chain clocks: the indexed block's timestamp, or the chain head's where execution is concerned.
 */
import { BaseError, createPublicClient, http } from 'viem'
import type { Account, PublicClient } from 'viem'
import type { Prisma, PrismaClient } from '../prisma/client.ts'
import type { Logger } from '../core/log.ts'
import { BadInputError, UnavailableError } from '../core/errors.ts'
import type { Address, Deployment, Hex, ParameterCatalog } from '../protocols/adapter.ts'
import { build, crossCheck, readRecordedSafe, readSafe, safeOf, verify } from './build.ts'
import { assertCount, changeToJson, checkedTitle, draftChanges, keyOf, refsOf } from './draft.ts'
import type { Intent } from './draft.ts'
import { DraftRefusedError, StaleProposalError, WrongStateError } from './errors.ts'
import { execute } from './execute.ts'
import { batchFile } from './export.ts'
import type { BatchFile } from './export.ts'
import { lower, safeTxToJson } from './safe.ts'
import { checkSignature } from './sign.ts'
import { readCurrent, simulate } from './simulate.ts'
import { OPEN_STATES, canGo } from './state.ts'
import type { ProposalState } from './state.ts'
import { appendEvent, find, load, move, readIndexed, readValues, toDate } from './store.ts'
import type { ProposalRecord } from './store.ts'
import { outdated, track } from './track.ts'
import type { Tracked } from './track.ts'

export type { Change, ChangeJson, Intent, Target } from './draft.ts'
export type { ProposalRecord } from './store.ts'
export type { ProposalState } from './state.ts'
export type { SafeTx, SafeTxHashes } from './safe.ts'
export type { SimulationResult } from './simulate.ts'
export type { Tracked } from './track.ts'
export { batchFile } from './export.ts'
export { safeTxFromJson, safeTxToJson, hashesOf } from './safe.ts'
export { signWithKey, typedDataOf } from './sign.ts'
export { TRANSITIONS } from './state.ts'
export { build, verify } from './build.ts'
export type { Built, Plan } from './build.ts'

/** 3 days. */
const DEFAULT_VALID_FOR_SEC = 259_200
const VALID_FOR_SEC = { min: 60, max: 90 * 86_400 }

export type DraftInput = {
  /** One line of 1 to 200 characters. */
  readonly title: string
  /** Recommendations whose values are proposed; with `changes` at most 50. */
  readonly recommendationIds?: readonly string[]
  readonly changes?: readonly Intent[]
  /** Chain time that signers have, s. Default 3 days. */
  readonly validForSec?: number | null
}

export type ProposalsOptions = {
  readonly prisma: PrismaClient
  readonly catalog: ParameterCatalog
  readonly deployment: Deployment
  readonly rpcUrl: string
  /** Folder for the fork's scratch files. */
  readonly stateDir: string
  readonly log: Logger
}

export type Proposals = {
  draft(input: DraftInput): Promise<ProposalRecord>
  /** Tries the batch out at the indexed block. A failing batch stays (or goes back to) DRAFT with the reason, or is STALE where signatures were asked for. */
  simulate(id: string): Promise<ProposalRecord>
  requestSignatures(id: string): Promise<ProposalRecord>
  addSignature(id: string, signer: Address, signature: Hex): Promise<ProposalRecord>
  /** Any account may send; it pays the gas. */
  execute(id: string, executor: Account): Promise<ProposalRecord>
  track(): Promise<readonly Tracked[]>
  cancel(id: string): Promise<ProposalRecord>
  get(id: string): Promise<ProposalRecord>
  /** Newest first. */
  list(filter?: { state?: ProposalState }): Promise<readonly ProposalRecord[]>
  exportBatch(id: string): Promise<BatchFile>
}

/** The proposals of one deployment. Starts nothing until asked; each call may throw a BulwarkError with one sentence. */
export function createProposals({ prisma, catalog, deployment, rpcUrl, stateDir, log }: ProposalsOptions): Proposals {
  const target = { catalog, deployment }
  const client: PublicClient = createPublicClient({ transport: http(rpcUrl), cacheTime: 0 })

  /** Recommendations as intents. Throws DraftRefusedError for those that are missing or advisory. */
  async function intentsOf(ids: readonly string[]): Promise<readonly Intent[]> {
    const rows = await prisma.recommendation.findMany({ where: { id: { in: [...ids] } } })
    const faults: string[] = []
    const intents = ids.flatMap((id): Intent[] => {
      const row = rows.find((each) => each.id === id)
      if (row === undefined) faults.push(`Found no recommendation ${id}, allowed are those of a run that is kept; list the recommendations to see their ids`)
      else if (!row.settable) faults.push(`Found recommendation ${id} for ${row.parameter} of ${row.subjectLabel}, which is ${row.advisory ?? 'advisory'}; leave it out of the proposal`)
      else return [{ parameter: row.parameter, subject: row.subject, to: BigInt(row.recommended.toFixed(0)) }]
      return []
    })
    if (faults.length > 0) throw new DraftRefusedError(faults)
    return intents
  }

  async function draft(input: DraftInput): Promise<ProposalRecord> {
    const safe = safeOf(deployment)
    const title = checkedTitle(input.title)
    const validForSec = input.validForSec ?? DEFAULT_VALID_FOR_SEC
    if (!Number.isInteger(validForSec) || validForSec < VALID_FOR_SEC.min || validForSec > VALID_FOR_SEC.max) {
      throw new BadInputError(`Found validForSec ${validForSec}, allowed are whole seconds from ${VALID_FOR_SEC.min} to ${VALID_FOR_SEC.max}; choose how long signers need`)
    }
    assertCount((input.recommendationIds?.length ?? 0) + (input.changes?.length ?? 0))
    const intents = [...(await intentsOf(input.recommendationIds ?? [])), ...(input.changes ?? [])]
    const refs = refsOf(target, intents)
    const onChain = await readRecordedSafe(client, deployment)
    const record = await prisma.$transaction(
      async (tx) => {
        // One draft at a time per Safe: two would take the same nonce.
        await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended(${`proposals:${deployment.chainId}:${lower(safe.address)}`}, 0))) AS locked`
        const block = await readIndexed(tx)
        const asked = [...refs, ...refs.flatMap((ref) => catalog.boundedBy(deployment, ref))]
        const values = await readCurrent(target, client, asked, await readValues(tx, asked), block)
        const changes = draftChanges(target, intents, (ref) => values.get(keyOf({ parameter: ref.name, subject: ref.subject })) ?? null)
        const open = await find(tx, { chainId: deployment.chainId, safe: lower(safe.address), state: { in: [...OPEN_STATES] } })
        const faults = changes.flatMap((change) => {
          const other = open.find((each) => each.changes.some((theirs) => keyOf(theirs) === keyOf(change)))
          return other === undefined ? [] : [`Found ${change.parameter} of ${change.subjectLabel} in open proposal ${other.id} already, allowed is one open change per parameter; execute or cancel that one first`]
        })
        if (faults.length > 0) throw new DraftRefusedError(faults)
        const held = new Set(open.map((each) => BigInt(each.nonce)))
        let nonce = onChain.nonce
        while (held.has(nonce)) nonce += 1n

        const validUntil = block.timestamp + BigInt(validForSec)
        const built = build(target, { changes, validUntilSec: validUntil, nonce })
        await crossCheck(rpcUrl, deployment, built)
        const name = `${nonce}-${built.hashes.safeTxHash.slice(2, 10)}`
        const namesakes = await tx.proposal.count({ where: { safeTxHash: built.hashes.safeTxHash } })
        const id = namesakes === 0 ? name : `${name}-${namesakes + 1}`
        await tx.proposal.create({
          data: {
            id,
            title,
            state: 'DRAFT',
            network: deployment.network,
            chainId: deployment.chainId,
            safe: lower(safe.address),
            threshold: onChain.threshold,
            nonce: Number(nonce),
            changes: changes.map(changeToJson),
            calls: built.calls.map((call) => ({ to: call.to, value: call.value.toString(), data: call.data })),
            safeTx: safeTxToJson(built.safeTx),
            ...built.hashes,
            draftedAtBlock: block.number,
            draftedAtBlockHash: block.hash,
            draftedAtTimestamp: block.timestamp,
            validUntil,
            recommendationIds: [...(input.recommendationIds ?? [])],
          },
        })
        await appendEvent(tx, id, null, 'DRAFT', `Drafted ${changes.length === 1 ? 'one change' : `${changes.length} changes`} at block ${block.number}`, block.timestamp)
        return load(tx, id)
      },
      { timeout: 60_000, maxWait: 30_000 },
    )
    log.info({ proposal: record.id, safeTxHash: record.safeTxHash, nonce: record.nonce }, 'proposal drafted')
    return record
  }

  async function simulateProposal(id: string): Promise<ProposalRecord> {
    const proposal = await load(prisma, id)
    if (!canGo(proposal.state, 'STALE')) throw new WrongStateError({ id, found: proposal.state, allowed: OPEN_STATES, action: 'simulate' })
    const built = verify(target, proposal)
    const block = await readIndexed(prisma)
    const { result } = await simulate(target, { changes: proposal.changes, validUntilSec: proposal.validUntil, nonce: BigInt(proposal.nonce) }, built, { rpcUrl, stateDir, block })
    const record = await move(prisma, id, block.timestamp, (now) => {
      const simulation = result as unknown as Prisma.InputJsonValue
      const early = now.state === 'DRAFT' || now.state === 'SIMULATED'
      if (result.success) return { to: early ? 'SIMULATED' : now.state, note: `Simulated at block ${result.block}: all calls succeed, ${result.gasUsed} gas`, data: { simulation, stateReason: null } }
      return { to: early ? 'DRAFT' : 'STALE', note: `Simulation at block ${result.block} failed: ${result.failure}`, data: { simulation, stateReason: result.failure } }
    })
    log.info({ proposal: id, success: result.success, failure: result.failure }, 'proposal simulated')
    return record
  }

  /** Holds the guardrails again when signatures are asked for and given. Throws StaleProposalError. */
  async function assertCurrent(tx: Prisma.TransactionClient, proposal: ProposalRecord, nowSec: bigint): Promise<void> {
    const values = await readValues(tx, proposal.changes.map((change) => ({ name: change.parameter, subject: change.subject })))
    const gone = outdated(proposal, nowSec, values)
    if (gone !== null) throw new StaleProposalError(`${gone.reason}; draft it again`, { id: proposal.id, becomes: gone.to })
  }

  async function requestSignatures(id: string): Promise<ProposalRecord> {
    const { timestamp } = await readIndexed(prisma)
    return move(prisma, id, timestamp, async (now, tx) => {
      if (now.state !== 'SIMULATED') throw new WrongStateError({ id, found: now.state, allowed: ['SIMULATED'], action: 'ask for signatures' })
      verify(target, now)
      await assertCurrent(tx, now, timestamp)
      return { to: 'AWAITING_SIGNATURES', note: `Opened for signatures of ${now.safeTxHash}` }
    })
  }

  async function addSignature(id: string, signer: Address, signature: Hex): Promise<ProposalRecord> {
    const [{ timestamp }, onChain] = await Promise.all([readIndexed(prisma), readSafe(client, deployment)])
    return move(prisma, id, timestamp, async (now, tx) => {
      if (now.state !== 'AWAITING_SIGNATURES' && now.state !== 'READY') throw new WrongStateError({ id, found: now.state, allowed: ['AWAITING_SIGNATURES', 'READY'], action: 'add a signature' })
      const { hashes } = verify(target, now)
      await assertCurrent(tx, now, timestamp)
      const checked = await checkSignature({ safeTxHash: hashes.safeTxHash, owners: onChain.owners, signed: now.signatures.map((each) => each.signer), signer, signature })
      await tx.proposalSignature.create({ data: { proposalId: id, ...checked, addedAt: toDate(timestamp) } })
      const count = now.signatures.filter((each) => onChain.owners.includes(each.signer)).length + 1
      return { to: count >= onChain.threshold ? 'READY' : 'AWAITING_SIGNATURES', note: `Signed by ${checked.signer}: ${count} of ${onChain.threshold}`, data: { threshold: onChain.threshold } }
    })
  }

  async function executeProposal(id: string, executor: Account): Promise<ProposalRecord> {
    const done = await execute(target, client, rpcUrl, await load(prisma, id), executor)
    log.info({ proposal: id, txHash: done.txHash, block: done.block.toString() }, 'proposal executed')
    return move(prisma, id, done.timestamp, (now) =>
      // Tracking may have seen it first.
      now.executionTxHash === done.txHash
        ? null
        : {
            to: 'EXECUTED',
            note: `Executed by ${lower(executor.address)} in transaction ${done.txHash}, block ${done.block}, ${done.gasUsed} gas`,
            data: { executionTxHash: done.txHash, executedAtBlock: done.block, nonceUsedAtBlock: done.block, stateReason: null },
          },
    )
  }

  async function cancel(id: string): Promise<ProposalRecord> {
    const { timestamp } = await readIndexed(prisma)
    return move(prisma, id, timestamp, (now) => {
      const note = now.signatures.length === 0 ? 'Cancelled' : `Cancelled; the ${now.signatures.length} signatures given stay valid on chain until nonce ${now.nonce} is used`
      return { to: 'CANCELLED', note, data: { stateReason: note } }
    })
  }

  /** A chain that does not answer is said in one sentence; without the cause, whose text names the RPC's URL and its key. */
  const asking =
    <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      try {
        return await work(...args)
      } catch (error) {
        if (error instanceof BaseError) throw new UnavailableError({ part: 'chain', found: error.shortMessage, action: 'check that the chain runs and try again' })
        throw error
      }
    }

  return {
    draft: asking(draft),
    simulate: asking(simulateProposal),
    requestSignatures: asking(requestSignatures),
    addSignature: asking(addSignature),
    execute: asking(executeProposal),
    track: asking(async () => {
      const moved = await track(prisma, client, target)
      for (const { id, from, to, note } of moved) log.info({ proposal: id, from, to, note }, 'proposal moved')
      return moved
    }),
    cancel,
    get: (id) => load(prisma, id),
    list: (filter) => find(prisma, { chainId: deployment.chainId, ...(filter?.state === undefined ? {} : { state: filter.state }) }),
    exportBatch: async (id) => batchFile(await load(prisma, id)),
  }
}
