import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { accountMargin, reviewLiquidations, summariseReview, surplusAt, type PastLiquidation } from '../../api/risk/index.ts'

// A long of 10 from 100 with 90 of collateral, liquidated at 95: value 40, requirement 6.25 % of 950 = 59.375.
// It lacks 19.375 there, and holds its requirement from 97.0667 on.
const long: PastLiquidation = { id: 'l', timestampSec: 1000, account: 'a', market: 'ETH', price: 95, positionSize: 10, takenSize: 5, penalty: 11.875, accountValue: 40, requirement: 59.375, maintenanceMargin: 0.0625 }
const points = (...rows: readonly (readonly [number, number])[]) => rows.map(([timestampSec, price]) => ({ timestampSec, price }))
const review = (second: ReturnType<typeof points>, own: ReturnType<typeof points>, l = long) => reviewLiquidations([l], { own: { ETH: own }, second: { ETH: second }, maxAgeSec: 60, laterSec: 600 })[0]

describe('review of past liquidations', () => {
  test('behavior: just where the second feed and what followed agree', () => {
    expect(review(points([990, 95.5]), points([1100, 94], [1200, 93]))).toMatchObject({ verdict: 'JUST', secondPrice: 95.5, laterPrice: 93, harm: 0, surplus: { used: -19.375 } })
  })
  test('behavior: unjust where neither agrees, with the harm: penalty and what the taken part was worth more', () => {
    const found = review(points([990, 98]), points([1100, 98], [1200, 99], [1300, 98.5]))
    expect(found).toMatchObject({ verdict: 'UNJUST', laterPrice: 98.5 })
    // 5 · 3 + 11.875.
    expect(found?.harm).toBeCloseTo(26.875, 12)
    expect(found?.deviation).toBeCloseTo(95 / 98 - 1, 12)
    expect(found?.why).toBe("at the second feed's 98.0000 the account stood 8.75000 above its requirement, and at the 98.5000 that followed too")
  })
  test('behavior: early where the price came back, disputed where only the second feed disagreed', () => {
    expect(review(points([990, 95]), points([1100, 98]))).toMatchObject({ verdict: 'EARLY', harm: 0 })
    expect(review(points([990, 98]), points([1100, 94]))).toMatchObject({ verdict: 'DISPUTED' })
    expect(review(points([990, 98]), points())).toMatchObject({ verdict: 'DISPUTED', laterPrice: null })
  })
  test('behavior: a price that is too old, or after the moment, is none', () => {
    expect(review(points([939, 98]), points())).toMatchObject({ verdict: 'UNKNOWN', secondPrice: null })
    expect(review(points([1001, 98]), points())).toMatchObject({ verdict: 'UNKNOWN' })
    expect(review(points([940, 98], [1000, 95]), points())).toMatchObject({ verdict: 'JUST', secondPrice: 95 })
    // A wick that followed does not decide: the median does.
    expect(review(points([1000, 95]), points([1001, 120], [1002, 94], [1003, 94], [1601, 120], [1601, 120], [1602, 120]))).toMatchObject({ verdict: 'JUST', laterPrice: 94 })
  })
  test('behavior: a summary names the unjust ones, the worst first', () => {
    const reviews = reviewLiquidations([long, { ...long, id: 'm', penalty: 50 }, { ...long, id: 'n', market: 'BTC' }], { own: { ETH: points([1100, 98]) }, second: { ETH: points([990, 98]) }, maxAgeSec: 60, laterSec: 600 })
    const found = summariseReview(reviews)
    expect(found.counts).toEqual({ JUST: 0, EARLY: 0, DISPUTED: 0, UNJUST: 2, UNKNOWN: 1 })
    expect(found.unjust.map((r) => r.id)).toEqual(['m', 'l'])
    expect(found.harm).toBeCloseTo(26.875 + 65, 12)
  })
  test('second method: the surplus at another price is what the margin model computes there', () => {
    const e18 = (x: number): bigint => BigInt(Math.round(x * 1e6)) * 10n ** 12n
    const at = (size: number, price: number) => accountMargin({ cashE18: e18(500), collaterals: [], positions: [{ market: 'ETH', sizeE18: e18(size), openNotionalE18: e18(-size * 100), markPriceE18: e18(price), imRatioE6: 100_000n, mmRatioE6: 62_500n }, { market: 'BTC', sizeE18: e18(-2), openNotionalE18: e18(200), markPriceE18: e18(90), imRatioE6: 100_000n, mmRatioE6: 62_500n }] })
    fc.assert(
      fc.property(fc.integer({ min: -100, max: 100 }), fc.integer({ min: 50, max: 150 }), fc.integer({ min: 50, max: 150 }), (size, price, other) => {
        const [here, there] = [at(size, price), at(size, other)]
        const number = (x: bigint): number => Number(x / 10n ** 6n) / 1e12
        const found = surplusAt({ price, positionSize: size, accountValue: number(here.accountValueE18), requirement: number(here.maintenanceMarginE18), maintenanceMargin: 0.0625 }, other)
        expect(found).toBeCloseTo(number(there.accountValueE18 - there.maintenanceMarginE18), 6)
      }),
    )
  })
  test('behavior: figures that are not of the moment decide nothing', () => {
    const found = review(points([990, 98]), points([1100, 98]), { ...long, accountValue: 60 })
    expect(found).toMatchObject({ verdict: 'UNKNOWN', harm: 0 })
    expect(found?.why).toContain('not of that moment')
  })
  test('error: refuses a price at 0', () => {
    expect(() => review(points(), points(), { ...long, price: 0 })).toThrow(BadInputError)
  })
})
