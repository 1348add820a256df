import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ewmaVolatility, filteredHistorical, lossOf, quantile, SampleTooSmallError, tailRisk, type Returns } from '../../api/risk/index.ts'

/** Deterministic noise of the tests: Lehmer's minimal standard generator into a normal by Box–Muller. */
function normals(n: number, seed: number): number[] {
  let state = seed
  const uniform = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
  return Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()))
}
const unbroken = (values: number[]): Returns => ({ barSec: 300, barCount: values.length + 1, values: Float64Array.from(values), spans: new Float64Array(values.length).fill(1), gapBars: 0, dropped: 0 })

describe('empirical VaR and ES', () => {
  test('behavior: by hand on 1 … 1000, the ten worst are 991 … 1000', () => {
    const losses = Float64Array.from({ length: 1000 }, (_, i) => ((i * 7) % 1000) + 1)
    expect(tailRisk(losses, 0.99)).toEqual({ valueAtRisk: 991, expectedShortfall: 995.5, level: 0.99, observations: 1000, tailPoints: 10 })
  })

  test('error: ES99 needs 5 tail points, so 500 losses', () => {
    expect(() => tailRisk(new Float64Array(499), 0.99)).toThrow(SampleTooSmallError)
    expect(tailRisk(new Float64Array(500), 0.99).tailPoints).toBe(5)
  })

  test('property: VaR ≤ ES, both grow with the level, and ES is sub-additive', () => {
    const sample = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 120, maxLength: 120 })
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        const [x, y] = [Float64Array.from(a), Float64Array.from(b)]
        const low = tailRisk(x, 0.9)
        const high = tailRisk(x, 0.95)
        expect(low.valueAtRisk).toBeLessThanOrEqual(low.expectedShortfall + 1e-12)
        expect(high.expectedShortfall).toBeGreaterThanOrEqual(low.expectedShortfall - 1e-12)
        const joint = tailRisk(x.map((v, i) => v + (y[i] as number)), 0.9).expectedShortfall
        expect(joint).toBeLessThanOrEqual(low.expectedShortfall + tailRisk(y, 0.9).expectedShortfall + 1e-12)
      }),
    )
  })

  test('behavior: quantile is the order statistic ⌈n·p⌉', () => {
    expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3)
    expect(quantile([5, 1, 4, 2, 3], 0.95)).toBe(5)
  })
})

describe('filtered historical simulation', () => {
  test('behavior: on normal returns ES99 is 2.665 σ (closed form φ(2.3263)/0.01)', () => {
    const returns = unbroken(normals(20_000, 7).map((z) => z * 0.001))
    const path = ewmaVolatility(returns, 0.995)
    const risk = filteredHistorical(returns, path, { level: 0.99, horizonBars: 1, side: 'down' })
    expect(risk.expectedShortfall / path.current).toBeGreaterThan(2.665 * 0.95)
    expect(risk.expectedShortfall / path.current).toBeLessThan(2.665 * 1.05)
  })

  test('behavior: the past is replayed at today’s volatility', () => {
    const calm = normals(1500, 11).map((z) => z * 0.001)
    const storm = normals(200, 12).map((z) => z * 0.004)
    const at = (values: number[]): number => {
      const returns = unbroken(values)
      return filteredHistorical(returns, ewmaVolatility(returns, 0.97), { level: 0.99, horizonBars: 1, side: 'down' }).expectedShortfall
    }
    const ratio = at([...calm, ...storm]) / at(calm)
    expect(ratio).toBeGreaterThan(3)
    expect(ratio).toBeLessThan(6)
  })

  test('error: needs 500 residuals after the 30 that seed the volatility', () => {
    const values = normals(529, 3).map((z) => z * 0.001)
    const short = unbroken(values)
    expect(() => filteredHistorical(short, ewmaVolatility(short, 0.97), { level: 0.99, horizonBars: 1, side: 'down' })).toThrow(SampleTooSmallError)
    const enough = unbroken([...values, 0.001])
    expect(filteredHistorical(enough, ewmaVolatility(enough, 0.97), { level: 0.99, horizonBars: 1, side: 'down' }).observations).toBe(500)
  })

  test('behavior: long and short mirror each other in log terms', () => {
    expect(lossOf(Math.log(0.9), 'down')).toBeCloseTo(0.1, 12)
    expect(lossOf(Math.log(1.1), 'up')).toBeCloseTo(0.1, 12)
  })
})
