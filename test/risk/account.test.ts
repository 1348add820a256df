import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { toFloat } from '../../core/units.ts'
import { accountMargin, createRandom, penaltySplit, type MarginAccount } from '../../api/risk/index.ts'
import type { Address } from '../../protocols/adapter.ts'
import { accountHealth } from '../../protocols/curie/margin.ts'

const e18 = (x: number): bigint => BigInt(Math.round(x * 1e6)) * 10n ** 12n
const position = (market: string, sizeE18: bigint, openNotionalE18: bigint, markPriceE18: bigint, mmRatioE6 = 62_500n) => ({ market, sizeE18, openNotionalE18, markPriceE18, imRatioE6: 100_000n, mmRatioE6 })

describe('margin of an account', () => {
  const one = (price: number): MarginAccount => ({ cashE18: e18(150), collaterals: [], positions: [position('ETH', 989_984_344_318_166_945n, e18(-1000), e18(price))] })

  test('vector V1: 150 of collateral and a long of 0.98998 at 900', () => {
    const margin = accountMargin(one(900))
    expect(toFloat(margin.accountValueE18, 18)).toBeCloseTo(40.98590988635, 11)
    expect(toFloat(margin.maintenanceMarginE18, 18)).toBeCloseTo(55.686619, 6)
    // 40.985910 / 890.985910 = 4.60006 %, floored.
    expect(margin.marginRatioE6).toBe(46_000n)
    expect(margin.liquidatable).toBe(true)
    const [first] = margin.positions
    expect(toFloat(first?.liquidationPriceE18 ?? 0n, 18)).toBeCloseTo(915.839399, 6)
    expect(toFloat(first?.bankruptcyPriceE18 ?? 0n, 18)).toBeCloseTo(858.599436, 6)
    expect(toFloat(accountMargin(one(880)).marginRatioE6 ?? 0n, 6)).toBeCloseTo(0.024319, 5)
  })

  test('vector V2: two markets, AV = MR = 340 where ETH is at 1695', () => {
    const account: MarginAccount = { cashE18: e18(1000), collaterals: [], positions: [position('ETH', e18(2), e18(-4000), e18(2000)), position('BTC', e18(-0.05), e18(2000), e18(41_000))] }
    expect(accountMargin(account).positions[0]?.liquidationPriceE18).toBe(e18(1695))
    const at = accountMargin({ ...account, positions: account.positions.map((p) => (p.market === 'ETH' ? { ...p, markPriceE18: e18(1695) } : p)) })
    expect(at.accountValueE18).toBe(e18(340))
    expect(at.maintenanceMarginE18).toBe(e18(340))
    expect(at.positions[0]?.distanceE6).toBe(0n)
  })

  test('behavior: free collateral counts no gains, and collateral counts after its haircut', () => {
    // 100 + 200·70 % = 240; 1 long from 1000 to 1100: gain 100, IM 110. Free: 240 − 110 = 130.
    const margin = accountMargin({ cashE18: e18(100), collaterals: [{ asset: 'WETH', valueE18: e18(200), ratioE6: 700_000n }], positions: [position('ETH', e18(1), e18(-1000), e18(1100))] })
    expect(margin).toMatchObject({ collateralValueE18: e18(240), accountValueE18: e18(340), initialMarginE18: e18(110), freeCollateralE18: e18(130), grossNotionalE18: e18(1100), netNotionalE18: e18(1100) })
    expect(margin.leverageE6).toBe(3_235_294n)
  })

  test('behavior: an account without positions has collateral and no ratio', () => {
    expect(accountMargin({ cashE18: 5n, collaterals: [], positions: [] })).toMatchObject({ accountValueE18: 5n, marginRatioE6: null, leverageE6: 0n, distanceE6: null, liquidatable: false })
    expect(accountMargin({ cashE18: e18(5000), collaterals: [], positions: [position('ETH', e18(1), e18(-1000), e18(1000))] }).positions[0]).toMatchObject({ liquidationPriceE18: null, bankruptcyPriceE18: null, distanceE6: null })
  })

  test('error: names the field of an impossible account', () => {
    expect(() => accountMargin(one(0))).toThrow(BadInputError)
    expect(() => accountMargin({ ...one(1), collaterals: [{ asset: 'X', valueE18: -1n, ratioE6: 1n }] })).toThrow(/X: found a value/)
    const [p] = one(900).positions
    if (p === undefined) throw new Error('no position')
    expect(() => accountMargin({ ...one(1), positions: [p, p] })).toThrow(/two positions/)
    expect(() => accountMargin({ ...one(1), positions: [{ ...p, mmRatioE6: 200_000n }] })).toThrow(/maintenance/)
  })

  const amount = fc.integer({ min: -100_000, max: 100_000 }).map((x) => e18(x / 100))
  const price = fc.integer({ min: 1, max: 1_000_000 }).map((x) => e18(x / 100))
  const ratio = fc.integer({ min: 0, max: 400_000 }).map(BigInt)
  const accounts = fc
    .record({ cash: amount, weth: fc.integer({ min: 0, max: 100_000 }).map((x) => e18(x / 100)), a: fc.tuple(amount, amount, price, ratio), b: fc.tuple(amount, amount, price, ratio) })
    .map(({ cash, weth, a, b }): MarginAccount => ({
      cashE18: cash,
      collaterals: [{ asset: 'WETH', valueE18: weth, ratioE6: 700_000n }],
      positions: [a, b].map(([size, quote, mark, mm], i) => ({ market: `m${i}`, sizeE18: size, openNotionalE18: quote, markPriceE18: mark, imRatioE6: mm + 100_000n, mmRatioE6: mm })),
    }))

  test('property: homogeneous: k times the book is k times the margin', () => {
    fc.assert(
      fc.property(accounts, fc.integer({ min: 1, max: 50 }).map(BigInt), (account, k) => {
        const one = accountMargin(account)
        const many = accountMargin({
          cashE18: account.cashE18 * k,
          collaterals: account.collaterals.map((c) => ({ ...c, valueE18: c.valueE18 * k })),
          positions: account.positions.map((p) => ({ ...p, sizeE18: p.sizeE18 * k, openNotionalE18: p.openNotionalE18 * k })),
        })
        for (const field of ['accountValueE18', 'initialMarginE18', 'maintenanceMarginE18', 'grossNotionalE18'] as const) {
          const off = many[field] - k * one[field]
          // Each of at most four roundings is off by less than a wei per unit of k.
          expect(off <= 4n * k && off >= -4n * k).toBe(true)
        }
      }),
    )
  })

  test('property: round trip: at the liquidation price account value is the requirement, at the bankruptcy price it is 0', () => {
    fc.assert(
      fc.property(accounts, (account) => {
        const margin = accountMargin(account)
        margin.positions.forEach((found, i) => {
          const at = (markPriceE18: bigint) => accountMargin({ ...account, positions: account.positions.map((p, j) => (j === i ? { ...p, markPriceE18 } : p)) })
          const tolerance = (Math.abs(toFloat(account.positions[i]?.sizeE18 ?? 0n, 18)) + 10) * 1e-15
          const off = (priceE18: bigint | null, rest: (there: ReturnType<typeof at>) => bigint): number => (priceE18 === null ? 0 : Math.abs(toFloat(rest(at(priceE18)), 18)))
          expect(off(found.liquidationPriceE18, (there) => there.accountValueE18 - there.maintenanceMarginE18)).toBeLessThan(Math.max(1e-9, tolerance))
          expect(off(found.bankruptcyPriceE18, (there) => there.accountValueE18)).toBeLessThan(Math.max(1e-9, tolerance))
        })
      }),
    )
  })

  test('property: mirror: a short whose gains are the long’s losses has the same requirement and the mirrored value', () => {
    fc.assert(
      fc.property(accounts, (account) => {
        const cash = { ...account, cashE18: 0n, collaterals: [] }
        const mirrored = { ...cash, positions: cash.positions.map((p) => ({ ...p, sizeE18: -p.sizeE18, openNotionalE18: -p.openNotionalE18 })) }
        const a = accountMargin(cash)
        const b = accountMargin(mirrored)
        const off = a.accountValueE18 + b.accountValueE18
        expect(off <= 0n && off >= -2n).toBe(true)
        expect(a.maintenanceMarginE18 - b.maintenanceMarginE18 <= 2n).toBe(true)
      }),
    )
  })

  test('second method: Curie’s own arithmetic gives the same figures to the wei of its rounding', () => {
    fc.assert(
      fc.property(accounts, (account) => {
        const uniform = { ...account, positions: account.positions.map((p) => ({ ...p, imRatioE6: 100_000n, mmRatioE6: 62_500n })) }
        const mine = accountMargin(uniform)
        const theirs = accountHealth(
          {
            settlementBalance: 0n, owedRealizedPnlE18: uniform.cashE18, pendingFundingE18: 0n, pendingFeeE18: 0n,
            collaterals: uniform.collaterals.map((c) => ({ token: '0x01' as Address, amount: c.valueE18, decimals: 18, priceE18: 10n ** 18n, collateralRatioE6: c.ratioE6 })),
            positions: uniform.positions.map((p) => ({ market: p.market as Address, sizeE18: p.sizeE18, openNotionalE18: p.openNotionalE18, markPriceE18: p.markPriceE18, indexPriceE18: null, ranges: [] })),
          },
          { settlementDecimals: 6, imRatioE6: 100_000n, mmRatioE6: 62_500n, mmRatioBufferE6: 0n, debtNonSettlementTokenValueRatioE6: 750_000n, debtThreshold: 1n },
        )
        const near = (a: bigint, b: bigint): boolean => a - b <= 3n && b - a <= 3n
        expect(near(mine.accountValueE18, theirs.accountValueE18)).toBe(true)
        expect(near(mine.maintenanceMarginE18, theirs.marginRequirementE18)).toBe(true)
        mine.positions.forEach((p, i) => {
          const other = theirs.positions[i]?.liquidationPriceE18 ?? null
          if (p.liquidationPriceE18 === null || other === null || p.liquidationPriceE18 < 10n ** 12n) return
          expect(Math.abs(toFloat(p.liquidationPriceE18 - other, 18))).toBeLessThan(1e-9)
        })
      }),
    )
  })
})

