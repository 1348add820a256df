/**
 * Price shocks of history and of imagination, as data. History: hourly candles of public exchanges; the largest fall inside one hour
 * from its open (`base`), from its high (`severe`), and from the high of the last day (`day`).
 */
import { BadInputError } from '../../core/errors.ts'

export type Severity = 'base' | 'severe' | 'day'
/**
 * Asset whose history stands for a market or a collateral. `OTHER` takes the worse of BTC and ETH, times its own beta, at least 1;
 * `STABLE` holds its peg unless the peg itself breaks.
 */
export type StressAsset = 'BTC' | 'ETH' | 'OTHER' | 'STABLE'

type Triple = readonly [base: number, severe: number, day: number]

/** One storm of the past. Falls as signed fractions: −0.245 is −24.5 %. */
export type Regime = { readonly id: string; readonly title: string; readonly BTC: Triple; readonly ETH: Triple; readonly source: string }

const SPOT = 'hourly spot candles of public exchanges'
const MIXED = 'hourly candles of public exchanges; BTC of that day from one set alone, which looks like a futures series'

/**
 * Falls from open to low of the worst hour, from its high to its low, and from the high of 24 hours. High to low is an upper bound (the order
 * inside an hour is unknown), open to low a lower one. Source: risk models §14, computed from the named candles.
 */
export const HISTORICAL_STRESS: readonly Regime[] = [
  { id: 'covid-2020-03-12', title: 'Covid crash, 12–13 March 2020', BTC: [-0.245, -0.283, -0.509], ETH: [-0.256, -0.285, -0.536], source: SPOT },
  { id: 'may-2021-05-19', title: 'China ban and deleveraging, 19 May 2021', BTC: [-0.16, -0.211, -0.315], ETH: [-0.28, -0.293, -0.455], source: SPOT },
  { id: 'sep-2021-09-07', title: 'El Salvador day, 7 September 2021', BTC: [-0.111, -0.126, -0.205], ETH: [-0.116, -0.145, -0.243], source: MIXED },
  { id: 'dec-2021-12-04', title: 'Weekend flash crash, 4 December 2021', BTC: [-0.187, -0.191, -0.291], ETH: [-0.128, -0.132, -0.247], source: MIXED },
  { id: 'terra-2022-05-12', title: 'Terra’s collapse, 11–12 May 2022', BTC: [-0.079, -0.086, -0.17], ETH: [-0.117, -0.124, -0.266], source: SPOT },
  { id: '3ac-2022-06-13', title: 'Celsius and Three Arrows, 13–15 June 2022', BTC: [-0.064, -0.1, -0.206], ETH: [-0.072, -0.149, -0.247], source: SPOT },
  { id: 'ftx-2022-11-09', title: 'FTX’s collapse, 8–9 November 2022', BTC: [-0.077, -0.083, -0.183], ETH: [-0.084, -0.099, -0.281], source: SPOT },
  { id: 'svb-2023-03-10', title: 'Silicon Valley Bank, 10 March 2023', BTC: [-0.039, -0.04, -0.105], ETH: [-0.054, -0.055, -0.115], source: SPOT },
  { id: 'aug-2023-08-17', title: 'August liquidations, 17 August 2023', BTC: [-0.091, -0.093, -0.132], ETH: [-0.098, -0.1, -0.146], source: SPOT },
  { id: 'yen-2024-08-05', title: 'Yen carry unwind, 5 August 2024', BTC: [-0.071, -0.075, -0.198], ETH: [-0.165, -0.169, -0.281], source: SPOT },
  { id: 'oct-2025-10-10', title: 'Tariff liquidations, 10 October 2025', BTC: [-0.107, -0.114, -0.168], ETH: [-0.113, -0.216, -0.218], source: SPOT },
]

