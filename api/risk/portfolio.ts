import { BadInputError } from '../../core/errors.ts'
import { validCorrelation } from './correlation.ts'
import { normalQuantile } from './distributions.ts'
import type { Grid } from './grids.ts'
import { requirementOf, scanMargin, type AssetScan, type Book, type RequirementPart, type Revaluation, type Scan } from './scan.ts'

/** Which correlations ask for the most. `pair by pair`: each pair at the end of its band that hurts this book. */
export type BindingCorrelation = 'low' | 'median' | 'high' | 'pair by pair'

/** Correlations of every pair of assets, in the order of the exposures. */
export type CorrelationMatrices = { readonly low: readonly (readonly number[])[]; readonly median: readonly (readonly number[])[]; readonly high: readonly (readonly number[])[] }

/** A signed exposure: what it gains when its asset rises by 100 %, quote; and the asset's σ over the horizon. */
export type RiskExposure = { readonly asset: string; readonly value: number; readonly volatility: number }

/** VaR of exposures under each set of correlations. Quote, ≥ 0. */
export type CorrelatedRisk = {
  readonly risk: number
  readonly binding: BindingCorrelation
  readonly byCorrelation: Readonly<Record<BindingCorrelation, number>>
  /** Σ of the single risks: nothing offsets. */
  readonly gross: number
  /** Largest share of the identity that was mixed into a matrix to make it valid. */
  readonly shrunk: number
}

/**
 * z·√(wᵀΣw) over a band of correlations: the worst of the low, the median and the high one, and of each pair's worse end.
 *
 * w signed exposures, Σ_ij = σ_i·σ_j·ρ_ij. A hedged book fears the low end, a book on one side the high end, a mixed one both at once.
 * z is Φ⁻¹(level). Matrices that cannot be are shrunk towards the identity. Throws BadInputError for sizes that do not fit and negative σ.
 * (+100k BTC at 3.5 %, −60k ETH at 4.5 %, ρ 0.677/0.838/0.96) gives 6,041.66 at 99 %. Source: risk models §6.5; Markowitz, Portfolio selection, 1952.
 */
export function correlatedRisk(exposures: readonly RiskExposure[], correlations: CorrelationMatrices, level: number): CorrelatedRisk {
  const z = normalQuantile(level)
  const w = exposures.map(({ asset, value, volatility }) => {
    if (!Number.isFinite(value) || !(volatility >= 0) || !Number.isFinite(volatility)) {
      throw new BadInputError(`Found an exposure of ${value} to ${asset} at a volatility of ${volatility}, allowed are a finite amount and a volatility from 0; check the book`)
    }
    return value * volatility
  })
  const sizes = { low: correlations.low, median: correlations.median, high: correlations.high }
  for (const [name, matrix] of Object.entries(sizes)) {
    if (matrix.length !== w.length) throw new BadInputError(`Found a ${name} correlation matrix of ${matrix.length} for ${w.length} exposures, allowed is one row for each; match their order`)
  }
  const worse = correlations.low.map((row, i) => row.map((low, j) => (i === j ? 1 : (w[i] as number) * (w[j] as number) > 0 ? Math.max(low, correlations.high[i]?.[j] as number) : Math.min(low, correlations.high[i]?.[j] as number))))
  let shrunk = 0
  const risk = (matrix: readonly (readonly number[])[]): number => {
    const valid = validCorrelation(matrix)
    shrunk = Math.max(shrunk, valid.shrunk)
    let variance = 0
    for (let i = 0; i < w.length; i++) for (let j = 0; j < w.length; j++) variance += (w[i] as number) * (w[j] as number) * (valid.matrix[i]?.[j] as number)
    return z * Math.sqrt(Math.max(0, variance))
  }
  const byCorrelation = { low: risk(correlations.low), median: risk(correlations.median), high: risk(correlations.high), 'pair by pair': risk(worse) }
  // A tie goes to the plainer name, within rounding: with one pair the worse end is one of the three.
  const binding = (['low', 'median', 'high', 'pair by pair'] as const).reduce((a, b) => (byCorrelation[b] > byCorrelation[a] * (1 + 1e-9) ? b : a))
  return { risk: Math.max(...Object.values(byCorrelation)), binding, byCorrelation, gross: z * w.reduce((sum, x) => sum + Math.abs(x), 0), shrunk }
}

