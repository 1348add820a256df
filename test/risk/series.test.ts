import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { decayOf, ewmaStep, ewmaVolatility, SampleTooSmallError, scaleVolatility, toBars, toReturns, type Returns } from '../../api/risk/index.ts'

const unbroken = (values: number[]): Returns => ({ barSec: 300, barCount: values.length + 1, values: Float64Array.from(values), spans: new Float64Array(values.length).fill(1), gapBars: 0, dropped: 0 })

describe('bars', () => {
  test('behavior: the last value of a bar is its close, and bars without a value stay gaps', () => {
    const series = toBars(
      [
        { timestampSec: 0, price: 100 },
        { timestampSec: 299, price: 101 },
        { timestampSec: 300, price: 102 },
        { timestampSec: 1200, price: 99 },
      ],
      { startSec: 0, endSec: 1500, barSec: 300 },
    )
    expect(series.bars).toEqual([
      { index: 0, close: 101 },
      { index: 1, close: 102 },
      { index: 4, close: 99 },
    ])
    expect(series.barCount).toBe(5)
    const returns = toReturns(series, { maxSpan: 12 })
    expect([...returns.spans]).toEqual([1, 3])
    expect(returns.values[1]).toBeCloseTo(Math.log(99 / 102), 15)
    expect(returns.gapBars).toBe(2)
  })

  test('behavior: a return over an outage longer than maxSpan is dropped and counted', () => {
    const series = toBars([{ timestampSec: 0, price: 100 }, { timestampSec: 3900, price: 50 }, { timestampSec: 4200, price: 51 }], { startSec: 0, endSec: 4500, barSec: 300 })
    const returns = toReturns(series, { maxSpan: 12 })
    expect(returns.values).toHaveLength(1)
    expect(returns.dropped).toBe(1)
  })

  test('error: refuses prices out of time order and prices that are not positive', () => {
    const window = { startSec: 0, endSec: 600, barSec: 300 }
    expect(() => toBars([{ timestampSec: 10, price: 1 }, { timestampSec: 9, price: 1 }], window)).toThrow(BadInputError)
    expect(() => toBars([{ timestampSec: 10, price: 0 }], window)).toThrow(BadInputError)
    expect(() => toBars([], { startSec: 10, endSec: 600, barSec: 300 })).toThrow(BadInputError)
  })

  test('property: returns and dropped ones together telescope to the whole move', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.double({ min: 1, max: 10_000, noNaN: true })), { minLength: 2, maxLength: 60 }), (steps) => {
        let at = 0
        const points = steps.map(([dt, price]) => ({ timestampSec: (at += dt), price }))
        const series = toBars(points, { startSec: 0, endSec: Math.ceil((at + 1) / 300) * 300, barSec: 300 })
        const returns = toReturns(series, { maxSpan: Infinity })
        const sum = returns.values.reduce((a, b) => a + b, 0)
        const first = series.bars[0]
        const last = series.bars.at(-1)
        expect(sum).toBeCloseTo(Math.log((last?.close ?? 1) / (first?.close ?? 1)), 9)
        expect(returns.spans.reduce((a, b) => a + b, 0)).toBe((last?.index ?? 0) - (first?.index ?? 0))
      }),
    )
  })
})

describe('EWMA volatility', () => {
  test('vector: σ0 2 %, r 5 %, λ 0.94 gives 2.2935 %', () => {
    expect(Math.sqrt(ewmaStep(0.02 ** 2, 0.05, 0.94))).toBeCloseTo(0.022935, 6)
  })

  test('behavior: a constant move is its own volatility, with or without gaps', () => {
    expect(ewmaVolatility(unbroken(Array.from({ length: 100 }, (_, i) => (i % 2 ? 0.01 : -0.01))), 0.97).current).toBeCloseTo(0.01, 12)
    // Over 4 bars a diffusion of 1 % per bar moves by 2 %.
    const gappy: Returns = { ...unbroken(Array.from({ length: 100 }, () => 0.02)), spans: new Float64Array(100).fill(4) }
    const path = ewmaVolatility(gappy, 0.97)
    expect(path.current).toBeCloseTo(0.01, 12)
    expect(path.longRun).toBeCloseTo(0.01, 12)
  })

  test('error: needs 30 returns', () => {
    expect(() => ewmaVolatility(unbroken(Array.from({ length: 29 }, () => 0.01)), 0.97)).toThrow(SampleTooSmallError)
    expect(ewmaVolatility(unbroken(Array.from({ length: 30 }, () => 0.01)), 0.97).observations).toBe(30)
  })

  test('property: scaling the returns scales the volatility (metamorphic)', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -0.05, max: 0.05, noNaN: true }), { minLength: 30, maxLength: 80 }), fc.double({ min: 0.1, max: 5, noNaN: true }), (values, k) => {
        const one = ewmaVolatility(unbroken(values), 0.97).current
        const many = ewmaVolatility(unbroken(values.map((x) => x * k)), 0.97).current
        expect(many).toBeCloseTo(one * k, 12)
      }),
    )
  })

  test('behavior: half-life and square root of time', () => {
    expect(decayOf(300, 300)).toBe(0.5)
    // 288 five-minute bars are a day: √288 = 16.9706.
    expect(scaleVolatility(0.001, 300, 86_400)).toBeCloseTo(0.0169706, 7)
  })
})
