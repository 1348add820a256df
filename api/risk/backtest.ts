import { BadInputError } from '../../core/errors.ts'
import { binomialCdf, chiSquareSurvival, normalPdf, normalQuantile } from './distributions.ts'
import { SampleTooSmallError } from './errors.ts'
import { fitGarch, garchVolatility, meanSquare, MIN_GARCH_OBSERVATIONS, type GarchParameters } from './garch.ts'
import type { Returns } from './series.ts'
import { MIN_FHS_OBSERVATIONS, MIN_TAIL_POINTS, requireLevel, type Side } from './tail.ts'
import { ewmaVolatility, MIN_EWMA_OBSERVATIONS } from './volatility.ts'

/** Likelihood ratio above which a test with 1 or 2 degrees of freedom rejects at 5 %. */
const CRITICAL = { 1: 3.841, 2: 5.991 } as const

/** count·ln(probability), with 0·ln 0 = 0. */
const term = (count: number, probability: number): number => (count === 0 ? 0 : count * Math.log(probability))

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
  const share = exceptions / observations
  const likelihoodRatio = Math.max(0, -2 * (term(observations - exceptions, 1 - p) + term(exceptions, p) - term(observations - exceptions, 1 - share) - term(exceptions, share)))
  return { likelihoodRatio, pValue: chiSquareSurvival(likelihoodRatio, 1), exceptions, observations, rejected: likelihoodRatio > CRITICAL[1] }
}

/** How often a day without (0) or with (1) an exception is followed by one without or with: n_ij. */
export type Transitions = { readonly n00: number; readonly n01: number; readonly n10: number; readonly n11: number }

/** Outcome of Christoffersen's independence test. */
export type IndependenceTest = { readonly likelihoodRatio: number; readonly pValue: number; readonly transitions: Transitions; readonly rejected: boolean }

/**
 * Christoffersen's test that an exception says nothing about the next bar:
 * LR = −2·ln[(1−π)^(n00+n10)·π^(n01+n11) / ((1−π01)^n00·π01^n01·(1−π11)^n10·π11^n11)], π_ij = n_ij / (n_i0 + n_i1), χ² with 1 degree of freedom.
 *
 * `exceptions` in time order, at least 2. With no exception there is nothing to cluster: LR 0. `rejected` at 5 % (LR > 3.841).
 * Source: Christoffersen, Evaluating interval forecasts, 1998, §3.2, eq. 14.
 */
export function christoffersen(exceptions: readonly boolean[]): IndependenceTest {
  if (exceptions.length < 2) throw new SampleTooSmallError({ statistic: 'independence of exceptions', found: exceptions.length, needed: 2 })
  const counts = [0, 0, 0, 0]
  for (let i = 1; i < exceptions.length; i++) (counts[(exceptions[i - 1] === true ? 2 : 0) + (exceptions[i] === true ? 1 : 0)] as number)++
  const [n00, n01, n10, n11] = counts as [number, number, number, number]
  const rate = (hit: number, miss: number): number => (hit + miss === 0 ? 0 : hit / (hit + miss))
  const all = rate(n01 + n11, n00 + n10)
  const after0 = rate(n01, n00)
  const after1 = rate(n11, n10)
  const likelihoodRatio = Math.max(
    0,
    -2 * (term(n00 + n10, 1 - all) + term(n01 + n11, all) - term(n00, 1 - after0) - term(n01, after0) - term(n10, 1 - after1) - term(n11, after1)),
  )
  return { likelihoodRatio, pValue: chiSquareSurvival(likelihoodRatio, 1), transitions: { n00, n01, n10, n11 }, rejected: likelihoodRatio > CRITICAL[1] }
}

/** Outcome of Christoffersen's conditional coverage test. */
export type ConditionalCoverageTest = { readonly likelihoodRatio: number; readonly pValue: number; readonly rejected: boolean }

/** Right number of exceptions and no clustering at once: LR_cc = LR_uc + LR_ind, χ² with 2 degrees of freedom, `rejected` at 5 % (LR > 5.991). Source: Christoffersen, 1998, §3.3. */
export function conditionalCoverage(coverage: KupiecTest, independence: IndependenceTest): ConditionalCoverageTest {
  const likelihoodRatio = coverage.likelihoodRatio + independence.likelihoodRatio
  return { likelihoodRatio, pValue: chiSquareSurvival(likelihoodRatio, 2), rejected: likelihoodRatio > CRITICAL[2] }
}

