/** What a recommendation is to the page: a row, a wish for the basket, the same as before or another. */
import type { BasketItem } from '../data/basket.ts'
import { stored } from '../data/stored.ts'
import type { RecommendationPartsFragment } from '../generated/operations.ts'
import { keyOf } from '../parameters/values.ts'
import { words } from '../ui/format.ts'

export type Recommendation = RecommendationPartsFragment

export const itemOf = (of: Recommendation): BasketItem => ({ recommendationId: of.id, parameter: of.parameter, subject: of.subject, subjectLabel: of.subjectLabel, title: of.title, fromRaw: of.currentRaw, fromDisplay: of.currentDisplay, toRaw: of.recommendedRaw, toDisplay: of.recommendedDisplay })

export const isHeld = ({ direction }: Pick<Recommendation, 'direction'>): boolean => direction === 'HOLD'

/** The last step of the controller that brought it back to the value now. */
export function heldBy({ adjustments, currentDisplay }: Recommendation): string {
  const last = adjustments.findLast(({ to }) => to === currentDisplay)
  return last ? `${last.step}: ${last.why}` : 'the model asks for the value that it has'
}

/** Why a change cannot be set by a transaction of the Safe alone, without the word before it. */
export const whyAdvisory = ({ advisory }: Pick<Recommendation, 'advisory'>): string => advisory?.replace(/^advisory: /, '') ?? 'The parameter has no setter'

/** `tighten`, `loosen`, `hold`, with a sign that is not the colour. */
export const directionText = (direction: Recommendation['direction']): string => ({ TIGHTEN: '▲ tighten', LOOSEN: '▽ loosen', HOLD: '= hold' })[direction] ?? words(direction)

/** What somebody has seen of each: the value that was recommended. */
export type Seen = Readonly<Record<string, string>>
const isSeen = (value: unknown): value is Seen | null => value === null || (typeof value === 'object' && !Array.isArray(value) && Object.values(value as object).every((one) => typeof one === 'string'))
/** null before anybody has looked in this browser. */
export const seen = stored<Seen | null>('bulwark.recommendations.seen', null, isSeen)

const valueOf = (of: Recommendation): string => `${of.currentRaw} ${of.recommendedRaw} ${of.direction}`
export const seenOf = (rows: readonly Recommendation[]): Seen => Object.fromEntries(rows.map((row) => [keyOf(row), valueOf(row)]))

export type News = 'new' | 'changed' | null
/** Against what was seen: a recommendation that was not there, or asks for something else. What is held now is no news to act on, but a change. */
export function newsOf(row: Recommendation, before: Seen | null): News {
  if (before === null) return null
  const was = before[keyOf(row)]
  if (was === undefined) return 'new'
  if (was === valueOf(row)) return null
  return was.endsWith(' HOLD') && !isHeld(row) ? 'new' : 'changed'
}

/** What a newer run brings against the one that is shown, in words. */
export function difference(shown: readonly Recommendation[], next: readonly Recommendation[]): { fresh: number; changed: number; gone: number } {
  const before = seenOf(shown)
  const news = next.map((row) => newsOf(row, before))
  const there = new Set(next.map(keyOf))
  return { fresh: news.filter((one) => one === 'new').length, changed: news.filter((one) => one === 'changed').length, gone: shown.filter((row) => !there.has(keyOf(row))).length }
}
