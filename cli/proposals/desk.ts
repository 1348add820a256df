/**
 * Two ways to the proposals of a deployment. Over the API, signed in, for stewards and owners: what they may do is the server's to
 * say. Directly, on the database and the chain of one's own stack, for whoever runs it: then nobody asks who one is.
 */
import { BadInputError } from '../../core/errors.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import { protocolByName } from '../../protocols/index.ts'
import type { Aftermath } from '../../proposals/aftermath.ts'
import type { BatchFile } from '../../proposals/export.ts'
import type { Intent, Target } from '../../proposals/draft.ts'
import type { ReviewFile } from '../../proposals/review.ts'
import { safeTxToJson } from '../../proposals/safe.ts'
import type { ProposalRecord, SignatureKind } from '../../proposals/store.ts'
import { valueWords } from '../../proposals/words.ts'
import type { ProposalView } from './view.ts'

export type Wish = { readonly title: string; readonly recommendationIds: readonly string[]; readonly changes: readonly Intent[]; readonly validForSec: number | null; readonly playbook: string | null }

export type Desk = {
  readonly target: Target
  /** Present raw values by `keyOf`, as the index has them. */
  currentValues(): Promise<ReadonlyMap<string, bigint>>
  list(state: string | null): Promise<readonly ProposalView[]>
  get(id: string): Promise<ProposalView>
  draft(wish: Wish): Promise<ProposalView>
  simulate(id: string): Promise<ProposalView>
  request(id: string): Promise<ProposalView>
  attach(id: string, signer: Address, signature: Hex, of: SignatureKind): Promise<ProposalView>
  /** Drafts the way back from what is executed. */
  rollback(id: string): Promise<ProposalView>
  cancel(id: string): Promise<ProposalView>
  publish(id: string): Promise<ProposalView>
  pull(id: string): Promise<ProposalView>
  reviewFile(id: string): Promise<ReviewFile>
  batchFile(id: string): Promise<BatchFile>
  /** What the chain and the index have done since; null where the API's own process sees to it. */
  track: (() => Promise<readonly { readonly id: string; readonly from: string; readonly to: string; readonly note: string }[]>) | null
  close(): Promise<void>
}

/** The protocol that the API serves, as the installed package knows it. Throws BadInputError. */
export function targetOf(network: string, protocol = 'curie'): Target {
  const { catalog, deployments } = protocolByName(protocol)
  const deployment = Object.hasOwn(deployments, network) ? deployments[network]! : null
  if (deployment === null) throw new BadInputError(`Found network "${network}", allowed are ${Object.keys(deployments).join(', ')}; take one of these`)
  return { catalog, deployment }
}

export function viewOf(target: Target, record: ProposalRecord): ProposalView {
  const { safeTxHash, domainHash, messageHash } = record.hashes
  return {
    id: record.id,
    title: record.title,
    state: record.state,
    stateReason: record.stateReason,
    safe: record.safe,
    threshold: record.threshold,
    nonce: record.nonce,
    changes: record.changes.map((each) => {
      const spec = target.catalog.find(each.parameter)
      const words = (raw: bigint): string => valueWords(target, spec, each.subject, raw)
      return { parameter: each.parameter, title: spec.title, subject: each.subject, subjectLabel: each.subjectLabel, fromRaw: String(each.from), fromDisplay: words(each.from), toRaw: String(each.to), toDisplay: words(each.to) }
    }),
    safeTxHash, domainHash, messageHash,
    draftedAt: { number: String(record.draftedAt.number), timestamp: String(record.draftedAt.timestamp) },
    draftedBy: record.draftedBy,
    validUntil: String(record.validUntil),
    simulation: record.simulation === null ? null : { success: record.simulation.success, failure: record.simulation.failure, gasUsed: record.simulation.gasUsed },
    findings: record.findings.map(({ rule, severity, text }) => ({ rule, severity, text })),
    signatures: record.signatures,
    cancellation: record.cancellation === null ? null : { kind: record.cancellation.kind, safeTx: safeTxToJson(record.cancellation.safeTx), safeTxHash: record.cancellation.hashes.safeTxHash, signatures: record.cancellation.signatures },
    scheduled: record.scheduled === null ? null : { txHash: record.scheduled.txHash, readyAtSec: String(record.scheduled.readyAtSec) },
    executionTxHash: record.executionTxHash,
    executedAtBlock: record.executedAtBlock === null ? null : String(record.executedAtBlock),
    appliedAtBlock: record.appliedAtBlock === null ? null : String(record.appliedAtBlock),
    aftermath: record.aftermath as Aftermath | null,
    events: record.events.map(({ at, toState, note }) => ({ at: at.toISOString(), toState, note })),
  }
}
