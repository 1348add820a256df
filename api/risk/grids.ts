/** Scenario grids of clearing houses and exchanges, as data for one evaluator (`scan.ts`). */
import { BadInputError } from '../../core/errors.ts'
import { shockOf, type Severity, type StressAsset, type StressScenario, stressScenarios } from './stress.ts'

/** What a scenario does to implied volatility: the grid's range up or down, or a tilt of the smile around the money. */
export type VolatilityMove = 'up' | 'none' | 'down' | 'skew' | 'smile'

/** One row of a grid. */
export type GridScenario = {
  readonly id: string
  /** Price move in the grid's unit: of every asset alike, or by asset. */
  readonly move: number | Readonly<Record<string, number>>
  readonly volatility: VolatilityMove
  /** Share of the row's profit or loss that counts, above 0 up to 1. */
  readonly weight: number
  /** A move beyond the range that margin is meant to cover in full. */
  readonly tail: boolean
}

/** How the rows' volatility moves act on an option. */
export type VolatilityRule =
  | { readonly kind: 'held' }
  /** Points of volatility: 0.15 takes 60 % to 75 %. */
  | { readonly kind: 'points'; readonly up: number; readonly down: number }
  /** Multiples σ·(1 ± range·(30 / max(days, floorDays))^power), the short power up to 30 days; up to no less than `minimumUp`. */
  | {
      readonly kind: 'relative'
      readonly up: number
      readonly down: number
      readonly shortPower: number
      readonly longPower: number
      readonly floorDays: number
      readonly minimumUp: number
      readonly skew?: SkewRule
    }

/** Tilt of the smile: σ·(1 + clamp(k·c/k*, ±c)), k = ln(K/F) (its size for `smile`), c = cap + capPerRootYear·√T, k* = max(minimum, √T·width·(level + levelPerRootYear·√T)). */
export type SkewRule = {
  readonly skew: { readonly cap: number; readonly capPerRootYear: number }
  readonly smile: { readonly cap: number; readonly capPerRootYear: number }
  readonly minimum: number
  readonly width: number
  readonly level: number
  readonly levelPerRootYear: number
}

/** What a requirement adds to the loss of the worst row. Shares are of notional at the index price. */
export type Charges = {
  /** Times the loss of the worst row. */
  readonly lossFactor: number
  readonly perp: number
  readonly spot: number
  /** Per option that is short after netting calls and puts of one strike and expiry. */
  readonly shortOption: number
  /** Least requirement per such option. */
  readonly shortOptionMinimum: number
}

/** A set of scenarios with the rules around it. */
export type Grid = {
  readonly id: string
  readonly source: string
  /** Fraction of the price that a move of 1 means. */
  readonly moveUnit: number
  readonly scenarios: readonly GridScenario[]
  readonly volatility: VolatilityRule
  /** Each asset at its own worst row; or all at the same row, with this share of what some gain set against what others lose. */
  readonly across: 'separate' | { readonly gainShare: number }
  /** Shocked value of an expiry times base·e^(−T·(r·rateFactor + rateSpread)) where positive; where negative divided by such a factor, or not. */
  readonly discount: { readonly long: DiscountRule; readonly short: DiscountRule | null } | null
  /** Loss of an expiry whose forward parts from the index: worst of two moves, times add + perYear·T. */
  readonly basis: { readonly up: number; readonly down: number; readonly add: number; readonly perYear: number } | null
  /** Adds factor·max(0, threshold − stable price) to the initial loss factor. */
  readonly depeg: { readonly threshold: number; readonly factor: number } | null
  readonly initial: Charges
  readonly maintenance: Charges
  /** The initial loss factor also multiplies the charges. */
  readonly factorOnCharges: boolean
}

export type DiscountRule = { readonly base: number; readonly rateFactor: number; readonly rateSpread: number }

