/**
 * What a market's own breakers, its price band and its tick cap, would have refused in the last days under another setting.
 * Pure: trades and index prices come from the mirror.
 */
import { abs, max, min } from '../core/units.ts'
import { replayBreaker, type BreakerConfig, type BreakerObservation, type ReplayEvent } from '../api/risk/index.ts'
import { priceOfSqrtX96, tickAtSqrtRatioX96 } from '../protocols/curie/uniswap-v3.ts'

const RATIO_ONE = 1_000_000n
/** The tick that a block's trades are held against is taken anew when it is this old, s (Exchange._PRICE_LIMIT_INTERVAL). */
const TICK_AGE_SEC = 15
const HOUR_SEC = 3_600

/** Parameters that stop trades by themselves. A band of 0 reads as 10 %, a tick cap of 0 stops every trade. */
export const TRADE_BREAKERS = ['marketMaxPriceSpreadRatio', 'maxTickCrossedWithinBlock'] as const
export type TradeBreaker = (typeof TRADE_BREAKERS)[number]

/** One swap, in the order of the chain. */
export type Trade = {
  readonly timestampSec: number
  readonly block: number
  readonly account: string
  /** Pool price before and after, and the index price that stood then; null where none is indexed. */
  readonly sqrtBeforeX96: bigint | null
  readonly sqrtAfterX96: bigint
  readonly indexE18: bigint | null
  /** Quote, ≥ 0. */
  readonly notionalE18: bigint
  /** The position is smaller after it. */
  readonly reduces: boolean
}

/** What else happened in the market, for what followed a trip. */
export type MarketEvent = { readonly timestampSec: number; readonly account: string; readonly kind: 'liquidation' | 'badDebt'; readonly amount: number }

export type Refused = { readonly trades: number; readonly ofThemReducing: number; readonly accounts: number; readonly notionalE18: string; readonly firstSec: number | null; readonly lastSec: number | null }

export type TradeReplay = {
  readonly parameter: TradeBreaker
  readonly market: string
  readonly fromSec: number
  readonly toSec: number
  readonly trades: number
  /** Trades whose prices are not known: they are in neither count. */
  readonly unknown: number
  readonly before: Refused
  readonly after: Refused
  /** How often the distance from the index came within 80 % of the band, and up to it, under each setting; null for the tick cap. */
  readonly trips: { readonly before: string; readonly after: string; readonly tripsBefore: number; readonly tripsAfter: number } | null
  readonly note: string
}

/** (market − index) / index, 1e6 = 100 %, towards zero. Source: Exchange._getPriceSpreadRatio. */
const spreadE6 = (sqrtX96: bigint, indexE18: bigint): bigint => ((priceOfSqrtX96(sqrtX96) - indexE18) * RATIO_ONE) / indexE18

/** Whether the band refuses a trade: it may end within the band, or no further out than it began (Exchange._swap, EX_OPB). null: a price is unknown. */
export function bandRefuses(trade: Pick<Trade, 'sqrtBeforeX96' | 'sqrtAfterX96' | 'indexE18'>, bandE6: bigint): boolean | null {
  if (trade.sqrtBeforeX96 === null || trade.indexE18 === null || trade.indexE18 <= 0n) return null
  const [before, after] = [spreadE6(trade.sqrtBeforeX96, trade.indexE18), spreadE6(trade.sqrtAfterX96, trade.indexE18)]
  return after < min(before, -bandE6) || after > max(before, bandE6)
}

/**
 * Trades that would have ended further from the reference tick than the cap. The reference is the tick before the first trade
 * that comes 15 s or more after the one before it was taken (Exchange.settleFunding, _isOverPriceLimitWithTick).
 */
function capRefuses(trades: readonly Trade[], cap: bigint): readonly (boolean | null)[] {
  let reference: { readonly tick: number; readonly timestampSec: number } | null = null
  return trades.map((trade) => {
    if (cap === 0n) return true
    if (trade.sqrtBeforeX96 === null) return null
    if (reference === null || trade.timestampSec >= reference.timestampSec + TICK_AGE_SEC) reference = { tick: tickAtSqrtRatioX96(trade.sqrtBeforeX96), timestampSec: trade.timestampSec }
    return abs(BigInt(tickAtSqrtRatioX96(trade.sqrtAfterX96) - reference.tick)) > cap
  })
}

