import { BadInputError } from '../../core/errors.ts'
import { SampleTooSmallError } from './errors.ts'
import type { Returns } from './series.ts'

/** Fewest returns for an EWMA volatility. */
export const MIN_EWMA_OBSERVATIONS = 30

const DAY_SEC = 86_400

/**
 * One step of the exponentially weighted variance: σ² ← λ^k·σ² + (1 − λ^k)·r²/k.
 *
 * `value` is a log return over `span` = k bars (1 without a gap); λ in (0, 1) per bar. Result per bar.
 * Source: J.P. Morgan/Reuters, RiskMetrics Technical Document, 1996, §5.2; for k bars the weight is that of k steps.
 */
export function ewmaStep(variance: number, value: number, lambda: number, span = 1): number {
  const keep = lambda ** span
  return keep * variance + ((1 - keep) * value * value) / span
}

/** Decay per bar that halves a weight in `halfLifeSec`: λ = 0.5^(barSec / halfLifeSec). */
export function decayOf(halfLifeSec: number, barSec: number): number {
  if (!(halfLifeSec > 0) || !(barSec > 0)) throw new BadInputError(`Found a half-life of ${halfLifeSec} s over bars of ${barSec} s, allowed are positive numbers; check the policy`)
  return 0.5 ** (barSec / halfLifeSec)
}

/** Volatility per bar, before each return and after the last. */
export type VolatilityPath = {
  /** σ per bar known *before* return i; the first MIN_EWMA_OBSERVATIONS share the seed. */
  readonly before: Float64Array
  /** σ per bar after the last return: the forecast for the next bar. */
  readonly current: number
  /** Root of the plain mean of r²/k over all bars covered: the window's long-run σ per bar. */
  readonly longRun: number
  readonly observations: number
}

/**
 * EWMA volatility per bar along a return series.
 *
 * Seed: mean of r²/k over the first 30 returns. Long run: Σr² / Σk. No mean is subtracted: at bar length it is noise.
 * Throws SampleTooSmallError below 30 returns, BadInputError unless 0 < λ < 1.
 */
export function ewmaVolatility(returns: Returns, lambda: number): VolatilityPath {
  const n = returns.values.length
  if (n < MIN_EWMA_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'EWMA volatility', found: n, needed: MIN_EWMA_OBSERVATIONS })
  if (!(lambda > 0 && lambda < 1)) throw new BadInputError(`Found a decay of ${lambda}, allowed is above 0 and below 1; check the policy's half-life`)
  let seed = 0
  let squares = 0
  let bars = 0
  for (let i = 0; i < n; i++) {
    const r = returns.values[i] as number
    const k = returns.spans[i] as number
    if (i < MIN_EWMA_OBSERVATIONS) seed += (r * r) / k / MIN_EWMA_OBSERVATIONS
    squares += r * r
    bars += k
  }
  const before = new Float64Array(n)
  let variance = seed
  for (let i = 0; i < n; i++) {
    before[i] = Math.sqrt(i < MIN_EWMA_OBSERVATIONS ? seed : variance)
    variance = ewmaStep(variance, returns.values[i] as number, lambda, returns.spans[i] as number)
  }
  return { before, current: Math.sqrt(variance), longRun: Math.sqrt(squares / bars), observations: n }
}

/** σ over `horizonSec` from σ per bar, by the square root of time: σ_h = σ·√(h / barSec). */
export function scaleVolatility(sigmaPerBar: number, barSec: number, horizonSec: number): number {
  return sigmaPerBar * Math.sqrt(horizonSec / barSec)
}

/** σ per day from σ per bar. */
export const dailyVolatility = (sigmaPerBar: number, barSec: number): number => scaleVolatility(sigmaPerBar, barSec, DAY_SEC)
