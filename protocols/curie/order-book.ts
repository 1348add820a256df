/**
 * What OrderBook keeps per tick, and how a swap moves it (v2.6.0). Growths wrap as the contract's integers do: fees in 256
 * bits unsigned, premiums in 256 bits signed.
 */
import { min, mulDiv } from '../../core/units.ts'
import type { RangeGrowth } from './margin.ts'
import { MAX_TICK, MIN_TICK, nextTickWithinOneWord, quoteDelta, sqrtRatioAtTickX96, swapStep, tickAtSqrtRatioX96 } from './uniswap-v3.ts'

const X128 = 1n << 128n
const RATIO_ONE = 1_000_000n

export const uint256 = (value: bigint): bigint => BigInt.asUintN(256, value)
const int256 = (value: bigint): bigint => BigInt.asIntN(256, value)

/** Growth outside a tick, or since the market began. Source: Tick.GrowthInfo. */
export type Growth = { readonly feeX128: bigint; readonly twPremiumX96: bigint; readonly twPremiumDivBySqrtPriceX96: bigint }

export const NO_GROWTH: Growth = { feeX128: 0n, twPremiumX96: 0n, twPremiumDivBySqrtPriceX96: 0n }

/** Growth outside a tick after the price crossed it. Source: Tick.cross. */
export const crossed = (outside: Growth, global: Growth): Growth => ({
  feeX128: uint256(global.feeX128 - outside.feeX128),
  twPremiumX96: int256(global.twPremiumX96 - outside.twPremiumX96),
  twPremiumDivBySqrtPriceX96: int256(global.twPremiumDivBySqrtPriceX96 - outside.twPremiumDivBySqrtPriceX96),
})

/** A range's ticks and the growth outside each. */
export type RangeEnds = { readonly lowerTick: number; readonly upperTick: number; readonly lower: Growth; readonly upper: Growth }

/** Fees per liquidity that grew inside a range, modulo 2^256. Source: Tick.getFeeGrowthInsideX128. */
export function feeGrowthInsideX128(range: RangeEnds, currentTick: number, globalX128: bigint): bigint {
  const below = currentTick >= range.lowerTick ? range.lower.feeX128 : globalX128 - range.lower.feeX128
  const above = currentTick < range.upperTick ? range.upper.feeX128 : globalX128 - range.upper.feeX128
  return uint256(globalX128 - below - above)
}

/** Premium that grew inside and below a range. Source: Tick.getAllFundingGrowth. */
export function fundingGrowthOfRange(range: RangeEnds, currentTick: number, global: Pick<Growth, 'twPremiumX96' | 'twPremiumDivBySqrtPriceX96'>): RangeGrowth {
  const split = (field: 'twPremiumX96' | 'twPremiumDivBySqrtPriceX96'): { below: bigint; inside: bigint } => {
    const below = currentTick >= range.lowerTick ? range.lower[field] : global[field] - range.lower[field]
    const above = currentTick < range.upperTick ? range.upper[field] : global[field] - range.upper[field]
    return { below: int256(below), inside: int256(global[field] - below - above) }
  }
  const premium = split('twPremiumX96')
  return { insideX96: premium.inside, belowX96: premium.below, insideDivBySqrtPriceX96: split('twPremiumDivBySqrtPriceX96').inside }
}

/** Fee that a range has earned since its growth was last noted, quote E18. Source: OrderBook._getPendingFeeAndFeeGrowthInsideX128ByOrder. */
export const pendingFee = (liquidity: bigint, insideX128: bigint, lastInsideX128: bigint): bigint => mulDiv(uint256(insideX128 - lastInsideX128), liquidity, X128)

/** A pool before a swap, and the ratios in force. `initialized`: ticks that liquidity refers to, ascending. */
export type SwapContext = {
  readonly sqrtPriceX96: bigint
  readonly tick: number
  readonly liquidity: bigint
  readonly tickSpacing: number
  readonly initialized: readonly number[]
  readonly liquidityNet: (tick: number) => bigint
  readonly feeGrowthGlobalX128: bigint
  readonly feeRatioE6: bigint
  readonly insuranceFundFeeRatioE6: bigint
}

