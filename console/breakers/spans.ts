/** Times at one level, out of the moves from one level to another. */
import type { BreakerLevel } from '../generated/operations.ts'

export type Span = { readonly from: number; readonly to: number; readonly level: BreakerLevel; readonly why: string }

/** Spans of one level out of the moves from one to another, oldest first; before the first it stood at what that left. */
export function spansOf(moves: readonly { readonly at: number; readonly from: BreakerLevel; readonly to: BreakerLevel; readonly why: string }[], { from, to, level }: { from: number; to: number; level: BreakerLevel }): Span[] {
  const [first] = moves
  const spans: Span[] = []
  let start = from
  let now: BreakerLevel = first?.from ?? level
  let why = ''
  for (const move of moves) {
    if (move.at > start) spans.push({ from: start, to: move.at, level: now, why })
    ;[start, now, why] = [move.at, move.to, move.why]
  }
  if (to > start) spans.push({ from: start, to, level: now, why })
  return spans
}
