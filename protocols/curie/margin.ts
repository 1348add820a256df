/**
 * Curie's margin arithmetic (v2.6.0), exact where the contracts are exact: bigint in, bigint out, and every quotient
 * truncates where Solidity truncates. Prices are inputs; nothing here reads a chain.
 *
 * Units: E18 amounts are quote (USD) or base with 18 decimals, E6 are ratios with 1e6 = 100 %, and amounts of a token
 * without a suffix are in that token's decimals. A long position has size > 0 and open notional < 0.
 * Each docstring names the contract and function that it mirrors.
 */
import type { AccountHealth, Address, MarginTier, PositionHealth } from '../adapter.ts'
import { BadInputError } from '../../core/errors.ts'
import { abs, E18, max, min, mulDiv, X96 } from '../../core/units.ts'
import { amountsOfRange, baseInRange, priceX96OfSqrtX96, sqrtRatioAtTickX96 } from './uniswap-v3.ts'

const RATIO_ONE = 1_000_000n
const UINT24 = 2n ** 24n
/** Sizes below this count as none (AccountBalance._DUST). */
const DUST_E18 = 10n
/** Positions up to this value are liquidated whole (AccountBalance._MIN_PARTIAL_LIQUIDATE_POSITION_VALUE). */
const MIN_PARTIAL_VALUE_E18 = 100n * E18
/** Funding is a premium per day (Funding._DEFAULT_FUNDING_PERIOD). */
const FUNDING_PERIOD_SEC = 86_400n

// ─── Facts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A maker's liquidity in one market between two ticks. Debts are what was added, less what was taken out. */
export type RangeFacts = {
  readonly lowerTick: number
  readonly upperTick: number
  readonly liquidity: bigint
  readonly baseDebtE18: bigint
  readonly quoteDebtE18: bigint
}

/** What one account has in one market. */
export type PositionFacts = {
  readonly market: Address
  /** Taker size, without what stands in ranges (AccountBalance takerPositionSize). */
  readonly sizeE18: bigint
  /** Taker open notional (AccountBalance takerOpenNotional). */
  readonly openNotionalE18: bigint
  /**
   * The price that positions are valued at (AccountBalance._getReferencePrice): the mark price, which is the index price
   * of the pause while the market is paused; the closed price once it is closed.
   */
  readonly markPriceE18: bigint
  /** Index price; informs, and enters no formula here. */
  readonly indexPriceE18: bigint | null
  /** OPEN unless said otherwise. */
  readonly state?: 'OPEN' | 'PAUSED' | 'CLOSED'
  /** The pool's spot price; needed where there are ranges. */
  readonly sqrtPriceX96?: bigint | null
  readonly ranges: readonly RangeFacts[]
}

/** A balance of a collateral other than the settlement token. */
export type CollateralFacts = {
  readonly token: Address
  /** Token decimals. */
  readonly amount: bigint
  readonly decimals: number
  /** Index average over 900 s (Vault._COLLATERAL_TWAP_INTERVAL). */
  readonly priceE18: bigint
  readonly collateralRatioE6: bigint
}

/** One margin account. */
export type AccountFacts = {
  /** Settlement token balance in the vault, settlement decimals, signed. */
  readonly settlementBalance: bigint
  readonly owedRealizedPnlE18: bigint
  /** Funding that the account owes (+) or is owed (−) since it was last settled, all markets. */
  readonly pendingFundingE18: bigint
  /** Fees that its ranges have earned since they were last collected; null where unknown. */
  readonly pendingFeeE18: bigint | null
  readonly collaterals: readonly CollateralFacts[]
  readonly positions: readonly PositionFacts[]
}

/** The parameters that margin depends on. */
export type MarginParams = {
  readonly settlementDecimals: number
  readonly imRatioE6: bigint
  readonly mmRatioE6: bigint
  readonly mmRatioBufferE6: bigint
  readonly debtNonSettlementTokenValueRatioE6: bigint
  /** The account's own threshold where it has one; settlement decimals. */
  readonly debtThreshold: bigint
}

// ─── Results ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** What an account's margin comes to, in the words of every protocol. */
export type { AccountHealth, MarginTier, PositionHealth } from '../adapter.ts'

