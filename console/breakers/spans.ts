/** Times at one level, out of the moves from one level to another. */
import type { BreakerLevel } from '../generated/operations.ts'

/** `observed`: whether it is known that somebody looked all that time. */
export type Span = { readonly from: number; readonly to: number; readonly level: BreakerLevel; readonly why: string; readonly observed: boolean }

/**
 * Spans of one level out of the moves from one to another, oldest first. Before the first it stood at what that left, or at `level` where none
 * is known; `observed` says whether it was watched then: nobody knows when the first observation was.
 */
export function spansOf(moves: readonly { readonly at: number; readonly from: BreakerLevel; readonly to: BreakerLevel; readonly why: string }[], { from, to, level, observed }: { from: number; to: number; level: BreakerLevel; observed: boolean }): Span[] {
  const spans: Span[] = []
  let [start, now, why, seen] = [from, moves[0]?.from ?? level, '', observed]
  for (const move of moves) {
    if (move.at > start) spans.push({ from: start, to: move.at, level: now, why, observed: seen })
    ;[start, now, why, seen] = [move.at, move.to, move.why, true]
  }
  if (to > start) spans.push({ from: start, to, level: now, why, observed: seen })
  return spans
}
