import { BadInputError } from '../../core/errors.ts'

/** Largest tick move per block that Uniswap-V3-based exchanges of this kind accept. */
export const MAX_TICKS = 1000

const LN_TICK = Math.log(1.0001)

/** A circuit breaker's price band and what set it. */
export type PriceBand = {
  /** Fraction of the index price, 0.025 = 2.5 %. */
  readonly band: number
  /** Which term was the largest. */
  readonly binding: 'volatility' | 'usual spread' | 'floor'
}

/**
 * Price band around the index: b = max(b_min, k·σ_5min, usual spread).
 *
 * σ is the volatility of a 5-minute bar (0.0041 = 0.41 %), k how many of them a trade may lie off the index.
 * `usualSpread` is what trades in this market normally show: a band must not stop those; 0 where unknown.
 * All ≥ 0. Source: SEC/NYSE Limit Up-Limit Down plan (bands around a 5-minute reference), with volatility in place of tiers.
 */
export function priceBand(input: { sigma5Min: number; k: number; floor: number; usualSpread: number }): PriceBand {
  const { sigma5Min, k, floor, usualSpread } = input
  if (![sigma5Min, k, floor, usualSpread].every((x) => x >= 0 && Number.isFinite(x))) {
    throw new BadInputError(`Found σ ${sigma5Min}, k ${k}, floor ${floor}, spread ${usualSpread}, allowed are numbers from 0; check the statistics`)
  }
  const terms = [
    { band: k * sigma5Min, binding: 'volatility' as const },
    { band: usualSpread, binding: 'usual spread' as const },
    { band: floor, binding: 'floor' as const },
  ]
  return terms.reduce((a, b) => (b.band > a.band ? b : a))
}

/**
 * Ticks that a price move of `band` crosses: t = ln(1 + b) / ln 1.0001, rounded, at most 1000 (1.0001^1000 − 1 = 10.5 %).
 *
 * band > −1. Source: Uniswap V3 whitepaper, §6.1 (price = 1.0001^tick).
 */
export function ticksOf(band: number): number {
  if (!(band > -1) || !Number.isFinite(band)) throw new BadInputError(`Found a band of ${band}, allowed is above -1; 0.025 means 2.5 %`)
  return Math.min(MAX_TICKS, Math.round(Math.log1p(band) / LN_TICK))
}

/** Price move that `ticks` cross: 1.0001^t − 1. */
export const moveOf = (ticks: number): number => Math.expm1(ticks * LN_TICK)
