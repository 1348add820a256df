import { BadInputError } from '../../core/errors.ts'
import { ModelFitError, SampleTooSmallError } from './errors.ts'
import { minimise } from './optimise.ts'
import { createRandom } from './random.ts'
import type { Returns } from './series.ts'
import { MIN_EWMA_OBSERVATIONS, type VolatilityPath } from './volatility.ts'

/**
 * Fewest returns for a GARCH fit.
 * Source: Hwang, Valls Pereira, Small sample properties of GARCH estimates and persistence, 2006 (at least 500 for GARCH(1,1)).
 */
export const MIN_GARCH_OBSERVATIONS = 500

/** Persistence from which a fit is refused: shocks to variance would outlive any sample, and there is no long-run volatility to return to. */
export const MAX_PERSISTENCE = 0.9999

/** Coefficients of σ²_{t+1} = ω + α·r_t² + β·σ_t², per bar: ω > 0, α ≥ 0, β ≥ 0. */
export type GarchParameters = { readonly omega: number; readonly alpha: number; readonly beta: number }

/** A fitted GARCH(1,1) with what it stands on, and its volatility along the returns. */
export type GarchFit = GarchSummary & { readonly path: VolatilityPath }

/** A fit in a few numbers. */
export type GarchSummary = {
  readonly model: 'garch-1-1'
  readonly version: '1'
  readonly parameters: GarchParameters
  /** Standard errors from the inverse of the likelihood's curvature; null where a coefficient lies on its bound and has none. */
  readonly standardErrors: GarchParameters | null
  /** α + β. */
  readonly persistence: number
  /** Bars in which half of a shock to variance is gone. */
  readonly halfLifeBars: number
  /** √(ω / (1 − α − β)), σ per bar. */
  readonly longRun: number
  readonly logLikelihood: number
  /** Twice the gain in log likelihood over a constant variance: below about 6 the sample shows no clustering. */
  readonly gainOverConstant: number
  readonly observations: number
  readonly convergence: { readonly converged: true; readonly iterations: number; readonly spread: number; readonly gradientPerObservation: number }
  readonly warnings: readonly string[]
}

const persistenceOf = ({ alpha, beta }: GarchParameters): number => alpha + beta

function requireStationary(parameters: GarchParameters): void {
  const { omega, alpha, beta } = parameters
  if (!(omega > 0) || !(alpha >= 0) || !(beta >= 0) || !Number.isFinite(omega)) {
    throw new BadInputError(`Found GARCH coefficients ω ${omega}, α ${alpha}, β ${beta}, allowed are ω above 0 and α, β from 0; fit them to returns`)
  }
  if (!(alpha + beta < 1)) throw new ModelFitError({ model: 'GARCH(1,1)', found: `α + β = ${alpha + beta}, a variance that never returns`, action: 'use the EWMA, or a longer sample' })
}

/**
 * One step of the variance: σ² ← ω + α·r²/k + β·σ², taken k times for a return over `span` = k bars.
 *
 * A return over a gap says nothing of the way through it, so each of its bars gets the mean square r²/k. With ω = 0 and α = 1 − β it is `ewmaStep`.
 * `value` is a log return. Result per bar. (ω 1e-5, α 0.08, β 0.9, σ 3 %, r 6 %) gives 3.32866 %.
 * Source: Bollerslev, Generalized autoregressive conditional heteroskedasticity, 1986, eq. 2; for k bars the closed form of the recursion.
 */
export function garchStep({ omega, alpha, beta }: GarchParameters, variance: number, value: number, span = 1): number {
  const shock = omega + (alpha * value * value) / span
  if (span === 1) return shock + beta * variance
  const keep = beta ** span
  return keep * variance + shock * (beta === 1 ? span : (1 - keep) / (1 - beta))
}

/**
 * Variance of the sum of the next h returns: Σ_{j<h} [V + (α+β)^j·(σ² − V)], V = ω / (1 − α − β).
 *
 * `variance` is that of the next bar; `bars` ≥ 0, a fraction is interpolated by the same formula. Returns a variance; its root is σ over the horizon.
 * (σ 3.32866 %, 5 bars) gives 7.36261 %. Source: Engle, Bollerslev, Modelling the persistence of conditional variances, 1986, §3.
 */
