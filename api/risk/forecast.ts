import { BadInputError } from '../../core/errors.ts'
import { normalCdf, normalQuantile } from './distributions.ts'
import { SampleTooSmallError } from './errors.ts'
import { fitGarch, garchHorizonVariance, garchStep, type GarchFit, type GarchSummary } from './garch.ts'
import { createRandom } from './random.ts'
import type { BarSeries, Returns } from './series.ts'
import { lossOf, MIN_FHS_OBSERVATIONS, MIN_TAIL_POINTS, requireLevel, residuals, tailRisk, type Side } from './tail.ts'
import { ewmaStep, ewmaVolatility, type VolatilityPath } from './volatility.ts'

/** How volatility is followed: the EWMA with a given decay per bar, or a GARCH(1,1) fitted to the returns. */
export type VolatilityModel = { readonly kind: 'ewma'; readonly lambda: number } | { readonly kind: 'garch' }

/** VaR and ES with what they stand on. Losses as a fraction of notional, a loss positive. */
export type RiskForecast = {
  readonly model: 'normal-ewma' | 'normal-garch' | 'fhs-ewma' | 'fhs-garch' | 'historical'
  readonly version: '1'
  readonly level: number
  readonly side: Side
  readonly horizonBars: number
  readonly horizonSec: number
  readonly valueAtRisk: number
  readonly expectedShortfall: number
  /** 95 % interval of the VaR from the sample's own error; null for a normal distribution, and where the sample ends before it. */
  readonly valueAtRiskInterval: readonly [number, number] | null
  /** σ of the next bar and over the horizon; null for plain history, which has none. */
  readonly sigmaPerBar: number | null
  readonly sigmaHorizon: number | null
  /** How one bar becomes the horizon. */
  readonly scaling: 'square root of time' | 'term structure of GARCH' | 'simulated paths' | 'overlapping returns'
  /** Losses or residuals in the sample, and those beyond the level. */
  readonly observations: number
  readonly tailPoints: number
  readonly simulation: { readonly paths: number; readonly seed: number } | null
  readonly fit: GarchSummary | null
  readonly warnings: readonly string[]
}

export type ForecastOptions = {
  /** `normal`: normal shocks; `filtered`: the past’s own residuals. */
  readonly shape: 'normal' | 'filtered'
  readonly level: number
  /** Bars ahead, above 0; a fraction is scaled. */
  readonly horizonBars: number
  readonly side: Side
  /** Draws whole paths of residuals through the volatility model instead of scaling one bar. */
  readonly simulation?: { readonly paths: number; readonly seed: number }
  /** Another volatility than today’s, per bar: the long run for a floor. Scales only. */
  readonly sigmaPerBar?: number
}

/** Returns with their volatility followed and their residuals in order: what any number of forecasts start from. */
export type ForecastBasis = {
  readonly returns: Returns
  readonly volatility: VolatilityModel
  readonly fit: GarchFit | null
  readonly path: VolatilityPath
  /** Standardised residuals, ascending. */
  readonly residuals: Float64Array
  readonly warnings: readonly string[]
}

/** Steps of a simulation that are worth waiting for. */
const MAX_STEPS = 20_000_000

/** Residuals from which filtered historical simulation needs no warning. */
const FULL_SAMPLE = 1000

/** Follows the volatility of returns. Throws SampleTooSmallError below 30 returns (EWMA) or 500 (GARCH), ModelFitError where GARCH does not fit. */
export function forecastBasis(returns: Returns, volatility: VolatilityModel): ForecastBasis {
  const fit = volatility.kind === 'garch' ? fitGarch(returns) : null
  const path = fit?.path ?? ewmaVolatility(returns, (volatility as { lambda: number }).lambda)
  return { returns, volatility, fit, path, residuals: residuals(returns, path).sort(), warnings: [...(fit?.warnings ?? []), ...sampleWarnings(returns)] }
}

/**
 * VaR and expected shortfall of one unit of notional at any level and horizon.
 *
 * Normal: the log return over the horizon is N(0, σ_h²): VaR is the loss at Φ⁻¹(level)·σ_h, ES the lognormal’s own partial mean. Filtered: today’s
 * σ times past residuals, by scaling (σ_h) or by simulated paths of residuals through the model. σ_h is σ·√h for the EWMA and its term
 * structure for GARCH. level in (0, 1). Throws SampleTooSmallError below 500 residuals or 5 tail points (filtered; of the paths as well). Warns below 1,000 residuals.
 * Source: J.P. Morgan/Reuters, RiskMetrics, 1996; Barone-Adesi, Giannopoulos, Vosper, VaR without correlations, 1999; Acerbi, Tasche, 2002.
 */
