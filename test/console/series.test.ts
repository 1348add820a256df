/** What the market pages work out of the API's answers, without a page. */
import { describe, expect, test } from '@jest/globals'
import { bandWords, lastDay, product, sumE18, thinner } from '../../console/market/series.ts'

describe('the market pages’ own arithmetic', () => {
  test('behavior: the last day is 24 hours that are over, wherever in the hour it is asked', () => {
    const hour = 1_769_839_200
    // 06:00, 06:00:01 and 06:59:59: the hours from 06:00 the day before to 05:00.
    for (const now of [hour, hour + 1, hour + 3599]) {
      const { from, to } = lastDay(now)
      const hours = Array.from({ length: 30 }, (_, i) => hour + 3600 - i * 3600).filter((start) => start >= from && start < to)
      expect([hours.length, hours[0], hours.at(-1)]).toEqual([24, hour - 3600, hour - 86_400])
    }
    expect(lastDay(hour + 3600)).toEqual({ from: hour + 3600 - 86_400, to: hour + 3600 })
  })

  test('behavior: a band that changed within the window is said from its least to its most, and since when it is known', () => {
    const steps = [{ sec: 1000, value: 0.2 }, { sec: 5000, value: 0.25 }]
    expect(bandWords(steps, 2000, 9000)).toBe('band ±20 to ±25 % of the index')
    expect(bandWords(steps, 2000, 4999)).toBe('band ±20 % of the index')
    expect(bandWords(steps, 5000, 9000)).toBe('band ±25 % of the index')
    // It fell from 30 % by way of 6.25 %: the least is neither the first nor the last.
    expect(bandWords([{ sec: 1, value: 0.3 }, { sec: 10, value: 0.0625 }, { sec: 20, value: 0.1 }], 5, 30)).toBe('band ±6.25 to ±30 % of the index')
    expect(bandWords(steps, 0, 3000)).toBe('band ±20 % of the index, unknown before 1 Jan 00:16 UTC')
    expect([bandWords(steps, 0, 999), bandWords([], 0, 9000)]).toEqual(['band unknown', 'band unknown'])
  })

  test('behavior: products and sums of amounts lose nothing', () => {
    // 1.5 · 2,000.25 = 3,000.375; 0.000000000000000001² has 36 places.
    expect([product('1.5', '2000.25'), product('0', '2000.25'), product('-2', '1.5'), product('3', '4')]).toEqual(['3000.375', '0.00', '-3.0', '12'])
    expect(product('0.000000000000000001', '0.000000000000000001')).toBe(`0.${'0'.repeat(35)}1`)
    expect([sumE18(['1', '2']), sumE18(['-1000000000000000000', '500000000000000000']), sumE18([])]).toEqual(['0.000000000000000003', '-0.500000000000000000', '0.000000000000000000'])
  })

  test('behavior: the thinner side keeps the API’s own digits', () => {
    const [large, small] = ['309123.123456789012345678', '309123.123456789012345']
    expect(thinner({ buyQuote: { value: large }, sellQuote: { value: '400000' } })).toBe(large)
    expect(thinner({ buyQuote: { value: '400000' }, sellQuote: { value: small } })).toBe(small)
    expect(thinner(null)).toBeNull()
  })
})
