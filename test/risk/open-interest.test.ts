import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { openInterestCap, openInterestFactor, openInterestMargin, poolRisk, sizeMargin, skewFillPrice, skewScaleForDepth, utilisationInterest } from '../../api/risk/index.ts'

describe('margins that grow with size', () => {
  test('vector: dYdX, base 20 % and 28,123,456.789123 within 25 to 60 M is 27.1393 %', () => {
    expect(openInterestMargin({ base: 0.2, openInterest: 28_123_456.789123, lower: 25e6, upper: 60e6 })).toBeCloseTo(0.271393, 6)
    expect(openInterestMargin({ base: 0.2, openInterest: 1e9, lower: 25e6, upper: 60e6 })).toBe(1)
    expect(openInterestMargin({ base: 0.2, openInterest: 5, lower: 5, upper: 5 })).toBe(0.2)
  })
  test('vector: GMX ETH, 6e-11 of 83 M and 110 M is 0.498 % and 0.66 %', () => {
    expect(openInterestFactor({ minimum: 0.0045, openInterest: 83e6, multiplier: 6e-11 })).toBeCloseTo(0.00498, 12)
    expect(openInterestFactor({ minimum: 0.005, openInterest: 110e6, multiplier: 6e-11 })).toBeCloseTo(0.0066, 12)
  })
  test('vector: Synthetix GOAT, a million at 0.5', () => {
    const found = sizeMargin({ size: -1_000_000, price: 0.5, skewScale: 20e6, slope: 2.459, minimumRatio: 0.05, maintenanceScalar: 0.317, minimumMargin: 50 })
    expect(found.initialRatio).toBeCloseTo(0.17295, 12)
    expect(found.maintenanceRatio).toBeCloseTo(0.05482515, 12)
    expect(found.initial).toBeCloseTo(86_525, 6)
    expect(found.maintenance).toBeCloseTo(27_462.575, 6)
  })
  test('vector: fill at skew 0, K 1e6, size 100, price 1200 is 1200.06, and its slippage gives K back', () => {
    expect(skewFillPrice({ price: 1200, skew: 0, size: 100, skewScale: 1e6 })).toBeCloseTo(1200.06, 9)
    expect(skewScaleForDepth({ depth: 100, slippage: 0.06 / 1200 })).toBeCloseTo(1e6, 3)
    expect(() => skewFillPrice({ price: 1, skew: 0, size: 1, skewScale: 0 })).toThrow(BadInputError)
  })
  test('vector: interest of 1.5 % at half and 17.25 % at nine tenths', () => {
    const setting = { low: 0.0003, breakpoint: 0.75, high: 0.01 }
    expect(utilisationInterest({ ...setting, utilisation: 0.5 })).toBeCloseTo(0.015, 12)
    expect(utilisationInterest({ ...setting, utilisation: 0.9 })).toBeCloseTo(0.1725, 12)
  })
  test('property: none of them falls with open interest', () => {
    const u = fc.double({ min: 0, max: 1e8, noNaN: true })
    fc.assert(
      fc.property(u, u, (a, more) => {
        const tier = { base: 0.1, lower: 1e6, upper: 5e7 }
        expect(openInterestMargin({ ...tier, openInterest: a + more })).toBeGreaterThanOrEqual(openInterestMargin({ ...tier, openInterest: a }))
        const own = { price: 1, skewScale: 1e7, slope: 1, minimumRatio: 0.01, maintenanceScalar: 0.5, minimumMargin: 5 }
        expect(sizeMargin({ ...own, size: a + more }).initial).toBeGreaterThanOrEqual(sizeMargin({ ...own, size: a }).initial)
      }),
    )
  })
})

describe('caps and pools', () => {
  test('behavior: what can be closed at 1 % of impact, or what the fund stands behind', () => {
    // 1 B · (1 % / 5 %)² = 40 M; a fund of 100,000 at 1 % stands behind 10 M.
    const input = { maxImpact: 0.01, dailyVolatility: 0.05, dailyVolume: 1e9, fund: null, kappa: 0.01 }
    expect(openInterestCap(input).cap).toBeCloseTo(40e6, 3)
    expect(openInterestCap({ ...input, fund: 100_000 })).toMatchObject({ cap: 10e6, binding: 'fund' })
  })
  test('vector: +100k of 3.5 % and −60k of 4.5 % at ρ 0.838 have a 99 % VaR of 4475.91', () => {
    const markets = [{ market: 'BTC', openInterest: 200_000, lockedRatio: 0.5, skew: -100_000, volatility: 0.035 }, { market: 'ETH', openInterest: 100_000, lockedRatio: 0.5, skew: 60_000, volatility: 0.045 }]
    const found = poolRisk({ markets, pool: 500_000, correlation: [[1, 0.838], [0.838, 1]], z: 2.3263478740408408 })
    expect(found.valueAtRisk).toBeCloseTo(4475.91, 1)
    expect(found.utilisation).toBeCloseTo(0.3, 12)
    expect(found.exposure).toEqual([{ market: 'BTC', value: 100_000 }, { market: 'ETH', value: -60_000 }])
    expect(poolRisk({ markets, pool: 0, correlation: [[1, 0], [0, 1]], z: 1 }).utilisation).toBe(Infinity)
    expect(() => poolRisk({ markets, pool: 1, correlation: [[1]], z: 1 })).toThrow(BadInputError)
  })
})
