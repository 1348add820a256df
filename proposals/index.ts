/**
 * Proposals: what was recommended or wished becomes one Safe transaction that its signers can verify for themselves.
 *
 *   draft → simulate → requestSignatures → addSignature … → execute → track (APPLIED once the index shows it)
 *
 * Clocks are chain clocks: the indexed block's timestamp, or the chain head's where execution is concerned.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { BaseError, createPublicClient, http } from 'viem'
import type { Account, PublicClient } from 'viem'
import { Prisma } from '../prisma/client.ts'
import type { PrismaClient } from '../prisma/client.ts'
import type { Logger } from '../core/log.ts'
import { BadInputError, UnavailableError } from '../core/errors.ts'
import type { Address, Deployment, Hex, ParameterCatalog, ParameterRef } from '../protocols/adapter.ts'
import { aftermathJson, readAftermath } from './aftermath.ts'
import { build, cancellation, crossCheck, readRecordedSafe, readSafe, rejection, safeOf, verify } from './build.ts'
import type { Plan, SafeOnChain } from './build.ts'
import { intentsOf, parseDesired } from './desired.ts'
import { assertCount, changeToJson, checkedTitle, confirmationOf, draftChanges, keyOf, labelOf, refsOf, resolveSubject } from './draft.ts'
import type { Change, Intent, Target } from './draft.ts'
import { BlockedError, DraftRefusedError, GovernanceMismatchError, GuardMissingError, SafeMismatchError, SignatureRefusedError, StaleProposalError, WrongStateError } from './errors.ts'
import { assertCancellation, cancellationCall, execute, executeCancellation, executeQueued, executionCall, queuedCall } from './execute.ts'
import type { Execution, Sendable } from './execute.ts'
import { batchFile } from './export.ts'
import type { BatchFile } from './export.ts'
import { assertUnblocked, guardrails, stopping } from './guardrails.ts'
import type { Finding } from './guardrails.ts'
import { parseBatch } from './import.ts'
import { nextNonce, nonceNote } from './nonce.ts'
import type { Waiting } from './nonce.ts'
import { delayOf, governanceOf } from './paths.ts'
import { parsePolicy } from './policy.ts'
import type { DaoPolicy } from './policy.ts'
import { reviewOf } from './review.ts'
import type { ReviewFile } from './review.ts'
import { rollbackOf } from './rollback.ts'
import { lower, safeTxToJson } from './safe.ts'
import type { TransactionService } from './service.ts'
import { checkSignature } from './sign.ts'
import { examine } from './impact.ts'
import type { Impact } from './impact.ts'
import { readCurrent } from './simulate.ts'
import { OPEN_STATES, canGo, isOpen } from './state.ts'
import type { ProposalState } from './state.ts'
import { appendEvent, find, load, move, readIndexed, readValues, toDate } from './store.ts'
import type { Evidence, ProposalRecord, SignatureKind } from './store.ts'
import { outdated, track } from './track.ts'
import type { Tracked } from './track.ts'
import { protocols } from '../protocols/index.ts'
import { readWorld } from './world.ts'

export type { Change, ChangeJson, Intent } from './draft.ts'
export type { ProposalRecord } from './store.ts'
export type { ProposalState } from './state.ts'
export type { SimulationResult } from './simulate.ts'
export type { Impact } from './impact.ts'
export type { Finding } from './guardrails.ts'
export type { DaoPolicy } from './policy.ts'
export type { Plan } from './build.ts'
export { createTransactionService } from './service.ts'
export { safeTxFromJson, hashesOf } from './safe.ts'
export { signWithKey, typedDataOf } from './sign.ts'
export { build, verify } from './build.ts'

/** Playbook of a way back, with the proposal's id behind it. */
const ROLLBACK_OF = 'rollback of '
const VALID_FOR_SEC = { min: 60, max: 90 * 86_400 }
/** Times that a wish is weighed, where a new block comes between the chain's answer and the transaction. */
const WEIGHINGS = 5

export type DraftInput = {
  /** One line of 1 to 200 characters; the desired state's own where left out. */
  readonly title?: string | null
  /** Recommendations whose values are proposed; with `changes` and what differs from `desired` at most 50. */
  readonly recommendationIds?: readonly string[]
  readonly changes?: readonly Intent[]
  /** A file of desired values, YAML or JSON: what stands already is no change. */
  readonly desired?: string | null
  /** Chain time that signers have, s. The policy's default where left out. */
  readonly validForSec?: number | null
  /** Who drafts: a steward's address, or `cli`. */
  readonly by?: string | null
  /** The playbook that the changes come from: a tick cap of 0 belongs into one. */
  readonly playbook?: string | null
}

/** A batch file of Transaction Builder as text; title and confirmations are the caller's. */
export type ImportInput = Pick<DraftInput, 'validForSec' | 'by'> & { readonly file: string; /** The file's own name where left out. */ readonly title?: string | null; /** What is typed to confirm changes that cannot be undone: `marketStatus of vETH`. */ readonly confirm?: readonly string[] }