export function garchHorizonVariance(parameters: GarchParameters, variance: number, bars: number): number {
  requireStationary(parameters)
  if (!(bars >= 0)) throw new BadInputError(`Found a horizon of ${bars} bars, allowed is a number from 0; check the horizon`)
  return horizonVariance(parameters, variance, bars)
}

function horizonVariance(parameters: GarchParameters, variance: number, bars: number): number {
  if (bars === 1) return variance
  const p = persistenceOf(parameters)
  const longRun = parameters.omega / (1 - p)
  return bars * longRun + ((variance - longRun) * (1 - p ** bars)) / (1 - p)
}

/** Σr² / Σk: the plain variance per bar. */
export const meanSquare = (returns: Returns): number => {
  let squares = 0
  let bars = 0
  for (let i = 0; i < returns.values.length; i++) {
    squares += (returns.values[i] as number) ** 2
    bars += returns.spans[i] as number
  }
  return squares / bars
}

/** −ln L without its constant, of the returns under the coefficients; before them stand a squared return and a variance of `seed`. */
function negativeLogLikelihood(returns: Returns, parameters: GarchParameters, seed: number): number {
  const { values, spans } = returns
  const { omega, alpha, beta } = parameters
  const { log } = Math
  let variance = omega + (alpha + beta) * seed
  let sum = 0
  for (let i = 0; i < values.length; i++) {
    const square = (values[i] as number) ** 2
    const k = spans[i] as number
    if (k === 1) {
      sum += log(variance) + square / variance
      variance = omega + alpha * square + beta * variance
    } else {
      const over = horizonVariance(parameters, variance, k)
      sum += log(over) + square / over
      variance = garchStep(parameters, variance, values[i] as number, k)
    }
  }
  return sum / 2
}

/**
 * σ per bar along a return series under given coefficients: before each return and after the last.
 *
 * `before[i]`·√k is σ of the whole return i over k bars. Before the first return stand a squared return and a variance of `seed`, the
 * sample's mean square where left out.
 * Throws SampleTooSmallError below 30 returns, ModelFitError where α + β is not below 1.
 */
export function garchVolatility(returns: Returns, parameters: GarchParameters, seed = meanSquare(returns)): VolatilityPath {
  requireStationary(parameters)
  const n = returns.values.length
  if (n < MIN_EWMA_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'GARCH volatility', found: n, needed: MIN_EWMA_OBSERVATIONS })
  const before = new Float64Array(n)
  let variance = parameters.omega + persistenceOf(parameters) * seed
  for (let i = 0; i < n; i++) {
    const k = returns.spans[i] as number
    before[i] = Math.sqrt(horizonVariance(parameters, variance, k) / k)
    variance = garchStep(parameters, variance, returns.values[i] as number, k)
  }
  return { before, current: Math.sqrt(variance), longRun: Math.sqrt(parameters.omega / (1 - persistenceOf(parameters))), observations: n }
}

/**
 * GARCH(1,1) by maximum likelihood under normal shocks, which estimates the coefficients of fat-tailed returns consistently too.
 *
 * The search runs over ln(ω/s²), the persistence and α's share of it (s² the mean square), so that ω, α, β keep their signs; before
 * the first return stand a squared return and a variance of s². No mean is subtracted. `near`: coefficients to start from, as yesterday's; two standing guesses where left out. Throws SampleTooSmallError below 500 returns; ModelFitError where the search does not settle, where
 * the best fit is not stationary (α + β ≥ 0.9999), and where all returns are 0.
 * Source: Bollerslev, 1986, §4; Bollerslev, Wooldridge, Quasi-maximum likelihood estimation, 1992, Theorem 2.1; Fiorentini, Calzolari, Panattoni,
 * Analytic derivatives and the computation of GARCH estimates, 1996 (the start).
 */
