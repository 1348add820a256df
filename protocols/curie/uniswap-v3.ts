/**
 * The Uniswap V3 arithmetic that Curie's pools answer with, exact to the bit (v3-core 1.0.1 TickMath, SqrtPriceMath,
 * SwapMath, TickBitmap; v3-periphery LiquidityAmounts; Curie PerpMath). Token 0 is the base token, token 1 the quote
 * token, both with 18 decimals.
 */
import { BadInputError } from '../../core/errors.ts'
import { E18, mulDiv, X96 } from '../../core/units.ts'

export const MIN_TICK = -887_272
export const MAX_TICK = 887_272

const FEE_ONE = 1_000_000n
const UINT256 = 1n << 256n

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

const LOG_TICK_BASE = Math.log(1.0001)

/**
 * Greatest tick whose square root price is at most `sqrtPriceX96`. Source: TickMath.getTickAtSqrtRatio.
 * Throws BadInputError for prices outside the ticks.
 */
export function tickAtSqrtRatioX96(sqrtPriceX96: bigint): number {
  // A float64 is less than one tick off; the exact ratios decide.
  let tick = Math.floor((2 * Math.log(Number(sqrtPriceX96) / 2 ** 96)) / LOG_TICK_BASE)
  while (sqrtRatioAtTickX96(tick) > sqrtPriceX96) tick -= 1
  while (tick < MAX_TICK && sqrtRatioAtTickX96(tick + 1) <= sqrtPriceX96) tick += 1
  return tick
}

/**
 * The tick whose price, formatted as Curie formats it, is exactly `priceE18`: the inverse of priceOfSqrtX96(sqrtRatioAtTickX96(tick)).
 * null where no tick has that price, or several have (prices below about 1e-14).
 */
export function tickOfPrice(priceE18: bigint): number | null {
  if (priceE18 <= 0n) return null
  const guess = Math.round(Math.log(Number(priceE18) / 1e18) / LOG_TICK_BASE)
  const found = [-2, -1, 0, 1, 2].map((step) => guess + step).filter((tick) => Math.abs(tick) <= MAX_TICK && priceOfSqrtX96(sqrtRatioAtTickX96(tick)) === priceE18)
  return found.length === 1 ? (found[0] ?? null) : null
}

const divUp = (a: bigint, b: bigint): bigint => mulDiv(a, 1n, b, 'ceil')

/** Base between two prices, in any order (SqrtPriceMath.getAmount0Delta). */
function baseDelta(aX96: bigint, bX96: bigint, liquidity: bigint, roundUp: boolean): bigint {
  const [low, high] = aX96 < bX96 ? [aX96, bX96] : [bX96, aX96]
  return roundUp ? divUp(mulDiv(liquidity << 96n, high - low, high, 'ceil'), low) : baseInRange(low, high, liquidity)
}

/** Quote between two prices, in any order (SqrtPriceMath.getAmount1Delta). */
export function quoteDelta(aX96: bigint, bX96: bigint, liquidity: bigint, roundUp: boolean): bigint {
  const [low, high] = aX96 < bX96 ? [aX96, bX96] : [bX96, aX96]
  return mulDiv(liquidity, high - low, X96, roundUp ? 'ceil' : 'trunc')
}

/** Price after base went in (`add`) or out, rounded up (SqrtPriceMath.getNextSqrtPriceFromAmount0RoundingUp). */
function priceAfterBase(sqrtPriceX96: bigint, liquidity: bigint, amount: bigint, add: boolean): bigint {
  if (amount === 0n) return sqrtPriceX96
  const numerator = liquidity << 96n
  const product = amount * sqrtPriceX96
  if (!add) return mulDiv(numerator, sqrtPriceX96, numerator - product, 'ceil')
  if (product < UINT256 && numerator + product < UINT256) return mulDiv(numerator, sqrtPriceX96, numerator + product, 'ceil')
  return divUp(numerator, numerator / sqrtPriceX96 + amount)
}

/** Price after quote went in (`add`) or out, rounded down (SqrtPriceMath.getNextSqrtPriceFromAmount1RoundingDown). */
function priceAfterQuote(sqrtPriceX96: bigint, liquidity: bigint, amount: bigint, add: boolean): bigint {
  return add ? sqrtPriceX96 + mulDiv(amount, X96, liquidity) : sqrtPriceX96 - mulDiv(amount, X96, liquidity, 'ceil')
}

export type SwapStep = { readonly sqrtPriceX96: bigint; readonly amountIn: bigint; readonly amountOut: bigint; readonly fee: bigint }

/**
 * One step of a swap, within one stretch of liquidity: from the current price towards the target with what remains.
 * remaining ≥ 0 is input that is left, < 0 output that is wanted. feeE6: 1e6 = 100 %. Source: SwapMath.computeSwapStep.
 */
export function swapStep(currentX96: bigint, targetX96: bigint, liquidity: bigint, remaining: bigint, feeE6: bigint): SwapStep {
  const baseIn = currentX96 >= targetX96
  const exactIn = remaining >= 0n
  const inputTo = (priceX96: bigint): bigint => (baseIn ? baseDelta(priceX96, currentX96, liquidity, true) : quoteDelta(currentX96, priceX96, liquidity, true))
  const outputTo = (priceX96: bigint): bigint => (baseIn ? quoteDelta(priceX96, currentX96, liquidity, false) : baseDelta(currentX96, priceX96, liquidity, false))

  let nextX96: bigint
  if (exactIn) {
    const spendable = mulDiv(remaining, FEE_ONE - feeE6, FEE_ONE)
    if (spendable >= inputTo(targetX96)) nextX96 = targetX96
    else nextX96 = baseIn ? priceAfterBase(currentX96, liquidity, spendable, true) : priceAfterQuote(currentX96, liquidity, spendable, true)
  } else if (-remaining >= outputTo(targetX96)) nextX96 = targetX96
  else nextX96 = baseIn ? priceAfterQuote(currentX96, liquidity, -remaining, false) : priceAfterBase(currentX96, liquidity, -remaining, false)

  const amountIn = inputTo(nextX96)
  const output = outputTo(nextX96)
  const amountOut = !exactIn && output > -remaining ? -remaining : output
  const fee = exactIn && nextX96 !== targetX96 ? remaining - amountIn : mulDiv(amountIn, feeE6, FEE_ONE - feeE6, 'ceil')
  return { sqrtPriceX96: nextX96, amountIn, amountOut, fee }
}

/** Position of the first entry of an ascending list that is at least `value`. */
export function lowerBound(ascending: readonly number[], value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? Infinity) < value) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Where the next step of a swap ends: the next initialized tick, or the end of the 256 spacings that one word of the pool's
 * bitmap holds. `initialized` are the pool's initialized ticks, ascending. Source: TickBitmap.nextInitializedTickWithinOneWord.
 */
export function nextTickWithinOneWord(initialized: readonly number[], tick: number, tickSpacing: number, downwards: boolean): { readonly tick: number; readonly initialized: boolean } {
  const compressed = Math.floor(tick / tickSpacing)
  if (downwards) {
    const end = Math.floor(compressed / 256) * 256 * tickSpacing
    const found = initialized[lowerBound(initialized, compressed * tickSpacing + 1) - 1]
    return found !== undefined && found >= end ? { tick: found, initialized: true } : { tick: end, initialized: false }
  }
  const from = compressed + 1
  const end = (Math.floor(from / 256) * 256 + 255) * tickSpacing
  const found = initialized[lowerBound(initialized, from * tickSpacing)]
  return found !== undefined && found <= end ? { tick: found, initialized: true } : { tick: end, initialized: false }
}