export function forecastRisk(basis: ForecastBasis, options: ForecastOptions): RiskForecast {
  const { returns, volatility, fit, path, residuals: z } = basis
  const { shape, level, horizonBars, side, simulation } = options
  requireLevel(level)
  if (!(horizonBars > 0) || !Number.isFinite(horizonBars)) throw new BadInputError(`Found a horizon of ${horizonBars} bars, allowed is a number above 0; check the horizon`)
  if (simulation !== undefined && (shape === 'normal' || options.sigmaPerBar !== undefined)) throw new BadInputError('Found a simulation of a normal or a rescaled forecast, allowed is one of residuals at today’s volatility; leave it out')
  const sigmaPerBar = options.sigmaPerBar ?? path.current
  const sigmaHorizon = Math.sqrt(fit === null ? sigmaPerBar ** 2 * horizonBars : garchHorizonVariance(fit.parameters, sigmaPerBar ** 2, horizonBars))
  const common = { version: '1' as const, level, side, horizonBars, horizonSec: horizonBars * returns.barSec, sigmaPerBar, sigmaHorizon, simulation: simulation ?? null, fit: summaryOf(fit) }
  const scaling = fit === null ? 'square root of time' : 'term structure of GARCH'
  if (shape === 'normal') {
    const observations = path.observations
    return { ...common, model: `normal-${volatility.kind}`, scaling, ...normalRisk(sigmaHorizon, level, side), valueAtRiskInterval: null, observations, tailPoints: Math.floor(observations * (1 - level) + 1e-9), warnings: basis.warnings }
  }
  const n = z.length
  if (n < MIN_FHS_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'filtered historical simulation', found: n, needed: MIN_FHS_OBSERVATIONS })
  const tailPoints = Math.floor(n * (1 - level) + 1e-9)
  if (tailPoints < MIN_TAIL_POINTS) throw new SampleTooSmallError({ statistic: `ES at ${level}`, found: n, needed: Math.ceil(MIN_TAIL_POINTS / (1 - level) - 1e-9) })
  if (simulation !== undefined && simulation.paths * (1 - level) < MIN_TAIL_POINTS - 1e-9) throw new SampleTooSmallError({ statistic: `ES at ${level} of simulated paths`, found: simulation.paths, needed: Math.ceil(MIN_TAIL_POINTS / (1 - level) - 1e-9) })
  // The loss grows with the residual on one side and falls with it on the other, so the residuals' order is the losses' own.
  const losses = simulation === undefined ? (rank: number): number => lossOf((z[side === 'up' ? rank : n - 1 - rank] as number) * sigmaHorizon, side) : sortedBy(simulate(basis, horizonBars, side, simulation))
  const size = simulation?.paths ?? n
  return {
    ...common,
    model: `fhs-${volatility.kind}`,
    scaling: simulation === undefined ? scaling : 'simulated paths',
    ...tailOf(losses, size, level),
    valueAtRiskInterval: orderInterval(losses, size, level),
    observations: n,
    tailPoints,
    warnings: n < FULL_SAMPLE ? [...basis.warnings, `${n} residuals; ${FULL_SAMPLE} make the tail reliable`] : basis.warnings,
  }
}

/** A fit without its path, which is as long as the returns. */
export function summaryOf(fit: GarchFit | null): GarchSummary | null {
  if (fit === null) return null
  const { path: _path, ...summary } = fit
  return summary
}

/** Loss of a rank, ascending. */
type Ranked = (rank: number) => number

const sortedBy = (losses: Float64Array): Ranked => {
  const sorted = losses.sort()
  return (rank) => sorted[rank] as number
}

/** The estimator of `tailRisk` on losses that are in order already. */
function tailOf(losses: Ranked, n: number, level: number): { valueAtRisk: number; expectedShortfall: number } {
  const m = Math.floor(n * (1 - level) + 1e-9)
  let sum = 0
  for (let i = n - m; i < n; i++) sum += losses(i)
  return { valueAtRisk: losses(n - m), expectedShortfall: sum / m }
}

/** Loss at the level, and the mean beyond it, where ln(P'/P) ~ N(0, σ²): ES = 1 − e^(σ²/2)·Φ(−z − σ)/(1 − level) for a long, e^(σ²/2)·Φ(σ − z)/(1 − level) − 1 for a short. */
function normalRisk(sigma: number, level: number, side: Side): { valueAtRisk: number; expectedShortfall: number } {
  const z = normalQuantile(level)
  const partial = (Math.exp((sigma * sigma) / 2) * normalCdf(side === 'down' ? -z - sigma : sigma - z)) / (1 - level)
  return { valueAtRisk: lossOf(side === 'down' ? -z * sigma : z * sigma, side), expectedShortfall: side === 'down' ? 1 - partial : partial - 1 }
}

