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

/** Throws BadInputError unless 0 < level < 1. */
export const requireLevel = (level: number): void => {
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