export type Zone = 'green' | 'yellow' | 'red'

/** A zone with what it follows from. */
export type BaselZone = { readonly zone: Zone; readonly exceptions: number; readonly observations: number; /** Chance of at most this many exceptions from a right model. */ readonly cumulativeProbability: number }

/** Days over which the Basel zones are counted. */
export const BASEL_OBSERVATIONS = 250

/**
 * Traffic light of the Basel Committee: yellow from where a right model stays below with 95 %, red from 99.99 %.
 *
 * For 250 observations at 99 % that is green 0–4, yellow 5–9, red 10 and more; other sizes and levels follow the same probabilities.
 * Source: Basel Committee on Banking Supervision, Supervisory framework for the use of "backtesting", 1996, §III and Table 2; MAR32.
 */
export function baselZone(exceptions: number, observations = BASEL_OBSERVATIONS, level = 0.99): BaselZone {
  requireLevel(level)
  const cumulativeProbability = binomialCdf(exceptions, observations, 1 - level)
  const zone = cumulativeProbability < 0.95 ? 'green' : cumulativeProbability < 0.9999 ? 'yellow' : 'red'
  return { zone, exceptions, observations, cumulativeProbability }
}

/** A VaR model as a backtest runs it. `window`: how many past returns it looks at; all of them where left out. */
export type BacktestModel =
  /** The past returns themselves. */
  | { readonly kind: 'historical'; readonly window?: number }
  /** A normal distribution with the EWMA's volatility. */
  | { readonly kind: 'normal-ewma'; readonly lambda: number }
  /** The past residuals at the EWMA's volatility. */
  | { readonly kind: 'fhs-ewma'; readonly lambda: number; readonly window?: number }
  /** The past residuals at a GARCH volatility, fitted again to the past every `refitEvery` returns. */
  | { readonly kind: 'fhs-garch'; readonly refitEvery: number; readonly window?: number }

/** A backtest with everything that it says. Losses and VaR in log returns, a loss positive. */
export type Backtest = {
  readonly model: BacktestModel['kind']
  readonly version: '1'
  readonly level: number
  readonly side: Side
  /** Forecasts that were compared with what came. */
  readonly observations: number
  readonly exceptions: number
  readonly expected: number
  /** Index in the returns of the first forecast. */
  readonly first: number
  /** VaR forecast for return `first + i`, made from the returns before it alone. */
  readonly valueAtRisk: Float64Array
  readonly exceptionIndexes: readonly number[]
  readonly coverage: KupiecTest
  readonly independence: IndependenceTest
  readonly conditional: ConditionalCoverageTest
  /** Over the last 250 forecasts, the worst 250 in a row, and how many windows of 250 lie in each zone; null with fewer. */
  readonly zones: { readonly last: BaselZone; readonly worst: BaselZone; readonly windows: Readonly<Record<Zone, number>> } | null
  /**
   * Z = Σ over exceptions of (loss / ES forecast) / (n·(1 − level)) − 1: 0 expected, positive where losses beyond the VaR were larger or more than
   * forecast. `rejected` above 0.7, about 5 % of right models whatever their tail. Source: Acerbi, Székely, Back-testing expected shortfall, 2014, test 2.
   */
  readonly expectedShortfall: { readonly z: number; readonly rejected: boolean }
  readonly warnings: readonly string[]
}

/**
 * Rolling out-of-sample backtest: for each return a VaR from the returns before it alone, then the tests on which losses exceeded theirs.
 *
 * level in (0, 1). The first forecast waits until the model has its least sample (30 returns for the normal, 500 residuals for FHS, 5 tail points
 * everywhere). Throws SampleTooSmallError where fewer than 30 forecasts remain, BadInputError for a window too short for the level.
 * Source: Christoffersen, Elements of financial risk management, 2nd ed., 2012, ch. 13.
 */
