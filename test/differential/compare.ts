/** Ours against theirs, and what comes of it. */
import { abs } from '../../core/units.ts'
import { AGREEMENTS, ONE, REVERT, UNKNOWN, type Value } from './getters.ts'
import type { Values } from './record.ts'

/** A figure on which the two sides do not agree. */
export type Mismatch = { readonly block: number; readonly field: string; readonly subject: string; readonly ours: Value; readonly theirs: Value }

export type FieldResult = {
  /** How many were compared. */
  comparisons: number
  mismatches: number
  /** Compared figures that are equal to the last digit. Every match of an exact field is. */
  exact: number
  /** Answers that were refusals. */
  reverts: number
  /** Largest difference between two numbers, in the field's smallest unit. */
  maxAbsWei: bigint
  /** Largest difference over max(|theirs|, one unit). */
  maxRelative: number
}

export type Comparison = { readonly byField: ReadonlyMap<string, FieldResult>; readonly mismatches: readonly Mismatch[] }

/** What depends on time has to agree this closely, over max(|x|, one unit). */
export const MAX_RELATIVE = { numerator: 1n, denominator: 1_000_000_000n }

const INTEGER = /^-?\d+$/

/**
 * Compares every figure of one block into `into`. A figure that one side has and the other has not is a mismatch, and so is
 * one that ours calls unknown: nothing is left out.
 */
export function compareBlock(block: number, ours: Values, theirs: Values, into: { byField: Map<string, FieldResult>; mismatches: Mismatch[] }): void {
  for (const field of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    const result = into.byField.get(field) ?? { comparisons: 0, mismatches: 0, exact: 0, reverts: 0, maxAbsWei: 0n, maxRelative: 0 }
    into.byField.set(field, result)
    const left = ours[field] ?? {}
    const right = theirs[field] ?? {}
    for (const subject of new Set([...Object.keys(right), ...Object.keys(left)])) {
      const our = left[subject] ?? UNKNOWN
      const their = right[subject] ?? UNKNOWN
      result.comparisons++
      if (their.startsWith(REVERT)) result.reverts++
      if (agrees(field, our, their, result)) continue
      result.mismatches++
      into.mismatches.push({ block, field, subject, ours: our, theirs: their })
    }
  }
}

/** Whether two values agree as the field demands; takes note of how far they are apart. */
function agrees(field: string, our: Value, their: Value, result: FieldResult): boolean {
  if (our === UNKNOWN || their === UNKNOWN) return false
  if (our === their) {
    result.exact++
    return true
  }
  if (!INTEGER.test(our) || !INTEGER.test(their)) return false
  const { agreement, unit } = AGREEMENTS.get(field) ?? { agreement: 'exact', unit: 'count' }
  const difference = abs(BigInt(our) - BigInt(their))
  const size = abs(BigInt(their)) > ONE[unit] ? abs(BigInt(their)) : ONE[unit]
  if (difference > result.maxAbsWei) result.maxAbsWei = difference
  result.maxRelative = Math.max(result.maxRelative, Number((difference * 10n ** 30n) / size) / 1e30)
  return agreement === 'timed' && difference * MAX_RELATIVE.denominator <= size * MAX_RELATIVE.numerator
}