const NO_CHARGES: Charges = { lossFactor: 1, perp: 0, spot: 0, shortOption: 0, shortOptionMinimum: 0 }
const PLAIN = { across: 'separate', discount: null, basis: null, depeg: null, initial: NO_CHARGES, maintenance: NO_CHARGES, factorOnCharges: false } as const

const percent = (move: number): string => `${move > 0 ? '+' : ''}${Number((move * 100).toFixed(2))} %`
const row = (move: number, volatility: VolatilityMove, weight = 1): GridScenario => ({
  id: volatility === 'skew' || volatility === 'smile' ? volatility : `${percent(move)}, volatility ${volatility === 'none' ? 'held' : volatility}`,
  move,
  volatility,
  weight,
  tail: weight < 1,
})
const cross = (moves: readonly number[], shifts: readonly VolatilityMove[]): GridScenario[] => moves.flatMap((move) => shifts.map((shift) => row(move, shift)))

/**
 * The 16 rows of SPAN: 0, ±⅓, ±⅔, ±1 price scan ranges with volatility up and down, and ±2 with volatility held, of which 35 % counts.
 *
 * `priceScanRange` fraction of the price (0.12 = 12 %), `volatilityScanRange` points (0.15); both from 0. `shortOptionMinimum` share of notional.
 * Rows are numbered as CME does. Not part of it: intra-commodity, delivery and inter-commodity charges, which perpetuals do not have.
 * Source: CME Group, SPAN risk arrays (cmegroupclientsite.atlassian.net, 46137504); the 35 % is a clearing house’s parameter.
 */
export function spanGrid(options: { priceScanRange: number; volatilityScanRange: number; shortOptionMinimum?: number }): Grid {
  const { priceScanRange, volatilityScanRange, shortOptionMinimum = 0 } = options
  if (!(priceScanRange > 0 && priceScanRange < 1) || !(volatilityScanRange >= 0)) {
    throw new BadInputError(`Found a price scan range of ${priceScanRange} and a volatility scan range of ${volatilityScanRange}, allowed are a fraction above 0 below 1, and points from 0; 0.12 means 12 %`)
  }
  const thirds = [0, 1, -1, 2, -2, 3, -3].flatMap((t) => (['up', 'down'] as const).map((shift): Omit<GridScenario, 'id'> => ({ move: t / 3, volatility: shift, weight: 1, tail: false })))
  const extremes = [2, -2].map((move): Omit<GridScenario, 'id'> => ({ move, volatility: 'none', weight: 0.35, tail: true }))
  return {
    ...PLAIN,
    id: 'SPAN-16',
    source: 'CME Group, SPAN risk arrays',
    moveUnit: priceScanRange,
    scenarios: [...thirds, ...extremes].map((s, i) => ({ ...s, id: String(i + 1) })),
    volatility: { kind: 'points', up: volatilityScanRange, down: volatilityScanRange },
    initial: { ...NO_CHARGES, shortOptionMinimum },
    maintenance: { ...NO_CHARGES, shortOptionMinimum },
  }
}

/**
 * Deribit’s standard portfolio margin: ±16 % in nine buckets, each with volatility up, held and down by 38 %·(30/days)^0.30; 1 % of the price for
 * each net short option of a strike. Maintenance margin is 80 % of the initial.
 *
 * Left out: the extended table of far moves, whose dampener Deribit shows on its margin page alone.
 * Source: Deribit support 25944756247837 (buckets), deribit.com/pages/docs/portfoliomargin (volatility, short options), API private/pme/simulate (mm_factor 0.8, long power 0.13).
 */
export const DERIBIT_27: Grid = {
  ...PLAIN,
  id: 'DERIBIT-27',
  source: 'Deribit, Portfolio margin',
  moveUnit: 1,
  scenarios: cross([-0.16, -0.12, -0.08, -0.04, 0, 0.04, 0.08, 0.12, 0.16], ['up', 'none', 'down']),
  volatility: { kind: 'relative', up: 0.38, down: 0.38, shortPower: 0.3, longPower: 0.13, floorDays: 1, minimumUp: 0 },
  initial: { ...NO_CHARGES, shortOption: 0.01 },
  maintenance: { ...NO_CHARGES, lossFactor: 0.8, shortOption: 0.008 },
}

