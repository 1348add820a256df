/** Collateral beyond its plain haircut: depegs, bridges, old prices, size, who holds it, and how much of it to take. */
import { BadInputError } from '../../core/errors.ts'
import { SampleTooSmallError } from './errors.ts'
import { haircut, withStressWeight, type Haircut, type HaircutComponent } from './haircut.ts'
import { quantityForImpact, squareRootImpact } from './liquidity.ts'
import { stalenessLoss } from './oracle.ts'
import { quantile } from './tail.ts'

const YEAR_SEC = 31_536_000

function requireFrom0(what: string, values: Readonly<Record<string, number>>): void {
  for (const [field, value] of Object.entries(values)) {
    if (!(value >= 0) || !Number.isFinite(value)) throw new BadInputError(`${what}: found ${value} for ${field}, allowed is a number from 0; check the input`, { field })
  }
}

/**
 * Depeg part of a haircut: (1 − w)·Q_level(discount) + w·stressed discount.
 *
 * `discounts` 1 − price/peg of the past, signed (above the peg is negative and counts as 0); `stressed` the depeg to be survived (0.12 =
 * 12 %), `weight` its share in [0, 1]. A token without a peg has no such part. Throws SampleTooSmallError without observations.
 * Source: risk models §8 and Appendix E (stable depeg −12 %); weight as EMIR art. 28(1)(b).
 */
export function depegComponent(p: { readonly discounts: readonly number[]; readonly level: number; readonly stressed: number; readonly weight: number }): HaircutComponent {
  requireFrom0('depeg', { stressed: p.stressed })
  if (p.discounts.length === 0) throw new SampleTooSmallError({ statistic: 'depeg', found: 0, needed: 1 })
  return { name: 'depeg', value: withStressWeight(Math.max(0, quantile(p.discounts, p.level)), p.stressed, p.weight) }
}

/**
 * Bridge part of a haircut: z·σ·√((finality + bridge) / year) + floor of the bridge's own risk.
 *
 * σ per year, times in s, floor a fraction; all ≥ 0. Source: risk models §8 (cross-chain).
 */
export function bridgeComponent(p: { readonly z: number; readonly sigmaPerYear: number; readonly finalitySec: number; readonly bridgeSec: number; readonly riskFloor: number }): HaircutComponent {
  requireFrom0('bridge', p)
  return { name: 'bridge', value: p.z * p.sigmaPerYear * Math.sqrt((p.finalitySec + p.bridgeSec) / YEAR_SEC) + p.riskFloor }
}

/** Part of a haircut for the age of the price that values the collateral: what a stale price can hide, z·σ·√(age / year). σ per year, age ≥ 0 s. */
export function stalenessComponent(p: { readonly z: number; readonly sigmaPerYear: number; readonly ageSec: number }): HaircutComponent {
  requireFrom0('staleness', p)
  return { name: 'staleness', value: stalenessLoss(p.z, p.sigmaPerYear, p.ageSec) }
}

/** A collateral and how it would be sold. */
export type CollateralCase = {
  readonly z: number
  /** Daily volatility, and the hours until it is sold. */
  readonly dailyVolatility: number
  readonly horizonHours: number
  /** What would be sold, and what the world trades of it in a day; one unit. */
  readonly quantity: number
  readonly dailyVolume: number
  readonly floor: number
  readonly addOns?: readonly HaircutComponent[]
}

/**
 * Haircut of a collateral for the quantity that is held of it: max(floor, z·σ_D·√(h/24) + Y·σ_D·√(Q/V_D) + add-ons), with its components.
 *
 * Never falls with volatility, size, horizon or any add-on. (2.326, 4.5 %, 1 h, Q/V 0.005) gives 2.455 %. Source: risk models §8.
 */
export function collateralHaircut(p: CollateralCase): Haircut {
  return haircut({
    z: p.z,
    dailyVolatility: p.dailyVolatility,
    horizonHours: p.horizonHours,
    impact: squareRootImpact({ dailyVolatility: p.dailyVolatility, quantity: p.quantity, dailyVolume: p.dailyVolume }),
    floor: p.floor,
    ...(p.addOns === undefined ? {} : { addOns: p.addOns }),
  })
}

/** A discount by size and what it makes of an amount. */
export type SizeDiscount = { readonly discount: number; /** amount·price·(1 − discount). */ readonly value: number; readonly binding: 'lower' | 'size' | 'upper' }

/**
 * Dynamic discount: clamp(amount / skewScale · scalar, lower, upper), of the whole amount.
 *
 * amount and skewScale in tokens, skewScale > 0; 0 ≤ lower ≤ upper ≤ 1. (100 / 1000 · 0.5) gives 5 %.
 * Source: Synthetix V3, PerpsCollateralConfiguration.sol:128-157; risk models §2.1.
 */
export function sizeDiscount(p: { readonly amount: number; readonly price: number; readonly skewScale: number; readonly scalar: number; readonly lower: number; readonly upper: number }): SizeDiscount {
  requireFrom0('discount', p)
  if (!(p.skewScale > 0) || p.lower > p.upper || p.upper > 1) throw new BadInputError(`Found a skew scale of ${p.skewScale} and discounts from ${p.lower} to ${p.upper}, allowed are a scale above 0 and 0 ≤ lower ≤ upper ≤ 1; correct the setting`, { field: 'skewScale' })
  const own = (p.amount / p.skewScale) * p.scalar
  const discount = Math.min(p.upper, Math.max(p.lower, own))
  return { discount, value: p.amount * p.price * (1 - discount), binding: own < p.lower ? 'lower' : own > p.upper ? 'upper' : 'size' }
}

