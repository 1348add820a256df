/** Proposals, the policy that holds them, and the audit log → GraphQL. What is derived from a proposal's intent is derived here again, never stored twice. */
import { BulwarkError, RetryableError } from '../../core/errors.ts'
import { toFloat } from '../../core/units.ts'
import type { Prisma } from '../../prisma/client.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import type { Aftermath } from '../../proposals/aftermath.ts'
import { build, cancellation, rejection, safeOf } from '../../proposals/build.ts'
import { changeFromJson, changeToJson, confirmationOf } from '../../proposals/draft.ts'
import { typedDataOf } from '../../proposals/index.ts'
import type { Change, ChangeJson, Finding, Impact, Plan, SimulationResult } from '../../proposals/index.ts'
import { deedWords, deedsOf } from '../../proposals/decode.ts'
import { GUARD_ADDRESS } from '../../proposals/guard.ts'
import { delayOf, governanceOf } from '../../proposals/paths.ts'
import { rollbackOf } from '../../proposals/rollback.ts'
import { lower, safeTxToJson } from '../../proposals/safe.ts'
import type { BatchResult } from '../../proposals/simulate.ts'
import type { CancellationJson, Evidence } from '../../proposals/store.ts'
import { changeWords, coverageWords, pathWords } from '../../proposals/words.ts'
import type { Context } from './context.ts'
import { displayValue, specOf } from './display.ts'
import type { AuditEntry, DraftProposalInput, MutationResolvers, ProposalResolvers, QueryResolvers, QueueStatus, Role, SafeResolvers } from './generated/resolvers.ts'
import { PROPOSAL_PARTS } from './lists.ts'
import { e18 } from './model.ts'
import type { AmountNode, ProposalNode, SafeNode } from './model.ts'
import { page } from './paging.ts'
import type { PageSource } from './paging.ts'
import { UserInputError } from './risk/answer.ts'

const targetOf = ({ protocol, deployment }: Context) => ({ catalog: protocol.catalog, deployment })

/** A proposal as it stands now: mutations answer what they wrote, not what the request's snapshot saw. */
const proposalNow = (context: Context, id: string): Promise<ProposalNode> => context.prisma.proposal.findUniqueOrThrow({ where: { id }, include: PROPOSAL_PARTS })

/** Who has signed in. The door of mutations has let nobody else through. */
const actor = async (context: Context): Promise<Address | null> => (await context.caller()).viewer?.address ?? null

const MAX_FILE = 200_000

/** Throws UserInputError where a text is longer than a person would write. */
function checkText(field: string, text: string | null | undefined): void {
  if (text != null && text.length > MAX_FILE) throw new UserInputError(`${field}: found ${text.length} characters, allowed are ${MAX_FILE}; propose less at a time`, field)
}

function wishOf({ title, recommendationIds, changes, desired, validForSec, playbook }: DraftProposalInput) {
  checkText('input.desired', desired)
  return {
    title: title ?? null,
    recommendationIds: [...new Set(recommendationIds ?? [])],
    changes: (changes ?? []).map((change) => ({ parameter: change.parameter, subject: change.subject ?? null, to: change.toRaw, confirm: change.confirm ?? null })),
    desired: desired ?? null,
    validForSec: validForSec ?? null,
    playbook: playbook ?? null,
  }
}

export const proposalMutations = {
  draftProposal: async (_, { input }, context) => proposalNow(context, (await context.proposals.draft({ ...wishOf(input), by: await actor(context) })).id),
  importBatch: async (_, { input: { file, title, validForSec, confirm } }, context) => {
    checkText('input.file', file)
    return proposalNow(context, (await context.proposals.importBatch({ file, title: title ?? null, validForSec: validForSec ?? null, confirm: confirm ?? [], by: await actor(context) })).id)
  },
  simulateProposal: async (_, { id }, context) => proposalNow(context, (await context.proposals.simulate(id)).id),
  requestSignatures: async (_, { id }, context) => proposalNow(context, (await context.proposals.requestSignatures(id)).id),
  addSignature: async (_, { id, signer, signature, of }, context) => proposalNow(context, (await context.proposals.addSignature(id, signer as Address, signature as Hex, of ?? 'CHANGE')).id),
  publishProposal: async (_, { id }, context) => proposalNow(context, (await context.proposals.publish(id)).id),
  pullSignatures: async (_, { id }, context) => proposalNow(context, (await context.proposals.pull(id)).proposal.id),
  draftRollback: async (_, { id }, context) => proposalNow(context, (await context.proposals.draftRollback(id, await actor(context))).id),
  cancelProposal: async (_, { id }, context) => proposalNow(context, (await context.proposals.cancel(id, await actor(context))).id),
} satisfies MutationResolvers<Context>

