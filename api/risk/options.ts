import { BadInputError } from '../../core/errors.ts'
import { normalCdf, normalPdf } from './distributions.ts'

/** A European option on a forward, one unit of base. */
export type EuropeanOption = {
  readonly call: boolean
  /** Forward price of the underlying at expiry, quote per base; a perpetual's price where there is no dated future. */
  readonly forward: number
  readonly strike: number
  /** Time to expiry, years of 365 days. */
  readonly years: number
  /** Implied volatility per √year, 0.6 = 60 %. */
  readonly volatility: number
  /** Present value of 1 at expiry; 1 where options settle without interest. */
  readonly discount?: number
}

/** Value of an option and its sensitivities, per unit of base, in quote. */
export type Greeks = {
  readonly price: number
  /** ∂V/∂F. */
  readonly delta: number
  /** ∂²V/∂F², per unit of price. */
  readonly gamma: number
  /** ∂V/∂σ per 1.00 of volatility (100 points). */
  readonly vega: number
  /** ∂²V/∂F∂σ: change of delta per 1.00 of volatility. */
  readonly vanna: number
  /** ∂²V/∂σ²: change of vega per 1.00 of volatility. */
  readonly volga: number
  /** ∂V/∂t per year of time that passes, forward and interest rate held; negative where the option loses by waiting. */
  readonly theta: number
}

function requireOption({ forward, strike, years, volatility, discount = 1 }: EuropeanOption): void {
  if (!(forward > 0) || !(strike > 0) || ![forward, strike].every(Number.isFinite)) throw new BadInputError(`Found a forward of ${forward} and a strike of ${strike}, allowed are prices above 0; check the option`)
  if (!(years >= 0) || !(volatility >= 0) || !Number.isFinite(years) || !Number.isFinite(volatility)) throw new BadInputError(`Found ${years} years to expiry and a volatility of ${volatility}, allowed are numbers from 0; 0.6 means 60 %`)
  if (!(discount > 0)) throw new BadInputError(`Found a discount factor of ${discount}, allowed is above 0; 1 means no interest`)
}

/**
 * Black's price of a European option on a forward: D·[F·Φ(d₁) − K·Φ(d₂)] for a call, D·[K·Φ(−d₂) − F·Φ(−d₁)] for a put,
 * d₁ = ln(F/K)/(σ√T) + σ√T/2, d₂ = d₁ − σ√T.
 *
 * Quote per unit of base, ≥ 0. At expiry or without volatility it is the discounted intrinsic value. (F 19, K 19, 0.75 years, 28 %, D e^−0.075) gives 1.7011.
 * Throws BadInputError for prices not above 0, and negative times or volatilities.
 * Source: Black, The pricing of commodity contracts, 1976, eq. 16; Haug, Option pricing formulas, 2nd ed., 2007, §1.1.5.
 */
export function blackPrice(option: EuropeanOption): number {
  requireOption(option)
  const { call, forward, strike, years, volatility, discount = 1 } = option
  const deviation = volatility * Math.sqrt(years)
  const sign = call ? 1 : -1
  if (deviation === 0) return discount * Math.max(0, sign * (forward - strike))
  const d1 = Math.log(forward / strike) / deviation + deviation / 2
  return Math.max(0, discount * sign * (forward * normalCdf(sign * d1) - strike * normalCdf(sign * (d1 - deviation))))
}

/**
 * Black's price with its sensitivities: delta D·Φ(d₁) (put D·(Φ(d₁) − 1)), gamma D·φ(d₁)/(Fσ√T), vega D·F·φ(d₁)·√T, vanna −D·φ(d₁)·d₂/σ,
 * volga vega·d₁·d₂/σ, theta −D·F·φ(d₁)·σ/(2√T) + r·V with r = −ln D / T.
 *
 * Units as in `Greeks`. At expiry or without volatility the price has a kink at the strike: delta is that of the exercised side (½ at the
 * strike), the others 0. Throws like `blackPrice`. Source: Haug, Option pricing formulas, 2nd ed., 2007, §2.1–2.5 with b = 0.
 */
export function blackGreeks(option: EuropeanOption): Greeks {
  const price = blackPrice(option)
  const { call, forward, strike, years, volatility, discount = 1 } = option
  const root = Math.sqrt(years)
  const deviation = volatility * root
  if (deviation === 0) {
    const exercised = forward === strike ? 0.5 : Number(forward > strike)
    return { price, delta: discount * (call ? exercised : exercised - 1), gamma: 0, vega: 0, vanna: 0, volga: 0, theta: 0 }
  }
  const d1 = Math.log(forward / strike) / deviation + deviation / 2
  const d2 = d1 - deviation
  const density = discount * normalPdf(d1)
  const vega = forward * density * root
  const rate = -Math.log(discount) / years
  return {
    price,
    delta: discount * (call ? normalCdf(d1) : -normalCdf(-d1)),
    gamma: density / (forward * deviation),
    vega,
    vanna: (-density * d2) / volatility,
    volga: (vega * d1 * d2) / volatility,
    theta: (-forward * density * volatility) / (2 * root) + rate * price,
  }
}

/**
 * Change of an option's value by its sensitivities: Δ·dF + ½Γ·dF² + ν·dσ + vanna·dF·dσ + ½volga·dσ² + Θ·dt.
 *
 * dF in quote, dσ in volatility (0.21 = 21 points), dt in years. Good for small moves; near a strike or expiry revalue in full.
 * Source: Taylor’s expansion of second order; Castagna, Mercurio, The vanna-volga method, 2007, eq. 1.
 */
export function greeksChange({ delta, gamma, vega, vanna, volga, theta }: Greeks, move: { price: number; volatility: number; years?: number }): number {
  const { price: f, volatility: s, years = 0 } = move
  return delta * f + (gamma * f * f) / 2 + vega * s + vanna * f * s + (volga * s * s) / 2 + theta * years
}

/** Sum of sensitivities, each times its size (signed, base). */
export function sumGreeks(all: readonly { readonly greeks: Greeks; readonly size: number }[]): Greeks {
  const sum = { price: 0, delta: 0, gamma: 0, vega: 0, vanna: 0, volga: 0, theta: 0 }
  for (const { greeks, size } of all) for (const name of Object.keys(sum) as (keyof Greeks)[]) sum[name] += size * greeks[name]
  return sum
}

/** Extra margin for what moves faster than delta, quote. */
export type GreeksAddOns = { readonly gamma: number; readonly vega: number; readonly total: number }

/**
 * Add-ons by sensitivity where a venue margins delta alone: gamma ½|Γ|·(F·move)², vega |ν|·points.
 *
 * `greeks` of the whole book in one asset, `forward` its price, `move` a fraction (0.12), `points` of volatility (0.15); all ≥ 0. Barriers have
 * a third, for the jump at them; European options have none. Source: risk models §6.4.
 */
export function greeksAddOns(greeks: Greeks, stress: { forward: number; move: number; points: number }): GreeksAddOns {
  const { forward, move, points } = stress
  if (!(forward > 0) || !(move >= 0) || !(points >= 0)) throw new BadInputError(`Found a price of ${forward}, a move of ${move} and ${points} points of volatility, allowed are a price above 0 and numbers from 0; check the stress`)
  const gamma = (Math.abs(greeks.gamma) * (forward * move) ** 2) / 2
  const vega = Math.abs(greeks.vega) * points
  return { gamma, vega, total: gamma + vega }
}
