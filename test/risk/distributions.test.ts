import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { binomialCdf, chiSquareSurvival, erfc, normalCdf, normalPdf, normalQuantile } from '../../api/risk/index.ts'

describe('distribution functions', () => {
  test('vector: erfc against tabulated values (Abramowitz–Stegun table 7.1)', () => {
    expect(erfc(0)).toBe(1)
    expect(erfc(0.5)).toBeCloseTo(0.4795001222, 10)
    expect(erfc(2)).toBeCloseTo(0.004677734981, 12)
    expect(erfc(3) / 2.209049699858544e-5).toBeCloseTo(1, 10)
    expect(erfc(-0.5)).toBeCloseTo(2 - 0.4795001222, 10)
  })

  test('vector: the normal distribution against its tables (Abramowitz–Stegun 26.1)', () => {
    expect(normalCdf(1)).toBeCloseTo(0.8413447460685429, 14)
    expect(normalCdf(-2)).toBeCloseTo(0.0227501319481792, 14)
    expect(normalCdf(-6) / 9.865876450376981e-10).toBeCloseTo(1, 10)
    expect(normalPdf(1)).toBeCloseTo(0.2419707245191434, 15)
    expect(normalQuantile(0.99)).toBeCloseTo(2.3263478740408408, 12)
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12)
    expect(normalQuantile(0.001)).toBeCloseTo(-3.090232306167813, 12)
  })

  test('property: the quantile inverts the distribution in both tails', () => {
    fc.assert(fc.property(fc.double({ min: 1e-12, max: 1 - 1e-12, noNaN: true }), (p) => Math.abs(normalCdf(normalQuantile(p)) - p) <= 1e-11 * Math.min(p, 1 - p) + 1e-16))
  })

  test('vector: χ² critical values at 10 %, 5 % and 1 % (Pearson’s table)', () => {
    for (const [x, p] of [[2.705543, 0.1], [3.841459, 0.05], [6.634897, 0.01]] as const) expect(chiSquareSurvival(x, 1)).toBeCloseTo(p, 7)
    for (const [x, p] of [[4.60517, 0.1], [5.991465, 0.05], [9.21034, 0.01]] as const) expect(chiSquareSurvival(x, 2)).toBeCloseTo(p, 7)
  })

  test('vector: cumulative probabilities of 250 days at 1 % (Basel Committee, 1996, table 2)', () => {
    for (const [x, p] of [[0, 0.0811], [4, 0.8922], [5, 0.9588], [9, 0.9997], [10, 0.9999]] as const) expect(binomialCdf(x, 250, 0.01)).toBeCloseTo(p, 4)
    expect(binomialCdf(250, 250, 0.01)).toBeCloseTo(1, 12)
  })

  test('error: refuses a probability outside (0, 1)', () => {
    expect(() => normalQuantile(1)).toThrow(BadInputError)
  })
})
