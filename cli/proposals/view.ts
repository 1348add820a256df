/** A proposal as both ways to it give it, and as people read it. */
import { plural, sentence, short, time, visible } from '../analysis/format.ts'
import type { Io } from '../analysis/io.ts'
import { paragraph, renderFacts, renderTable } from '../analysis/table.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import type { Aftermath } from '../../proposals/aftermath.ts'
import type { SafeTxJson } from '../../proposals/safe.ts'

type Signed = { readonly signer: Address; readonly signature: Hex }

/** Integers of the chain are decimal strings; times are Unix seconds. */
export type ProposalView = {
  readonly id: string
  readonly title: string
  readonly state: string
  readonly stateReason: string | null
  readonly safe: Address
  readonly threshold: number
  readonly nonce: number
  readonly changes: readonly { readonly parameter: string; readonly title: string; readonly subject: Address; readonly subjectLabel: string; readonly fromRaw: string; readonly fromDisplay: string; readonly toRaw: string; readonly toDisplay: string }[]
  readonly safeTxHash: Hex
  readonly domainHash: Hex
  readonly messageHash: Hex
  readonly draftedAt: { readonly number: string; readonly timestamp: string }
  readonly draftedBy: string | null
  readonly validUntil: string
  readonly simulation: { readonly success: boolean; readonly failure: string | null; readonly gasUsed: string | null } | null
  readonly findings: readonly { readonly rule: string; readonly severity: string; readonly text: string }[]
  readonly signatures: readonly Signed[]
  readonly cancellation: { readonly kind: string; readonly safeTx: SafeTxJson; readonly safeTxHash: Hex; readonly signatures: readonly Signed[] } | null
  /** Where a timelock stands between. */
  readonly scheduled: { readonly txHash: Hex; readonly readyAtSec: string } | null
  readonly executionTxHash: Hex | null
  readonly executedAtBlock: string | null
  readonly appliedAtBlock: string | null
  readonly aftermath: Aftermath | null
  /** `at` is text of ISO 8601. */
  readonly events: readonly { readonly at: string; readonly toState: string; readonly note: string }[]
}

/** A server's own words are not to be trusted with a terminal. */
const shown = <T>(view: T): T => JSON.parse(JSON.stringify(view), (_, each: unknown) => (typeof each === 'string' ? visible(each).replaceAll('\n', ' ') : each)) as T

const changeText = (each: ProposalView['changes'][number]): string => `${each.title} of ${each.subjectLabel}: ${each.fromDisplay} → ${each.toDisplay}`

export function listText(told: readonly ProposalView[], { width, bold }: Pick<Io, 'width' | 'bold'>): string {
  const proposals = shown(told)
  if (proposals.length === 0) return 'There are no proposals.\n'
  return renderTable<ProposalView>(
    [
      { head: 'Proposal', of: (one) => one.id },
      { head: 'State', of: (one) => one.state },
      { head: 'Signatures', right: true, of: (one) => `${one.signatures.length} of ${one.threshold}` },
      { head: 'Nonce', right: true, of: (one) => String(one.nonce) },
      { head: 'Valid until', of: (one) => time(one.validUntil), optional: true },
      { head: 'Title', of: (one) => one.title },
    ],
    proposals,
    { width, bold, notes: (one) => one.changes.map(changeText) },
  )
}

