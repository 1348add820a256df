/** From what the index holds to what a breaker observes: one observation per step, each from what was known at that moment. */
import { BadInputError } from '../../core/errors.ts'
import { priceBand } from './band.ts'
import { fundDrawdown, marketValues, type BreakerObservation, type BreakerTrigger, type BreakerValues } from './breaker.ts'
import type { PricePoint } from './series.ts'
import { ewmaStep, MIN_EWMA_OBSERVATIONS } from './volatility.ts'

const FIVE_MINUTES_SEC = 300
const QUARTER_SEC = 900
const DAY_SEC = 86_400

/** A moment and an amount, quote. */
export type TimedAmount = { readonly timestampSec: number; readonly amount: number }

/**
 * The fund's value after a change, quote. `external`: what of the change was a decision and neither loss nor income, signed: surplus paid out or a
 * transfer out is negative, a transfer in positive; 0 where left out.
 */
export type FundValue = TimedAmount & { readonly external?: number }

/** Steps of a window: every `stepSec` from `startSec` (included) to `endSec` (included where a step falls on it), s. */
export type StepWindow = { readonly startSec: number; readonly endSec: number; readonly stepSec: number }

export type MarketHistory = {
  /** Prices of the oracle by the time of the price, and of the market after each trade; in time order, above 0. They may begin before the window. */
  readonly index: readonly PricePoint[]
  readonly market: readonly PricePoint[]
  /** Notional liquidated, and what could be taken in 15 minutes (null: unknown); in time order. */
  readonly liquidations: readonly TimedAmount[]
  readonly capacityPer15Min: number | null
  readonly heartbeatSec: number
  /** Band: k five-minute volatilities, at least `floor`; EWMA of the index whose weights halve in `halfLifeSec`. */
  readonly k: number
  readonly floor: number
  readonly halfLifeSec: number
}

function stepsOf({ startSec, endSec, stepSec }: StepWindow): number[] {
  if (!(stepSec > 0) || !(endSec >= startSec) || (endSec - startSec) / stepSec > 1_000_000) throw new BadInputError(`Found steps of ${stepSec} s from ${startSec} to ${endSec}, allowed are at most a million steps above 0 s in order; choose a longer step`, { field: 'stepSec' })
  const steps: number[] = []
  for (let t = startSec; t <= endSec; t += stepSec) steps.push(t)
  return steps
}

/** Walks a series forward: the last point at or before a time that only rises. */
function follow<T extends { readonly timestampSec: number }>(points: readonly T[], what: string): (timestampSec: number) => T | null {
  for (let i = 1; i < points.length; i++) if ((points[i] as T).timestampSec < (points[i - 1] as T).timestampSec) throw new BadInputError(`Found ${what} out of order, allowed is time order; sort by time`, { field: what })
  let next = 0
  return (timestampSec) => {
    while (next < points.length && (points[next] as T).timestampSec <= timestampSec) next++
    return next === 0 ? null : (points[next - 1] as T)
  }
}

/**
 * Observations of a market's breaker over a window, without looking ahead: each one uses points at or before its time alone.
 *
 * staleness: age of the oracle's price over its heartbeat; deviation: |market − index|/index over the band; band: the larger five-minute move
 * of market and index over the band; velocity: notional liquidated in 15 minutes over the capacity of 15 minutes. The band is k·σ of
 * five-minute bars that are complete (at least `floor`); before 30 returns it is unknown, and so is what depends on it. `block` counts steps.
 * Throws BadInputError for prices at or below 0, series out of order and windows that cannot be stepped. Source: risk models §11.
 */
