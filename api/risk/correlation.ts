import { BadInputError } from '../../core/errors.ts'
import { SampleTooSmallError } from './errors.ts'
import type { Returns } from './series.ts'
import { quantile } from './tail.ts'

/** Two returns series over the same stretches of time, as `jointReturns` makes them. */
function requirePair(a: Returns, b: Returns): void {
  if (a.values.length !== b.values.length || a.spans.some((span, i) => span !== b.spans[i])) {
    throw new BadInputError(`Found ${a.values.length} and ${b.values.length} returns over other spans, allowed are returns over the same ones; join the series first`)
  }
}

/** Σab, Σa², Σb² over [from, to), each pair by the bars that it spans; no mean is subtracted: at bar length it is noise. */
function moments(a: Returns, b: Returns, from: number, to: number): { ab: number; aa: number; bb: number } {
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = from; i < to; i++) {
    const [x, y, k] = [a.values[i] as number, b.values[i] as number, a.spans[i] as number]
    ab += (x * y) / k
    aa += (x * x) / k
    bb += (y * y) / k
  }
  return { ab, aa, bb }
}

/** Fewest pairs for a correlation or a beta. */
export const MIN_PAIRS = 30

/** Correlation of two assets over time. */
export type CorrelationBand = {
  readonly low: number
  readonly median: number
  readonly high: number
  /** Over the whole sample. */
  readonly whole: number
  readonly observations: number
  /** Rolling windows that the quantiles are taken of; they overlap. */
  readonly windows: number
  readonly warnings: readonly string[]
}

/**
 * Band of the correlation: the 5 %, 50 % and 95 % quantiles of it over rolling windows.
 *
 * `a` and `b` over the same spans (`jointReturns`); `window` in pairs (90 for days). Throws SampleTooSmallError below window + 30 pairs, BadInputError for a window below 30, and where one of the
 * assets never moves. Source: risk models §6.5 (rolling 90 days, 5 % and 95 %).
 */
export function correlationBand(a: Returns, b: Returns, window = 90): CorrelationBand {
  requirePair(a, b)
  const n = a.values.length
  if (!Number.isInteger(window) || window < MIN_PAIRS) throw new BadInputError(`Found a window of ${window} pairs, allowed is a whole number from ${MIN_PAIRS}; 90 days are usual`)
  if (n < window + MIN_PAIRS) throw new SampleTooSmallError({ statistic: 'correlation band', found: n, needed: window + MIN_PAIRS })
  const of = (from: number, to: number): number => {
    const { ab, aa, bb } = moments(a, b, from, to)
    return ab / Math.sqrt(aa * bb)
  }
  const rolling = Array.from({ length: n - window + 1 }, (_, i) => of(i, i + window))
  if (!rolling.every(Number.isFinite)) throw new BadInputError('Found a stretch in which a price never moves, allowed are prices that do; check the feed')
  const warnings = n < 3 * window ? [`${n} pairs hold ${(n / window).toFixed(1)} windows apart from one another; the band is narrow for that`] : []
  return { low: quantile(rolling, 0.05), median: quantile(rolling, 0.5), high: quantile(rolling, 0.95), whole: of(0, n), observations: n, windows: rolling.length, warnings }
}

/** How much harder one asset moves than another. */
export type Beta = { readonly beta: number; readonly correlation: number; readonly observations: number; /** Of the days on which the reference fell by `fall` or more; null with fewer than 30. */ readonly onFalls: number | null }

/**
 * Beta of `a` to `b`: Σab / Σb², through the origin; and the same over the reference's falls alone, which is what a stress asks for.
 *
 * `fall` > 0 as a fraction per pair (0.05 = 5 %). Throws SampleTooSmallError below 30 pairs. Measured on BTC's days below −5 %, ETH's was 1.125.
 * Source: Sharpe, Capital asset prices, 1964; Ang, Chen, Xing, Downside risk, 2006 (the falls).
 */