export function backtest(returns: Returns, options: { model: BacktestModel; level: number; side: Side }): Backtest {
  const { model, level, side } = options
  requireLevel(level)
  const forecasts = forecast(returns, model, level, side)
  const n = forecasts.valueAtRisk.length
  if (n < 30) throw new SampleTooSmallError({ statistic: `backtest of ${model.kind}`, found: returns.values.length, needed: forecasts.first + 30 })
  const sign = side === 'down' ? -1 : 1
  const hits: boolean[] = []
  const exceptionIndexes: number[] = []
  let severity = 0
  for (let i = 0; i < n; i++) {
    const loss = sign * (returns.values[forecasts.first + i] as number)
    const hit = loss > (forecasts.valueAtRisk[i] as number)
    hits.push(hit)
    if (!hit) continue
    exceptionIndexes.push(forecasts.first + i)
    severity += loss / (forecasts.expectedShortfall[i] as number)
  }
  const exceptions = exceptionIndexes.length
  const coverage = kupiec(n, exceptions, 1 - level)
  const independence = christoffersen(hits)
  const z = severity / (n * (1 - level)) - 1
  const warnings: string[] = []
  if (n < BASEL_OBSERVATIONS) warnings.push(`${n} forecasts; the Basel zones need ${BASEL_OBSERVATIONS}`)
  if (n * (1 - level) < MIN_TAIL_POINTS) warnings.push(`${(n * (1 - level)).toFixed(1)} exceptions expected; the tests have little power below ${MIN_TAIL_POINTS}`)
  if (forecasts.unstable > 0) warnings.push(`${forecasts.unstable} GARCH fits were refused; the last good one was kept`)
  return {
    model: model.kind,
    version: '1',
    level,
    side,
    observations: n,
    exceptions,
    expected: n * (1 - level),
    first: forecasts.first,
    valueAtRisk: forecasts.valueAtRisk,
    exceptionIndexes,
    coverage,
    independence,
    conditional: conditionalCoverage(coverage, independence),
    zones: zonesOf(hits, level),
    expectedShortfall: { z, rejected: z > 0.7 },
    warnings,
  }
}

function zonesOf(hits: readonly boolean[], level: number): Backtest['zones'] {
  if (hits.length < BASEL_OBSERVATIONS) return null
  const windows = { green: 0, yellow: 0, red: 0 }
  let count = 0
  let worst = 0
  // Thousands of windows, a handful of counts.
  const known = new Map<number, Zone>()
  const zoneOf = (exceptions: number): Zone => {
    const found = known.get(exceptions) ?? baselZone(exceptions, BASEL_OBSERVATIONS, level).zone
    known.set(exceptions, found)
    return found
  }
  for (let i = 0; i < hits.length; i++) {
    if (hits[i] === true) count++
    if (i >= BASEL_OBSERVATIONS && hits[i - BASEL_OBSERVATIONS] === true) count--
    if (i + 1 < BASEL_OBSERVATIONS) continue
    windows[zoneOf(count)]++
    worst = Math.max(worst, count)
  }
  return { last: baselZone(count, BASEL_OBSERVATIONS, level), worst: baselZone(worst, BASEL_OBSERVATIONS, level), windows }
}

type Forecasts = { first: number; valueAtRisk: Float64Array; expectedShortfall: Float64Array; unstable: number }

function forecast(returns: Returns, model: BacktestModel, level: number, side: Side): Forecasts {
  const { values, spans } = returns
  const n = values.length
  const sign = side === 'down' ? -1 : 1
  if (model.kind === 'normal-ewma') {
    const path = ewmaVolatility(returns, model.lambda)
    const quantile = normalQuantile(level)
    const shortfall = normalPdf(quantile) / (1 - level)
    const first = MIN_EWMA_OBSERVATIONS
    const sigma = Float64Array.from({ length: n - first }, (_, i) => (path.before[first + i] as number) * Math.sqrt(spans[first + i] as number))
    return { first, valueAtRisk: sigma.map((s) => quantile * s), expectedShortfall: sigma.map((s) => shortfall * s), unstable: 0 }
  }
  const enough = Math.max(Math.ceil(MIN_TAIL_POINTS / (1 - level) - 1e-9), model.kind === 'historical' ? 0 : MIN_FHS_OBSERVATIONS)
  if (model.window === undefined && n < enough) throw new SampleTooSmallError({ statistic: `backtest of ${model.kind}`, found: n, needed: enough + 30 })
  const window = model.window ?? n
  if (!(window >= enough)) throw new BadInputError(`Found a window of ${window} returns, allowed is at least ${enough} at ${level}; lengthen it`)

  const { scale, start, unstable } = scales(returns, model)
  const sample = new SortedWindow(window)
  const valueAtRisk: number[] = []
  const expectedShortfall: number[] = []
  let first = n
  for (let i = start; i < n; i++) {
    const sigma = scale[i] as number
    if (sample.size >= enough) {
      first = Math.min(first, i)
      const tail = sample.tail(level)
      valueAtRisk.push(tail.smallest * sigma)
      expectedShortfall.push(tail.mean * sigma)
    }
    if (sigma > 0) sample.add((sign * (values[i] as number)) / sigma)
  }
  return { first, valueAtRisk: Float64Array.from(valueAtRisk), expectedShortfall: Float64Array.from(expectedShortfall), unstable }
}

