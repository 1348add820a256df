import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import {
  accountShortfall, breakerLevel, depthWithin, dynamicMargin, fundTarget, haircut, liquidationPenalty, moveOf, poolImpact, priceBand,
  quantityForImpact, scenarioShortfall, squareRootImpact, stalenessLoss, ticksOf, withStressWeight, type StressAccount,
} from '../../api/risk/index.ts'

describe('circuit breaker', () => {
  test('behavior: six 5-minute volatilities, or the floor, or the spread that trades usually show', () => {
    expect(priceBand({ sigma5Min: 0.0041, k: 6, floor: 0.01, usualSpread: 0 })).toEqual({ band: 6 * 0.0041, binding: 'volatility' })
    expect(priceBand({ sigma5Min: 0.0001, k: 6, floor: 0.01, usualSpread: 0 })).toEqual({ band: 0.01, binding: 'floor' })
    expect(priceBand({ sigma5Min: 0.0041, k: 6, floor: 0.01, usualSpread: 0.03 }).binding).toBe('usual spread')
  })

  test('vector: 1000 ticks are 10.5 %, a band of 2.5 % is 247 ticks, and no band asks for more than 1000', () => {
    expect(moveOf(1000)).toBeCloseTo(0.105165, 6)
    // ln 1.025 / ln 1.0001 = 0.0246926 / 0.000099995 = 246.94.
    expect(ticksOf(0.025)).toBe(247)
    expect(ticksOf(0.5)).toBe(1000)
    expect(ticksOf(0)).toBe(0)
  })

  test('property: more volatility never narrows the band, and ticks round-trip', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.05, noNaN: true }), fc.double({ min: 0, max: 0.05, noNaN: true }), (a, b) => {
        const band = (s: number): number => priceBand({ sigma5Min: s, k: 6, floor: 0.01, usualSpread: 0 }).band
        expect(band(Math.max(a, b))).toBeGreaterThanOrEqual(band(Math.min(a, b)))
      }),
    )
    fc.assert(fc.property(fc.integer({ min: 0, max: 1000 }), (t) => ticksOf(moveOf(t)) === t))
  })

  test('vector: an hour of staleness at 60 % and z 3 hides 1.923 %', () => {
    expect(stalenessLoss(3, 0.6, 3600)).toBeCloseTo(0.01923, 5)
  })

  test('behavior: WATCH names each alarm, and an unknown signal raises none', () => {
    const calm = { oracleAgeSec: null, heartbeatSec: 1200, deviation: null, deviationLimit: null, oracleImpaired: false }
    expect(breakerLevel(calm)).toEqual({ level: 'NORMAL', reasons: [] })
    const alarm = breakerLevel({ ...calm, oracleAgeSec: 1500, deviation: 0.05, deviationLimit: 0.025, oracleImpaired: true })
    expect(alarm.level).toBe('WATCH')
    expect(alarm.reasons).toHaveLength(3)
  })
})

describe('liquidity', () => {
  test('vector: 5 % volatility, 1 M of 1 B is 0.158 %, and its inverse gives 1 M back', () => {
    const impact = squareRootImpact({ dailyVolatility: 0.05, quantity: 1e6, dailyVolume: 1e9 })
    expect(impact).toBeCloseTo(0.00158, 5)
    expect(quantityForImpact({ impact, dailyVolatility: 0.05, dailyVolume: 1e9 })).toBeCloseTo(1e6, 3)
  })

  test('behavior: depth of one full range follows L(√P_u − √P) and L(1/√P − 1/√P_u)', () => {
    // L 1000, price 1, 200 ticks: √(1.0001^200) = e^0.0099995 = 1.0100497.
    const depth = depthWithin([{ lowerTick: -10_000, upperTick: 10_000, liquidity: 1000 }], 1, 200)
    expect(depth.quoteUp).toBeCloseTo(10.0497, 3)
    expect(depth.baseUp).toBeCloseTo(1000 * (1 - 1 / 1.0100497), 3)
    expect(depth.quoteDown).toBeCloseTo(depth.baseUp, 9)
  })

  test('behavior: two ranges cut anywhere hold what the whole holds', () => {
    const whole = depthWithin([{ lowerTick: -600, upperTick: 600, liquidity: 50 }], 1.001, 400)
    const cut = depthWithin([{ lowerTick: -600, upperTick: 60, liquidity: 50 }, { lowerTick: 60, upperTick: 600, liquidity: 50 }], 1.001, 400)
    expect(cut.quoteUp).toBeCloseTo(whole.quoteUp, 9)
    expect(cut.quoteDown).toBeCloseTo(whole.quoteDown, 9)
  })

  test('behavior: slippage of a constant-product trade, by hand', () => {
    // One range is x·y = L²: at price 1 with L 1000, selling 10 base gives 1000 − 1000²/1010 = 9.90099 quote: 0.990 % under the price.
    expect(poolImpact([{ lowerTick: -100_000, upperTick: 100_000, liquidity: 1000 }], 1, 10, 'down')).toBeCloseTo(0.00990099, 8)
    // Buying 10 base costs 1000²/990 − 1000 = 10.10101.
    expect(poolImpact([{ lowerTick: -100_000, upperTick: 100_000, liquidity: 1000 }], 1, 10, 'up')).toBeCloseTo(0.010101, 6)
  })

  test('behavior: more than the ranges hold has no price', () => {
    expect(poolImpact([{ lowerTick: -100, upperTick: 100, liquidity: 10 }], 1, 5, 'down')).toBeNull()
    expect(poolImpact([], 1, 1, 'up')).toBeNull()
  })
})

