import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { ewmaStep, fitGarch, garchHorizonVariance, garchStep, garchVolatility, generateReturns, ModelFitError, SampleTooSmallError, type Returns } from '../../api/risk/index.ts'
import { garchReturns, normals, unbroken } from './samples.ts'

const DAILY = { omega: 1e-5, alpha: 0.08, beta: 0.9 }

describe('GARCH(1,1) by its formulas', () => {
  test('vector: ω 1e-5, α 0.08, β 0.9, σ 3 %, r 6 % gives 3.32866 %, and 7.36261 % over 5 days', () => {
    const variance = garchStep(DAILY, 0.03 ** 2, 0.06)
    expect(Math.sqrt(variance)).toBeCloseTo(0.0332866, 7)
    expect(Math.sqrt(garchHorizonVariance(DAILY, variance, 5))).toBeCloseTo(0.0736261, 7)
  })

  test('behavior: the horizon’s variance is the sum of the expected ones, step by step', () => {
    let expected = 0
    let variance = 0.0011
    for (let i = 0; i < 7; i++) {
      expected += variance
      variance = DAILY.omega + (DAILY.alpha + DAILY.beta) * variance
    }
    expect(garchHorizonVariance(DAILY, 0.0011, 7)).toBeCloseTo(expected, 15)
  })

  test('behavior: without ω and with α = 1 − β it is the EWMA, over gaps too', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e-2, noNaN: true }), fc.double({ min: -0.2, max: 0.2, noNaN: true }), fc.integer({ min: 1, max: 20 }), (variance, r, span) => {
        expect(garchStep({ omega: 0, alpha: 0.06, beta: 0.94 }, variance, r, span)).toBeCloseTo(ewmaStep(variance, r, 0.94, span), 14)
      }),
    )
  })

  test('behavior: from its long-run level a horizon scales by the square root of time, and shocks fade towards that', () => {
    const longRun = DAILY.omega / 0.02
    expect(garchHorizonVariance(DAILY, longRun, 10)).toBeCloseTo(10 * longRun, 14)
    const ratio = (bars: number): number => garchHorizonVariance(DAILY, 4 * longRun, bars) / (bars * longRun)
    expect(ratio(1)).toBeCloseTo(4, 12)
    expect(ratio(10)).toBeLessThan(ratio(1))
    expect(ratio(1000)).toBeLessThan(1.2)
  })

  test('error: refuses coefficients without a long run, and negative ones', () => {
    expect(() => garchHorizonVariance({ omega: 1e-5, alpha: 0.1, beta: 0.9 }, 1e-3, 5)).toThrow(ModelFitError)
    expect(() => garchVolatility(unbroken(normals(100, 1)), { omega: 1e-5, alpha: 0.2, beta: 0.9 })).toThrow(ModelFitError)
    expect(() => garchHorizonVariance({ omega: -1, alpha: 0.1, beta: 0.8 }, 1e-3, 5)).toThrow(BadInputError)
  })
})

