/**
 * From ordered facts to what Curie's contracts (v2.6.0) hold and no event says: fee and funding growth per tick and range,
 * the pools' and feeds' observations, liquidity by tick. Exact to the last bit of each growth.
 *
 * How: a pool's Swap names the price before and after, so that OrderBook's replay of it follows through the pool's ticks;
 * FundingUpdated names both averages, and the market's is the price of a whole tick, which gives it back without rounding;
 * whatever settles an account's funding names the account and the market.
 *
 * Checked on the way: the taker's fee of every swap, the maker's fee of every liquidity change,
 * liquidity and tick after a swap, and that a funding update's market average is a price that the pool can answer.
 * Where that fails, facts are missing or the contracts were of another release then: the row of that market or feed keeps the
 * sentence in `contradiction`, takes no further facts, and the valuation answers "unknown" with it. The others go on.
 *
 * What no event says, and what it costs:
 * - Funding that is settled (withdrawal, settleAllFunding) and comes to exactly 0: the remainder below 1 wei that the
 *   contract forgets each time is kept here. Below 1 wei of pending funding per such call, account and market.
 * - An average that the feed cached earlier in the same second, before its oracle answered with an older time: the getter
 *   repeats the cached one until the second is over. (new price − old price) · (now − oracle's time) / interval.
 * - Swaps of a pool while its liquidity in range is 0 may be made by anyone; they move the price and nothing else.
 * - Observations from before a snapshot: `observationsComplete` is false then, and the valuation answers "unknown".
 * A market without PoolSnapshot and a feed without FeedSnapshot are passed over: they have no rows.
 */
import { BulwarkError, InvariantError, type ErrorFacts } from '../../core/errors.ts'
import { mulDiv } from '../../core/units.ts'
import type { Address, Fact, Reducer, ReplayNeed, ReplayRow } from '../adapter.ts'
import { fundingGrowth } from './margin.ts'
import { crossed, feeGrowthInsideX128, fundingGrowthOfRange, NO_GROWTH, pendingFee, replaySwap, type RangeEnds, type Replayed } from './order-book.ts'
import { keys, Rows, type Kind, type RowOf } from './replay-rows.ts'
import { lowerBound, priceOfSqrtX96, sqrtRatioAtTickX96, tickOfPrice } from './uniswap-v3.ts'

const RATIO_ONE = 1_000_000n
/** Market averages over less than this are the spot price (UniswapV3Broker.getSqrtMarketTwapX96From). */
export const SHORTEST_TWAP_SEC = 10
/** WiringChange.role of the source that a dispatcher falls back to, and of the pool that this source averages. */
const FALLBACK_ROLE = 'fallbackSource'
const FALLBACK_POOL_ROLE = 'fallbackPool'
/** CumulativeTwap.MAX_OBSERVATION. */
export const FEED_OBSERVATIONS = 1800

// ─── Reading facts ─────────────────────────────────────────────────────────────────────────────────────────────────

type Field = Fact[string]
const text = (fact: Fact, field: string): string => {
  const value: Field | undefined = fact[field]
  if (typeof value !== 'string') throw new InvariantError(`Found ${String(value)} as ${field} of ${fact.entity} ${fact.id}, allowed is text; compare the index's schema with the reducer`, { entity: fact.entity, id: fact.id, field })
  return value
}
const address = (fact: Fact, field: string): Address => text(fact, field) as Address
const addressOrNull = (fact: Fact, field: string): Address | null => (fact[field] === null || fact[field] === undefined ? null : address(fact, field))
const int = (fact: Fact, field: string): bigint => BigInt(text(fact, field))
const intOrNull = (fact: Fact, field: string): bigint | null => (fact[field] === null || fact[field] === undefined ? null : int(fact, field))
const num = (fact: Fact, field: string): number => {
  const value: Field | undefined = fact[field]
  if (typeof value !== 'number') throw new InvariantError(`Found ${String(value)} as ${field} of ${fact.entity} ${fact.id}, allowed is a number; compare the index's schema with the reducer`, { entity: fact.entity, id: fact.id, field })
  return value
}
const secOf = (fact: Fact): number => Number(fact.timestamp)
const addressOf = (value: bigint): Address => `0x${value.toString(16).padStart(40, '0')}`