describe('haircut', () => {
  test('vector: z 2.326, 4.5 %, 1 h, Q/V 0.005 is 2.1369 + 0.3182 = 2.4551 %', () => {
    const impact = squareRootImpact({ dailyVolatility: 0.045, quantity: 0.005, dailyVolume: 1 })
    const result = haircut({ z: 2.326, dailyVolatility: 0.045, horizonHours: 1, impact, floor: 0 })
    expect(result.components[0]?.value).toBeCloseTo(0.021366, 5)
    expect(impact).toBeCloseTo(0.003182, 6)
    // The published sum rounds z·σ·√(1/24) to 2.1369 %; exact is 2.1366 %.
    expect(result.haircut).toBeCloseTo(0.024548, 5)
    expect(result.collateralRatio).toBeCloseTo(1 - 0.024548, 5)
  })

  test('property: a haircut grows with volatility, size and horizon and stays within 0 to 1', () => {
    const up = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(up, up, up, up, (sigma, impact, hours, more) => {
        const at = (s: number, i: number, h: number): number => haircut({ z: 2.326, dailyVolatility: s, horizonHours: h * 24, impact: i, floor: 0.05 }).haircut
        const base = at(sigma, impact, hours)
        expect(base).toBeGreaterThanOrEqual(0.05)
        expect(base).toBeLessThanOrEqual(1)
        for (const bigger of [at(sigma + more, impact, hours), at(sigma, impact + more, hours), at(sigma, impact, hours + more)]) expect(bigger).toBeGreaterThanOrEqual(base)
      }),
    )
  })

  test('behavior: a quarter of the weight on stress', () => {
    expect(withStressWeight(0.02, 0.28, 0.25)).toBeCloseTo(0.085, 12)
    expect(() => withStressWeight(0.02, 0.28, 25)).toThrow(BadInputError)
  })
})

describe('liquidation penalty', () => {
  const input = { impact: 0.004, tradingFee: 0.001, gasCost: 1, notional: 1000, z: 2.326, sigmaPerBar: 0.002, barSec: 300, latencySec: 75, keeperShare: 0.5, profitMargin: 0, maintenanceMargin: 0.0625, capShare: 0.5 }
  test('behavior: pays impact, fee, gas and latency out of the keeper’s half', () => {
    // 0.4 % + 0.1 % + 0.1 % + 2.326·0.2 %·√¼ = 0.8326 %; the keeper gets half, so 1.6652 %.
    expect(liquidationPenalty(input).penalty).toBeCloseTo(0.016652, 6)
    expect(liquidationPenalty(input).capped).toBe(false)
  })
  test('behavior: is capped at half of the maintenance margin, and says so', () => {
    const capped = liquidationPenalty({ ...input, impact: 0.05 })
    expect(capped.penalty).toBe(0.03125)
    expect(capped.capped).toBe(true)
  })
})

