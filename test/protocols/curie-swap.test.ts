/** The pool's and the order book's arithmetic: vectors of Uniswap v3-core's own tests, hand arithmetic, and properties. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { E18 } from '../../core/units.ts'
import { crossed, feeGrowthInsideX128, fundingGrowthOfRange, NO_GROWTH, pendingFee, replaySwap, type SwapContext } from '../../protocols/curie/order-book.ts'
import { MAX_TICK, MIN_TICK, nextTickWithinOneWord, priceOfSqrtX96, sqrtRatioAtTickX96, swapStep, tickAtSqrtRatioX96, tickOfPrice } from '../../protocols/curie/uniswap-v3.ts'

const X96 = 2n ** 96n
const X128 = 2n ** 128n
const MAX = 2n ** 256n

describe('a step of a swap', () => {
  // v3-core test/SwapMath.spec.ts. Square roots of 1.01, 10 and 100, · 2^96.
  const [P1, P1_01, P10, P100] = [X96, 79623317895830914510639640423n, 250541448375047931186413801569n, 792281625142643375935439503360n]
  test.each([
    ['exact input, capped at the target price', [P1, P1_01, 2n * E18, E18, 600n], { amountIn: 9975124224178055n, fee: 5988667735148n, amountOut: 9925619580021728n, sqrtPriceX96: P1_01 }],
    ['exact output, capped at the target price', [P1, P1_01, 2n * E18, -E18, 600n], { amountIn: 9975124224178055n, fee: 5988667735148n, amountOut: 9925619580021728n, sqrtPriceX96: P1_01 }],
    ['exact input, fully spent', [P1, P10, 2n * E18, E18, 600n], { amountIn: 999400000000000000n, fee: 600000000000000n, amountOut: 666399946655997866n }],
    ['exact output, fully received', [P1, P100, 2n * E18, -E18, 600n], { amountIn: 2000000000000000000n, fee: 1200720432259356n, amountOut: E18 }],
    ['output capped at what is wanted', [417332158212080721273783715441582n, 1452870262520218020823638996n, 159344665391607089467575320103n, -1n, 1n], { amountIn: 1n, fee: 1n, amountOut: 1n, sqrtPriceX96: 417332158212080721273783715441581n }],
    ['a target price of 1', [2n, 1n, 1n, 3915081100057732413702495386755767n, 1n], { amountIn: 39614081257132168796771975168n, fee: 39614120871253040049813n, amountOut: 0n, sqrtPriceX96: 1n }],
    ['the whole input as fee', [2413n, 79887613182836312n, 1985041575832132834610021537970n, 10n, 1872n], { amountIn: 0n, fee: 10n, amountOut: 0n, sqrtPriceX96: 2413n }],
  ] as const)('behavior: %s', (_name, [current, target, liquidity, remaining, fee], expected) => {
    expect(swapStep(current, target, liquidity, remaining, fee)).toMatchObject(expected)
  })
})

describe('ticks', () => {
  // v3-core test/TickBitmap.spec.ts, spacing 1.
  const initialized = [-200, -55, -4, 70, 78, 84, 139, 240, 535]
  test.each([
    [78, false, 84, true], [-55, false, -4, true], [77, false, 78, true], [-56, false, -55, true], [255, false, 511, false], [-257, false, -200, true], [508, false, 511, false], [383, false, 511, false],
    [78, true, 78, true], [79, true, 78, true], [258, true, 256, false], [256, true, 256, false], [72, true, 70, true], [-257, true, -512, false], [1023, true, 768, false], [900, true, 768, false],
  ])('behavior: from %d, downwards %p, the next is %d, initialized %p', (tick, downwards, next, isInitialized) => {
    expect(nextTickWithinOneWord(initialized, tick, 1, downwards)).toEqual({ tick: next, initialized: isInitialized })
  })

  test('behavior: spacing rounds a negative tick down', () => {
    // −1 / 60 is −1 in whole spacings: downwards −60 is next, upwards 0.
    expect(nextTickWithinOneWord([-60, 0], -1, 60, true)).toEqual({ tick: -60, initialized: true })
    expect(nextTickWithinOneWord([-60, 0], -1, 60, false)).toEqual({ tick: 0, initialized: true })
  })

  test('property: a price stands at the greatest tick that is not above it', () => {
    fc.assert(
      fc.property(fc.integer({ min: MIN_TICK, max: MAX_TICK - 1 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (tick, share) => {
        const [from, to] = [sqrtRatioAtTickX96(tick), sqrtRatioAtTickX96(tick + 1)]
        expect(tickAtSqrtRatioX96(from)).toBe(tick)
        expect(tickAtSqrtRatioX96(to - 1n)).toBe(tick)
        expect(tickAtSqrtRatioX96(from + ((to - from) * BigInt(Math.floor(share * 2 ** 52))) / 2n ** 52n)).toBe(tick)
      }),
    )
  })

  test('property: a tick comes back out of its price in 18 decimals, from 1e-12 to 1e18', () => {
    fc.assert(fc.property(fc.integer({ min: -276_000, max: 414_000 }), (tick) => expect(tickOfPrice(priceOfSqrtX96(sqrtRatioAtTickX96(tick)))).toBe(tick)))
  })

  test('behavior: no tick has a price between two, and none is told from prices too low to tell', () => {
    expect(tickOfPrice(priceOfSqrtX96(sqrtRatioAtTickX96(80_000)) + 1n)).toBeNull()
    expect(tickOfPrice(1n)).toBeNull()
    expect(tickOfPrice(0n)).toBeNull()
  })
})

describe('growth', () => {
  const growth = (feeX128: bigint, twPremiumX96 = 0n) => ({ feeX128, twPremiumX96, twPremiumDivBySqrtPriceX96: 0n })
  const ends = { lowerTick: -60, upperTick: 60, lower: growth(10n, 7n), upper: growth(4n, 2n) }

  test('behavior: inside is the whole less what is below and above', () => {
    // In range 100 − 10 − 4; below it the lower tick's outside is inside-out: 100 − (100 − 10) − 4; above 100 − 10 − (100 − 4).
    expect([feeGrowthInsideX128(ends, 0, 100n), feeGrowthInsideX128(ends, -61, 100n), feeGrowthInsideX128(ends, 60, 100n)]).toEqual([86n, 6n, MAX - 6n])
    expect(fundingGrowthOfRange(ends, 0, growth(0n, 50n))).toMatchObject({ insideX96: 41n, belowX96: 7n })
    expect(fundingGrowthOfRange(ends, 60, growth(0n, 50n))).toMatchObject({ insideX96: -5n, belowX96: 7n })
  })

  test('behavior: a fee is right although the growth has wrapped', () => {
    // Noted at 2^256 − 3 · 2^128, now at 2 · 2^128: grew by 5 per unit of liquidity.
    expect(pendingFee(7n, 2n * X128, MAX - 3n * X128)).toBe(35n)
    expect(crossed(growth(5n, -3n), growth(2n, 1n))).toEqual(growth(MAX - 3n, 4n))
    expect(crossed(crossed(growth(5n, -3n), growth(2n, 1n)), growth(2n, 1n))).toEqual(growth(5n, -3n))
  })

  test('property: crossing a tick changes neither what is inside a range nor what is below it', () => {
    const amount = fc.bigInt({ min: 0n, max: MAX - 1n })
    const premium = fc.bigInt({ min: -(2n ** 255n), max: 2n ** 255n - 1n })
    fc.assert(
      fc.property(amount, amount, amount, premium, premium, premium, (globalX128, lowerX128, upperX128, global, lower, upper) => {
        const now = growth(globalX128, global)
        const before = { ...ends, lower: growth(lowerX128, lower), upper: growth(upperX128, upper) }
        const after = { ...before, upper: crossed(before.upper, now) }
        expect(feeGrowthInsideX128(after, 60, globalX128)).toBe(feeGrowthInsideX128(before, 59, globalX128))
        expect(fundingGrowthOfRange(after, 60, now)).toEqual(fundingGrowthOfRange(before, 59, now))
      }),
    )
  })
})

describe('a replayed swap', () => {
  const context = (more: Partial<SwapContext> = {}): SwapContext => ({ sqrtPriceX96: X96, tick: 0, liquidity: 10n ** 21n, tickSpacing: 60, initialized: [-600, 600], liquidityNet: (tick) => (tick < 0 ? 10n ** 21n : -(10n ** 21n)), feeGrowthGlobalX128: 0n, feeRatioE6: 10_000n, insuranceFundFeeRatioE6: 100_000n, ...more })

  test('behavior: a buyer pays the ratio of what is put in, and makers get what the insurance fund leaves', () => {
    // 1 % of 1 quote, of which 10 % goes to the fund: 0.009 over a liquidity of 1000.
    const { feeE18, feeGrowthGlobalX128, crossings } = replaySwap(context(), { quoteInE18: E18 })
    expect(feeE18).toBe(10n ** 16n)
    expect(feeGrowthGlobalX128).toBe((9n * 10n ** 15n * X128) / 10n ** 21n)
    expect(crossings).toEqual([])
  })

  test('behavior: a seller pays the ratio of what comes out, and each step rounds up', () => {
    const toX96 = sqrtRatioAtTickX96(-300)
    const { feeE18, tick } = replaySwap(context(), { toX96, quoteOutE18: 12_345n })
    expect([feeE18, tick]).toEqual([124n, -300])
  })

  test('behavior: the growth wraps where the contract\'s does', () => {
    const { feeGrowthGlobalX128 } = replaySwap(context({ feeGrowthGlobalX128: MAX - 1n }), { quoteInE18: E18 })
    expect(feeGrowthGlobalX128).toBe((9n * 10n ** 15n * X128) / 10n ** 21n - 1n)
  })

  test('behavior: nothing grows where there is no liquidity, and ticks are crossed with the growth of the moment', () => {
    const toX96 = sqrtRatioAtTickX96(900)
    const { feeGrowthGlobalX128, crossings, liquidity, tick } = replaySwap(context(), { toX96, quoteOutE18: 0n })
    expect([liquidity, tick]).toEqual([0n, 900])
    expect(crossings).toEqual([{ tick: 600, feeGrowthGlobalX128 }])
  })

  test('property: along a path in two parts is along the whole, but for what each part rounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: -5_000, max: 5_000 }), fc.integer({ min: 1, max: 5_000 }), (middle, beyond) => {
        const to = middle < 0 ? middle - beyond : middle + beyond
        const wide = context({ initialized: [-60_000, 60_000] })
        const whole = replaySwap(wide, { toX96: sqrtRatioAtTickX96(to), quoteOutE18: 10n ** 30n })
        const first = replaySwap(wide, { toX96: sqrtRatioAtTickX96(middle), quoteOutE18: 10n ** 30n })
        const second = replaySwap({ ...wide, ...first }, { toX96: sqrtRatioAtTickX96(to), quoteOutE18: 10n ** 30n })
        const apart = first.feeE18 + second.feeE18 - whole.feeE18
        expect(apart >= -2n && apart <= 2n).toBe(true)
        expect([second.tick, second.liquidity]).toEqual([whole.tick, whole.liquidity])
      }),
    )
  })

  test('behavior: where nothing has happened nothing has grown', () => {
    expect(feeGrowthInsideX128({ lowerTick: 0, upperTick: 60, lower: NO_GROWTH, upper: NO_GROWTH }, 30, 0n)).toBe(0n)
  })
})
