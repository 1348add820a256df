/** What the price series of a run say, computed once per feed and shared by the models. Pure. */
import { InvariantError } from '../../core/errors.ts'
import { toFloat } from '../../core/units.ts'
import { backtest, decayOf, forecastBasis, SampleTooSmallError, toBars, toReturns, type Backtest, type BarSeries, type ForecastBasis } from '../risk/index.ts'
import type { SeriesInput } from './inputs.ts'
import type { Policy } from './policy.ts'

/** A statistic, or the error that says why there is none. */
export type Known<T> = { readonly value: T; readonly unknown: null } | { readonly value: null; readonly unknown: SampleTooSmallError }

/** Runs a computation; a sample that is too small becomes a value, everything else is thrown on. */
export function known<T>(compute: () => T): Known<T> {
  try {
    return { value: compute(), unknown: null }
  } catch (error) {
    if (error instanceof SampleTooSmallError) return { value: null, unknown: error }
    throw error
  }
}

export type VolatilityStatistics = {
  /** σ of one bar: EWMA now, and over the whole window. */
  readonly now: number
  readonly longRun: number
  readonly observations: number
  readonly barCount: number
  readonly gapBars: number
  readonly dropped: number
}

export type FeedStatistics = {
  readonly volatility: Known<VolatilityStatistics>
  /** What forecasts of any level and horizon start from. */
  readonly basis: Known<ForecastBasis>
  /** Rolling test of what `basis` would have said, worse by coverage of the two sides. */
  readonly backtest: Known<Backtest>
}

/** A feed's prices on bars of `barSec`, a multiple of the grid that they were gathered on; whole bars alone. */
export function barsOf(series: SeriesInput, policy: Policy, barSec: number = policy.barSec): BarSeries {
  if (barSec % policy.barSec !== 0) throw new InvariantError(`Found bars of ${barSec} s, allowed are multiples of ${policy.barSec}; check the argument first`)
  // A bar holds one price: its start stands for when in the bar that was.
  const points = series.bars.map(([index, priceE18]) => ({ timestampSec: series.startSec + index * policy.barSec, price: toFloat(BigInt(priceE18), 18) }))
  const first = Math.ceil(series.startSec / barSec)
  return toBars(points, { startSec: first * barSec, endSec: Math.max(first, Math.floor(series.endSec / barSec)) * barSec, barSec })
}

/** Series of one bar length, each from where all of them have begun: what `jointReturns` takes. */
export function commonBars(series: readonly BarSeries[]): readonly BarSeries[] {
  const startSec = Math.max(...series.map((one) => one.startSec))
  return series.map((one): BarSeries => {
    const shift = (startSec - one.startSec) / one.barSec
    return { startSec, barSec: one.barSec, barCount: Math.max(0, one.barCount - shift), bars: one.bars.flatMap((bar) => (bar.index >= shift ? [{ index: bar.index - shift, close: bar.close }] : [])) }
  })
}

/** Longest span of a return, bars: a gap longer than the policy's is an outage of the feed; for longer bars, longer than one bar. */
export const maxSpanOf = (policy: Policy, barSec: number): number => Math.max(1, policy.maxGapSec / barSec)

/** Statistics of one feed under a policy. The backtest is computed when it is first asked for. */
export function feedStatistics(series: SeriesInput, policy: Policy): FeedStatistics {
  const { barSec, level } = policy
  const returns = toReturns(barsOf(series, policy), { maxSpan: maxSpanOf(policy, barSec) })
  const lambda = decayOf(policy.halfLifeSec, barSec)
  const basis = known(() => forecastBasis(returns, { kind: 'ewma', lambda }))
  if (basis.value === null) return { volatility: basis, basis, backtest: basis }
  const { path } = basis.value
  let tested: Known<Backtest> | undefined
  return {
    volatility: { value: { now: path.current, longRun: path.longRun, observations: path.observations, barCount: returns.barCount, gapBars: returns.gapBars, dropped: returns.dropped }, unknown: null },
    basis,
    get backtest() {
      return (tested ??= known(() =>
        (['down', 'up'] as const).map((side) => backtest(returns, { model: { kind: 'fhs-ewma', lambda }, level, side })).reduce((a, b) => (b.coverage.likelihoodRatio > a.coverage.likelihoodRatio ? b : a)),
      ))
    },
  }
}
