import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { replayTrades } from '../../proposals/replay.ts'
import { tradeBreakers } from '../../protocols/curie/breakers.ts'
import type { Trade } from '../../proposals/replay.ts'
import { sqrtRatioAtTickX96 } from '../../protocols/curie/uniswap-v3.ts'

const E18 = 10n ** 18n
/** √price · 2^96 of a price in hundredths. */
const root = (price: number): bigint => BigInt(Math.floor(Math.sqrt(price) * 2 ** 48)) << 48n
const trade = (timestampSec: number, before: number, after: number, more: Partial<Trade> = {}): Trade => ({ timestampSec, block: timestampSec, account: '0xa1', sqrtBeforeX96: root(before), sqrtAfterX96: root(after), indexE18: 100n * E18, notionalE18: 1_000n * E18, reduces: false, ...more })
const breakerOf = (parameter: string) => tradeBreakers.find((each) => each.parameter === parameter)!
const replay = (parameter: string, from: bigint, to: bigint, trades: readonly Trade[]) => replayTrades(breakerOf(parameter), { market: 'vETH', from, to, trades, events: [], fromSec: 0, toSec: 100_000 })
const bandRefuses = (one: Trade, band: bigint) => breakerOf('marketMaxPriceSpreadRatio').refused([one], band)[0]

describe('the price band', () => {
  test('behavior: a trade may end within the band, or no further out than it began', () => {
    // The index stands at 100, the band at 5 %.
    expect(bandRefuses(trade(1, 100, 104), 50_000n)).toBe(false)
    expect(bandRefuses(trade(1, 100, 106), 50_000n)).toBe(true)
    expect(bandRefuses(trade(1, 100, 94), 50_000n)).toBe(true)
    expect(bandRefuses(trade(1, 108, 107), 50_000n)).toBe(false)
    expect(bandRefuses(trade(1, 107, 108), 50_000n)).toBe(true)
    // From above the band to below the other side of it.
    expect(bandRefuses(trade(1, 108, 94), 50_000n)).toBe(true)
    expect(bandRefuses(trade(1, 92, 93), 50_000n)).toBe(false)
  })

  test('behavior: without an index price or a price before, nothing is said', () => {
    expect(bandRefuses(trade(1, 100, 200, { indexE18: null }), 50_000n)).toBeNull()
    expect(bandRefuses(trade(1, 100, 200, { sqrtBeforeX96: null }), 50_000n)).toBeNull()
    expect(replay('marketMaxPriceSpreadRatio', 100_000n, 50_000n, [trade(1, 100, 200, { indexE18: null })])).toMatchObject({ trades: 1, unknown: 1, before: { trades: 0 }, after: { trades: 0 } })
  })

  test('behavior: what a narrower band would have refused, by trades, accounts and notional', () => {
    const trades = [trade(10, 100, 103), trade(20, 103, 106), trade(30, 106, 107, { account: '0xb2', reduces: true }), trade(40, 107, 104), trade(50, 104, 112)]
    const found = replay('marketMaxPriceSpreadRatio', 100_000n, 50_000n, trades)
    expect(found.before).toEqual({ trades: 1, ofThemReducing: 0, accounts: 1, notionalE18: String(1_000n * E18), firstSec: 50, lastSec: 50 })
    expect(found.after).toEqual({ trades: 3, ofThemReducing: 1, accounts: 2, notionalE18: String(3_000n * E18), firstSec: 20, lastSec: 50 })
    // Within 5 %: at or beyond it from second 20 on; within 10 %: at second 50, and near it before.
    expect(found.trips!.tripsAfter).toBe(1)
    expect(found.trips!.after).toContain('would have tripped 1 times, 1 of them to RESTRICT or above')
  })

  test('behavior: a stored band of 0 is 10 %', () => {
    const trades = [trade(10, 100, 109), trade(20, 109, 111)]
    expect(replay('marketMaxPriceSpreadRatio', 0n, 100_000n, trades)).toMatchObject({ before: { trades: 1 }, after: { trades: 1 } })
  })

  test('behavior: a narrower band never refuses less', () => {
    const price = fc.double({ min: 50, max: 200, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(price, price), { maxLength: 30 }), fc.integer({ min: 1, max: 500_000 }), fc.integer({ min: 1, max: 500_000 }), (moves, a, b) => {
        const trades = moves.map(([before, after], i) => trade(i, before, after))
        const found = replay('marketMaxPriceSpreadRatio', BigInt(Math.max(a, b)), BigInt(Math.min(a, b)), trades)
        return found.after.trades >= found.before.trades
      }),
    )
  })
})

describe('the tick cap', () => {
  const ticks = (timestampSec: number, before: number, after: number): Trade => ({ ...trade(timestampSec, 1, 1), sqrtBeforeX96: sqrtRatioAtTickX96(before), sqrtAfterX96: sqrtRatioAtTickX96(after) })

  test('behavior: trades are held against the tick before the first of them, taken anew after 15 s', () => {
    // 0 → 60 → 120 within 15 s: the second ends 120 from the reference. After 15 s the reference is 120.
    const trades = [ticks(100, 0, 60), ticks(110, 60, 120), ticks(115, 120, 180), ticks(116, 180, 230)]
    expect(replay('maxTickCrossedWithinBlock', 1_000n, 100n, trades)).toMatchObject({ before: { trades: 0 }, after: { trades: 2, firstSec: 110, lastSec: 116 }, trips: null })
    expect(replay('maxTickCrossedWithinBlock', 1_000n, 120n, trades).after.trades).toBe(0)
  })

  test('behavior: a cap of 0 stops every trade', () => {
    expect(replay('maxTickCrossedWithinBlock', 100n, 0n, [ticks(1, 0, 1), ticks(2, 1, 0)]).after.trades).toBe(2)
  })
})
