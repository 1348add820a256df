import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accountShortfall, accountUnder, stressScenario } from '../../api/risk/index.ts'
import { assumedBetas, createContext, shockFrom, stressAccounts } from '../../api/recommendations/context.ts'
import type { RunInputs } from '../../api/recommendations/inputs.ts'
import type { Address } from '../../protocols/adapter.ts'
import { accountHealth } from '../../protocols/curie/margin.ts'
import { book, ETH, FEEDS, normals, OP, sqrtX96, WETH } from './book.ts'

const whole = (x: number): bigint => BigInt(Math.round(x * 1e9)) * 10n ** 9n

describe('stress accounts against the protocol’s own arithmetic', () => {
  test('vector: an account that counts 85 % of its collateral and would recover 95 % is due on the first and owes by the second', () => {
    // 20 vETH at 3,000 bought for 69,200, and 5 WETH. Account value 60,000 − 69,200 + 15,000·0.85 = 3,550, below 6.25 % of 60,000 = 3,750.
    const inputs: RunInputs = { ...book(), accounts: [{ id: '0xa', settlementBalance: '0', owedRealizedPnlE18: '0', positions: [{ market: ETH, sizeE18: whole(20).toString(), openNotionalE18: whole(-69_200).toString() }], collaterals: [{ asset: WETH, amount: whole(5).toString() }] }] }
    const context = createContext(inputs)
    const [account] = stressAccounts(context)
    const at = (change: number) => accountUnder(account!, { id: 's', changeOf: () => change, costOf: () => 0.025 })
    const still = at(0)
    expect(still.value).toBeCloseTo(3_550, 9)
    expect(account!.maintenanceMargin * still.gross).toBeCloseTo(3_750, 9)
    // 60,000 − 69,200 + 15,000·0.95; closing at the penalty of 2.5 % takes 1,500 of it.
    expect(still.recoverable).toBeCloseTo(5_050, 9)
    expect(accountShortfall(account!, { id: 's', changeOf: () => 0, costOf: () => 0.025 })).toBe(0)
    // At −7 %: 55,800 − 69,200 + 13,950·0.95 = −147.50, and 1,395 for closing.
    expect(accountShortfall(account!, { id: 's', changeOf: () => -0.07, costOf: () => 0.025 })).toBeCloseTo(1_542.5, 9)
  })

  test('property: at any shock the value is the account value of accountHealth at the shocked prices, ranges included', () => {
    const size = fc.integer({ min: -1_000, max: 1_000 })
    const tick = fc.integer({ min: 10, max: 200 })
    fc.assert(
      fc.property(
        fc.record({ eth: size, op: size, ethQuote: size, opQuote: size, cash: size, owed: size, weth: fc.integer({ min: 0, max: 100 }), liquidity: fc.integer({ min: 0, max: 5_000 }), below: tick, above: tick, change: fc.integer({ min: -60, max: 60 }) }),
        ({ eth, op, ethQuote, opQuote, cash, owed, weth, liquidity, below, above, change }) => {
          const lowerTick = 80_040 - below * 60
          const upperTick = 80_040 + above * 60
          const base = book()
          const inputs: RunInputs = {
            ...base,
            markets: base.markets.map((m) => (m.id === ETH ? { ...m, ranges: [{ account: '0xa', lowerTick, upperTick, liquidity: whole(liquidity).toString(), baseDebtE18: whole(3).toString(), quoteDebtE18: whole(5_000).toString() }] } : m)),
            accounts: [
              {
                id: '0xa', settlementBalance: (BigInt(cash) * 1_000_000n).toString(), owedRealizedPnlE18: whole(owed).toString(),
                positions: [{ market: ETH, sizeE18: whole(eth).toString(), openNotionalE18: whole(ethQuote * 1_000).toString() }, { market: OP, sizeE18: whole(op).toString(), openNotionalE18: whole(opQuote).toString() }],
                collaterals: [{ asset: WETH, amount: whole(weth).toString() }],
              },
            ],
          }
          const [account] = stressAccounts(createContext({ ...inputs, series: [] }))
          if (account === undefined) throw new Error('no account')
          const found = accountUnder(account, { id: 's', changeOf: () => change / 100, costOf: () => 0 })

          const price = (p: number): bigint => (whole(p) * BigInt(100 + change)) / 100n
          const health = accountHealth(
            {
              settlementBalance: BigInt(cash) * 1_000_000n, owedRealizedPnlE18: whole(owed), pendingFundingE18: 0n, pendingFeeE18: 0n,
              collaterals: [{ token: WETH as Address, amount: whole(weth), decimals: 18, priceE18: price(3_000), collateralRatioE6: 850_000n }],
              positions: [
                { market: ETH as Address, sizeE18: whole(eth), openNotionalE18: whole(ethQuote * 1_000), markPriceE18: price(3_000), indexPriceE18: null, sqrtPriceX96: BigInt(sqrtX96(30 * (100 + change))), ranges: [{ lowerTick, upperTick, liquidity: whole(liquidity), baseDebtE18: whole(3), quoteDebtE18: whole(5_000) }] },
                { market: OP as Address, sizeE18: whole(op), openNotionalE18: whole(opQuote), markPriceE18: price(2), indexPriceE18: null, ranges: [] },
              ],
            },
            { settlementDecimals: 6, imRatioE6: 100_000n, mmRatioE6: 62_500n, mmRatioBufferE6: 0n, debtNonSettlementTokenValueRatioE6: 750_000n, debtThreshold: 1n },
          )
          // float64 against integers: a millionth of a dollar per million dollars of exposure.
          const scale = 1e-9 * (Math.abs(found.gross) + 1e7)
          expect(Math.abs(found.value - Number(health.accountValueE18 / 10n ** 9n) / 1e9)).toBeLessThan(scale)
          // 85 % counts, 95 % is recovered.
          expect(Math.abs(found.recoverable - found.value - 0.1 * weth * 30 * (100 + change))).toBeLessThan(scale)
          expect(Math.abs(found.gross - Number(health.totalAbsPositionValueE18 / 10n ** 9n) / 1e9)).toBeLessThan(scale)
        },
      ),
    )
  })
})