/** A portfolio margin with what it is made of. Quote. */
export type PortfolioMargin = {
  readonly model: 'portfolio-margin'
  readonly version: '1'
  readonly margin: number
  /** What decides it. */
  readonly binding: 'worst scenario' | 'correlated risk' | 'credit cap'
  /** Loss of the worst scenario and its name. */
  readonly scenarioLoss: number
  readonly scenario: string | null
  readonly correlated: CorrelatedRisk
  /** Risk beside that of prices (curvature, volatility), which no correlation of prices offsets; added to the correlated risk. */
  readonly unhedged: number
  /** Sum of each asset's own margin, as if nothing offset. */
  readonly gross: number
  /** gross − margin: what diversification is worth to this book. */
  readonly diversification: number
  /** 1 − margin / gross; 0 where there is nothing to offset. */
  readonly offsetCredit: number
  /** Credit before the cap. */
  readonly uncappedCredit: number
  readonly creditCap: number
}

/**
 * Margin with correlation: P = max(worst scenario, z·√(wᵀΣw) over the band of correlations), and no less than (1 − cap)·gross.
 *
 * `unhedged` ≥ 0 is added to the correlated risk and to gross; `creditCap` in [0, 1): 0.8 lets offsets take 80 % off at most.
 * Homogeneous of degree 1. Throws BadInputError like `correlatedRisk`, and for a cap outside its bounds. Source: risk models §6.5.
 */
export function portfolioMargin(input: {
  exposures: readonly RiskExposure[]
  correlations: CorrelationMatrices
  level: number
  creditCap: number
  scenarioLoss?: number
  scenario?: string | null
  unhedged?: number
}): PortfolioMargin {
  const { exposures, correlations, level, creditCap, scenarioLoss = 0, scenario = null, unhedged = 0 } = input
  if (!(creditCap >= 0 && creditCap < 1)) throw new BadInputError(`creditCap: found ${creditCap}, allowed is 0 to below 1; 0.8 lets offsets take 80 % off at most`, { field: 'creditCap' })
  const correlated = correlatedRisk(exposures, correlations, level)
  const together = correlated.risk + unhedged
  const gross = correlated.gross + unhedged
  const own = Math.max(scenarioLoss, together)
  const floor = (1 - creditCap) * gross
  const margin = Math.max(own, floor)
  const credit = (x: number): number => (gross > 0 ? Math.max(0, 1 - x / gross) : 0)
  return {
    model: 'portfolio-margin',
    version: '1',
    margin,
    binding: floor > own ? 'credit cap' : scenarioLoss > together ? 'worst scenario' : 'correlated risk',
    scenarioLoss,
    scenario,
    correlated,
    unhedged,
    gross,
    diversification: gross - margin,
    offsetCredit: credit(margin),
    uncappedCredit: credit(own),
    creditCap,
  }
}

/** One asset's margin as it enters the portfolio's. Quote. */
export type AssetMargin = {
  readonly asset: string
  /** Signed delta times price. */
  readonly deltaNotional: number
  /** σ that prices the delta: the one given, or what the worst row's move amounts to where that is larger. */
  readonly volatility: number
  /** Loss of the worst row that delta does not explain. */
  readonly unhedged: number
  /** z·σ·|delta notional| + unhedged: what it would need alone. */
  readonly alone: number
}

/** The margin of a book of perpetuals and options, within each asset and across them. Quote. */
export type BookMargin = {
  readonly margin: PortfolioMargin
  /** Requirements: the margin times the grid’s loss factors, with its charges. */
  readonly initial: number
  readonly maintenance: number
  readonly parts: readonly RequirementPart[]
  /** Cash, spot and options at today’s prices, and what of it a requirement leaves; negative is what is missing. */
  readonly value: number
  readonly initialMargin: number
  readonly maintenanceMargin: number
  readonly assets: readonly AssetMargin[]
  /** Sum of every leg’s margin alone: less gross is what netting within the assets is worth, as gross less margin is across them. */
  readonly isolated: number
  /** Within each asset: the exchange's grid. */
  readonly scan: Scan
  /** All assets at the same row; null without such a grid. */
  readonly joint: Scan | null
}

