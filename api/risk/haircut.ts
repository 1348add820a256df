import { BadInputError } from '../../core/errors.ts'

/** Parts of a haircut, fractions of the collateral's value. */
export type HaircutComponent = { readonly name: string; readonly value: number }

/** A haircut and what it is made of. */
export type Haircut = {
  /** Fraction of the value that is not counted, in [0, 1]. */
  readonly haircut: number
  /** What is counted: 1 − haircut. */
  readonly collateralRatio: number
  readonly components: readonly HaircutComponent[]
  /** True where the floor is larger than the sum of the components. */
  readonly floored: boolean
}

/**
 * Collateral haircut = max(floor, z·σ_D·√(h/24) + impact + add-ons), at most 1; collateral ratio = 1 − haircut.
 *
 * σ_D daily volatility, h hours until the collateral is sold, impact the fraction lost by selling it; all ≥ 0.
 * Add-ons (stress, liquidation discount, depeg, bridge) are fractions by name. (z 2.326, σ 4.5 %, 1 h, impact 0.3182 %) gives 2.4551 %.
 * Source: risk models §8, the value-at-risk haircut of CPSS-IOSCO, Principles for financial market infrastructures, 2012, 3.5.
 */
export function haircut(input: { z: number; dailyVolatility: number; horizonHours: number; impact: number; floor: number; addOns?: readonly HaircutComponent[] }): Haircut {
  const { z, dailyVolatility, horizonHours, impact, floor, addOns = [] } = input
  const all = [z, dailyVolatility, horizonHours, impact, floor, ...addOns.map((c) => c.value)]
  if (!all.every((x) => x >= 0 && Number.isFinite(x))) throw new BadInputError(`Found haircut inputs ${all.join(', ')}, allowed are numbers from 0; check the statistics`)
  const components: HaircutComponent[] = [{ name: 'volatility', value: z * dailyVolatility * Math.sqrt(horizonHours / 24) }, { name: 'impact', value: impact }, ...addOns]
  const sum = components.reduce((total, c) => total + c.value, 0)
  const value = Math.min(1, Math.max(floor, sum))
  return { haircut: value, collateralRatio: 1 - value, components, floored: floor > sum }
}

/**
 * Weight on stressed observations against procyclicality: (1 − w)·current + w·stressed, never below current·(1 − w).
 *
 * w in [0, 1]; EMIR asks for at least 0.25. Source: Commission Delegated Regulation (EU) 153/2013, art. 28(1)(b).
 */
export function withStressWeight(current: number, stressed: number, weight: number): number {
  if (!(weight >= 0 && weight <= 1)) throw new BadInputError(`Found a stress weight of ${weight}, allowed is 0 to 1; 0.25 is the regulatory minimum`)
  return (1 - weight) * current + weight * stressed
}
