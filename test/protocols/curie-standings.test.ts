/** Standings under a move of the prices, against the margin arithmetic with the prices moved; and the couplings at their edges. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { abs } from '../../core/units.ts'
import type { Address, Health } from '../../protocols/adapter.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { invariants } from '../../protocols/curie/invariants.ts'
import { accountHealth, type AccountFacts, type MarginParams } from '../../protocols/curie/margin.ts'
import { onChain } from '../../protocols/curie/standings.ts'
import type { Standing } from '../../protocols/onchain.ts'

const E18 = 10n ** 18n
const ACCOUNT: Address = '0x00000000000000000000000000000000000a11ce'
const [ETH, BTC] = devnet.markets.map((market) => market.baseToken.toLowerCase() as Address) as [Address, Address]
const WETH = devnet.collaterals[0]!.token
const PARAMS: MarginParams = { settlementDecimals: 6, imRatioE6: 100_000n, mmRatioE6: 62_500n, mmRatioBufferE6: 5_000n, debtNonSettlementTokenValueRatioE6: 750_000n, debtThreshold: 10_000_000_000n }
const VALUES: Readonly<Record<string, bigint>> = { debtNonSettlementTokenValueRatio: 750_000n, liquidationPenaltyRatio: 25_000n, debtThreshold: 10_000_000_000n }

function standingOf(facts: AccountFacts): Standing {
  const health: Health = { ...accountHealth(facts, PARAMS), initialMarginE18: 0n }
  return onChain.standingOf(health, devnet, { account: ACCOUNT, hasRanges: false, holdsCollateral: facts.collaterals.some((each) => each.amount > 0n), isOpen: () => true, valueOf: (parameter) => VALUES[parameter] ?? null })!
}

const position = (market: Address) =>
  fc.record({ market: fc.constant(market), sizeE18: fc.bigInt(-1_000n * E18, 1_000n * E18), openNotionalE18: fc.bigInt(-2_000_000n * E18, 2_000_000n * E18), markPriceE18: fc.bigInt(1n, 50_000n).map((price) => price * E18), indexPriceE18: fc.constant(null), ranges: fc.constant([]) })
const account = fc.record({
  settlementBalance: fc.bigInt(-1_000_000_000_000n, 1_000_000_000_000n),
  owedRealizedPnlE18: fc.bigInt(-10_000n * E18, 10_000n * E18),
  pendingFundingE18: fc.bigInt(-1_000n * E18, 1_000n * E18),
  pendingFeeE18: fc.constant(0n),
  collaterals: fc.array(fc.record({ token: fc.constant(WETH), amount: fc.bigInt(0n, 500n * E18), decimals: fc.constant(18), priceE18: fc.bigInt(1n, 10_000n).map((price) => price * E18), collateralRatioE6: fc.bigInt(0n, 1_000_000n) }), { maxLength: 1 }),
  positions: fc.tuple(position(ETH), position(BTC)).map((both) => [...both]),
})
/** Every price times 1 + move. */
const withPrices = (facts: AccountFacts, moveE6: bigint): AccountFacts => {
  const moved = (price: bigint): bigint => (price * (1_000_000n + moveE6)) / 1_000_000n
  return { ...facts, positions: facts.positions.map((each) => ({ ...each, markPriceE18: moved(each.markPriceE18) })), collaterals: facts.collaterals.map((each) => ({ ...each, priceE18: moved(each.priceE18) })) }
}

describe('a move of the prices', () => {
  test('behavior: the same as the margin arithmetic with moved prices, but for the settlement token’s last digits', () => {
    fc.assert(
      fc.property(account, fc.constantFrom(-50_000n, -30_000n, -10_000n, 10_000n, 30_000n, 50_000n), (facts, moveE6) => {
        const [quick, slow] = [onChain.moved(standingOf(facts), moveE6), standingOf(withPrices(facts, moveE6))]
        // Two roundings to 6 decimals, and truncations of single wei.
        const near = (a: bigint, b: bigint): boolean => abs(a - b) <= 3n * 10n ** 12n
        for (const field of ['valueE18', 'requirementE18', 'collateralRequirementE18', 'grossE18', 'settlementValueE18', 'collateralValueE18'] as const) expect([field, near(quick[field], slow[field])]).toEqual([field, true])
        const room = abs(slow.valueE18 - slow.requirementE18)
        expect(room <= 10n ** 13n || quick.belowMaintenance === slow.belowMaintenance).toBe(true)
        expect(room <= 10n ** 13n || quick.liquidatable === slow.liquidatable).toBe(true)
        const debt = abs(slow.settlementValueE18)
        const edges = [slow.valueE18 - slow.collateralRequirementE18, debt - (slow.collateralValueE18 * 750_000n) / 1_000_000n, debt - slow.debtLimitE18]
        expect(edges.some((edge) => abs(edge) <= 10n ** 13n) || quick.collateralLiquidatable === slow.collateralLiquidatable).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('behavior: no move changes nothing', () => {
    fc.assert(
      fc.property(account, (facts) => {
        const standing = standingOf(facts)
        const still = onChain.moved(standing, 0n)
        expect({ ...still, positions: [] }).toEqual({ ...standing, positions: [] })
      }),
    )
  })
})

describe('couplings', () => {
  const holds = (name: string, values: Readonly<Record<string, bigint>>): boolean | null => invariants.find((each) => each.name.startsWith(name))!.check((parameter) => values[parameter] ?? null)?.holds ?? null

  test.each([
    ['initial margin', { imRatio: 62_501n, mmRatio: 62_500n }, true],
    ['initial margin', { imRatio: 62_500n, mmRatio: 62_500n }, false],
    ['liquidation penalty', { liquidationPenaltyRatio: 62_499n, mmRatio: 62_500n }, true],
    ['liquidation penalty', { liquidationPenaltyRatio: 62_500n, mmRatio: 62_500n }, false],
    ['collateral liquidation requirement at most 100 %', { mmRatioBuffer: 937_500n, mmRatio: 62_500n }, true],
    ['collateral liquidation requirement at most 100 %', { mmRatioBuffer: 937_501n, mmRatio: 62_500n }, false],
    ['collateral liquidation requirement at most the initial', { mmRatioBuffer: 37_500n, mmRatio: 62_500n, imRatio: 100_000n }, true],
    ['collateral liquidation requirement at most the initial', { mmRatioBuffer: 37_501n, mmRatio: 62_500n, imRatio: 100_000n }, false],
    ['collateral counts', { collateralRatio: 850_000n, discountRatio: 150_000n }, true],
    ['collateral counts', { collateralRatio: 850_000n, discountRatio: 150_001n }, false],
    // 75 % of 85 % is 63.75 %; 90 % of 80 % is 72 %, 70 % of 80 % is 56 %.
    ['a debt falls due', { collateralRatio: 850_000n, discountRatio: 100_000n, debtNonSettlementTokenValueRatio: 750_000n, clInsuranceFundFeeRatio: 200_000n }, true],
    ['a debt falls due', { collateralRatio: 850_000n, discountRatio: 300_000n, debtNonSettlementTokenValueRatio: 750_000n, clInsuranceFundFeeRatio: 200_000n }, false],
    ['collateral liquidation can pay', { clInsuranceFundFeeRatio: 999_999n, liquidationRatio: 1n }, true],
    ['collateral liquidation can pay', { clInsuranceFundFeeRatio: 1_000_000n, liquidationRatio: 500_000n }, false],
    ['initial margin', { imRatio: 100_000n }, null],
  ] as const)('args: %s with %j holds: %s', (name, values, expected) => {
    expect(holds(name, values)).toBe(expected)
  })
})