// ─── Which rows ────────────────────────────────────────────────────────────────────────────────────────────────────

type Need = (fact: Fact, ask: (kind: Kind, prefix: string) => void) => void

const marketAlone: Need = (fact, ask) => ask('market', text(fact, 'marketId'))
const marketAndTicks: Need = (fact, ask) => {
  ask('market', text(fact, 'marketId'))
  ask('tick', `${text(fact, 'marketId')}:`)
}
const accountInMarket: Need = (fact, ask) => {
  marketAndTicks(fact, ask)
  ask('range', `${text(fact, 'accountId')}:${text(fact, 'marketId')}:`)
  ask('position', keys.position(text(fact, 'accountId'), text(fact, 'marketId')))
}

const NEEDS: Readonly<Record<string, Need>> = {
  PoolSnapshot: marketAlone,
  PoolObservationsIncrease: marketAlone,
  MarketStatusChange: marketAlone,
  PoolLiquidityChange: marketAndTicks,
  PoolSwap: (fact, ask) => {
    marketAndTicks(fact, ask)
    ask('marketParameters', text(fact, 'marketId'))
  },
  FundingUpdate: (fact, ask) => {
    marketAlone(fact, ask)
    ask('protocol', keys.protocol)
  },
  PositionChange: accountInMarket,
  LiquidityChange: accountInMarket,
  FundingPayment: accountInMarket,
  ParameterChange: (fact, ask) => {
    if (text(fact, 'scope') === 'PROTOCOL') ask('protocol', keys.protocol)
    if (text(fact, 'scope') === 'MARKET') ask('marketParameters', text(fact, 'subject'))
    if (text(fact, 'scope') === 'COLLATERAL') ask('collateral', text(fact, 'subject'))
  },
  FeedSnapshot: (fact, ask) => {
    ask('feed', text(fact, 'feedId'))
    ask('dispatcher', text(fact, 'dispatcher'))
  },
  PriceUpdate: (fact, ask) => ask('feed', text(fact, 'feedId')),
  OracleAnswer: (fact, ask) => ask('oracle', text(fact, 'aggregator')),
  OracleSourceChange: (fact, ask) => ask('dispatcher', text(fact, 'dispatcher')),
  WiringChange: (fact, ask) => {
    if (text(fact, 'role') === FALLBACK_ROLE) ask('dispatcher', text(fact, 'contractId'))
    if (text(fact, 'role') === FALLBACK_POOL_ROLE) ask('fallbackPool', text(fact, 'contractId'))
  },
}

// ─── One reduction ─────────────────────────────────────────────────────────────────────────────────────────────────

class Reduction {
  readonly #rows: Rows
  /** Initialized ticks by market, ascending. */
  readonly #initialized = new Map<string, number[]>()
  /** Keys of range rows by account and market. */
  readonly #ranges = new Map<string, Set<string>>()