/** What drafting would say. `changes` is empty where something is wrong with the wishes themselves: then the findings have rule `draft`. */
export type DraftCheck = { readonly changes: readonly Change[]; readonly findings: readonly Finding[] }

export type ProposalsOptions = {
  readonly prisma: PrismaClient
  readonly catalog: ParameterCatalog
  readonly deployment: Deployment
  readonly rpcUrl: string
  /** What the DAO lets its stewards propose. */
  readonly policy: DaoPolicy
  /** Where owners with other tools look for what waits for them; null: nowhere. */
  readonly service?: TransactionService | null
  /** Folder for the fork's scratch files. */
  readonly stateDir: string
  readonly log: Logger
}

export type Proposals = {
  draft(input: DraftInput): Promise<ProposalRecord>
  /** Drafts the way back from an executed proposal. The policy's step and delay do not hold what stood before; all else does. */
  draftRollback(id: string, by?: string | null): Promise<ProposalRecord>
  /** Everything that drafting would find, and nothing is written. */
  check(input: DraftInput): Promise<DraftCheck>
  /** Drafts what a batch file of Transaction Builder does, call by call. */
  importBatch(input: ImportInput): Promise<ProposalRecord>
  /** Tries the batch out at the indexed block. A failing batch stays (or goes back to) DRAFT with the reason, or is STALE where signatures were asked for. */
  simulate(id: string): Promise<ProposalRecord>
  requestSignatures(id: string): Promise<ProposalRecord>
  /** Of the proposal's own transaction, for which the Safe must be as recorded, or of the one that cancels it. */
  addSignature(id: string, signer: Address, signature: Hex, of?: SignatureKind): Promise<ProposalRecord>
  /** The Safe's transaction; any account may send it, and pays the gas. Where a timelock stands between, this queues the changes there. */
  execute(id: string, executor: Account): Promise<ProposalRecord>
  /**
   * What any wallet can send now to carry a proposal on: a READY one to be executed, or scheduled where a timelock stands between; a QUEUED one
   * to be executed there; CANCELLATION, to keep it from happening. Everything that executing holds is held. `sender`: who is to send it, where known.
   */
  executable(id: string, of: SignatureKind, sender: Address | null): Promise<Sendable>
  /** The Safe at the chain's head. `mismatch`: what of it is not as the deployment records it, in a sentence; nothing can be drafted or executed then. */
  safe(): Promise<SafeOnChain & { readonly mismatch: string | null }>
  /** Whether owners with other tools find what waits for them in a Safe Transaction Service. */
  readonly published: boolean
  /** What a timelock holds, once its delay is over. */
  executeQueued(id: string, executor: Account): Promise<ProposalRecord>
  /** The Safe's transaction that rejects it or takes it out of the timelock, once enough owners have signed that. */
  executeCancellation(id: string, executor: Account): Promise<ProposalRecord>
  track(): Promise<readonly Tracked[]>
  /** WITHDRAWN where nobody was asked to sign yet; otherwise CANCELLING, with a transaction for the owners to sign, and CANCELLED once the chain has it. Once more, where that transaction's nonce was taken. */
  cancel(id: string, by?: string | null): Promise<ProposalRecord>
  /** Puts what is signed into the Safe Transaction Service. */
  publish(id: string): Promise<ProposalRecord>
  /** Takes signatures that the Safe Transaction Service holds, those that are owners' over these very bytes; says how many were new. */
  pull(id: string): Promise<{ readonly proposal: ProposalRecord; readonly added: number }>
  get(id: string): Promise<ProposalRecord>
  /** Newest first. */
  list(filter?: { state?: ProposalState }): Promise<readonly ProposalRecord[]>
  exportBatch(id: string): Promise<BatchFile>
  /** `proposal.json`: what signers verify. */
  exportReview(id: string): Promise<ReviewFile>
}

/** The policy in `file`, or the one that this project carries for the network where `file` is null. Throws BadInputError. */
export async function loadPolicy(target: Target, file: string | null): Promise<DaoPolicy> {
  const path = file ?? fileURLToPath(new URL(`../policies/${target.deployment.network}.yaml`, import.meta.url))
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new BadInputError(`Found no policy to read at ${path} (${error.code ?? 'unknown'}), allowed is a YAML file; set POLICY_FILE to it`)
  })
  return parsePolicy(target, text)
}

