import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { backtest, baselZone, christoffersen, conditionalCoverage, kupiec, ModelFitError, SampleTooSmallError, type BacktestModel } from '../../api/risk/index.ts'
import { garchReturns, normals, unbroken } from './samples.ts'

describe('Kupiec test', () => {
  test('vector: 3 of 250 at 1 % gives 0.0949, 8 of 250 gives 7.7336 with p 0.0054', () => {
    expect(kupiec(250, 3, 0.01).likelihoodRatio).toBeCloseTo(0.0949, 4)
    const eight = kupiec(250, 8, 0.01)
    expect(eight.likelihoodRatio).toBeCloseTo(7.7336, 4)
    expect(eight.pValue).toBeCloseTo(0.0054, 4)
    expect(eight.rejected).toBe(true)
  })

  test.each([
    [50, 20.29, true],
    [52, 23.24, true],
    [26, 0.07, false],
    [29, 0.73, false],
    [32, 2.02, false],
  ])('vector: %i exceptions in the 2,465 days of BTC and ETH give %f', (exceptions, ratio, rejected) => {
    const result = kupiec(2465, exceptions, 0.01)
    expect(Math.abs(result.likelihoodRatio - ratio)).toBeLessThan(0.006)
    expect(result.rejected).toBe(rejected)
  })

  test('property: finite for every count, also none and all', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 3000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => Number.isFinite(kupiec(n, Math.round(n * share), 0.01).likelihoodRatio)))
    // No exceptions: −2·250·ln 0.99.
    expect(kupiec(250, 0, 0.01).likelihoodRatio).toBeCloseTo(5.0252, 4)
  })
})

describe('Christoffersen tests', () => {
  test('behavior: by hand, 2 exceptions in a row among 10 days', () => {
    // Days 0000110000: n00 6, n01 1, n10 1, n11 1; π 2/9, π01 1/7, π11 1/2.
    const result = christoffersen([0, 0, 0, 0, 1, 1, 0, 0, 0, 0].map(Boolean))
    expect(result.transitions).toEqual({ n00: 6, n01: 1, n10: 1, n11: 1 })
    const byHand = -2 * (7 * Math.log(7 / 9) + 2 * Math.log(2 / 9) - 6 * Math.log(6 / 7) - Math.log(1 / 7) - 2 * Math.log(1 / 2))
    expect(result.likelihoodRatio).toBeCloseTo(byHand, 12)
  })

  test('vector: J.P. Morgan’s 20 exceptions in 252 days of 1998, 6 of them after another: 3.91, 9.53 and 13.44 (Jorion, Value at risk, 3rd ed., table 6-6)', () => {
    // 6 runs of two and 8 single days among 233 without: n00 218, n01 14, n10 14, n11 6.
    const days = [...Array.from({ length: 6 }, () => [0, 1, 1]), ...Array.from({ length: 8 }, () => [0, 1])].flat()
    const hits = [...days, ...Array.from({ length: 253 - days.length }, () => 0)].map(Boolean)
    const independence = christoffersen(hits)
    expect(independence.transitions).toEqual({ n00: 218, n01: 14, n10: 14, n11: 6 })
    expect(independence.likelihoodRatio).toBeCloseTo(9.53, 2)
    const coverage = kupiec(252, 20, 0.05)
    expect(coverage.likelihoodRatio).toBeCloseTo(3.91, 2)
    expect(conditionalCoverage(coverage, independence)).toMatchObject({ likelihoodRatio: expect.closeTo(13.44, 2), rejected: true })
  })

  test('behavior: exceptions in runs are rejected, the same number spread out is not', () => {
    const spread = Array.from({ length: 500 }, (_, i) => i % 50 === 25)
    const runs = Array.from({ length: 500 }, (_, i) => i % 250 < 5)
    expect(spread.filter(Boolean)).toHaveLength(runs.filter(Boolean).length)
    expect(christoffersen(spread).rejected).toBe(false)
    expect(christoffersen(runs).rejected).toBe(true)
  })

  test('behavior: right models are rejected about as often as the level says', () => {
    let [coverage, conditional] = [0, 0]
    for (let seed = 0; seed < 400; seed++) {
      const hits = normals(1000, seed).map((z) => z > 1.6449)
      const count = kupiec(1000, hits.filter(Boolean).length, 0.05)
      if (count.rejected) coverage++
      if (conditionalCoverage(count, christoffersen(hits)).rejected) conditional++
    }
    // 5 % of 400 is 20, with a standard deviation of 4.4.
    expect(coverage).toBeGreaterThan(6)
    expect(coverage).toBeLessThan(38)
    expect(conditional).toBeGreaterThan(6)
    expect(conditional).toBeLessThan(38)
  })

  test('property: finite and from 0, whatever came', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 2, maxLength: 400 }), (hits) => {
        const test = christoffersen(hits)
        const both = conditionalCoverage(kupiec(hits.length, hits.filter(Boolean).length, 0.01), test)
        expect(test.likelihoodRatio).toBeGreaterThanOrEqual(0)
        expect(Number.isFinite(both.likelihoodRatio)).toBe(true)
        expect(both.pValue).toBeLessThanOrEqual(1)
      }),
    )
  })
})

describe('Basel zones', () => {
  test('vector: 0–4 green, 5–9 yellow, 10 and more red of 250 days at 99 %', () => {
    expect([0, 4, 5, 9, 10, 25].map((x) => baselZone(x).zone)).toEqual(['green', 'green', 'yellow', 'yellow', 'red', 'red'])
  })
})