/** One move of all prices at once, with what else goes wrong. */
export type StressScenario = {
  readonly id: string
  readonly title: string
  readonly source: string
  /** Relative price change per asset, signed, above −1. */
  readonly shock: Readonly<Record<StressAsset, number>>
  /** Changes named by market or collateral, which come before `shock`. */
  readonly named: Readonly<Record<string, number>>
  /** Daily volume left to sell into, 1 = as usual. */
  readonly volumeFactor: number
  /** How long the oracle shows the old prices while the market moves, s. */
  readonly oracleFreezeSec: number
  /** How long nobody can act (no blocks, no liquidations) before the move shows, s. */
  readonly outageSec: number
  /** Correlation between assets in the scenario; null as measured. */
  readonly correlation: number | null
}

const CALM = { named: {}, volumeFactor: 1, oracleFreezeSec: 0, outageSec: 0, correlation: null } as const
const OWN_DESIGN = 'synthetic, risk models appendix E'
const all = (change: number): StressScenario['shock'] => ({ BTC: change, ETH: change, OTHER: change, STABLE: 0 })
const synthetic = (id: string, title: string, shock: StressScenario['shock'], more: Partial<StressScenario> = {}): StressScenario => ({ ...CALM, id, title, source: OWN_DESIGN, shock, ...more })

/** Imagined moves that history lacks. */
export const SYNTHETIC_STRESS: readonly StressScenario[] = [
  synthetic('oracle-freeze-1h', 'Oracles stand still for an hour while prices fall 15 %', all(-0.15), { oracleFreezeSec: 3600 }),
  synthetic('stable-depeg', 'Stable collateral loses 12 %, perpetuals stay', { BTC: 0, ETH: 0, OTHER: 0, STABLE: -0.12 }),
  synthetic('liquidity-minus-80', 'Four fifths of the volume are gone, prices fall 10 %', all(-0.1), { volumeFactor: 0.2 }),
  synthetic('sequencer-outage-gap', 'No blocks for five minutes, then 10 % lower', all(-0.1), { outageSec: 300 }),
  synthetic('correlation-break', 'BTC falls 15 % while the others rise 3 %', { BTC: -0.15, ETH: 0.03, OTHER: 0.03, STABLE: 0 }, { correlation: 0.2 }),
  synthetic('correlation-break-mirrored', 'All but BTC fall 15 % while it rises 3 %', { BTC: 0.03, ETH: -0.15, OTHER: -0.15, STABLE: 0 }, { correlation: 0.2 }),
  synthetic('up-squeeze', 'Shorts are squeezed by 20 %', all(0.2)),
]

/** All scenarios at one severity of history; `OTHER` falls as the worse of BTC and ETH. */
export function stressScenarios(severity: Severity): readonly StressScenario[] {
  const column = { base: 0, severe: 1, day: 2 }[severity] as 0 | 1 | 2
  const measure = { base: 'open to low of the worst hour', severe: 'high to low of the worst hour', day: 'high of 24 hours to low' }[severity]
  const history = HISTORICAL_STRESS.map(
    (s): StressScenario => ({ ...CALM, id: s.id, title: `${s.title}, ${measure}`, source: s.source, shock: { BTC: s.BTC[column], ETH: s.ETH[column], OTHER: Math.min(s.BTC[column], s.ETH[column]), STABLE: 0 } }),
  )
  return [...history, ...SYNTHETIC_STRESS]
}

/** The scenario of an id at a severity. Throws BadInputError that names the ids there are. */
export function stressScenario(id: string, severity: Severity): StressScenario {
  const scenarios = stressScenarios(severity)
  const found = scenarios.find((s) => s.id === id)
  if (found === undefined) throw new BadInputError(`Found no regime ${id}, allowed are ${scenarios.map((s) => s.id).join(', ')}; choose one of them`, { field: 'id' })
  return found
}

/** No price falls below 1 % of itself. */
const LOWEST = -0.99

/**
 * Price change of one market under a scenario: what the scenario names for `asset`, or the shock of what stands for it.
 * `beta` scales `OTHER` (its beta to BTC or ETH, at least 1); no price falls below 1 % of itself.
 */