describe('GARCH(1,1) by maximum likelihood', () => {
  test('vector: the benchmark of econometric software, Deutschmark against pound (Fiorentini, Calzolari, Panattoni, 1996; McCullough, Renfro, 1998)', () => {
    const { returns } = JSON.parse(readFileSync(new URL('dem2gbp.json', import.meta.url), 'utf8')) as { returns: number[] }
    // Its mean of -0.00619041 is fitted too; here it is taken as given.
    const fit = fitGarch(unbroken(returns.map((r) => r + 0.00619041)))
    expect(fit.parameters.omega).toBeCloseTo(0.0107613, 6)
    expect(fit.parameters.alpha).toBeCloseTo(0.153134, 5)
    expect(fit.parameters.beta).toBeCloseTo(0.805974, 5)
    expect(fit.logLikelihood).toBeCloseTo(-1106.60788104, 6)
    // Published with the mean's own error in: 0.00285271, 0.0265228, 0.0335527.
    expect(fit.standardErrors?.omega).toBeCloseTo(0.00285, 5)
    expect(fit.standardErrors?.alpha).toBeCloseTo(0.0265, 4)
    expect(fit.standardErrors?.beta).toBeCloseTo(0.0335, 4)
  })

  test.each([
    [{ omega: 2e-6, alpha: 0.08, beta: 0.9 }, 11],
    [{ omega: 5e-6, alpha: 0.15, beta: 0.75 }, 12],
    [{ omega: 1e-6, alpha: 0.04, beta: 0.95 }, 13],
  ])('behavior: finds the coefficients %o of a simulated series within three standard errors', (truth, seed) => {
    const fit = fitGarch(unbroken(garchReturns(truth, 4000, seed)))
    const errors = fit.standardErrors
    if (errors === null) throw new Error('no standard errors')
    for (const name of ['omega', 'alpha', 'beta'] as const) expect(Math.abs(fit.parameters[name] - truth[name])).toBeLessThan(3 * errors[name])
    expect(errors.alpha).toBeLessThan(0.04)
    expect(fit.convergence.converged).toBe(true)
    expect(fit.gainOverConstant).toBeGreaterThan(50)
    expect(fit.persistence).toBeCloseTo(fit.parameters.alpha + fit.parameters.beta, 15)
    expect(fit.warnings).toEqual([])
  })

  test('behavior: no neighbour is more likely than the fit, by a likelihood written out here', () => {
    const values = garchReturns({ omega: 2e-6, alpha: 0.08, beta: 0.9 }, 1500, 5)
    const fit = fitGarch(unbroken(values))
    const likelihood = (omega: number, alpha: number, beta: number): number => {
      let variance = omega + ((alpha + beta) * values.reduce((sum, r) => sum + r * r, 0)) / values.length
      let sum = 0
      for (const r of values) {
        sum -= (Math.log(2 * Math.PI) + Math.log(variance) + (r * r) / variance) / 2
        variance = omega + alpha * r * r + beta * variance
      }
      return sum
    }
    const { omega, alpha, beta } = fit.parameters
    const best = likelihood(omega, alpha, beta)
    expect(fit.logLikelihood).toBeCloseTo(best, 6)
    for (const f of [0.97, 1.03]) {
      expect(likelihood(omega * f, alpha, beta)).toBeLessThan(best)
      expect(likelihood(omega, alpha * f, beta)).toBeLessThan(best)
      expect(likelihood(omega, alpha, beta * f)).toBeLessThan(best)
    }
  })

  test('property: scaling the returns scales σ and leaves α and β (metamorphic)', () => {
    const values = garchReturns({ omega: 2e-6, alpha: 0.08, beta: 0.9 }, 1200, 6)
    const one = fitGarch(unbroken(values))
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 50, noNaN: true }), (k) => {
        const scaled = fitGarch(unbroken(values.map((r) => r * k)))
        expect(scaled.parameters.alpha).toBeCloseTo(one.parameters.alpha, 4)
        expect(scaled.parameters.beta).toBeCloseTo(one.parameters.beta, 4)
        expect(scaled.path.current / one.path.current / k).toBeCloseTo(1, 4)
      }),
      { numRuns: 3 },
    )
  })

  test('behavior: says where a sample shows no clustering', () => {
    const fit = fitGarch(unbroken(normals(1500, 21).map((z) => z * 0.01)))
    expect(fit.gainOverConstant).toBeLessThan(5.99)
    expect(fit.warnings).toContain('no volatility clustering is visible: a constant volatility fits as well')
    expect(fit.longRun).toBeCloseTo(0.01, 3)
  })

  test('behavior: sees through gaps, as every third bar missing leaves the long run', () => {
    const values = garchReturns({ omega: 2e-6, alpha: 0.08, beta: 0.9 }, 3000, 8)
    const merged: number[] = []
    const spans: number[] = []
    for (let i = 0; i + 2 < values.length; i += 3) {
      merged.push((values[i] as number) + (values[i + 1] as number), values[i + 2] as number)
      spans.push(2, 1)
    }
    const gappy: Returns = { ...unbroken(merged), spans: Float64Array.from(spans) }
    expect(fitGarch(gappy).longRun / fitGarch(unbroken(values)).longRun).toBeCloseTo(1, 1)
  })

  test('error: refuses a variance that never returns, and names what to use', () => {
    let variance = 1e-4
    const exploding = normals(3000, 6).map((z) => {
      const r = Math.sqrt(variance) * z
      variance = 1e-7 + 0.1 * r * r + 0.91 * variance
      return r
    })
    expect(() => fitGarch(unbroken(exploding))).toThrow(/a variance that never returns; use the EWMA/)
  })

  test('error: needs 500 returns, and some that move', () => {
    expect(() => fitGarch(unbroken(normals(499, 1)))).toThrow(SampleTooSmallError)
    expect(() => fitGarch(unbroken(Array.from({ length: 600 }, () => 0)))).toThrow(ModelFitError)
  })
})

describe('generated returns', () => {
  test('behavior: have the long-run volatility, repeat by seed, and come from the shocks given', () => {
    const of = (seed: number) => generateReturns(DAILY, { bars: 20_000, barSec: 86_400, seed })
    expect(of(1)).toEqual(of(1))
    expect(of(1).values).not.toEqual(of(2).values)
    const sigma = Math.sqrt(of(1).values.reduce((sum, r) => sum + r * r, 0) / 20_000)
    expect(sigma / Math.sqrt(DAILY.omega / 0.02)).toBeCloseTo(1, 0)
    const coins = generateReturns({ omega: 1e-4, alpha: 0, beta: 0 }, { bars: 100, barSec: 300, seed: 3, shocks: Float64Array.of(-1, 1) })
    expect(new Set([...coins.values].map((r) => Math.abs(r)))).toEqual(new Set([0.01]))
    expect(coins).toMatchObject({ barSec: 300, barCount: 101, gapBars: 0 })
  })

  test('error: refuses none at all', () => {
    expect(() => generateReturns(DAILY, { bars: 0, barSec: 300, seed: 1 })).toThrow(BadInputError)
    expect(() => generateReturns(DAILY, { bars: 9, barSec: 300, seed: 1, shocks: new Float64Array(0) })).toThrow(BadInputError)
    expect(() => generateReturns({ omega: 1e-5, alpha: 0.5, beta: 0.5 }, { bars: 9, barSec: 300, seed: 1 })).toThrow(ModelFitError)
  })
})