export function fitGarch(returns: Returns, near: GarchParameters | null = null): GarchFit {
  const n = returns.values.length
  if (n < MIN_GARCH_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'GARCH(1,1)', found: n, needed: MIN_GARCH_OBSERVATIONS })
  const seed = meanSquare(returns)
  if (!(seed > 0)) throw new ModelFitError({ model: 'GARCH(1,1)', found: `${n} returns of 0`, action: 'check the feed: a price that never moves has no volatility' })
  const scaled: Returns = { ...returns, values: returns.values.map((r) => r / Math.sqrt(seed)) }

  // Persistence up to 1.02: a likelihood that grows beyond 1 is then found there, and refused.
  const parametersOf = ([logOmega, persistence, share]: readonly number[]): GarchParameters => {
    const p = 1.02 / (1 + Math.exp(-(persistence as number)))
    const s = 1 / (1 + Math.exp(-(share as number)))
    return { omega: Math.exp(logOmega as number), alpha: p * s, beta: p * (1 - s) }
  }
  const logit = (x: number): number => Math.log(x / (1 - x))
  const objective = (x: readonly number[]): number => negativeLogLikelihood(scaled, parametersOf(x), 1)
  const inside = (x: number): number => Math.min(0.999, Math.max(0.001, x))
  const guesses = near === null ? [[0.05, 0.95, 0.1], [0.3, 0.7, 0.3]] : [[near.omega / seed, inside(persistenceOf(near)), inside(near.alpha / persistenceOf(near))]]
  const starts = guesses.map(([omega, p, s]) => [Math.log(omega as number), logit((p as number) / 1.02), logit(s as number)])
  const found = starts.map((start) => minimise(objective, start, { step: 0.5, tolerance: 1e-10, maxIterations: 4000 })).reduce((a, b) => (b.value < a.value ? b : a))
  const inScale = parametersOf(found.x)
  const parameters: GarchParameters = { ...inScale, omega: inScale.omega * seed }
  const persistence = persistenceOf(parameters)
  if (persistence >= MAX_PERSISTENCE) {
    throw new ModelFitError({ model: 'GARCH(1,1)', found: `α + β = ${persistence.toFixed(5)}, a variance that never returns`, action: 'use the EWMA, or a longer sample' })
  }
  const gradient = found.x.map((x, i) => {
    const step = 1e-4
    const shifted = (by: number): number => objective(found.x.map((v, j) => (i === j ? x + by : v)))
    return (shifted(step) - shifted(-step)) / (2 * step)
  })
  const gradientPerObservation = Math.hypot(...gradient) / n
  if (!found.converged || !(gradientPerObservation < 1e-4)) {
    throw new ModelFitError({ model: 'GARCH(1,1)', found: `no settled likelihood after ${found.iterations} iterations (slope ${gradientPerObservation.toExponential(1)} per return)`, action: 'use the EWMA' })
  }

  const standardErrors = curvatureErrors(scaled, inScale, seed)
  const gainOverConstant = 2 * (n / 2 + logSpans(returns) - found.value)
  const warnings: string[] = []
  if (n < 1000) warnings.push(`${n} returns; 1,000 make the coefficients reliable`)
  if (gainOverConstant < 5.99) warnings.push('no volatility clustering is visible: a constant volatility fits as well')
  if (standardErrors === null) warnings.push('a coefficient lies on its bound and has no standard error')
  return {
    model: 'garch-1-1',
    version: '1',
    parameters,
    standardErrors,
    persistence,
    halfLifeBars: Math.log(0.5) / Math.log(persistence),
    longRun: Math.sqrt(parameters.omega / (1 - persistence)),
    logLikelihood: -found.value - (n / 2) * Math.log(2 * Math.PI * seed),
    gainOverConstant: Math.max(0, gainOverConstant),
    observations: n,
    convergence: { converged: true, iterations: found.iterations, spread: found.spread, gradientPerObservation },
    path: garchVolatility(returns, parameters),
    warnings,
  }
}

