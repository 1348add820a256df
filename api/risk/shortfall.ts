/**
 * What an insurance fund may have to pay: the book carried along simulated price paths, liquidated as fast as the market takes it.
 * Seeded: the same inputs give the same bytes.
 */
import { BadInputError } from '../../core/errors.ts'
import { binomialCdf } from './distributions.ts'
import { SampleTooSmallError } from './errors.ts'
import { fundTarget, type FundTarget, type ScenarioShortfall, type StressAccount } from './fund.ts'
import { rangeAmounts } from './liquidity.ts'
import type { LiquidationRules } from './liquidation.ts'
import { createRandom } from './random.ts'
import type { BarSeries, Returns } from './series.ts'
import { MIN_FHS_OBSERVATIONS } from './tail.ts'
import { ewmaVolatility, MIN_EWMA_OBSERVATIONS } from './volatility.ts'

const DAY_SEC = 86_400

/** Fewest paths for a quantile of 99.9 % with its interval. Source: risk models §10. */
export const MIN_PATHS = 10_000

/**
 * Returns of several series over the same spans of time: between bars that all of them have.
 *
 * Row i of every result runs over the same bars, so that what moved together stays together. Rows over more than `maxSpan` bars are left
 * out and counted. Throws BadInputError where the series have different grids or one of them no price above 0.
 */
export function jointReturns(series: readonly BarSeries[], options: { readonly maxSpan: number }): readonly Returns[] {
  const [first] = series
  if (first === undefined) return []
  if (series.some((s) => s.barSec !== first.barSec || s.startSec !== first.startSec)) throw new BadInputError('Found series on different grids, allowed are series of one start and one bar length; build them together')
  const closes = series.map((s) => new Map(s.bars.map((b) => [b.index, b.close])))
  const common = first.bars.map((b) => b.index).filter((index) => closes.every((c) => (c.get(index) ?? 0) > 0))
  const rows: { readonly from: number; readonly to: number }[] = []
  let dropped = 0
  for (let i = 1; i < common.length; i++) {
    const row = { from: common[i - 1] as number, to: common[i] as number }
    if (row.to - row.from <= options.maxSpan) rows.push(row)
    else dropped++
  }
  const spans = Float64Array.from(rows, (r) => r.to - r.from)
  return closes.map((c) => ({
    barSec: first.barSec,
    barCount: first.barCount,
    values: Float64Array.from(rows, (r) => Math.log((c.get(r.to) as number) / (c.get(r.from) as number))),
    spans,
    gapBars: first.barCount - common.length,
    dropped,
  }))
}

/** Residuals of several assets, row by row of one time, and each one's volatility per bar now. */
export type JointResiduals = { readonly residuals: readonly Float64Array[]; readonly sigmaPerBar: readonly number[] }

/**
 * Standardised residuals z_i = r_i/(σ_i·√k_i) of joint returns, EWMA decay λ per bar. Rows that seeded σ, and rows in which any σ is 0, are
 * left out of all. Throws SampleTooSmallError below 500 rows. Source: as filteredHistorical, for several assets at once.
 */
export function jointResiduals(returns: readonly Returns[], lambda: number): JointResiduals {
  const paths = returns.map((r) => ewmaVolatility(r, lambda))
  const rows: number[] = []
  const n = returns[0]?.values.length ?? 0
  for (let i = MIN_EWMA_OBSERVATIONS; i < n; i++) if (paths.every((p) => (p.before[i] as number) > 0)) rows.push(i)
  if (rows.length < MIN_FHS_OBSERVATIONS) throw new SampleTooSmallError({ statistic: 'joint filtered historical simulation', found: rows.length, needed: MIN_FHS_OBSERVATIONS })
  return {
    residuals: returns.map((r, a) => Float64Array.from(rows, (i) => (r.values[i] as number) / ((paths[a]?.before[i] as number) * Math.sqrt(r.spans[i] as number)))),
    sigmaPerBar: paths.map((p) => p.current),
  }
}

/**
 * Where a path's returns come from, per bar, in the order of `assets`. `fhs`: a row of residuals times a volatility that goes on by EWMA
 * along the path (λ 1 keeps it as it is). `blockBootstrap`: runs of `blockBars` past returns (log), joined end to end.
 */
