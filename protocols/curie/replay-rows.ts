/**
 * The rows that the reducer keeps and the valuation reads: what Curie's contracts and pools hold and no event says.
 * One shape per kind; a ReplayRow's value has the same fields, integers as decimal strings.
 */
import { InvariantError } from '../../core/errors.ts'
import type { Address, Json, ReplayRow } from '../adapter.ts'

type Codec<T> = { readonly decode: (json: Json) => T; readonly encode: (value: T) => Json }
const codec = <T>(decode: (json: Json) => T, encode: (value: T) => Json): Codec<T> => ({ decode, encode })
const orNull = <T>(of: Codec<T>): Codec<T | null> => codec<T | null>((json) => (json === null ? null : of.decode(json)), (value) => (value === null ? null : of.encode(value)))

const integer = codec((json) => BigInt(json as string), (value: bigint) => value.toString())
const number = codec(Number, (value: number) => value)
const flag = codec((json) => json === true, (value: boolean) => value)
const words = codec(String, (value: string) => value)
const address = codec((json) => json as Address, (value: Address) => value)
const state = codec((json) => json as 'OPEN' | 'PAUSED' | 'CLOSED', (value: 'OPEN' | 'PAUSED' | 'CLOSED') => value)

const SHAPES = {
  /** ClearingHouseConfig. Key: `parameters`. null is unknown. */
  protocol: { twapIntervalSec: orNull(number), maxFundingRateE6: orNull(integer) },

  /** MarketRegistry and BaseToken. Key: market. null is unknown. */
  marketParameters: { feeRatioE6: orNull(integer), insuranceFundFeeRatioE6: orNull(integer), priceFeed: orNull(address) },

  /** Key: collateral token. */
  collateral: { priceFeed: address },

  /** The pool, and what OrderBook, Exchange and BaseToken keep per market. Key: market. */
  market: {
    pool: address,
    poolFeeE6: integer,
    tickSpacing: number,
    /** Block of the snapshot that it began from; that block's pool facts are in the snapshot. */
    snapshotBlock: integer,
    sqrtPriceX96: integer,
    tick: number,
    /** In range. */
    liquidity: integer,
    observationIndex: number,
    observationCardinality: number,
    observationCardinalityNext: number,
    /** The newest observation. */
    observationSec: number,
    observationTickCumulative: integer,
    /** No observation was written before the snapshot's. */
    observationsComplete: flag,
    /** OrderBook._feeGrowthGlobalX128Map, modulo 2^256. */
    feeGrowthGlobalX128: integer,
    /** Exchange._globalFundingGrowthX96Map. */
    twPremiumX96: integer,
    twPremiumDivBySqrtPriceX96: integer,
    /** Exchange._lastSettledTimestampMap; 0 before the first. */
    lastSettledSec: number,
    /** Exchange._firstTradedTimestampMap; 0 before the first. */
    firstTradedSec: number,
    /** Of the last FundingUpdated: when, over which interval, and the index average that was answered then; nulls before the first. */
    fundingAtSec: orNull(number),
    fundingIntervalSec: orNull(number),
    fundingIndexTwapE18: orNull(integer),
    state,
    pausedAtSec: orNull(number),
    pausedIndexPriceE18: orNull(integer),
    closedPriceE18: orNull(integer),
    /** Why nothing after it is known: facts that contradict what was replayed; null while all agree. */
    contradiction: orNull(words),
  },

  /** A pool's tick, with OrderBook._growthOutsideTickMap. All 0 where no liquidity refers to it. Key: market:tick. */
  tick: { liquidityGross: integer, liquidityNet: integer, feeX128: integer, twPremiumX96: integer, twPremiumDivBySqrtPriceX96: integer },

  /** An observation of a pool. Key: market:index, five digits. */
  observation: { timestampSec: number, tickCumulative: integer },

  /** OpenOrder.Info without the debts, which the index has. All 0 once it is closed. Key: account:market:lower tick:upper tick. */
  range: { liquidity: integer, lastFeeGrowthInsideX128: integer, lastTwPremiumInsideX96: integer, lastTwPremiumBelowX96: integer, lastTwPremiumDivBySqrtPriceInsideX96: integer },

  /** AccountMarket.Info without size and notional, which the index has. Key: account:market. */
  position: { lastTwPremiumX96: integer },

  /** What consumers ask for a price: a PriceFeedDispatcher, or the feed itself. Key: its address. */
  dispatcher: { feed: address, /** null where it has none. */ fallbackSource: orNull(address), /** It has fallen back, for good. */ fallback: flag },

  /** The pool whose average a dispatcher falls back to. Key: the dispatcher. */
  fallbackPool: { pool: address },

  /** ChainlinkPriceFeedV3. Key: its address. */
  feed: {
    decimals: number,
    timeoutSec: orNull(integer),
    /** Key of the `oracle` row that it asks; null where unknown. */
    answerSource: orNull(address),
    snapshotBlock: integer,
    /** Last valid price and the oracle's time of it; 0 before the first. */
    priceE18: integer,
    priceSec: number,
    /** The newest observation; index 0 and second 0 before the first. */
    observationIndex: number,
    observationPriceE18: integer,
    observationPriceCumulativeE18: integer,
    observationSec: number,
    /** No observation was written before the snapshot's. */
    observationsComplete: flag,
    /** As of a market. */
    contradiction: orNull(words),
  },

  /** An observation of a feed (CumulativeTwap.Observation). Key: feed:index, four digits. */
  feedObservation: { timestampSec: number, priceE18: integer, priceCumulativeE18: integer },

  /** What an oracle contract answered last, raw; nulls where it has not. Key: its address. */
  oracle: { answer: orNull(integer), roundId: orNull(integer), answerSec: orNull(number) },
} as const