/** One holder's amount of one collateral, quote value. */
export type Holding = { readonly asset: string; readonly holder: string; readonly value: number }

export type AssetConcentration = {
  readonly asset: string
  readonly value: number
  /** Of all collateral. */
  readonly share: number
  readonly holders: number
  readonly topHolder: string
  readonly topHolderShare: number
  /** Herfindahl–Hirschman index of its holders, in (0, 1]. */
  readonly herfindahl: number
  readonly warnings: readonly string[]
}

export type Concentration = {
  readonly total: number
  /** Of the collaterals, in (0, 1]; 0 without any. */
  readonly herfindahl: number
  /** 1 / index: how many equal collaterals would be as concentrated. */
  readonly effectiveAssets: number
  /** Largest first. */
  readonly assets: readonly AssetConcentration[]
}

const herfindahlOf = (values: readonly number[], total: number): number => (total > 0 ? values.reduce((sum, v) => sum + (v / total) ** 2, 0) : 0)

/**
 * How concentrated collateral is, by asset and by holder: H = Σ share², 1/H the effective number.
 *
 * Values in quote, from 0; limits are shares in (0, 1], above which a sentence warns. Source: Herfindahl–Hirschman index;
 * CPSS-IOSCO, Principles for financial market infrastructures, 2012, 3.5.5 (concentrated holdings).
 */
export function collateralConcentration(holdings: readonly Holding[], limits: { readonly maxAssetShare: number; readonly maxHolderShare: number }): Concentration {
  for (const h of holdings) requireFrom0(`${h.asset} of ${h.holder}`, { value: h.value })
  const total = holdings.reduce((sum, h) => sum + h.value, 0)
  const byAsset = new Map<string, Map<string, number>>()
  for (const h of holdings) {
    const holders = byAsset.get(h.asset) ?? new Map<string, number>()
    holders.set(h.holder, (holders.get(h.holder) ?? 0) + h.value)
    byAsset.set(h.asset, holders)
  }
  const percent = (x: number): string => `${(x * 100).toFixed(1)} %`
  const assets = [...byAsset.entries()].map(([asset, holders]): AssetConcentration => {
    const value = [...holders.values()].reduce((a, b) => a + b, 0)
    const [topHolder, top] = [...holders.entries()].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a))
    const share = total > 0 ? value / total : 0
    const topHolderShare = value > 0 ? top / value : 0
    return {
      asset,
      value,
      share,
      holders: [...holders.values()].filter((v) => v > 0).length,
      topHolder,
      topHolderShare,
      herfindahl: herfindahlOf([...holders.values()], value),
      warnings: [
        ...(share > limits.maxAssetShare ? [`${asset} is ${percent(share)} of all collateral, limit ${percent(limits.maxAssetShare)}`] : []),
        ...(topHolderShare > limits.maxHolderShare ? [`${topHolder} holds ${percent(topHolderShare)} of all ${asset}, limit ${percent(limits.maxHolderShare)}`] : []),
      ],
    }
  })
  assets.sort((a, b) => b.value - a.value || (a.asset < b.asset ? -1 : 1))
  const herfindahl = herfindahlOf(assets.map((a) => a.value), total)
  return { total, herfindahl, effectiveAssets: herfindahl > 0 ? 1 / herfindahl : 0, assets }
}

export type DepositCap = {
  /** Tokens. */
  readonly cap: number
  readonly binding: 'impact' | 'volume' | 'supply'
  readonly terms: readonly { readonly name: 'impact' | 'volume' | 'supply'; readonly tokens: number }[]
  /** True where more is held already: a cap there refuses every deposit and takes nothing back. */
  readonly belowHeld: boolean
  readonly why: string
}

/**
 * Most of a token to take as collateral: the least of what can be sold at `maxImpact` (square-root law, inverted), what is `maxVolumeShare`
 * of the volume within the horizon, and `maxSupplyShare` of its supply.
 *
 * Volume, held and supply in tokens (supply null where unknown); shares and impact in (0, 1]. Source: risk models §8 (inverse OI cap).
 */
export function depositCap(p: {
  readonly dailyVolume: number
  readonly dailyVolatility: number
  readonly horizonHours: number
  readonly maxImpact: number
  readonly maxVolumeShare: number
  readonly circulatingSupply: number | null
  readonly maxSupplyShare: number
  readonly held: number
}): DepositCap {
  const { circulatingSupply, ...amounts } = p
  requireFrom0('deposit cap', amounts)
  const terms: DepositCap['terms'][number][] = [
    { name: 'impact', tokens: quantityForImpact({ impact: p.maxImpact, dailyVolatility: p.dailyVolatility, dailyVolume: p.dailyVolume }) },
    { name: 'volume', tokens: (p.dailyVolume * p.horizonHours * p.maxVolumeShare) / 24 },
    ...(circulatingSupply === null ? [] : [{ name: 'supply' as const, tokens: circulatingSupply * p.maxSupplyShare }]),
  ]
  const least = terms.reduce((a, b) => (b.tokens < a.tokens ? b : a))
  const reasons = { impact: `more cannot be sold within an impact of ${(p.maxImpact * 100).toFixed(2)} %`, volume: `more is above ${(p.maxVolumeShare * 100).toFixed(1)} % of what trades in ${p.horizonHours} h`, supply: `more is above ${(p.maxSupplyShare * 100).toFixed(1)} % of the supply` }
  return { cap: least.tokens, binding: least.name, terms, belowHeld: least.tokens < p.held, why: reasons[least.name] }
}
