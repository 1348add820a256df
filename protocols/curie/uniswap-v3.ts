/**
 * The Uniswap V3 arithmetic that Curie's pools answer with, exact to the bit (v3-core 1.0.1 TickMath, v3-periphery
 * LiquidityAmounts, Curie PerpMath). Token 0 is the base token, token 1 the quote token, both with 18 decimals.
 */
import { BadInputError } from '../../core/errors.ts'
import { E18, X96 } from '../../core/units.ts'

export const MIN_TICK = -887_272
export const MAX_TICK = 887_272

/** sqrt(1.0001)^−(2^i) as Q128.128, rounded as TickMath has it, i = 0 … 19. */
const POWERS_X128: readonly bigint[] = [
  0xfffcb933bd6fad37aa2d162d1a594001n,
  0xfff97272373d413259a46990580e213an,
  0xfff2e50f5f656932ef12357cf3c7fdccn,
  0xffe5caca7e10e4e61c3624eaa0941cd0n,
  0xffcb9843d60f6159c9db58835c926644n,
  0xff973b41fa98c081472e6896dfb254c0n,
  0xff2ea16466c96a3843ec78b326b52861n,
  0xfe5dee046a99a2a811c461f1969c3053n,
  0xfcbe86c7900a88aedcffc83b479aa3a4n,
  0xf987a7253ac413176f2b074cf7815e54n,
  0xf3392b0822b70005940c7a398e4b70f3n,
  0xe7159475a2c29b7443b29c7fa6e889d9n,
  0xd097f3bdfd2022b8845ad8f792aa5825n,
  0xa9f746462d870fdf8a65dc1f90e061e5n,
  0x70d869a156d2a1b890bb3df62baf32f7n,
  0x31be135f97d08fd981231505542fcfa6n,
  0x9aa508b5b7a84e1c677de54f3e99bc9n,
  0x5d6af8dedb81196699c329225ee604n,
  0x2216e584f5fa1ea926041bedfe98n,
  0x48a170391f7dc42444e8fa2n,
]

/**
 * sqrt(1.0001^tick) · 2^96, rounded up.
 * Throws BadInputError outside MIN_TICK … MAX_TICK. Source: TickMath.getSqrtRatioAtTick.
 */
export function sqrtRatioAtTickX96(tick: number): bigint {
  const absTick = Math.abs(tick)
  if (!Number.isInteger(tick) || absTick > MAX_TICK) throw new BadInputError(`Found tick ${tick}, allowed is a whole number from ${MIN_TICK} to ${MAX_TICK}; check the range's ticks`, { tick })
  let ratioX128 = 1n << 128n
  for (const [bit, power] of POWERS_X128.entries()) if ((absTick & (1 << bit)) !== 0) ratioX128 = (ratioX128 * power) >> 128n
  if (tick > 0) ratioX128 = (2n ** 256n - 1n) / ratioX128
  return (ratioX128 >> 32n) + (ratioX128 % (1n << 32n) === 0n ? 0n : 1n)
}

/** Quote per base E18 of a square root price: two truncations, as Curie makes them (PerpMath.formatSqrtPriceX96ToPriceX96, formatX96ToX10_18). */
export function priceOfSqrtX96(sqrtPriceX96: bigint): bigint {
  return (priceX96OfSqrtX96(sqrtPriceX96) * E18) / X96
}

/** Quote per base X96 of a square root price (PerpMath.formatSqrtPriceX96ToPriceX96). */
export function priceX96OfSqrtX96(sqrtPriceX96: bigint): bigint {
  return (sqrtPriceX96 * sqrtPriceX96) / X96
}

/**
 * Square root of the market's time-weighted price from two of the pool's tick cumulatives.
 * The mean tick truncates towards zero, so that below price 1 it is one tick above the pool's own rounding.
 * Source: UniswapV3Broker.getSqrtMarketTwapX96From (for intervals of at least 10 s; shorter ones give the spot price).
 */
export function sqrtTwapX96(tickCumulativeStart: bigint, tickCumulativeEnd: bigint, intervalSec: number): bigint {
  return sqrtRatioAtTickX96(Number((tickCumulativeEnd - tickCumulativeStart) / BigInt(intervalSec)))
}

/** Base in a range of prices, rounded down (LiquidityAmounts.getAmount0ForLiquidity). */
export function baseInRange(sqrtLowerX96: bigint, sqrtUpperX96: bigint, liquidity: bigint): bigint {
  return (((liquidity << 96n) * (sqrtUpperX96 - sqrtLowerX96)) / sqrtUpperX96) / sqrtLowerX96
}

/** Quote in a range of prices, rounded down (LiquidityAmounts.getAmount1ForLiquidity). */
function quoteInRange(sqrtLowerX96: bigint, sqrtUpperX96: bigint, liquidity: bigint): bigint {
  return (liquidity * (sqrtUpperX96 - sqrtLowerX96)) / X96
}

/** What a liquidity range holds while the pool stands at a price (OrderBook._getTotalTokenAmountInPool). */
export function amountsOfRange(range: { readonly lowerTick: number; readonly upperTick: number; readonly liquidity: bigint }, sqrtPriceX96: bigint): { readonly baseE18: bigint; readonly quoteE18: bigint } {
  const lower = sqrtRatioAtTickX96(range.lowerTick)
  const upper = sqrtRatioAtTickX96(range.upperTick)
  return {
    baseE18: sqrtPriceX96 < upper ? baseInRange(sqrtPriceX96 > lower ? sqrtPriceX96 : lower, upper, range.liquidity) : 0n,
    quoteE18: sqrtPriceX96 > lower ? quoteInRange(lower, sqrtPriceX96 < upper ? sqrtPriceX96 : upper, range.liquidity) : 0n,
  }
}
