import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { abs, E18, E6, formatUnits, mulDiv, toFloat, X96 } from '../../core/units.ts'
import type { Address } from '../../protocols/adapter.ts'
import {
  accountHealth,
  collateralForSettlement,
  formatSettlement,
  fundingGrowth,
  fundingPremiumX96,
  liquidatableSize,
  liquidationOutcome,
  liquidityCoefficient,
  markPrice,
  maxCollateralLiquidation,
  maxRepaidSettlement,
  pendingFunding,
  priceSpreadE6,
  settlementForCollateral,
  type AccountFacts,
  type MarginParams,
  type PositionFacts,
} from '../../protocols/curie/margin.ts'
import { amountsOfRange, MAX_TICK, MIN_TICK, priceOfSqrtX96, sqrtRatioAtTickX96, sqrtTwapX96 } from '../../protocols/curie/uniswap-v3.ts'

const ETH: Address = '0x0000000000000000000000000000000000000001'
const BTC: Address = '0x0000000000000000000000000000000000000002'
const WETH: Address = '0x0000000000000000000000000000000000000003'

/** Decimal text → 18 decimals: `e18('0.5')`. */
const e18 = (text: string): bigint => {
  const negative = text.startsWith('-')
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.')
  const value = BigInt(whole) * E18 + BigInt(fraction.padEnd(18, '0'))
  return negative ? -value : value
}

const PARAMS: MarginParams = { settlementDecimals: 6, imRatioE6: 100_000n, mmRatioE6: 62_500n, mmRatioBufferE6: 2_000n, debtNonSettlementTokenValueRatioE6: 750_000n, debtThreshold: 10_000n * E6 }

const position = (market: Address, size: string, openNotional: string, mark: string, more: Partial<PositionFacts> = {}): PositionFacts => ({
  market,
  sizeE18: e18(size),
  openNotionalE18: e18(openNotional),
  markPriceE18: e18(mark),
  indexPriceE18: e18(mark),
  ranges: [],
  ...more,
})
const account = (settlement: string, positions: readonly PositionFacts[], more: Partial<AccountFacts> = {}): AccountFacts => ({
  settlementBalance: formatSettlement(e18(settlement), 6),
  owedRealizedPnlE18: 0n,
  pendingFundingE18: 0n,
  pendingFeeE18: null,
  collaterals: [],
  positions,
  ...more,
})
const short = (amountE18: bigint | null, digits: number): string => (amountE18 === null ? 'null' : formatUnits(mulDiv(amountE18, 1n, 10n ** BigInt(18 - digits)), digits))
const only = <T>(items: readonly T[]): T => {
  expect(items).toHaveLength(1)
  return items[0] as T
}