  constructor(rows: readonly ReplayRow[]) {
    this.#rows = new Rows(rows)
    for (const key of this.#rows.keysOf('tick')) {
      if ((this.#rows.get('tick', key)?.liquidityGross ?? 0n) === 0n) continue
      const [market = '', tick = ''] = key.split(':')
      const list = this.#initialized.get(market)
      if (list === undefined) this.#initialized.set(market, [Number(tick)])
      else list.push(Number(tick))
    }
    for (const list of this.#initialized.values()) list.sort((a, b) => a - b)
    for (const key of this.#rows.keysOf('range')) this.#rangesOf(key.split(':').slice(0, 2).join(':')).add(key)
  }

  changes(): readonly ReplayRow[] {
    return this.#rows.changes()
  }

  apply(facts: readonly Fact[]): void {
    for (const [index, fact] of facts.entries()) {
      const about = this.#subject(fact)
      if (about?.contradiction != null && fact.entity !== 'MarketStatusChange') continue
      try {
        this.#take(fact, facts, index)
      } catch (error) {
        if (!(error instanceof Contradiction) || about === undefined) throw error
        about.contradiction = error.message
      }
    }
  }

  /** The market or feed that a fact is about, where its rows are kept. */
  #subject(fact: Fact): RowOf<'market'> | RowOf<'feed'> | undefined {
    if (typeof fact['marketId'] === 'string' && fact.entity !== 'PoolSnapshot') return this.#rows.edit('market', fact['marketId'])
    return fact.entity === 'PriceUpdate' ? this.#rows.edit('feed', text(fact, 'feedId')) : undefined
  }

  #take(fact: Fact, facts: readonly Fact[], index: number): void {
    switch (fact.entity) {
      case 'PoolSnapshot':
        return this.#startMarket(fact)
      case 'PoolSwap':
        return this.#swap(fact, traderOf(facts, index))
      case 'PoolLiquidityChange':
        return this.#changePoolLiquidity(fact)
      case 'PoolObservationsIncrease':
        return this.#growObservations(fact)
      case 'FundingUpdate':
        return this.#updateFunding(fact)
      case 'PositionChange':
      case 'FundingPayment':
        return this.#settle(text(fact, 'accountId'), text(fact, 'marketId'))
      case 'LiquidityChange':
        return this.#changeLiquidity(fact)
      case 'MarketStatusChange':
        return this.#changeStatus(fact)
      case 'ParameterChange':
        return this.#changeParameter(fact)
      case 'FeedSnapshot':
        return this.#startFeed(fact)
      case 'PriceUpdate':
        return this.#updatePrice(fact)
      case 'OracleAnswer':
        this.#rows.put('oracle', text(fact, 'aggregator'), { answer: int(fact, 'answer'), roundId: int(fact, 'roundId'), answerSec: Number(int(fact, 'answerTimestamp')) })
        return undefined
      case 'OracleSourceChange': {
        const dispatcher = this.#rows.edit('dispatcher', text(fact, 'dispatcher'))
        if (dispatcher !== undefined) dispatcher.fallback = fact['fallback'] === true
        return undefined
      }
      case 'WiringChange': {
        if (text(fact, 'role') === FALLBACK_POOL_ROLE) this.#rows.put('fallbackPool', text(fact, 'contractId'), { pool: address(fact, 'newAddress') })
        const dispatcher = text(fact, 'role') === FALLBACK_ROLE ? this.#rows.edit('dispatcher', text(fact, 'contractId')) : undefined
        if (dispatcher !== undefined) dispatcher.fallbackSource = address(fact, 'newAddress')
        return undefined
      }
      default:
        return undefined
    }
  }

  // ─── Markets ───────────────────────────────────────────────────────────────────────────────────────────────────

  #startMarket(fact: Fact): void {
    const market = text(fact, 'marketId')
    const index = num(fact, 'observationIndex')
    const observation = { timestampSec: Number(int(fact, 'observationTimestamp')), tickCumulative: int(fact, 'observationTickCumulative') }
    this.#rows.put('observation', keys.observation(market, index), observation)
    this.#rows.put('market', market, {
      pool: address(fact, 'pool'),
      poolFeeE6: BigInt(num(fact, 'feeE6')),
      tickSpacing: num(fact, 'tickSpacing'),
      snapshotBlock: BigInt(fact.blockNumber),
      sqrtPriceX96: int(fact, 'sqrtPriceX96'),
      tick: num(fact, 'tick'),
      liquidity: int(fact, 'liquidity'),
      observationIndex: index,
      observationCardinality: num(fact, 'observationCardinality'),
      observationCardinalityNext: num(fact, 'observationCardinalityNext'),
      observationSec: observation.timestampSec,
      observationTickCumulative: observation.tickCumulative,
      observationsComplete: index === 0,
      feeGrowthGlobalX128: 0n,
      twPremiumX96: 0n,
      twPremiumDivBySqrtPriceX96: 0n,
      lastSettledSec: 0,
      firstTradedSec: 0,
      fundingAtSec: null,
      fundingIntervalSec: null,
      fundingIndexTwapE18: null,
      state: 'OPEN',
      pausedAtSec: null,
      pausedIndexPriceE18: null,
      closedPriceE18: null,
      contradiction: null,
    })
  }

  /** The market, for a fact about its pool that its snapshot does not hold already. */
  #pool(fact: Fact): RowOf<'market'> | undefined {
    const market = this.#rows.edit('market', text(fact, 'marketId'))
    return market !== undefined && BigInt(fact.blockNumber) > market.snapshotBlock ? market : undefined
  }

  /** Source: Oracle.write. `market` still has the tick from before. */
  #observe(key: string, market: RowOf<'market'>, sec: number): void {
    if (market.observationSec === sec) return
    if (market.observationCardinalityNext > market.observationCardinality && market.observationIndex === market.observationCardinality - 1) market.observationCardinality = market.observationCardinalityNext
    market.observationIndex = (market.observationIndex + 1) % market.observationCardinality
    market.observationTickCumulative += BigInt(market.tick) * BigInt(sec - market.observationSec)
    market.observationSec = sec
    this.#rows.put('observation', keys.observation(key, market.observationIndex), { timestampSec: sec, tickCumulative: market.observationTickCumulative })
  }

  #growObservations(fact: Fact): void {
    const market = this.#pool(fact)
    if (market !== undefined) market.observationCardinalityNext = num(fact, 'newCardinalityNext')
  }

  /** `trade`: the PositionChange that the swap was made for; null where anyone moved a pool without liquidity. */
  #swap(fact: Fact, trade: Fact | null): void {
    const market = this.#pool(fact)
    if (market === undefined) return
    const key = text(fact, 'marketId')
    if (trade !== null) {
      this.#settle(text(trade, 'accountId'), key)
      const replayed = this.#replay(fact, trade, key, market)
      for (const { tick, feeGrowthGlobalX128 } of replayed.crossings) {
        const row = this.#rows.edit('tick', keys.tick(key, tick))
        if (row !== undefined) Object.assign(row, crossed(row, { ...market, feeX128: feeGrowthGlobalX128 }))
      }
      market.feeGrowthGlobalX128 = replayed.feeGrowthGlobalX128
      if (market.firstTradedSec === 0) market.firstTradedSec = secOf(fact)
    } else if (int(fact, 'baseDeltaE18') !== 0n || int(fact, 'quoteDeltaE18') !== 0n) throw contradiction(fact, 'a swap of tokens that no PositionChange of its transaction ends', 'one that does')
    const tick = num(fact, 'tick')
    if (tick !== market.tick) this.#observe(key, market, secOf(fact))
    market.tick = tick
    market.sqrtPriceX96 = int(fact, 'sqrtPriceX96')
    market.liquidity = int(fact, 'liquidity')
  }

  #replay(fact: Fact, trade: Fact, key: string, market: RowOf<'market'>): Replayed {
    const parameters = this.#rows.get('marketParameters', key)
    const { feeRatioE6 = null, insuranceFundFeeRatioE6 = null } = parameters ?? {}
    if (feeRatioE6 === null || insuranceFundFeeRatioE6 === null) throw contradiction(fact, 'a swap in a market whose fee ratios are unknown', 'a ParameterChange of feeRatio and insuranceFundFeeRatio before it')
    const context = {
      ...market,
      initialized: this.#initialized.get(key) ?? [],
      liquidityNet: (tick: number) => this.#rows.get('tick', keys.tick(key, tick))?.liquidityNet ?? 0n,
      feeRatioE6,
      insuranceFundFeeRatioE6,
    }
    const toX96 = int(fact, 'sqrtPriceX96')
    const quoteE18 = int(fact, 'quoteDeltaE18')
    const feeE18 = int(trade, 'feeE18')
    const agrees = (replayed: Replayed): boolean => replayed.feeE18 === feeE18 && replayed.liquidity === int(fact, 'liquidity')

    if (quoteE18 > 0n) {
      // A buyer who gave an exact input, all of which was used: the pool was given it with its own fee in place of the exchange's.
      const quoteInE18 = feeE18 - int(trade, 'notionalDeltaE18')
      if (mulDiv(quoteInE18, RATIO_ONE - feeRatioE6, RATIO_ONE - market.poolFeeE6, 'ceil') === quoteE18) {
        const replayed = replaySwap(context, { quoteInE18 })
        if (agrees(replayed)) return replayed
      }
    }
    const replayed = replaySwap(context, { toX96, quoteOutE18: quoteE18 < 0n ? -quoteE18 : 0n })
    if (agrees(replayed)) return replayed
    throw contradiction(fact, `a replayed fee of ${replayed.feeE18} and liquidity ${replayed.liquidity}`, `the events' fee of ${feeE18} and liquidity ${int(fact, 'liquidity')}`)
  }

  #changePoolLiquidity(fact: Fact): void {
    const market = this.#pool(fact)
    if (market === undefined) return
    const key = text(fact, 'marketId')
    const delta = int(fact, 'liquidityDelta')
    const [lower, upper] = [num(fact, 'lowerTick'), num(fact, 'upperTick')]
    this.#changeTick(key, market, lower, delta, delta)
    this.#changeTick(key, market, upper, delta, -delta)
    if (market.tick >= lower && market.tick < upper) {
      this.#observe(key, market, secOf(fact))
      market.liquidity += delta
    }
  }

  /**
   * The pool's tick, and OrderBook's where it becomes initialized: growth until then counts as below it (Tick.initialize).
   * OrderBook forgets a tick only after it has settled the range, which LiquidityChange tells.
   */
  #changeTick(key: string, market: RowOf<'market'>, tick: number, gross: bigint, net: bigint): void {
    const id = keys.tick(key, tick)
    const row = this.#rows.edit('tick', id) ?? this.#rows.put('tick', id, { liquidityGross: 0n, liquidityNet: 0n, ...NO_GROWTH })
    const wasInitialized = row.liquidityGross !== 0n
    row.liquidityGross += gross
    row.liquidityNet += net
    if (row.liquidityGross < 0n) throw new Contradiction(`liquidity ${row.liquidityGross} at tick ${tick} of market ${key}`, '0 or more', { market: key, tick })
    const isInitialized = row.liquidityGross !== 0n
    if (wasInitialized === isInitialized) return
    if (isInitialized && tick <= market.tick) Object.assign(row, growthOf(market))
    let list = this.#initialized.get(key)
    if (list === undefined) this.#initialized.set(key, (list = []))
    list.splice(lowerBound(list, tick), isInitialized ? 0 : 1, ...(isInitialized ? [tick] : []))
  }

  /** Source: Exchange.settleFunding and _getFundingGrowthGlobalAndTwaps. */
  #updateFunding(fact: Fact): void {
    const market = this.#rows.edit('market', text(fact, 'marketId'))
    if (market === undefined) return
    const { twapIntervalSec = null, maxFundingRateE6 = null } = this.#rows.get('protocol', keys.protocol) ?? {}
    if (twapIntervalSec === null || maxFundingRateE6 === null) throw contradiction(fact, 'a funding update while the funding parameters are unknown', 'a ParameterChange of twapInterval and maxFundingRate before it')
    const settledSec = market.state === 'OPEN' ? secOf(fact) : (market.pausedAtSec ?? secOf(fact))
    const intervalSec = market.firstTradedSec === 0 ? 0 : Math.min(twapIntervalSec, settledSec - market.firstTradedSec)
    const indexTwapE18 = int(fact, 'indexTwapE18')
    const sqrtMarketTwapX96 = sqrtMarketTwap(fact, market, intervalSec)
    if (market.lastSettledSec !== 0) {
      const grown = fundingGrowth(market, { sqrtMarketTwapX96, indexTwapE18, maxFundingRateE6, elapsedSec: BigInt(settledSec - market.lastSettledSec), sqrtPriceX96: market.sqrtPriceX96 })
      market.twPremiumX96 = grown.twPremiumX96
      market.twPremiumDivBySqrtPriceX96 = grown.twPremiumDivBySqrtPriceX96
    }
    market.lastSettledSec = settledSec
    market.fundingAtSec = secOf(fact)
    market.fundingIntervalSec = intervalSec
    market.fundingIndexTwapE18 = indexTwapE18
  }

  #changeStatus(fact: Fact): void {
    const market = this.#rows.edit('market', text(fact, 'marketId'))
    if (market === undefined) return
    market.state = text(fact, 'newState') as RowOf<'market'>['state']
    if (market.state === 'PAUSED') {
      market.pausedAtSec = secOf(fact)
      market.pausedIndexPriceE18 = intOrNull(fact, 'priceE18')
    }
    if (market.state === 'CLOSED') market.closedPriceE18 = intOrNull(fact, 'priceE18')
  }

  #changeParameter(fact: Fact): void {
    const value = int(fact, 'newValue')
    const name = text(fact, 'name')
    if (name === 'twapInterval' || name === 'maxFundingRate') {
      const row = this.#rows.edit('protocol', keys.protocol) ?? this.#rows.put('protocol', keys.protocol, { twapIntervalSec: null, maxFundingRateE6: null })
      if (name === 'twapInterval') row.twapIntervalSec = Number(value)
      else row.maxFundingRateE6 = value
    } else if (name === 'feeRatio' || name === 'insuranceFundFeeRatio' || name === 'baseTokenPriceFeed') {
      const key = text(fact, 'subject')
      const row = this.#rows.edit('marketParameters', key) ?? this.#rows.put('marketParameters', key, { feeRatioE6: null, insuranceFundFeeRatioE6: null, priceFeed: null })
      if (name === 'feeRatio') row.feeRatioE6 = value
      else if (name === 'insuranceFundFeeRatio') row.insuranceFundFeeRatioE6 = value
      else row.priceFeed = addressOf(value)
    } else if (name === 'collateralPriceFeed') this.#rows.put('collateral', text(fact, 'subject'), { priceFeed: addressOf(value) })
  }

  // ─── Accounts ──────────────────────────────────────────────────────────────────────────────────────────────────

  #rangesOf(accountInMarket: string): Set<string> {
    let set = this.#ranges.get(accountInMarket)
    if (set === undefined) this.#ranges.set(accountInMarket, (set = new Set()))
    return set
  }

  #ends(market: string, lowerTick: number, upperTick: number): RangeEnds {
    return { lowerTick, upperTick, lower: this.#rows.get('tick', keys.tick(market, lowerTick)) ?? NO_GROWTH, upper: this.#rows.get('tick', keys.tick(market, upperTick)) ?? NO_GROWTH }
  }

  /**
   * The account has paid its funding up to the market's growth. Comes before what is traded in the same transaction, and
   * doing it again in the same block changes nothing.
   * Source: OrderBook.updateFundingGrowthAndLiquidityCoefficientInFundingPayment, AccountBalance.updateTwPremiumGrowthGlobal.
   */
  #settle(account: string, key: string): void {
    const market = this.#rows.get('market', key)
    if (market === undefined) return
    this.#rows.put('position', keys.position(account, key), { lastTwPremiumX96: market.twPremiumX96 })
    for (const id of this.#rangesOf(keys.position(account, key))) {
      const range = this.#rows.edit('range', id)
      if (range === undefined || range.liquidity === 0n) continue
      const [, , lowerTick, upperTick] = id.split(':')
      settleRange(range, this.#ends(key, Number(lowerTick), Number(upperTick)), market)
    }
  }

  /** Source: OrderBook._addLiquidityToOrder, _removeLiquidityFromOrder. */
  #changeLiquidity(fact: Fact): void {
    const key = text(fact, 'marketId')
    const market = this.#rows.get('market', key)
    if (market === undefined) return
    const account = text(fact, 'accountId')
    const [lowerTick, upperTick, delta] = [num(fact, 'lowerTick'), num(fact, 'upperTick'), int(fact, 'liquidityDelta')]
    const id = keys.range(account, key, lowerTick, upperTick)
    this.#settle(account, key)

    const range = this.#rows.edit('range', id) ?? this.#rows.put('range', id, { ...NO_RANGE })
    this.#rangesOf(keys.position(account, key)).add(id)
    const ends = this.#ends(key, lowerTick, upperTick)
    const insideX128 = feeGrowthInsideX128(ends, market.tick, market.feeGrowthGlobalX128)
    const feeE18 = pendingFee(range.liquidity, insideX128, range.lastFeeGrowthInsideX128)
    if (feeE18 !== int(fact, 'feeE18')) throw contradiction(fact, `a pending fee of ${feeE18}`, `the event's ${int(fact, 'feeE18')}`)
    if (range.liquidity === 0n && delta > 0n) settleRange(range, ends, market)
    range.liquidity += delta
    range.lastFeeGrowthInsideX128 = insideX128
    if (range.liquidity < 0n) throw contradiction(fact, `liquidity ${range.liquidity} in a range`, '0 or more')
    if (range.liquidity === 0n) Object.assign(range, NO_RANGE)

    for (const tick of [lowerTick, upperTick]) {
      const row = this.#rows.get('tick', keys.tick(key, tick))
      if (row !== undefined && row.liquidityGross === 0n) Object.assign(this.#rows.edit('tick', keys.tick(key, tick)) ?? {}, NO_GROWTH)
    }
  }

  // ─── Prices ────────────────────────────────────────────────────────────────────────────────────────────────────

  #startFeed(fact: Fact): void {
    const id = address(fact, 'feedId')
    const [dispatcher, answerSource] = [address(fact, 'dispatcher'), addressOrNull(fact, 'answerSource')]
    const known = this.#rows.get('dispatcher', dispatcher)
    this.#rows.put('dispatcher', dispatcher, { feed: id, fallbackSource: addressOrNull(fact, 'fallbackSource'), fallback: known?.fallback ?? false })
    if (answerSource !== null) {
      const answerTimestamp = intOrNull(fact, 'answerTimestamp')
      this.#rows.put('oracle', answerSource, { answer: intOrNull(fact, 'answer'), roundId: intOrNull(fact, 'roundId'), answerSec: answerTimestamp === null ? null : Number(answerTimestamp) })
    }
    // A feed that another dispatcher asks already is known better than a snapshot tells.
    const feed = this.#rows.edit('feed', id)
    if (feed !== undefined) {
      feed.answerSource = answerSource
      return
    }
    const index = fact['observationIndex'] === null || fact['observationIndex'] === undefined ? 0 : num(fact, 'observationIndex')
    const observation = { timestampSec: Number(intOrNull(fact, 'observationTimestamp') ?? 0n), priceE18: intOrNull(fact, 'observationPriceE18') ?? 0n, priceCumulativeE18: intOrNull(fact, 'observationPriceCumulativeE18') ?? 0n }
    if (observation.timestampSec !== 0) this.#rows.put('feedObservation', keys.feedObservation(id, index), observation)
    this.#rows.put('feed', id, {
      decimals: num(fact, 'decimals'),
      timeoutSec: intOrNull(fact, 'timeoutSec'),
      answerSource,
      snapshotBlock: BigInt(fact.blockNumber),
      priceE18: intOrNull(fact, 'priceE18') ?? 0n,
      priceSec: Number(intOrNull(fact, 'priceTimestamp') ?? 0n),
      observationIndex: index,
      observationPriceE18: observation.priceE18,
      observationPriceCumulativeE18: observation.priceCumulativeE18,
      observationSec: observation.timestampSec,
      observationsComplete: index === 0,
      contradiction: null,
    })
  }

  /** Source: ChainlinkPriceFeedV3._cachePrice, CumulativeTwap._update. */
  #updatePrice(fact: Fact): void {
    const id = text(fact, 'feedId')
    const feed = this.#rows.edit('feed', id)
    if (feed === undefined || BigInt(fact.blockNumber) <= feed.snapshotBlock) return
    const [priceE18, sec] = [int(fact, 'priceE18'), Number(int(fact, 'priceTimestamp'))]
    feed.priceE18 = priceE18
    feed.priceSec = sec
    const isFirst = feed.observationIndex === 0 && feed.observationSec === 0
    if (!isFirst) {
      if (sec < feed.observationSec) throw contradiction(fact, `a price of ${sec} s`, `one of ${feed.observationSec} s or later`)
      if (priceE18 === feed.observationPriceE18) return
      feed.observationIndex = (feed.observationIndex + 1) % FEED_OBSERVATIONS
      feed.observationPriceCumulativeE18 += feed.observationPriceE18 * BigInt(sec - feed.observationSec)
    }
    feed.observationPriceE18 = priceE18
    feed.observationSec = sec
    if (sec !== 0) this.#rows.put('feedObservation', keys.feedObservation(id, feed.observationIndex), { timestampSec: sec, priceE18, priceCumulativeE18: feed.observationPriceCumulativeE18 })
  }
}