/** What a swap did to OrderBook. `crossings`: ticks in their order, with the fee growth at that moment. */
export type Replayed = {
  readonly sqrtPriceX96: bigint
  readonly tick: number
  readonly liquidity: bigint
  readonly feeGrowthGlobalX128: bigint
  /** Paid by the taker, quote E18. */
  readonly feeE18: bigint
  readonly crossings: readonly { readonly tick: number; readonly feeGrowthGlobalX128: bigint }[]
}

/**
 * How the swap is known: `toX96`, the price where it ended, with the quote that came out of the pool where base went in
 * (`quoteOutE18`, ignored otherwise); or the quote that a buyer put in, fee included.
 * From the final price every step follows, but for the fee of a buyer's last step, which takes what is left of the input.
 */
export type SwapInput = { readonly toX96: bigint; readonly quoteOutE18: bigint } | { readonly quoteInE18: bigint }

/**
 * Replays a swap through the pool's ticks with the exchange's fee, step by step and each rounded, as OrderBook does:
 *   seller: step fee = ⌈quote out · feeRatio⌉; buyer: computeSwapStep's fee at feeRatio;
 *   fee growth += (step fee − ⌈step fee · insurance fund's ratio⌉) · 2^128 / liquidity.
 * Source: OrderBook.replaySwap.
 */
export function replaySwap(context: SwapContext, input: SwapInput): Replayed {
  const { feeRatioE6, insuranceFundFeeRatioE6 } = context
  const toX96 = 'toX96' in input ? input.toX96 : null
  const baseToQuote = toX96 !== null && toX96 < context.sqrtPriceX96
  let { sqrtPriceX96, tick, liquidity, feeGrowthGlobalX128 } = context
  let quoteLeft = 'toX96' in input ? input.quoteOutE18 : input.quoteInE18
  let feeE18 = 0n
  const crossings: { tick: number; feeGrowthGlobalX128: bigint }[] = []

  while (toX96 === null ? quoteLeft !== 0n : sqrtPriceX96 !== toX96) {
    const startX96 = sqrtPriceX96
    const found = nextTickWithinOneWord(context.initialized, tick, context.tickSpacing, baseToQuote)
    const nextTick = Math.min(MAX_TICK, Math.max(MIN_TICK, found.tick))
    const nextX96 = sqrtRatioAtTickX96(nextTick)
    if (nextX96 === startX96 && nextTick === MAX_TICK) break

    let stepFee: bigint
    if (toX96 === null) {
      const step = swapStep(startX96, nextX96, liquidity, quoteLeft, feeRatioE6)
      sqrtPriceX96 = step.sqrtPriceX96
      stepFee = step.fee
      quoteLeft -= step.amountIn + step.fee
    } else {
      sqrtPriceX96 = (baseToQuote ? nextX96 < toX96 : nextX96 > toX96) ? toX96 : nextX96
      const quoteE18 = quoteDelta(startX96, sqrtPriceX96, liquidity, !baseToQuote)
      if (baseToQuote) {
        // Wanting an exact output, the price may go one unit further than it takes.
        const outE18 = min(quoteE18, quoteLeft)
        quoteLeft -= outE18
        stepFee = mulDiv(outE18, feeRatioE6, RATIO_ONE, 'ceil')
      } else stepFee = mulDiv(quoteE18, feeRatioE6, RATIO_ONE - feeRatioE6, 'ceil')
    }

    if (liquidity > 0n) {
      feeE18 += stepFee
      const makerFee = stepFee - mulDiv(stepFee, insuranceFundFeeRatioE6, RATIO_ONE, 'ceil')
      feeGrowthGlobalX128 = uint256(feeGrowthGlobalX128 + mulDiv(makerFee, X128, liquidity))
    }

    if (sqrtPriceX96 === nextX96) {
      if (found.initialized) {
        crossings.push({ tick: nextTick, feeGrowthGlobalX128 })
        liquidity += baseToQuote ? -context.liquidityNet(nextTick) : context.liquidityNet(nextTick)
      }
      tick = baseToQuote ? nextTick - 1 : nextTick
    } else if (sqrtPriceX96 !== startX96) tick = tickAtSqrtRatioX96(sqrtPriceX96)
  }
  return { sqrtPriceX96, tick, liquidity, feeGrowthGlobalX128, feeE18, crossings }
}
