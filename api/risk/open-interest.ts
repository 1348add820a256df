/** What grows with size: margins, fills and interest by open interest, caps on it, and what a shared pool stands for. */
import { BadInputError } from '../../core/errors.ts'
import { quantityForImpact } from './liquidity.ts'

function requireFrom0(what: string, values: Readonly<Record<string, number>>): void {
  for (const [field, value] of Object.entries(values)) if (!(value >= 0) || !Number.isFinite(value)) throw new BadInputError(`${what}: found ${value} for ${field}, allowed is a number from 0; check the input`, { field })
}

/**
 * Initial margin that grows with open interest: min(1, base + clamp((OI − lower)/(upper − lower), 0, 1)·(1 − base)).
 *
 * base in [0, 1], OI and caps in one unit, lower ≤ upper (equal: a step). (0.2, 28,123,456.789123 within 25 to 60 M gives 27.1393 %.)
 * Source: dYdX v4, perpetuals/types/liquidity_tier.go:90-142.
 */
export function openInterestMargin(p: { readonly base: number; readonly openInterest: number; readonly lower: number; readonly upper: number }): number {
  requireFrom0('open interest margin', p)
  if (p.base > 1 || p.lower > p.upper) throw new BadInputError(`Found a base of ${p.base} and caps from ${p.lower} to ${p.upper}, allowed are a base up to 1 and caps in order; correct the tier`, { field: 'base' })
  const share = p.upper === p.lower ? (p.openInterest > p.lower ? 1 : 0) : Math.min(1, Math.max(0, (p.openInterest - p.lower) / (p.upper - p.lower)))
  return Math.min(1, p.base + share * (1 - p.base))
}

/** Least collateral per size: max(minimum, OI·multiplier). (6e-11·83 M gives 0.498 %.) Source: GMX v2, MarketUtils.sol:2419-2429. */
export function openInterestFactor(p: { readonly minimum: number; readonly openInterest: number; readonly multiplier: number }): number {
  requireFrom0('collateral factor', p)
  return Math.max(p.minimum, p.openInterest * p.multiplier)
}

/** Margin of a position that grows with its own size. Ratios are fractions of notional, margins quote. */
export type SizeMargin = { readonly initialRatio: number; readonly maintenanceRatio: number; readonly initial: number; readonly maintenance: number }

/**
 * IMR = |size|/skewScale·slope + minimum (skewScale 0: minimum alone), MMR = IMR·scalar; margin = notional·ratio + minimum position margin.
 *
 * (1,000,000 at 0.5, slope 2.459, skew scale 20 M, minimum 5 %, scalar 0.317, least 50 gives IMR 17.295 %, MMR 5.482515 %, 86,525 and 27,462.575.)
 * Source: Synthetix V3, PerpsMarketConfiguration.sol:115-146.
 */
export function sizeMargin(p: { readonly size: number; readonly price: number; readonly skewScale: number; readonly slope: number; readonly minimumRatio: number; readonly maintenanceScalar: number; readonly minimumMargin: number }): SizeMargin {
  const { size, ...rest } = p
  requireFrom0('size margin', rest)
  const impact = p.skewScale === 0 ? 0 : Math.abs(size) / p.skewScale
  const initialRatio = impact * p.slope + p.minimumRatio
  const maintenanceRatio = initialRatio * p.maintenanceScalar
  const notional = Math.abs(size) * p.price
  return { initialRatio, maintenanceRatio, initial: notional * initialRatio + p.minimumMargin, maintenance: notional * maintenanceRatio + p.minimumMargin }
}

/**
 * Fill of a trade against a skewed pool: ½·[P(1 + skew/K) + P(1 + (skew + size)/K)]. skew and size signed base, K > 0.
 * (skew 0, K 1e6, size 100, P 1200 gives 1200.06.) Source: Synthetix V3, AsyncOrder.sol:497-544.
 */
export function skewFillPrice(p: { readonly price: number; readonly skew: number; readonly size: number; readonly skewScale: number }): number {
  if (!(p.skewScale > 0) || !(p.price > 0)) throw new BadInputError(`Found a skew scale of ${p.skewScale} and a price of ${p.price}, allowed are numbers above 0; a scale of 0 has no slope`, { field: 'skewScale' })
  return p.price * (1 + (2 * p.skew + p.size) / (2 * p.skewScale))
}