/** The proposals of one deployment. Starts nothing until asked; each call may throw a BulwarkError with one sentence. */
export function createProposals({ prisma, catalog, deployment, rpcUrl, policy, service = null, stateDir, log }: ProposalsOptions): Proposals {
  const target = { catalog, deployment }
  const protocolName = (): string => protocols.find((each) => each.catalog === catalog)?.name ?? 'unknown'
  const client: PublicClient = createPublicClient({ transport: http(rpcUrl), cacheTime: 0 })

  /** Recommendations as intents, with what they were computed from. Throws DraftRefusedError for those that are missing or advisory. */
  async function recommended(ids: readonly string[]): Promise<{ readonly intents: readonly Intent[]; readonly evidence: readonly Evidence[] }> {
    const rows = await prisma.recommendation.findMany({ where: { id: { in: [...ids] } }, include: { run: { select: { blockTimestamp: true } } } })
    const faults: string[] = []
    const evidence: Evidence[] = []
    const intents = ids.flatMap((id): Intent[] => {
      const row = rows.find((each) => each.id === id)
      if (row === undefined) faults.push(`Found no recommendation ${id}, allowed are those of a run that is kept; list the recommendations to see their ids`)
      else if (!row.settable) faults.push(`Found recommendation ${id} for ${row.parameter} of ${row.subjectLabel}, which is ${row.advisory ?? 'advisory'}; leave it out of the proposal`)
      else {
        evidence.push({ recommendation: id, digest: row.inputsDigest, blockTimestamp: row.run.blockTimestamp })
        return [{ parameter: row.parameter, subject: row.subject, to: BigInt(row.recommended.toFixed(0)) }]
      }
      return []
    })
    if (faults.length > 0) throw new DraftRefusedError(faults)
    return { intents, evidence }
  }

  /** What waits in the service's queue, or a finding that nobody could ask it. */
  async function queuedElsewhere(from: bigint): Promise<{ readonly waiting: readonly Waiting[]; readonly findings: readonly Finding[] }> {
    if (service === null) return { waiting: [], findings: [] }
    try {
      return { waiting: (await service.queue(from)).map((each) => ({ nonce: each.nonce, what: `${each.safeTxHash} in the Transaction Service` })), findings: [] }
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      return { waiting: [], findings: [{ rule: 'queue-unknown', severity: 'UNKNOWN', parameter: null, subject: null, text: `the nonce was chosen without the Safe's queue elsewhere: ${error.message}` }] }
    }
  }

  /** Policy and lint over changes as they stand at `block`. */
  async function findingsOf(
    tx: Prisma.TransactionClient,
    block: { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint },
    proposal: { readonly changes: readonly Change[]; readonly validUntil: bigint; readonly draftedSec: number; readonly evidence: readonly Evidence[]; readonly playbook: string | null; readonly id: string | null; readonly simulation: 'passed' | 'reverted' | null },
    current: ReadonlyMap<string, bigint>,
    open: readonly ProposalRecord[],
  ): Promise<readonly Finding[]> {
    const world = await readWorld(tx, target, block, current)
    const back = await isRollback(tx, proposal)
    const evidenceSec = proposal.evidence.length === 0 ? null : Number(proposal.evidence.map((each) => each.blockTimestamp).reduce((a, b) => (a < b ? a : b)))
    const findings = guardrails(
      target,
      policy,
      { changes: proposal.changes, currentOf: world.lint.currentOf, lastChangeSec: world.lastChangeSec, nowSec: Number(block.timestamp), validUntilSec: proposal.validUntil, draftedSec: proposal.draftedSec, evidenceSec },
      {
        changes: proposal.changes,
        // The calls are derived from the changes, and compared with them wherever they are used.
        calls: null,
        evidenceSec: evidenceSec ?? Number(block.timestamp),
        playbook: proposal.playbook,
        // Drafting takes what cannot be undone only once it was confirmed.
        confirmed: proposal.changes.filter((change) => catalog.find(change.parameter).irreversible).map((change) => `${change.parameter}:${change.subject}`),
        simulation: proposal.simulation,
        openElsewhere: open.filter((each) => each.id !== proposal.id).flatMap((each) => each.changes),
      },
      world.lint,
    )
    // What stood before may come back in one step and at once.
    return back ? findings.filter((finding) => finding.rule !== 'policy-step' && finding.rule !== 'policy-delay') : findings
  }

  /** Whether changes are exactly those of an executed proposal, backwards: what a playbook of that name claims is not believed. */
  async function isRollback(tx: Prisma.TransactionClient, { changes, playbook }: { readonly changes: readonly Change[]; readonly playbook: string | null }): Promise<boolean> {
    if (playbook === null || !playbook.startsWith(ROLLBACK_OF)) return false
    const [origin] = await find(tx, { id: playbook.slice(ROLLBACK_OF.length), chainId: deployment.chainId, state: { in: ['EXECUTED', 'APPLIED'] } })
    const back = new Map(origin?.changes.map((change) => [keyOf(change), change]))
    return origin !== undefined && changes.length === back.size && changes.every((change) => back.get(keyOf(change))?.from === change.to && back.get(keyOf(change))?.to === change.from)
  }

  async function draftRollback(id: string, by: string | null = null): Promise<ProposalRecord> {
    const proposal = await load(prisma, id)
    if (proposal.state !== 'APPLIED' && proposal.state !== 'EXECUTED') throw new WrongStateError({ id, found: proposal.state, allowed: ['APPLIED', 'EXECUTED'], action: 'roll it back' })
    const back = rollbackOf(target, planOf(proposal))
    if (back.plan === null) throw new DraftRefusedError([back.reason])
    const changes = back.plan.changes.map(({ parameter, subject, to }) => ({ parameter, subject, to }))
    return draft({ title: `Rollback of ${id}: ${proposal.title}`.slice(0, 200), changes, by, playbook: `${ROLLBACK_OF}${id}` })
  }

  /** What a draft asks for, before the chain is looked at. Throws BadInputError. */
  async function wishOf(input: DraftInput) {
    const desired = input.desired == null ? null : parseDesired(target, input.desired)
    const title = checkedTitle(input.title ?? desired?.title ?? '')
    const validForSec = input.validForSec ?? desired?.validForSec ?? policy.validity.defaultSec
    if (!Number.isInteger(validForSec) || validForSec < VALID_FOR_SEC.min || validForSec > VALID_FOR_SEC.max) {
      throw new BadInputError(`Found validForSec ${validForSec}, allowed are whole seconds from ${VALID_FOR_SEC.min} to ${VALID_FOR_SEC.max}; choose how long signers need`)
    }
    if (BigInt(validForSec) <= delayOf(deployment)) throw new BadInputError(`Found validForSec ${validForSec}, the timelock alone takes ${delayOf(deployment)} s; choose a longer time`)
    const asked = (input.recommendationIds?.length ?? 0) + (input.changes?.length ?? 0)
    // How many of the desired values differ is known once they are read.
    if (desired === null || asked > 0) assertCount(asked)
    const { intents: fromModels, evidence } = await recommended(input.recommendationIds ?? [])
    const named = [...fromModels, ...(input.changes ?? [])]
    const refs = [...(named.length === 0 ? [] : refsOf(target, named)), ...(desired?.values ?? [])]
    return { title, validForSec, evidence, named, desired, refs, playbook: input.playbook ?? null }
  }

  type Wish = Awaited<ReturnType<typeof wishOf>>
  type Present = Awaited<ReturnType<typeof presentOf>>

  /** What a wish is about, as index and chain have it at one block. The chain is asked here, outside of the transaction that weighs the wish. */
  async function presentOf({ refs }: Wish) {
    const asked = [...refs, ...refs.flatMap((ref) => catalog.boundedBy(deployment, ref))]
    const block = await readIndexed(prisma)
    return { asked, block, values: await readCurrent(target, client, asked, await readValues(prisma, catalog, asked), block) }
  }

  /** `work` in a transaction, with the present read before it; anew where it answers null, because the index has moved on since. Throws UnavailableError where that does not end. */
  async function atPresent<T>(wish: Wish, work: (tx: Prisma.TransactionClient, present: Present) => Promise<T | null>): Promise<T> {
    for (let i = 0; i < WEIGHINGS; i++) {
      const present = await presentOf(wish)
      const done = await prisma.$transaction((tx) => work(tx, present), { timeout: 60_000, maxWait: 30_000 })
      if (done !== null) return done
    }
    throw new UnavailableError({ part: 'index', found: `it moved on ${WEIGHINGS} times before what the chain had answered could be used`, action: 'try again' })
  }

  /** A wish against the present: exact changes, and what policy and lint say of them; null where the chain's answers are of another block by now. Throws DraftRefusedError. */
  async function weigh(tx: Prisma.TransactionClient, wish: Wish, present: Present) {
    const { evidence, playbook, desired } = wish
    const block = await readIndexed(tx)
    const indexed = await readValues(tx, catalog, present.asked)
    const values = new Map<string, bigint>()
    for (const ref of present.asked) {
      const key = keyOf({ parameter: ref.name, subject: ref.subject })
      const value = indexed.get(key)?.value ?? (present.block.hash === block.hash ? present.values.get(key) : undefined)
      if (value === undefined) return null
      values.set(key, value)
    }
    const current = (ref: ParameterRef): bigint | null => values.get(keyOf({ parameter: ref.name, subject: ref.subject })) ?? null
    const differing = desired === null ? [] : intentsOf(desired, current)
    if (desired !== null && wish.named.length + differing.length === 0) throw new DraftRefusedError(['Found every desired value in force already, allowed is a draft of one change or more; there is nothing to propose'])
    const changes = draftChanges(target, [...wish.named, ...differing], current)
    const holding = await find(tx, { chainId: deployment.chainId, safe: lower(safeOf(deployment).address), state: { in: [...OPEN_STATES, 'CANCELLING', 'QUEUED'] } })
    const open = holding.filter((each) => each.state !== 'CANCELLING')
    const faults = changes.flatMap((change) => {
      const other = open.find((each) => each.changes.some((theirs) => keyOf(theirs) === keyOf(change)))
      return other === undefined ? [] : [`Found ${change.parameter} of ${change.subjectLabel} in open proposal ${other.id} already, allowed is one open change per parameter; execute or cancel that one first`]
    })
    if (faults.length > 0) throw new DraftRefusedError(faults)
    const validUntil = block.timestamp + BigInt(wish.validForSec)
    const findings = await findingsOf(tx, block, { changes, validUntil, draftedSec: Number(block.timestamp), evidence, playbook, id: null, simulation: null }, values, open)
    return { block, changes, holding, validUntil, findings }
  }

  async function check(input: DraftInput): Promise<DraftCheck> {
    try {
      const wish = await wishOf(input)
      const elsewhere = await queuedElsewhere((await readRecordedSafe(client, deployment)).nonce)
      const { changes, findings } = await atPresent(wish, (tx, present) => weigh(tx, wish, present))
      return { changes, findings: [...findings, ...elsewhere.findings] }
    } catch (error) {
      if (!(error instanceof BadInputError)) throw error
      const faults = error instanceof DraftRefusedError ? (error.facts['faults'] as readonly string[]) : [error.message]
      return { changes: [], findings: faults.map((text) => ({ rule: 'draft', severity: 'BLOCK', parameter: null, subject: null, text })) }
    }
  }

  async function importBatch({ file, title, confirm = [], ...rest }: ImportInput): Promise<ProposalRecord> {
    const batch = parseBatch(target, file)
    const confirmed = new Set(confirm)
    const changes = batch.intents.map((intent): Intent => {
      const spec = catalog.find(intent.parameter)
      const name = confirmationOf({ parameter: spec.name, subjectLabel: labelOf(deployment, spec.scope, resolveSubject(target, spec, intent.subject)) })
      return { ...intent, confirm: confirmed.has(name) ? name : null }
    })
    return draft({ ...rest, title: title ?? (batch.title === '' ? 'Imported batch' : batch.title), changes })
  }

  async function draft(input: DraftInput): Promise<ProposalRecord> {
    const safe = safeOf(deployment)
    const wish = await wishOf(input)
    const { title, evidence } = wish
    const onChain = await readRecordedSafe(client, deployment)
    const elsewhere = await queuedElsewhere(onChain.nonce)
    const record = await atPresent(wish, async (tx, present) => {
      // One draft at a time per Safe: two would take the same nonce.
      await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended(${`proposals:${deployment.chainId}:${lower(safe.address)}`}, 0))) AS locked`
      const weighed = await weigh(tx, wish, present)
      if (weighed === null) return null
      const { block, changes, holding, validUntil, findings: found } = weighed
      const findings = [...found, ...elsewhere.findings]
      assertUnblocked(findings)

      const own = new Set(holding.map((each) => each.safeTxHash))
      const waiting = [...holding.map((each) => ({ nonce: each.cancellation?.safeTx.nonce ?? BigInt(each.nonce), what: `proposal ${each.id}` })), ...elsewhere.waiting.filter((each) => ![...own].some((hash) => each.what.startsWith(hash)))]
      const choice = nextNonce(onChain.nonce, waiting)
      const { nonce } = choice
      const built = build(target, { changes, validUntilSec: validUntil, nonce })
      // Under the lock, though it asks the chain: the bytes have the nonce that is chosen here, and the block's time.
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
          findings: findings as unknown as Prisma.InputJsonValue,
          evidence: evidence.map((each) => ({ ...each, blockTimestamp: each.blockTimestamp.toString() })),
          draftedBy: input.by ?? null,
          playbook: input.playbook ?? null,
          recommendationIds: [...(input.recommendationIds ?? [])],
        },
      })
      const queue = nonceNote(choice)
      await appendEvent(tx, id, null, 'DRAFT', `Drafted ${changes.length === 1 ? 'one change' : `${changes.length} changes`} at block ${block.number}${input.by == null ? '' : ` by ${input.by}`}${queue === null ? '' : `. ${queue}`}`, block.timestamp)
      return load(tx, id)
    })
    log.info({ proposal: record.id, safeTxHash: record.safeTxHash, nonce: record.nonce, by: record.draftedBy }, 'proposal drafted')
    return record
  }

  async function simulateProposal(id: string): Promise<ProposalRecord> {
    const proposal = await load(prisma, id)
    // What is executed or queued already would fail on the fork, and be called stale for that.
    const assertOpen = (state: ProposalState): void => {
      if (!isOpen(state)) throw new WrongStateError({ id, found: state, allowed: OPEN_STATES, action: 'simulate' })
    }
    assertOpen(proposal.state)
    verify(target, proposal)
    const { block, simulation: result, impact: found } = await examine(planOf(proposal), { prisma, target, rpcUrl, stateDir, log })
    const record = await move(prisma, id, block.timestamp, (now) => {
      assertOpen(now.state)
      const simulation = result as unknown as Prisma.InputJsonValue
      const impact = found === null ? Prisma.DbNull : (found as unknown as Prisma.InputJsonValue)
      const early = now.state === 'DRAFT' || now.state === 'SIMULATED'
      if (result.success) return { to: early ? 'SIMULATED' : now.state, note: `Simulated at block ${result.block}: all calls succeed, ${result.gasUsed} gas`, data: { simulation, impact, stateReason: null } }
      return { to: early ? 'DRAFT' : 'STALE', note: `Simulation at block ${result.block} failed: ${result.failure}`, data: { simulation, impact, stateReason: result.failure } }
    })
    log.info({ proposal: id, success: result.success, failure: result.failure }, 'proposal simulated')
    return record
  }

  /**
   * Holds deadline, drift and guardrails again when signatures are asked for and given, and before execution. Throws StaleProposalError,
   * BlockedError.
   */
  async function assertCurrent(tx: Prisma.TransactionClient, proposal: ProposalRecord): Promise<void> {
    const block = await readIndexed(tx)
    const refs = proposal.changes.map((change) => ({ name: change.parameter, subject: change.subject }))
    const values = await readValues(tx, catalog, refs)
    const gone = outdated(proposal, block.timestamp, values, delayOf(deployment))
    if (gone !== null) throw new StaleProposalError(`${gone.reason}; draft it again`, { id: proposal.id, becomes: gone.to })
    const current = new Map([...values].map(([key, { value }]) => [key, value]))
    const simulated = proposal.simulation === null ? null : proposal.simulation.success ? 'passed' : 'reverted'
    const findings = await findingsOf(tx, block, { changes: proposal.changes, validUntil: proposal.validUntil, draftedSec: Number(proposal.draftedAt.timestamp), evidence: proposal.evidence, playbook: proposal.playbook, id: proposal.id, simulation: simulated }, current, [])
    const blocks = stopping(findings)
    if (blocks.length > 0) throw new BlockedError({ id: proposal.id, rules: blocks.map(({ rule, text }) => `rule ${rule}: ${text}`) })
  }

  async function requestSignatures(id: string): Promise<ProposalRecord> {
    const { timestamp } = await readIndexed(prisma)
    return move(prisma, id, timestamp, async (now, tx) => {
      if (now.state !== 'SIMULATED') throw new WrongStateError({ id, found: now.state, allowed: ['SIMULATED'], action: 'ask for signatures' })
      verify(target, now)
      await assertCurrent(tx, now)
      return { to: 'AWAITING_SIGNATURES', note: `Opened for signatures of ${now.safeTxHash}` }
    })
  }

  async function addSignature(id: string, signer: Address, signature: Hex, of: SignatureKind = 'CHANGE'): Promise<ProposalRecord> {
    // A change of another Safe than the recorded one could not be executed; to keep one from happening must stay possible.
    const [{ timestamp }, onChain] = await Promise.all([readIndexed(prisma), of === 'CHANGE' ? readRecordedSafe(client, deployment) : readSafe(client, deployment)])
    return move(prisma, id, timestamp, async (now, tx) => {
      const allowed: readonly ProposalState[] = of === 'CHANGE' ? ['AWAITING_SIGNATURES', 'READY'] : ['CANCELLING']
      if (!allowed.includes(now.state)) throw new WrongStateError({ id, found: now.state, allowed, action: of === 'CHANGE' ? 'add a signature' : 'add a signature of its cancellation' })
      const { hashes } = verify(target, now)
      if (of === 'CHANGE') await assertCurrent(tx, now)
      else assertCancellation(target, now)
      const signed = of === 'CHANGE' ? now.signatures : now.cancellation!.signatures
      const { safeTxHash } = of === 'CHANGE' ? hashes : now.cancellation!.hashes
      const checked = await checkSignature({ safeTxHash, owners: onChain.owners, signed: signed.map((each) => each.signer), signer, signature })
      await tx.proposalSignature.create({ data: { proposalId: id, kind: of, ...checked, addedAt: toDate(timestamp) } })
      const count = signed.filter((each) => onChain.owners.includes(each.signer)).length + 1
      if (of === 'CANCELLATION') return { to: 'CANCELLING', note: `Cancellation ${safeTxHash} signed by ${checked.signer}: ${count} of ${onChain.threshold}`, data: { threshold: onChain.threshold } }
      return { to: count >= onChain.threshold ? 'READY' : 'AWAITING_SIGNATURES', note: `Signed by ${checked.signer}: ${count} of ${onChain.threshold}`, data: { threshold: onChain.threshold } }
    })
  }

  async function executeProposal(id: string, executor: Account): Promise<ProposalRecord> {
    const proposal = await load(prisma, id)
    if (proposal.state === 'READY') await prisma.$transaction((tx) => assertCurrent(tx, proposal))
    const done = await execute(target, client, rpcUrl, proposal, executor)
    log.info({ proposal: id, txHash: done.txHash, block: done.block.toString() }, 'proposal executed')
    // Where a timelock stands between, tracking reads there since when the operation waits, and how long.
    if (governanceOf(deployment).kind !== 'SAFE') return tracked(id)
    return move(prisma, id, done.timestamp, (now) =>
      // Tracking may have seen it first.
      now.executionTxHash === done.txHash ? null : { to: 'EXECUTED', note: by(executor, done), data: { executionTxHash: done.txHash, executedAtBlock: done.block, nonceUsedAtBlock: done.block, stateReason: null } },
    )
  }

  async function executable(id: string, of: SignatureKind, sender: Address | null): Promise<Sendable> {
    const proposal = await load(prisma, id)
    if (of === 'CANCELLATION') return cancellationCall(target, client, proposal, sender)
    if (proposal.state === 'QUEUED') return queuedCall(target, client, proposal, sender)
    if (proposal.state === 'READY') await prisma.$transaction((tx) => assertCurrent(tx, proposal))
    return executionCall(target, client, proposal, sender)
  }

  async function safeNow(): Promise<SafeOnChain & { readonly mismatch: string | null }> {
    const found = await readSafe(client, deployment)
    try {
      await readRecordedSafe(client, deployment)
      return { ...found, mismatch: null }
    } catch (error) {
      if (error instanceof SafeMismatchError || error instanceof GovernanceMismatchError || error instanceof GuardMissingError) return { ...found, mismatch: error.message }
      throw error
    }
  }

  async function executeQueuedProposal(id: string, executor: Account): Promise<ProposalRecord> {
    const done = await executeQueued(target, client, rpcUrl, await load(prisma, id), executor)
    log.info({ proposal: id, txHash: done.txHash, block: done.block.toString() }, 'proposal executed in the timelock')
    return move(prisma, id, done.timestamp, (now) => (now.executionTxHash === done.txHash ? null : { to: 'EXECUTED', note: by(executor, done), data: { executionTxHash: done.txHash, executedAtBlock: done.block, stateReason: null } }))
  }

  async function cancelled(id: string, executor: Account): Promise<ProposalRecord> {
    const done = await executeCancellation(target, client, rpcUrl, await load(prisma, id), executor)
    log.info({ proposal: id, txHash: done.txHash, block: done.block.toString() }, 'proposal cancelled on chain')
    return tracked(id)
  }

  /** What the chain says of it now. */
  async function tracked(id: string): Promise<ProposalRecord> {
    await track(prisma, client, target)
    return load(prisma, id)
  }

  const by = (executor: Account, done: Execution): string => `Executed by ${lower(executor.address)} in transaction ${done.txHash}, block ${done.block}, ${done.gasUsed} gas`

  async function cancel(id: string, who: string | null = null): Promise<ProposalRecord> {
    const [{ timestamp }, onChain] = await Promise.all([readIndexed(prisma), readSafe(client, deployment)])
    const elsewhere = await queuedElsewhere(onChain.nonce)
    const name = who === null ? '' : ` by ${who}`
    return move(prisma, id, timestamp, async (now, tx) => {
      if (now.state === 'DRAFT' || now.state === 'SIMULATED') {
        const note = `Withdrawn${name}: nobody was asked to sign it`
        return { to: 'WITHDRAWN', note, data: { stateReason: note } }
      }
      // Another transaction took its nonce, or a reorganisation took a rejection that was not ours: there is nothing left to sign.
      const anew = now.state === 'CANCELLING' && (now.cancellation === null || (now.scheduled !== null && onChain.nonce > now.cancellation.safeTx.nonce))
      if (!anew && (!canGo(now.state, 'CANCELLING') || now.state === 'CANCELLING' || now.state === 'CANCELLED')) throw new WrongStateError({ id, found: now.state, allowed: ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'QUEUED', 'STALE', 'EXPIRED'], action: 'cancel' })
      if (now.scheduled === null && onChain.nonce > BigInt(now.nonce)) throw new StaleProposalError(`Found the Safe at nonce ${onChain.nonce}, this proposal has ${now.nonce}, which is used: nobody can execute it any more; nothing is to be done`, { id, nonce: onChain.nonce })
      const { queued } = verify(target, now)
      const holding = await find(tx, { chainId: deployment.chainId, safe: now.safe, state: { in: [...OPEN_STATES, 'CANCELLING'] } })
      const waiting = [...holding.map((each) => ({ nonce: each.cancellation?.safeTx.nonce ?? BigInt(each.nonce), what: `proposal ${each.id}` })), ...elsewhere.waiting]
      const signable = now.scheduled !== null && queued !== null ? cancellation(deployment, queued, nextNonce(onChain.nonce, waiting).nonce) : rejection(deployment, BigInt(now.nonce))
      const kind = now.scheduled !== null ? 'TIMELOCK' : 'REJECTION'
      const note =
        kind === 'REJECTION'
          ? `Cancelling${name}: it is cancelled once the empty transaction ${signable.hashes.safeTxHash} is executed at nonce ${now.nonce}; until then the ${now.signatures.length} signatures given stay valid`
          : `Cancelling${name}: it is cancelled once transaction ${signable.hashes.safeTxHash} takes it out of the timelock; until then it can be executed there`
      // Those of an earlier one are over other bytes.
      await tx.proposalSignature.deleteMany({ where: { proposalId: id, kind: 'CANCELLATION' } })
      return { to: 'CANCELLING', note, data: { stateReason: note, cancellation: { kind, safeTx: safeTxToJson(signable.safeTx), hashes: signable.hashes } } }
    })
  }

  const withService = (): TransactionService => {
    if (service === null) throw new UnavailableError({ part: 'Safe Transaction Service', found: 'none is configured', action: 'set SAFE_SERVICE_URL, or pass signatures on by file' })
    return service
  }

  async function publish(id: string): Promise<ProposalRecord> {
    const proposal = await load(prisma, id)
    // What is to be cancelled, or can only revert, is not held out to others.
    if (proposal.state !== 'AWAITING_SIGNATURES' && proposal.state !== 'READY') throw new WrongStateError({ id, found: proposal.state, allowed: ['AWAITING_SIGNATURES', 'READY'], action: 'publish it' })
    const there = withService()
    const built = verify(target, proposal)
    if (proposal.signatures.length === 0) throw new WrongStateError({ id, found: `${proposal.state} without signatures`, allowed: ['one signature of an owner or more'], action: 'publish it' })
    const known = new Set((await there.signatures(proposal.safeTxHash)).map((each) => each.signer))
    for (const signature of proposal.signatures.filter((each) => !known.has(each.signer))) await there.publish(built.safeTx, built.hashes, signature, JSON.stringify({ name: `Bulwark: ${proposal.title}`, url: '' }))
    return proposal
  }

  async function pull(id: string): Promise<{ readonly proposal: ProposalRecord; readonly added: number }> {
    let proposal = await load(prisma, id)
    const [found, { owners }] = [await withService().signatures(proposal.safeTxHash), await readSafe(client, deployment)]
    let added = 0
    for (const { signer, signature } of found) {
      if (!owners.includes(signer) || proposal.signatures.some((each) => each.signer === signer)) continue
      try {
        proposal = await addSignature(id, signer, signature)
        added++
      } catch (error) {
        // One that the service made up must not keep the others away.
        if (!(error instanceof SignatureRefusedError)) throw error
        log.warn({ proposal: id, signer, reason: error.message }, 'the Transaction Service holds a signature that does not count')
      }
    }
    return { proposal, added }
  }

  async function exportReview(id: string): Promise<ReviewFile> {
    const proposal = await load(prisma, id)
    const built = verify(target, proposal)
    const plan = planOf(proposal)
    const back = rollbackOf(target, plan)
    return reviewOf({
      protocol: protocolName(), network: proposal.network, chainId: proposal.chainId, safe: proposal.safe, governance: governanceOf(deployment), title: proposal.title, plan, built,
      rollback: back.plan === null ? null : { plan: back.plan, built: back.built },
      block: proposal.draftedAt,
      evidence: proposal.evidence.map(({ recommendation, digest }) => ({ recommendation, digest })),
      simulation: proposal.simulation, impact: proposal.impact, signatures: proposal.signatures,
    })
  }

  /** What was predicted against what came of it, for those that are applied and whose day is not over. */
  async function follow(): Promise<void> {
    const waiting = await prisma.proposal.findMany({ where: { chainId: deployment.chainId, state: 'APPLIED', OR: [{ aftermath: { equals: Prisma.AnyNull } }, { aftermath: { path: ['complete'], equals: false } }] }, select: { id: true } })
    if (waiting.length === 0) return
    const block = await readIndexed(prisma)
    for (const { id } of waiting) {
      const proposal = await load(prisma, id)
      const aftermath = await readAftermath(prisma, proposal, block, foreseen(proposal))
      await prisma.proposal.update({ where: { id }, data: { aftermath: aftermathJson(aftermath) as Prisma.InputJsonValue } })
    }
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
    draftRollback: asking(draftRollback),
    check: asking(check),
    importBatch: asking(importBatch),
    simulate: asking(simulateProposal),
    requestSignatures: asking(requestSignatures),
    addSignature: asking(addSignature),
    execute: asking(executeProposal),
    executable: asking(executable),
    safe: asking(safeNow),
    published: service !== null,
    executeQueued: asking(executeQueuedProposal),
    executeCancellation: asking(cancelled),
    track: asking(async () => {
      const moved = await track(prisma, client, target)
      for (const { id, from, to, note } of moved) log.info({ proposal: id, from, to, note }, 'proposal moved')
      await follow()
      return moved
    }),
    cancel: asking(cancel),
    publish: asking(publish),
    pull: asking(pull),
    get: (id) => load(prisma, id),
    list: (filter) => find(prisma, { chainId: deployment.chainId, ...(filter?.state === undefined ? {} : { state: filter.state }) }),
    exportBatch: async (id) => {
      const proposal = await load(prisma, id)
      verify(target, proposal)
      return batchFile(proposal)
    },
    exportReview,
  }
}

const planOf = (proposal: ProposalRecord): Plan => ({ changes: proposal.changes, validUntilSec: proposal.validUntil, nonce: BigInt(proposal.nonce) })

/** Accounts that the impact says become liquidatable; null where there is none. */
function foreseen(proposal: ProposalRecord): readonly Address[] | null {
  const accounts = (proposal.impact as Impact | null)?.newlyLiquidatable
  return accounts === undefined ? null : accounts.map((each) => lower(each.account))
}