export function shockOf(scenario: StressScenario, standsFor: StressAsset, beta = 1, asset?: string): number {
  const named = asset === undefined ? undefined : scenario.named[asset]
  return Math.max(LOWEST, named ?? scenario.shock[standsFor] * (standsFor === 'OTHER' ? Math.max(1, beta) : 1))
}

/** Largest fall of an asset over the scenarios, as a positive fraction. */
export function worstFall(scenarios: readonly StressScenario[], asset: StressAsset, beta = 1): { fall: number; scenario: string } {
  let worst = { fall: 0, scenario: 'none' }
  for (const scenario of scenarios) {
    const fall = -shockOf(scenario, asset, beta)
    if (fall > worst.fall) worst = { fall, scenario: scenario.id }
  }
  return worst
}

/** A user's own shock, as it comes from outside. */
export type OwnShock = {
  /** Letters, digits and hyphens, up to 64. */
  readonly id: string
  /** Relative price change by market or collateral: −0.3 is −30 %. */
  readonly moves: Readonly<Record<string, number>>
  /** Change of every asset that `moves` does not name, without its beta; 0 where left out. */
  readonly others?: number
  readonly volumeFactor?: number
  readonly oracleFreezeSec?: number
  readonly outageSec?: number
}

const WEEK_SEC = 604_800
/** Bounds of each number: what lies beyond is a slip (−30 for −30 %), not a scenario. */
const LIMITS = {
  move: { low: LOWEST, high: 10, hint: '-0.3 means a fall of 30 %' },
  volumeFactor: { low: 0.001, high: 10, hint: '1 is as usual, 0.2 a fifth' },
  oracleFreezeSec: { low: 0, high: WEEK_SEC, hint: 'in seconds, up to a week' },
  outageSec: { low: 0, high: WEEK_SEC, hint: 'in seconds, up to a week' },
} as const

/**
 * A user's shock → a scenario, or a BadInputError of one sentence with the field in its facts.
 *
 * `assets` are the names that the book knows; others are refused, as is a shock that moves nothing. Moves from −99 % to +1,000 %, volume from 0.1 % to 1,000 %.
 */
export function ownScenario(shock: OwnShock, assets: readonly string[]): StressScenario {
  const check = (field: string, value: unknown, limit: { low: number; high: number; hint: string }): number => {
    if (typeof value !== 'number' || !(value >= limit.low && value <= limit.high)) {
      throw new BadInputError(`${field}: found ${String(value)}, allowed is a number from ${limit.low} to ${limit.high}; ${limit.hint}`, { field })
    }
    return value
  }
  const { id, moves, others = 0, volumeFactor = 1, oracleFreezeSec = 0, outageSec = 0 } = shock
  if (typeof id !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(id)) throw new BadInputError(`id: found ${JSON.stringify(id)}, allowed are up to 64 letters, digits and hyphens; rename the scenario`, { field: 'id' })
  const known = new Set(assets)
  for (const [asset, move] of Object.entries(moves)) {
    if (!known.has(asset)) throw new BadInputError(`moves.${asset}: found an asset that the book does not hold, allowed are ${assets.join(', ')}; correct its name`, { field: `moves.${asset}` })
    check(`moves.${asset}`, move, LIMITS.move)
  }
  check('others', others, LIMITS.move)
  check('volumeFactor', volumeFactor, LIMITS.volumeFactor)
  check('oracleFreezeSec', oracleFreezeSec, LIMITS.oracleFreezeSec)
  check('outageSec', outageSec, LIMITS.outageSec)
  if (others === 0 && volumeFactor === 1 && oracleFreezeSec === 0 && outageSec === 0 && Object.values(moves).every((move) => move === 0)) {
    throw new BadInputError('moves: found a scenario that changes nothing, allowed is at least one move, volume, freeze or outage; name one', { field: 'moves' })
  }
  return { id, title: 'User’s own shock', source: 'user', shock: { BTC: others, ETH: others, OTHER: others, STABLE: others }, named: Object.fromEntries(assets.map((asset) => [asset, moves[asset] ?? others])), volumeFactor, oracleFreezeSec, outageSec, correlation: null }
}
