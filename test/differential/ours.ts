/**
 * Our own figures, from the mirror's tables alone as they stand at one block, through the same code that the product runs.
 * No chain is asked here.
 */
import pg from 'pg'
import { encodePacked, keccak256 } from 'viem'
import type { Address, Deployment, Json, ReplayRow } from '../../protocols/adapter.ts'
import { collateralForSettlement, formatSettlement, liquidatableSize, parseSettlement, settlementForCollateral, priceSpreadE6, type AccountHealth } from '../../protocols/curie/margin.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { keys, Rows } from '../../protocols/curie/replay-rows.ts'
import { amountsOfRange, priceOfSqrtX96 } from '../../protocols/curie/uniswap-v3.ts'
import { valuation, type Answer, type IndexStates } from '../../protocols/curie/valuation.ts'
import { keyOf, PROBE, REVERT, UNKNOWN, type Account, type AccountMarket, type AccountToken, type Collateral, type Context, type Fields, type Market, type Range, type Scope, type Subjects, type Value } from './getters.ts'
import type { Recorded, Values } from './record.ts'

/** What is asked of our side: the same subjects as of the contracts. */
export type Questions = Pick<Recorded, 'number' | 'accounts' | 'ranges'>

export type Ours = {
  /** Everything at the block that the mirror stands on. */
  at(questions: Questions): Promise<Values>
  close(): Promise<void>
}

type MarketRow = { id: Address; openInterestLongE18: string; openInterestShortE18: string }

/** Interval over which the vault averages collateral prices (Vault._COLLATERAL_TWAP_INTERVAL). */
const VAULT_TWAP_SEC = 900
/** How AccountBalance.getLiquidatablePositionSize refuses a share that does not fit (PerpSafeCast.toUint24). */
const UINT24 = "SafeCast: value doesn't fit in 24 bits"

const big = <T extends Record<string, unknown>, K extends keyof T>(row: T, ...fields: readonly K[]): Omit<T, K> & Record<K, bigint> => ({ ...row, ...(Object.fromEntries(fields.map((f) => [f, BigInt(row[f] as string)])) as Record<K, bigint>) })

/** An answer of ours as it is compared. */
function text(answer: Answer<bigint | boolean | number>): Value {
  return 'value' in answer ? String(answer.value) : 'reverted' in answer ? `${REVERT}${answer.reverted}` : UNKNOWN
}
const map = <T, U>(answer: Answer<T>, of: (value: T) => U): Answer<U> => ('value' in answer ? { value: of(answer.value) } : answer)

