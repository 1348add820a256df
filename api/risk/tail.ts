import { BadInputError } from '../../core/errors.ts'
import { SampleTooSmallError } from './errors.ts'
import type { Returns } from './series.ts'
import { MIN_EWMA_OBSERVATIONS, type VolatilityPath } from './volatility.ts'

/** Fewest returns for filtered historical simulation. */
export const MIN_FHS_OBSERVATIONS = 500
/** Fewest losses beyond the quantile for an expected shortfall. */
export const MIN_TAIL_POINTS = 5

/** Which way the price moves against the holder: `down` hurts a long, `up` hurts a short. */
export type Side = 'down' | 'up'

/** VaR and ES with what they stand on. */
export type TailRisk = {
  /** Loss exceeded with probability 1 − level, as a fraction of notional, ≥ 0 for a real tail. */
  readonly valueAtRisk: number
  /** Mean of the losses at or beyond the VaR. */
  readonly expectedShortfall: number
  readonly level: number
  readonly observations: number
  /** Losses that the ES averages. */
  readonly tailPoints: number
}

const requireLevel = (level: number): void => {
  if (!(level > 0 && level < 1)) throw new BadInputError(`Found a level of ${level}, allowed is above 0 and below 1; 0.99 means 99 %`)
}

/** Losses beyond the level: floor(n·(1 − level)), guarded against 500·(1 − 0.99) = 4.9999… */
const tailCount = (n: number, level: number): number => Math.floor(n * (1 - level) + 1e-9)

/**
 * Empirical VaR and ES of a loss sample: with the m = ⌊n(1 − level)⌋ largest losses, VaR is the smallest and ES the mean of them.
 *
 * `losses` signed, a loss is positive. level in (0, 1). Throws SampleTooSmallError when m < 5.
 * Source: Acerbi, Tasche, On the coherence of expected shortfall, 2002, Def. 3.1 (discrete estimator, §4).
 */
export function tailRisk(losses: Float64Array, level: number): TailRisk {
  requireLevel(level)
  const n = losses.length
  const m = tailCount(n, level)
  if (m < MIN_TAIL_POINTS) throw new SampleTooSmallError({ statistic: `ES at ${level}`, found: n, needed: Math.ceil(MIN_TAIL_POINTS / (1 - level) - 1e-9) })
  const sorted = Float64Array.from(losses).sort()
  let sum = 0
  for (let i = n - m; i < n; i++) sum += sorted[i] as number
  return { valueAtRisk: sorted[n - m] as number, expectedShortfall: sum / m, level, observations: n, tailPoints: m }
}

/** p-quantile of a sample: the order statistic ⌈n·p⌉ (1-based), p in (0, 1]. Throws SampleTooSmallError on an empty sample. */
export function quantile(values: readonly number[] | Float64Array, p: number): number {
  if (!(p > 0 && p <= 1)) throw new BadInputError(`Found a quantile of ${p}, allowed is above 0 up to 1; 0.95 means 95 %`)
  if (values.length === 0) throw new SampleTooSmallError({ statistic: `quantile ${p}`, found: 0, needed: 1 })
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(values.length * p - 1e-9) - 1)] as number
}

/** Loss of one unit of notional when the log price moves by x: a long loses 1 − eˣ, a short eˣ − 1. */
export const lossOf = (x: number, side: Side): number => (side === 'down' ? -Math.expm1(x) : Math.expm1(x))

/**
 * Standardised residuals z_i = r_i / (σ_i·√k_i), σ_i known before r_i, k_i the bars that r_i spans.
 * The returns that seeded σ, and those at σ = 0, have no honest residual and are left out.
 */
export function residuals(returns: Returns, path: VolatilityPath): Float64Array {
  const out: number[] = []
  for (let i = MIN_EWMA_OBSERVATIONS; i < returns.values.length; i++) {
    const sigma = path.before[i] as number
    if (sigma > 0) out.push((returns.values[i] as number) / (sigma * Math.sqrt(returns.spans[i] as number)))
  }
  return Float64Array.from(out)
}

