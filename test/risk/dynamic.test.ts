import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { forecastBasis, forecastRisk, horizonSec, liquidationTime, SampleTooSmallError, volatilityMargin, type VolatilityMarginInput } from '../../api/risk/index.ts'
import { garchReturns, normals, unbroken } from './samples.ts'

const BAR = 300
const returns = unbroken(normals(2000, 81).map((z) => z * 0.002), BAR)
const input: VolatilityMarginInput = {
  returns,
  volatility: { kind: 'ewma', lambda: 0.99 },
  level: 0.99,
  horizon: { oracleAgeSec: 600, detectionSec: 60, liquidationSec: 2940 },
  reactionSec: 10_800,
  impact: 0.004,
  penalty: 0.015,
  buffer: 0.25,
  minRatio: 1.3,
  min: 0.02,
  max: 0.5,
}

describe('time to liquidate', () => {
  test('behavior: the horizon is the oracle’s age, detection, and what the depth takes piece by piece', () => {
    // 2.5 M through 1 M every 30 s: three pieces, as Synthetix's windows count.
    expect(liquidationTime({ notional: 2.5e6, depth: 1e6, refillSec: 30 })).toBe(90)
    expect(liquidationTime({ notional: 900_000, depth: 900_000, refillSec: 30 })).toBe(30)
    expect(horizonSec({ oracleAgeSec: 600, detectionSec: 60, liquidationSec: 90 })).toBe(750)
  })

  test('error: refuses a market without depth, and a horizon of nothing', () => {
    expect(() => liquidationTime({ notional: 1, depth: 0, refillSec: 30 })).toThrow(BadInputError)
    expect(() => horizonSec({ oracleAgeSec: 0, detectionSec: 0, liquidationSec: 0 })).toThrow(BadInputError)
    expect(() => horizonSec({ oracleAgeSec: -1, detectionSec: 0, liquidationSec: 9 })).toThrow(expect.objectContaining({ facts: { field: 'oracleAgeSec' } }))
  })
})

describe('volatility-dynamic margin', () => {
  test('behavior: maintenance is the larger expected shortfall over the horizon, impact and penalty, which add up', () => {
    const margin = volatilityMargin(input)
    const of = (horizonBars: number, side: 'down' | 'up', sigmaPerBar?: number): number => forecastRisk(forecastBasis(returns, input.volatility), { shape: 'filtered', level: 0.99, horizonBars, side, ...(sigmaPerBar === undefined ? {} : { sigmaPerBar }) }).expectedShortfall
    const longRun = Math.sqrt(returns.values.reduce((sum, r) => sum + r * r, 0) / 2000)
    const worse = (h: number, sigma?: number): number => Math.max(of(h, 'down', sigma), of(h, 'up', sigma))
    expect(margin.maintenance).toBeCloseTo(Math.max(worse(12), worse(12, longRun)) + 0.019, 12)
    expect(margin.initial).toBeCloseTo(Math.max(Math.max(1.25 * worse(48), worse(48, longRun)) + 0.004, 1.3 * margin.maintenance), 12)
    expect(margin.components.reduce((sum, c) => sum + c.value, 0)).toBeCloseTo(margin.maintenance, 15)
    expect(margin).toMatchObject({ model: 'volatility-margin', version: '1', horizonSec: 3600, initialHorizonSec: 14_400, warnings: [], forecast: { observations: 1970, tailPoints: 19 } })
  })

  test('behavior: the order of size is that of normal shocks, 2.665·σ·√12', () => {
    const margin = volatilityMargin({ ...input, impact: 0, penalty: 0 })
    expect(margin.maintenance / (2.665 * 0.002 * Math.sqrt(12))).toBeGreaterThan(0.85)
    expect(margin.maintenance / (2.665 * 0.002 * Math.sqrt(12))).toBeLessThan(1.2)
  })

  test('property: grows with volatility, every part of the horizon, impact, penalty and level; IM is at least 1.3 MM', () => {
    const more = fc.double({ min: 0, max: 3, noNaN: true })
    fc.assert(
      fc.property(more, fc.constantFrom('oracleAgeSec' as const, 'detectionSec' as const, 'liquidationSec' as const), (x, part) => {
        const base = volatilityMargin(input)
        const larger = [
          { returns: { ...returns, values: returns.values.map((r) => r * (1 + x)) } },
          { horizon: { ...input.horizon, [part]: input.horizon[part] * (1 + x) } },
          { impact: input.impact * (1 + x) },
          { penalty: input.penalty * (1 + x) },
          { level: 0.99 + 0.002 * Math.min(1, x) },
        ].map((change) => volatilityMargin({ ...input, ...change }))
        for (const margin of larger) {
          expect(margin.maintenance).toBeGreaterThanOrEqual(base.maintenance - 1e-12)
          expect(margin.initial).toBeGreaterThanOrEqual(base.initial - 1e-12)
          expect(margin.initial / margin.maintenance).toBeGreaterThanOrEqual(1.3 - 1e-9)
        }
      }),
      { numRuns: 6 },
    )
  })

  test('property: a mirrored market asks for the same of longs as its mirror of shorts', () => {
    const mirrored = volatilityMargin({ ...input, returns: { ...returns, values: returns.values.map((r) => -r) } })
    const margin = volatilityMargin(input)
    // Log returns mirror exactly; 1 − e^−x and e^x − 1 differ by x².
    expect(Math.abs(mirrored.maintenance - margin.maintenance)).toBeLessThan(0.03 ** 2)
  })

  test('behavior: GARCH serves as well, one fit for all, and is named with the result', () => {
    const clustered = unbroken(garchReturns({ omega: 8e-8, alpha: 0.08, beta: 0.9 }, 2000, 82), BAR)
    const margin = volatilityMargin({ ...input, returns: clustered, volatility: { kind: 'garch' } })
    expect(margin.forecast.model).toBe('fhs-garch')
    expect(margin.fit?.persistence).toBeLessThan(1)
    expect(margin.maintenance).toBeGreaterThan(0.019)
  })

  test('behavior: a storm binds by current volatility, the calm after it by the long run', () => {
    const calm = normals(1500, 83).map((z) => z * 0.001)
    const storm = normals(300, 84).map((z) => z * 0.006)
    const after = unbroken([...storm, ...calm], BAR)
    const during = unbroken([...calm, ...storm], BAR)
    expect(volatilityMargin({ ...input, returns: during, penalty: 0 }).binding).toBe('current volatility')
    expect(volatilityMargin({ ...input, returns: after, penalty: 0 }).binding).toBe('long-run floor')
  })

  test('behavior: warns where the penalty eats the margin', () => {
    expect(volatilityMargin({ ...input, penalty: 0.05 }).warnings).toEqual(['the penalty is more than half of the maintenance margin: it eats what is left when a liquidation begins'])
  })

  test('error: a short history has no margin, and a negative reaction is refused', () => {
    expect(() => volatilityMargin({ ...input, returns: unbroken([...returns.values.slice(0, 500)], BAR) })).toThrow(SampleTooSmallError)
    expect(() => volatilityMargin({ ...input, reactionSec: -1 })).toThrow(expect.objectContaining({ facts: { field: 'reactionSec' } }))
  })
})