export type PathSource =
  | { readonly kind: 'fhs'; readonly residuals: readonly Float64Array[]; readonly sigmaPerBar: readonly number[]; readonly lambda: number }
  | { readonly kind: 'blockBootstrap'; readonly returns: readonly Float64Array[]; readonly blockBars: number }

export type ShortfallOptions = {
  /** Prices that move; every other one stands still. */
  readonly assets: readonly string[]
  readonly source: PathSource
  /** Bars of a path, and their length. */
  readonly steps: number
  readonly barSec: number
  readonly paths: number
  /** Whole number in [0, 2^32). */
  readonly seed: number
  /** Quote notional of an asset that liquidators can take in one bar. */
  readonly capacityPerStep: (asset: string) => number
  /** What closing costs the account, fraction of the notional closed, as `Shock.costOf`; asked with all that was closed in the bar so far. */
  readonly costOf: (asset: string, notional: number) => number
  readonly rules: Pick<LiquidationRules, 'fullBelow' | 'partialShare' | 'wholeUpTo'>
  /** In (0, 1): 0.999 for the fund's target, and the confidence of its interval. */
  readonly level: number
  readonly confidence: number
}

/** A quantile and the interval that its order statistics give. */
export type QuantileInterval = {
  readonly level: number
  readonly value: number
  readonly confidence: number
  readonly lower: number
  /** null where the sample is too small for an upper end. */
  readonly upper: number | null
}

export type SimulatedShortfall = {
  readonly paths: number
  readonly steps: number
  readonly horizonSec: number
  readonly seed: number
  /** Mean loss per path and its standard error, quote. */
  readonly mean: number
  readonly standardError: number
  readonly meanPerDay: number
  readonly quantile: QuantileInterval
  /** Mean of the losses at or beyond the quantile. */
  readonly expectedShortfall: number
  /** Share of paths with any loss, and of paths on which liquidators ran out of capacity. */
  readonly lossShare: number
  readonly capacityBoundShare: number
  readonly meanLiquidatedNotional: number
  /** Path of the largest loss: its number (to draw it again), loss, and each asset's change at its end. */
  readonly worst: { readonly path: number; readonly loss: number; readonly changes: Readonly<Record<string, number>> }
  /** How the losses of all paths are distributed. Absent from results that were stored before it was kept. */
  readonly histogram?: readonly LossBin[]
}

/** How many paths lose more than `from` and at most `to`, quote; from 0 to 0 are those without a loss. */
export type LossBin = { readonly from: number; readonly to: number; readonly paths: number }

/**
 * Losses counted in bins that follow each other without a gap: none, up to 1, and from there four to a decade, (10^(k/4), 10^((k+1)/4)], from the
 * smallest loss's to the largest's. The edges are the same for every sample, so that two runs can be laid over each other. Quote, ≥ 0.
 */
export function lossHistogram(losses: Float64Array): readonly LossBin[] {
  const edge = (k: number): number => (k < 0 ? 0 : 10 ** (k / 4))
  const counts = new Map<number, number>()
  let none = 0
  for (const loss of losses) {
    if (!(loss > 0)) {
      none++
      continue
    }
    // log10 of an edge may round to either side of it; the edges themselves decide.
    let k = Math.max(0, Math.ceil(4 * Math.log10(loss)))
    while (loss > edge(k)) k++
    while (k > 0 && loss <= edge(k - 1)) k--
    counts.set(k, (counts.get(k) ?? 0) + 1)
  }
  const [low, high] = counts.size === 0 ? [0, -1] : [Math.min(...counts.keys()), Math.max(...counts.keys())]
  return [{ from: 0, to: 0, paths: none }, ...Array.from({ length: high - low + 1 }, (_, i): LossBin => ({ from: edge(low + i - 1), to: edge(low + i), paths: counts.get(low + i) ?? 0 }))]
}

/**
 * Quantile of a sample with a distribution-free interval: [X_(l), X_(u)], l and u from the binomial distribution of how many observations
 * lie below the quantile, so that it covers with at least `confidence`.
 *
 * value = X_(⌈n·level⌉). `sorted` ascending, level and confidence in (0, 1). Throws SampleTooSmallError for an empty sample.
 * Source: David, Nagaraja, Order Statistics, 3rd ed., §7.1.
 */