export function betaTo(a: Returns, b: Returns, fall = 0.05): Beta {
  requirePair(a, b)
  const n = a.values.length
  if (n < MIN_PAIRS) throw new SampleTooSmallError({ statistic: 'beta', found: n, needed: MIN_PAIRS })
  const { ab, aa, bb } = moments(a, b, 0, n)
  if (!(bb > 0)) throw new BadInputError('Found a reference that never moves, allowed is a price that does; check the feed')
  const [x, y] = [a.values, b.values]
  const falls = [...y.keys()].filter((i) => (y[i] as number) <= Math.log1p(-fall))
  const sum = (f: (i: number) => number): number => falls.reduce((total, i) => total + f(i) / (a.spans[i] as number), 0)
  const onFalls = falls.length < MIN_PAIRS ? null : sum((i) => (x[i] as number) * (y[i] as number)) / sum((i) => (y[i] as number) ** 2)
  return { beta: ab / bb, correlation: aa > 0 ? ab / Math.sqrt(aa * bb) : 0, observations: n, onFalls }
}

/** What a stress multiplies the worse of BTC and ETH with for another market: the larger of its betas to them (on falls where known), at least 1. */
export const stressBeta = (toBtc: Beta | null, toEth: Beta | null): number => Math.max(1, ...[toBtc, toEth].flatMap((b) => (b === null ? [] : [b.beta, b.onFalls ?? b.beta])))

/** A correlation matrix that can be, and how far it had to move for that. */
export type ValidMatrix = { readonly matrix: readonly (readonly number[])[]; /** Share of the identity that was mixed in; 0 where it was valid. */ readonly shrunk: number }

/**
 * Smallest λ for which (1 − λ)·ρ + λ·I has no negative variance in it (is positive semi-definite), and that matrix.
 *
 * ρ symmetric, ones on its diagonal, entries in [−1, 1]; else BadInputError. Bands of single pairs need not fit together, so this is usual.
 * Source: risk models §6.5; Rousseeuw, Molenberghs, Transformation of non positive semidefinite correlation matrices, 1993, §3 (shrinking).
 */
export function validCorrelation(matrix: readonly (readonly number[])[]): ValidMatrix {
  const n = matrix.length
  matrix.forEach((row, i) => {
    if (row.length !== n || row[i] !== 1 || !row.every((x, j) => x >= -1 && x <= 1 && x === matrix[j]?.[i])) {
      throw new BadInputError(`Found row ${i} of a correlation matrix as ${row.join(', ')}, allowed is a symmetric matrix of numbers from -1 to 1 with ones on its diagonal; check the pairs`)
    }
  })
  const shrunk = (lambda: number): number[][] => matrix.map((row, i) => row.map((x, j) => (i === j ? 1 : (1 - lambda) * x)))
  if (isSemiDefinite(matrix)) return { matrix, shrunk: 0 }
  let [low, high] = [0, 1]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (isSemiDefinite(shrunk(middle))) high = middle
    else low = middle
  }
  return { matrix: shrunk(high), shrunk: high }
}

/** Whether a symmetric matrix has a Cholesky factor, zeros allowed within rounding. */
function isSemiDefinite(matrix: readonly (readonly number[])[]): boolean {
  const n = matrix.length
  const factor = Array.from({ length: n }, () => new Float64Array(n))
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const [left, right] = [factor[i] as Float64Array, factor[j] as Float64Array]
      let rest = matrix[i]?.[j] as number
      for (let k = 0; k < j; k++) rest -= (left[k] as number) * (right[k] as number)
      if (i === j) {
        if (rest < -1e-12) return false
        left[i] = Math.sqrt(Math.max(0, rest))
      } else if ((right[j] as number) > 1e-7) left[j] = rest / (right[j] as number)
      else if (Math.abs(rest) > 1e-6) return false
    }
  }
  return true
}
