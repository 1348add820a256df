import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { DEFAULT_ORACLE, expectedStalenessLoss, oracleHealth, stalenessLoss, type OracleConfig, type OracleObservation } from '../../api/risk/index.ts'

const config: OracleConfig = { ...DEFAULT_ORACLE, heartbeatSec: 1200, timeoutSec: 5400, sigma5Min: 0.004, sigmaPerYear: 0.6, margin: 0.0625, openInterest: 1_000_000 }
const fine: OracleObservation = { nowSec: 10_000, priceTimestampSec: 9_900, price: 2000, referencePrice: 2001, freezeReason: 0, fallback: false, confidence: null, sequencerUpForSec: null, skippedRounds: null }
const flagsOf = (change: Partial<OracleObservation>): string[] => oracleHealth({ ...fine, ...change }, config).flags.map((f) => f.flag)

describe('oracle health', () => {
  test('behavior: a fresh price near its reference is OK', () => {
    expect(oracleHealth(fine, config)).toMatchObject({ status: 'OK', ageSec: 100, flags: [], freezeReason: 'not frozen' })
  })
  test('behavior: late after 1.2 heartbeats, out after the timeout, each with its numbers', () => {
    expect(flagsOf({ priceTimestampSec: 10_000 - 1440 })).toEqual([])
    expect(flagsOf({ priceTimestampSec: 10_000 - 1441 })).toEqual(['LATE'])
    expect(flagsOf({ priceTimestampSec: 10_000 - 5401 })).toEqual(['TIMED_OUT', 'LATE'])
    expect(oracleHealth({ ...fine, priceTimestampSec: 8_000 }, config).flags[0]?.text).toBe('the price is 2000 s old, due every 1200 s and late after 1440 s')
  })
  test('behavior: names why a feed is frozen, that it fell back, and every other doubt', () => {
    // enum FreezedReason { NotFreezed, NoResponse, IncorrectDecimals, NoRoundId, InvalidTimestamp, NonPositiveAnswer }
    expect(oracleHealth({ ...fine, freezeReason: 4 }, config)).toMatchObject({ status: 'FAIL', freezeReason: 'invalid timestamp' })
    expect(oracleHealth({ ...fine, freezeReason: 5 }, config)).toMatchObject({ status: 'FAIL', freezeReason: 'price not positive' })
    expect(oracleHealth({ ...fine, fallback: true }, config)).toMatchObject({ status: 'WARN', flags: [{ flag: 'FALLBACK' }] })
    // 6 · 0.4 % = 2.4 %.
    expect(flagsOf({ price: 2049 })).toEqual([])
    expect(flagsOf({ price: 2050 })).toEqual(['DEVIATION'])
    expect(flagsOf({ confidence: 0.011, sequencerUpForSec: 60, skippedRounds: 2 })).toEqual(['WIDE_CONFIDENCE', 'SEQUENCER_GRACE', 'SKIPPED_ROUNDS'])
    expect(flagsOf({ price: null })).toEqual(['NO_PRICE'])
    expect(flagsOf({ priceTimestampSec: 10_050 })).toEqual(['FROM_THE_FUTURE'])
  })
  test('error: names the field of a wrong setting', () => {
    expect(() => oracleHealth(fine, { ...config, heartbeatSec: 0 })).toThrow(BadInputError)
    expect(() => oracleHealth({ ...fine, freezeReason: 9 }, config)).toThrow(/freeze reason 9/)
  })
})

describe('cost of staleness', () => {
  test('vector: z 3, 60 %, 3600 s hides 1.923 %', () => {
    expect(stalenessLoss(3, 0.6, 3600)).toBeCloseTo(0.01923, 5)
  })
  test('second method: the closed form is the integral of the loss over the normal density', () => {
    const s = 0.6 * Math.sqrt(36_000 / 31_536_000)
    for (const margin of [0, 0.01, 0.03, 0.0625]) {
      let integral = 0
      const step = s / 2000
      for (let r = margin + step / 2; r < 12 * s; r += step) integral += ((r - margin) * Math.exp(-(r * r) / (2 * s * s)) * step) / (s * Math.sqrt(2 * Math.PI))
      expect(expectedStalenessLoss({ sigmaPerYear: 0.6, ageSec: 36_000, margin }) / integral).toBeCloseTo(1, 5)
    }
    // Without margin it is the mean of a half normal: s/√(2π).
    expect(expectedStalenessLoss({ sigmaPerYear: 0.6, ageSec: 36_000, margin: 0 })).toBeCloseTo(s / Math.sqrt(2 * Math.PI), 15)
  })
  test('property: grows with age and volatility, falls with margin, is never negative', () => {
    const u = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(u, u, u, u, (sigma, age, margin, more) => {
        const at = (s: number, a: number, m: number): number => expectedStalenessLoss({ sigmaPerYear: s, ageSec: a * 86_400, margin: m / 10 })
        const base = at(sigma, age, margin)
        expect(base).toBeGreaterThanOrEqual(0)
        expect(at(sigma + more, age, margin)).toBeGreaterThanOrEqual(base - 1e-15)
        expect(at(sigma, age + more, margin)).toBeGreaterThanOrEqual(base - 1e-15)
        expect(at(sigma, age, margin + more)).toBeLessThanOrEqual(base + 1e-15)
      }),
    )
  })
})