/** Losses at the end of paths whose every step is a residual of the past at the volatility that the model has by then. */
function simulate({ residuals: z, path, fit, volatility }: ForecastBasis, horizonBars: number, side: Side, { paths, seed }: { paths: number; seed: number }): Float64Array {
  const bars = Math.ceil(horizonBars)
  if (!Number.isInteger(paths) || paths < FULL_SAMPLE || paths * bars > MAX_STEPS) {
    throw new BadInputError(`Found ${paths} paths of ${bars} bars, allowed are from ${FULL_SAMPLE} paths up to ${MAX_STEPS} steps in all; lower the paths, or lengthen the bar`)
  }
  const step = fit === null ? (v: number, r: number): number => ewmaStep(v, r, (volatility as { lambda: number }).lambda) : (v: number, r: number): number => garchStep(fit.parameters, v, r)
  const random = createRandom(seed)
  const { sqrt } = Math
  const out = new Float64Array(paths)
  for (let i = 0; i < paths; i++) {
    let variance = path.current ** 2
    let sum = 0
    for (let j = 0; j < bars; j++) {
      const r = (z[random.below(z.length)] as number) * sqrt(variance)
      sum += r
      variance = step(variance, r)
    }
    out[i] = lossOf(sum, side)
  }
  return out
}

/** 95 % interval of a quantile by order statistics: ranks n·p ± 1.96·√(n·p·(1 − p)); null where the upper one lies beyond the sample. Source: David, Nagaraja, Order statistics, 3rd ed., §7.1. */
function orderInterval(losses: Ranked, n: number, level: number): readonly [number, number] | null {
  const spread = 1.959963984540054 * Math.sqrt(n * level * (1 - level))
  const [low, high] = [Math.floor(n * level - spread), Math.ceil(n * level + spread)]
  return low < 0 || high >= n ? null : [losses(low), losses(high)]
}

function sampleWarnings({ values, gapBars, barCount, dropped }: Returns): string[] {
  const warnings: string[] = []
  const still = values.reduce((count, r) => count + (r === 0 ? 1 : 0), 0)
  if (still > values.length / 2) warnings.push(`${((still / values.length) * 100).toFixed(0)} % of the returns are 0: a price that stands still hides its risk`)
  if (gapBars > barCount / 10) warnings.push(`${((gapBars / barCount) * 100).toFixed(0)} % of the bars hold no price`)
  if (dropped > 0) warnings.push(`${dropped} outages of the feed are left out: what the price did in them is unknown`)
  return warnings
}

/**
 * Log returns over `horizonBars` from every observed bar, overlapping: to the last price at or before the end, unless that is more than `maxSpan` bars older.
 *
 * horizonBars a whole number from 1.
 */
export function overlappingReturns(series: BarSeries, horizonBars: number, options: { maxSpan: number }): Float64Array {
  if (!Number.isInteger(horizonBars) || horizonBars < 1) throw new BadInputError(`Found a horizon of ${horizonBars} bars, allowed is a whole number from 1; choose a multiple of the bar`)
  const { bars } = series
  const out: number[] = []
  let j = 0
  for (const { index, close } of bars) {
    const end = index + horizonBars
    if (end >= series.barCount) break
    while (j + 1 < bars.length && (bars[j + 1] as { index: number }).index <= end) j++
    const last = bars[j] as { index: number; close: number }
    if (end - last.index <= options.maxSpan && last.index > index) out.push(Math.log(last.close / close))
  }
  return Float64Array.from(out)
}

/**
 * VaR and ES of plain history over a horizon: the tail of all overlapping returns over it.
 *
 * Overlapping returns repeat each other: `observations` counts those that do not (window / horizon), and the tail must hold 5 of all. Today’s
 * volatility does not enter: it is the unconditional tail, a floor rather than a forecast. Throws SampleTooSmallError like `tailRisk`.
 * Source: risk models §7 (unconditional ES by horizon); Sun, Nelken, Wang, Guo, Chen, VaR with overlapping data, 2009 (what repeats).
 */
export function historicalRisk(series: BarSeries, options: { level: number; horizonBars: number; side: Side; maxSpan: number }): RiskForecast {
  const { level, horizonBars, side, maxSpan } = options
  const losses = overlappingReturns(series, horizonBars, { maxSpan }).map((r) => lossOf(r, side))
  const { valueAtRisk, expectedShortfall, tailPoints } = tailRisk(losses, level)
  const apart = Math.floor(series.barCount / horizonBars)
  const warnings = apart * (1 - level) < MIN_TAIL_POINTS ? [`${apart} stretches do not overlap; ${Math.ceil(MIN_TAIL_POINTS / (1 - level) - 1e-9)} make the tail reliable`] : []
  return {
    model: 'historical',
    version: '1',
    level,
    side,
    horizonBars,
    horizonSec: horizonBars * series.barSec,
    valueAtRisk,
    expectedShortfall,
    valueAtRiskInterval: null,
    sigmaPerBar: null,
    sigmaHorizon: null,
    scaling: 'overlapping returns',
    observations: apart,
    tailPoints,
    simulation: null,
    fit: null,
    warnings,
  }
}