export function quantileInterval(sorted: Float64Array, level: number, confidence: number): QuantileInterval {
  for (const p of [level, confidence]) if (!(p > 0 && p < 1)) throw new BadInputError(`Found a probability of ${p}, allowed is above 0 and below 1; 0.999 means 99.9 %`)
  const n = sorted.length
  if (n === 0) throw new SampleTooSmallError({ statistic: `quantile ${level}`, found: 0, needed: 1 })
  const tail = (1 - confidence) / 2
  // Smallest k in [0, n] with P(B ≤ k) ≥ p, B ~ Bin(n, level).
  const inverse = (p: number): number => {
    let low = 0
    let high = n
    while (low < high) {
      const middle = (low + high) >> 1
      if (binomialCdf(middle, n, level) >= p) high = middle
      else low = middle + 1
    }
    return low
  }
  const below = inverse(tail)
  const u = inverse(1 - tail) + 1
  return {
    level,
    value: sorted[Math.max(0, Math.ceil(n * level - 1e-9) - 1)] as number,
    confidence,
    lower: sorted[Math.max(0, below - 1)] as number,
    upper: u > n ? null : (sorted[u - 1] as number),
  }
}

/** Losses of some paths of a simulation: its parts may be computed anywhere, in any order. */
export type PathLosses = {
  readonly from: number
  readonly losses: Float64Array
  /** Of these paths: notional liquidated in all, and how many ran out of capacity. */
  readonly liquidated: number
  readonly capacityBound: number
  readonly worst: SimulatedShortfall['worst']
}

/** The book in arrays, nearest to trouble first. */
type Book = {
  readonly count: number
  readonly mm: Float64Array
  readonly cash: Float64Array
  /** Gross notional at prices that stand still: it asks for margin, and nobody can close it. */
  readonly still: Float64Array
  /** Account i holds slots start[i] to start[i + 1] of these; values at today's prices. */
  readonly start: Uint32Array
  readonly asset: Int32Array
  readonly position: Float64Array
  /** Collateral as it counts for margin, and as it pays. */
  readonly counted: Float64Array
  readonly recovered: Float64Array
  readonly ranges: readonly (readonly { readonly slot: number; readonly price: number; readonly range: { readonly lowerTick: number; readonly upperTick: number; readonly liquidity: number }; readonly baseDebt: number; readonly quoteDebt: number }[])[]
  /** Largest relative move of any price up to which the account can neither be due nor owe more than it recovers; ascending. */
  readonly threshold: Float64Array
}

function bookOf(accounts: readonly StressAccount[], assets: readonly string[]): Book {
  const indexOf = new Map(assets.map((a, i) => [a, i]))
  const built = accounts.map((account) => {
    type Slot = { position: number; counted: number; recovered: number }
    const slots = new Map<number, Slot>()
    const slot = (asset: string): Slot => {
      const key = indexOf.get(asset) ?? -1
      const found = slots.get(key) ?? { position: 0, counted: 0, recovered: 0 }
      slots.set(key, found)
      return found
    }
    // Prices that stand still share slot −1; positions in them are cash that asks for margin.
    let cash = account.cash
    let stillGross = 0
    for (const p of account.positions) {
      if (indexOf.has(p.asset)) slot(p.asset).position += p.value
      else {
        cash += p.value
        stillGross += Math.abs(p.value)
      }
    }
    for (const c of account.collateral) {
      const own = slot(c.asset)
      own.counted += c.counted
      own.recovered += c.recovered
    }
    for (const r of account.ranges) slot(r.asset)
    const list = [...slots.entries()].sort(([a], [b]) => a - b)
    const gross = list.reduce((sum, [, s]) => sum + Math.abs(s.position), stillGross)
    /** Move up to which a value with this much of the collateral stays at or above `margin` of gross. */
    const reach = (margin: number, held: (s: Slot) => number): number => {
      const slack = cash + list.reduce((sum, [, s]) => sum + s.position + held(s), 0) - margin * gross
      const exposure = list.reduce((sum, [key, s]) => sum + (key < 0 ? 0 : (1 + margin) * Math.abs(s.position) + Math.abs(held(s))), 0)
      return slack < 0 ? -1 : exposure === 0 ? Infinity : slack / exposure
    }
    const threshold = account.ranges.length > 0 ? -1 : Math.min(reach(account.maintenanceMargin, (s) => s.counted), reach(0, (s) => s.recovered))
    return { account, cash, stillGross, list, threshold }
  })
  built.sort((a, b) => (a.threshold === b.threshold ? (a.account.id < b.account.id ? -1 : 1) : a.threshold - b.threshold))
  const total = built.reduce((sum, b) => sum + b.list.length, 0)
  const book = {
    count: built.length,
    mm: Float64Array.from(built, (b) => b.account.maintenanceMargin),
    cash: Float64Array.from(built, (b) => b.cash),
    still: Float64Array.from(built, (b) => b.stillGross),
    start: new Uint32Array(built.length + 1),
    asset: new Int32Array(total),
    position: new Float64Array(total),
    counted: new Float64Array(total),
    recovered: new Float64Array(total),
    ranges: [] as Book['ranges'][number][],
    threshold: Float64Array.from(built, (b) => b.threshold),
  }
  let at = 0
  built.forEach((b, i) => {
    book.start[i] = at
    const slotOf = new Map<number, number>()
    for (const [key, s] of b.list) {
      slotOf.set(key, at)
      book.asset[at] = key
      book.position[at] = s.position
      book.counted[at] = s.counted
      book.recovered[at] = s.recovered
      at++
    }
    book.ranges.push(b.account.ranges.map((r) => ({ slot: slotOf.get(indexOf.get(r.asset) ?? -1) as number, price: r.price, range: r.range, baseDebt: r.baseDebt, quoteDebt: r.quoteDebt })))
  })
  book.start[built.length] = at
  return book
}

