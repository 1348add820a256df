/**
 * Price shocks of history and of imagination, as data. History: hourly candles of public exchanges; the largest fall inside one hour
 * from its open (`base`), from its high (`severe`), and from the high of the last day (`day`).
 */

export type Severity = 'base' | 'severe' | 'day'
/** Asset whose history stands for a market. `OTHER` takes the worse of the two, times its volatility against ETH. */
export type StressAsset = 'BTC' | 'ETH' | 'OTHER'

type Triple = readonly [base: number, severe: number, day: number]

/** Falls as signed fractions: −0.245 is −24.5 %. */
export const HISTORICAL_STRESS: readonly { readonly id: string; readonly BTC: Triple; readonly ETH: Triple }[] = [
  { id: 'covid-2020-03-12', BTC: [-0.245, -0.283, -0.509], ETH: [-0.256, -0.285, -0.536] },
  { id: 'may-2021-05-19', BTC: [-0.16, -0.211, -0.315], ETH: [-0.28, -0.293, -0.455] },
  { id: 'dec-2021-12-04', BTC: [-0.187, -0.191, -0.291], ETH: [-0.128, -0.132, -0.247] },
  { id: 'terra-2022-05-12', BTC: [-0.079, -0.086, -0.17], ETH: [-0.117, -0.124, -0.266] },
  { id: '3ac-2022-06-13', BTC: [-0.064, -0.1, -0.206], ETH: [-0.072, -0.149, -0.247] },
  { id: 'ftx-2022-11-09', BTC: [-0.077, -0.083, -0.183], ETH: [-0.084, -0.099, -0.281] },
  { id: 'svb-2023-03-10', BTC: [-0.039, -0.04, -0.105], ETH: [-0.054, -0.055, -0.115] },
  { id: 'yen-2024-08-05', BTC: [-0.071, -0.075, -0.198], ETH: [-0.165, -0.169, -0.281] },
  { id: 'oct-2025-10-10', BTC: [-0.107, -0.114, -0.168], ETH: [-0.113, -0.216, -0.218] },
]

/** One move of all prices at once. */
export type StressScenario = {
  readonly id: string
  /** Relative price change per asset, signed, above −1. */
  readonly shock: Readonly<Record<StressAsset, number>>
  /** Daily volume left to sell into, 1 = as usual. */
  readonly volumeFactor: number
}

const both = (id: string, change: number, volumeFactor = 1): StressScenario => ({ id, shock: { BTC: change, ETH: change, OTHER: change }, volumeFactor })

/** Imagined moves that history lacks: a frozen oracle, a market without buyers, a sequencer outage, markets that part, a squeeze of shorts. */
export const SYNTHETIC_STRESS: readonly StressScenario[] = [
  both('oracle-freeze-1h', -0.15),
  both('liquidity-minus-80', -0.1, 0.2),
  both('sequencer-outage-gap', -0.1),
  { id: 'correlation-break', shock: { BTC: -0.15, ETH: 0.03, OTHER: 0.03 }, volumeFactor: 1 },
  { id: 'correlation-break-mirrored', shock: { BTC: 0.03, ETH: -0.15, OTHER: -0.15 }, volumeFactor: 1 },
  both('up-squeeze', 0.2),
]

/** All scenarios at one severity of history; `OTHER` falls as the worse of BTC and ETH. */
export function stressScenarios(severity: Severity): readonly StressScenario[] {
  const column = { base: 0, severe: 1, day: 2 }[severity] as 0 | 1 | 2
  const history = HISTORICAL_STRESS.map((s): StressScenario => ({ id: s.id, shock: { BTC: s.BTC[column], ETH: s.ETH[column], OTHER: Math.min(s.BTC[column], s.ETH[column]) }, volumeFactor: 1 }))
  return [...history, ...SYNTHETIC_STRESS]
}

/**
 * Price change of one market under a scenario. `beta` scales `OTHER` (its volatility over ETH's, at least 1); no price falls below 1 % of itself.
 */
export function shockOf(scenario: StressScenario, asset: StressAsset, beta = 1): number {
  const change = scenario.shock[asset] * (asset === 'OTHER' ? Math.max(1, beta) : 1)
  return Math.max(-0.99, change)
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