/**
 * Derive’s first portfolio margin manager: ±20 % with volatility up; ±15, ±10, ±5 and 0 % with volatility up, held and down.
 * Source: derivexyz/v2-core, PMRMLib.sol, and its mainnet configuration (scripts/config-mainnet.sol).
 */
export const PMRM_23: Grid = {
  ...PLAIN,
  id: 'PMRM-23',
  source: 'Derive, PMRM, mainnet configuration',
  moveUnit: 1,
  scenarios: [row(0.2, 'up'), ...cross([0.15, 0.1, 0.05, 0, -0.05, -0.1, -0.15], ['up', 'none', 'down']), row(-0.2, 'up')],
  volatility: { kind: 'relative', up: 0.6, down: 0.3, shortPower: 0.3, longPower: 0.13, floorDays: 1, minimumUp: 0 },
  discount: { long: { base: 0.95, rateFactor: 1, rateSpread: 0.12 }, short: null },
  basis: { up: 0.05, down: -0.05, add: 1, perYear: 1.2 },
  depeg: { threshold: 0.99, factor: 4 },
  initial: { lossFactor: 1.25, perp: 0.03, spot: 0.03, shortOption: 0.02, shortOptionMinimum: 0 },
  maintenance: { lossFactor: 1, perp: 0.03, spot: 0.03, shortOption: 0.02, shortOptionMinimum: 0 },
  factorOnCharges: true,
}

/**
 * Derive’s second portfolio margin manager: ±18 % with volatility up; ±13.5, ±9, ±4.5 and 0 % with volatility up, held and down; eight far moves,
 * dampened; and two tilts of the smile.
 * Source: derivexyz/v2-core, PMRMLib_2.sol; scenarios of scripts/config-mainnet.sol, the other parameters of its reference cases (test/risk-managers/unit-tests/PMRM_2).
 */
export const PMRM2_33: Grid = {
  ...PLAIN,
  id: 'PMRM2-33',
  source: 'Derive, PMRM_2',
  moveUnit: 1,
  scenarios: [
    row(0.18, 'up'),
    ...cross([0.135, 0.09, 0.045, 0, -0.045, -0.09, -0.135], ['up', 'none', 'down']),
    row(-0.18, 'up'),
    ...([[-0.66, 0.21], [-0.33, 0.42], [0.5, 0.2772], [1, 0.1386], [2, 0.0693], [3, 0.0462], [4, 0.03465], [5, 0.02772]] as const).map(([move, weight]) => row(move, 'up', weight)),
    row(0, 'skew'),
    row(0, 'smile'),
  ],
  volatility: {
    kind: 'relative',
    up: 0.5,
    down: 0.275,
    shortPower: 0.3,
    longPower: 0.13,
    floorDays: 1,
    minimumUp: 0.45,
    skew: { skew: { cap: 0.15, capPerRootYear: -0.05 }, smile: { cap: 0.15, capPerRootYear: -0.05 }, minimum: 0.01, width: 4, level: 0.6, levelPerRootYear: -0.1 },
  },
  discount: { long: { base: 0.95, rateFactor: 1, rateSpread: 0.08 }, short: { base: 1.04, rateFactor: 0.5, rateSpread: 0.08 } },
  basis: { up: 0.045, down: -0.045, add: 0.5, perYear: 2 },
  depeg: { threshold: 0.98, factor: 2 },
  initial: { lossFactor: 1, perp: 0.02, spot: 0.02, shortOption: 0.005, shortOptionMinimum: 0 },
  maintenance: { lossFactor: 0.8, perp: 0.015, spot: 0.015, shortOption: 0.003, shortOptionMinimum: 0 },
}