/** What each return is divided by before it joins the sample, and the sample multiplied with: known before the return. */
function scales(returns: Returns, model: Exclude<BacktestModel, { kind: 'normal-ewma' }>): { scale: Float64Array; start: number; unstable: number } {
  const roots = returns.spans.map(Math.sqrt)
  if (model.kind === 'historical') return { scale: roots, start: 0, unstable: 0 }
  if (model.kind === 'fhs-ewma') {
    const { before } = ewmaVolatility(returns, model.lambda)
    return { scale: before.map((s, i) => s * (roots[i] as number)), start: MIN_EWMA_OBSERVATIONS, unstable: 0 }
  }
  const { refitEvery } = model
  if (!Number.isInteger(refitEvery) || refitEvery < 1) throw new BadInputError(`Found a refit every ${refitEvery} returns, allowed is a whole number from 1; 250 is once a year of days`)
  const n = returns.values.length
  const scale = new Float64Array(n)
  let parameters: GarchParameters | null = null
  let unstable = 0
  for (let from = MIN_GARCH_OBSERVATIONS; from < n; from += refitEvery) {
    const until = (end: number): Returns => ({ ...returns, values: returns.values.subarray(0, end), spans: returns.spans.subarray(0, end) })
    const past = until(from)
    try {
      parameters = fitGarch(past, parameters).parameters
    } catch (error) {
      // A refused fit keeps the last good one; without any there is no forecast to test.
      if (parameters === null) throw error
      unstable++
    }
    const to = Math.min(n, from + refitEvery)
    const { before } = garchVolatility(until(to), parameters, meanSquare(past))
    const first = from === MIN_GARCH_OBSERVATIONS ? MIN_EWMA_OBSERVATIONS : from
    for (let i = first; i < to; i++) scale[i] = (before[i] as number) * (roots[i] as number)
  }
  return { scale, start: MIN_EWMA_OBSERVATIONS, unstable }
}

/** The last `capacity` numbers, kept in order; one addition costs a shift of the array. */
class SortedWindow {
  readonly #capacity: number
  readonly #sorted: Float64Array
  readonly #arrived: Float64Array
  #added = 0
  size = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#sorted = new Float64Array(capacity)
    this.#arrived = new Float64Array(capacity)
  }

  add(value: number): void {
    const slot = this.#added % this.#capacity
    if (this.size === this.#capacity) {
      const at = this.#find(this.#arrived[slot] as number)
      this.#sorted.copyWithin(at, at + 1, this.size)
      this.size--
    }
    const at = this.#find(value)
    this.#sorted.copyWithin(at + 1, at, this.size)
    this.#sorted[at] = value
    this.#arrived[slot] = value
    this.size++
    this.#added++
  }

  /** The m = ⌊n·(1 − level)⌋ largest: the smallest of them, and their mean. */
  tail(level: number): { smallest: number; mean: number } {
    const m = Math.floor(this.size * (1 - level) + 1e-9)
    let sum = 0
    for (let i = this.size - m; i < this.size; i++) sum += this.#sorted[i] as number
    return { smallest: this.#sorted[this.size - m] as number, mean: sum / m }
  }

  /** First place whose value is not below `value`. */
  #find(value: number): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle] as number) < value) low = middle + 1
      else high = middle
    }
    return low
  }
}
