import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { E18, formatPercentE6, formatUnits, fromE18, fromFloat, mulDiv, toE18, toFloat } from '../../core/units.ts'

describe('mulDiv', () => {
  test.each([
    [7n, 1n, 2n, 3n, 4n, 3n],
    [-7n, 1n, 2n, -4n, -3n, -3n],
    [7n, -1n, 2n, -4n, -3n, -3n],
    [-7n, 1n, -2n, 3n, 4n, 3n],
    [6n, 1n, 2n, 3n, 3n, 3n],
  ])('%p · %p / %p is %p floored, %p ceiled, %p truncated', (a, b, c, floored, ceiled, truncated) => {
    expect(mulDiv(a, b, c, 'floor')).toBe(floored)
    expect(mulDiv(a, b, c, 'ceil')).toBe(ceiled)
    expect(mulDiv(a, b, c, 'trunc')).toBe(truncated)
  })

  test('property: floor and ceil enclose the exact quotient and differ by at most one', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt(), fc.bigInt().filter((c) => c !== 0n), (a, b, c) => {
        const sign = c < 0n ? -1n : 1n
        const floored = mulDiv(a, b, c, 'floor')
        const ceiled = mulDiv(a, b, c, 'ceil')
        expect(floored * c * sign <= a * b * sign).toBe(true)
        expect(ceiled * c * sign >= a * b * sign).toBe(true)
        expect(ceiled - floored <= 1n).toBe(true)
      }),
    )
  })

  test('error: refuses a divisor of 0 in one sentence', () => {
    expect(() => mulDiv(1n, 1n, 0n)).toThrow(BadInputError)
  })
})

describe('crossings between units', () => {
  test('behavior: a 6-decimal amount survives the way to 18 decimals and back', () => {
    fc.assert(fc.property(fc.bigInt(), (amount) => fromE18(toE18(amount, 6), 6) === amount))
  })

  test('behavior: 18 → 6 decimals truncates towards zero, as Solidity does, unless told otherwise', () => {
    expect(fromE18(1_999_999_999_999n, 6)).toBe(1n)
    expect(fromE18(-1_999_999_999_999n, 6)).toBe(-1n)
    expect(fromE18(-1_999_999_999_999n, 6, 'floor')).toBe(-2n)
  })

  test('behavior: text is exact and has no trailing zeros', () => {
    expect(formatUnits(1_500_000n, 6)).toBe('1.5')
    expect(formatUnits(-1n, 18)).toBe('-0.000000000000000001')
    expect(formatUnits(E18, 18)).toBe('1')
    expect(formatUnits(0n, 6)).toBe('0')
    expect(formatUnits(42n, 0)).toBe('42')
    expect(formatPercentE6(62_500n)).toBe('6.25 %')
  })

  test('behavior: a float64 comes back within its precision', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), (raw) => {
        expect(Math.abs(Number(fromFloat(toFloat(raw, 6), 6, 'nearest') - raw))).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('error: refuses a statistic that is not a finite number', () => {
    expect(() => fromFloat(Number.NaN, 6, 'nearest')).toThrow(/Found NaN, allowed is a finite number/)
    expect(() => fromFloat(Number.POSITIVE_INFINITY, 6, 'ceil')).toThrow(BadInputError)
  })
})