describe('penalty', () => {
  test('vector V1: half of a 2.5 % penalty goes to the fund', () => {
    const split = penaltySplit({ notionalE18: 445_492_954_943_175_124_800n, penaltyRatioE6: 25_000n, keeperShareE6: 500_000n, accountValueE18: 1n })
    expect(split).toEqual({ penaltyE18: 11_137_323_873_579_378_120n, toKeeperE18: 5_568_661_936_789_689_060n, toFundE18: 5_568_661_936_789_689_060n })
  })
  test('property: keeper and fund sum to the penalty exactly; below 0 the keeper has all', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.bigInt({ min: 0n, max: 1_000_000n }), fc.bigInt({ min: 0n, max: 1_000_000n }), fc.bigInt({ min: -5n, max: 5n }), (notionalE18, penaltyRatioE6, keeperShareE6, accountValueE18) => {
        const split = penaltySplit({ notionalE18, penaltyRatioE6, keeperShareE6, accountValueE18 })
        expect(split.toKeeperE18 + split.toFundE18).toBe(split.penaltyE18)
        expect(accountValueE18 >= 0n || split.toFundE18 === 0n).toBe(true)
      }),
    )
  })
})

describe('randomness', () => {
  test('behavior: same seed, same numbers; another stream, others', () => {
    const draw = (seed: number, stream: number): number[] => {
      const random = createRandom(seed, stream)
      return Array.from({ length: 5 }, () => random.next())
    }
    expect(draw(7, 3)).toEqual(draw(7, 3))
    expect(draw(7, 3)).not.toEqual(draw(7, 4))
    expect(draw(7, 3)).not.toEqual(draw(8, 3))
    expect(() => createRandom(-1)).toThrow(BadInputError)
  })
  test('second method: uniform and normal moments, and no correlation between streams', () => {
    const n = 40_000
    const one = createRandom(1, 0)
    const two = createRandom(1, 1)
    let [mean, square, cross, normal, normal2] = [0, 0, 0, 0, 0]
    for (let i = 0; i < n; i++) {
      const [u, v] = [one.next(), two.next()]
      mean += u / n
      square += (u * u) / n
      cross += ((u - 0.5) * (v - 0.5) * 12) / n
    }
    const random = createRandom(5)
    for (let i = 0; i < n; i++) {
      const x = random.normal()
      normal += x / n
      normal2 += (x * x) / n
    }
    // Five standard errors of each mean.
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / n))
    expect(Math.abs(square - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / n))
    expect(Math.abs(cross)).toBeLessThan(5 / Math.sqrt(n))
    expect(Math.abs(normal)).toBeLessThan(5 / Math.sqrt(n))
    expect(Math.abs(normal2 - 1)).toBeLessThan(5 * Math.sqrt(2 / n))
  })
})
