import { describe, expect, test } from '@jest/globals'
import { run } from './run.ts'

describe('the index against the contracts', () => {
  // The whole comparison is `npm run differential`; this is the short history, at blocks that a seed chose once.
  test(
    'behavior: at random blocks of the scripted history, every figure that the index gives is what the contracts answer',
    async () => {
      const report = await run({ blocks: 40, seed: 6, history: 'quirks', historySeed: 1, cacheDir: '.bulwark/cache', shown: 3, log: () => undefined })
      expect(report.firstMismatches).toEqual([])
      expect({ blocks: report.blocks, enough: report.comparisons > 60_000 }).toEqual({ blocks: 40, enough: true })
      expect(report.maxAbsWei).toBe('0')
      // Refusals are among what was compared.
      expect(report.byField['AccountBalance.getMarkPrice']?.reverts).toBeGreaterThan(0)
      expect(report.byField['BaseToken.getClosedPrice']?.reverts).toBeGreaterThan(0)
    },
    300_000,
  )
})
