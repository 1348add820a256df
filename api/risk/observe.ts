/** From what the index holds to what a breaker observes: one observation per step, each from what was known at that moment. */
import { BadInputError } from '../../core/errors.ts'
import { priceBand } from './band.ts'
import { fundDrawdown, marketValues, type BreakerObservation, type BreakerValues } from './breaker.ts'
import type { PricePoint } from './series.ts'
import { ewmaStep, MIN_EWMA_OBSERVATIONS } from './volatility.ts'

const FIVE_MINUTES_SEC = 300
const QUARTER_SEC = 900
const DAY_SEC = 86_400

/** A moment and an amount, quote. */
export type TimedAmount = { readonly timestampSec: number; readonly amount: number }

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
 * The value at the window's start counts as long as no later one is higher. Unknown before the first value. `block` counts steps.
 */
export function observeFund(values: readonly TimedAmount[], window: StepWindow): readonly BreakerObservation[] {
  const now = follow(values, 'fund values')
  const dayAgo = follow(values, 'fund values')
  let head = 0
  let tail = 0
  return stepsOf(window).map((timestampSec, block): BreakerObservation => {
    const current = now(timestampSec)
    const start = dayAgo(timestampSec - DAY_SEC)
    while (head < values.length && (values[head] as TimedAmount).timestampSec <= timestampSec) head++
    while (tail < head && (values[tail] as TimedAmount).timestampSec <= timestampSec - DAY_SEC) tail++
    const within = values.slice(tail, head).map((v) => v.amount)
    const drawdown = current === null ? null : fundDrawdown(current.amount, start === null ? within : [start.amount, ...within])
    const observed: BreakerValues = { fundDrawdown: drawdown }
    return { block, timestampSec, values: observed }
  })
}