export function observeMarket(history: MarketHistory, window: StepWindow): readonly BreakerObservation[] {
  const { index, market, liquidations, capacityPer15Min, heartbeatSec, k, floor, halfLifeSec } = history
  for (const point of [...index, ...market]) if (!(point.price > 0)) throw new BadInputError(`Found a price of ${point.price} at ${point.timestampSec}, allowed is above 0; drop refused answers first`, { field: 'price' })
  const steps = stepsOf(window)
  const indexNow = follow(index, 'index')
  const indexBefore = follow(index, 'index')
  const marketNow = follow(market, 'market')
  const marketBefore = follow(market, 'market')
  const lambda = 0.5 ** (FIVE_MINUTES_SEC / halfLifeSec)

  // Volatility from complete bars: a bar's close counts once the bar has ended.
  const firstBar = index[0] === undefined ? 0 : Math.floor(index[0].timestampSec / FIVE_MINUTES_SEC)
  const closes = follow(index, 'index')
  let bar = firstBar
  let last: { readonly bar: number; readonly price: number } | null = null
  let returns = 0
  let seed = 0
  let variance = 0
  const advance = (timestampSec: number): void => {
    for (; (bar + 1) * FIVE_MINUTES_SEC <= timestampSec; bar++) {
      const close = closes((bar + 1) * FIVE_MINUTES_SEC - 1)
      if (close === null || close.timestampSec < bar * FIVE_MINUTES_SEC) continue
      if (last !== null) {
        const span = bar - last.bar
        const r = Math.log(close.price / last.price)
        returns++
        if (returns <= MIN_EWMA_OBSERVATIONS) {
          seed += (r * r) / span / MIN_EWMA_OBSERVATIONS
          variance = seed
        } else variance = ewmaStep(variance, r, lambda, span)
      }
      last = { bar, price: close.price }
    }
  }

  let liquidated = 0
  let [head, tail] = [0, 0]
  follow(liquidations, 'liquidations')
  const move = (now: PricePoint | null, before: PricePoint | null): number | null => (now === null || before === null ? null : Math.abs(now.price / before.price - 1))
  return steps.map((timestampSec, block): BreakerObservation => {
    if (index.length > 0) advance(timestampSec)
    const oracle = indexNow(timestampSec)
    const pool = marketNow(timestampSec)
    for (; head < liquidations.length && (liquidations[head] as TimedAmount).timestampSec <= timestampSec; head++) liquidated += (liquidations[head] as TimedAmount).amount
    for (; tail < head && (liquidations[tail] as TimedAmount).timestampSec <= timestampSec - QUARTER_SEC; tail++) liquidated -= (liquidations[tail] as TimedAmount).amount
    const band = returns < MIN_EWMA_OBSERVATIONS ? null : priceBand({ sigma5Min: Math.sqrt(variance), k, floor, usualSpread: 0 }).band
    const moves = [move(oracle, indexBefore(timestampSec - FIVE_MINUTES_SEC)), move(pool, marketBefore(timestampSec - FIVE_MINUTES_SEC))].filter((m) => m !== null)
    const values = marketValues({
      oracleAgeSec: oracle === null ? null : timestampSec - oracle.timestampSec,
      heartbeatSec,
      deviation: oracle === null || pool === null ? null : Math.abs(pool.price / oracle.price - 1),
      priceBand: band,
      move5Min: moves.length === 0 ? null : Math.max(...moves),
      // What the float leaves of a sum that is empty again is nothing.
      liquidatedNotional: tail === head ? 0 : Math.max(0, liquidated),
      liquidationCapacity: capacityPer15Min,
      utilisation: null,
    })
    return { block, timestampSec, values }
  })
}

/**
 * Observations of the protocol's own breaker: the share of the fund lost in 24 h, from its value after each change (quote, in time order).
 * The value at the window's start counts as long as no later one is higher. Money that was paid out or in by decision is no loss and no gain: the
 * peak before it shrinks or grows by the same factor, as in a time-weighted return. A fund of 100 that pays out 40 and then loses 6 has lost 10 %.
 * Unknown before the first value. `block` counts steps. Source: risk models §11; CFA Institute, GIPS (time-weighted return) for the factor.
 */
export function observeFund(values: readonly FundValue[], window: StepWindow): readonly BreakerObservation[] {
  const now = follow(values, 'fund values')
  const dayAgo = follow(values, 'fund values')
  let head = 0
  let tail = 0
  return stepsOf(window).map((timestampSec, block): BreakerObservation => {
    const current = now(timestampSec)
    const start = dayAgo(timestampSec - DAY_SEC)
    while (head < values.length && (values[head] as FundValue).timestampSec <= timestampSec) head++
    while (tail < head && (values[tail] as FundValue).timestampSec <= timestampSec - DAY_SEC) tail++
    const drawdown = current === null ? null : fundDrawdown(current.amount, [peakOf(start, values.slice(tail, head))])
    const observed: BreakerValues = { fundDrawdown: drawdown }
    return { block, timestampSec, values: observed }
  })
}

/** Highest value of a window at the size that the fund has after its last payment in or out; a fund that held nothing before one keeps its peak. */
function peakOf(start: FundValue | null, within: readonly FundValue[]): number {
  let peak = start?.amount ?? -Infinity
  for (const { amount, external = 0 } of within) {
    const before = amount - external
    if (external !== 0 && before > 0) peak = Math.max(peak, before) * Math.max(0, amount / before)
    else peak = Math.max(peak, amount)
  }
  return peak
}

/** What a market's breaker and the protocol's own one watch for Curie; every other trigger applies to neither. */
export const OBSERVED_TRIGGERS: Readonly<Record<'market' | 'protocol', Readonly<Partial<Record<BreakerTrigger, true>>>>> = {
  market: { staleness: true, deviation: true, band: true, velocity: true },
  protocol: { fundDrawdown: true },
}

/** Why a trigger does not apply, half a sentence; null where it does. */
export function notApplicable(trigger: BreakerTrigger, subject: 'market' | 'protocol'): string | null {
  if (OBSERVED_TRIGGERS[subject][trigger] === true) return null
  if (trigger === 'utilisation') return 'nothing is lent out in Curie, so there is no share of what backs a market that is in use'
  return subject === 'market' ? 'the insurance fund belongs to the whole protocol: its own breaker watches it' : 'feeds, prices and liquidations belong to a market: the markets’ own breakers watch them'
}
