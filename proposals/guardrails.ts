/** What holds a draft back or has to be read with it: the DAO's policy and the lint, one list of named findings. Pure. */
import { lint, type LintContext, type LintProposal } from '../api/recommendations/lint.ts'
import type { Address } from '../protocols/adapter.ts'
import type { Target } from './draft.ts'
import { DraftRefusedError } from './errors.ts'
import { checkPolicy, type DaoPolicy, type PolicyFacts } from './policy.ts'

/** `rule` names it, `text` says the numbers. BLOCK stops the proposal; WARN is read with it; UNKNOWN could not be checked. */
export type Finding = { readonly rule: string; readonly severity: 'BLOCK' | 'UNKNOWN' | 'WARN'; readonly parameter: string | null; readonly subject: Address | null; readonly text: string }

/** Lint rules that the DAO's own policy takes the place of. */
const REPLACED = new Set(['step-too-large', 'stale-evidence'])

/** Policy first, then lint; those that block before the rest. */
export function guardrails(target: Target, policy: DaoPolicy, facts: PolicyFacts, proposal: LintProposal, context: LintContext): readonly Finding[] {
  const found: Finding[] = [...checkPolicy(target, policy, facts), ...lint(proposal, context).filter((finding) => !REPLACED.has(finding.rule))]
  return (['BLOCK', 'UNKNOWN', 'WARN'] as const).flatMap((severity) => found.filter((finding) => finding.severity === severity))
}

/** Those that stop a proposal: what blocks, and what of the policy could not be checked. */
export const stopping = (findings: readonly Finding[]): readonly Finding[] => findings.filter(({ severity, rule }) => severity === 'BLOCK' || (severity === 'UNKNOWN' && rule.startsWith('policy-')))

/** Throws DraftRefusedError with each finding that stops it, by its rule. */
export function assertUnblocked(findings: readonly Finding[]): void {
  const blocks = stopping(findings)
  if (blocks.length > 0) throw new DraftRefusedError(blocks.map(({ rule, text }) => `Rule ${rule}: ${text}`))
}
