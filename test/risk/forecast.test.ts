import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { ewmaVolatility, filteredHistorical, forecastBasis, forecastRisk, garchHorizonVariance, historicalRisk, overlappingReturns, SampleTooSmallError, toBars, type ForecastOptions, type Returns, type RiskForecast, type VolatilityModel } from '../../api/risk/index.ts'
import { garchReturns, normals, unbroken } from './samples.ts'

const calm = unbroken(normals(3000, 51).map((z) => z * 0.01))
const clustered = unbroken(garchReturns({ omega: 2e-5, alpha: 0.1, beta: 0.88 }, 3000, 52))
type Options = ForecastOptions & { readonly volatility: VolatilityModel }
const normal: Options = { volatility: { kind: 'ewma', lambda: 0.97 }, shape: 'normal', level: 0.99, horizonBars: 1, side: 'down' }
const filtered: Options = { ...normal, shape: 'filtered' }
const forecast = (returns: Returns, options: Options): RiskForecast => forecastRisk(forecastBasis(returns, options.volatility), options)

describe('VaR and ES at any level and horizon', () => {
  test('behavior: the normal forecast is the lognormal’s quantile and partial mean, by integrating it', () => {
    for (const side of ['down', 'up'] as const) {
      const risk = forecast(calm, { ...normal, horizonBars: 30, side })
      const sigma = risk.sigmaHorizon ?? NaN
      const z = 2.3263478740408408
      expect(risk.valueAtRisk).toBeCloseTo(side === 'down' ? 1 - Math.exp(-z * sigma) : Math.exp(z * sigma) - 1, 12)
      // Midpoint rule over the tail beyond z.
      let mean = 0
      const step = 1e-4
      for (let x = z + step / 2; x < 12; x += step) mean += (side === 'down' ? 1 - Math.exp(-x * sigma) : Math.exp(x * sigma) - 1) * (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * step
      expect(risk.expectedShortfall).toBeCloseTo(mean / 0.01, 6)
    }
  })

  test('behavior: small losses are z·σ·√h: 2.3263 and 2.6652 σ at 99 %', () => {
    const tiny = unbroken([...calm.values].map((r) => r / 1000))
    const risk = forecast(tiny, { ...normal, horizonBars: 4 })
    expect(risk.valueAtRisk / (2 * (risk.sigmaPerBar ?? NaN))).toBeCloseTo(2.3263, 3)
    expect(risk.expectedShortfall / (2 * (risk.sigmaPerBar ?? NaN))).toBeCloseTo(2.6652, 3)
    expect(risk.scaling).toBe('square root of time')
  })

  test('behavior: filtered over the EWMA is `filteredHistorical`, and carries its sample', () => {
    const path = ewmaVolatility(calm, 0.97)
    const plain = filteredHistorical(calm, path, { level: 0.99, horizonBars: 2, side: 'up' })
    const risk = forecast(calm, { ...filtered, horizonBars: 2, side: 'up' })
    expect(risk).toMatchObject({ model: 'fhs-ewma', version: '1', valueAtRisk: plain.valueAtRisk, expectedShortfall: plain.expectedShortfall, observations: 2970, tailPoints: 29, horizonSec: 172_800, warnings: [] })
    const [low, high] = risk.valueAtRiskInterval ?? [NaN, NaN]
    expect(low).toBeLessThan(risk.valueAtRisk)
    expect(high).toBeGreaterThan(risk.valueAtRisk)
  })

  test('behavior: GARCH brings a stormy day’s horizon back towards the long run', () => {
    const storm = unbroken([...clustered.values, 0.15, -0.12])
    const one = forecast(storm, { ...filtered, volatility: { kind: 'garch' } })
    const ten = forecast(storm, { ...filtered, volatility: { kind: 'garch' }, horizonBars: 10 })
    const { fit } = ten
    if (fit === null) throw new Error('no fit')
    expect(ten.sigmaHorizon).toBeCloseTo(Math.sqrt(garchHorizonVariance(fit.parameters, (one.sigmaPerBar ?? NaN) ** 2, 10)), 12)
    expect(JSON.stringify(ten).length).toBeLessThan(2000)
    expect((ten.sigmaHorizon ?? NaN) / (one.sigmaHorizon ?? NaN)).toBeLessThan(Math.sqrt(10))
    expect(ten.scaling).toBe('term structure of GARCH')
  })

  test('behavior: simulated paths agree with scaling where shocks are normal, and the same seed gives the same bytes', () => {
    const options: Options = { ...filtered, volatility: { kind: 'ewma', lambda: 0.999 }, horizonBars: 5, simulation: { paths: 40_000, seed: 9 } }
    const simulated = forecast(calm, options)
    const scaled = forecast(calm, { ...filtered, volatility: { kind: 'ewma', lambda: 0.999 }, horizonBars: 5 })
    expect(simulated.expectedShortfall / scaled.expectedShortfall).toBeGreaterThan(0.93)
    expect(simulated.expectedShortfall / scaled.expectedShortfall).toBeLessThan(1.07)
    expect(JSON.stringify(forecast(calm, options))).toBe(JSON.stringify(simulated))
    expect(forecast(calm, { ...options, simulation: { paths: 40_000, seed: 10 } }).expectedShortfall).not.toBe(simulated.expectedShortfall)
  })

  test('property: losses grow with level, horizon and σ, and ES is at least VaR', () => {
    const level = fc.double({ min: 0.8, max: 0.99, noNaN: true })
    fc.assert(
      fc.property(level, level, fc.double({ min: 0.1, max: 20, noNaN: true }), fc.double({ min: 0.1, max: 20, noNaN: true }), fc.constantFrom('normal' as const, 'filtered' as const), fc.constantFrom('down' as const, 'up' as const), (a, b, h, g, shape, side) => {
        const of = (l: number, horizonBars: number, k = 1) => forecast(unbroken([...calm.values.slice(0, 1200)].map((r) => r * k)), { ...normal, shape, side, level: l, horizonBars })
        const [low, high] = [of(Math.min(a, b), h), of(Math.max(a, b), h)]
        expect(high.valueAtRisk).toBeGreaterThanOrEqual(low.valueAtRisk - 1e-12)
        expect(high.expectedShortfall).toBeGreaterThanOrEqual(high.valueAtRisk - 1e-12)
        expect(of(a, Math.max(h, g)).expectedShortfall).toBeGreaterThanOrEqual(of(a, Math.min(h, g)).expectedShortfall - 1e-12)
        expect(of(a, h, 1.5).expectedShortfall).toBeGreaterThanOrEqual(of(a, h).expectedShortfall - 1e-12)
      }),
      { numRuns: 20 },
    )
  })

  test('behavior: warns of a thin sample, of gaps and of outages', () => {
    const thin = { ...unbroken([...calm.values.slice(0, 700)]), gapBars: 300, dropped: 2 }
    expect(forecast(thin, filtered).warnings).toEqual(['43 % of the bars hold no price', '2 outages of the feed are left out: what the price did in them is unknown', '670 residuals; 1000 make the tail reliable'])
  })

  test('behavior: warns of a price that mostly stands still', () => {
    const still = unbroken([...calm.values].map((r, i) => (i % 3 === 0 ? r : 0)))
    expect(forecast(still, normal).warnings).toEqual(['67 % of the returns are 0: a price that stands still hides its risk'])
  })

  test('error: too few residuals or tail points are unknown, never a guess', () => {
    expect(() => forecast(unbroken([...calm.values.slice(0, 529)]), filtered)).toThrow(SampleTooSmallError)
    expect(() => forecast(calm, { ...filtered, level: 0.999 })).toThrow(/ES at 0.999: found 2970 observations, needed are at least 5000/)
    expect(() => forecast(unbroken([...calm.values.slice(0, 29)]), normal)).toThrow(SampleTooSmallError)
    expect(() => forecast(unbroken([...calm.values.slice(0, 400)]), { ...normal, volatility: { kind: 'garch' } })).toThrow(SampleTooSmallError)
  })

  test('error: a tail that the simulated paths do not hold is refused, however long the past is', () => {
    const long = unbroken(normals(6_100, 77))
    // 6,000 residuals hold 6 beyond 99.9 %, a thousand paths one.
    expect(() => forecast(long, { ...filtered, level: 0.999, simulation: { paths: 1_000, seed: 1 } })).toThrow('ES at 0.999 of simulated paths')
    expect(forecast(long, { ...filtered, level: 0.999, simulation: { paths: 5_000, seed: 1 } }).expectedShortfall).toBeGreaterThan(0)
  })

  test('error: refuses levels, horizons and simulations that cannot be', () => {
    expect(() => forecast(calm, { ...normal, level: 1 })).toThrow(BadInputError)
    expect(() => forecast(calm, { ...normal, horizonBars: 0 })).toThrow(BadInputError)
    expect(() => forecast(calm, { ...normal, simulation: { paths: 5000, seed: 1 } })).toThrow(BadInputError)
    expect(() => forecast(calm, { ...filtered, simulation: { paths: 10, seed: 1 } })).toThrow(SampleTooSmallError)
    expect(() => forecast(calm, { ...filtered, horizonBars: 1e6, simulation: { paths: 5000, seed: 1 } })).toThrow(BadInputError)
  })
})

describe('plain history over a horizon', () => {
  const series = (prices: readonly number[], every = 1) => toBars(prices.map((price, i) => ({ timestampSec: i * every * 300, price })), { startSec: 0, endSec: prices.length * every * 300, barSec: 300 })

  test('behavior: overlapping returns run from each bar to the price that stood at its end', () => {
    const got = [...overlappingReturns(series([100, 102, 101, 105, 104]), 2, { maxSpan: 12 })]
    expect(got).toHaveLength(3)
    ;[101 / 100, 105 / 102, 104 / 101].forEach((ratio, i) => expect(got[i]).toBeCloseTo(Math.log(ratio), 12))
    // A price every third bar: two bars on, nothing newer stands.
    expect([...overlappingReturns(series([100, 102, 101], 3), 2, { maxSpan: 12 })]).toEqual([])
    expect(overlappingReturns(series([100, 102, 101], 3), 4, { maxSpan: 12 })[0]).toBeCloseTo(Math.log(1.02), 12)
    expect(overlappingReturns(series([100, 102, 101], 30), 40, { maxSpan: 9 })).toHaveLength(0)
  })

  test('behavior: over h bars of a random walk the tail is about √h as long, and says how few stretches stand apart', () => {
    let price = 100
    const walk = series(normals(20_000, 53).map((z) => (price *= Math.exp(0.001 * z))))
    const of = (horizonBars: number) => historicalRisk(walk, { level: 0.99, horizonBars, side: 'down', maxSpan: 12 })
    expect(of(16).expectedShortfall / of(1).expectedShortfall).toBeGreaterThan(4 * 0.85)
    expect(of(16).expectedShortfall / of(1).expectedShortfall).toBeLessThan(4 * 1.15)
    expect(of(1)).toMatchObject({ model: 'historical', observations: 20_000, warnings: [] })
    expect(of(48)).toMatchObject({ observations: 416, warnings: ['416 stretches do not overlap; 500 make the tail reliable'] })
  })

  test('error: refuses half a bar and a tail of fewer than 5', () => {
    const short = series(normals(400, 1).map((z) => Math.exp(z / 100)))
    expect(() => historicalRisk(short, { level: 0.99, horizonBars: 1, side: 'down', maxSpan: 12 })).toThrow(SampleTooSmallError)
    expect(() => overlappingReturns(short, 0.5, { maxSpan: 12 })).toThrow(BadInputError)
  })
})