export const proposalQueries = {
  validateDraft: async (_, { input }, context) => {
    const { changes, findings } = await context.proposals.check(wishOf(input))
    return { ok: changes.length > 0 && findings.every((one) => one.severity !== 'BLOCK'), changes: changes.map((change) => changeAnswer(context, changeToJson(change))), findings: [...findings] }
  },
  proposalExecution: async (_, { id, of, sender }, context) => {
    // Not of the snapshot, which would be held while the chain tries the call.
    if ((await context.prisma.proposal.count({ where: { id } })) === 0) return null
    try {
      const { to, value, data, gas } = await context.proposals.executable(id, of ?? 'CHANGE', sender == null ? null : lower(sender as Address))
      return { transaction: { chainId: context.deployment.chainId, to, value, data, gas }, reason: null, code: null }
    } catch (error) {
      if (!(error instanceof BulwarkError) || error instanceof RetryableError || error.code === 'INVARIANT') throw error
      return { transaction: null, reason: error.message, code: error.code }
    }
  },
  policy: (_, __, { auth: { policy }, protocol }) => ({
    network: policy.network,
    stewards: [...policy.stewards],
    defaultValidForSec: policy.validity.defaultSec,
    maxValidForSec: policy.validity.maxSec,
    evidenceMaxAgeSec: policy.evidenceMaxAgeSec,
    parameters: [...policy.parameters].map(([name, { min, max, step, minDelaySec, exempt }]) => ({
      name, title: protocol.catalog.find(name).title, minRaw: min, maxRaw: max, maxStepRelative: ratioE6(step.relativeE6), maxStepRaw: step.absolute, minDelaySec, exemptRaw: [...exempt],
    })),
    invariants: policy.invariants.map((one) => ({ ...one })),
    together: policy.together.map((names) => [...names]),
  }),
  viewer: async (_, __, context) => {
    const { viewer } = await context.caller()
    return viewer && { address: viewer.address, roles: [...(await context.roles())], expiresAt: viewer.expiresAt.toISOString() }
  },
  auditLog: async (_, args, context) => page(auditLog(context, args), args),
} satisfies QueryResolvers<Context>

/** Entries, newest first. */
function auditLog(context: Context, { actor, subject }: { readonly actor?: string | null | undefined; readonly subject?: string | null | undefined }): PageSource<AuditEntry> {
  const where: Prisma.AuditEntryWhereInput = { ...(actor == null ? {} : { actor: actor.toLowerCase() }), ...(subject == null ? {} : { subject }) }
  return {
    list: 'audit entries, newest first',
    parts: ['int32'],
    key: ({ id }) => [id],
    rows: async (key, take) => {
      const rows = await (await context.db()).auditEntry.findMany({ where: key === null ? where : { AND: [where, { id: { lt: Number(key[0]) } }] }, orderBy: { id: 'desc' }, take })
      return rows.map((row) => ({ ...row, id: String(row.id), at: row.at.toISOString(), roles: row.roles as Role[] }))
    },
    total: async () => (await context.db()).auditEntry.count({ where }),
  }
}

export const safeFields: SafeResolvers<Context, SafeNode> = {
  owners: ({ owners }) => [...owners],
  onChain: async (_, __, { proposals }) => {
    const { owners, threshold, nonce, version, mismatch } = await proposals.safe()
    return { owners: [...owners], threshold, nonce: Number(nonce), version, mismatch }
  },
  published: (_, __, { proposals }) => proposals.published,
}

// ─── A proposal ────────────────────────────────────────────────────────────────────────────────────────────────────