function check(options: ShortfallOptions): number {
  const { assets, source, steps, paths, barSec } = options
  for (const [field, whole] of [['steps', steps], ['paths', paths]] as const) {
    if (!Number.isInteger(whole) || whole < 1) throw new BadInputError(`Found ${whole} ${field}, allowed are whole numbers from 1; ${MIN_PATHS} paths carry a quantile of 99.9 %`, { field })
  }
  if (!(barSec > 0)) throw new BadInputError(`Found bars of ${barSec} s, allowed is above 0; give the length of a bar`, { field: 'barSec' })
  const rows = source.kind === 'fhs' ? source.residuals : source.returns
  const n = rows[0]?.length ?? 0
  if (rows.length !== assets.length || rows.some((r) => r.length !== n) || n === 0) throw new BadInputError(`Found ${rows.length} series for ${assets.length} assets, allowed is one of equal length above 0 for each; align them first`, { field: 'source' })
  if (source.kind === 'fhs' && (source.sigmaPerBar.length !== assets.length || !(source.lambda > 0 && source.lambda <= 1))) throw new BadInputError(`Found ${source.sigmaPerBar.length} volatilities and a decay of ${source.lambda}, allowed are one for each asset and a decay above 0 up to 1; check the source`, { field: 'source' })
  if (source.kind === 'blockBootstrap' && (!Number.isInteger(source.blockBars) || source.blockBars < 1 || source.blockBars > n)) throw new BadInputError(`Found blocks of ${source.blockBars} bars, allowed are whole numbers from 1 to ${n}; choose a shorter block`, { field: 'source' })
  return n
}

/**
 * Losses that a book leaves behind over `steps` bars, by Monte Carlo.
 *
 * In each bar prices move, accounts below maintenance are taken in the order of value/gross (the furthest below first), whole or by half as
 * `rules` say, as far as each asset's capacity reaches; closing costs what `costOfClosing` says, and ranges are taken back first. Who is due, and
 * whether whole, is decided by the value that counts for margin; a loss is what an account lacks once closed, of the value that can be recovered. At
 * the end whoever is still below maintenance is closed without limit. Penalties that the fund would earn are not counted, and liquidations do not
 * move the price (the cascade model does that). Quote, ≥ 0; homogeneous of degree 1 in book, capacity and wholeUpTo while closing costs a constant
 * fraction. Throws BadInputError, with the field, for series that do not fit.
 * Source: risk models §10; paths: Barone-Adesi, Giannopoulos, Vosper, 1999 (FHS); Künsch, The jackknife and the bootstrap for general
 * stationary observations, 1989 (blocks).
 */
export function simulateShortfall(accounts: readonly StressAccount[], options: ShortfallOptions): SimulatedShortfall {
  return summariseShortfall([simulatePaths(accounts, options, { from: 0, to: options.paths })], options)
}