// ─── Rounding ──────────────────────────────────────────────────────────────────────────────────────────────────────

const mulRatio = (value: bigint, ratioE6: bigint): bigint => mulDiv(value, ratioE6, RATIO_ONE)

/** Settlement decimals → E18 (SettlementTokenMath.parseSettlementToken). */
export const parseSettlement = (amount: bigint, decimals: number): bigint => amount * 10n ** BigInt(18 - decimals)

/** E18 → settlement decimals, rounded down whatever the sign (SettlementTokenMath.formatSettlementToken of int256). */
export const formatSettlement = (amountE18: bigint, decimals: number): bigint => mulDiv(amountE18, 1n, 10n ** BigInt(18 - decimals), 'floor')

// ─── Parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type PositionTotals = {
  readonly facts: PositionFacts
  readonly sizeE18: bigint
  readonly openNotionalE18: bigint
  readonly valueE18: bigint
  /** Base and quote that are owed: taker balance less the ranges' debt. */
  readonly baseE18: bigint
  readonly quoteE18: bigint
}

/**
 * A position with its ranges.
 *   size = Σ base in ranges − Σ base debt + taker size (0 when |size| < 10 wei)
 *   openNotional = Σ quote in ranges − Σ quote debt + taker open notional
 *   value = size · price / 1e18, towards zero
 * Throws BadInputError where there are ranges and no pool price.
 * Source: AccountBalance.getTotalPositionSize, getTotalOpenNotional, getTotalPositionValue; OrderBook.getTotalOrderDebt.
 */
function totalsOf(facts: PositionFacts): PositionTotals {
  let baseInPool = 0n
  let quoteInPool = 0n
  let baseDebt = 0n
  let quoteDebt = 0n
  for (const range of facts.ranges) {
    if (facts.sqrtPriceX96 === undefined || facts.sqrtPriceX96 === null) {
      throw new BadInputError(`Found ranges in market ${facts.market} and no pool price, allowed is sqrtPriceX96 where there are ranges; give the pool's price at the block`, { market: facts.market })
    }
    const amounts = amountsOfRange(range, facts.sqrtPriceX96)
    baseInPool += amounts.baseE18
    quoteInPool += amounts.quoteE18
    baseDebt += range.baseDebtE18
    quoteDebt += range.quoteDebtE18
  }
  const rawSize = baseInPool - baseDebt + facts.sizeE18
  const sizeE18 = abs(rawSize) < DUST_E18 ? 0n : rawSize
  return {
    facts,
    sizeE18,
    openNotionalE18: quoteInPool - quoteDebt + facts.openNotionalE18,
    valueE18: mulDiv(sizeE18, facts.markPriceE18, E18),
    baseE18: facts.sizeE18 - baseDebt,
    quoteE18: facts.openNotionalE18 - quoteDebt,
  }
}

/**
 * Value of a collateral before its haircut: amount in 18 decimals · price / 1e18, rounded down.
 * Source: Vault._getSettlementByCollateral. Exact for feeds of up to 18 decimals.
 */
export function collateralValue(collateral: Pick<CollateralFacts, 'amount' | 'decimals' | 'priceE18'>): bigint {
  const { amount, decimals, priceE18 } = collateral
  if (decimals > 18) return mulDiv(amount, priceE18, E18) / 10n ** BigInt(decimals - 18)
  return mulDiv(amount * 10n ** BigInt(18 - decimals), priceE18, E18)
}

/**
 * Total debt: |min(Σ quote, 0) + Σ min(base, 0) · price|, E18 ≥ 0.
 * Source: AccountBalance.getTotalDebtValue.
 */
function totalDebtValue(positions: readonly PositionTotals[]): bigint {
  let quote = 0n
  let baseDebtValue = 0n
  for (const position of positions) {
    quote += position.quoteE18
    if (position.baseE18 < 0n) baseDebtValue += mulDiv(position.baseE18, position.facts.markPriceE18, E18)
  }
  return abs(min(quote, 0n) + baseDebtValue)
}