describe('account', () => {
  // V1 of risk-models §1.4: the protocol's own takeOver test, collateral 150, long 0.989984344318166945 for 1000 − 10 (fee aside).
  const v1 = (mark: string): AccountFacts => account('150', [position(ETH, '0.989984344318166945', '-1000', mark)])

  test('default: V1 at 900, account value, requirement and margin ratio', () => {
    const health = accountHealth(v1('900'), PARAMS)
    expect(health.accountValueE18).toBe(e18('40.9859098863502505'))
    expect(health.accountValue).toBe(40_985_909n)
    expect(short(health.marginRequirementE18, 6)).toBe('55.686619')
    expect(toFloat(health.marginRatioE18 ?? 0n, 18)).toBeCloseTo(0.046001, 6)
    expect(health).toMatchObject({ belowMaintenance: true, liquidatable: true, tier: 'PARTIAL', exactness: 'EXACT', missing: [] })
  })

  test('default: V1 at 900, half the position is liquidatable, and what that does', () => {
    const facts = v1('900')
    const health = accountHealth(facts, PARAMS)
    const half = only(health.positions).liquidatableSizeE18
    expect(half).toBe(e18('0.494992172159083472'))
    const outcome = liquidationOutcome({ sizeE18: half ?? 0n, position: only(facts.positions), accountValueE18: health.accountValueE18, penaltyRatioE6: 25_000n })
    expect(outcome).toEqual({
      sizeE18: half,
      notionalE18: e18('445.4929549431751248'),
      penaltyE18: e18('11.13732387357937812'),
      feeToLiquidatorE18: e18('5.56866193678968906'),
      feeToInsuranceFundE18: e18('5.56866193678968906'),
      // 445.4929549431751248 − 1000 · 0.5, to the wei of the rounded ratio
      realizedPnlE18: e18('445.4929549431751248') - mulDiv(1000n * E18, mulDiv(e18('0.494992172159083472'), E18, e18('0.989984344318166945')), E18),
      liquidatorOpenNotionalE18: e18('-439.92429300638543574'),
    })
    expect(short(outcome.realizedPnlE18, 12)).toBe('-54.507045056824')
    // Afterwards: rest of the position, PnL realised, penalty paid.
    const rest = only(facts.positions)
    const after = accountHealth(
      account('150', [{ ...rest, sizeE18: rest.sizeE18 - outcome.sizeE18, openNotionalE18: rest.openNotionalE18 + outcome.notionalE18 - outcome.realizedPnlE18 }], { owedRealizedPnlE18: outcome.realizedPnlE18 - outcome.penaltyE18 }),
      PARAMS,
    )
    expect(short(after.accountValueE18, 6)).toBe('29.848586')
    expect(toFloat(after.marginRatioE18 ?? 0n, 18)).toBeCloseTo(0.067001, 6)
  })

  test('default: V1 at 880, below half the requirement, all is liquidatable', () => {
    const health = accountHealth(v1('880'), PARAMS)
    expect(toFloat(health.marginRatioE18 ?? 0n, 18)).toBeCloseTo(0.024319, 6)
    expect(health.tier).toBe('FULL')
    expect(only(health.positions).liquidatableSizeE18).toBe(e18('0.989984344318166945'))
  })

  test('default: V1, liquidation at 915.839399 and bankruptcy at 858.599436', () => {
    const { liquidationPriceE18, bankruptcyPriceE18, distanceToLiquidationE6 } = only(accountHealth(v1('1000'), PARAMS).positions)
    expect(toFloat(liquidationPriceE18 ?? 0n, 18)).toBeCloseTo(915.839399, 6)
    expect(toFloat(bankruptcyPriceE18 ?? 0n, 18)).toBeCloseTo(858.599436, 6)
    expect(distanceToLiquidationE6).toBe(84_160n) // (1000 − 915.8394) / 1000
  })

  test('default: V2, two markets, ETH is liquidated at 1695 where value and requirement are 340', () => {
    const at = (eth: string): AccountFacts => account('1000', [position(ETH, '2', '-4000', eth), position(BTC, '-0.05', '2000', '41000')])
    const price = accountHealth(at('2000'), PARAMS).positions[0]?.liquidationPriceE18
    expect(price).toBe(e18('1695')) // (128.125 − 950 + 4000) / (2 · 0.9375)
    const there = accountHealth(at('1695'), PARAMS)
    expect(there.accountValueE18).toBe(e18('340'))
    expect(there.marginRequirementE18).toBe(e18('340'))
    expect(there.belowMaintenance).toBe(false)
    expect(accountHealth(at('1694.99'), PARAMS).belowMaintenance).toBe(true)
  })

  test('default: free collateral takes the lower of collateral and value, less debt times the ratio', () => {
    // Short 1 at 1000, mark 900: value 1100, collateral 1000, debt 900 (base) ⇒ 1000 − 90 and 1000 − 56.25.
    const health = accountHealth(account('1000', [position(ETH, '-1', '1000', '900')]), PARAMS)
    expect(health.accountValueE18).toBe(e18('1100'))
    expect(health.totalDebtValueE18).toBe(e18('900'))
    expect(health.freeCollateralImE18).toBe(e18('910'))
    expect(health.freeCollateralMmE18).toBe(e18('943.75'))
  })

  test('default: a collateral counts at its ratio, and pending funding and fees with their sign', () => {
    const health = accountHealth(
      account('-100', [position(ETH, '1', '-1000', '1000')], { collaterals: [{ token: WETH, amount: E18, decimals: 18, priceE18: e18('1000'), collateralRatioE6: 700_000n }], pendingFundingE18: e18('3'), owedRealizedPnlE18: e18('-7'), pendingFeeE18: e18('2') }),
      PARAMS,
    )
    expect(health.settlementBalanceE18).toBe(e18('-108'))
    expect(health.nonSettlementTokenValueE18).toBe(e18('700'))
    expect(health.accountValueE18).toBe(e18('592'))
  })

  test('behavior: a six-decimal collateral is worth the same as an eighteen-decimal one', () => {
    const value = (amount: bigint, decimals: number): bigint => accountHealth(account('0', [], { collaterals: [{ token: WETH, amount, decimals, priceE18: e18('0.9995'), collateralRatioE6: 950_000n }] }), PARAMS).nonSettlementTokenValueE18
    expect(value(1_000_000n, 6)).toBe(e18('0.949525'))
    expect(value(E18, 18)).toBe(e18('0.949525'))
    expect(value(10n ** 20n, 20)).toBe(e18('0.949525'))
  })

  describe('collateral liquidation', () => {
    const withWeth = (settlement: string, weth: bigint): AccountFacts => account(settlement, [], { collaterals: [{ token: WETH, amount: weth, decimals: 18, priceE18: e18('3000'), collateralRatioE6: 700_000n }] })

    // 10 WETH count 21000; a debt of 15750 is exactly 75 % of that, but beyond the threshold of 10000.
    test.each([
      ['no debt', '0', 10n * E18, false],
      ['debt at the threshold', '-10000', 10n * E18, false],
      ['debt a micro-dollar beyond the threshold', '-10000.000001', 10n * E18, true],
      ['debt at 75 % of the collateral', '-1575', E18, false],
      ['debt beyond 75 % of the collateral', '-1575.000001', E18, true],
      ['no collateral', '-500', 0n, false],
    ])('behavior: %s', (_name, settlement, weth, liquidatable) => {
      expect(accountHealth(withWeth(settlement, weth), PARAMS).collateralLiquidatable).toBe(liquidatable)
    })

    test('behavior: comes before liquidation of positions, by the buffer', () => {
      // Value 64 of 1000: below 6.25 % + 0.2 % = 64.5, not below 62.5.
      const facts = account('-636', [position(ETH, '1', '-1000', '1000')], { collaterals: [{ token: WETH, amount: E18, decimals: 18, priceE18: e18('1000'), collateralRatioE6: 700_000n }] })
      expect(accountHealth(facts, PARAMS)).toMatchObject({ collateralMarginRequirementE18: e18('64.5'), collateralLiquidatable: true, liquidatable: false })
    })

    // V3 of risk-models §1.4: the protocol's liquidationGetter test; dust 500, ratio 50 %, fund's fee 3 %.
    const params = { settlementDecimals: 6, imRatioE6: 100_000n, liquidationRatioE6: 500_000n, clInsuranceFundFeeRatioE6: 30_000n, collateralValueDust: 500n * E6 }
    test.each([
      ['400', '412.371134020618556701'],
      ['600', '309.278350515463917525'],
      ['3000', '1546.391752577319587628'],
    ])('default: V3, a debt of %s lets a liquidator repay %s', (debt, repaid) => {
      expect(maxRepaidSettlement({ settlementTokenValueE18: -e18(debt), totalDebtValueE18: 0n }, params)).toBe(e18(repaid))
    })

    test('default: V3, WETH at 3000 with a discount of 10 %', () => {
      const pricing = { decimals: 18, price: 3000n * 10n ** 8n, feedDecimals: 8, discountRatioE6: 100_000n }
      expect(formatSettlement(settlementForCollateral(e18('0.333333333333333'), pricing), 6)).toBe(899_999_999n)
      expect(collateralForSettlement(e18('900'), pricing)).toBe(e18('0.333333333333333334'))
      expect(maxCollateralLiquidation(E18, e18('900'), pricing, 6)).toEqual({ repaid: 900n * E6, collateral: e18('0.333333333333333334') })
      expect(maxCollateralLiquidation(e18('0.1'), e18('900'), pricing, 6)).toEqual({ repaid: 270n * E6, collateral: e18('0.1') })
    })
  })

  describe('liquidatable size', () => {
    // risk-models §1.1 fact 5, executed on the contract: positions of 100000 and 3000 (or 3300), mm 6.25 %.
    const of = (value: string, total: string, share: number): bigint | null => {
      const marginRequirementE18 = mulDiv(e18(total), 62_500n, E6)
      return liquidatableSize({ sizeE18: e18('1'), valueE18: e18(value), accountValueE18: mulDiv(marginRequirementE18, BigInt(Math.round(share * 100)), 100n), marginRequirementE18, totalAbsPositionValueE18: e18(total) })
    }
    test('error: null where the contract reverts, a small market beside a large one', () => expect(of('3000', '103000', 0.9)).toBeNull())
    test('behavior: all of it from 2.98 % of the gross exposure on', () => expect(of('3300', '103300', 0.9)).toBe(E18))
    test('behavior: all of it below half the requirement', () => expect(of('3000', '103000', 0.4)).toBe(E18))
    test('behavior: all of it up to 100', () => expect(of('100', '103000', 0.9)).toBe(E18))
    test('behavior: none at the requirement', () => expect(of('3000', '103000', 1)).toBe(0n))
  })

  describe('limits', () => {
    test('behavior: no position, no ratio and no prices', () => {
      expect(accountHealth(account('10', []), PARAMS)).toMatchObject({ marginRatioE18: null, distanceE18: null, tier: 'HEALTHY', liquidatable: false, positions: [] })
    })
    test('behavior: a size below 10 wei is none, its open notional counts', () => {
      const health = accountHealth(account('10', [{ ...position(ETH, '0', '-1', '1000'), sizeE18: 9n }]), PARAMS)
      expect(health.accountValueE18).toBe(e18('9'))
      expect(health.totalAbsPositionValueE18).toBe(0n)
    })
    test('behavior: a long that more than its cost covers has no liquidation price', () => {
      expect(only(accountHealth(account('2000', [position(ETH, '1', '-1000', '1000')]), PARAMS).positions)).toMatchObject({ liquidationPriceE18: null, bankruptcyPriceE18: null, distanceToLiquidationE6: null })
    })
    test('behavior: a paused or closed market is not liquidated and has no liquidation price', () => {
      for (const state of ['PAUSED', 'CLOSED'] as const) {
        const health = accountHealth(account('10', [position(ETH, '1', '-1000', '1000', { state })]), PARAMS)
        expect(health).toMatchObject({ belowMaintenance: true, liquidatable: false })
        expect(only(health.positions)).toMatchObject({ liquidatableSizeE18: 0n, liquidationPriceE18: null })
      }
    })
    test('behavior: liquidation compares the value in settlement decimals, rounded down', () => {
      // Requirement 62.5; value 62.5 − 1e-9, which the getter gives as 62.499999.
      const nearly = accountHealth(account('62.5', [position(ETH, '1', '-1000', '1000')], { owedRealizedPnlE18: -(10n ** 9n) }), PARAMS)
      expect(nearly).toMatchObject({ accountValue: 62_499_999n, belowMaintenance: true })
      // Value 1e-9 below zero is rounded away from zero.
      expect(accountHealth(account('0', [], { owedRealizedPnlE18: -1n }), PARAMS).accountValue).toBe(-1n)
    })
  })
})

