import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DEFAULT_HISTORY } from '../../devnet/history.ts'
import { MARKETS } from '../../devnet/markets.ts'
import { isReportDue, pricePath, type PriceStep } from '../../devnet/prices.ts'
import { random } from '../../devnet/random.ts'

const path = pricePath(random(7), DEFAULT_HISTORY.days)

/** Largest fall over any window of `hours`, as a fraction. */
const worstFall = (steps: readonly PriceStep[], market: number, hours: number): number =>
  steps.reduce((worst, to, j) => {
    for (let i = j - 1; i >= 0 && to.hour - (steps[i]?.hour ?? 0) <= hours; i--) worst = Math.min(worst, (to.pricesUsd[market] ?? 0) / (steps[i]?.pricesUsd[market] ?? 1) - 1)
    return worst
  }, 0)

describe('price path', () => {
  test('behavior: covers 30 days with 2,000 reports of each market', () => {
    expect((path.at(-1)?.timestampSec ?? 0) - (path[0]?.timestampSec ?? 0)).toBeGreaterThanOrEqual(30 * 86_400)
    for (const [i] of MARKETS.entries()) expect(path.filter((s) => s.reporting.includes(i)).length).toBeGreaterThanOrEqual(2_000)
  })

  test('behavior: has every regime, a silent source and a broken one', () => {
    expect(new Set(path.map((s) => s.regime))).toEqual(new Set(['calm', 'volatile', 'crash', 'squeeze', 'slide']))
    expect(path.filter((s) => !s.reporting.includes(2)).length * 23).toBeGreaterThan(5 * 60)
    expect(path.filter((s) => s.broken === 0).length).toBeGreaterThan(2)
    expect(path.some((s) => !s.liquidatorsAwake)).toBe(true)
  })

  test('behavior: the worst hour and day are of the size that 2021-05-19 was', () => {
    // ETH 1 h open→low −28 %, 24 h −45.5 %; BTC −16 %, −31.5 % (stress library). Noise may deepen them by some points.
    expect(worstFall(path, 0, 1)).toBeLessThan(-0.2)
    expect(worstFall(path, 0, 1)).toBeGreaterThan(-0.4)
    expect(worstFall(path, 0, 24)).toBeLessThan(-0.38)
    expect(worstFall(path, 0, 24)).toBeGreaterThan(-0.6)
    expect(worstFall(path, 1, 1)).toBeLessThan(-0.1)
    expect(worstFall(path, 1, 24)).toBeGreaterThan(-0.45)
  })

  test('behavior: is a function of the seed, with rising times and positive prices', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 3 }), (seed, days) => {
        const once = pricePath(random(seed), days)
        expect(pricePath(random(seed), days)).toEqual(once)
        for (const [i, step] of once.entries()) {
          expect(step.timestampSec).toBeGreaterThan(once[i - 1]?.timestampSec ?? 0)
          for (const price of step.pricesUsd) expect(price).toBeGreaterThan(0)
        }
      }),
      { numRuns: 20 },
    )
  })
})

test('behavior: a live source reports after 0.3 %, or before its report would be 20 minutes old', () => {
  const last = { priceUsd: 1_000, timestampSec: 0 }
  for (const [price, now, due] of [[1_002.9, 60, false], [1_003.1, 60, true], [996.9, 60, true], [1_000, 1_140, false], [1_000, 1_141, true]] as const) {
    expect({ price, now, due: isReportDue(last, price, now, 60) }).toEqual({ price, now, due })
  }
})