function tally(trades: readonly Trade[], refused: readonly (boolean | null)[]): Refused {
  const hit = trades.filter((_, i) => refused[i] === true)
  return {
    trades: hit.length,
    ofThemReducing: hit.filter((trade) => trade.reduces).length,
    accounts: new Set(hit.map((trade) => trade.account)).size,
    notionalE18: hit.reduce((sum, trade) => sum + trade.notionalE18, 0n).toString(),
    firstSec: hit[0]?.timestampSec ?? null,
    lastSec: hit.at(-1)?.timestampSec ?? null,
  }
}

/** The band as a breaker of the risk engine: at 80 % of it WATCH, at all of it RESTRICT, at once and without a person. */
const BAND_BREAKER: BreakerConfig = { entries: { deviation: { WATCH: 0.8, RESTRICT: 1, HALT: null } }, exitFactor: 0.6, confirmations: 1, cooldownSec: 1_800 }

function tripsOf(trades: readonly Trade[], events: readonly MarketEvent[], bandE6: bigint): { readonly summary: string; readonly trips: number } {
  const byBlock = new Map<number, BreakerObservation>()
  for (const trade of trades) {
    const spread = trade.indexE18 === null || trade.indexE18 <= 0n ? null : spreadE6(trade.sqrtAfterX96, trade.indexE18)
    byBlock.set(trade.block, { block: trade.block, timestampSec: trade.timestampSec, values: { deviation: spread === null ? null : Number(abs(spread)) / Number(bandE6) } })
  }
  const observations = [...byBlock.values()]
  if (observations.length === 0) return { summary: 'no trades in these days', trips: 0 }
  const opening = trades.map((trade): ReplayEvent => ({ timestampSec: trade.timestampSec, kind: trade.reduces ? 'decrease' : 'increase', account: trade.account, amount: Number(trade.notionalE18) / 1e18 }))
  const replay = replayBreaker({
    config: BAND_BREAKER,
    observations,
    events: [...opening, ...events].sort((a, b) => a.timestampSec - b.timestampSec),
    reactionSec: 0,
    stops: { NORMAL: [], WATCH: [], RESTRICT: ['increase'], HALT: ['increase'] },
    assumedResetSec: null,
    harmHorizonSec: HOUR_SEC,
  })
  return { summary: replay.summary, trips: replay.trips.length }
}

/** The contract's own reading of a stored band. */
const bandOf = (value: bigint): bigint => (value === 0n ? 100_000n : value)

/** What one market's breaker would have refused of what really happened, under the old and the new value. `trades` in the order of the chain. */
export function replayTrades(input: { readonly parameter: TradeBreaker; readonly market: string; readonly from: bigint; readonly to: bigint; readonly trades: readonly Trade[]; readonly events: readonly MarketEvent[]; readonly fromSec: number; readonly toSec: number }): TradeReplay {
  const { parameter, market, from, to, trades, events, fromSec, toSec } = input
  const isBand = parameter === 'marketMaxPriceSpreadRatio'
  const refuse = (value: bigint): readonly (boolean | null)[] => (isBand ? trades.map((trade) => bandRefuses(trade, bandOf(value))) : capRefuses(trades, value))
  const [before, after] = [refuse(from), refuse(to)]
  const [earlier, later] = isBand ? [tripsOf(trades, events, bandOf(from)), tripsOf(trades, events, bandOf(to))] : [null, null]
  return {
    parameter,
    market,
    fromSec,
    toSec,
    trades: trades.length,
    unknown: after.filter((each) => each === null).length,
    before: tally(trades, before),
    after: tally(trades, after),
    trips: earlier === null || later === null ? null : { before: earlier.summary, after: later.summary, tripsBefore: earlier.trips, tripsAfter: later.trips },
    note: isBand
      ? 'each trade as it happened, by the pool price before and after it and the index price that stood; a trade that was refused then is in neither count'
      : 'each trade as it happened; a close that would cross the cap is cut to a part, others revert; settlements between trades that take the reference tick anew are left out',
  }
}
