/** Were past liquidations just: the price each one used against a second feed at that moment, and against what followed. */
import { BadInputError } from '../../core/errors.ts'
import type { PricePoint } from './series.ts'
import { quantile } from './tail.ts'

/** A liquidation as it happened. Quote amounts; sizes signed as the position. */
export type PastLiquidation = {
  readonly id: string
  readonly timestampSec: number
  readonly account: string
  readonly market: string
  readonly price: number
  /** Size of the whole position before, and the part that was taken. */
  readonly positionSize: number
  readonly takenSize: number
  readonly penalty: number
  /** Account value and requirement before it, at the price used. */
  readonly accountValue: number
  readonly requirement: number
  /** Maintenance margin ratio of the market, fraction. */
  readonly maintenanceMargin: number
}

/**
 * JUST: the second feed and what followed agree. EARLY: the second feed agrees, but the price came back. DISPUTED: the second feed at the
 * time does not agree, what followed does. UNJUST: neither agrees. UNKNOWN: no second price is near it, or the figures do not fit the
 * price used.
 */
export type ReviewVerdict = 'JUST' | 'EARLY' | 'DISPUTED' | 'UNJUST' | 'UNKNOWN'

export type LiquidationReview = {
  readonly id: string
  readonly account: string
  readonly market: string
  readonly verdict: ReviewVerdict
  readonly price: number
  /** Price of the second feed at the time, and the median of the market's prices afterwards; null where there is none. */
  readonly secondPrice: number | null
  readonly laterPrice: number | null
  /** price used / second price − 1, signed. */
  readonly deviation: number | null
  /** Account value less requirement at the price used, the second and the later one, quote; below 0 is liquidatable. */
  readonly surplus: { readonly used: number; readonly second: number | null; readonly later: number | null }
  /** Penalty and what the taken size would be worth more at the second price, quote ≥ 0; 0 unless UNJUST or DISPUTED. */
  readonly harm: number
  readonly why: string
}

export type ReviewOptions = {
  /** Prices of the market's own feed and of the second one, by market, in time order. */
  readonly own: Readonly<Record<string, readonly PricePoint[]>>
  readonly second: Readonly<Record<string, readonly PricePoint[]>>
  /** A second price older than this is none, s. */
  readonly maxAgeSec: number
  /** How long the price may take to come back, s. */
  readonly laterSec: number
}

/** Index of the first point after `timestampSec`. */
function after(points: readonly PricePoint[], timestampSec: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((points[middle] as PricePoint).timestampSec <= timestampSec) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * What an account's value less its requirement would have been at another price: AV + s·Δ − (MR + mm·(|s·P′| − |s·P|)), Δ = P′ − P.
 * Linear in the price, so exact for the one market that differs. Quote; below 0 is liquidatable.
 */
export function surplusAt(l: Pick<PastLiquidation, 'price' | 'positionSize' | 'accountValue' | 'requirement' | 'maintenanceMargin'>, price: number): number {
  const move = price - l.price
  return l.accountValue + l.positionSize * move - (l.requirement + l.maintenanceMargin * Math.abs(l.positionSize) * move)
}

/**
 * Each liquidation judged by two other prices, in the order given.
 *
 * The second price is that feed's last one at or before the moment (at most maxAgeSec old); the later one is the median of the own feed
 * within laterSec afterwards, so that a single wick does not decide. Throws BadInputError for prices at or below 0.
 */
export function reviewLiquidations(liquidations: readonly PastLiquidation[], options: ReviewOptions): readonly LiquidationReview[] {
  const { maxAgeSec, laterSec } = options
  if (!(maxAgeSec >= 0) || !(laterSec > 0)) throw new BadInputError(`Found a largest age of ${maxAgeSec} s and ${laterSec} s afterwards, allowed are an age from 0 and a time above 0; give seconds`)
  return liquidations.map((l): LiquidationReview => {
    if (!(l.price > 0)) throw new BadInputError(`${l.id}: found a price of ${l.price}, allowed is above 0; give the price that was used`, { field: 'price', id: l.id })
    const used = surplusAt(l, l.price)
    const seconds = options.second[l.market] ?? []
    const point = seconds[after(seconds, l.timestampSec) - 1]
    const secondPrice = point === undefined || l.timestampSec - point.timestampSec > maxAgeSec ? null : point.price
    const owns = options.own[l.market] ?? []
    const window = owns.slice(after(owns, l.timestampSec), after(owns, l.timestampSec + laterSec)).map((p) => p.price)
    const laterPrice = window.length === 0 ? null : quantile(window, 0.5)
    const second = secondPrice === null ? null : surplusAt(l, secondPrice)
    const later = laterPrice === null ? null : surplusAt(l, laterPrice)
    const agrees = (surplus: number | null): boolean => surplus !== null && surplus < 0
    const verdict: ReviewVerdict = second === null || used >= 0 ? 'UNKNOWN' : agrees(second) ? (later === null || agrees(later) ? 'JUST' : 'EARLY') : agrees(later) ? 'DISPUTED' : later === null ? 'DISPUTED' : 'UNJUST'
    const harm = verdict === 'UNJUST' || verdict === 'DISPUTED' ? l.penalty + Math.max(0, l.takenSize * ((secondPrice as number) - l.price)) : 0
    const show = (x: number | null): string => (x === null ? 'unknown' : x.toPrecision(6))
    const why = {
      JUST: `at the second feed's ${show(secondPrice)} the account lacked ${show(second === null ? null : -second)} too`,
      EARLY: `the second feed agreed, and within ${laterSec} s the price was back at ${show(laterPrice)}, where the account stood ${show(later)} above its requirement`,
      DISPUTED: `at the second feed's ${show(secondPrice)} the account stood ${show(second)} above its requirement${later === null ? '; no price followed' : '; the price went there afterwards'}`,
      UNJUST: `at the second feed's ${show(secondPrice)} the account stood ${show(second)} above its requirement, and at the ${show(laterPrice)} that followed too`,
      UNKNOWN: used >= 0 ? `the figures given hold the account ${show(used)} above its requirement at the price used: they are not of that moment` : `the second feed has no price within ${maxAgeSec} s before it`,
    }[verdict]
    return { id: l.id, account: l.account, market: l.market, verdict, price: l.price, secondPrice, laterPrice, deviation: secondPrice === null ? null : l.price / secondPrice - 1, surplus: { used, second, later }, harm, why }
  })
}

/** Totals of a review. */
export type ReviewSummary = { readonly counts: Readonly<Record<ReviewVerdict, number>>; readonly harm: number; /** Worst first. */ readonly unjust: readonly LiquidationReview[] }

/** How many of each verdict, what the unjust and disputed ones cost their accounts, and the unjust ones by name. */
export function summariseReview(reviews: readonly LiquidationReview[]): ReviewSummary {
  const counts: Record<ReviewVerdict, number> = { JUST: 0, EARLY: 0, DISPUTED: 0, UNJUST: 0, UNKNOWN: 0 }
  for (const r of reviews) counts[r.verdict]++
  return { counts, harm: reviews.reduce((sum, r) => sum + r.harm, 0), unjust: reviews.filter((r) => r.verdict === 'UNJUST').sort((a, b) => b.harm - a.harm || (a.id < b.id ? -1 : 1)) }
}