const NO_RANGE: RowOf<'range'> = { liquidity: 0n, lastFeeGrowthInsideX128: 0n, lastTwPremiumInsideX96: 0n, lastTwPremiumBelowX96: 0n, lastTwPremiumDivBySqrtPriceInsideX96: 0n }

const growthOf = (market: RowOf<'market'>) => ({ feeX128: market.feeGrowthGlobalX128, twPremiumX96: market.twPremiumX96, twPremiumDivBySqrtPriceX96: market.twPremiumDivBySqrtPriceX96 })

function settleRange(range: RowOf<'range'>, ends: RangeEnds, market: Readonly<RowOf<'market'>>): void {
  const growth = fundingGrowthOfRange(ends, market.tick, market)
  range.lastTwPremiumInsideX96 = growth.insideX96
  range.lastTwPremiumBelowX96 = growth.belowX96
  range.lastTwPremiumDivBySqrtPriceInsideX96 = growth.insideDivBySqrtPriceX96
}

/** The market average of a funding update without its rounding: the spot price over a short interval, a whole tick's price otherwise. */
function sqrtMarketTwap(fact: Fact, market: Readonly<RowOf<'market'>>, intervalSec: number): bigint {
  const marketTwapE18 = int(fact, 'marketTwapE18')
  if (intervalSec < SHORTEST_TWAP_SEC) {
    if (priceOfSqrtX96(market.sqrtPriceX96) !== marketTwapE18) throw contradiction(fact, `a market average of ${marketTwapE18}`, `the spot price of ${priceOfSqrtX96(market.sqrtPriceX96)}, because the interval is ${intervalSec} s`)
    return market.sqrtPriceX96
  }
  const tick = tickOfPrice(marketTwapE18)
  if (tick === null) throw contradiction(fact, `a market average of ${marketTwapE18} over ${intervalSec} s`, 'the price of one whole tick')
  return sqrtRatioAtTickX96(tick)
}