describe('makers', () => {
  // sqrt price of tick 0 is 2^96: price 1.
  const range = { lowerTick: -60, upperTick: 60, liquidity: 1_000_000n * E18, baseDebtE18: 0n, quoteDebtE18: 0n }
  const held = amountsOfRange(range, X96)
  const debt = { ...range, baseDebtE18: held.baseE18, quoteDebtE18: held.quoteE18 }
  const maker = (sqrtPriceX96: bigint | null, more: Partial<AccountFacts> = {}): AccountFacts => account('10000', [position(ETH, '0', '0', '1', { ranges: [debt], sqrtPriceX96 })], more)

  test('behavior: at the price it was added at, liquidity is neither position nor PnL, but debt', () => {
    const health = accountHealth(maker(X96), PARAMS)
    expect(health.accountValueE18).toBe(e18('10000'))
    expect(health.totalAbsPositionValueE18).toBe(0n)
    expect(health.totalDebtValueE18).toBe(held.baseE18 + held.quoteE18)
  })

  test('behavior: above its range all base has become quote, a short', () => {
    const health = accountHealth(maker(sqrtRatioAtTickX96(120)), PARAMS)
    expect(only(health.positions).totalSizeE18).toBe(-held.baseE18)
    expect(only(health.positions).totalOpenNotionalE18).toBe(amountsOfRange(range, sqrtRatioAtTickX96(60)).quoteE18 - held.quoteE18)
  })

  test('behavior: unknown pending fees make the account value a lower bound, and say so', () => {
    expect(accountHealth(maker(X96), PARAMS)).toMatchObject({ exactness: 'LOWER_BOUND', missing: ['pendingFeeE18'] })
    expect(accountHealth(maker(X96, { pendingFeeE18: 0n }), PARAMS)).toMatchObject({ exactness: 'EXACT', missing: [] })
    const bound = accountHealth(maker(X96), PARAMS).accountValueE18
    expect(accountHealth(maker(X96, { pendingFeeE18: 5n }), PARAMS).accountValueE18).toBe(bound + 5n)
  })

  test('behavior: positions are not liquidated while there is liquidity in an open market', () => {
    const facts = account('10', [position(ETH, '1', '-1000', '1000'), position(BTC, '0', '0', '1', { ranges: [debt], sqrtPriceX96: X96 })])
    expect(accountHealth(facts, PARAMS)).toMatchObject({ belowMaintenance: true, liquidatable: false })
    const closed = { ...facts, positions: facts.positions.map((entry) => (entry.market === BTC ? { ...entry, state: 'CLOSED' as const } : entry)) }
    expect(accountHealth(closed, PARAMS).liquidatable).toBe(true)
  })

  test('error: ranges without a pool price are refused', () => {
    expect(() => accountHealth(maker(null), PARAMS)).toThrow(BadInputError)
  })
})