/**
 * Paths `from` (included) to `to` (not included) of a simulation. Each path draws from its own stream of the seed, so that the parts of a
 * long run may be shared out, reported on and given up between two of them. Throws BadInputError for a range outside of the paths.
 */
export function simulatePaths(accounts: readonly StressAccount[], options: ShortfallOptions, range: { readonly from: number; readonly to: number }): PathLosses {
  const { assets, source, steps, paths, seed, rules } = options
  const { from, to } = range
  const n = check(options)
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to <= from || to > paths) throw new BadInputError(`Found paths ${from} to ${to}, allowed are whole numbers in order within 0 and ${paths}; split the run again`, { field: 'range' })
  const m = assets.length
  const book = bookOf(accounts, assets)
  const capacity = Float64Array.from(assets, (a) => options.capacityPerStep(a))
  const losses = new Float64Array(to - from)
  const factor = new Float64Array(m)
  const sigma = new Float64Array(m)
  const left = new Float64Array(m)
  const used = new Float64Array(m)
  const cash = new Float64Array(book.count)
  const position = new Float64Array(book.position.length)
  const closed = new Uint8Array(book.count)
  const cancelled = new Uint8Array(book.count)
  const value = new Float64Array(book.count)
  const recoverable = new Float64Array(book.count)
  const gross = new Float64Array(book.count)
  let boundPaths = 0
  let liquidated = 0
  let worst: SimulatedShortfall['worst'] = { path: 0, loss: -1, changes: {} }

  const at = (slot: number): number => {
    const a = book.asset[slot] as number
    return a < 0 ? 1 : (factor[a] as number)
  }
  const revalue = (i: number): void => {
    let v = cash[i] as number
    let counted = 0
    let recovered = 0
    let g = book.still[i] as number
    const end = book.start[i + 1] as number
    const ranges = cancelled[i] === 1 ? [] : (book.ranges[i] as Book['ranges'][number])
    for (let s = book.start[i] as number; s < end; s++) {
      const f = at(s)
      let p = (position[s] as number) * f
      for (const r of ranges) {
        if (r.slot !== s) continue
        const held = rangeAmounts(r.range, Math.sqrt(r.price * f))
        v += held.quote - r.quoteDebt
        p += (held.base - r.baseDebt) * r.price * f
      }
      v += p
      counted += (book.counted[s] as number) * f
      recovered += (book.recovered[s] as number) * f
      g += Math.abs(p)
    }
    value[i] = v + counted
    recoverable[i] = v + recovered
    gross[i] = g
  }
  const cancelRanges = (i: number): void => {
    for (const r of book.ranges[i] as Book['ranges'][number]) {
      const held = rangeAmounts(r.range, Math.sqrt(r.price * at(r.slot)))
      cash[i] = (cash[i] as number) + held.quote - r.quoteDebt
      position[r.slot] = (position[r.slot] as number) + (held.base - r.baseDebt) * r.price
    }
    cancelled[i] = 1
  }
  const costOf = (asset: number, notional: number): number => (asset < 0 ? 0 : options.costOf(assets[asset] as string, notional))

  for (let path = from; path < to; path++) {
    const random = createRandom(seed, path)
    factor.fill(1)
    if (source.kind === 'fhs') sigma.set(source.sigmaPerBar)
    cash.set(book.cash)
    position.set(book.position)
    closed.fill(0)
    cancelled.fill(0)
    let loss = 0
    let bound = 0
    let hitCapacity = false
    let row = 0
    for (let step = 0; step < steps; step++) {
      row = source.kind === 'fhs' || step % source.blockBars === 0 ? random.below(source.kind === 'fhs' ? n : n - source.blockBars + 1) : row + 1
      for (let a = 0; a < m; a++) {
        let r: number
        if (source.kind === 'fhs') {
          const s = sigma[a] as number
          r = (source.residuals[a]?.[row] as number) * s
          sigma[a] = Math.sqrt(source.lambda * s * s + (1 - source.lambda) * r * r)
        } else r = source.returns[a]?.[row] as number
        factor[a] = (factor[a] as number) * Math.exp(r)
        bound = Math.max(bound, Math.abs((factor[a] as number) - 1))
      }
      const due: number[] = []
      for (let i = 0; i < book.count && (book.threshold[i] as number) <= bound; i++) {
        if (closed[i] === 1) continue
        revalue(i)
        if ((gross[i] as number) > 0 && (value[i] as number) < (book.mm[i] as number) * (gross[i] as number)) due.push(i)
      }
      if (due.length === 0) continue
      due.sort((a, b) => (value[a] as number) / (gross[a] as number) - (value[b] as number) / (gross[b] as number) || a - b)
      left.set(capacity)
      used.fill(0)
      for (const i of due) {
        const v = value[i] as number
        const g = gross[i] as number
        const whole = g <= rules.wholeUpTo || v < rules.fullBelow * (book.mm[i] as number) * g
        if (cancelled[i] === 0) cancelRanges(i)
        const end = book.start[i + 1] as number
        let share = whole ? 1 : rules.partialShare
        for (let s = book.start[i] as number; s < end; s++) {
          const a = book.asset[s] as number
          const notional = Math.abs((position[s] as number) * at(s))
          if (a >= 0 && notional > 0) share = Math.min(share, (left[a] as number) / notional)
        }
        if (share < (whole ? 1 : rules.partialShare)) hitCapacity = true
        if (!(share > 0)) continue
        for (let s = book.start[i] as number; s < end; s++) {
          const a = book.asset[s] as number
          const part = share * (position[s] as number) * at(s)
          const notional = Math.abs(part)
          if (notional === 0) continue
          if (a >= 0) {
            left[a] = Math.max(0, (left[a] as number) - notional)
            used[a] = (used[a] as number) + notional
          }
          cash[i] = (cash[i] as number) + part - notional * costOf(a, a < 0 ? notional : (used[a] as number))
          position[s] = share === 1 ? 0 : (position[s] as number) * (1 - share)
          liquidated += notional
        }
        if (share === 1) {
          revalue(i)
          closed[i] = 1
          loss += Math.max(0, -(recoverable[i] as number))
        }
      }
    }
    for (let i = 0; i < book.count && (book.threshold[i] as number) <= bound; i++) {
      if (closed[i] === 1) continue
      revalue(i)
      let cost = 0
      if ((value[i] as number) < (book.mm[i] as number) * (gross[i] as number)) {
        if (cancelled[i] === 0) cancelRanges(i)
        for (let s = book.start[i] as number; s < (book.start[i + 1] as number); s++) {
          const notional = Math.abs((position[s] as number) * at(s))
          if (notional > 0) cost += notional * costOf(book.asset[s] as number, notional)
        }
      }
      loss += Math.max(0, cost - (recoverable[i] as number))
    }
    losses[path - from] = loss
    if (hitCapacity) boundPaths++
    if (loss > worst.loss) worst = { path, loss, changes: Object.fromEntries(assets.map((a, k) => [a, (factor[k] as number) - 1])) }
  }

  return { from, losses, liquidated, capacityBound: boundPaths, worst }
}