/**
 * What a liquidator may take of a position, signed as the position.
 *   0 where accountValue ≥ requirement; all where |value| ≤ 100 or accountValue < requirement / 2;
 *   else size · min(1, Σ|value| / (2 |value|)).
 * null where the contract reverts: the ratio in 1e6 must fit 24 bits, so that a market with less than 2.98 % of the gross
 * exposure cannot be liquidated while the account has at least half its requirement.
 * `accountValueE18` is the getter's value, that is rounded down to settlement decimals.
 * Source: AccountBalance.getLiquidatablePositionSize.
 */
export function liquidatableSize(p: { sizeE18: bigint; valueE18: bigint; accountValueE18: bigint; marginRequirementE18: bigint; totalAbsPositionValueE18: bigint }): bigint | null {
  if (p.accountValueE18 >= p.marginRequirementE18 || p.sizeE18 === 0n) return 0n
  const absValue = abs(p.valueE18)
  if (absValue <= MIN_PARTIAL_VALUE_E18) return p.sizeE18
  if (p.accountValueE18 < p.marginRequirementE18 / 2n) return p.sizeE18
  const ratio = mulDiv(p.totalAbsPositionValueE18, RATIO_ONE, absValue * 2n)
  return ratio >= UINT24 ? null : mulRatio(p.sizeE18, min(ratio, RATIO_ONE))
}

/**
 * Mark price at which accountValue = Σ|value| · ratio, the other markets, the collaterals and funding being as they are:
 *   long  P* = (M − A) / (s (1 − r)),  short P* = (A − M) / (|s| (1 + r)),
 *   with A = accountValue − s · P and M = r · Σ over the other markets |value|.
 * ratio = mmRatio gives the liquidation price; ratio = 0 the bankruptcy price. Rounded down for a long and up for a
 * short. null where no positive price does it. Closed form of Vault.getAccountValue = getMarginRequirementForLiquidation.
 */
function priceWhereMarginIs(p: { sizeE18: bigint; markPriceE18: bigint; accountValueE18: bigint; otherAbsPositionValueE18: bigint; ratioE6: bigint }): bigint | null {
  if (p.sizeE18 === 0n) return null
  // All amounts times 1e18 · 1e6, so that one division remains.
  const fixedE42 = (p.accountValueE18 * E18 - p.sizeE18 * p.markPriceE18) * RATIO_ONE
  const otherE42 = p.otherAbsPositionValueE18 * E18 * p.ratioE6
  const price = p.sizeE18 > 0n
    ? mulDiv(otherE42 - fixedE42, 1n, p.sizeE18 * (RATIO_ONE - p.ratioE6), 'floor')
    : mulDiv(fixedE42 - otherE42, 1n, -p.sizeE18 * (RATIO_ONE + p.ratioE6), 'ceil')
  return price > 0n ? price : null
}

// ─── The account ───────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Everything about one account's margin.
 *   settlementBalance = balance + pendingFee − pendingFunding + owedRealizedPnl
 *   totalCollateralValue = settlementBalance + Σ collateral value · collateralRatio
 *   unrealizedPnl = Σ value + Σ openNotional;  accountValue = totalCollateralValue + unrealizedPnl
 *   freeCollateral(r) = min(totalCollateralValue, accountValue) − totalDebtValue · r
 *   marginRequirement = Σ|value| · mmRatio;  for collateral liquidation Σ|value| · (mmRatio + buffer)
 * Throws BadInputError where a position has ranges and no pool price.
 * Source: Vault._getAccountValueAndTotalCollateralValue, _getFreeCollateralByRatio, isLiquidatable;
 * AccountBalance.getPnlAndPendingFee, getMarginRequirementForLiquidation; ClearingHouse._liquidate.
 */