/**
 * Filtered historical simulation: each past residual replayed at today's volatility, r*_i = z_i·σ_today·√h.
 *
 * `horizonBars` h > 0. Returns VaR and ES of one unit of notional. Throws SampleTooSmallError below 500 residuals.
 * √h carries one bar's shape to the horizon; it keeps the tail of a single bar, which overstates rather than understates.
 * Source: Barone-Adesi, Giannopoulos, Vosper, VaR without correlations for portfolios of derivative securities, 1999, §2.
 */
export function filteredHistorical(returns: Returns, path: VolatilityPath, options: { level: number; horizonBars: number; side: Side; sigmaPerBar?: number }): TailRisk {
  const z = residuals(returns, path)
  if (z.length < MIN_FHS_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'filtered historical simulation', found: z.length, needed: MIN_FHS_OBSERVATIONS })
  const scale = (options.sigmaPerBar ?? path.current) * Math.sqrt(options.horizonBars)
  return tailRisk(
    z.map((x) => lossOf(x * scale, options.side)),
    options.level,
  )
}

/** Outcome of Kupiec's unconditional coverage test. */
export type KupiecTest = { readonly likelihoodRatio: number; readonly pValue: number; readonly exceptions: number; readonly observations: number; readonly rejected: boolean }

/**
 * Kupiec's proportion-of-failures test: LR = −2·ln[(1−p)^(n−x)·p^x / ((1−π)^(n−x)·π^x)], π = x/n, χ² with 1 degree of freedom.
 *
 * n observations > 0, x exceptions in [0, n], p = 1 − VaR level in (0, 1); 0·ln 0 = 0, so LR is finite for every x.
 * `rejected` at 5 % (LR > 3.841). Source: Kupiec, Techniques for verifying the accuracy of risk measurement models, 1995, eq. 4.
 */
export function kupiec(observations: number, exceptions: number, p: number): KupiecTest {
  requireLevel(p)
  if (!Number.isInteger(observations) || observations <= 0 || !Number.isInteger(exceptions) || exceptions < 0 || exceptions > observations) {
    throw new BadInputError(`Found ${exceptions} exceptions in ${observations} observations, allowed are whole numbers with 0 ≤ exceptions ≤ observations; check the count`)
  }
  const term = (count: number, probability: number): number => (count === 0 ? 0 : count * Math.log(probability))
  const share = exceptions / observations
  const likelihoodRatio = Math.max(0, -2 * (term(observations - exceptions, 1 - p) + term(exceptions, p) - term(observations - exceptions, 1 - share) - term(exceptions, share)))
  return { likelihoodRatio, pValue: erfc(Math.sqrt(likelihoodRatio / 2)), exceptions, observations, rejected: likelihoodRatio > 3.841 }
}

/**
 * Out-of-sample check of FHS one step ahead: the VaR multiple of σ comes from the first half of the residuals, exceptions are counted in the second.
 * Throws SampleTooSmallError unless the first half alone can carry FHS (1,000 residuals).
 */
export function backtestFhs(returns: Returns, path: VolatilityPath, options: { level: number; side: Side }): KupiecTest {
  const z = residuals(returns, path)
  if (z.length < 2 * MIN_FHS_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'FHS backtest', found: z.length, needed: 2 * MIN_FHS_OBSERVATIONS })
  const half = Math.floor(z.length / 2)
  const sign = options.side === 'down' ? -1 : 1
  const limit = tailRisk(z.slice(0, half).map((x) => sign * x), options.level).valueAtRisk
  let exceptions = 0
  for (let i = half; i < z.length; i++) if (sign * (z[i] as number) > limit) exceptions++
  return kupiec(z.length - half, exceptions, 1 - options.level)
}

/**
 * Complementary error function for x ≥ 0, relative error below 1e-12: its power series up to 2.5, Lentz's continued fraction beyond.
 * Source: Abramowitz, Stegun, Handbook of Mathematical Functions, 7.1.6 and 7.1.14.
 */
export function erfc(x: number): number {
  if (x < 2.5) {
    let term = x
    let sum = x
    for (let k = 1; k < 200 && Math.abs(term) > 1e-17 * sum; k++) {
      term *= (2 * x * x) / (2 * k + 1)
      sum += term
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
  }
  let fraction = 0
  for (let k = 120; k > 0; k--) fraction = k / 2 / (x + fraction)
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction)
}