export type Kind = keyof typeof SHAPES
export type RowOf<K extends Kind> = { -readonly [F in keyof (typeof SHAPES)[K]]: (typeof SHAPES)[K][F] extends Codec<infer T> ? T : never }

export const KINDS = Object.keys(SHAPES) as readonly Kind[]

const codecsOf = (kind: Kind): [string, Codec<unknown>][] => Object.entries(SHAPES[kind] as unknown as Readonly<Record<string, Codec<unknown>>>)

export function decodeRow<K extends Kind>(kind: K, value: Json): RowOf<K> {
  const fields = value as { readonly [key: string]: Json }
  return Object.fromEntries(
    codecsOf(kind).map(([field, { decode }]) => {
      const json = fields[field]
      if (json === undefined) throw new InvariantError(`Found a replay row of kind ${kind} without ${field}, allowed are whole rows; compute the rows again from the facts`, { kind, field })
      return [field, decode(json)]
    }),
  ) as RowOf<K>
}

export function encodeRow<K extends Kind>(kind: K, row: RowOf<K>): Json {
  const values = row as Readonly<Record<string, unknown>>
  return Object.fromEntries(codecsOf(kind).map(([field, { encode }]) => [field, encode(values[field])]))
}

export const keys = {
  protocol: 'parameters',
  tick: (market: string, tick: number): string => `${market}:${tick}`,
  observation: (market: string, index: number): string => `${market}:${String(index).padStart(5, '0')}`,
  range: (account: string, market: string, lowerTick: number, upperTick: number): string => `${account}:${market}:${lowerTick}:${upperTick}`,
  position: (account: string, market: string): string => `${account}:${market}`,
  feedObservation: (feed: string, index: number): string => `${feed}:${String(index).padStart(4, '0')}`,
} as const

/** Rows by kind and key, decoded as they are asked for, and remembering what changed. */
export class Rows {
  readonly #kinds = new Map<Kind, Map<string, { raw: Json | null; row: RowOf<Kind> | null; changed: boolean }>>()

  constructor(rows: readonly ReplayRow[]) {
    for (const { kind, key, value } of rows) this.#of(kind as Kind).set(key, { raw: value, row: null, changed: false })
  }

  #of(kind: Kind) {
    let rows = this.#kinds.get(kind)
    if (rows === undefined) this.#kinds.set(kind, (rows = new Map()))
    return rows
  }

  keysOf(kind: Kind): Iterable<string> {
    return this.#of(kind).keys()
  }

  get<K extends Kind>(kind: K, key: string): Readonly<RowOf<K>> | undefined {
    const entry = this.#of(kind).get(key)
    if (entry === undefined) return undefined
    return (entry.row ??= decodeRow(kind, entry.raw)) as RowOf<K>
  }

  /** The row, to be changed in place; undefined where there is none. */
  edit<K extends Kind>(kind: K, key: string): RowOf<K> | undefined {
    const row = this.get(kind, key)
    const entry = this.#of(kind).get(key)
    if (entry !== undefined) entry.changed = true
    return row
  }

  put<K extends Kind>(kind: K, key: string, row: RowOf<K>): RowOf<K> {
    const entry = this.#of(kind).get(key)
    this.#of(kind).set(key, { raw: entry?.raw ?? null, row: row as RowOf<Kind>, changed: true })
    return row
  }

  /** The rows that differ from what was given, encoded. */
  changes(): ReplayRow[] {
    const changes: ReplayRow[] = []
    for (const [kind, rows] of this.#kinds) {
      for (const [key, { raw, row, changed }] of rows) {
        if (!changed || row === null) continue
        const value = encodeRow(kind, row)
        // The given row goes through the same encoder, so that the order of its fields does not matter.
        if (raw === null || JSON.stringify(value) !== JSON.stringify(encodeRow(kind, decodeRow(kind, raw)))) changes.push({ kind, key, value })
      }
    }
    return changes
  }
}