describe('properties', () => {
  const amount = (least: string, most: string): fc.Arbitrary<bigint> => fc.bigInt({ min: e18(least), max: e18(most) })
  const anyPosition = fc.record({ sizeE18: fc.oneof(amount('0.001', '1000'), amount('-1000', '-0.001')), markPriceE18: amount('1', '100000'), entryPriceE18: amount('1', '100000') })
  const book = fc.record({ settlement: fc.bigInt({ min: -(10n ** 11n), max: 10n ** 13n }), positions: fc.array(anyPosition, { minLength: 1, maxLength: 4 }) })
  const factsOf = (given: { settlement: bigint; positions: readonly { sizeE18: bigint; markPriceE18: bigint; entryPriceE18: bigint }[] }): AccountFacts => ({
    settlementBalance: given.settlement,
    owedRealizedPnlE18: 0n,
    pendingFundingE18: 0n,
    pendingFeeE18: 0n,
    collaterals: [],
    positions: given.positions.map((entry, index) => ({ market: `0x${(index + 1).toString(16).padStart(40, '0')}`, sizeE18: entry.sizeE18, openNotionalE18: -mulDiv(entry.sizeE18, entry.entryPriceE18, E18), markPriceE18: entry.markPriceE18, indexPriceE18: null, ranges: [] })),
  })
  /** null where the two are within the tolerance, else what they are. */
  const apart = (a: bigint, b: bigint, tolerance: bigint): string | null => (abs(a - b) <= tolerance ? null : `${a} and ${b}`)

  test('behavior: at the liquidation price value and requirement meet; at the bankruptcy price the value is 0', () => {
    fc.assert(fc.property(book, (given) => {
      const facts = factsOf(given)
      for (const [index, health] of accountHealth(facts, PARAMS).positions.entries()) {
        const at = (markPriceE18: bigint): ReturnType<typeof accountHealth> => accountHealth({ ...facts, positions: facts.positions.map((entry, other) => (other === index ? { ...entry, markPriceE18 } : entry)) }, PARAMS)
        // One wei of price moves the value by |size| wei and the requirement by 6.25 % of that.
        const tolerance = (2n * abs(health.totalSizeE18)) / E18 + 10n
        const liquidated = health.liquidationPriceE18 === null ? null : at(health.liquidationPriceE18)
        const bankrupt = health.bankruptcyPriceE18 === null ? null : at(health.bankruptcyPriceE18)
        expect(liquidated && apart(liquidated.accountValueE18, liquidated.marginRequirementE18, tolerance)).toBeNull()
        expect(bankrupt && apart(bankrupt.accountValueE18, 0n, tolerance)).toBeNull()
      }
    }), { numRuns: 300 })
  })

  test('behavior: beyond the liquidation price the account is below maintenance, before it not', () => {
    fc.assert(fc.property(book, (given) => {
      const facts = { ...factsOf(given), positions: factsOf(given).positions.slice(0, 1) }
      const health = only(accountHealth(facts, PARAMS).positions)
      fc.pre(health.liquidationPriceE18 !== null && health.liquidationPriceE18 > E18)
      const price = health.liquidationPriceE18 ?? 0n
      const towardsLoss = health.totalSizeE18 > 0n ? -1n : 1n
      // A hundredth of a percent is far beyond the micro-dollar that the getter rounds away.
      const step = price / 10_000n + mulDiv(10n ** 13n, E18, abs(health.totalSizeE18))
      fc.pre(price > step)
      const below = (markPriceE18: bigint): boolean => accountHealth({ ...facts, positions: facts.positions.map((entry) => ({ ...entry, markPriceE18 })) }, PARAMS).belowMaintenance
      expect([below(price + towardsLoss * step), below(price - towardsLoss * step)]).toEqual([true, false])
    }), { numRuns: 300 })
  })

  test('behavior: k times the book has k times the margin and the same prices', () => {
    fc.assert(fc.property(book, fc.bigInt({ min: 2n, max: 1000n }), (given, k) => {
      const one = accountHealth(factsOf(given), PARAMS)
      const facts = factsOf(given)
      const many = accountHealth({ ...facts, settlementBalance: facts.settlementBalance * k, positions: facts.positions.map((entry) => ({ ...entry, sizeE18: entry.sizeE18 * k, openNotionalE18: entry.openNotionalE18 * k })) }, PARAMS)
      const tolerance = k * 8n // a wei of truncation per quotient
      expect(apart(many.accountValueE18, one.accountValueE18 * k, tolerance)).toBeNull()
      expect(apart(many.marginRequirementE18, one.marginRequirementE18 * k, tolerance)).toBeNull()
      expect(apart(many.freeCollateralImE18, one.freeCollateralImE18 * k, tolerance)).toBeNull()
    }), { numRuns: 200 })
  })

  test('behavior: a long and its mirrored short lose and gain alike, under the same requirement', () => {
    fc.assert(fc.property(amount('0.001', '1000'), amount('1', '100000'), amount('1', '100000'), (sizeE18, markPriceE18, entryPriceE18) => {
      const long = accountHealth(factsOf({ settlement: 0n, positions: [{ sizeE18, markPriceE18, entryPriceE18 }] }), PARAMS)
      const mirrored = accountHealth(factsOf({ settlement: 0n, positions: [{ sizeE18: -sizeE18, markPriceE18, entryPriceE18 }] }), PARAMS)
      expect(mirrored.unrealizedPnlE18).toBe(-long.unrealizedPnlE18)
      expect(mirrored.marginRequirementE18).toBe(long.marginRequirementE18)
    }))
  })

  test('behavior: liquidator and insurance fund get the penalty to the wei, the liquidator all of it under bad debt', () => {
    fc.assert(fc.property(amount('0.001', '1000'), amount('1', '100000'), amount('-100000', '100000'), fc.bigInt({ min: 0n, max: E6 }), (sizeE18, markPriceE18, accountValueE18, penaltyRatioE6) => {
      const outcome = liquidationOutcome({ sizeE18, position: { sizeE18, openNotionalE18: -E18, markPriceE18 }, accountValueE18, penaltyRatioE6 })
      expect(outcome.feeToLiquidatorE18 + outcome.feeToInsuranceFundE18).toBe(outcome.penaltyE18)
      expect(outcome.feeToInsuranceFundE18).toBe(accountValueE18 < 0n ? 0n : outcome.penaltyE18 - outcome.penaltyE18 / 2n)
    }))
  })
})

