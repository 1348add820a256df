/** From answers of the API to what stands on the market pages: on a time axis (Unix seconds; charts take ms), and in exact amounts. */
import { dateTime } from '../ui/format.ts'

export type Point = { readonly sec: number; readonly value: number }

/** A length of the axis that is shaded. */
export type Span = { readonly from: number; readonly to: number; readonly words: string }

export const RANGES = { '1d': 86_400, '7d': 7 * 86_400, '30d': 30 * 86_400 } as const
export type Range = keyof typeof RANGES

/** What a feed gives for a price that it refused; the reasons of IChainlinkPriceFeedV3.FreezedReason. */
const FREEZE_REASONS = ['not frozen', 'no response', 'incorrect decimals', 'no round id', 'invalid timestamp', 'price not positive']
export const freezeWords = (reason: number): string => FREEZE_REASONS[reason] ?? `reason ${reason}`

/** Steps of a parameter, oldest first, from a history that is newest first. */
export function stepsOf<Node extends { readonly timestamp: string }>(newestFirst: readonly Node[], value: (node: Node) => number): Point[] {
  return newestFirst.toReversed().map((node) => ({ sec: Number(node.timestamp), value: value(node) }))
}

/** The value that stood at a time: of the last step at or before it, null before the first. `steps` are in time order. */
export function standing(steps: readonly Point[], sec: number): number | null {
  let low = 0
  let high = steps.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((steps[middle] as Point).sec <= sec) low = middle + 1
    else high = middle
  }
  return low === 0 ? null : (steps[low - 1] as Point).value
}

/** Gaps between neighbours further apart than `longestSec`. */
export function gapsOf(secs: readonly number[], longestSec: number): { readonly from: number; readonly to: number }[] {
  return secs.flatMap((sec, i) => {
    const before = secs[i - 1]
    return before !== undefined && sec - before > longestSec ? [{ from: before, to: sec }] : []
  })
}

/** A line's points with a hole in each gap, as [ms, value or null]. */
export function holed(points: readonly Point[], longestSec: number): [number, number | null][] {
  return points.flatMap((point, i): [number, number | null][] => {
    const before = points[i - 1]
    const here: [number, number | null] = [point.sec * 1000, point.value]
    return before !== undefined && point.sec - before.sec > longestSec ? [[before.sec * 1000 + 1, null], here] : [here]
  })
}

/** Levels that a breaker stood at between its transitions, those at NORMAL left out; `transitions` newest first. The last one lasts until `endSec`. */
export function levelSpans(transitions: readonly { readonly to: string; readonly sec: number; readonly why: string }[], endSec: number): (Span & { readonly level: string })[] {
  return transitions.toReversed().flatMap(({ to, sec, why }, i, all) => (to === 'NORMAL' ? [] : [{ level: to, from: sec, to: all[i + 1]?.sec ?? endSec, words: why }]))
}

/** The last 24 hours that are over at a time, Unix s: an hour is in them whose start is in [from, to). */
export function lastDay(nowSec: number): { readonly from: number; readonly to: number } {
  const to = Math.floor(nowSec / 3600) * 3600
  return { from: to - 86_400, to }
}

/** How far trades could move the pool from the index within [from, to], in words: one ratio, or the least and the most of those that stood. */
export function bandWords(steps: readonly Point[], from: number, to: number): string {
  const first = standing(steps, from)
  const inside = steps.filter(({ sec }) => sec > from && sec <= to)
  const ratios = [...(first === null ? [] : [first]), ...inside.map(({ value }) => value)]
  if (ratios.length === 0) return 'band unknown'
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => Number((ratio * 100).toFixed(4))) as [number, number]
  return `band ±${least}${least === most ? '' : ` to ±${most}`} % of the index${first === null ? `, unknown before ${dateTime((inside[0] as Point).sec)}` : ''}`
}

/** A step of 1, 2 or 5 times a power of ten, the next below `size`. */
export function roundStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size))
  const lead = size / power
  return (lead >= 5 ? 5 : lead >= 2 ? 2 : 1) * power
}

/** Of a pool's depth to both sides the lesser, as the API's own text. */
export function thinner(depth: { readonly buyQuote: { readonly value: string }; readonly sellQuote: { readonly value: string } } | null): string | null {
  if (!depth) return null
  return Number(depth.buyQuote.value) < Number(depth.sellQuote.value) ? depth.buyQuote.value : depth.sellQuote.value
}

const decimalText = (raw: bigint, places: number): string => {
  const digits = (raw < 0n ? -raw : raw).toString().padStart(places + 1, '0')
  return `${raw < 0n ? '-' : ''}${digits.slice(0, digits.length - places)}${places > 0 ? `.${digits.slice(digits.length - places)}` : ''}`
}

/** Sum of raw amounts with 18 decimals, as decimal text: exact. */
export const sumE18 = (raws: readonly string[]): string => decimalText(raws.reduce((total, raw) => total + BigInt(raw), 0n), 18)

/** Product of two amounts in decimal text, as decimal text: exact. */
export function product(a: string, b: string): string {
  const places = [a, b].reduce((sum, value) => sum + (value.split('.')[1]?.length ?? 0), 0)
  return decimalText(BigInt(a.replace('.', '')) * BigInt(b.replace('.', '')), places)
}

/** A float without the dust of its arithmetic. */
export const clean = (value: number): number => Number(value.toPrecision(12))