/**
 * Returns that a GARCH(1,1) could have made, each over one bar: r_t = z_t·σ_t, z drawn from `shocks` (residuals of a real series) or normal.
 *
 * Starts at the long-run variance. The same seed gives the same bytes. A series of years for tests that need more history than there is (Basel’s
 * 250 days); say so where it is shown. Throws BadInputError below 1 bar. Source: Bollerslev, 1986, eq. 1 and 2.
 */
export function generateReturns(parameters: GarchParameters, options: { bars: number; barSec: number; seed: number; shocks?: Float64Array }): Returns {
  requireStationary(parameters)
  const { bars, barSec, seed, shocks } = options
  if (!Number.isInteger(bars) || bars < 1 || shocks?.length === 0) throw new BadInputError(`Found ${bars} bars${shocks?.length === 0 ? ' and no shocks' : ''}, allowed are whole numbers from 1 and at least one shock; 2500 days are ten years of trading`)
  const random = createRandom(seed)
  let variance = parameters.omega / (1 - persistenceOf(parameters))
  const values = new Float64Array(bars)
  for (let i = 0; i < bars; i++) {
    const z = shocks === undefined ? random.normal() : (shocks[random.below(shocks.length)] as number)
    values[i] = z * Math.sqrt(variance)
    variance = garchStep(parameters, variance, values[i] as number)
  }
  return { barSec, barCount: bars + 1, values, spans: new Float64Array(bars).fill(1), gapBars: 0, dropped: 0 }
}

/** What gaps add to −ln L of a constant variance of 1: ½·Σ ln k. */
const logSpans = (returns: Returns): number => returns.spans.reduce((sum, k) => sum + Math.log(k), 0) / 2

/** Standard errors of ω, α, β: roots of the diagonal of the inverse Hessian of −ln L, by central differences; null unless it is positive definite. */
function curvatureErrors(scaled: Returns, at: GarchParameters, seed: number): GarchParameters | null {
  const x = [at.omega, at.alpha, at.beta]
  const steps = x.map((v) => Math.max(1e-5, Math.abs(v) * 1e-3))
  const value = (d: readonly number[]): number => {
    const [omega, alpha, beta] = x.map((v, i) => v + (d[i] as number) * (steps[i] as number)) as [number, number, number]
    return alpha < 0 || beta < 0 || alpha + beta >= 1 ? NaN : negativeLogLikelihood(scaled, { omega, alpha, beta }, 1)
  }
  const unit = (i: number, by: number): number[] => [0, 1, 2].map((j) => (i === j ? by : 0))
  const both = (a: readonly number[], b: readonly number[]): number[] => a.map((v, i) => v + (b[i] as number))
  const centre = value([0, 0, 0])
  const h = [0, 1, 2].map((i) =>
    [0, 1, 2].map((j) => {
      const scale = (steps[i] as number) * (steps[j] as number)
      if (i === j) return (value(unit(i, 1)) - 2 * centre + value(unit(i, -1))) / scale
      return (value(both(unit(i, 1), unit(j, 1))) - value(both(unit(i, 1), unit(j, -1))) - value(both(unit(i, -1), unit(j, 1))) + value(both(unit(i, -1), unit(j, -1)))) / (4 * scale)
    }),
  ) as [[number, number, number], [number, number, number], [number, number, number]]
  type Axis = 0 | 1 | 2
  const minor = (a: Axis, b: Axis): number => h[a][a] * h[b][b] - h[a][b] * h[b][a]
  const determinant = h[0][0] * minor(1, 2) - h[0][1] * (h[1][0] * h[2][2] - h[1][2] * h[2][0]) + h[0][2] * (h[1][0] * h[2][1] - h[1][1] * h[2][0])
  if (!(h[0][0] > 0) || !(minor(0, 1) > 0) || !(determinant > 0)) return null
  const [omega, alpha, beta] = [minor(1, 2), minor(0, 2), minor(0, 1)].map((m) => Math.sqrt(m / determinant)) as [number, number, number]
  return { omega: omega * seed, alpha, beta }
}
