import type { Scope } from '../../protocols/adapter.ts'
import type { BreakerLevel } from '../risk/index.ts'
import type { Policy } from './policy.ts'
import type { FundSimulation } from './simulation.ts'

/** Prices of one feed on the policy's grid: the last of each bar, `[bar index, price E18]`; indexes that are missing are gaps. */
export type SeriesInput = { readonly feed: string; readonly startSec: number; readonly endSec: number; readonly bars: readonly (readonly [number, string])[] }

export type OracleInput = {
  readonly feed: string
  readonly priceE18: string
  readonly priceTimestampSec: number
  readonly freezeReason: number
  readonly fallback: boolean
}

export type RangeInput = { readonly account: string; readonly lowerTick: number; readonly upperTick: number; readonly liquidity: string; readonly baseDebtE18: string; readonly quoteDebtE18: string }

export type MarketInput = {
  readonly id: string
  readonly symbol: string
  readonly open: boolean
  /** Price at which a paused or closed market stands; null while it is open. */
  readonly heldPriceE18: string | null
  readonly oracle: OracleInput | null
  readonly sqrtPriceX96: string | null
  readonly openInterestLongE18: string
  readonly openInterestShortE18: string
  /** In the window: quote exchanged with the pool and trading fees paid, E18, and the seconds of the window that the market existed. */
  readonly volumeE18: string
  readonly feesE18: string
  readonly observedSec: number
  /** |market − index| / index after each trade of the window, 1e6 = 100 %, in order. */
  readonly spreadsE6: readonly number[]
  readonly ranges: readonly RangeInput[]
}

export type CollateralInput = { readonly id: string; readonly symbol: string; readonly decimals: number; readonly oracle: OracleInput | null; readonly totalBalance: string }

export type AccountInput = {
  readonly id: string
  readonly settlementBalance: string
  readonly owedRealizedPnlE18: string
  readonly positions: readonly { readonly market: string; readonly sizeE18: string; readonly openNotionalE18: string }[]
  readonly collaterals: readonly { readonly asset: string; readonly amount: string }[]
}

export type ParameterInput = {
  readonly name: string
  readonly subject: string
  readonly subjectLabel: string
  readonly scope: Scope
  readonly unit: string
  readonly decimals: number
  /** Inclusive raw values that the contract accepts. */
  readonly min: string
  readonly max: string
  readonly settable: boolean
  readonly advisory: string | null
  readonly current: string
  /** Chain time of the last change that an event announced, s; null where there was none. */
  readonly changedAtSec: number | null
  /** What the run before recommended for this very current value, raw; null where it held it, or there was none. */
  readonly standing: string | null
}

/** Order statistics of what was observed; a sample below 5 has none. Seconds. */
export type TimingQuantiles = { readonly median: number; readonly p95: number; readonly p99: number; readonly max: number; readonly observations: number }

/** How long things took in the window, from the index's own facts. */
export type Timing = {
  readonly blockSec: TimingQuantiles | null
  /** Between two prices of a feed, and from the oracle's announcement to the feed's own price. */
  readonly oracles: readonly { readonly feed: string; readonly gapSec: TimingQuantiles | null; readonly ageSec: TimingQuantiles | null }[]
  /** From liquidatable at index prices to liquidated; from an account's first liquidation to its last. */
  readonly detectionSec: TimingQuantiles | null
  readonly liquidationSec: TimingQuantiles | null
  readonly liquidations: number
  /** Liquidations that the index alone cannot time. */
  readonly untold: number
}

/**
 * The insurance fund's simulated shortfall as it was last computed: too long for every block, so that its result is an input, with the
 * block that it was computed at. The same book, policy and seed give it again.
 */
export type SimulationInput =
  | {
      readonly state: 'DONE'
      /** Block and chain time (s) of the book that it carried along paths, and that book's digest. */
      readonly block: string
      readonly timestampSec: number
      readonly bookDigest: string
      readonly result: FundSimulation
    }
  /** `why`: half a sentence; `triedSec`: chain time of the book that could not be simulated, null where none was tried. */
  | { readonly state: 'NONE'; readonly why: string; readonly triedSec: number | null }

/** Rows by a key, in their order. */
export function groupBy<Row>(rows: readonly Row[], key: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(key(row))
    if (group === undefined) groups.set(key(row), [row])
    else group.push(row)
  }
  return groups
}

/** Everything that a run computes from. Raw amounts are decimal strings. Arrays are in a defined order. */
export type RunInputs = {
  readonly version: '3'
  readonly protocol: string
  readonly network: string
  readonly settlement: { readonly symbol: string; readonly decimals: number }
  /** Chain time, s, cut to whole bars: nothing in here is newer than the block, and a quiet block changes nothing. */
  readonly asOfSec: number
  readonly policy: Policy
  readonly series: readonly SeriesInput[]
  readonly markets: readonly MarketInput[]
  readonly collaterals: readonly CollateralInput[]
  readonly accounts: readonly AccountInput[]
  /** Settlement decimals: in the fund's wallet, and left it for the vault that has not credited it yet. E18: its account in the vault. */
  readonly fund: { readonly walletBalance: string; readonly inTransit: string; readonly vaultBalanceE18: string } | null
  readonly timing: Timing
  readonly simulation: SimulationInput
  /** Levels of the circuit breakers that are not NORMAL, of the newest observation at or before the block; `subject` is a market's id, or `protocol`. */
  readonly breakers: readonly { readonly subject: string; readonly level: BreakerLevel }[]
  /** Current values of the parameters that models speak of, and of those that they need. */
  readonly parameters: readonly ParameterInput[]
}