const changesOf = (row: ProposalNode): readonly ChangeJson[] => row.changes as unknown as ChangeJson[]
const planOf = (row: ProposalNode): Plan => ({ changes: changesOf(row).map(changeFromJson) as unknown as readonly [Change, ...Change[]], validUntilSec: row.validUntil, nonce: BigInt(row.nonce) })
const signaturesOf = (row: ProposalNode, kind: string) => row.signatures.filter((one) => one.kind === kind)

function changeAnswer({ protocol, deployment }: Context, change: ChangeJson) {
  const spec = specOf(protocol.catalog, change.parameter, change.scope)
  const [from, to] = [BigInt(change.from), BigInt(change.to)]
  const words = changeWords({ catalog: protocol.catalog, deployment }, { ...change, from, to })
  return {
    ...change,
    title: spec.title,
    fromRaw: from,
    toRaw: to,
    fromDisplay: displayValue(spec, from, change.subject, deployment),
    toDisplay: displayValue(spec, to, change.subject, deployment),
    sentence: words.sentence,
    step: words.step,
    description: words.description,
    note: words.note,
    irreversible: words.irreversible,
    confirmation: words.irreversible ? confirmationOf(change) : null,
  }
}

const callsAnswer = (calls: readonly { readonly to: string; readonly value: string | bigint; readonly data: string }[]) => calls.map((call) => ({ ...call, value: BigInt(call.value) }))

async function queueAnswer(row: ProposalNode, context: Context) {
  if (governanceOf(context.deployment).kind === 'SAFE') return null
  const { queued } = build(targetOf(context), planOf(row))
  if (queued === null) return null
  const nowSec = (await context.indexed())?.timestamp ?? 0n
  const status = ((): QueueStatus => {
    if (row.state === 'EXECUTED' || row.state === 'APPLIED') return 'DONE'
    if (row.state === 'CANCELLED') return 'CANCELLED'
    if (row.readyAtSec === null) return 'NOT_SCHEDULED'
    if (nowSec > queued.executeUntilSec) return 'EXPIRED'
    return nowSec >= row.readyAtSec ? 'READY' : 'WAITING'
  })()
  return {
    timelock: queued.address, operation: queued.id, predecessor: queued.predecessor, salt: queued.salt, status,
    scheduleUntil: queued.queueUntilSec, scheduledTxHash: row.scheduledTxHash, scheduledAtBlock: row.scheduledAtBlock, readyAt: row.readyAtSec, executeUntil: queued.executeUntilSec,
  }
}

const amount = (raw: string): AmountNode => e18(BigInt(raw))
const amountOrNull = (raw: string | null): AmountNode | null => (raw === null ? null : amount(raw))
const ratioE6 = (raw: string | bigint | null): number | null => (raw === null ? null : toFloat(BigInt(raw), 6))
const integerOrNull = (raw: string | null | undefined): bigint | null => (raw == null ? null : BigInt(raw))

type StoredBatch = Pick<BatchResult, 'success' | 'failure' | 'gasUsed' | 'parameters'> & Partial<BatchResult>

/** Simulations of earlier versions hold less. */
const batchAnswer = (batch: StoredBatch) => ({
  success: batch.success,
  gasUsed: integerOrNull(batch.gasUsed),
  failure: batch.failure,
  stages: (batch.stages ?? []).map(({ what, timestampSec, success, gasUsed }) => ({ what, timestamp: BigInt(timestampSec), success, gasUsed: integerOrNull(gasUsed) })),
  calls: (batch.results ?? []).map(({ to, what, success, gasUsed, error }) => ({ to, what: what ?? 'a call', success, gasUsed: integerOrNull(gasUsed), error })),
  parameters: batch.parameters.map(parameterAnswer),
  warnings: [...(batch.warnings ?? [])],
})

const parameterAnswer = ({ name, subject, before, after, expected }: BatchResult['parameters'][number]) => ({ name, subject, beforeRaw: BigInt(before), afterRaw: BigInt(after), expectedRaw: BigInt(expected) })