/**
 * The ten valuation points of TIMS for equities: −15 to +15 % in steps of 3 %, without 0, volatility held; between the classes of a group 90 % of
 * a gain is set against a loss.
 * Source: SEC rule 15c3-1a (ten equidistant points) and OCC, Customer portfolio margin; the 90 % is that of its product groups.
 */
export const TIMS_10: Grid = {
  ...PLAIN,
  id: 'TIMS-10',
  source: 'OCC, TIMS',
  moveUnit: 1,
  scenarios: cross([-0.15, -0.12, -0.09, -0.06, -0.03, 0.03, 0.06, 0.09, 0.12, 0.15], ['none']),
  volatility: { kind: 'held' },
  across: { gainShare: 0.9 },
}

/** Which past stands for an asset, and how much harder it falls than that. */
export type AssetHistory = { readonly asset: string; readonly standsFor: StressAsset; readonly beta: number }

/**
 * Price moves of history and of imagination as a grid: every asset at the same row, gains set against losses in full, volatility held.
 *
 * `assets` name what the book holds; `scenarios` are the library at a severity, or a user’s own. Source: `stress.ts`.
 */
export function regimeGrid(assets: readonly AssetHistory[], scenarios: Severity | readonly StressScenario[]): Grid {
  const list = typeof scenarios === 'string' ? stressScenarios(scenarios) : scenarios
  return {
    ...PLAIN,
    id: typeof scenarios === 'string' ? `REGIMES-${scenarios}` : 'REGIMES-own',
    source: 'Hourly candles of public exchanges, 2020–2025, and synthetic regimes',
    moveUnit: 1,
    scenarios: list.map((scenario) => ({
      id: scenario.id,
      move: Object.fromEntries(assets.map(({ asset, standsFor, beta }) => [asset, shockOf(scenario, standsFor, beta, asset)])),
      volatility: 'none',
      weight: 1,
      tail: false,
    })),
    volatility: { kind: 'held' },
    across: { gainShare: 1 },
  }
}

/** Names of the grids, for users. */
export const GRID_NAMES = ['SPAN-16', 'DERIBIT-27', 'PMRM-23', 'PMRM2-33', 'TIMS-10', 'REGIMES'] as const
export type GridName = (typeof GRID_NAMES)[number]

/** What the grids that are not fixed need. */
export type GridOptions = {
  /** SPAN: fraction of the price and points of volatility. */
  readonly priceScanRange?: number
  readonly volatilityScanRange?: number
  readonly shortOptionMinimum?: number
  /** REGIMES: what stands for each asset of the book, and how severe. */
  readonly assets?: readonly AssetHistory[]
  readonly severity?: Severity
}

/** The grid of a name. Throws BadInputError, with the field, for another name or a missing option. */
export function gridNamed(name: string, options: GridOptions = {}): Grid {
  const { priceScanRange, volatilityScanRange = 0, shortOptionMinimum = 0, assets, severity = 'severe' } = options
  switch (name) {
    case 'SPAN-16':
      if (priceScanRange === undefined) throw new BadInputError('priceScanRange: found none, allowed is a fraction above 0 below 1; 0.12 means 12 %', { field: 'priceScanRange' })
      return spanGrid({ priceScanRange, volatilityScanRange, shortOptionMinimum })
    case 'REGIMES':
      if (assets === undefined) throw new BadInputError('assets: found none, allowed is what stands for each asset of the book; name BTC, ETH, OTHER or STABLE for each', { field: 'assets' })
      return regimeGrid(assets, severity)
    default: {
      const found = [DERIBIT_27, PMRM_23, PMRM2_33, TIMS_10].find((grid) => grid.id === name)
      if (found === undefined) throw new BadInputError(`grid: found ${name}, allowed are ${GRID_NAMES.join(', ')}; choose one of them`, { field: 'grid' })
      return found
    }
  }
}