describe('prices', () => {
  test('behavior: the mark price is the median of spot, market average and index with premium', () => {
    const at = (spot: string, twap: string, index: string, premium: [string, string]): string => short(markPrice({ spotE18: e18(spot), marketTwapE18: e18(twap), indexE18: e18(index), premiumMarketTwapE18: e18(premium[0]), premiumIndexTwapE18: e18(premium[1]) }), 2)
    expect(at('110', '101', '100', ['102', '100'])).toBe('102') // index + 2
    expect(at('103', '101', '100', ['112', '100'])).toBe('103') // spot
    expect(at('90', '101', '100', ['112', '100'])).toBe('101') // market average
  })
  test('error: a premium below minus the index has no mark price', () => {
    expect(() => markPrice({ spotE18: E18, marketTwapE18: E18, indexE18: E18, premiumMarketTwapE18: E18, premiumIndexTwapE18: 3n * E18 })).toThrow(BadInputError)
  })
  test('default: the spread is signed and truncates towards zero', () => {
    expect(priceSpreadE6(e18('1050'), e18('1000'))).toBe(50_000n)
    expect(priceSpreadE6(e18('999.9999'), e18('1000'))).toBe(0n)
    expect(priceSpreadE6(e18('900'), e18('1000'))).toBe(-100_000n)
  })
})