export function accountHealth(account: AccountFacts, params: MarginParams): AccountHealth {
  const positions = account.positions.map(totalsOf)
  const hasRanges = account.positions.some((position) => position.ranges.length > 0)
  const missing = account.pendingFeeE18 === null && hasRanges ? ['pendingFeeE18'] : []

  const settlementBalanceE18 = parseSettlement(account.settlementBalance, params.settlementDecimals) + (account.pendingFeeE18 ?? 0n) - account.pendingFundingE18 + account.owedRealizedPnlE18
  const nonSettlementTokenValueE18 = account.collaterals.reduce((sum, collateral) => sum + mulRatio(collateralValue(collateral), collateral.collateralRatioE6), 0n)
  const unrealizedPnlE18 = positions.reduce((sum, position) => sum + position.valueE18 + position.openNotionalE18, 0n)
  const totalCollateralValueE18 = nonSettlementTokenValueE18 + settlementBalanceE18
  const accountValueE18 = totalCollateralValueE18 + unrealizedPnlE18
  const accountValue = formatSettlement(accountValueE18, params.settlementDecimals)

  const totalAbsPositionValueE18 = positions.reduce((sum, position) => sum + abs(position.valueE18), 0n)
  const totalDebtValueE18 = totalDebtValue(positions)
  const marginRequirementE18 = mulRatio(totalAbsPositionValueE18, params.mmRatioE6)
  // The contract adds the two ratios in 24 bits.
  const collateralMarginRequirementE18 = mulRatio(totalAbsPositionValueE18, (params.mmRatioE6 + params.mmRatioBufferE6) % UINT24)
  const freeCollateral = (ratioE6: bigint): bigint => min(totalCollateralValueE18, accountValueE18) - mulRatio(totalDebtValueE18, ratioE6)

  // Liquidation compares the getter's value, which has lost what is below the settlement token's decimals.
  const comparedValueE18 = parseSettlement(accountValue, params.settlementDecimals)
  const belowMaintenance = comparedValueE18 < marginRequirementE18
  const isOpen = (position: PositionFacts): boolean => (position.state ?? 'OPEN') === 'OPEN'
  const hasOrder = account.positions.some((position) => isOpen(position) && position.ranges.length > 0)
  const mayLiquidate = (position: PositionFacts): boolean => belowMaintenance && !hasOrder && isOpen(position) && abs(position.sizeE18) >= DUST_E18

  const settlementTokenValueE18 = settlementBalanceE18 + unrealizedPnlE18
  const debtE18 = max(-settlementTokenValueE18, 0n)
  const collateralLiquidatable =
    account.collaterals.some((collateral) => collateral.amount !== 0n) &&
    (accountValueE18 < collateralMarginRequirementE18 ||
      debtE18 > mulRatio(nonSettlementTokenValueE18, params.debtNonSettlementTokenValueRatioE6) ||
      formatSettlement(debtE18, params.settlementDecimals) > params.debtThreshold)

  const healthOf = (position: PositionTotals): PositionHealth => {
    const { facts, sizeE18, valueE18 } = position
    // Where the account has liquidity in the market, or the market's price no longer moves, the closed form does not hold.
    const moves = isOpen(facts) && facts.ranges.length === 0
    const solve = (ratioE6: bigint): bigint | null =>
      moves ? priceWhereMarginIs({ sizeE18, markPriceE18: facts.markPriceE18, accountValueE18, otherAbsPositionValueE18: totalAbsPositionValueE18 - abs(valueE18), ratioE6 }) : null
    const liquidationPriceE18 = solve(params.mmRatioE6)
    const away = liquidationPriceE18 === null || facts.markPriceE18 === 0n ? null : sizeE18 > 0n ? facts.markPriceE18 - liquidationPriceE18 : liquidationPriceE18 - facts.markPriceE18
    return {
      market: facts.market,
      totalSizeE18: sizeE18,
      totalOpenNotionalE18: position.openNotionalE18,
      positionValueE18: valueE18,
      unrealizedPnlE18: valueE18 + position.openNotionalE18,
      liquidatableSizeE18: mayLiquidate(facts) ? liquidatableSize({ sizeE18, valueE18, accountValueE18: comparedValueE18, marginRequirementE18, totalAbsPositionValueE18 }) : 0n,
      liquidationPriceE18,
      bankruptcyPriceE18: solve(0n),
      distanceToLiquidationE6: away === null ? null : mulDiv(away, RATIO_ONE, facts.markPriceE18, 'floor'),
    }
  }

  const perExposure = (amountE18: bigint): bigint | null => (totalAbsPositionValueE18 === 0n ? null : mulDiv(amountE18, E18, totalAbsPositionValueE18, 'floor'))
  return {
    exactness: missing.length === 0 ? 'EXACT' : 'LOWER_BOUND',
    missing,
    settlementBalanceE18,
    settlementTokenValueE18,
    nonSettlementTokenValueE18,
    totalCollateralValueE18,
    unrealizedPnlE18,
    accountValueE18,
    accountValue,
    totalAbsPositionValueE18,
    totalDebtValueE18,
    marginRequirementE18,
    collateralMarginRequirementE18,
    freeCollateralImE18: freeCollateral(params.imRatioE6),
    freeCollateralMmE18: freeCollateral(params.mmRatioE6),
    marginRatioE18: perExposure(accountValueE18),
    distanceE18: perExposure(accountValueE18 - marginRequirementE18),
    tier: tierOf(comparedValueE18, marginRequirementE18),
    belowMaintenance,
    liquidatable: account.positions.some(mayLiquidate),
    collateralLiquidatable,
    positions: positions.map(healthOf),
  }
}

