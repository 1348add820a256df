/**
 * What Curie's getters answer at a block, worked out from the reducer's rows, the index's states and the block's time, with
 * the contracts' own formulas and roundings (v2.6.0). Pure: no chain, no clock.
 *
 * Every figure is an Answer: a value; `reverted` with the contract's reason where the getter would revert; `unknown` with ours
 * where something it depends on is not indexed. Nothing stands for an unknown.
 *
 * @example
 * const now = valuation({ rows, states, timestampSec, settlementDecimals: 6 })
 * now.markPrice(vETH)          // { value: 3204511230000000000000n }, { reverted: 'OLD' }, { unknown: '…' }
 * valueOf(now.health(account)) // AccountHealth | null
 */
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { min } from '../../core/units.ts'
import type { Address, Deployment, Health, IndexStates, MarginBook, MarketDepth, Margins, ReplayRow } from '../adapter.ts'
import { accountHealth, collateralForSettlement, formatSettlement, fundingGrowth, liquidityCoefficient, markPrice, maxCollateralLiquidation, maxRepaidSettlement, pendingFunding, type AccountFacts, type AccountHealth, type CollateralPricing, type FundingGrowth, type MarginParams, type PositionFacts } from './margin.ts'
import { feeGrowthInsideX128, fundingGrowthOfRange, NO_GROWTH, pendingFee, type RangeEnds } from './order-book.ts'
import { FEED_OBSERVATIONS, SHORTEST_TWAP_SEC } from './reducer.ts'
import { keys, Rows, type RowOf } from './replay-rows.ts'
import { amountsOfRange, baseInRange, priceOfSqrtX96, quoteDelta, sqrtRatioAtTickX96, sqrtTwapX96 } from './uniswap-v3.ts'

/** Interval over which the vault averages collateral prices (Vault._COLLATERAL_TWAP_INTERVAL). */
const COLLATERAL_TWAP_SEC = 900
/** Interval over which a fallback source averages its pool (UniswapV3PriceFeed._TWAP_INTERVAL). */
const FALLBACK_TWAP_SEC = 1_800
const DUST_E18 = 10n
const RATIO_ONE = 1_000_000n

// ─── Answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a getter answers. `reverted`: its reason, as the contract gives it. `unknown`: why it cannot be worked out from the index. */
export type Answer<T> = { readonly value: T } | { readonly reverted: string } | { readonly unknown: string }

/** The value; null where it reverted or is unknown. */
export const valueOf = <T>(answer: Answer<T>): T | null => ('value' in answer ? answer.value : null)

/** Why there is no value, in words; null where there is one. */
export const reasonOf = (answer: Answer<unknown>): string | null => ('value' in answer ? null : 'reverted' in answer ? `the contract reverts (${answer.reverted})` : answer.unknown)

class Reverted extends BulwarkError {
  readonly reason: string

  constructor(reason: string) {
    super(`The getter reverts with ${reason}`, { code: 'REVERTED', facts: { reason } })
    this.reason = reason
  }
}

class Unknown extends BulwarkError {
  readonly reason: string

  constructor(reason: string) {
    super(`The answer is unknown: ${reason}`, { code: 'UNKNOWN_ANSWER', facts: { reason } })
    this.reason = reason
  }
}

function answerOf<T>(work: () => T): Answer<T> {
  try {
    return { value: work() }
  } catch (error) {
    if (error instanceof Reverted) return { reverted: error.reason }
    if (error instanceof Unknown) return { unknown: error.reason }
    throw error
  }
}

/** Inside another figure's work: the value, or what stands in its place goes on upwards. */
function take<T>(answer: Answer<T>): T {
  if ('value' in answer) return answer.value
  throw 'reverted' in answer ? new Reverted(answer.reverted) : new Unknown(answer.unknown)
}

/** Answers by key, each worked out once. */
class Memo<T> {
  readonly #known = new Map<string, Answer<T>>()
  get(key: string, work: () => T): Answer<T> {
    let answer = this.#known.get(key)
    if (answer === undefined) this.#known.set(key, (answer = answerOf(work)))
    return answer
  }
}

// ─── Input ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type { IndexStates } from '../adapter.ts'

export type ValuationInput = {
  /** Every row of the reducer (observations: at least those that the averages reach back to). */
  readonly rows: readonly ReplayRow[]
  readonly states: IndexStates
  /** Of the block, s. */
  readonly timestampSec: number
  readonly settlementDecimals: number
}

// ─── Output ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type PoolNow = { readonly sqrtPriceX96: bigint; readonly tick: number; readonly liquidity: bigint; readonly state: 'OPEN' | 'PAUSED' | 'CLOSED' }