/** All parts of a simulation as one result. Throws BadInputError unless they hold every path once. */
export function summariseShortfall(parts: readonly PathLosses[], options: Pick<ShortfallOptions, 'paths' | 'steps' | 'barSec' | 'seed' | 'level' | 'confidence'>): SimulatedShortfall {
  const { paths, steps, barSec, seed, level, confidence } = options
  const ordered = [...parts].sort((a, b) => a.from - b.from)
  const losses = new Float64Array(paths)
  let next = 0
  for (const part of ordered) {
    if (part.from !== next || part.from + part.losses.length > paths) throw new BadInputError(`Found paths from ${part.from} where ${next} follow, allowed is every path of ${paths} once; compute the missing part`, { field: 'parts' })
    losses.set(part.losses, part.from)
    next += part.losses.length
  }
  if (next !== paths) throw new BadInputError(`Found ${next} paths, allowed is every path of ${paths} once; compute the missing part`, { field: 'parts' })
  const sum = (of: (part: PathLosses) => number): number => ordered.reduce((total, part) => total + of(part), 0)
  const mean = losses.reduce((a, b) => a + b, 0) / paths
  const variance = losses.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, paths - 1)
  const sorted = Float64Array.from(losses).sort()
  const quantile = quantileInterval(sorted, level, confidence)
  const tailStart = Math.max(0, Math.ceil(paths * level - 1e-9) - 1)
  return {
    paths,
    steps,
    horizonSec: steps * barSec,
    seed,
    mean,
    standardError: Math.sqrt(variance / paths),
    meanPerDay: (mean * DAY_SEC) / (steps * barSec),
    quantile,
    expectedShortfall: sorted.subarray(tailStart).reduce((a, b) => a + b, 0) / (paths - tailStart),
    lossShare: losses.reduce((a, b) => a + (b > 0 ? 1 : 0), 0) / paths,
    capacityBoundShare: sum((part) => part.capacityBound) / paths,
    meanLiquidatedNotional: sum((part) => part.liquidated) / paths,
    worst: ordered.reduce((a, b) => (b.worst.loss > a.loss ? b.worst : a), { path: 0, loss: -1, changes: {} } as SimulatedShortfall['worst']),
    histogram: lossHistogram(losses),
  }
}