describe('funding', () => {
  const X96_OF = (price: string): bigint => mulDiv(e18(price), X96, E18)

  test('default: V4, base 10 at a premium of 5 for 8 h owes 16.6667', () => {
    const grown = fundingPremiumX96(X96_OF('1005'), X96_OF('1000'), 100_000n) * 28_800n
    expect(short(pendingFunding({ baseE18: e18('10'), twPremiumX96: grown, lastTwPremiumX96: 0n, liquidityCoefficientE18: 0n }), 4)).toBe('16.6666')
    expect(short(pendingFunding({ baseE18: e18('-10'), twPremiumX96: grown, lastTwPremiumX96: 0n, liquidityCoefficientE18: 0n }), 4)).toBe('-16.6666')
  })
  test('behavior: the premium is held to the funding rate cap on both sides', () => {
    expect(fundingPremiumX96(X96_OF('1200'), X96_OF('1000'), 100_000n)).toBe(mulDiv(X96_OF('1000'), 100_000n, E6))
    expect(fundingPremiumX96(X96_OF('800'), X96_OF('1000'), 100_000n)).toBe(-mulDiv(X96_OF('1000'), 100_000n, E6))
    expect(fundingPremiumX96(X96_OF('1200'), X96_OF('1000'), 0n)).toBe(0n)
  })
  test('behavior: growth adds premium times seconds, and that divided by the square root price', () => {
    // Market 4 (square root 2), index 3.8, an hour: 0.2 · 3600 = 720 and 360.
    const growth = fundingGrowth({ twPremiumX96: 0n, twPremiumDivBySqrtPriceX96: 0n }, { sqrtMarketTwapX96: 2n * X96, indexTwapE18: e18('3.8'), maxFundingRateE6: 100_000n, elapsedSec: 3600n, sqrtPriceX96: 2n * X96 })
    expect(short(mulDiv(growth.twPremiumX96, E18, X96), 6)).toBe('720')
    expect(short(mulDiv(growth.twPremiumDivBySqrtPriceX96, E18, X96), 6)).toBe('360')
  })
  test('behavior: a range below the price owes nothing, one above it owes as the base it holds', () => {
    const range = { lowerTick: -60, upperTick: 60, liquidity: 1_000_000n * E18 }
    const zero = { insideX96: 0n, belowX96: 0n, insideDivBySqrtPriceX96: 0n }
    expect(liquidityCoefficient(range, zero, zero)).toBe(0n)
    const base = amountsOfRange(range, sqrtRatioAtTickX96(-60)).baseE18
    expect(liquidityCoefficient(range, { ...zero, belowX96: 5n * X96 }, zero)).toBe(base * 5n)
  })
  test('behavior: a range that stayed in range owes about as the base it held at that price', () => {
    const range = { lowerTick: -60, upperTick: 60, liquidity: 1_000_000n * E18 }
    const zero = { insideX96: 0n, belowX96: 0n, insideDivBySqrtPriceX96: 0n }
    const owed = liquidityCoefficient(range, { ...zero, insideX96: 5n * X96, insideDivBySqrtPriceX96: 5n * X96 }, zero) // at square root price 1
    const base = amountsOfRange(range, X96).baseE18
    expect(abs(owed - base * 5n) <= 10n ** 8n).toBe(true)
  })
})