export type Valuation = {
  /** Markets with a snapshot. */
  readonly markets: readonly Address[]
  /** Pool's slot0, liquidity, and BaseToken's status. */
  pool(market: string): Answer<PoolNow>
  /** Pool.observe: sum of tick · seconds as of so many seconds ago. */
  tickCumulative(market: string, secondsAgo: number): Answer<bigint>
  /** Exchange.getSqrtMarketTwapX96. */
  sqrtMarketTwapX96(market: string, intervalSec: number): Answer<bigint>
  /** BaseToken.getIndexPrice, E18. */
  indexPrice(market: string, intervalSec: number): Answer<bigint>
  /** AccountBalance.getMarkPrice, E18. */
  markPrice(market: string): Answer<bigint>
  /** What positions are valued at (AccountBalance._getReferencePrice), E18: the mark price, or the closed price. */
  referencePrice(market: string): Answer<bigint>
  /** Exchange's growth brought forward to now. */
  fundingGrowth(market: string): Answer<FundingGrowth>
  /** Exchange.getPendingFundingPayment, E18: + is owed by the account. */
  pendingFunding(account: string, market: string): Answer<bigint>
  /** Exchange.getAllPendingFundingPayment, E18. */
  allPendingFunding(account: string): Answer<bigint>
  /** OrderBook.getPendingFee, quote E18. */
  pendingFee(account: string, market: string, lowerTick: number, upperTick: number): Answer<bigint>
  /** Of all the account's ranges (third of AccountBalance.getPnlAndPendingFee), quote E18. */
  allPendingFees(account: string): Answer<bigint>
  /** CollateralManager.getPrice over the vault's 900 s, E18. */
  collateralPrice(token: string): Answer<bigint>
  /** The account as `accountHealth` takes it; every price that any of its figures asks for. */
  account(id: string): Answer<AccountFacts>
  params(account: string): Answer<MarginParams>
  /** All of the account's figures; where one getter would revert, they do, so that the getters below may still answer. */
  health(account: string): Answer<AccountHealth>
  /** Of an account without positions and ranges, whatever the states say. */
  unexposed(account: IndexStates['accounts'][number], balances: IndexStates['balances']): Answer<AccountHealth>
  /** Vault.getAccountValue, settlement decimals. */
  accountValue(account: string): Answer<bigint>
  /** Vault.getSettlementTokenValue, settlement decimals. With its wallet's balance, the insurance fund's capacity. */
  settlementTokenValue(account: string): Answer<bigint>
  /** Vault.getFreeCollateralByRatio, settlement decimals, signed. */
  freeCollateral(account: string, ratioE6: bigint): Answer<bigint>
  /** AccountBalance.getMarginRequirementForLiquidation, E18. */
  marginRequirement(account: string): Answer<bigint>
  /** AccountBalance.getTotalDebtValue, E18. */
  totalDebtValue(account: string): Answer<bigint>
  /** Vault.isLiquidatable: its collateral may be liquidated. */
  collateralLiquidatable(account: string): Answer<boolean>
  /** AccountBalance.getTotalPositionValue, E18, signed. */
  positionValue(account: string, market: string): Answer<bigint>
  /** Second of AccountBalance.getPnlAndPendingFee, E18, signed. */
  unrealizedPnl(account: string): Answer<bigint>
  /** AccountBalance.getTotalAbsPositionValue, E18. */
  totalAbsPositionValue(account: string): Answer<bigint>
  /** Vault.getMarginRequirementForCollateralLiquidation, E18. */
  collateralMarginRequirement(account: string): Answer<bigint>
  /** How a collateral is priced where it is liquidated: CollateralManager.getPrice over the vault's 900 s, in its feed's decimals. */
  collateralPricing(token: string): Answer<CollateralPricing>
  /** Vault.getFreeCollateralByToken: what the account may withdraw, in the token's decimals. token null: the settlement token. */
  freeCollateralByToken(account: string, token: string | null): Answer<bigint>
  /** Vault.getMaxRepaidSettlementAndLiquidatableCollateral: settlement decimals and token decimals. token null: the settlement token, which is no collateral. */
  maxCollateralLiquidation(account: string, token: string | null): Answer<{ readonly repaid: bigint; readonly collateral: bigint }>
  /** moveE6: 1e6 = 100 %, above 0 and below 1e6. Throws BadInputError otherwise. */
  depth(market: string, moveE6: bigint): Answer<MarketDepth>
}

export function valuation(input: ValuationInput): Valuation {
  return new CurieValuation(input)
}

// ─── Work ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type Range = IndexStates['ranges'][number]

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}

class CurieValuation implements Valuation {
  readonly markets: readonly Address[]
  readonly #rows: Rows
  readonly #now: number
  readonly #settlementDecimals: number
  readonly #accounts: ReadonlyMap<string, IndexStates['accounts'][number]>
  readonly #positions: ReadonlyMap<string, IndexStates['positions'][number]>
  readonly #positionsOf: ReadonlyMap<string, readonly IndexStates['positions'][number][]>
  readonly #rangesOf: ReadonlyMap<string, readonly Range[]>
  readonly #balancesOf: ReadonlyMap<string, readonly IndexStates['balances'][number][]>
  readonly #decimals: ReadonlyMap<string, number>
  readonly #parameters: ReadonlyMap<string, bigint>
  readonly #observationKeys: ReadonlyMap<string, readonly string[]>
  readonly #feedObservationKeys: ReadonlyMap<string, readonly string[]>
  readonly #tickKeys: ReadonlyMap<string, readonly string[]>
  readonly #observations = new Map<string, readonly RowOf<'observation'>[]>()
  readonly #feedObservations = new Map<string, readonly RowOf<'feedObservation'>[]>()
  readonly #growths = new Memo<FundingGrowth>()
  readonly #marks = new Memo<bigint>()
  readonly #indexes = new Memo<bigint>()
  readonly #collaterals = new Memo<bigint>()