/**
 * Portfolio margin of a book with options.
 *
 * The worst row of `grid` splits each asset's loss into what its delta loses there and the rest. Deltas offset by correlation, each at the larger
 * of its measured σ and the row's own move, so that a single asset never needs less than its scan; the rest (curvature, volatility) offsets
 * nothing. Beside it stands the worst row of `joint`, where all assets move together. `volatilities` are σ per asset over the margin's horizon.
 * Throws BadInputError with the field where a volatility is missing. Source: risk models §6.4 and §6.5; the split is our own design.
 */
export function bookMargin(input: {
  book: Book
  grid: Grid
  joint?: Grid
  volatilities: Readonly<Record<string, number>>
  /** Matrices for these assets, in this order. */
  correlations: (assets: readonly string[]) => CorrelationMatrices
  level: number
  creditCap: number
  revaluation?: Revaluation
}): BookMargin {
  const { book, grid, volatilities, level, creditCap, revaluation = 'full' } = input
  const scan = scanMargin(book, grid, revaluation)
  const joint = input.joint === undefined ? null : scanMargin(book, input.joint, revaluation)
  const z = normalQuantile(level)
  const assetMargin = ({ asset, greeks, loss, scenario }: AssetScan): AssetMargin => {
    const measured = volatilities[asset]
    if (measured === undefined || !(measured >= 0)) throw new BadInputError(`volatilities.${asset}: found ${String(measured)}, allowed is a number from 0; give σ over the margin's horizon`, { field: `volatilities.${asset}` })
    const deltaNotional = greeks.delta * (book.prices[asset] as number)
    const row = grid.scenarios.find((s) => s.id === scenario)
    const move = row === undefined ? 0 : row.weight * grid.moveUnit * (typeof row.move === 'number' ? row.move : (row.move[asset] ?? 0))
    // Deltas beyond the row's loss (a long option loses less than its delta says) are the row's loss.
    const linear = Math.min(loss, Math.max(0, -move * deltaNotional))
    const volatility = deltaNotional === 0 ? measured : Math.max(measured, linear / (z * Math.abs(deltaNotional)))
    return { asset, deltaNotional, volatility, unhedged: loss - linear, alone: z * volatility * Math.abs(deltaNotional) + loss - linear }
  }
  const assets = scan.assets.map(assetMargin)
  const isolated = book.legs.reduce((sum, leg) => sum + scanMargin({ ...book, legs: [leg] }, grid, revaluation).assets.reduce((inner, a) => inner + assetMargin(a).alone, 0), 0)
  const margin = portfolioMargin({
    exposures: assets.map(({ asset, deltaNotional, volatility }) => ({ asset, value: deltaNotional, volatility })),
    correlations: input.correlations(assets.map((a) => a.asset)),
    level,
    creditCap,
    scenarioLoss: joint?.scan ?? 0,
    scenario: joint?.scenario ?? null,
    unhedged: assets.reduce((sum, a) => sum + a.unhedged, 0),
  })
  const { lossFactors, value } = scan
  const worst: RequirementPart = { name: 'worst scenario', initial: lossFactors.initial * margin.margin, maintenance: lossFactors.maintenance * margin.margin }
  const parts = [worst, ...scan.parts.filter((part) => part.name !== 'worst scenario')]
  const [initial, maintenance] = [requirementOf(parts, 'initial'), requirementOf(parts, 'maintenance')]
  return { margin, initial, maintenance, parts, value, initialMargin: value - initial, maintenanceMargin: value - maintenance, assets, isolated, scan, joint }
}

/** Matrices for `assets` out of a band per pair. A pair without a band moves together in the high and not at all in the low one: nothing is known of it. */
export function correlationMatrices(assets: readonly string[], bandOf: (a: string, b: string) => { readonly low: number; readonly median: number; readonly high: number } | null): CorrelationMatrices {
  const of = (which: 'low' | 'median' | 'high', unknown: number): number[][] =>
    assets.map((a, i) => assets.map((b, j) => (i === j ? 1 : ((i < j ? bandOf(a, b) : bandOf(b, a))?.[which] ?? unknown))))
  return { low: of('low', 0), median: of('median', 0), high: of('high', 1) }
}