export function proposalText(told: ProposalView, { width, bold }: Pick<Io, 'width' | 'bold'>): string {
  const one = shown(told)
  const facts: (readonly [string, string])[] = [
    ['Proposal', one.id],
    ['Title', one.title],
    ['State', `${one.state}${one.stateReason === null ? '' : `: ${one.stateReason}`}`],
    ...one.changes.map((each, i) => [i === 0 ? 'Changes' : '', `${changeText(each)} (raw ${each.fromRaw} → ${each.toRaw})`] as const),
    ['Drafted', `at block ${one.draftedAt.number}, ${time(one.draftedAt.timestamp)}${one.draftedBy === null ? '' : `, by ${one.draftedBy}`}`],
    ['Valid until', time(one.validUntil)],
    ['Safe', `${one.safe}, nonce ${one.nonce}`],
    ['Domain hash', one.domainHash],
    ['Message hash', one.messageHash],
    ['safeTxHash', one.safeTxHash],
    ['Simulation', one.simulation === null ? 'not yet' : one.simulation.success ? `all calls succeed, ${one.simulation.gasUsed ?? 'unknown'} gas` : `fails: ${one.simulation.failure ?? 'unknown'}`],
    ['Signatures', `${one.signatures.length} of ${one.threshold} known here${one.signatures.length === 0 ? '' : `: ${one.signatures.map(({ signer }) => signer).join(', ')}`}`],
    ...(one.cancellation === null ? [] : ([['Cancellation', `${one.cancellation.kind.toLowerCase()} ${one.cancellation.safeTxHash} at nonce ${one.cancellation.safeTx.nonce}: ${one.cancellation.signatures.length} of ${one.threshold} signatures`]] as const)),
    ...(one.scheduled === null ? [] : ([['Queued', `by ${short(one.scheduled.txHash)}; can be executed from ${time(one.scheduled.readyAtSec)}`]] as const)),
    ...(one.executionTxHash === null ? [] : ([['Executed', `${one.executionTxHash}${one.executedAtBlock === null ? '' : `, block ${one.executedAtBlock}`}`]] as const)),
    ...(one.appliedAtBlock === null ? [] : ([['Applied', `the index has every value since block ${one.appliedAtBlock}`]] as const)),
  ]
  const findings = one.findings.length === 0 ? '' : `\n${bold('Findings')}\n${one.findings.map((each) => paragraph(`${each.severity} ${each.rule}: ${sentence(each.text)}`, width, '  ')).join('')}`
  const history = one.events.length === 0 ? '' : `\n${bold('History')}\n${one.events.map((each) => paragraph(`${each.at.slice(0, 19).replace('T', ' ')} ${each.toState}: ${sentence(each.note)}`, width, '  ')).join('')}`
  return `${renderFacts(facts, width)}${aftermathText(one.aftermath, width)}${findings}${history}`
}

/** Predicted against actual, once it is applied. */
function aftermathText(aftermath: ProposalView['aftermath'], width: number | null): string {
  if (aftermath === null) return ''
  const { parameters, liquidations, complete, untilSec } = aftermath
  const kept = parameters.filter((each) => each.kept).length
  const foretold = liquidations.predicted === null ? 'nothing was predicted' : liquidations.predicted.accounts === 0 ? 'none was predicted' : `${liquidations.predicted.liquidated} of the ${plural(liquidations.predicted.accounts, 'account')} that were predicted`
  return paragraph(`Afterwards, ${complete ? 'over the whole day' : `until ${time(untilSec)}`}: ${kept} of ${plural(parameters.length, 'value')} as set; ${plural(liquidations.accounts, 'account')} liquidated in ${plural(liquidations.count, 'liquidation')} (${foretold}).`, width)
}

/** One line after an action, and what may come next. */
export function stepText(told: ProposalView): string {
  const one = shown(told)
  const next: Readonly<Record<string, string>> = {
    DRAFT: one.stateReason ?? `simulate it: npm run bulwark -- proposal simulate ${one.id}`,
    SIMULATED: `ask for signatures: npm run bulwark -- proposal request ${one.id}`,
    AWAITING_SIGNATURES: `give it to the signers: npm run bulwark -- proposal export ${one.id} --out proposal.json`,
    READY: `anybody may execute it: npm run bulwark -- proposal execute ${one.id}`,
    QUEUED: one.scheduled === null ? 'it waits in the timelock' : `from ${time(one.scheduled.readyAtSec)} on: npm run bulwark -- proposal execute-queued ${one.id}`,
    CANCELLING: `owners sign its cancellation: npm run bulwark -- proposal cancel-sign proposal.json`,
  }
  const then = next[one.state] ?? one.stateReason
  return `${one.id} is ${one.state} (${plural(one.signatures.length, 'signature')} of ${one.threshold})${then === null ? '' : `; ${then}`}\n`
}
