import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { congestionLevels, gasCost, keeperChoice, keeperEconomics, keeperProfit, type KeeperMarket } from '../../api/risk/index.ts'

// 1.25 % for the keeper, 0.1 % fee, 0.15 % latency: an edge of 1 %. Impact 0.0001·√n: 1 % at 10,000.
const market: KeeperMarket = { penalty: 0.025, keeperShare: 0.5, tradingFee: 0.001, impactPerRoot: 0.0001, latencyCost: 0.0015, minProfit: 0 }
const gas = { gasUnits: 1_000_000, dataFee: 0.1, gasTokenPrice: 2000 }

describe('a keeper’s economics', () => {
  test('behavior: gas in quote: a million units at 1 gwei and 2,000 a token, and the data fee', () => {
    expect(gasCost(gas, 1e9)).toBeCloseTo(2.1, 12)
  })
  test('behavior: profit by hand, best at (2·1 % / (3·0.0001))² = 4,444', () => {
    // 1 % of 2,500 less 0.0001·2,500^1.5 = 25 − 12.5, less gas.
    expect(keeperProfit(market, 2500, 2.5)).toBeCloseTo(10, 12)
    const choice = keeperChoice(market, 2.5)
    expect(choice.best).toBeCloseTo(4444.44, 2)
    expect(choice.bestProfit).toBeCloseTo(44.4444 - 29.6296 - 2.5, 3)
  })
  test('behavior: no size pays where the edge is gone or gas eats the best', () => {
    expect(keeperChoice({ ...market, latencyCost: 0.0125 }, 0).breakEven).toBeNull()
    expect(keeperChoice(market, 14.9)).toMatchObject({ breakEven: null, largestWorthwhile: null })
    expect(keeperChoice({ ...market, impactPerRoot: 0 }, 2)).toEqual({ breakEven: 2 / (0.0125 - 0.001 - 0.0015), largestWorthwhile: Infinity, best: Infinity, bestProfit: Infinity })
  })
  test('second method: the ends of what pays are the ends that a search over sizes finds', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 10, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true }), (cost, minProfit) => {
        const own = { ...market, minProfit }
        const choice = keeperChoice(own, cost)
        let [first, last] = [NaN, NaN]
        for (let n = 0; n <= 10_000; n += 1) {
          if (keeperProfit(own, n, cost) < minProfit) continue
          if (Number.isNaN(first)) first = n
          last = n
        }
        expect(choice.breakEven ?? NaN).toBeGreaterThan(first - 1)
        expect(choice.breakEven ?? NaN).toBeLessThanOrEqual(first)
        expect(choice.largestWorthwhile ?? NaN).toBeGreaterThanOrEqual(last)
        expect(choice.largestWorthwhile ?? NaN).toBeLessThan(last + 1)
      }),
      { numRuns: 30 },
    )
  })
  test('behavior: names the positions that nobody would liquidate, at each gas price, and the penalty that would pay', () => {
    const levels = congestionLevels([1e9, 1e9, 1e9, 5e9])
    expect(levels.map((l) => [l.name, l.gasPriceWei])).toEqual([['median', 1e9], ['p95', 5e9], ['p99', 5e9], ['highest', 5e9]])
    const found = keeperEconomics({ market, gas, levels, sizes: [100, 1000], positions: [{ id: 'dust', takeable: 100 }, { id: 'fair', takeable: 1000 }, { id: 'big', takeable: 1_000_000 }, { id: 'insolvent dust', takeable: 100, keeperShare: 1 }] })
    const quiet = found[0]
    // 100: 1 − 0.1 − 2.1 is a loss; 1,000: 10 − 3.16 − 2.1 pays; what is too large is taken in parts. All of the penalty: 2.25 − 0.1 − 2.1 pays.
    expect(quiet?.orphans.map((o) => o.id)).toEqual(['dust'])
    expect(quiet?.orphans[0]?.bestProfit).toBeCloseTo(-1.2, 9)
    // (0.1 % + 0.15 % + 0.1 % + 2.1 %) / 0.5 = 4.9 %.
    expect(quiet?.orphans[0]?.penaltyNeeded).toBeCloseTo(0.049, 9)
    expect(keeperProfit({ ...market, penalty: quiet?.orphans[0]?.penaltyNeeded ?? 0 }, 100, quiet?.gas ?? 0)).toBeCloseTo(0, 9)
    expect(quiet?.bySize.map((s) => s.worthwhile)).toEqual([false, true])
    expect(quiet?.orphanShare).toBeCloseTo(100 / 1_001_200, 12)
    // At 5 gwei gas is 10.1, more than 1,000 can pay.
    expect(found[1]?.orphans.map((o) => o.id)).toEqual(['dust', 'fair', 'insolvent dust'])
  })
  test('property: dearer gas never makes a position worth more, and orphans only grow', () => {
    const price = fc.double({ min: 0, max: 1e11, noNaN: true })
    fc.assert(
      fc.property(price, price, fc.array(fc.double({ min: 0, max: 1e5, noNaN: true }), { maxLength: 10 }), (a, more, sizes) => {
        const positions = sizes.map((takeable, i) => ({ id: `p${i}`, takeable }))
        const [one, two] = keeperEconomics({ market, gas, levels: [{ name: 'a', gasPriceWei: a }, { name: 'b', gasPriceWei: a + more }], sizes: [], positions })
        const later = new Set(two?.orphans.map((o) => o.id))
        expect(one?.orphans.every((o) => later.has(o.id))).toBe(true)
      }),
    )
  })
  test('error: refuses shares and costs out of range', () => {
    expect(() => keeperChoice({ ...market, keeperShare: 0 }, 1)).toThrow(BadInputError)
    expect(() => keeperChoice(market, -1)).toThrow(BadInputError)
  })
})