function tierOf(accountValueE18: bigint, marginRequirementE18: bigint): MarginTier {
  if (accountValueE18 < 0n) return 'BAD_DEBT'
  if (accountValueE18 < marginRequirementE18 / 2n) return 'FULL'
  if (accountValueE18 < marginRequirementE18) return 'PARTIAL'
  return accountValueE18 * 5n < marginRequirementE18 * 6n ? 'WARN' : 'HEALTHY'
}

// ─── Liquidation ───────────────────────────────────────────────────────────────────────────────────────────────────

export type LiquidationOutcome = {
  /** Signed as the position that is taken over. */
  readonly sizeE18: bigint
  readonly notionalE18: bigint
  readonly penaltyE18: bigint
  readonly feeToLiquidatorE18: bigint
  readonly feeToInsuranceFundE18: bigint
  readonly realizedPnlE18: bigint
  /** What the liquidator's position opens with. */
  readonly liquidatorOpenNotionalE18: bigint
}

/**
 * What liquidating `sizeE18` of a taker position does: it passes to the liquidator at the mark price, the trader pays
 * |notional| · penaltyRatio, half of it (rounded down) to the liquidator and the rest to the insurance fund; all of it
 * to the liquidator where the account value is negative. realizedPnl = notional + openNotional · size / position size.
 * Source: ClearingHouse._liquidate, Exchange._getPnlToBeRealized.
 */
export function liquidationOutcome(p: { sizeE18: bigint; position: Pick<PositionFacts, 'sizeE18' | 'openNotionalE18' | 'markPriceE18'>; accountValueE18: bigint; penaltyRatioE6: bigint }): LiquidationOutcome {
  const notionalE18 = mulDiv(p.sizeE18, p.position.markPriceE18, E18)
  const penaltyE18 = mulRatio(abs(notionalE18), p.penaltyRatioE6)
  const feeToLiquidatorE18 = p.accountValueE18 < 0n ? penaltyE18 : penaltyE18 / 2n
  const closedRatioE18 = mulDiv(abs(p.sizeE18), E18, abs(p.position.sizeE18))
  return {
    sizeE18: p.sizeE18,
    notionalE18,
    penaltyE18,
    feeToLiquidatorE18,
    feeToInsuranceFundE18: penaltyE18 - feeToLiquidatorE18,
    realizedPnlE18: notionalE18 + mulDiv(p.position.openNotionalE18, closedRatioE18, E18),
    liquidatorOpenNotionalE18: -notionalE18 + feeToLiquidatorE18,
  }
}

/** Parameters of collateral liquidation. */
export type CollateralLiquidationParams = {
  readonly settlementDecimals: number
  readonly imRatioE6: bigint
  readonly liquidationRatioE6: bigint
  readonly clInsuranceFundFeeRatioE6: bigint
  /** Settlement decimals. */
  readonly collateralValueDust: bigint
}

/** A collateral as its liquidation prices it. `price` is in the feed's own decimals, because the discount truncates there. */
export type CollateralPricing = { readonly decimals: number; readonly price: bigint; readonly feedDecimals: number; readonly discountRatioE6: bigint }