function simulationAnswer(stored: unknown) {
  const simulation = stored as (StoredBatch & Partial<SimulationResult> & { readonly block: string }) | null
  if (simulation === null) return null
  return {
    ...batchAnswer(simulation),
    block: BigInt(simulation.block),
    blockHash: simulation.blockHash ?? null,
    timestamp: integerOrNull(simulation.timestampSec),
    otherParametersRead: simulation.others?.read ?? 0,
    otherParametersChanged: (simulation.others?.changed ?? []).map(parameterAnswer),
    events: simulation.events ?? [],
    storage: simulation.storage ?? [],
    accounts: simulation.accounts ?? [],
    rollback: simulation.rollback == null ? null : batchAnswer(simulation.rollback),
  }
}

const standing = ({ valueE18, requirementE18, collateralRequirementE18, debtE18, marginRatioE6 }: Impact['newlyLiquidatable'][number]['before']) => ({
  value: amount(valueE18), requirement: amount(requirementE18), collateralRequirement: amount(collateralRequirementE18), debt: amount(debtE18), marginRatio: ratioE6(marginRatioE6),
})

function impactAnswer(stored: unknown) {
  const impact = stored as Impact | null
  if (impact === null) return null
  const { totals, engine, invariants, fund, breakers } = impact
  // One of an earlier version counted none.
  const accounts: Omit<Impact['accounts'], 'valued' | 'unvalued'> & Partial<Impact['accounts']> = impact.accounts
  const valued = accounts.valued ?? null
  return {
    block: BigInt(impact.block),
    blockHash: impact.blockHash,
    timestamp: BigInt(impact.timestampSec),
    accountsIndexed: accounts.indexed,
    accountsRead: accounts.readFromContracts,
    cut: accounts.cut,
    unreadable: accounts.unreadable,
    accountsValued: valued,
    unvalued: (accounts.unvalued ?? []).map((each) => ({ ...each, accounts: [...each.accounts] })),
    coverage: coverageWords({ indexed: accounts.indexed, valued }),
    newlyLiquidatable: impact.newlyLiquidatable.map((one) => ({
      account: one.account, source: one.source, falls: [...one.falls], afterCancelling: one.afterCancelling, before: standing(one.before), after: standing(one.after),
      gross: amount(one.grossE18), badDebt: amount(one.badDebtE18), expectedBadDebt: amountOrNull(one.expectedBadDebtE18), positions: one.positions, collateral: one.collateral ?? null,
    })),
    noLongerLiquidatable: [...impact.noLongerLiquidatable],
    gross: amount(totals.grossE18),
    badDebt: amount(totals.badDebtE18),
    expectedBadDebt: amountOrNull(totals.expectedBadDebtE18),
    fund: amountOrNull(totals.fundE18),
    cover: ratioE6(totals.coverE6),
    uncovered: amountOrNull(totals.uncoveredE18),
    nearMiss: impact.nearMiss.map((one) => ({ move: toFloat(BigInt(one.moveE6), 6), without: one.without, with: one.with, added: one.added.map(({ account }) => account) })),
    comparedBefore: engine.comparedBefore,
    comparedAfter: engine.comparedAfter,
    engineGap: engine.gap,
    differences: engine.differences,
    invariantsChecked: invariants.checked,
    invariantsNewlyBroken: invariants.newlyBroken,
    invariantSteps: invariants.steps,
    fundTargetBefore: amountOrNull(fund.targetBefore),
    fundTargetAfter: amountOrNull(fund.targetAfter),
    fundGap: fund.gap,
    loosening: [...breakers.loosening],
    breakers: breakers.levels,
    replays: breakers.replays,
    notes: [...impact.notes],
  }
}

function aftermathAnswer(stored: unknown, settlementDecimals: number) {
  const aftermath = stored as Aftermath | null
  if (aftermath === null) return null
  const { liquidations } = aftermath
  return {
    untilSec: BigInt(aftermath.untilSec),
    complete: aftermath.complete,
    parameters: aftermath.parameters.map((one) => ({ ...one, predicted: BigInt(one.predicted), actual: integerOrNull(one.actual) })),
    liquidations: { ...liquidations, predicted: liquidations.predicted, notionalE18: BigInt(liquidations.notionalE18), notional: amount(liquidations.notionalE18), others: [...liquidations.others], badDebt: BigInt(liquidations.badDebt), badDebtAmount: { raw: BigInt(liquidations.badDebt), decimals: settlementDecimals } },
  }
}

