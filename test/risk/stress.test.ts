import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { HISTORICAL_STRESS, ownScenario, shockOf, stressScenario, stressScenarios, SYNTHETIC_STRESS, worstFall, type OwnShock } from '../../api/risk/index.ts'

/** The BadInputError that an action ends in. */
function refusalOf(action: () => unknown): BadInputError {
  try {
    action()
  } catch (error) {
    if (error instanceof BadInputError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('the regime library', () => {
  test('vector: falls of history, open to low, high to low, and of a day', () => {
    expect(HISTORICAL_STRESS.find((s) => s.id === 'covid-2020-03-12')).toMatchObject({ BTC: [-0.245, -0.283, -0.509], ETH: [-0.256, -0.285, -0.536] })
    expect(stressScenario('oct-2025-10-10', 'severe').shock).toEqual({ BTC: -0.114, ETH: -0.216, OTHER: -0.216, STABLE: 0 })
    expect(stressScenario('dec-2021-12-04', 'base').shock.OTHER).toBe(-0.187)
    expect(worstFall(stressScenarios('severe'), 'ETH')).toEqual({ fall: 0.293, scenario: 'may-2021-05-19' })
  })

  // Risk models, §14 and appendix E, as they are written there: open → low of an hour, high → low of an hour, high → low of a day, in %.
  const FALLS: Readonly<Record<string, readonly (readonly number[])[]>> = {
    'covid-2020-03-12': [[24.5, 28.3, 50.9], [25.6, 28.5, 53.6]], 'may-2021-05-19': [[16, 21.1, 31.5], [28, 29.3, 45.5]], 'sep-2021-09-07': [[11.1, 12.6, 20.5], [11.6, 14.5, 24.3]],
    'dec-2021-12-04': [[18.7, 19.1, 29.1], [12.8, 13.2, 24.7]], 'terra-2022-05-12': [[7.9, 8.6, 17], [11.7, 12.4, 26.6]], '3ac-2022-06-13': [[6.4, 10, 20.6], [7.2, 14.9, 24.7]],
    'ftx-2022-11-09': [[7.7, 8.3, 18.3], [8.4, 9.9, 28.1]], 'svb-2023-03-10': [[3.9, 4, 10.5], [5.4, 5.5, 11.5]], 'aug-2023-08-17': [[9.1, 9.3, 13.2], [9.8, 10, 14.6]],
    'yen-2024-08-05': [[7.1, 7.5, 19.8], [16.5, 16.9, 28.1]], 'oct-2025-10-10': [[10.7, 11.4, 16.8], [11.3, 21.6, 21.8]],
  }
  test.each(Object.entries(FALLS))('vector: %s fell as the table says, and what is neither BTC nor ETH as the worse of them', (id, [btc, eth]) => {
    for (const [i, severity] of (['base', 'severe', 'day'] as const).entries()) {
      const [b, e] = [-(btc?.[i] ?? NaN) / 100, -(eth?.[i] ?? NaN) / 100]
      const { shock } = stressScenario(id, severity)
      expect([shock.BTC, shock.ETH, shock.OTHER, shock.STABLE].map((x) => Math.round(x * 1e4) / 1e4)).toEqual([b, e, Math.min(b, e), 0].map((x) => Math.round(x * 1e4) / 1e4))
    }
  })

  test('behavior: the library holds those falls and no others', () => {
    expect(HISTORICAL_STRESS.map(({ id }) => id)).toEqual(Object.keys(FALLS))
  })

  test('behavior: every scenario has its name and source, and severity orders the falls', () => {
    const [base, severe, day] = [stressScenarios('base'), stressScenarios('severe'), stressScenarios('day')]
    expect(new Set(base.map((s) => s.id)).size).toBe(base.length)
    expect(base).toHaveLength(HISTORICAL_STRESS.length + SYNTHETIC_STRESS.length)
    for (const scenario of base) expect(scenario.title !== '' && scenario.source !== '').toBe(true)
    for (let i = 0; i < HISTORICAL_STRESS.length; i++) {
      for (const asset of ['BTC', 'ETH', 'OTHER'] as const) {
        expect(severe[i]?.shock[asset]).toBeLessThanOrEqual(base[i]?.shock[asset] ?? NaN)
        expect(day[i]?.shock[asset]).toBeLessThanOrEqual(severe[i]?.shock[asset] ?? NaN)
      }
    }
  })

  test('behavior: the synthetic regimes say what else goes wrong', () => {
    expect(stressScenario('oracle-freeze-1h', 'base')).toMatchObject({ oracleFreezeSec: 3600, shock: { ETH: -0.15 } })
    expect(stressScenario('stable-depeg', 'base')).toMatchObject({ shock: { BTC: 0, ETH: 0, OTHER: 0, STABLE: -0.12 } })
    expect(stressScenario('liquidity-minus-80', 'base').volumeFactor).toBe(0.2)
    expect(stressScenario('sequencer-outage-gap', 'base')).toMatchObject({ outageSec: 300, shock: { BTC: -0.1 } })
    expect(stressScenario('correlation-break', 'base').correlation).toBe(0.2)
    expect(stressScenario('up-squeeze', 'base').shock.BTC).toBe(0.2)
  })

  test('behavior: an unlisted asset falls as the worse of the two times its beta, never through zero', () => {
    const covid = stressScenario('covid-2020-03-12', 'day')
    expect(shockOf(covid, 'OTHER', 1.5)).toBeCloseTo(-0.804, 9)
    expect(shockOf(covid, 'OTHER', 5)).toBe(-0.99)
    expect(shockOf(covid, 'OTHER', 0.5)).toBe(-0.536)
    expect(shockOf(covid, 'STABLE', 5)).toBe(0)
  })

  test('error: an unknown regime is answered with the ones there are', () => {
    expect(() => stressScenario('covid', 'base')).toThrow(/Found no regime covid, allowed are covid-2020-03-12, .*; choose one of them/)
  })
})

describe('a user’s own shock', () => {
  const assets = ['vBTC', 'vETH', 'WETH']
  const own: OwnShock = { id: 'my-day', moves: { vBTC: -0.3, WETH: -0.4 }, others: -0.1, volumeFactor: 0.5 }

  test('behavior: names what it moves, moves the others alike, and asks no beta for it', () => {
    const scenario = ownScenario(own, assets)
    expect(shockOf(scenario, 'BTC', 1, 'vBTC')).toBe(-0.3)
    expect(shockOf(scenario, 'OTHER', 2, 'vETH')).toBe(-0.1)
    expect(scenario).toMatchObject({ id: 'my-day', volumeFactor: 0.5, source: 'user' })
  })

  test.each<[string, Partial<OwnShock>, string]>([
    ['a fall of more than all', { moves: { vETH: -30 } }, 'moves.vETH'],
    ['a move that is no number', { moves: { vETH: NaN } }, 'moves.vETH'],
    ['an asset that the book does not hold', { moves: { DOGE: -0.3 } }, 'moves.DOGE'],
    ['a name with spaces', { id: 'my day' }, 'id'],
    ['no volume at all', { volumeFactor: 0 }, 'volumeFactor'],
    ['a freeze of a month', { oracleFreezeSec: 2_600_000 }, 'oracleFreezeSec'],
    ['an outage into the past', { outageSec: -1 }, 'outageSec'],
    ['others through the floor', { others: -1 }, 'others'],
    ['nothing at all', { moves: { vETH: 0 }, others: 0, volumeFactor: 1 }, 'moves'],
  ])('error: refuses %s in one sentence that names the field', (_, change, field) => {
    const refusal = refusalOf(() => ownScenario({ ...own, ...change }, assets))
    expect(refusal.facts).toEqual({ field })
    expect(refusal.message).toMatch(/^[^.;]*(\.[^ ;][^.;]*)*found .*, allowed (is|are) .*; .*[^.]$/)
  })

  test('property: whatever is accepted stays above −99 % and keeps its moves', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...assets), fc.double({ min: -0.99, max: 10, noNaN: true })), fc.double({ min: -0.9, max: -0.01, noNaN: true }), (moves, others) => {
        const scenario = ownScenario({ id: 'x', moves, others }, assets)
        for (const asset of assets) expect(shockOf(scenario, 'ETH', 3, asset)).toBe(moves[asset] ?? others)
      }),
    )
  })
})
