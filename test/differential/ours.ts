/**
 * Our own figures, from the mirror's tables alone as they stand at one block. No chain is asked here.
 */
import pg from 'pg'
import { encodePacked, keccak256 } from 'viem'
import type { Address, Deployment } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { keyOf, UNKNOWN, type Account, type AccountMarket, type AccountToken, type Fields, type Market, type Range, type Scope, type Subjects, type Value } from './getters.ts'
import type { Recorded, Values } from './record.ts'

/** What is asked of our side: the same subjects as of the contracts. */
export type Questions = Pick<Recorded, 'number' | 'timestampSec' | 'accounts' | 'ranges'>

export type Ours = {
  /** Everything at the block that the mirror stands on. */
  at(questions: Questions): Promise<Values>
  close(): Promise<void>
}

type PositionRow = { accountId: Address; marketId: Address; sizeE18: string; rawSizeE18: string; openNotionalE18: string; openRangeCount: number }
type AccountRow = { id: Address; owedRealizedPnlE18: string; settlementBalance: string; openRangeCount: number }
type RangeRow = { accountId: Address; marketId: Address; lowerTick: number; upperTick: number; liquidity: string; baseDebtE18: string; quoteDebtE18: string }
type MarketRow = { id: Address; openInterestLongE18: string; openInterestShortE18: string; sqrtPriceX96: string | null }