export const proposalFields: ProposalResolvers<Context, ProposalNode> = {
  changes: (row, _, context) => changesOf(row).map((change) => changeAnswer(context, change)),
  calls: (row) => callsAnswer(row.calls as unknown as { to: string; value: string; data: string }[]),
  deeds: (row, _, context) => {
    const target = targetOf(context)
    const governance = governanceOf(context.deployment)
    const known = { multiSendCallOnly: lower(safeOf(context.deployment).multiSendCallOnly), precondition: GUARD_ADDRESS, timelock: governance.kind === 'TIMELOCK' ? lower(governance.address) : null }
    const refs = changesOf(row).map(({ parameter, subject }) => ({ name: parameter, subject }))
    return deedsOf(target, known, build(target, planOf(row)).safeTx).map((deed) => {
      const { args, ...words } = deedWords(target, deed, refs)
      return { ...words, kind: deed.kind, depth: deed.depth, ...deed.call, arguments: [...args] }
    })
  },
  governance: (row, _, { deployment }) => {
    const governance = governanceOf(deployment)
    return { kind: governance.kind, timelock: governance.kind === 'TIMELOCK' ? governance.address : null, delaySec: Number(delayOf(deployment)), words: pathWords(governance, row.validUntil) }
  },
  queue: (row, _, context) => queueAnswer(row, context),
  // Derived, and never what is stored: a row that somebody changed must not reach a wallet.
  typedData: (row, _, context) => typedDataOf({ chainId: row.chainId, safe: row.safe as Address }, build(targetOf(context), planOf(row)).safeTx),
  draftedAt: (row) => ({ number: row.draftedAtBlock, hash: row.draftedAtBlockHash, timestamp: row.draftedAtTimestamp }),
  findings: (row) => row.findings as unknown as Finding[],
  evidence: (row) => (row.evidence as unknown as (Omit<Evidence, 'blockTimestamp'> & { blockTimestamp: string })[]).map((one) => ({ ...one, blockTimestamp: BigInt(one.blockTimestamp) })),
  simulation: (row) => simulationAnswer(row.simulation),
  impact: (row) => impactAnswer(row.impact),
  rollback: (row, _, context) => {
    const { plan, built, reason } = rollbackOf(targetOf(context), planOf(row))
    if (plan === null) return { exists: false, reason, calls: [], safeTx: null, safeTxHash: null, nonce: null, validUntil: null }
    return { exists: true, reason: null, calls: callsAnswer(built.calls), safeTx: built.safeTx, safeTxHash: built.hashes.safeTxHash, nonce: Number(plan.nonce), validUntil: plan.validUntilSec }
  },
  signatures: (row) => signaturesOf(row, 'CHANGE'),
  cancellation: (row, _, context) => {
    const stored = row.cancellation as unknown as CancellationJson | null
    if (stored === null) return null
    const { queued } = build(targetOf(context), planOf(row))
    const { safeTx, hashes } = stored.kind === 'TIMELOCK' && queued !== null ? cancellation(context.deployment, queued, BigInt(stored.safeTx.nonce)) : rejection(context.deployment, BigInt(row.nonce))
    return { kind: stored.kind, safeTx: safeTxToJson(safeTx), nonce: Number(safeTx.nonce), ...hashes, typedData: typedDataOf({ chainId: row.chainId, safe: row.safe as Address }, safeTx), signatures: signaturesOf(row, 'CANCELLATION') }
  },
  events: (row) => row.events.map((event) => ({ at: event.at.toISOString(), fromState: event.fromState, toState: event.toState, note: event.note })),
  aftermath: (row, _, { deployment }) => aftermathAnswer(row.aftermath, deployment.settlementToken.decimals),
  verifyCommand: ({ id }) => `npm run bulwark -- verify proposal-${id}.json --trust trust.yaml --rpc-url URL --rpc-url ANOTHER_URL`,
  reviewFile: ({ id }, _, { proposals }) => proposals.exportReview(id),
  batchFile: ({ id }, _, { proposals }) => proposals.exportBatch(id),
}