describe('rolling backtest', () => {
  const daily = garchReturns({ omega: 2e-5, alpha: 0.1, beta: 0.88 }, 2600, 41)

  test.each<[BacktestModel]>([[{ kind: 'fhs-ewma', lambda: 0.97 }], [{ kind: 'fhs-garch', refitEvery: 500 }]])('behavior: %o passes on a series of years with clustered volatility', (model) => {
    const result = backtest(unbroken(daily), { model, level: 0.99, side: 'down' })
    expect(result.coverage.rejected).toBe(false)
    expect(result.conditional.rejected).toBe(false)
    expect(result.expectedShortfall.rejected).toBe(false)
    expect(result.observations).toBe(2600 - 530)
    expect(result.expected).toBeCloseTo(20.7, 9)
    expect(result.zones?.windows.red).toBe(0)
    const { green, yellow } = result.zones?.windows ?? { green: 0, yellow: 0 }
    expect(green + yellow).toBe(result.observations - 249)
    expect(green).toBeGreaterThan(yellow)
  })

  test('behavior: on eight years of the Deutschmark against the pound filtered history passes, and the normal EWMA is red', () => {
    const { returns } = JSON.parse(readFileSync(new URL('dem2gbp.json', import.meta.url), 'utf8')) as { returns: number[] }
    const of = (model: BacktestModel) => backtest(unbroken(returns.map((r) => r / 100)), { model, level: 0.99, side: 'down' })
    const filtered = of({ kind: 'fhs-ewma', lambda: 0.97 })
    expect(filtered.observations).toBe(1974 - 530)
    expect(filtered.coverage.rejected).toBe(false)
    expect(filtered.zones?.worst.zone).toBe('green')
    expect(filtered.expectedShortfall.rejected).toBe(false)
    const normal = of({ kind: 'normal-ewma', lambda: 0.94 })
    expect(normal.coverage.rejected).toBe(true)
    expect(normal.zones?.worst.zone).toBe('red')
    expect(normal.expectedShortfall.rejected).toBe(true)
  })

  test('behavior: a normal distribution is rejected on fat tails, and its worst 250 days are not green', () => {
    // One day in 25 is four times as wide: kurtosis far above 3.
    const fat = normals(2500, 43).map((z, i) => z * (i % 25 === 7 ? 0.08 : 0.02))
    const result = backtest(unbroken(fat), { model: { kind: 'normal-ewma', lambda: 0.94 }, level: 0.99, side: 'down' })
    expect(result.coverage.rejected).toBe(true)
    expect(result.zones?.worst.zone).not.toBe('green')
    expect(result.expectedShortfall.rejected).toBe(true)
  })

  test('behavior: plain history counts right and still fails, because its exceptions come in storms; the filtered one sees them coming', () => {
    // Ten days in 200 are four times as wide.
    const storms = normals(2600, 44).map((z, i) => z * (i % 200 < 10 ? 0.04 : 0.01))
    const plain = backtest(unbroken(storms), { model: { kind: 'historical', window: 1000 }, level: 0.99, side: 'down' })
    const filtered = backtest(unbroken(storms), { model: { kind: 'fhs-ewma', lambda: 0.9 }, level: 0.99, side: 'down' })
    expect(plain.coverage.rejected).toBe(false)
    expect(plain.independence.rejected).toBe(true)
    expect(plain.independence.transitions.n11).toBeGreaterThan(filtered.independence.transitions.n11)
    expect(filtered.independence.likelihoodRatio).toBeLessThan(plain.independence.likelihoodRatio)
  })

  test.each<[BacktestModel]>([[{ kind: 'historical', window: 600 }], [{ kind: 'normal-ewma', lambda: 0.94 }], [{ kind: 'fhs-ewma', lambda: 0.97, window: 700 }], [{ kind: 'fhs-garch', refitEvery: 100 }]])(
    'property: %o never looks ahead: what comes after a day does not move its forecast',
    (model) => {
      const at = 800
      const forecastsOf = (values: number[]): number[] => {
        const result = backtest(unbroken(values), { model, level: 0.99, side: 'up' })
        return [...result.valueAtRisk.slice(0, at + 1 - result.first)]
      }
      const past = daily.slice(0, at)
      fc.assert(
        fc.property(fc.array(fc.double({ min: -0.5, max: 0.5, noNaN: true }), { minLength: 60, maxLength: 60 }), (future) => {
          expect(forecastsOf([...past, ...future])).toEqual(forecastsOf([...past, ...daily.slice(at, at + 60)]))
        }),
        { numRuns: 5 },
      )
    },
  )

  test('behavior: a forecast is the tail of its window, by sorting it', () => {
    const result = backtest(unbroken(daily.slice(0, 900)), { model: { kind: 'historical', window: 500 }, level: 0.99, side: 'down' })
    for (const i of [500, 501, 640, 899]) {
      const losses = daily.slice(i - 500, i).map((r) => -r).sort((a, b) => b - a)
      expect(result.valueAtRisk[i - result.first]).toBe(losses[4])
    }
  })

  test('error: needs a window that holds 5 tail points, and forecasts to compare', () => {
    expect(() => backtest(unbroken(daily), { model: { kind: 'historical', window: 499 }, level: 0.99, side: 'down' })).toThrow(BadInputError)
    expect(() => backtest(unbroken(daily.slice(0, 550)), { model: { kind: 'fhs-ewma', lambda: 0.97 }, level: 0.99, side: 'down' })).toThrow(SampleTooSmallError)
    expect(() => backtest(unbroken(daily.map(() => 0)), { model: { kind: 'fhs-garch', refitEvery: 250 }, level: 0.99, side: 'down' })).toThrow(ModelFitError)
  })
})
