/** What the price series of a run say, computed once per feed and shared by the models. Pure. */
import { toFloat } from '../../core/units.ts'
import { backtestFhs, decayOf, ewmaVolatility, filteredHistorical, SampleTooSmallError, toBars, toReturns, type KupiecTest, type Returns, type VolatilityPath } from '../risk/index.ts'
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

export type TailStatistics = {
  /** ES of one unit of notional, worse side: [now, long run] over the IM and the liquidation horizon. */
  readonly initialNow: number
  readonly initialLongRun: number
  readonly liquidationNow: number
  readonly liquidationLongRun: number
  readonly observations: number
  readonly tailPoints: number
}

export type FeedStatistics = { readonly volatility: Known<VolatilityStatistics>; readonly tail: Known<TailStatistics>; readonly backtest: Known<KupiecTest> }

/** Statistics of one feed under a policy. */
export function feedStatistics(series: SeriesInput, policy: Policy): FeedStatistics {
  const { barSec } = policy
  // A bar holds one price: its start stands for when in the bar that was.
  const points = series.bars.map(([index, priceE18]) => ({ timestampSec: series.startSec + index * barSec, price: toFloat(BigInt(priceE18), 18) }))
  const bars = toBars(points, { startSec: series.startSec, endSec: series.endSec, barSec })
  const returns = toReturns(bars, { maxSpan: policy.maxGapSec / barSec })
  const path = known(() => ewmaVolatility(returns, decayOf(policy.halfLifeSec, barSec)))
  if (path.value === null) return { volatility: path, tail: path, backtest: path }
  const found = path.value
  return {
    volatility: { value: { now: found.current, longRun: found.longRun, observations: found.observations, barCount: returns.barCount, gapBars: returns.gapBars, dropped: returns.dropped }, unknown: null },
    tail: known(() => tailStatistics(returns, found, policy)),
    backtest: known(() => backtestFhs(returns, found, { level: policy.level, side: 'down' })),
  }
}

function tailStatistics(returns: Returns, path: VolatilityPath, policy: Policy): TailStatistics {
  const both = (horizonSec: number, sigmaPerBar: number) =>
    (['down', 'up'] as const).map((side) => filteredHistorical(returns, path, { level: policy.level, horizonBars: horizonSec / policy.barSec, side, sigmaPerBar }))
  const worse = (horizonSec: number, sigmaPerBar: number): number => Math.max(...both(horizonSec, sigmaPerBar).map((risk) => risk.expectedShortfall))
  const { initialHorizonSec, liquidationHorizonSec } = policy.margin
  const [sample] = both(liquidationHorizonSec, path.current)
  return {
    initialNow: worse(initialHorizonSec, path.current),
    initialLongRun: worse(initialHorizonSec, path.longRun),
    liquidationNow: worse(liquidationHorizonSec, path.current),
    liquidationLongRun: worse(liquidationHorizonSec, path.longRun),
    observations: sample?.observations ?? 0,
    tailPoints: sample?.tailPoints ?? 0,
  }
}