/** Skew scale that a measured depth asks for: slippage |size|/(2K) = s at `depth` base, so K = depth/(2s). Source: risk models §8 (derived). */
export function skewScaleForDepth(p: { readonly depth: number; readonly slippage: number }): number {
  if (!(p.depth > 0) || !(p.slippage > 0)) throw new BadInputError(`Found a depth of ${p.depth} at a slippage of ${p.slippage}, allowed are numbers above 0; measure the depth first`, { field: 'depth' })
  return p.depth / (2 * p.slippage)
}

/** A cap on open interest and what set it, quote. */
export type OpenInterestCap = { readonly cap: number; readonly binding: 'impact' | 'fund'; readonly terms: { readonly impact: number; readonly fund: number | null } }

/**
 * Most open interest of a side: the least of what can be closed at `maxImpact` in a day (square-root law, inverted) and what the fund
 * can stand behind, fund / κ (null: the fund is left out). Quote; impact and κ in (0, 1]. Source: risk models §8 and §10.
 */
export function openInterestCap(p: { readonly maxImpact: number; readonly dailyVolatility: number; readonly dailyVolume: number; readonly fund: number | null; readonly kappa: number }): OpenInterestCap {
  const impact = quantityForImpact({ impact: p.maxImpact, dailyVolatility: p.dailyVolatility, dailyVolume: p.dailyVolume })
  if (!(p.kappa > 0)) throw new BadInputError(`Found κ ${p.kappa}, allowed is above 0; the share of open interest that the fund should be`, { field: 'kappa' })
  const fund = p.fund === null ? null : p.fund / p.kappa
  return fund !== null && fund < impact ? { cap: fund, binding: 'fund', terms: { impact, fund } } : { cap: impact, binding: 'impact', terms: { impact, fund } }
}

/**
 * Interest per year by utilisation u: u < bp: 100·u·low, else 100·(low·bp + high·(u − bp)); gradients per percentage point.
 * (low 0.0003, bp 0.75, high 0.01: u 0.5 gives 1.5 %, 0.9 gives 17.25 %.) Source: Synthetix V3, InterestRate.sol:89-109.
 */
export function utilisationInterest(p: { readonly utilisation: number; readonly low: number; readonly breakpoint: number; readonly high: number }): number {
  requireFrom0('interest', p)
  const { utilisation, low, breakpoint, high } = p
  return 100 * (utilisation < breakpoint ? utilisation * low : low * breakpoint + high * (utilisation - breakpoint))
}

/** A market of a shared pool: open interest in quote, what share of it locks the pool, and traders' net skew in quote (signed). */
export type PoolMarket = { readonly market: string; readonly openInterest: number; readonly lockedRatio: number; readonly skew: number; readonly volatility: number }

export type PoolRisk = {
  /** Σ OI·locked ratio / pool, fraction; Infinity for an empty pool with open interest. */
  readonly utilisation: number
  /** The pool's own exposure per market: traders' skew negated, quote. */
  readonly exposure: readonly { readonly market: string; readonly value: number }[]
  /** z·√(eᵀΣe), quote, over the volatilities' horizon. */
  readonly valueAtRisk: number
}

/**
 * What stands behind markets that share a pool. `correlation[i][j]` in the order of `markets`, symmetric with 1 on its diagonal;
 * volatilities are fractions over the horizon asked for. Source: risk models §8 (shared pool), Synthetix V3 minimum credit.
 */
export function poolRisk(p: { readonly markets: readonly PoolMarket[]; readonly pool: number; readonly correlation: readonly (readonly number[])[]; readonly z: number }): PoolRisk {
  const { markets, pool, correlation, z } = p
  requireFrom0('pool', { pool, z })
  if (correlation.length !== markets.length || correlation.some((row) => row.length !== markets.length)) throw new BadInputError(`Found ${correlation.length} rows of correlation for ${markets.length} markets, allowed is a square of that size; align them`, { field: 'correlation' })
  const locked = markets.reduce((sum, m) => sum + m.openInterest * m.lockedRatio, 0)
  const sigma = markets.map((m) => -m.skew * m.volatility)
  const variance = sigma.reduce((sum, a, i) => sum + sigma.reduce((inner, b, j) => inner + a * b * ((correlation[i] as readonly number[])[j] as number), 0), 0)
  return { utilisation: locked === 0 ? 0 : pool > 0 ? locked / pool : Infinity, exposure: markets.map((m) => ({ market: m.market, value: m.skew === 0 ? 0 : -m.skew })), valueAtRisk: z * Math.sqrt(Math.max(0, variance)) }
}