export type InsuranceTarget = {
  readonly target: number
  readonly binding: FundTarget['binding'] | 'simulated quantile'
  readonly cover1: number
  readonly cover2: number
  /** Scenario of cover-2. */
  readonly scenario: string
  /** Mean total of the worst quarter of the scenarios. */
  readonly scenarioShortfall: number
  /** Of the simulation; null without one. */
  readonly quantile: QuantileInterval | null
  readonly expectedShortfall: number | null
  readonly openInterestTerm: number
  readonly fund: number
  /** target − fund; negative is a surplus. */
  readonly gap: number
  /** Days that the fund lasts at its expected loss less its income; null where it does not shrink. */
  readonly runwayDays: number | null
  readonly why: string
}

/**
 * Insurance fund target = max(cover-2 over the stress set, expected shortfall over it, simulated quantile, κ·open interest), and how long
 * the fund lasts. Never below fundTarget, which recommendations stand on; the simulation adds what scenarios without probabilities miss.
 *
 * `simulation` null where history is too short: the target then stands on the others, and says so. Quote, from 0; κ in [0, 1].
 * Throws SampleTooSmallError without scenarios. Source: Eurex Clearing, default fund dimensioning (cover-2); risk models §10.
 */
export function insuranceTarget(p: {
  readonly stress: readonly ScenarioShortfall[]
  readonly simulation: Pick<SimulatedShortfall, 'paths' | 'quantile' | 'expectedShortfall' | 'meanPerDay'> | null
  readonly openInterest: number
  readonly kappa: number
  readonly fund: number
  readonly incomePerDay: number
}): InsuranceTarget {
  const { stress, simulation, openInterest, kappa, fund, incomePerDay } = p
  if (![fund, incomePerDay].every((x) => x >= 0 && Number.isFinite(x))) throw new BadInputError(`Found a fund of ${fund} and ${incomePerDay} of income, allowed are amounts from 0; check the fund`, { field: 'fund' })
  const scenarios = fundTarget(stress, openInterest, kappa)
  const worst = stress.reduce((a, b) => (b.cover2 > a.cover2 ? b : a))
  const simulated = simulation?.quantile.value ?? 0
  const target = Math.max(scenarios.target, simulated)
  const binding = simulated > scenarios.target ? 'simulated quantile' : scenarios.binding
  const shrink = (simulation?.meanPerDay ?? 0) - incomePerDay
  const money = (x: number): string => x.toFixed(0)
  const quantileText = simulation === null ? 'no simulation, history is too short' : `${(simulation.quantile.level * 100).toFixed(1)} % of ${simulation.paths} paths below ${money(simulated)}`
  return {
    target,
    binding,
    cover1: scenarios.cover1,
    cover2: scenarios.cover2,
    scenario: worst.id,
    scenarioShortfall: scenarios.expectedShortfall,
    quantile: simulation?.quantile ?? null,
    expectedShortfall: simulation?.expectedShortfall ?? null,
    openInterestTerm: scenarios.openInterestTerm,
    fund,
    gap: target - fund,
    runwayDays: shrink > 0 ? fund / shrink : null,
    why: `${binding} decides: cover-2 ${money(scenarios.cover2)} (${worst.id}), worst quarter of scenarios ${money(scenarios.expectedShortfall)}, ${quantileText}, ${(kappa * 100).toFixed(1)} % of open interest ${money(scenarios.openInterestTerm)}`,
  }
}

