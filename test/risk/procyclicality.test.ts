import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { antiProcyclical, backtest, procyclicality, SampleTooSmallError } from '../../api/risk/index.ts'
import { garchReturns, unbroken } from './samples.ts'

const fraction = fc.double({ min: 0, max: 0.5, noNaN: true })

describe('EMIR article 28(1)', () => {
  test('behavior: (a) the buffer stands on top at first, is eaten while the core rises, and comes back', () => {
    const step = (core: number, previous: number | null) => antiProcyclical(core, { way: 'buffer', buffer: 0.25, previous, restore: 0.05 })
    expect(step(0.08, null)).toMatchObject({ margin: 0.1, binding: 'full buffer', bufferLeft: 0.25, meetsRegulation: true })
    // 8 % → 9 %: the published 10 % stands, but for the 5 % of 9 % that is restored.
    expect(step(0.09, 0.1)).toMatchObject({ margin: expect.closeTo(0.1045, 12), binding: 'buffer in use' })
    expect(step(0.12, 0.1)).toMatchObject({ margin: 0.12, binding: 'buffer used up', bufferLeft: 0 })
    expect(step(0.12, 0.12)).toMatchObject({ margin: expect.closeTo(0.126, 12), binding: 'buffer in use' })
    expect(step(0.04, 0.1)).toMatchObject({ margin: 0.05, binding: 'full buffer' })
  })

  test('behavior: (b) a quarter of the weight on stressed observations, never below the core', () => {
    expect(antiProcyclical(0.06, { way: 'stress', stressed: 0.2, weight: 0.25 })).toMatchObject({ margin: expect.closeTo(0.095, 12), binding: 'stressed observations', meetsRegulation: true })
    expect(antiProcyclical(0.3, { way: 'stress', stressed: 0.2, weight: 0.25 })).toMatchObject({ margin: 0.3, binding: 'core' })
  })

  test('behavior: (c) no lower than the long run, and says when that is shorter than ten years', () => {
    expect(antiProcyclical(0.03, { way: 'floor', longRun: 0.05, lookbackYears: 10 })).toMatchObject({ margin: 0.05, binding: 'long-run floor', meetsRegulation: true })
    expect(antiProcyclical(0.07, { way: 'floor', longRun: 0.05, lookbackYears: 0.1 })).toMatchObject({ margin: 0.07, binding: 'core', meetsRegulation: false })
  })

  test('property: no way goes below the core, and the buffer never above its 25 %', () => {
    fc.assert(
      fc.property(fraction, fraction, fraction, fraction, (core, other, weight, restore) => {
        const a = antiProcyclical(core, { way: 'buffer', buffer: 0.25, previous: other, restore }).margin
        expect(a).toBeGreaterThanOrEqual(core)
        expect(a).toBeLessThanOrEqual(core * 1.25 + 1e-15)
        expect(antiProcyclical(core, { way: 'stress', stressed: other, weight }).margin).toBeGreaterThanOrEqual(core - 1e-15)
        expect(antiProcyclical(core, { way: 'floor', longRun: other, lookbackYears: 10 }).margin).toBeGreaterThanOrEqual(core)
      }),
    )
  })

  test('error: refuses what is not a margin', () => {
    expect(() => antiProcyclical(-0.1, { way: 'floor', longRun: 0.05, lookbackYears: 10 })).toThrow(expect.objectContaining({ facts: { field: 'core' } }))
    expect(() => antiProcyclical(0.1, { way: 'buffer', buffer: NaN, previous: null, restore: 0 })).toThrow(BadInputError)
  })
})

describe('measured procyclicality', () => {
  test('behavior: by hand', () => {
    expect(procyclicality([4, 2, 3, 6, 5], 1)).toEqual({ peakToTrough: 3, largestJump: 2, steps: 1, observations: 5 })
    expect(procyclicality([4, 2, 3, 6, 5], 3)).toMatchObject({ largestJump: 2.5 })
  })

  test('behavior: on years of clustered volatility every way takes from the swings of a filtered VaR', () => {
    const daily = unbroken(garchReturns({ omega: 1e-5, alpha: 0.12, beta: 0.87 }, 3000, 61))
    const filtered = backtest(daily, { model: { kind: 'fhs-ewma', lambda: 0.97 }, level: 0.99, side: 'down' })
    // The whole expanding history, known the day before: the look-back of (c).
    const history = backtest(daily, { model: { kind: 'historical' }, level: 0.99, side: 'down' })
    const cores = [...filtered.valueAtRisk]
    const longRun = history.valueAtRisk.slice(filtered.first - history.first)
    const floored = cores.map((core, i) => antiProcyclical(core, { way: 'floor', longRun: longRun[i] ?? NaN, lookbackYears: 10 }).margin)
    let previous: number | null = null
    const buffered = cores.map((core) => (previous = antiProcyclical(core, { way: 'buffer', buffer: 0.25, previous, restore: 0.002 }).margin))
    const worst = Math.max(...cores)
    const stressed = cores.map((core) => antiProcyclical(core, { way: 'stress', stressed: worst, weight: 0.25 }).margin)

    const core = procyclicality(cores)
    expect(procyclicality(floored).peakToTrough).toBeLessThan(core.peakToTrough / 1.5)
    expect(procyclicality(floored).largestJump).toBeLessThanOrEqual(core.largestJump)
    expect(procyclicality(buffered).largestJump).toBeLessThan(core.largestJump)
    expect(procyclicality(stressed).peakToTrough).toBeLessThan(core.peakToTrough)
    // And none of them is a weaker margin.
    const exceptions = (margins: readonly number[]): number => margins.filter((m, i) => -(daily.values[filtered.first + i] as number) > m).length
    for (const margins of [floored, buffered, stressed]) expect(exceptions(margins)).toBeLessThanOrEqual(exceptions(cores))
  })

  test('error: needs more margins than steps, all above 0', () => {
    expect(() => procyclicality([1, 2, 3, 4, 5], 5)).toThrow(SampleTooSmallError)
    expect(() => procyclicality([1, 0, 3], 1)).toThrow(BadInputError)
  })
})
