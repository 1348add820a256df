import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { ADL_METHODS, adlAllocate, adlQueue, binanceScore, bitmexScore, deleverage, type AdlPosition } from '../../api/risk/index.ts'

const e18 = (x: number): bigint => BigInt(Math.round(x * 1e6)) * 10n ** 12n
const position = (id: string, size: number, entry: number, mark: number, more: Partial<AdlPosition> = {}): AdlPosition => ({ id, sizeE18: e18(size), entryPriceE18: e18(entry), markPriceE18: e18(mark), bankruptcyPriceE18: null, walletE18: e18(1000), maintenanceMarginE18: e18(10), accountPnlE18: e18(size * (mark - entry)), ...more })

describe('ADL rankings', () => {
  test('vector: BitMEX, a short from 4000 at 3600 with bankruptcy at 4400 scores 0.1 · 4.5', () => {
    expect(bitmexScore(position('a', -1, 4000, 3600, { bankruptcyPriceE18: e18(4400) }))).toBeCloseTo(0.45, 12)
    // A loser: −0.1 / (4400/800) = −0.0181818.
    expect(bitmexScore(position('a', -1, 4000, 4400, { bankruptcyPriceE18: e18(5200) }))).toBeCloseTo(-0.1 / 5.5, 12)
  })
  test('vector: Binance, 40.2 / 4.27 · 0.1342 is 1.2634', () => {
    // PnL 40.2 on a wallet of 4.27: maintenance margin 0.1342 · 44.47 = 5.967874.
    expect(binanceScore(position('a', 1, 100, 140.2, { walletE18: e18(4.27), maintenanceMarginE18: e18(5.967874) }))).toBeCloseTo(1.2634, 4)
    expect(binanceScore(position('a', 1, 100, 90))).toBe(0)
  })
  test('behavior: a loss elsewhere in the account is no equity here', () => {
    // Profit 40 on a wallet of 100, requirement 10. Alone: 40/100·10/140; with 100 lost elsewhere equity is 40: 40/100·10/40, and 140 of notional is 3.5 times it.
    const alone = { walletE18: e18(100) }
    const crossed = { ...alone, accountPnlE18: e18(-60) }
    expect(binanceScore(position('a', 1, 100, 140, alone))).toBeCloseTo(0.4 * (10 / 140), 12)
    expect(binanceScore(position('a', 1, 100, 140, crossed))).toBeCloseTo(0.1, 12)
    expect(adlQueue([position('a', 1, 100, 140, crossed)], 'binance')[0]?.leverage).toBeCloseTo(3.5, 12)
    const queue = adlQueue([position('a', 1, 100, 140, alone), position('b', 1, 100, 140, crossed)], 'riskAware')
    expect(queue.map((e) => e.id)).toEqual(['b', 'a'])
  })
  test('behavior: best paid and most leveraged first, with rank, quantile and lights', () => {
    const queue = adlQueue([position('a', 1, 100, 110), position('b', 1, 100, 150), position('c', -1, 100, 150), position('d', 1, 100, 90), position('z', 0, 100, 100)], 'bitmex')
    expect(queue.map((e) => e.id)).toEqual(['b', 'a', 'd', 'c'])
    expect(queue.map((e) => e.quantile)).toEqual([0.25, 0.5, 0.75, 1])
    expect(queue.map((e) => e.lights)).toEqual([5, 4, 3, 2])
    expect(adlQueue([position('a', 1, 100, 110), position('c', -1, 100, 150)], 'bitmex', 'short').map((e) => e.id)).toEqual(['c'])
  })
  test('error: a price at 0 has no ranking', () => {
    expect(() => adlQueue([position('a', 1, 0, 1)], 'bitmex')).toThrow(BadInputError)
    expect(() => adlAllocate([], { method: 'prorata', deficitE18: -1n })).toThrow(/deficit/)
  })
})