  constructor({ rows, states, timestampSec, settlementDecimals }: ValuationInput) {
    this.#rows = new Rows(rows)
    this.#now = timestampSec
    this.#settlementDecimals = settlementDecimals
    this.markets = [...this.#rows.keysOf('market')] as Address[]
    this.#accounts = new Map(states.accounts.map((account) => [account.id, account]))
    this.#positions = new Map(states.positions.map((position) => [keys.position(position.accountId, position.marketId), position]))
    // A market is an account's as long as it has a balance or a range in it (AccountBalance._deregisterBaseToken).
    this.#positionsOf = grouped(states.positions.filter((position) => position.rawSizeE18 !== 0n || position.openNotionalE18 !== 0n), (position) => position.accountId)
    this.#rangesOf = grouped(states.ranges.filter((range) => range.liquidity !== 0n), (range) => range.accountId)
    this.#balancesOf = grouped(states.balances.filter((balance) => balance.amount !== 0n), (balance) => balance.accountId)
    this.#decimals = new Map(states.assets.map((asset) => [asset.id, asset.decimals]))
    this.#parameters = new Map(states.parameters.map(({ name, subject, value }) => [PROTOCOL_WIDE.has(name) ? name : `${name}:${subject}`, value]))
    const byOwner = (kind: 'tick' | 'observation' | 'feedObservation') => grouped([...this.#rows.keysOf(kind)], (key) => key.slice(0, key.indexOf(':')))
    this.#tickKeys = byOwner('tick')
    this.#observationKeys = byOwner('observation')
    this.#feedObservationKeys = byOwner('feedObservation')
  }

  #market(id: string): Readonly<RowOf<'market'>> {
    const market = this.#rows.get('market', id)
    if (market === undefined) throw new Unknown(`market ${id} has no snapshot of its pool`)
    if (market.contradiction !== null) throw new Unknown(`the replay of market ${id} stopped: ${market.contradiction}`)
    return market
  }

  #parameter(name: string, subject?: string): bigint {
    const value = this.#parameters.get(subject === undefined ? name : `${name}:${subject}`)
    if (value === undefined) throw new Unknown(`the parameter ${name} is not indexed`)
    return value
  }

  // ─── Pool ──────────────────────────────────────────────────────────────────────────────────────────────────────

  pool(market: string): Answer<PoolNow> {
    return answerOf(() => {
      const { sqrtPriceX96, tick, liquidity, state } = this.#market(market)
      return { sqrtPriceX96, tick, liquidity, state }
    })
  }

  #observationsOf(market: string): readonly RowOf<'observation'>[] {
    let list = this.#observations.get(market)
    if (list === undefined) {
      list = (this.#observationKeys.get(market) ?? []).flatMap((key) => this.#rows.get('observation', key) ?? []).sort((a, b) => a.timestampSec - b.timestampSec)
      this.#observations.set(market, list)
    }
    return list
  }

  /** Source: Oracle.observeSingle. */
  #tickCumulative(market: string, secondsAgo: number): bigint {
    const pool = this.#market(market)
    const target = this.#now - secondsAgo
    if (target >= pool.observationSec) return pool.observationTickCumulative + BigInt(pool.tick) * BigInt(target - pool.observationSec)
    const list = this.#observationsOf(market)
    const after = list.findIndex((observation) => observation.timestampSec > target)
    const [before, next] = [list[after - 1], list[after]]
    if (before === undefined || next === undefined) {
      if (pool.observationsComplete || list.length >= pool.observationCardinality) throw new Reverted('OLD')
      throw new Unknown(`observations of the pool from before ${list[0]?.timestampSec ?? pool.observationSec} s are not indexed`)
    }
    if (before.timestampSec === target) return before.tickCumulative
    return before.tickCumulative + ((next.tickCumulative - before.tickCumulative) / BigInt(next.timestampSec - before.timestampSec)) * BigInt(target - before.timestampSec)
  }

