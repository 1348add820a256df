import { BadInputError } from '../../core/errors.ts'

/**
 * Square-root impact: I = Y·σ_D·√(Q / V_D), as a fraction of the price.
 *
 * σ_D daily volatility, Q quantity and V_D daily volume in the same unit; Q ≥ 0, V_D > 0, Y ≈ 1.
 * (5 %, 1 M, 1 B) gives 0.158 %. Source: Tóth et al., Anomalous price impact, 2011; Bucci et al., arXiv:1702.05434.
 */
export function squareRootImpact(input: { dailyVolatility: number; quantity: number; dailyVolume: number; y?: number }): number {
  const { dailyVolatility, quantity, dailyVolume, y = 1 } = input
  if (!(quantity >= 0) || !(dailyVolume > 0) || !(dailyVolatility >= 0)) {
    throw new BadInputError(`Found quantity ${quantity}, daily volume ${dailyVolume}, volatility ${dailyVolatility}, allowed are numbers from 0 with a volume above 0; check the market's volume`)
  }
  return y * dailyVolatility * Math.sqrt(quantity / dailyVolume)
}

/** Quantity whose square-root impact is `impact`: Q = V_D·(I / (Y·σ_D))². σ_D > 0. */
export function quantityForImpact(input: { impact: number; dailyVolatility: number; dailyVolume: number; y?: number }): number {
  const { impact, dailyVolatility, dailyVolume, y = 1 } = input
  if (!(dailyVolatility > 0) || !(impact >= 0)) throw new BadInputError(`Found volatility ${dailyVolatility} and impact ${impact}, allowed are a volatility above 0 and an impact from 0; check the market's statistics`)
  return dailyVolume * (impact / (y * dailyVolatility)) ** 2
}

/** Liquidity between two ticks: L of Uniswap V3 in whole tokens, so that amounts come out in whole tokens. */
export type Range = { readonly lowerTick: number; readonly upperTick: number; readonly liquidity: number }

/** √price at a tick: 1.0001^(tick / 2). */
export const sqrtPriceAt = (tick: number): number => 1.0001 ** (tick / 2)

/** Stretches of constant liquidity above 0, in order of price. */
function profile(ranges: readonly Range[]): { lower: number; upper: number; liquidity: number }[] {
  const edges = new Map<number, number>()
  for (const { lowerTick, upperTick, liquidity } of ranges) {
    if (!(lowerTick < upperTick) || !(liquidity >= 0)) throw new BadInputError(`Found liquidity ${liquidity} from tick ${lowerTick} to ${upperTick}, allowed is liquidity from 0 between ticks in order; check the range`)
    edges.set(lowerTick, (edges.get(lowerTick) ?? 0) + liquidity)
    edges.set(upperTick, (edges.get(upperTick) ?? 0) - liquidity)
  }
  const ticks = [...edges.keys()].sort((a, b) => a - b)
  const out: { lower: number; upper: number; liquidity: number }[] = []
  let liquidity = 0
  for (let i = 0; i + 1 < ticks.length; i++) {
    liquidity += edges.get(ticks[i] as number) as number
    if (liquidity > 0) out.push({ lower: sqrtPriceAt(ticks[i] as number), upper: sqrtPriceAt(ticks[i + 1] as number), liquidity })
  }
  return out
}

/**
 * Depth within a move of the price: Δquote = L(√P_u − √P), Δbase = L(1/√P − 1/√P_u), summed over the ranges in the way.
 *
 * `sqrtPrice` = √(quote per base) > 0, `ticks` ≥ 0. `quoteUp`: quote that buyers pay to lift the price by `ticks`;
 * `quoteDown`: quote that sellers receive until it has fallen by `ticks`; base likewise.
 * Source: Adams et al., Uniswap v3 Core, 2021, §6.2, eq. 6.14 and 6.16.
 */
export function depthWithin(ranges: readonly Range[], sqrtPrice: number, ticks: number): { quoteUp: number; quoteDown: number; baseUp: number; baseDown: number } {
  if (!(sqrtPrice > 0) || !(ticks >= 0)) throw new BadInputError(`Found √price ${sqrtPrice} and ${ticks} ticks, allowed are a price above 0 and ticks from 0; check the market`)
  const factor = sqrtPriceAt(ticks)
  let quoteUp = 0
  let quoteDown = 0
  let baseUp = 0
  let baseDown = 0
  for (const { lower, upper, liquidity } of profile(ranges)) {
    const a = Math.max(lower, sqrtPrice)
    const b = Math.min(upper, sqrtPrice * factor)
    if (b > a) {
      quoteUp += liquidity * (b - a)
      baseUp += liquidity * (1 / a - 1 / b)
    }
    const c = Math.max(lower, sqrtPrice / factor)
    const d = Math.min(upper, sqrtPrice)
    if (d > c) {
      quoteDown += liquidity * (d - c)
      baseDown += liquidity * (1 / c - 1 / d)
    }
  }
  return { quoteUp, quoteDown, baseUp, baseDown }
}

/**
 * Tokens in one range at a price: base = L(1/√P − 1/√P_u), quote = L(√P − √P_l), with P held between the range's ends.
 *
 * `sqrtPrice` = √(quote per base) > 0. Source: Uniswap v3 Core, §6.2.1, eq. 6.29 and 6.30.
 */
export function rangeAmounts({ lowerTick, upperTick, liquidity }: Range, sqrtPrice: number): { base: number; quote: number } {
  return amountsBetween(sqrtPriceAt(lowerTick), sqrtPriceAt(upperTick), liquidity, sqrtPrice)
}

/** `rangeAmounts` of a range whose ends are given as √price. */
export function amountsBetween(lower: number, upper: number, liquidity: number, sqrtPrice: number): { base: number; quote: number } {
  const at = Math.min(upper, Math.max(lower, sqrtPrice))
  return { base: liquidity * (1 / at - 1 / upper), quote: liquidity * (at - lower) }
}

/**
 * Average slippage of trading `base` units against the ranges, as a fraction of the price before; null when they hold less than that.
 *
 * side `up`: buying (a short is closed), `down`: selling (a long is closed). base ≥ 0. Without swap fees.
 */
export function poolImpact(ranges: readonly Range[], sqrtPrice: number, base: number, side: 'up' | 'down'): number | null {
  if (!(sqrtPrice > 0) || !(base >= 0)) throw new BadInputError(`Found √price ${sqrtPrice} and ${base} base, allowed are a price above 0 and an amount from 0; check the market`)
  if (base === 0) return 0
  let left = base
  let quote = 0
  const stretches = profile(ranges)
  if (side === 'down') stretches.reverse()
  for (const { lower, upper, liquidity } of stretches) {
    if (side === 'up') {
      const a = Math.max(lower, sqrtPrice)
      if (upper <= a) continue
      const take = Math.min(left, liquidity * (1 / a - 1 / upper))
      quote += liquidity * (1 / (1 / a - take / liquidity) - a)
      left -= take
    } else {
      const d = Math.min(upper, sqrtPrice)
      if (d <= lower) continue
      const take = Math.min(left, liquidity * (1 / lower - 1 / d))
      quote += liquidity * (d - 1 / (1 / d + take / liquidity))
      left -= take
    }
    if (left <= base * 1e-12) {
      const average = quote / base
      const price = sqrtPrice * sqrtPrice
      return Math.max(0, side === 'up' ? average / price - 1 : 1 - average / price)
    }
  }
  return null
}
