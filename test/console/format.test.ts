import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { age, compact, decimal, figure, float, grouped, percent, price, share, short, signedPercent, size, time, usd } from '../../console/ui/format.ts'

describe('figures for people', () => {
  test.each([
    ['1234.5678', 2, '1,234.57'],
    ['-1234567.005', 2, '−1,234,567.01'],
    ['0.004', 2, '0.00'],
    ['-0.004', 2, '0.00'],
    ['999.995', 2, '1,000.00'],
    ['9007199254740993.4', 0, '9,007,199,254,740,993'],
    ['12', 3, '12.000'],
    ['not a number', 2, 'not a number'],
  ])('behavior: decimal(%s, %d) is %s', (value, places, text) => expect(decimal(value, places)).toBe(text))

  test('behavior: rounding and grouping lose nothing but what is below the places', () => {
    fc.assert(fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (raw) => {
      // Two places of an integer of cents: nothing is rounded, so the digits must come back.
      const digits = (raw < 0n ? -raw : raw).toString().padStart(3, '0')
      const text = decimal(`${raw < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`, 2)
      expect(BigInt(text.replace('−', '-').replace(/[,.]/g, ''))).toBe(raw)
    }))
  })

  test('behavior: a price keeps about five figures, an amount of USD its cents until 100,000', () => {
    expect([price('40123.456'), price('1800'), price('1.23456'), price('0.0123456')]).toEqual(['40,123.5', '1,800.00', '1.2346', '0.012346'])
    expect([usd('99999.999'), usd('100000.4'), size('0.123456'), size('12.3456'), size('1234.56')]).toEqual(['100,000.00', '100,000', '0.12346', '12.346', '1,234.6'])
  })

  test('behavior: what is not nought never reads as nought, and nought does', () => {
    expect([usd('0.004'), usd('-0.004'), size('0.000001'), percent(0.00003), percent(-0.00003), signedPercent(0.00003), float(0.00002)]).toEqual(['< 0.01', '> −0.01', '< 0.00001', '< 0.01 %', '> −0.01 %', '< 0.01 %', '< 0.0001'])
    expect([usd('0'), usd('0.00'), usd('0.005'), percent(0), percent(-0), float(0), signedPercent(0.0001)]).toEqual(['0.00', '0.00', '0.01', '0.00 %', '0.00 %', '0', '+0.01 %'])
    fc.assert(fc.property(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.integer({ min: 0, max: 17 }), (raw, places) => {
      const digits = (raw < 0n ? -raw : raw).toString().padStart(19, '0')
      expect(/[1-9]/.test(figure(`${raw < 0n ? '-' : ''}${digits.slice(0, -18)}.${digits.slice(-18)}`, places))).toBe(raw !== 0n)
    }))
  })

  test('behavior: amounts in a sentence are grouped, and dates, hashes and decimals are not', () => {
    expect(grouped('cover-2 372829 (covid-2020-03-12), 10000 paths below 2746, 0x1234567 at 1.123456.')).toBe('cover-2 372,829 (covid-2020-03-12), 10,000 paths below 2746, 0x1234567 at 1.123456')
  })

  test('behavior: a compact figure takes the unit that its rounding reaches', () => {
    expect([compact(0), compact(1234), compact(9999.4), compact(9999.6), compact(999_499), compact(999_999), compact(-1_250_000), compact(999_999_999)]).toEqual(['0', '1,234', '9,999', '10k', '999k', '1M', '−1.25M', '1B'])
  })

  test('behavior: beyond a thousand billions a figure is of trillions, and beyond what anybody counts in a power of ten', () => {
    expect([compact(999.4e9), compact(999.6e9), compact(1e12), compact(-2.5e14), compact(999.6e12), compact(-1.234e30)]).toEqual(['999B', '1T', '1T', '−250T', '1e15', '−1.23e30'])
    expect([float(1e20), float(1e30), float(-1.234e21), float(Infinity)]).toEqual(['100,000,000,000,000,000,000', '1e30', '−1.23e21', '∞'])
  })

  test('behavior: what is a little over all of what is allowed never reads as all of it', () => {
    expect([share(0.35), share(1), share(1.004), share(0.996), share(1.0004), share(1.000004), share(0.999996), share(1.2), share(0)]).toEqual(['35 %', '100 %', '100.4 %', '99.6 %', '100.04 %', '> 100 %', '< 100 %', '120 %', '0 %'])
    expect([share(0.3512, 1), share(1.0004, 1)]).toEqual(['35.1 %', '100.04 %'])
  })

  test('behavior: ratios, ages, times and addresses', () => {
    expect([percent(0.0625), percent(-0.001234), percent(1000)]).toEqual(['6.25 %', '−0.12 %', '> 10,000 %'])
    expect([age(0), age(119), age(120), age(7200), age(172_800)]).toEqual(['0 s', '119 s', '2 min', '2 h', '2 d'])
    expect(time('1700000000')).toBe('2023-11-14 22:13:20 UTC')
    expect(short('0x1234567890abcdef1234567890abcdef12345678')).toBe('0x123456…345678')
  })
})
