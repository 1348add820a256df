/** What stops trades in a market by itself: the price band and the tick cap, as Exchange holds them. */
import { abs, max, min } from '../../core/units.ts'
import { effectiveOf } from '../adapter.ts'
import type { Swap, TradeBreaker } from '../onchain.ts'
import { priceSpreadE6 } from './margin.ts'
import { catalog } from './parameters.ts'
import { priceOfSqrtX96, tickAtSqrtRatioX96 } from './uniswap-v3.ts'

/** The tick that trades are held against is taken anew when it is this old, s (Exchange._PRICE_LIMIT_INTERVAL). */
const TICK_AGE_SEC = 15

const bandOf = (value: bigint): bigint => effectiveOf(catalog.find('marketMaxPriceSpreadRatio'), value)
const isPriced = (swap: Swap): swap is Swap & { readonly indexE18: bigint } => swap.indexE18 !== null && swap.indexE18 > 0n

/** A trade may end within the band, or no further out than it began. Source: Exchange._swap (EX_OPB). */
const priceBand: TradeBreaker = {
  parameter: 'marketMaxPriceSpreadRatio',
  refused: (swaps, value) =>
    swaps.map((swap) => {
      if (!isPriced(swap) || swap.sqrtBeforeX96 === null) return null
      const [before, after] = [swap.sqrtBeforeX96, swap.sqrtAfterX96].map((sqrtX96) => priceSpreadE6(priceOfSqrtX96(sqrtX96), swap.indexE18)) as [bigint, bigint]
      return after < min(before, -bandOf(value)) || after > max(before, bandOf(value))
    }),
  distance: (swap, value) => (isPriced(swap) ? Number(abs(priceSpreadE6(priceOfSqrtX96(swap.sqrtAfterX96), swap.indexE18))) / Number(bandOf(value)) : null),
  note: 'each trade as it happened, by the pool price before and after it and the index price that stood; a trade that was refused then is in neither count',
}

/** A trade may end no further from the reference tick than the cap; 0 refuses all. Source: Exchange.settleFunding, _isOverPriceLimitWithTick (EX_OPLAS, EX_MIP). */
const tickCap: TradeBreaker = {
  parameter: 'maxTickCrossedWithinBlock',
  refused: (swaps, cap) => {
    let reference: { readonly tick: number; readonly timestampSec: number } | null = null
    return swaps.map((swap) => {
      if (cap === 0n) return true
      if (swap.sqrtBeforeX96 === null) return null
      if (reference === null || swap.timestampSec >= reference.timestampSec + TICK_AGE_SEC) reference = { tick: tickAtSqrtRatioX96(swap.sqrtBeforeX96), timestampSec: swap.timestampSec }
      return abs(BigInt(tickAtSqrtRatioX96(swap.sqrtAfterX96) - reference.tick)) > cap
    })
  },
  note: 'each trade as it happened; a close that would cross the cap is cut to a part, others revert; settlements between trades that take the reference tick anew are left out',
}

export const tradeBreakers: readonly TradeBreaker[] = [priceBand, tickCap]
