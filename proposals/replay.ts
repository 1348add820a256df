/**
 * What a market's own breakers would have refused in the last days under another setting. Pure: trades and index prices come
 * from the mirror, the rule from the protocol's folder.
 */
import { replayBreaker, type BreakerConfig, type BreakerObservation, type ReplayEvent } from '../api/risk/index.ts'
import { toFloat } from '../core/units.ts'
import type { Swap, TradeBreaker } from '../protocols/onchain.ts'

const HOUR_SEC = 3_600

/** One swap, in the order of the chain. */
export type Trade = Swap & {
  readonly block: number
  readonly account: string
  /** Quote, ≥ 0. */
  readonly notionalE18: bigint
  /** The position is smaller after it. */
  readonly reduces: boolean
}

/** What else happened in the market, for what followed a trip. */
export type MarketEvent = { readonly timestampSec: number; readonly account: string; readonly kind: 'liquidation' | 'badDebt'; readonly amount: number }

export type Refused = { readonly trades: number; readonly ofThemReducing: number; readonly accounts: number; readonly notionalE18: string; readonly firstSec: number | null; readonly lastSec: number | null }

export type TradeReplay = {
  readonly parameter: string
  readonly market: string
  readonly fromSec: number
  readonly toSec: number
  readonly trades: number
  /** Trades whose prices are not known: they are in neither count. */
  readonly unknown: number
  readonly before: Refused
  readonly after: Refused
  /** How often trades came within 80 % of the limit, and up to it, under each setting; null where the limit has no such distance. */
  readonly trips: { readonly before: string; readonly after: string; readonly tripsBefore: number; readonly tripsAfter: number } | null
  readonly note: string
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

/** The limit as a breaker of the risk engine: at 80 % of it WATCH, at all of it RESTRICT, at once and without a person. */
const AS_BREAKER: BreakerConfig = { entries: { deviation: { WATCH: 0.8, RESTRICT: 1, HALT: null } }, exitFactor: 0.6, confirmations: 1, cooldownSec: 1_800 }

function tripsOf(trades: readonly Trade[], events: readonly MarketEvent[], distance: (trade: Trade) => number | null): { readonly summary: string; readonly trips: number } {
  // One observation a block: where its last trade ended.
  const byBlock = new Map(trades.map((trade): [number, BreakerObservation] => [trade.block, { block: trade.block, timestampSec: trade.timestampSec, values: { deviation: distance(trade) } }]))
  const observations = [...byBlock.values()]
  if (observations.length === 0) return { summary: 'no trades in these days', trips: 0 }
  const traded = trades.map((trade): ReplayEvent => ({ timestampSec: trade.timestampSec, kind: trade.reduces ? 'decrease' : 'increase', account: trade.account, amount: toFloat(trade.notionalE18, 18) }))
  const replay = replayBreaker({
    config: AS_BREAKER,
    observations,
    events: [...traded, ...events].sort((a, b) => a.timestampSec - b.timestampSec),
    reactionSec: 0,
    stops: { NORMAL: [], WATCH: [], RESTRICT: ['increase'], HALT: ['increase'] },
    assumedResetSec: null,
    harmHorizonSec: HOUR_SEC,
  })
  return { summary: replay.summary, trips: replay.trips.length }
}

/** What one market's breaker would have refused of what really happened, under the old and the new value. `trades` in the order of the chain. */
export function replayTrades(breaker: TradeBreaker, input: { readonly market: string; readonly from: bigint; readonly to: bigint; readonly trades: readonly Trade[]; readonly events: readonly MarketEvent[]; readonly fromSec: number; readonly toSec: number }): TradeReplay {
  const { market, from, to, trades, events, fromSec, toSec } = input
  const [before, after] = [breaker.refused(trades, from), breaker.refused(trades, to)]
  const trips = (value: bigint): ReturnType<typeof tripsOf> | null => (breaker.distance === undefined ? null : tripsOf(trades, events, (trade) => breaker.distance?.(trade, value) ?? null))
  const [earlier, later] = [trips(from), trips(to)]
  return {
    parameter: breaker.parameter,
    market,
    fromSec,
    toSec,
    trades: trades.length,
    unknown: after.filter((each) => each === null).length,
    before: tally(trades, before),
    after: tally(trades, after),
    trips: earlier === null || later === null ? null : { before: earlier.summary, after: later.summary, tripsBefore: earlier.trips, tripsAfter: later.trips },
    note: breaker.note,
  }
}