export async function createOurs(databaseUrl: string, deployment: Deployment): Promise<Ours> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const rows = async <R extends pg.QueryResultRow>(query: string): Promise<R[]> => (await client.query<R>(query)).rows
  const { decimals } = deployment.settlementToken

  async function readIndex(): Promise<{ states: IndexStates; replayRows: readonly ReplayRow[]; timestampSec: number; markets: readonly MarketRow[]; walletBalance: bigint; block: number }> {
    const [checkpoint] = await rows<{ blockNumber: string; blockTimestamp: string }>('SELECT "blockNumber", "blockTimestamp" FROM "Checkpoint" ORDER BY "blockNumber" DESC LIMIT 1')
    const [fund] = await rows<{ walletBalance: string }>('SELECT "walletBalance" FROM "InsuranceFund"')
    const states: IndexStates = {
      accounts: (await rows<{ id: string; settlementBalance: string; owedRealizedPnlE18: string }>('SELECT "id", "settlementBalance", "owedRealizedPnlE18" FROM "Account"')).map((r) => big(r, 'settlementBalance', 'owedRealizedPnlE18')),
      positions: (await rows<{ accountId: string; marketId: string; rawSizeE18: string; openNotionalE18: string }>('SELECT "accountId", "marketId", "rawSizeE18", "openNotionalE18" FROM "Position"')).map((r) => big(r, 'rawSizeE18', 'openNotionalE18')),
      ranges: (await rows<{ accountId: string; marketId: string; lowerTick: number; upperTick: number; liquidity: string; baseDebtE18: string; quoteDebtE18: string }>('SELECT "accountId", "marketId", "lowerTick", "upperTick", "liquidity", "baseDebtE18", "quoteDebtE18" FROM "LiquidityRange"')).map((r) => big(r, 'liquidity', 'baseDebtE18', 'quoteDebtE18')),
      balances: (await rows<{ accountId: string; assetId: string; amount: string }>('SELECT "accountId", "assetId", "amount" FROM "CollateralBalance"')).map((r) => big(r, 'amount')),
      assets: await rows<{ id: string; decimals: number }>('SELECT "id", "decimals" FROM "CollateralAsset"'),
      parameters: (await rows<{ name: string; subject: string; value: string }>('SELECT "name", "subject", "value" FROM "Parameter"')).map((r) => big(r, 'value')),
    }
    const replay = await rows<{ id: string; kind: string; value: Json }>('SELECT "id", "kind", "value" FROM "ReplayRow"')
    return {
      states,
      replayRows: replay.map(({ id, kind, value }) => ({ kind, key: id.slice(kind.length + 1), value })),
      timestampSec: Number(checkpoint?.blockTimestamp),
      block: Number(checkpoint?.blockNumber),
      markets: await rows<MarketRow>('SELECT "id", "openInterestLongE18", "openInterestShortE18" FROM "Market"'),
      // No row: nothing has ever come into the fund or left it.
      walletBalance: BigInt(fund?.walletBalance ?? 0),
    }
  }

  return {
    at: async (questions) => {
      const index = await readIndex()
      const { states, timestampSec } = index
      const now = valuation({ rows: index.replayRows, states, timestampSec, settlementDecimals: decimals })
      const replayed = new Rows(index.replayRows)
      const accountOf = new Map(states.accounts.map((row) => [row.id, row]))
      const positionOf = new Map(states.positions.map((row) => [keyOf.accountMarket({ account: row.accountId as Address, market: row.marketId as Address }), row]))
      const openRanges = states.ranges.filter(({ liquidity }) => liquidity !== 0n).map((row) => ({ ...row, account: row.accountId as Address, market: row.marketId as Address }))
      const rangeOf = new Map(openRanges.map((row) => [keyOf.range(row), row]))
      const balanceOf = new Map(states.balances.map((row) => [keyOf.accountToken({ account: row.accountId as Address, token: row.assetId as Address }), row.amount]))
      const parameter = (name: string): number => Number(states.parameters.find((p) => p.name === name)?.value ?? NaN)
      const intervalsSec: Context['intervalsSec'] = { funding: parameter('twapInterval'), markPrice: parameter('markPriceMarketTwapInterval'), premium: parameter('markPricePremiumInterval'), vault: VAULT_TWAP_SEC }

      const values: Record<string, Record<string, Value>> = {}
      const put = <S extends Scope>(scope: S, subject: Subjects[S], fields: Fields<S>): void => {
        for (const [field, value] of Object.entries(fields) as [string, Value][]) (values[field] ??= {})[keyOf[scope](subject as never)] = value
      }
      const rangesIn = ({ account, market }: AccountMarket) => openRanges.filter((r) => r.account === account && r.market === market)
      const sum = (list: readonly bigint[]): bigint => list.reduce((total, item) => total + item, 0n)

      /** Quote in the account's ranges less what it owes for them. */
      const quoteOf = (account: Address): Answer<bigint> => {
        const parts = openRanges.filter((r) => r.account === account).map((r) => map(now.pool(r.market), ({ sqrtPriceX96 }) => amountsOfRange(r, sqrtPriceX96).quoteE18 - r.quoteDebtE18))
        return parts.find((part) => !('value' in part)) ?? { value: sum(parts.map((part) => ('value' in part ? part.value : 0n))) }
      }
      const healths = new Map<Address, Answer<AccountHealth>>()
      const healthOf = (account: Address): Answer<AccountHealth> => {
        const known = healths.get(account) ?? now.health(account)
        healths.set(account, known)
        return known
      }
      const ofAccount = (subject: Account): Fields<'account'> => {
        const { account } = subject
        const row = accountOf.get(account)
        const health = healthOf(account)
        const of = (pick: (health: AccountHealth) => bigint | boolean): Value => text(map(health, pick))
        const fees = now.allPendingFees(account)
        // The getter answers with all three or not at all.
        const unrealized = 'value' in fees ? now.unrealizedPnl(account) : fees
        const pnl = 'value' in unrealized ? fees : unrealized
        const atIm = now.freeCollateral(account, BigInt(parameter('imRatio')))
        const registered = [...states.positions.filter((p) => p.accountId === account && (p.rawSizeE18 !== 0n || p.openNotionalE18 !== 0n)).map((p) => p.marketId), ...openRanges.filter((r) => r.account === account).map((r) => r.market)]
        return {
          'AccountBalance.getPnlAndPendingFee.owedRealizedPnl': text(map(pnl, () => row?.owedRealizedPnlE18 ?? 0n)),
          'AccountBalance.getPnlAndPendingFee.unrealizedPnl': text(unrealized),
          'AccountBalance.getPnlAndPendingFee.pendingFee': text(pnl as Answer<bigint>),
          'AccountBalance.getBaseTokens': [...new Set(registered)].toSorted().join(','),
          'AccountBalance.hasOrder': String(openRanges.some((r) => r.account === account && replayed.get('market', r.market)?.state === 'OPEN')),
          'AccountBalance.getTotalAbsPositionValue': text(now.totalAbsPositionValue(account)),
          'AccountBalance.getTotalDebtValue': text(now.totalDebtValue(account)),
          'AccountBalance.getMarginRequirementForLiquidation': text(now.marginRequirement(account)),
          'Exchange.getAllPendingFundingPayment': text(now.allPendingFunding(account)),
          'OrderBook.hasOrder': String(openRanges.some((r) => r.account === account)),
          'OrderBook.getTotalQuoteBalanceAndPendingFee.totalQuoteAmountInPools': text(quoteOf(account)),
          'OrderBook.getTotalQuoteBalanceAndPendingFee.totalPendingFee': text(fees),
          'Vault.getBalance': String(row?.settlementBalance ?? 0n),
          'Vault.getCollateralTokens': deployment.collaterals.filter(({ token }) => (balanceOf.get(keyOf.accountToken({ account, token })) ?? 0n) !== 0n).map(({ token }) => token).toSorted().join(','),
          'Vault.getAccountValue': text(now.accountValue(account)),
          'Vault.getSettlementTokenValue': text(now.settlementTokenValue(account)),
          'Vault.getFreeCollateral': text(map(atIm, (free) => (free > 0n ? free : 0n))),
          'Vault.getFreeCollateralByRatio imRatio': text(atIm),
          'Vault.getFreeCollateralByRatio mmRatio': text(now.freeCollateral(account, BigInt(parameter('mmRatio')))),
          'Vault.getMarginRequirementForCollateralLiquidation': text(now.collateralMarginRequirement(account)),
          'Vault.isLiquidatable': text(now.collateralLiquidatable(account)),
          'ClearingHouse.getAccountValue': text(map(now.accountValue(account), (value) => parseSettlement(value, decimals))),
          'CollateralManager.getDebtThresholdByTrader': text(map(now.params(account), (p) => p.debtThreshold)),
          liquidatable: of((h) => h.belowMaintenance),
        }
      }
      const ofAccountMarket = (subject: AccountMarket): Fields<'accountMarket'> => {
        const { account, market } = subject
        const row = positionOf.get(keyOf.accountMarket(subject))
        const size = row?.rawSizeE18 ?? 0n
        const notional = row?.openNotionalE18 ?? 0n
        const ranges = rangesIn(subject)
        const baseDebt = sum(ranges.map((r) => r.baseDebtE18))
        const quoteDebt = sum(ranges.map((r) => r.quoteDebtE18))
        const inPool = map(now.pool(market), ({ sqrtPriceX96 }) => ranges.map((r) => amountsOfRange(r, sqrtPriceX96)))
        const base = map(inPool, (list) => sum(list.map((a) => a.baseE18)))
        const quote = map(inPool, (list) => sum(list.map((a) => a.quoteE18)))
        const fees = ranges.map((r) => now.pendingFee(account, market, r.lowerTick, r.upperTick))
        const fee = fees.find((f) => !('value' in f)) ?? { value: sum(fees.map((f) => ('value' in f ? f.value : 0n))) }
        const whole = healthOf(account)
        const liquidatable = map(whole, (h): bigint | null => {
          const position = h.positions.find((p) => p.market === market)
          if (position === undefined) return 0n
          return liquidatableSize({ sizeE18: position.totalSizeE18, valueE18: position.positionValueE18, accountValueE18: parseSettlement(h.accountValue, decimals), marginRequirementE18: h.marginRequirementE18, totalAbsPositionValueE18: h.totalAbsPositionValueE18 })
        })
        return {
          'AccountBalance.getTakerPositionSize': String(dustless(size)),
          'AccountBalance.getTakerOpenNotional': String(notional),
          'AccountBalance.getTotalPositionSize': text(map(base, (inRanges) => dustless(inRanges - baseDebt + size))),
          'AccountBalance.getTotalOpenNotional': text(map(quote, (inRanges) => inRanges - quoteDebt + notional)),
          'AccountBalance.getTotalPositionValue': text(now.positionValue(account, market)),
          'AccountBalance.getBase': String(size - baseDebt),
          'AccountBalance.getQuote': String(notional - quoteDebt),
          'AccountBalance.getAccountInfo.takerPositionSize': String(size),
          'AccountBalance.getAccountInfo.takerOpenNotional': String(notional),
          // Forgotten with the account's last balance and range in the market (AccountBalance._deregisterBaseToken).
          'AccountBalance.getAccountInfo.lastTwPremiumGrowthGlobalX96': String((size === 0n && notional === 0n && ranges.length === 0 ? undefined : replayed.get('position', keys.position(account, market)))?.lastTwPremiumX96 ?? 0n),
          'AccountBalance.getLiquidatablePositionSize': text('value' in liquidatable && liquidatable.value === null ? { reverted: UINT24 } : (liquidatable as Answer<bigint>)),
          'Exchange.getPendingFundingPayment': text(now.pendingFunding(account, market)),
          'OrderBook.getOpenOrderIds': ranges.map(orderId).toSorted().join(','),
          'OrderBook.getTotalOrderDebt base': String(baseDebt),
          'OrderBook.getTotalOrderDebt quote': String(quoteDebt),
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee base.tokenAmount': text(base),
          // The contract adds up fees with the quote alone.
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee base.pendingFee': '0',
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee quote.tokenAmount': text(quote),
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee quote.pendingFee': text(fee),
        }
      }
      const ofAccountToken = (subject: AccountToken): Fields<'accountToken'> => {
        const token = subject.token === deployment.settlementToken.address ? null : subject.token
        const most = now.maxCollateralLiquidation(subject.account, token)
        return {
          'Vault.getBalanceByToken': String((subject.token === deployment.settlementToken.address ? accountOf.get(subject.account)?.settlementBalance : balanceOf.get(keyOf.accountToken(subject))) ?? 0n),
          'Vault.getFreeCollateralByToken': text(now.freeCollateralByToken(subject.account, token)),
          'Vault.getMaxRepaidSettlementAndLiquidatableCollateral.maxRepaidSettlement': text(map(most, ({ repaid }) => repaid)),
          'Vault.getMaxRepaidSettlementAndLiquidatableCollateral.maxLiquidatableCollateral': text(map(most, ({ collateral }) => collateral)),
        }
      }
      const ofRange = (subject: Range): Fields<'range'> => {
        const row = rangeOf.get(keyOf.range(subject))
        const kept = replayed.get('range', keys.range(subject.account, subject.market, subject.lowerTick, subject.upperTick))
        return {
          'OrderBook.getPendingFee': text(now.pendingFee(subject.account, subject.market, subject.lowerTick, subject.upperTick)),
          'OrderBook.getOpenOrder.liquidity': String(row?.liquidity ?? 0n),
          'OrderBook.getOpenOrder.lowerTick': String(row?.lowerTick ?? 0),
          'OrderBook.getOpenOrder.upperTick': String(row?.upperTick ?? 0),
          'OrderBook.getOpenOrder.lastFeeGrowthInsideX128': kept === undefined ? UNKNOWN : String(kept.lastFeeGrowthInsideX128),
          'OrderBook.getOpenOrder.lastTwPremiumGrowthInsideX96': kept === undefined ? UNKNOWN : String(kept.lastTwPremiumInsideX96),
          'OrderBook.getOpenOrder.lastTwPremiumGrowthBelowX96': kept === undefined ? UNKNOWN : String(kept.lastTwPremiumBelowX96),
          'OrderBook.getOpenOrder.lastTwPremiumDivBySqrtPriceGrowthInsideX96': kept === undefined ? UNKNOWN : String(kept.lastTwPremiumDivBySqrtPriceInsideX96),
          'OrderBook.getOpenOrder.baseDebt': String(row?.baseDebtE18 ?? 0n),
          'OrderBook.getOpenOrder.quoteDebt': String(row?.quoteDebtE18 ?? 0n),
        }
      }
      const ofMarket = (subject: Market): Fields<'market'> => {
        const { market } = subject
        const row = index.markets.find(({ id }) => id === market)
        const kept = replayed.get('market', market)
        const field = (pick: (row: NonNullable<typeof kept>) => bigint | number | boolean): Value => (kept === undefined ? UNKNOWN : String(pick(kept)))
        const fundingIndex = now.indexPrice(market, intervalsSec.funding)
        return {
          'Pool.liquidity': field((m) => m.liquidity),
          'Pool.slot0.sqrtPriceX96': field((m) => m.sqrtPriceX96),
          'Pool.slot0.tick': field((m) => m.tick),
          'Pool.slot0.observationIndex': field((m) => m.observationIndex),
          'Pool.slot0.observationCardinality': field((m) => m.observationCardinality),
          'Pool.slot0.observationCardinalityNext': field((m) => m.observationCardinalityNext),
          'BaseToken.getIndexPrice 0': text(now.indexPrice(market, 0)),
          'BaseToken.getIndexPrice funding': text(fundingIndex),
          'BaseToken.getIndexPrice premium': text(now.indexPrice(market, intervalsSec.premium)),
          'BaseToken.getIndexPrice vault': text(now.indexPrice(market, intervalsSec.vault)),
          'BaseToken.getPausedIndexPrice': kept === undefined ? UNKNOWN : String(kept.pausedIndexPriceE18 ?? 0n),
          'BaseToken.getPausedTimestamp': field((m) => m.pausedAtSec ?? 0),
          'BaseToken.getClosedPrice': kept === undefined ? UNKNOWN : kept.state === 'CLOSED' ? (kept.closedPriceE18 === null ? UNKNOWN : String(kept.closedPriceE18)) : `${REVERT}BT_NC`,
          'BaseToken.isOpen': field((m) => m.state === 'OPEN'),
          'BaseToken.isPaused': field((m) => m.state === 'PAUSED'),
          'BaseToken.isClosed': field((m) => m.state === 'CLOSED'),
          'AccountBalance.getMarkPrice': text(now.markPrice(market)),
          'Exchange.getSqrtMarketTwapX96 funding': text(now.sqrtMarketTwapX96(market, intervalsSec.funding)),
          'Exchange.getSqrtMarketTwapX96 markPrice': text(now.sqrtMarketTwapX96(market, intervalsSec.markPrice)),
          'Exchange.getSqrtMarketTwapX96 premium': text(now.sqrtMarketTwapX96(market, intervalsSec.premium)),
          // Source: Exchange.isOverPriceSpread, which takes 10 % whatever the market's own band.
          'Exchange.isOverPriceSpread': text(map(fundingIndex, (indexE18) => {
            const spreadE6 = kept === undefined ? 0n : priceSpreadE6(priceOfSqrtX96(kept.sqrtPriceX96), indexE18)
            return spreadE6 > 100_000n || spreadE6 < -100_000n
          })),
          openInterestLong: row?.openInterestLongE18 ?? '0',
          openInterestShort: row?.openInterestShortE18 ?? '0',
        }
      }

      for (const account of questions.accounts) {
        put('account', { account }, ofAccount({ account }))
        for (const { baseToken: market } of deployment.markets) put('accountMarket', { account, market }, ofAccountMarket({ account, market }))
        for (const token of [deployment.settlementToken.address, ...deployment.collaterals.map((c) => c.token)]) put('accountToken', { account, token }, ofAccountToken({ account, token }))
      }
      for (const range of questions.ranges) put('range', range, ofRange(range))
      for (const { baseToken: market } of deployment.markets) put('market', { market }, ofMarket({ market }))
      const ofCollateral = ({ token }: Collateral): Fields<'collateral'> => {
        const pricing = now.collateralPricing(token)
        return {
          'CollateralManager.getPrice': text(map(pricing, ({ price }) => price)),
          'CollateralManager.getPriceFeedDecimals': text(map(pricing, ({ feedDecimals }) => feedDecimals)),
          'Vault.getRepaidSettlementByCollateral': text(map(pricing, (p) => formatSettlement(settlementForCollateral(PROBE.collateral, p), decimals))),
          'Vault.getLiquidatableCollateralBySettlement': text(map(pricing, (p) => collateralForSettlement(parseSettlement(PROBE.settlement, decimals), p))),
        }
      }
      for (const collateral of deployment.collaterals) put('collateral', collateral, ofCollateral(collateral))
      const fund = now.settlementTokenValue(deployment.contracts.insuranceFund)
      put('protocol', {}, {
        'Vault.getCollateralMmRatio': String(BigInt(parameter('mmRatio')) + BigInt(parameter('mmRatioBuffer'))),
        'CollateralManager.getTotalWhitelistedDebtThreshold': String(sum(states.parameters.filter((p) => p.name === 'whitelistedDebtThreshold').map((p) => p.value))),
        'InsuranceFund.getInsuranceFundCapacity': text(map(fund, (value) => value + index.walletBalance)) })
      for (const { name, subject } of catalog.refs(deployment)) {
        const found = states.parameters.find((p) => p.name === name && p.subject === subject)
        ;(values[`parameter ${name}`] ??= {})[subject] = found === undefined ? UNKNOWN : String(found.value)
      }
      return values
    },
    close: () => client.end(),
  }
}

/** Sizes below 10 wei are answered as none (AccountBalance._DUST). */
const dustless = (size: bigint): bigint => (size < 10n && size > -10n ? 0n : size)

/** Source: OpenOrder.calcOrderKey. */
const orderId = ({ account, market, lowerTick, upperTick }: Range): string => keccak256(encodePacked(['address', 'address', 'int24', 'int24'], [account, market, lowerTick, upperTick]))