export async function createOurs(databaseUrl: string, deployment: Deployment): Promise<Ours> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const rows = async <R extends pg.QueryResultRow>(text: string): Promise<R[]> => (await client.query<R>(text)).rows

  return {
    at: async (questions) => {
      const accountOf = new Map((await rows<AccountRow>('SELECT * FROM "Account"')).map((row) => [row.id, row]))
      const positionOf = new Map((await rows<PositionRow>('SELECT * FROM "Position"')).map((row) => [keyOf.accountMarket({ account: row.accountId, market: row.marketId }), row]))
      const openRanges = (await rows<RangeRow>('SELECT * FROM "LiquidityRange" WHERE "liquidity" > 0')).map((row): RangeRow & Range => ({ ...row, account: row.accountId, market: row.marketId }))
      const rangeOf = new Map(openRanges.map((row) => [keyOf.range(row), row]))
      const balanceOf = new Map((await rows<{ accountId: Address; assetId: Address; amount: string }>('SELECT * FROM "CollateralBalance"')).map((row) => [keyOf.accountToken({ account: row.accountId, token: row.assetId }), row.amount]))
      const marketOf = new Map((await rows<MarketRow>('SELECT * FROM "Market"')).map((row) => [row.id, row]))
      const parameters = await rows<{ name: string; subject: Address; value: string }>('SELECT * FROM "Parameter"')

      const values: Record<string, Record<string, Value>> = {}
      const put = <S extends Scope>(scope: S, subject: Subjects[S], fields: Fields<S>): void => {
        for (const [field, value] of Object.entries(fields) as [string, Value][]) (values[field] ??= {})[keyOf[scope](subject as never)] = value
      }
      const rangesIn = ({ account, market }: AccountMarket): readonly (RangeRow & Range)[] => openRanges.filter((r) => r.account === account && r.market === market)
      const sum = (list: readonly string[]): bigint => list.reduce((total, item) => total + BigInt(item), 0n)

      const ofAccount = (subject: Account): Fields<'account'> => {
        const row = accountOf.get(subject.account)
        return {
          'AccountBalance.getPnlAndPendingFee.owedRealizedPnl': row?.owedRealizedPnlE18 ?? '0',
          'AccountBalance.getPnlAndPendingFee.unrealizedPnl': UNKNOWN,
          'AccountBalance.getPnlAndPendingFee.pendingFee': UNKNOWN,
          'AccountBalance.getBaseTokens': UNKNOWN,
          'AccountBalance.hasOrder': UNKNOWN,
          'AccountBalance.getTotalAbsPositionValue': UNKNOWN,
          'AccountBalance.getTotalDebtValue': UNKNOWN,
          'AccountBalance.getMarginRequirementForLiquidation': UNKNOWN,
          'Exchange.getAllPendingFundingPayment': UNKNOWN,
          'Vault.getBalance': row?.settlementBalance ?? '0',
          'Vault.getCollateralTokens': deployment.collaterals.filter(({ token }) => (balanceOf.get(keyOf.accountToken({ ...subject, token })) ?? '0') !== '0').map(({ token }) => token).toSorted().join(','),
          'Vault.getAccountValue': UNKNOWN,
          'Vault.getSettlementTokenValue': UNKNOWN,
          'Vault.getFreeCollateral': UNKNOWN,
          'Vault.getFreeCollateralByRatio imRatio': UNKNOWN,
          'Vault.getFreeCollateralByRatio mmRatio': UNKNOWN,
          'Vault.getMarginRequirementForCollateralLiquidation': UNKNOWN,
          'Vault.isLiquidatable': UNKNOWN,
          'ClearingHouse.getAccountValue': UNKNOWN,
          'CollateralManager.getDebtThresholdByTrader': UNKNOWN,
          liquidatable: UNKNOWN,
        }
      }
      const ofAccountMarket = (subject: AccountMarket): Fields<'accountMarket'> => {
        const row = positionOf.get(keyOf.accountMarket(subject))
        const ranges = rangesIn(subject)
        const baseDebt = sum(ranges.map((r) => r.baseDebtE18))
        const quoteDebt = sum(ranges.map((r) => r.quoteDebtE18))
        return {
          'AccountBalance.getTakerPositionSize': row?.sizeE18 ?? '0',
          'AccountBalance.getTakerOpenNotional': row?.openNotionalE18 ?? '0',
          'AccountBalance.getTotalPositionSize': UNKNOWN,
          'AccountBalance.getTotalOpenNotional': UNKNOWN,
          'AccountBalance.getTotalPositionValue': UNKNOWN,
          'AccountBalance.getBase': String(BigInt(row?.rawSizeE18 ?? 0) - baseDebt),
          'AccountBalance.getQuote': String(BigInt(row?.openNotionalE18 ?? 0) - quoteDebt),
          'AccountBalance.getAccountInfo.takerPositionSize': row?.rawSizeE18 ?? '0',
          'AccountBalance.getAccountInfo.takerOpenNotional': row?.openNotionalE18 ?? '0',
          'AccountBalance.getAccountInfo.lastTwPremiumGrowthGlobalX96': UNKNOWN,
          'Exchange.getPendingFundingPayment': UNKNOWN,
          'OrderBook.getOpenOrderIds': ranges.map(orderId).toSorted().join(','),
          'OrderBook.getTotalOrderDebt base': String(baseDebt),
          'OrderBook.getTotalOrderDebt quote': String(quoteDebt),
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee base.tokenAmount': UNKNOWN,
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee base.pendingFee': UNKNOWN,
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee quote.tokenAmount': UNKNOWN,
          'OrderBook.getTotalTokenAmountInPoolAndPendingFee quote.pendingFee': UNKNOWN,
        }
      }
      const ofAccountToken = (subject: AccountToken): Fields<'accountToken'> => ({
        'Vault.getBalanceByToken': (subject.token === deployment.settlementToken.address ? accountOf.get(subject.account)?.settlementBalance : balanceOf.get(keyOf.accountToken(subject))) ?? '0',
        'Vault.getFreeCollateralByToken': UNKNOWN,
        'Vault.getMaxRepaidSettlementAndLiquidatableCollateral.maxRepaidSettlement': UNKNOWN,
        'Vault.getMaxRepaidSettlementAndLiquidatableCollateral.maxLiquidatableCollateral': UNKNOWN,
      })
      const ofRange = (subject: Range): Fields<'range'> => {
        const row = rangeOf.get(keyOf.range(subject))
        return {
          'OrderBook.getPendingFee': UNKNOWN,
          'OrderBook.getOpenOrder.liquidity': row?.liquidity ?? '0',
          'OrderBook.getOpenOrder.lowerTick': String(row?.lowerTick ?? 0),
          'OrderBook.getOpenOrder.upperTick': String(row?.upperTick ?? 0),
          'OrderBook.getOpenOrder.lastFeeGrowthInsideX128': UNKNOWN,
          'OrderBook.getOpenOrder.lastTwPremiumGrowthInsideX96': UNKNOWN,
          'OrderBook.getOpenOrder.lastTwPremiumGrowthBelowX96': UNKNOWN,
          'OrderBook.getOpenOrder.lastTwPremiumDivBySqrtPriceGrowthInsideX96': UNKNOWN,
          'OrderBook.getOpenOrder.baseDebt': row?.baseDebtE18 ?? '0',
          'OrderBook.getOpenOrder.quoteDebt': row?.quoteDebtE18 ?? '0',
        }
      }
      const ofMarket = (subject: Market): Fields<'market'> => {
        const row = marketOf.get(subject.market)
        return {
          'Pool.liquidity': UNKNOWN,
          'Pool.slot0.sqrtPriceX96': row?.sqrtPriceX96 ?? UNKNOWN,
          'Pool.slot0.tick': UNKNOWN,
          'Pool.slot0.observationIndex': UNKNOWN,
          'Pool.slot0.observationCardinality': UNKNOWN,
          'Pool.slot0.observationCardinalityNext': UNKNOWN,
          'BaseToken.getIndexPrice 0': UNKNOWN,
          'BaseToken.getIndexPrice funding': UNKNOWN,
          'BaseToken.getIndexPrice premium': UNKNOWN,
          'BaseToken.getIndexPrice vault': UNKNOWN,
          'BaseToken.getPausedIndexPrice': UNKNOWN,
          'BaseToken.getClosedPrice': UNKNOWN,
          'PriceFeedDispatcher.isToUseUniswapV3PriceFeed': UNKNOWN,
          'AccountBalance.getMarkPrice': UNKNOWN,
          'Exchange.getSqrtMarketTwapX96 funding': UNKNOWN,
          'Exchange.getSqrtMarketTwapX96 markPrice': UNKNOWN,
          'Exchange.getSqrtMarketTwapX96 premium': UNKNOWN,
          'Exchange.isOverPriceSpread': UNKNOWN,
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
      for (const { token } of deployment.collaterals) put('collateral', { token }, { 'CollateralManager.getPrice': UNKNOWN })
      put('protocol', {}, { 'InsuranceFund.getInsuranceFundCapacity': UNKNOWN })
      for (const { name, subject } of catalog.refs(deployment)) {
        const row = parameters.find((p) => p.name === name && p.subject === subject)
        ;(values[`parameter ${name}`] ??= {})[subject] = row?.value ?? UNKNOWN
      }
      return values
    },
    close: () => client.end(),
  }
}

/** Source: OpenOrder.calcOrderKey. */
const orderId = ({ account, market, lowerTick, upperTick }: Range): string => keccak256(encodePacked(['address', 'address', 'int24', 'int24'], [account, market, lowerTick, upperTick]))