  tickCumulative(market: string, secondsAgo: number): Answer<bigint> {
    return answerOf(() => this.#tickCumulative(market, secondsAgo))
  }

  /** Source: UniswapV3Broker.getSqrtMarketTwapX96From. */
  #sqrtTwap(market: string, secondsAgo: number, intervalSec: number): bigint {
    if (intervalSec < SHORTEST_TWAP_SEC) return this.#market(market).sqrtPriceX96
    return sqrtTwapX96(this.#tickCumulative(market, secondsAgo + intervalSec), this.#tickCumulative(market, secondsAgo), intervalSec)
  }

  sqrtMarketTwapX96(market: string, intervalSec: number): Answer<bigint> {
    return answerOf(() => this.#sqrtTwap(market, 0, intervalSec))
  }

  depth(market: string, moveE6: bigint): Answer<MarketDepth> {
    if (moveE6 <= 0n || moveE6 >= RATIO_ONE) throw new BadInputError(`Found a price move of ${moveE6}, allowed is above 0 and below 1000000 (1e6 = 100 %); choose one in that range`, { moveE6 })
    return answerOf(() => {
      const pool = this.#market(market)
      const ticks = (this.#tickKeys.get(market) ?? [])
        .flatMap((key) => {
          const row = this.#rows.get('tick', key)
          return row === undefined || row.liquidityGross === 0n ? [] : [{ tick: Number(key.slice(key.indexOf(':') + 1)), net: row.liquidityNet }]
        })
        .sort((a, b) => a.tick - b.tick)
      const targetX96 = (ratioE6: bigint): bigint => squareRoot((pool.sqrtPriceX96 * pool.sqrtPriceX96 * ratioE6) / RATIO_ONE)
      const walk = (toX96: bigint, crossings: readonly { tick: number; net: bigint }[]): { baseE18: bigint; quoteE18: bigint } => {
        let [fromX96, liquidity, baseE18, quoteE18] = [pool.sqrtPriceX96, pool.liquidity, 0n, 0n]
        const go = (nextX96: bigint): void => {
          baseE18 += baseInRange(nextX96 < fromX96 ? nextX96 : fromX96, nextX96 < fromX96 ? fromX96 : nextX96, liquidity)
          quoteE18 += quoteDelta(fromX96, nextX96, liquidity, false)
          fromX96 = nextX96
        }
        for (const { tick, net } of crossings) {
          const tickX96 = sqrtRatioAtTickX96(tick)
          if (toX96 > pool.sqrtPriceX96 ? tickX96 >= toX96 : tickX96 <= toX96) break
          go(tickX96)
          liquidity += net
        }
        go(toX96)
        return { baseE18, quoteE18 }
      }
      return {
        up: walk(targetX96(RATIO_ONE + moveE6), ticks.filter(({ tick }) => tick > pool.tick)),
        down: walk(targetX96(RATIO_ONE - moveE6), ticks.filter(({ tick }) => tick <= pool.tick).toReversed().map(({ tick, net }) => ({ tick, net: -net }))),
      }
    })
  }

  // ─── Prices ────────────────────────────────────────────────────────────────────────────────────────────────────

  #feedObservationsOf(feed: string): readonly RowOf<'feedObservation'>[] {
    let list = this.#feedObservations.get(feed)
    if (list === undefined) {
      list = (this.#feedObservationKeys.get(feed) ?? []).flatMap((key) => this.#rows.get('feedObservation', key) ?? []).sort((a, b) => a.timestampSec - b.timestampSec)
      this.#feedObservations.set(feed, list)
    }
    return list
  }

  /** The feed behind what is asked, and its latest valid price in its own decimals. Source: PriceFeedDispatcher.getDispatchedPrice, ChainlinkPriceFeedV3._getLatestOrCachedPrice. */
  #latest(asked: string): { readonly id: Address; readonly feed: Readonly<RowOf<'feed'>>; readonly scale: bigint; readonly price: bigint; readonly sec: number; readonly isFallback: boolean } {
    const dispatcher = this.#rows.get('dispatcher', asked)
    const feed = dispatcher === undefined ? undefined : this.#rows.get('feed', dispatcher.feed)
    if (dispatcher === undefined || feed === undefined) throw new Unknown(`the price feed ${asked} is not one that announces its prices`)
    if (feed.contradiction !== null) throw new Unknown(`the replay of the price feed ${dispatcher.feed} stopped: ${feed.contradiction}`)
    if (feed.answerSource === null) throw new Unknown(`the oracle behind the price feed ${dispatcher.feed} is not indexed`)
    const scale = 10n ** BigInt(18 - feed.decimals)
    const { answer = null, roundId = null, answerSec = null } = this.#rows.get('oracle', feed.answerSource) ?? {}
    // The reasons of ChainlinkPriceFeedV3._getFreezedReason; what was cached already is what is answered.
    const isRefused = answer === null || roundId === null || answerSec === null || roundId === 0n || answerSec === 0 || answerSec < feed.priceSec || answerSec > this.#now || answer <= 0n
    const latest = isRefused || answerSec === feed.priceSec ? { price: feed.priceE18 / scale, sec: feed.priceSec } : { price: answer, sec: answerSec }

    return { id: dispatcher.feed, feed, scale, ...latest, isFallback: this.#fallsBack(dispatcher, feed, latest.sec) }
  }

  /** Source: PriceFeedDispatcher.isToUseUniswapV3PriceFeed, ChainlinkPriceFeedV3.isTimedOut. */
  #fallsBack(dispatcher: Readonly<RowOf<'dispatcher'>>, feed: Readonly<RowOf<'feed'>>, latestSec: number): boolean {
    if (dispatcher.fallback) return true
    if (dispatcher.fallbackSource === null) return false
    if (feed.timeoutSec === null) throw new Unknown(`the timeout of the price feed ${dispatcher.feed} is not known`)
    return latestSec > 0 && BigInt(latestSec) + feed.timeoutSec < BigInt(this.#now)
  }

  /** The average of the fallback's pool over 30 minutes, whatever interval is asked for. Source: UniswapV3PriceFeed.getPrice. */
  #fallbackPrice(asked: string): bigint {
    const pool = this.#rows.get('fallbackPool', asked)?.pool
    const market = this.markets.find((id) => this.#rows.get('market', id)?.pool === pool)
    if (market === undefined) throw new Unknown(`the price feed ${asked} has fallen back to the average of ${pool === undefined ? 'a pool' : `the pool ${pool}`} that is not indexed`)
    return priceOfSqrtX96(this.#sqrtTwap(market, 0, FALLBACK_TWAP_SEC))
  }

  /** Price that a feed answers, in E18. Source: ChainlinkPriceFeedV3.getPrice, CumulativeTwap._calculateTwap. */
  #feedPrice(asked: string, intervalSec: number): bigint {
    const { id, feed, scale, price, sec, isFallback } = this.#latest(asked)
    if (isFallback) return this.#fallbackPrice(asked)
    if (intervalSec === 0 || feed.observationSec === 0) return price * scale
    const newest = { timestampSec: feed.observationSec, price: feed.observationPriceE18 / scale, cumulative: feed.observationPriceCumulativeE18 / scale }
    if (newest.timestampSec === sec && newest.price !== price) throw new Reverted('CT_IPWCT')
    const cumulativeNow = newest.cumulative + newest.price * BigInt(sec - newest.timestampSec) + price * BigInt(this.#now - sec)

    const target = this.#now - intervalSec
    let cumulativeThen: bigint
    if (newest.timestampSec <= target) cumulativeThen = newest.cumulative + newest.price * BigInt(target - newest.timestampSec)
    else {
      const list = this.#feedObservationsOf(id)
      const after = list.findIndex((observation) => observation.timestampSec > target)
      const [before, next] = [list[after - 1], list[after]]
      if (before === undefined || next === undefined) {
        // The contract answers the latest price while its observations do not reach back far enough.
        if (feed.observationsComplete || list.length >= FEED_OBSERVATIONS) return price * scale
        throw new Unknown(`observations of the price feed ${id} from before ${list[0]?.timestampSec ?? feed.observationSec} s are not indexed`)
      }
      const grown = (next.priceCumulativeE18 - before.priceCumulativeE18) / scale
      cumulativeThen = before.priceCumulativeE18 / scale + (grown * BigInt(target - before.timestampSec)) / BigInt(next.timestampSec - before.timestampSec)
    }
    // Where the newest observation is old, its price is taken to have held beyond the oracle's newer, lower answer.
    if (cumulativeNow < cumulativeThen) throw new Reverted('SafeMath: subtraction overflow')
    const average = (cumulativeNow - cumulativeThen) / BigInt(intervalSec)
    return (average === 0n ? price : average) * scale
  }

  #indexPrice(id: string, intervalSec: number): bigint {
    const market = this.#market(id)
    if (market.state !== 'OPEN') {
      if (market.pausedIndexPriceE18 === null) throw new Unknown(`the price that market ${id} paused at is not indexed`)
      return market.pausedIndexPriceE18
    }
    const asked = this.#rows.get('marketParameters', id)?.priceFeed ?? null
    if (asked === null) throw new Unknown(`the price feed of market ${id} is not indexed`)
    const price = this.#feedPrice(asked, intervalSec)
    // Within one second the feed repeats the average that it cached when funding was settled.
    const isCached = intervalSec > 0 && market.fundingAtSec === this.#now && market.fundingIntervalSec === intervalSec && this.#parameters.get('markPricePremiumInterval') === BigInt(intervalSec)
    return isCached ? (market.fundingIndexTwapE18 ?? price) : price
  }

  indexPrice(market: string, intervalSec: number): Answer<bigint> {
    return this.#indexes.get(`${market}:${intervalSec}`, () => this.#indexPrice(market, intervalSec))
  }

  /** Source: AccountBalance._getMarkPrice. */
  markPrice(market: string): Answer<bigint> {
    return this.#marks.get(market, () => {
      const [marketTwapSec, premiumSec] = [Number(this.#parameter('markPriceMarketTwapInterval')), Number(this.#parameter('markPricePremiumInterval'))]
      if (marketTwapSec === 0 || premiumSec === 0 || this.#market(market).state !== 'OPEN') return take(this.indexPrice(market, Number(this.#parameter('twapInterval'))))
      const prices = {
        spotE18: priceOfSqrtX96(this.#market(market).sqrtPriceX96),
        marketTwapE18: priceOfSqrtX96(this.#sqrtTwap(market, 0, marketTwapSec)),
        premiumMarketTwapE18: priceOfSqrtX96(this.#sqrtTwap(market, 0, premiumSec)),
        premiumIndexTwapE18: take(this.indexPrice(market, premiumSec)),
        indexE18: take(this.indexPrice(market, 0)),
      }
      if (prices.indexE18 + prices.premiumMarketTwapE18 < prices.premiumIndexTwapE18) throw new Reverted('SafeCast: value must be positive')
      return markPrice(prices)
    })
  }

  #referencePrice(id: string): bigint {
    const market = this.#market(id)
    if (market.state !== 'CLOSED') return take(this.markPrice(id))
    if (market.closedPriceE18 === null) throw new Unknown(`the price that market ${id} closed at is not indexed`)
    return market.closedPriceE18
  }

  referencePrice(market: string): Answer<bigint> {
    return answerOf(() => this.#referencePrice(market))
  }

  collateralPrice(token: string): Answer<bigint> {
    return this.#collaterals.get(token, () => {
      const asked = this.#rows.get('collateral', token)?.priceFeed
      if (asked === undefined) throw new Unknown(`the price feed of collateral ${token} is not indexed`)
      return this.#feedPrice(asked, COLLATERAL_TWAP_SEC)
    })
  }

  // ─── Funding and fees ──────────────────────────────────────────────────────────────────────────────────────────

  /** Source: Exchange._getFundingGrowthGlobalAndTwaps. */
  fundingGrowth(id: string): Answer<FundingGrowth> {
    return this.#growths.get(id, () => {
      const market = this.#market(id)
      const untilSec = market.state === 'OPEN' ? this.#now : market.pausedAtSec
      if (untilSec === null) throw new Unknown(`when market ${id} paused is not indexed`)
      const intervalSec = market.firstTradedSec === 0 ? 0 : Math.min(Number(this.#parameter('twapInterval')), untilSec - market.firstTradedSec)
      // Both averages are asked before anything else, so that their reverts are the answer even where they are not needed.
      const sqrtMarketTwapX96 = this.#sqrtTwap(id, this.#now - untilSec, intervalSec)
      const indexTwapE18 = take(this.indexPrice(id, intervalSec))
      if (market.lastSettledSec === 0 || market.lastSettledSec === untilSec) return { twPremiumX96: market.twPremiumX96, twPremiumDivBySqrtPriceX96: market.twPremiumDivBySqrtPriceX96 }
      return fundingGrowth(market, { sqrtMarketTwapX96, indexTwapE18, maxFundingRateE6: this.#parameter('maxFundingRate'), elapsedSec: BigInt(untilSec - market.lastSettledSec), sqrtPriceX96: market.sqrtPriceX96 })
    })
  }

  #rangesIn(account: string, market: string): readonly Range[] {
    return (this.#rangesOf.get(account) ?? []).filter((range) => range.marketId === market)
  }

  #ends(market: string, lowerTick: number, upperTick: number): RangeEnds {
    return { lowerTick, upperTick, lower: this.#rows.get('tick', keys.tick(market, lowerTick)) ?? NO_GROWTH, upper: this.#rows.get('tick', keys.tick(market, upperTick)) ?? NO_GROWTH }
  }

  #pendingFunding(account: string, id: string): bigint {
    const growth = take(this.fundingGrowth(id))
    const market = this.#market(id)
    const ranges = this.#rangesIn(account, id)
    let liquidityCoefficientE18 = 0n
    let baseE18 = this.#positions.get(keys.position(account, id))?.rawSizeE18 ?? 0n
    for (const range of ranges) {
      baseE18 -= range.baseDebtE18
      const last = this.#range(account, id, range.lowerTick, range.upperTick)
      const now = fundingGrowthOfRange(this.#ends(id, range.lowerTick, range.upperTick), market.tick, growth)
      liquidityCoefficientE18 += liquidityCoefficient(range, now, { insideX96: last.lastTwPremiumInsideX96, belowX96: last.lastTwPremiumBelowX96, insideDivBySqrtPriceX96: last.lastTwPremiumDivBySqrtPriceInsideX96 })
    }
    const lastTwPremiumX96 = this.#rows.get('position', keys.position(account, id))?.lastTwPremiumX96 ?? 0n
    return pendingFunding({ baseE18, twPremiumX96: growth.twPremiumX96, lastTwPremiumX96, liquidityCoefficientE18 })
  }

  #range(account: string, market: string, lowerTick: number, upperTick: number): Readonly<RowOf<'range'>> {
    const range = this.#rows.get('range', keys.range(account, market, lowerTick, upperTick))
    if (range === undefined) throw new Unknown(`the range ${lowerTick} to ${upperTick} of ${account} in market ${market} has no row`)
    return range
  }

  pendingFunding(account: string, market: string): Answer<bigint> {
    return answerOf(() => this.#pendingFunding(account, market))
  }

  #marketsOf(account: string): readonly string[] {
    const ids = [...(this.#positionsOf.get(account) ?? []), ...(this.#rangesOf.get(account) ?? [])].map(({ marketId }) => marketId)
    return [...new Set(ids)]
  }

  allPendingFunding(account: string): Answer<bigint> {
    return answerOf(() => this.#marketsOf(account).reduce((sum, market) => sum + this.#pendingFunding(account, market), 0n))
  }

  pendingFee(account: string, market: string, lowerTick: number, upperTick: number): Answer<bigint> {
    return answerOf(() => {
      const row = this.#rows.get('range', keys.range(account, market, lowerTick, upperTick))
      if (row === undefined || row.liquidity === 0n) return 0n
      const { tick, feeGrowthGlobalX128 } = this.#market(market)
      return pendingFee(row.liquidity, feeGrowthInsideX128(this.#ends(market, lowerTick, upperTick), tick, feeGrowthGlobalX128), row.lastFeeGrowthInsideX128)
    })
  }

  allPendingFees(account: string): Answer<bigint> {
    return answerOf(() => (this.#rangesOf.get(account) ?? []).reduce((sum, range) => sum + take(this.pendingFee(account, range.marketId, range.lowerTick, range.upperTick)), 0n))
  }

  // ─── Accounts ──────────────────────────────────────────────────────────────────────────────────────────────────

  params(account: string): Answer<MarginParams> {
    return answerOf(() => ({
      settlementDecimals: this.#settlementDecimals,
      imRatioE6: this.#parameter('imRatio'),
      mmRatioE6: this.#parameter('mmRatio'),
      mmRatioBufferE6: this.#parameter('mmRatioBuffer'),
      debtNonSettlementTokenValueRatioE6: this.#parameter('debtNonSettlementTokenValueRatio'),
      // An account's own threshold of 0 means that it has none.
      debtThreshold: this.#parameters.get(`whitelistedDebtThreshold:${account}`) || this.#parameter('debtThreshold'),
    }))
  }

  /** The contracts ask for a price only where there is something to value: SIZE of a position, or base that is owed, for DEBT. */
  #positionFacts(account: string, id: string, valued: readonly Valued[]): PositionFacts {
    const market = this.#market(id)
    const held = this.#positions.get(keys.position(account, id))
    const [sizeE18, openNotionalE18] = [held?.rawSizeE18 ?? 0n, held?.openNotionalE18 ?? 0n]
    const ranges = this.#rangesIn(account, id)
    const baseE18 = ranges.reduce((sum, range) => sum - range.baseDebtE18, sizeE18)
    const totalE18 = ranges.reduce((sum, range) => sum + amountsOfRange(range, market.sqrtPriceX96).baseE18, baseE18)
    const isAsked = (valued.includes('SIZE') && (totalE18 >= DUST_E18 || totalE18 <= -DUST_E18)) || (valued.includes('DEBT') && baseE18 < 0n)
    return {
      market: id as Address,
      sizeE18,
      openNotionalE18,
      markPriceE18: isAsked ? this.#referencePrice(id) : (valueOf(this.referencePrice(id)) ?? 0n),
      indexPriceE18: valueOf(this.indexPrice(id, 0)),
      state: market.state,
      sqrtPriceX96: market.sqrtPriceX96,
      ranges,
    }
  }

  /** In the order of Vault._getTotalCollateralValueAndUnrealizedPnl: the first that reverts is the answer. */
  #facts(id: string, valued: readonly Valued[]): AccountFacts {
    const held = this.#accounts.get(id)
    const isWorth = valued.includes('BALANCE')
    const pendingFundingE18 = isWorth ? take(this.allPendingFunding(id)) : 0n
    return {
      settlementBalance: held?.settlementBalance ?? 0n,
      owedRealizedPnlE18: held?.owedRealizedPnlE18 ?? 0n,
      pendingFundingE18,
      positions: this.#marketsOf(id).map((market) => this.#positionFacts(id, market, valued)),
      pendingFeeE18: isWorth ? take(this.allPendingFees(id)) : 0n,
      collaterals: valued.includes('COLLATERAL') ? this.#collateralFacts(this.#balancesOf.get(id) ?? []) : [],
    }
  }

  #collateralFacts(balances: IndexStates['balances']): AccountFacts['collaterals'] {
    return balances.map(({ assetId, amount }) => {
      const decimals = this.#decimals.get(assetId)
      if (decimals === undefined) throw new Unknown(`the collateral ${assetId} is not indexed`)
      return { token: assetId as Address, amount, decimals, priceE18: take(this.collateralPrice(assetId)), collateralRatioE6: this.#parameter('collateralRatio', assetId) }
    })
  }

  unexposed({ id, settlementBalance, owedRealizedPnlE18 }: IndexStates['accounts'][number], balances: IndexStates['balances']): Answer<AccountHealth> {
    return answerOf(() => accountHealth({ settlementBalance, owedRealizedPnlE18, pendingFundingE18: 0n, pendingFeeE18: 0n, positions: [], collaterals: this.#collateralFacts(balances) }, take(this.params(id))))
  }

  #health(account: string, valued: readonly Valued[]): AccountHealth {
    return accountHealth(this.#facts(account, valued), take(this.params(account)))
  }

  account(id: string): Answer<AccountFacts> {
    return answerOf(() => this.#facts(id, ALL))
  }

  health(account: string): Answer<AccountHealth> {
    return answerOf(() => this.#health(account, ALL))
  }

  accountValue(account: string): Answer<bigint> {
    return answerOf(() => this.#health(account, ['BALANCE', 'SIZE', 'COLLATERAL']).accountValue)
  }

  settlementTokenValue(account: string): Answer<bigint> {
    return answerOf(() => formatSettlement(this.#health(account, ['BALANCE', 'SIZE']).settlementTokenValueE18, this.#settlementDecimals))
  }

  freeCollateral(account: string, ratioE6: bigint): Answer<bigint> {
    return answerOf(() => formatSettlement(accountHealth(this.#facts(account, ALL), { ...take(this.params(account)), imRatioE6: ratioE6 }).freeCollateralImE18, this.#settlementDecimals))
  }

  marginRequirement(account: string): Answer<bigint> {
    return answerOf(() => this.#health(account, ['SIZE']).marginRequirementE18)
  }

  unrealizedPnl(account: string): Answer<bigint> {
    return answerOf(() => this.#health(account, ['SIZE']).unrealizedPnlE18)
  }

  totalAbsPositionValue(account: string): Answer<bigint> {
    return answerOf(() => this.#health(account, ['SIZE']).totalAbsPositionValueE18)
  }

  collateralMarginRequirement(account: string): Answer<bigint> {
    return answerOf(() => this.#health(account, ['SIZE']).collateralMarginRequirementE18)
  }

  totalDebtValue(account: string): Answer<bigint> {
    return answerOf(() => this.#health(account, ['DEBT']).totalDebtValueE18)
  }

  collateralLiquidatable(account: string): Answer<boolean> {
    return answerOf(() => (this.#balancesOf.has(account) ? this.#health(account, ['BALANCE', 'SIZE', 'COLLATERAL']).collateralLiquidatable : false))
  }

  positionValue(account: string, market: string): Answer<bigint> {
    return answerOf(() => {
      const facts = { settlementBalance: 0n, owedRealizedPnlE18: 0n, pendingFundingE18: 0n, pendingFeeE18: 0n, positions: [this.#positionFacts(account, market, ['SIZE'])], collaterals: [] }
      return accountHealth(facts, take(this.params(account))).positions[0]?.positionValueE18 ?? 0n
    })
  }

  collateralPricing(token: string): Answer<CollateralPricing> {
    return answerOf(() => {
      const decimals = this.#decimals.get(token)
      if (decimals === undefined) throw new Unknown(`the collateral ${token} is not indexed`)
      const asked = this.#rows.get('collateral', token)?.priceFeed
      const priceE18 = take(this.collateralPrice(token))
      const feed = this.#rows.get('feed', asked ?? '')
      // A dispatcher answers in 18 decimals whatever its feed has (PriceFeedDispatcher._DECIMALS).
      const feedDecimals = feed === undefined ? 18 : feed.decimals
      return { decimals, price: priceE18 / 10n ** BigInt(18 - feedDecimals), feedDecimals, discountRatioE6: this.#parameter('discountRatio', token) }
    })
  }

  #balance(account: string, token: string): bigint {
    return this.#balancesOf.get(account)?.find(({ assetId }) => assetId === token)?.amount ?? 0n
  }

  freeCollateralByToken(account: string, token: string | null): Answer<bigint> {
    return answerOf(() => {
      if (this.#health(account, ['BALANCE', 'SIZE']).settlementTokenValueE18 < 0n) return 0n
      const { freeCollateralImE18: freeE18, settlementBalanceE18 } = this.#health(account, ALL)
      if (freeE18 <= 0n) return 0n
      if (token === null) return settlementBalanceE18 <= 0n ? 0n : formatSettlement(min(freeE18, settlementBalanceE18), this.#settlementDecimals)
      const ratioE6 = this.#parameter('collateralRatio', token)
      const pricing = { ...take(this.collateralPricing(token)), discountRatioE6: 0n }
      // A ratio of 0 divides by zero, and mulDiv refuses that in silence.
      if (ratioE6 === 0n) throw new Reverted('')
      return min((collateralForSettlement(freeE18, pricing) * RATIO_ONE) / ratioE6, this.#balance(account, token))
    })
  }

  maxCollateralLiquidation(account: string, token: string | null): Answer<{ readonly repaid: bigint; readonly collateral: bigint }> {
    return answerOf(() => {
      if (token === null || !this.#decimals.has(token)) throw new Reverted('V_TINAC')
      const { settlementTokenValueE18 } = this.#health(account, ['BALANCE', 'SIZE'])
      const { totalDebtValueE18 } = this.#health(account, ['DEBT'])
      const maxRepaidE18 = maxRepaidSettlement({ settlementTokenValueE18, totalDebtValueE18 }, {
        settlementDecimals: this.#settlementDecimals,
        imRatioE6: this.#parameter('imRatio'),
        liquidationRatioE6: this.#parameter('liquidationRatio'),
        clInsuranceFundFeeRatioE6: this.#parameter('clInsuranceFundFeeRatio'),
        collateralValueDust: this.#parameter('collateralValueDust'),
      })
      return maxCollateralLiquidation(this.#balance(account, token), maxRepaidE18, take(this.collateralPricing(token)), this.#settlementDecimals)
    })
  }
}

/** What a getter values of an account, and so may revert for. */
type Valued = 'BALANCE' | 'SIZE' | 'DEBT' | 'COLLATERAL'
const ALL: readonly Valued[] = ['BALANCE', 'SIZE', 'DEBT', 'COLLATERAL']

/** Parameters that are asked for by name alone, because the protocol has one value of them. */
const PROTOCOL_WIDE: ReadonlySet<string> = new Set([
  'imRatio', 'mmRatio', 'mmRatioBuffer', 'debtNonSettlementTokenValueRatio', 'debtThreshold', 'liquidationRatio', 'clInsuranceFundFeeRatio', 'collateralValueDust', 'twapInterval', 'maxFundingRate', 'markPriceMarketTwapInterval', 'markPricePremiumInterval',
])

/** Largest integer whose square is at most `value`. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value
  let guess = 1n << BigInt((value.toString(2).length + 1) >> 1)
  for (;;) {
    const next = (guess + value / guess) >> 1n
    if (next >= guess) return guess
    guess = next
  }
}

// ─── The book ──────────────────────────────────────────────────────────────────────────────────────────────────────

const AVERAGES = ['twapInterval', 'markPriceMarketTwapInterval', 'markPricePremiumInterval']

/** Margins of all accounts, as the rest of Bulwark asks for them. */
export const margins: Margins = {
  accountKinds: ['range', 'position'],
  series: { kinds: ['observation', 'feedObservation'], field: 'timestampSec' },

  /** The longest average that is asked for, before now or before the first pause. */
  sinceSec(rows, states, timestampSec) {
    const intervals = states.parameters.flatMap(({ name, value }) => (AVERAGES.includes(name) ? [Number(value)] : []))
    const replayed = new Rows(rows)
    const pausedAt = [...replayed.keysOf('market')].flatMap((market) => replayed.get('market', market)?.pausedAtSec ?? [])
    return Math.min(timestampSec, ...pausedAt) - Math.max(COLLATERAL_TWAP_SEC, FALLBACK_TWAP_SEC, ...intervals)
  },

  book({ deployment, rows, states, timestampSec }) {
    const now = valuation({ rows, states, timestampSec, settlementDecimals: deployment.settlementToken.decimals })
    return bookOf(now, deployment, states)
  },
}

function bookOf(now: Valuation, deployment: Deployment, states: IndexStates): MarginBook {
  const symbols = new Map(deployment.markets.map((market) => [market.baseToken.toLowerCase(), market.symbol]))
  const collaterals = new Map(deployment.collaterals.map((collateral) => [collateral.token.toLowerCase(), collateral.symbol]))
  const markPricesE18 = new Map<string, bigint>()
  const gaps: string[] = []
  for (const market of new Set([...now.markets, ...states.positions.map(({ marketId }) => marketId), ...states.ranges.map(({ marketId }) => marketId)])) {
    const price = now.referencePrice(market)
    if ('value' in price) markPricesE18.set(market, price.value)
    else gaps.push(`${symbols.get(market) ?? market} has no mark price: ${reasonOf(price) ?? ''}`)
  }
  for (const { id } of states.assets) {
    const price = now.collateralPrice(id)
    if (!('value' in price)) gaps.push(`${collaterals.get(id) ?? id} has no price: ${reasonOf(price) ?? ''}`)
  }
  const withInitial = (answer: Answer<AccountHealth>, account: string): Health | null => {
    const [health, params] = [valueOf(answer), valueOf(now.params(account))]
    // Vault._getFreeCollateralByRatio takes off total debt value · ratio.
    return health === null || params === null ? null : { ...health, initialMarginE18: (health.totalDebtValueE18 * params.imRatioE6) / RATIO_ONE }
  }
  return {
    gaps,
    markPricesE18,
    health: (account) => withInitial(now.health(account), account),
    depth: (market, moveE6) => valueOf(now.depth(market, moveE6)),
    unexposed: (account, balances) => withInitial(now.unexposed(account, balances), account.id),
  }
}