describe('uniswap v3', () => {
  // TickMath.MIN_SQRT_RATIO, MAX_SQRT_RATIO and the values of v3-core's own TickMath test.
  test.each([
    [MIN_TICK, 4295128739n],
    [MIN_TICK + 1, 4295343490n],
    [0, X96],
    [MAX_TICK - 1, 1461373636630004318706518188784493106690254656249n],
    [MAX_TICK, 1461446703485210103287273052203988822378723970342n],
  ])('default: square root price at tick %i', (tick, ratio) => expect(sqrtRatioAtTickX96(tick)).toBe(ratio))

  test('behavior: is 1.0001^(tick/2) to float precision, everywhere', () => {
    fc.assert(fc.property(fc.integer({ min: MIN_TICK, max: MAX_TICK }), (tick) => {
      expect(Math.abs(Number(sqrtRatioAtTickX96(tick)) / 2 ** 96 / 1.0001 ** (tick / 2) - 1)).toBeLessThan(1e-6)
    }))
  })
  test('error: a tick beyond the range is refused', () => {
    expect(() => sqrtRatioAtTickX96(MAX_TICK + 1)).toThrow(BadInputError)
    expect(() => sqrtRatioAtTickX96(0.5)).toThrow(BadInputError)
  })
  test('default: price of a square root price', () => {
    expect(priceOfSqrtX96(2n * X96)).toBe(e18('4'))
    expect(priceOfSqrtX96(X96 / 2n)).toBe(e18('0.25'))
  })
  test('behavior: the mean tick truncates towards zero', () => {
    expect(sqrtTwapX96(0n, -19n, 10)).toBe(sqrtRatioAtTickX96(-1))
    expect(sqrtTwapX96(0n, 19n, 10)).toBe(sqrtRatioAtTickX96(1))
  })
  // Hand arithmetic: √P from 1 to 2 with L = 1000 is 500 base (L (1/1 − 1/2)) and 1000 quote (L (2 − 1)); tick 13863 ≈ ln 4 / ln 1.0001.
  test('behavior: amounts of a range add up across a price inside it', () => {
    const range = { lowerTick: 0, upperTick: 13_863, liquidity: 1000n * E18 }
    expect(toFloat(amountsOfRange(range, X96).baseE18, 18)).toBeCloseTo(500, 1)
    expect(amountsOfRange(range, X96).quoteE18).toBe(0n)
    expect(toFloat(amountsOfRange(range, sqrtRatioAtTickX96(13_863)).quoteE18, 18)).toBeCloseTo(1000, 0)
    expect(amountsOfRange(range, sqrtRatioAtTickX96(13_863)).baseE18).toBe(0n)
  })
})