/**
 * Most that a collateral liquidation may repay, E18, before it is limited by the account's balance of one collateral.
 *   maxDebt = max(−settlementTokenValue, totalDebtValue · imRatio, 0)
 *   maxRepaid = (maxDebt > dust ? maxDebt · liquidationRatio : maxDebt) / (1 − clInsuranceFundFeeRatio)
 * Source: Vault._getMaxRepaidSettlement.
 */
export function maxRepaidSettlement(health: Pick<AccountHealth, 'settlementTokenValueE18' | 'totalDebtValueE18'>, params: CollateralLiquidationParams): bigint {
  const maxDebtE18 = max(max(-health.settlementTokenValueE18, 0n), mulRatio(health.totalDebtValueE18, params.imRatioE6))
  const isDust = maxDebtE18 <= parseSettlement(params.collateralValueDust, params.settlementDecimals)
  return mulDiv(isDust ? maxDebtE18 : mulRatio(maxDebtE18, params.liquidationRatioE6), RATIO_ONE, RATIO_ONE - params.clInsuranceFundFeeRatioE6)
}

const discounted = (pricing: CollateralPricing): bigint => mulRatio(pricing.price, RATIO_ONE - pricing.discountRatioE6)

/** Settlement E18 for an amount of collateral at its discounted price, rounded down (Vault._getSettlementByCollateral). */
export function settlementForCollateral(amount: bigint, pricing: CollateralPricing): bigint {
  const scale = 10n ** BigInt(pricing.feedDecimals)
  if (pricing.decimals > 18) return mulDiv(amount, discounted(pricing), scale) / 10n ** BigInt(pricing.decimals - 18)
  return mulDiv(amount * 10n ** BigInt(18 - pricing.decimals), discounted(pricing), scale)
}

/** Collateral for a settlement amount at its discounted price, the division rounded up (Vault._getCollateralBySettlement). */
export function collateralForSettlement(settlementE18: bigint, pricing: CollateralPricing): bigint {
  const scale = 10n ** BigInt(pricing.feedDecimals)
  if (pricing.decimals > 18) return mulDiv(settlementE18 * 10n ** BigInt(pricing.decimals - 18), scale, discounted(pricing), 'ceil')
  return mulDiv(settlementE18, scale, discounted(pricing), 'ceil') / 10n ** BigInt(18 - pricing.decimals)
}

/** The most that one liquidation of one collateral repays (settlement decimals) and takes (token decimals). Source: Vault.getMaxRepaidSettlementAndLiquidatableCollateral. */
export function maxCollateralLiquidation(balance: bigint, maxRepaidE18: bigint, pricing: CollateralPricing, settlementDecimals: number): { readonly repaid: bigint; readonly collateral: bigint } {
  const wanted = collateralForSettlement(maxRepaidE18, pricing)
  if (wanted <= balance) return { repaid: formatSettlement(maxRepaidE18, settlementDecimals), collateral: wanted }
  return { repaid: formatSettlement(settlementForCollateral(balance, pricing), settlementDecimals), collateral: balance }
}

// ─── Prices ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Middle of three (PerpMath.findMedianOfThree). */
export const median = (a: bigint, b: bigint, c: bigint): bigint => max(min(a, b), min(max(a, b), c))

/**
 * Mark price of an open market, E18: median of the pool's spot price, its average over markPriceMarketTwapInterval, and
 * index + (market average − index average), both over markPricePremiumInterval.
 * (2.8.4 takes a 15 s average in place of the spot price.) A paused or closed market is marked at its paused index price.
 * Throws BadInputError where index and premium sum below 0: the contract reverts there.
 * Source: AccountBalance._getMarkPrice.
 */
export function markPrice(p: { spotE18: bigint; marketTwapE18: bigint; indexE18: bigint; premiumMarketTwapE18: bigint; premiumIndexTwapE18: bigint }): bigint {
  const indexWithPremiumE18 = p.indexE18 + p.premiumMarketTwapE18 - p.premiumIndexTwapE18
  if (indexWithPremiumE18 < 0n) throw new BadInputError(`Found an index price with premium of ${indexWithPremiumE18}, allowed is 0 or more; the market has no mark price while its premium is below minus the index price`)
  return median(p.spotE18, p.marketTwapE18, indexWithPremiumE18)
}