describe('insurance fund', () => {
  const flat = (change: number, impact = 0) => ({ id: 'x', changeOf: () => change, costOf: () => impact })
  const long: StressAccount = { id: 'a', cash: -90, positions: [{ asset: 'ETH', value: 100 }], ranges: [], collateral: [], maintenanceMargin: 0.0625 }

  test('behavior: a 10× long loses what a 15 % fall takes beyond its equity, plus the cost of closing', () => {
    expect(accountShortfall(long, flat(-0.15))).toBeCloseTo(5, 12)
    // 1 % of the 85 that are left to close.
    expect(accountShortfall(long, flat(-0.15, 0.01))).toBeCloseTo(5.85, 12)
  })
  test('behavior: nothing is lost by an account that keeps its margin, and closing costs are paid by equity first', () => {
    expect(accountShortfall(long, flat(-0.03, 0.5))).toBe(0)
    // After −5 % it is liquidatable with 5 of equity; closing 95 at 1 % costs 0.95.
    expect(accountShortfall(long, flat(-0.05, 0.01))).toBe(0)
  })
  test('behavior: other collateral falls with the market and then pays', () => {
    expect(accountShortfall({ ...long, cash: -100, collateral: [{ asset: 'ETH', counted: 10, recovered: 10 }] }, flat(-0.2))).toBeCloseTo(12, 12)
  })
  test('behavior: a maker loses what its range gives up, by the constant-product formula', () => {
    // Full range x·y = 1000² at price 1 holds 1000 and 1000. At price 0.64 it holds 1250 base and 800 quote: 1600 against debts of 640 + 1000.
    const maker: StressAccount = { id: 'm', cash: 10, positions: [], ranges: [{ asset: 'ETH', price: 1, range: { lowerTick: -400_000, upperTick: 400_000, liquidity: 1000 }, baseDebt: 1000, quoteDebt: 1000 }], collateral: [], maintenanceMargin: 0.0625 }
    expect(accountShortfall(maker, flat(-0.36))).toBeCloseTo(30, 4)
  })
  test('property: homogeneous without impact, mirrored for shorts, and the worst of two sets is the worse of the two', () => {
    const n = fc.double({ min: -1000, max: 1000, noNaN: true })
    fc.assert(
      fc.property(n, n, n, fc.double({ min: 0.1, max: 10, noNaN: true }), fc.double({ min: -0.9, max: 0.9, noNaN: true }), (equity, eth, btc, k, change) => {
        const account = (f: number, sign = 1): StressAccount => ({ id: 'a', cash: (equity - sign * (eth + btc)) * f, positions: [{ asset: 'ETH', value: sign * eth * f }, { asset: 'BTC', value: sign * btc * f }], ranges: [], collateral: [], maintenanceMargin: 0 })
        expect(accountShortfall(account(k), flat(change))).toBeCloseTo(k * accountShortfall(account(1), flat(change)), 6)
        expect(accountShortfall(account(1, -1), flat(-change))).toBeCloseTo(accountShortfall(account(1), flat(change)), 9)
        const a = scenarioShortfall([account(1)], flat(change))
        const b = scenarioShortfall([account(1)], flat(-change))
        const target = (list: (typeof a)[]): number => fundTarget(list, 0, 0).cover2
        expect(target([a, b])).toBe(Math.max(target([a]), target([b])))
      }),
    )
  })
  test('behavior: target is the largest of cover-2, the mean of the worst quarter, and κ of open interest', () => {
    const s = (id: string, total: number, cover1: number, cover2: number) => ({ id, total, cover1, cover2, accountsInLoss: 3 })
    const list = [s('a', 100, 40, 70), s('b', 60, 30, 50), s('c', 0, 0, 0), s('d', 10, 10, 10), s('e', 0, 0, 0)]
    // ⌈5/4⌉ = 2 worst: (100 + 60)/2 = 80 > cover-2 70 > 1 % of 5,000.
    expect(fundTarget(list, 5000, 0.01)).toMatchObject({ target: 80, binding: 'expected shortfall over scenarios', cover1: 40, cover2: 70, worst: { id: 'a' } })
    expect(fundTarget(list, 50_000, 0.01)).toMatchObject({ target: 500, binding: 'share of open interest' })
  })
})

describe('dynamic margin', () => {
  const input = { initialNow: 0.06, initialLongRun: 0.05, maintenanceNow: 0.03, maintenanceLongRun: 0.025, impact: 0.005, penalty: 0.025, buffer: 0.25, minRatio: 1.3, min: 0.02, max: 0.5 }
  test('behavior: by hand, 1.25·6 % + 0.5 % = 8 % and 3 % + 0.5 % + 2.5 % = 6 %', () => {
    const result = dynamicMargin(input)
    expect(result.initial).toBeCloseTo(0.08, 12)
    expect(result.maintenance).toBeCloseTo(0.06, 12)
    expect(result.binding).toBe('current volatility')
  })
  test('property: margins grow with either shortfall, and IM / MM stays at 1.3 or above', () => {
    const u = fc.double({ min: 0, max: 0.3, noNaN: true })
    fc.assert(
      fc.property(u, u, u, u, u, (a, b, c, d, more) => {
        const at = (x: number, y: number) => dynamicMargin({ ...input, initialNow: x, initialLongRun: b, maintenanceNow: y, maintenanceLongRun: d })
        const one = at(a, c)
        const two = at(a + more, c + more)
        expect(two.initial).toBeGreaterThanOrEqual(one.initial - 1e-12)
        expect(two.maintenance).toBeGreaterThanOrEqual(one.maintenance - 1e-12)
        expect(one.initial / one.maintenance).toBeGreaterThanOrEqual(1.3 - 1e-9)
      }),
    )
  })
})