/** A fee that fills the fund. */
export type FundFee = {
  /** Share of all trading fees; above 1 fees cannot do it. */
  readonly shareOfFees: number
  /** The same as a share of turnover. */
  readonly shareOfTurnover: number
  readonly reachable: boolean
  readonly neededPerDay: number
}

/**
 * Fee that reaches the target in T days, expected losses on the way paid:
 *   needed per day = gap/T + expected loss per day − other income per day; share of fees = needed / fees per day
 * All in quote per day; a gap at or below 0 asks only for what losses take. Throws SampleTooSmallError without any fees where they are needed.
 */
export function feeToTarget(p: { readonly gap: number; readonly days: number; readonly feesPerDay: number; readonly turnoverPerDay: number; readonly expectedLossPerDay: number; readonly otherIncomePerDay: number }): FundFee {
  const { gap, days, feesPerDay, turnoverPerDay, expectedLossPerDay, otherIncomePerDay } = p
  if (!(days > 0) || ![feesPerDay, turnoverPerDay, expectedLossPerDay, otherIncomePerDay].every((x) => x >= 0 && Number.isFinite(x)) || !Number.isFinite(gap)) throw new BadInputError(`Found ${days} days, fees of ${feesPerDay} and turnover of ${turnoverPerDay} per day, allowed are days above 0 and amounts from 0; check the market's fees`)
  const neededPerDay = Math.max(0, Math.max(0, gap) / days + expectedLossPerDay - otherIncomePerDay)
  if (neededPerDay === 0) return { shareOfFees: 0, shareOfTurnover: 0, reachable: true, neededPerDay }
  if (feesPerDay === 0 || turnoverPerDay === 0) throw new SampleTooSmallError({ statistic: 'trading fees', found: 0, needed: 1 })
  const shareOfFees = neededPerDay / feesPerDay
  return { shareOfFees, shareOfTurnover: neededPerDay / turnoverPerDay, reachable: shareOfFees <= 1, neededPerDay }
}

/** What a fee does to a gap. */
export type FundFilling = {
  /** Share of all trading fees that it is; above 1 fees cannot pay it. null without any fees. */
  readonly shareOfFees: number | null
  readonly reachable: boolean
  readonly incomePerDay: number
  /** Income and other income less the expected loss, signed. */
  readonly netPerDay: number
  /** Until the gap is filled: 0 where there is none, null where it never is. */
  readonly days: number | null
}

/**
 * How long a fee takes to fill a gap, expected losses on the way paid; the other way round of `feeToTarget`:
 *   net per day = fee · turnover per day + other income per day − expected loss per day; days = gap / net per day
 * `feeOfTurnover`: what the fund gets of turnover, fraction in [0, 1]; all else in quote per day. A gap at or below 0 is filled; where the net is not
 * above 0 it never is. Throws BadInputError for a fee or an amount that cannot be.
 */
export function fillingAtFee(p: { readonly feeOfTurnover: number; readonly gap: number; readonly feesPerDay: number; readonly turnoverPerDay: number; readonly expectedLossPerDay: number; readonly otherIncomePerDay: number }): FundFilling {
  const { feeOfTurnover, gap, feesPerDay, turnoverPerDay, expectedLossPerDay, otherIncomePerDay } = p
  if (!(feeOfTurnover >= 0 && feeOfTurnover <= 1) || ![feesPerDay, turnoverPerDay, expectedLossPerDay, otherIncomePerDay].every((x) => x >= 0 && Number.isFinite(x)) || !Number.isFinite(gap)) throw new BadInputError(`Found a fee of ${feeOfTurnover} of turnover, fees of ${feesPerDay} and turnover of ${turnoverPerDay} per day, allowed are a fee from 0 to 1 and amounts from 0; 0.0001 is one basis point`, { field: 'feeOfTurnover' })
  const incomePerDay = feeOfTurnover * turnoverPerDay
  const netPerDay = incomePerDay + otherIncomePerDay - expectedLossPerDay
  const shareOfFees = feesPerDay > 0 ? incomePerDay / feesPerDay : null
  return { shareOfFees, reachable: incomePerDay <= feesPerDay, incomePerDay, netPerDay, days: gap <= 0 ? 0 : netPerDay > 0 ? gap / netPerDay : null }
}
