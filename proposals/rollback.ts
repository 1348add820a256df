/** The way back: a batch that undoes a proposal's changes, derived from its plan alone. */
import { BulwarkError } from '../core/errors.ts'
import { build } from './build.ts'
import type { Built, Plan } from './build.ts'
import type { Target } from './draft.ts'
import { delayOf } from './paths.ts'

/** How long after the proposal's own deadline its way back stays open. */
const ROLLBACK_VALID_SEC = 7n * 86_400n

export type Rollback = { readonly plan: Plan; readonly built: Built; readonly reason: null } | { readonly plan: null; readonly built: null; /** Why there is no way back, one sentence. */ readonly reason: string }

/**
 * The same changes backwards and in reverse order, guarded by the values that the proposal sets, at the nonce after the
 * proposal's, and open for seven days (and the timelock's delay) longer. Throws where the plan itself cannot be built.
 */
export function rollbackOf(target: Target, plan: Plan): Rollback {
  build(target, plan)
  const stuck = plan.changes.find((change) => target.catalog.find(change.parameter).irreversible)
  if (stuck !== undefined) return none(`No rollback exists: the chain cannot take back ${stuck.parameter} of ${stuck.subjectLabel}`)
  const changes = plan.changes.map((change) => ({ ...change, from: change.to, to: change.from })).toReversed() as unknown as Plan['changes']
  const back = { changes, validUntilSec: plan.validUntilSec + ROLLBACK_VALID_SEC + delayOf(target.deployment), nonce: plan.nonce + 1n }
  try {
    return { plan: back, built: build(target, back), reason: null }
  } catch (error) {
    // A value that stands on chain need not be one that its setter takes.
    if (error instanceof BulwarkError) return none(`No rollback exists: ${error.message}`)
    throw error
  }
}

const none = (reason: string): Rollback => ({ plan: null, built: null, reason })