describe('what a deficit does to whom', () => {
  const winners = [position('a', 1, 100, 400), position('b', 1, 100, 200), position('c', 1, 100, 50)]
  test('vector: 100 over profits of 300 and 100 takes 75 and 25', () => {
    const result = adlAllocate(winners, { method: 'prorata', deficitE18: e18(100) })
    expect(result.shares.map((s) => [s.id, s.haircutE18, s.keptE18])).toEqual([['a', e18(75), e18(225)], ['b', e18(25), e18(75)]])
    // A quarter of each profit is a quarter of each position.
    expect(result.shares.map((s) => s.closedSizeE18)).toEqual([e18(0.25), e18(0.25)])
    expect(result.socialisedE18).toBe(0n)
  })
  test('behavior: a queue takes all of the first before the second', () => {
    const result = adlAllocate(winners, { method: 'bitmex', deficitE18: e18(350) })
    expect(result.shares.map((s) => [s.id, s.haircutE18])).toEqual([['a', e18(300)], ['b', e18(50)]])
  })
  test('behavior: risk-aware takes more from leverage, never more than the profit', () => {
    // Equal profits of 100; notional 200 over equities of 200 and 1100: leverage 1 and 0.1818.
    const pair = [position('a', 1, 100, 200, { walletE18: e18(100) }), position('b', 1, 100, 200)]
    const split = adlAllocate(pair, { method: 'riskAware', deficitE18: e18(65) })
    expect(split.shares.map((s) => s.id)).toEqual(['a', 'b'])
    // Weights 1 : 2/11, so 65 · 11/13 = 55 and 10; leverages are whole millionths.
    expect(Number(split.shares[0]?.haircutE18 ?? 0n) / 1e18).toBeCloseTo(55, 3)
    // 150 of 200: the first is asked for 126.9, has 100, and the second pays the rest.
    expect(adlAllocate(pair, { method: 'riskAware', deficitE18: e18(150) }).shares.map((s) => s.haircutE18)).toEqual([e18(100), e18(50)])
  })
  test('behavior: what all profits together cannot pay is left for everyone', () => {
    expect(adlAllocate(winners, { method: 'prorata', deficitE18: e18(500) })).toMatchObject({ paidE18: e18(400), socialisedE18: e18(100) })
  })

  const book = fc.array(
    fc.record({ size: fc.integer({ min: -1000, max: 1000 }), entry: fc.integer({ min: 1, max: 1000 }), mark: fc.integer({ min: 1, max: 1000 }), wallet: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 100 })), bankrupt: fc.option(fc.integer({ min: 1, max: 2000 })) }),
    { maxLength: 25 },
  ).map((list) => list.map((p, i) => position(`p${i}`, p.size / 7, p.entry / 3, p.mark / 3, { walletE18: e18(p.wallet / 9), bankruptcyPriceE18: p.bankrupt === null ? null : e18(p.bankrupt / 3) })))
  const method = fc.constantFrom(...ADL_METHODS)
  const owed = fc.oneof(fc.bigInt({ min: 0n, max: 100n }), fc.bigInt({ min: 0n, max: 10n ** 21n }), fc.bigInt({ min: 0n, max: 10n ** 23n }), fc.bigInt({ min: 0n, max: 10n ** 25n }))

  test('property: haircuts sum to the deficit as far as profits reach, and none exceeds its profit', () => {
    fc.assert(
      fc.property(book, method, fc.integer({ min: 0, max: 1_200_000 }), (positions, how, share) => {
        const profits = new Map(adlQueue(positions, how).map((e) => [e.id, e.unrealizedPnlE18]))
        const total = [...profits.values()].reduce((a, b) => (b > 0n ? a + b : a), 0n)
        const deficitE18 = (total * BigInt(share)) / 1_000_000n
        const result = adlAllocate(positions, { method: how, deficitE18 })
        const paid = result.shares.reduce((a, s) => a + s.haircutE18, 0n)
        expect(paid).toBe(deficitE18 < total ? deficitE18 : total)
        expect(paid).toBe(result.paidE18)
        expect(paid + result.socialisedE18).toBe(deficitE18)
        for (const share of result.shares) expect(share.haircutE18 <= (profits.get(share.id) ?? 0n)).toBe(true)
      }),
    )
  })
  test('property: a larger deficit takes no less from anyone (but for the wei that rounding moves)', () => {
    fc.assert(
      fc.property(book, method, owed, owed, (positions, how, deficit, more) => {
        const of = (deficitE18: bigint) => new Map(adlAllocate(positions, { method: how, deficitE18 }).shares.map((s) => [s.id, s.haircutE18]))
        const larger = of(deficit + more)
        for (const [id, haircut] of of(deficit)) expect((larger.get(id) ?? 0n) >= haircut - 1n).toBe(true)
      }),
    )
  })
  test('property: equal scores come in the order of their ids, whatever order they are given in', () => {
    fc.assert(
      fc.property(book, method, (positions, how) => {
        const ids = (list: readonly AdlPosition[]): string[] => adlQueue(list, how).map((e) => e.id)
        expect(ids([...positions].reverse())).toEqual(ids(positions))
      }),
    )
    expect(adlQueue([position('b', 1, 100, 110), position('a', 1, 100, 110)], 'binance').map((e) => e.id)).toEqual(['a', 'b'])
  })
  test('property: mirror: longs and shorts in mirrored prices rank alike by profit', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 199 })), { minLength: 1, maxLength: 10 }), (list) => {
        const longs = list.map(([size, mark], i) => position(`p${i}`, size, 200, 200 + mark))
        const shorts = list.map(([size, mark], i) => position(`p${i}`, -size, 200, 200 - mark))
        expect(adlQueue(shorts, 'prorata').map((e) => [e.id, e.score])).toEqual(adlQueue(longs, 'prorata').map((e) => [e.id, e.score]))
      }),
    )
  })
})

describe('deleveraging by size', () => {
  test('behavior: closes the bankrupt size against the other side at the bankruptcy price', () => {
    // A long of 3 is bankrupt at 90, mark 80. Shorts give up 10 a piece.
    const shorts = [position('a', -2, 100, 80), position('b', -2, 85, 80), position('c', 5, 100, 80)]
    const result = deleverage(shorts, { method: 'bitmex', sizeE18: e18(3), priceE18: e18(90) })
    expect(result).toEqual({ fills: [{ id: 'a', sizeE18: e18(-2), forgoneE18: e18(20) }, { id: 'b', sizeE18: e18(-1), forgoneE18: e18(10) }], leftE18: 0n })
    expect(deleverage(shorts, { method: 'bitmex', sizeE18: e18(9), priceE18: e18(90) }).leftE18).toBe(e18(5))
    expect(deleverage(shorts, { method: 'bitmex', sizeE18: e18(-9), priceE18: e18(90) }).leftE18).toBe(e18(-4))
  })
})
