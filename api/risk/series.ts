/**
 * Price series on a fixed grid, and returns from it. Gaps stay visible: a bar without an observation has no price, and
 * the return over it spans several bars. Nothing is filled with zero returns.
 */
import { BadInputError } from '../../core/errors.ts'

/** A price at a time. `timestampSec` is chain or oracle time, s; `price` is quote per base, positive. */
export type PricePoint = { readonly timestampSec: number; readonly price: number }

/** The last price of one bar. `index` counts bars of `barSec` from the series' `startSec`. */
export type Bar = { readonly index: number; readonly close: number }

/** Bars that hold an observation, in order; indexes that are missing are gaps. */
export type BarSeries = {
  readonly startSec: number
  readonly barSec: number
  /** Bars of the window, with or without an observation. */
  readonly barCount: number
  readonly bars: readonly Bar[]
}

/** Log returns between bars that hold an observation. */
export type Returns = {
  readonly barSec: number
  /** Window in bars, gaps included. */
  readonly barCount: number
  /** ln(close / previous close), one per pair of observed bars. */
  readonly values: Float64Array
  /** Over how many bars each return runs; 1 where there was no gap. */
  readonly spans: Float64Array
  /** Bars of the window without an observation. */
  readonly gapBars: number
  /** Returns left out because they run over more than `maxSpan` bars. */
  readonly dropped: number
}

/**
 * Points → bars by last value. A bar's window is [start + i·barSec, start + (i+1)·barSec).
 *
 * `points` in time order, prices positive; points outside [startSec, endSec) are left out. startSec and endSec are
 * multiples of barSec. Throws BadInputError otherwise.
 */
export function toBars(points: readonly PricePoint[], window: { startSec: number; endSec: number; barSec: number }): BarSeries {
  const { startSec, endSec, barSec } = window
  if (!(barSec > 0) || startSec % barSec !== 0 || endSec % barSec !== 0 || endSec < startSec) {
    throw new BadInputError(`Found a window from ${startSec} to ${endSec} s in bars of ${barSec} s, allowed are multiples of the bar in order; align both ends`)
  }
  const bars: { index: number; close: number }[] = []
  let previousSec = -Infinity
  for (const { timestampSec, price } of points) {
    if (!(price > 0) || !Number.isFinite(price)) throw new BadInputError(`Found a price of ${price} at ${timestampSec}, allowed is a positive number; drop refused oracle answers first`)
    if (timestampSec < previousSec) throw new BadInputError(`Found a price at ${timestampSec} after one at ${previousSec}, allowed is time order; sort by time`)
    previousSec = timestampSec
    if (timestampSec < startSec || timestampSec >= endSec) continue
    const index = Math.floor((timestampSec - startSec) / barSec)
    const last = bars.at(-1)
    if (last !== undefined && last.index === index) last.close = price
    else bars.push({ index, close: price })
  }
  return { startSec, barSec, barCount: (endSec - startSec) / barSec, bars }
}

/**
 * Log returns between neighbouring observed bars: r = ln(P_i / P_{i−1}), with the number of bars each one spans.
 *
 * A return over k bars says that the price moved by r in k bars, not when; volatility uses r²/k per bar.
 * Returns over more than `maxSpan` bars are outages of the feed and are left out (counted in `dropped`).
 */
export function toReturns(series: BarSeries, options: { maxSpan: number }): Returns {
  const values: number[] = []
  const spans: number[] = []
  let dropped = 0
  for (let i = 1; i < series.bars.length; i++) {
    const before = series.bars[i - 1] as Bar
    const after = series.bars[i] as Bar
    const span = after.index - before.index
    if (span > options.maxSpan) {
      dropped++
      continue
    }
    values.push(Math.log(after.close / before.close))
    spans.push(span)
  }
  return { barSec: series.barSec, barCount: series.barCount, values: Float64Array.from(values), spans: Float64Array.from(spans), gapBars: series.barCount - series.bars.length, dropped }
}