/** The PositionChange of the same transaction that a swap was made for; null where there is none. */
function traderOf(facts: readonly Fact[], index: number): Fact | null {
  const swap = facts[index]
  if (swap === undefined) return null
  for (let next = index + 1; next < facts.length; next += 1) {
    const fact = facts[next]
    if (fact === undefined || fact.transactionHash !== swap.transactionHash) return null
    if (fact['marketId'] !== swap['marketId']) continue
    if (fact.entity === 'PoolSwap') return null
    if (fact.entity === 'PositionChange') return fact['sqrtPriceAfterX96'] === swap['sqrtPriceX96'] ? fact : null
  }
  return null
}

/** Facts that cannot all be true of the release that is replayed here. */
class Contradiction extends BulwarkError {
  constructor(found: string, allowed: string, facts: ErrorFacts) {
    super(`Found ${found}, allowed is ${allowed}; facts are missing or of another release: compare the contracts' version, and index again from the start where it is this one`, { code: 'CONTRADICTION', facts })
  }
}

const contradiction = (fact: Fact, found: string, allowed: string): Contradiction =>
  new Contradiction(`${found} at ${fact.entity} ${fact.id} of block ${fact.blockNumber}`, allowed, { entity: fact.entity, id: fact.id, blockNumber: fact.blockNumber, transactionHash: fact.transactionHash })

export const reducer: Reducer = {
  version: 3,
  facts: Object.keys(NEEDS),
  needs(facts) {
    const needs = new Map<string, ReplayNeed>()
    for (const fact of facts) NEEDS[fact.entity]?.(fact, (kind, prefix) => needs.set(`${kind}:${prefix}`, { kind, prefix }))
    return [...needs.values()]
  },
  reduce(rows, facts) {
    const reduction = new Reduction(rows)
    reduction.apply(facts)
    return reduction.changes()
  },
}