/** How far the pool's price stands from the index, 1e6 = 100 %, towards zero; what the price band limits. Source: Exchange._getPriceSpreadRatio. */
export function priceSpreadE6(marketPriceE18: bigint, indexPriceE18: bigint): bigint {
  return mulDiv(marketPriceE18 - indexPriceE18, RATIO_ONE, indexPriceE18)
}

// ─── Funding ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Time-weighted premium since the market began, and the same divided by the square root price. Source: Funding.Growth. */
export type FundingGrowth = { readonly twPremiumX96: bigint; readonly twPremiumDivBySqrtPriceX96: bigint }

/** Premium that funding is paid on: market − index average, within ± index · maxFundingRate, X96. Source: Exchange._getDeltaTwapX96. */
export function fundingPremiumX96(marketTwapX96: bigint, indexTwapX96: bigint, maxFundingRateE6: bigint): bigint {
  const limit = mulRatio(indexTwapX96, maxFundingRateE6)
  return max(min(marketTwapX96 - indexTwapX96, limit), -limit)
}

/**
 * Growth as of now: the last one + premium · elapsed, and + that / square root price.
 * Elapsed is counted from the last settlement to now, or to the pause. Source: Exchange._getFundingGrowthGlobalAndTwaps.
 */
export function fundingGrowth(last: FundingGrowth, p: { sqrtMarketTwapX96: bigint; indexTwapE18: bigint; maxFundingRateE6: bigint; elapsedSec: bigint; sqrtPriceX96: bigint }): FundingGrowth {
  const indexTwapX96 = mulDiv(p.indexTwapE18, X96, E18)
  const grown = fundingPremiumX96(priceX96OfSqrtX96(p.sqrtMarketTwapX96), indexTwapX96, p.maxFundingRateE6) * p.elapsedSec
  return {
    twPremiumX96: last.twPremiumX96 + grown,
    twPremiumDivBySqrtPriceX96: last.twPremiumDivBySqrtPriceX96 + mulDiv(grown, X96, p.sqrtPriceX96),
  }
}

/**
 * Funding that an account owes (+) in one market, E18:
 *   (base · (growth − growth when last settled) / 2^96 + what its ranges owe) / 86400, each division towards zero.
 * `baseE18` is the taker size less the ranges' base debt. Source: Funding.calcPendingFundingPaymentWithLiquidityCoefficient.
 */
export function pendingFunding(p: { baseE18: bigint; twPremiumX96: bigint; lastTwPremiumX96: bigint; liquidityCoefficientE18: bigint }): bigint {
  return (p.liquidityCoefficientE18 + mulDiv(p.baseE18, p.twPremiumX96 - p.lastTwPremiumX96, X96)) / FUNDING_PERIOD_SEC
}

/** Growth inside and below a range of ticks. Source: Tick.FundingGrowthRangeInfo. */
export type RangeGrowth = { readonly insideX96: bigint; readonly belowX96: bigint; readonly insideDivBySqrtPriceX96: bigint }

/**
 * What a range owes before the division by the funding period:
 *   [base of the whole range · Δbelow + liquidity · (Δinside/√P − Δinside / √P upper)] / 2^96.
 * Source: Funding.calcLiquidityCoefficientInFundingPaymentByOrder.
 */
export function liquidityCoefficient(range: Pick<RangeFacts, 'lowerTick' | 'upperTick' | 'liquidity'>, now: RangeGrowth, last: RangeGrowth): bigint {
  const upperX96 = sqrtRatioAtTickX96(range.upperTick)
  const below = baseInRange(sqrtRatioAtTickX96(range.lowerTick), upperX96, range.liquidity) * (now.belowX96 - last.belowX96)
  const inside = range.liquidity * (now.insideDivBySqrtPriceX96 - last.insideDivBySqrtPriceX96 - mulDiv(now.insideX96 - last.insideX96, X96, upperX96))
  return (below + inside) / X96
}
