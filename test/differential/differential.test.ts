import { describe, expect, test } from '@jest/globals'
import { ASKED_ELSEWHERE } from './prices.ts'
import { run } from './run.ts'

describe('the index against the contracts', () => {
  // The whole comparison is `npm run differential`; this is the short history, at blocks that a seed chose once.
  test(
    'behavior: at random blocks of the scripted history, every figure that the index and the API give is what the contracts answer',
    async () => {
      const report = await run({ blocks: 24, seed: 6, history: 'quirks', historySeed: 1, cacheDir: '.bulwark/cache', shown: 3, log: () => undefined })
      expect(report.firstMismatches).toEqual([])
      expect({ blocks: report.blocks, enough: report.comparisons > 45_000 }).toEqual({ blocks: 24, enough: true })
      expect(report.maxAbsWei).toBe('0')
      // What is liquidated at, and whether anyone may, the contracts themselves have said at prices that the markets did not have.
      for (const field of Object.values(ASKED_ELSEWHERE)) expect([field, report.byField[field]?.comparisons]).toEqual([field, expect.any(Number)])
      expect(report.byField['API margin.accountValue']?.exact).toBeGreaterThan(300)
      // Refusals are among what was compared.
      expect(report.byField['AccountBalance.getMarkPrice']?.reverts).toBeGreaterThan(0)
      expect(report.byField['BaseToken.getClosedPrice']?.reverts).toBeGreaterThan(0)
    },
    300_000,
  )
})