describe('the shock of a market outside BTC and ETH', () => {
  /** A price every 5 minutes for 30 days, from log returns. */
  const series = (feed: string, last: number, returns: readonly number[]): RunInputs['series'][number] => {
    const { asOfSec } = book()
    const logs: number[] = []
    for (const r of returns) logs.push((logs.at(-1) ?? 0) + r)
    return { feed, startSec: asOfSec - returns.length * 300, endSec: asOfSec, bars: logs.map((log, i) => [i, whole(last * Math.exp(log)).toString()] as const) }
  }
  const n = 30 * 288
  const eth = normals(n, 13).map((z) => 0.002 * z)
  const noise = normals(n, 19).map((z) => 0.004 * z)
  const context = (op: readonly number[]) => createContext({ ...book(), series: [series(FEEDS.OP, 2, op), series(FEEDS.ETH, 3_000, eth)] })

  test('behavior: it is the worse of the two times its beta to ETH, not times the ratio of their volatilities', () => {
    const own = context(eth.map((r, i) => 1.5 * r + (noise[i] as number)))
    // √(1.5² + 2²) = 2.5 is the ratio of volatilities; the slope's error over 720 hours is 2/√720.
    const beta = own.beta(FEEDS.OP, 'OTHER')
    expect(Math.abs(beta - 1.5)).toBeLessThan(3 * (2 / Math.sqrt(720)))
    const scenario = stressScenario('terra-2022-05-12', 'severe')
    expect(shockFrom(own, scenario).changeOf(OP)).toBeCloseTo(-0.124 * beta, 12)
    expect(shockFrom(own, scenario).changeOf(ETH)).toBe(-0.124)
  })

  test('behavior: a beta that nobody could measure is an assumption, and says which', () => {
    const own = context(eth.map((r, i) => 1.5 * r + (noise[i] as number)))
    expect(assumedBetas(own)).toEqual([])
    // No bars at all: nothing is shared, and no volatility is known.
    const blind = createContext({ ...own.inputs, series: own.inputs.series.filter(({ feed }) => feed !== FEEDS.OP) })
    expect(blind.beta(FEEDS.OP, 'OTHER')).toBe(1)
    expect(assumedBetas(blind)).toEqual([{ symbol: 'vOP', why: 'it shares too few hourly returns with a market of BTC or ETH, and a volatility is unknown: it is moved like the worse of them' }])
    // Neither needs one, and a market that stands still is not moved.
    expect(blind.betaAssumed(FEEDS.ETH, 'ETH')).toBeNull()
    expect(assumedBetas(createContext({ ...blind.inputs, markets: blind.inputs.markets.map((m) => (m.id === OP ? { ...m, heldPriceE18: '2000000000000000000' } : m)) }))).toEqual([])
  })

  test('behavior: a context without the series has the betas that it was given', () => {
    const own = context(eth.map((r, i) => 1.5 * r + (noise[i] as number)))
    const head = createContext({ ...own.inputs, series: [] }, new Map(), new Map([[FEEDS.OP, { beta: own.beta(FEEDS.OP, 'OTHER'), assumed: own.betaAssumed(FEEDS.OP, 'OTHER') }]]))
    expect(head.beta(FEEDS.OP, 'OTHER')).toBe(own.beta(FEEDS.OP, 'OTHER'))
  })

  test('behavior: a price that moves less, or against them, falls as much as the worse of them', () => {
    expect(context(eth.map((r) => 0.5 * r)).beta(FEEDS.OP, 'OTHER')).toBe(1)
    expect(context(eth.map((r) => -2 * r)).beta(FEEDS.OP, 'OTHER')).toBe(1)
  })
})
