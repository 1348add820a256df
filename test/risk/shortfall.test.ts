import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import {
  accountShortfall, createRandom, DEFAULT_LIQUIDATION_RULES, feeToTarget, fillingAtFee, insuranceTarget, jointResiduals, jointReturns, lossHistogram, quantileInterval, SampleTooSmallError, simulatePaths, simulateShortfall, summariseShortfall, toBars,
  type ShortfallOptions, type StressAccount,
} from '../../api/risk/index.ts'

const rules = { ...DEFAULT_LIQUIDATION_RULES, penalty: 0, wholeUpTo: 0 }
const coin = { kind: 'fhs' as const, residuals: [Float64Array.of(-1, 1)], sigmaPerBar: [0.1], lambda: 1 }
const base: ShortfallOptions = { assets: ['ETH'], source: coin, steps: 3, barSec: 300, paths: 4000, seed: 7, capacityPerStep: () => 0, costOf: () => 0, rules, level: 0.9, confidence: 0.95 }
const long: StressAccount = { id: 'a', cash: -90, positions: [{ asset: 'ETH', value: 100 }], ranges: [], collateral: [], maintenanceMargin: 0.0625 }

describe('simulated shortfall', () => {
  test('second method: three throws of a coin have eight equal ends, whose mean the simulation finds', () => {
    const exact = [-3, -1, -1, -1, 1, 1, 1, 3].map((ups) => accountShortfall(long, { id: 'x', changeOf: () => Math.expm1(ups * 0.1), costOf: () => 0.01 }))
    const result = simulateShortfall([long], { ...base, costOf: () => 0.01 })
    expect(Math.abs(result.mean - exact.reduce((a, b) => a + b, 0) / 8)).toBeLessThan(4 * result.standardError)
    // −3 leaves 90 − 74.08 and 1 % of 74.08; it happens once in eight, so the 90 % quantile is that loss.
    expect(result.quantile.value).toBeCloseTo(90 - 100 * Math.exp(-0.3) * 0.99, 9)
    expect(result.worst.changes['ETH']).toBeCloseTo(Math.expm1(-0.3), 12)
    expect(result.meanPerDay).toBeCloseTo(result.mean * 96, 9)
  })
  test('behavior: liquidators that come in time leave no loss where the price falls slowly, none come without capacity', () => {
    const falling = { ...coin, residuals: [Float64Array.of(-1)], sigmaPerBar: [0.04] }
    // Equity of 10 on 100: at −4 % 6.08 against a requirement of 6.0; at −8 % 2.3, taken whole with nothing lost.
    const run = (capacityPerStep: () => number) => simulateShortfall([long], { ...base, source: falling, steps: 6, paths: 10, capacityPerStep })
    expect(run(() => 1e9)).toMatchObject({ mean: 0, lossShare: 0, capacityBoundShare: 0 })
    const late = run(() => 0)
    expect(late.mean).toBeCloseTo(90 - 100 * Math.exp(-0.24), 9)
    expect(late.capacityBoundShare).toBe(1)
    const some = run(() => 20)
    expect(some.mean).toBeGreaterThan(0)
    expect(some.mean).toBeLessThan(late.mean)
  })
  test('behavior: capacity goes to the furthest below first, and costs grow with what the bar has already seen', () => {
    const twice = [long, { ...long, id: 'b', cash: -96 }]
    const crash = { ...coin, residuals: [Float64Array.of(-1)], sigmaPerBar: [0.02] }
    // After −2 %: 98.0199 of notional. b has 2.02 and is closed whole; a has 8.02 of 6.13 and is not due. Impact is notional/10,000.
    const result = simulateShortfall(twice, { ...base, source: crash, steps: 1, paths: 1, capacityPerStep: () => 1e9, costOf: (_, q) => q / 10_000 })
    expect(result.meanLiquidatedNotional).toBeCloseTo(100 * Math.exp(-0.02), 9)
    expect(result.mean).toBe(0)
  })
  test('behavior: makers’ ranges lose what a constant product loses', () => {
    // As in the fund's test: 1600 against debts of 640 + 1000 and 10 of cash at −36 %.
    const maker: StressAccount = { id: 'm', cash: 10, positions: [], ranges: [{ asset: 'ETH', price: 1, range: { lowerTick: -400_000, upperTick: 400_000, liquidity: 1000 }, baseDebt: 1000, quoteDebt: 1000 }], collateral: [], maintenanceMargin: 0.0625 }
    const crash = { ...coin, residuals: [Float64Array.of(-1)], sigmaPerBar: [-Math.log(0.64)] }
    for (const capacity of [0, 1e9]) expect(simulateShortfall([maker], { ...base, source: crash, steps: 1, paths: 1, capacityPerStep: () => capacity }).mean).toBeCloseTo(30, 4)
  })
  test('behavior: the same seed gives the same bytes, another seed others, and paths do not depend on how many there are', () => {
    const one = simulateShortfall([long], base)
    expect(simulateShortfall([long], base)).toEqual(one)
    expect(simulateShortfall([long], { ...base, seed: 8 }).mean).not.toBe(one.mean)
    const few = simulateShortfall([long], { ...base, paths: 50 })
    expect(simulateShortfall([long], { ...base, paths: few.worst.path + 1 }).worst).toEqual(few.worst)
  })
  test('property: homogeneous without impact, and equal to the static shortfall where nobody is liquidated', () => {
    // In cents, and scaled by powers of two, which rounds nothing: who is due, and in which order, is the same to the last bit.
    const cents = (min: number, max: number) => fc.integer({ min: 100 * min, max: 100 * max }).map((n) => n / 100)
    const row = fc.tuple(cents(-100, 100), cents(-100, 100), cents(0, 60), cents(0, 30))
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 6 }), fc.constantFrom(0.125, 0.5, 2, 8), cents(0, 200), (rows, k, capacity) => {
        const book = (f: number) => rows.map(([eth, op, equity, weth], i): StressAccount => ({ id: `a${i}`, cash: (equity - eth - op - weth) * f, positions: [{ asset: 'ETH', value: eth * f }, { asset: 'OP', value: op * f }], ranges: [], collateral: [{ asset: 'WETH', counted: 0.7 * weth * f, recovered: weth * f }], maintenanceMargin: 0.0625 }))
        const source = { kind: 'fhs' as const, residuals: [Float64Array.of(-1.5, 0.3, 1, -0.2), Float64Array.of(-2, 1, 0.5, 0.1), Float64Array.of(-1.5, 0.3, 1, -0.2)], sigmaPerBar: [0.08, 0.1, 0.08], lambda: 0.9 }
        const at = (f: number, c: number, steps: number) => simulateShortfall(book(f), { ...base, assets: ['ETH', 'OP', 'WETH'], source, steps, paths: 8, capacityPerStep: () => c })
        const one = at(1, capacity, 4)
        expect(at(k, capacity * k, 4).mean).toBe(k * one.mean)
        const still = at(1, 0, 2)
        const direct = book(1).reduce((sum, a) => sum + accountShortfall(a, { id: 'x', changeOf: (asset) => still.worst.changes[asset] ?? 0, costOf: () => 0 }), 0)
        expect(still.worst.loss).toBeCloseTo(direct, 6)
      }),
      { numRuns: 60 },
    )
  })
  test('behavior: a run in parts, in any order, is the run in one go; a missing part is refused', () => {
    const whole = simulateShortfall([long], base)
    const part = (from: number, to: number) => simulatePaths([long], base, { from, to })
    const parts = [part(1500, 4000), part(0, 1), part(1, 1500)]
    const found = summariseShortfall(parts, base)
    expect({ ...found, meanLiquidatedNotional: 0 }).toEqual({ ...whole, meanLiquidatedNotional: 0 })
    expect(found.meanLiquidatedNotional).toBeCloseTo(whole.meanLiquidatedNotional, 9)
    expect(() => summariseShortfall(parts.slice(1), base)).toThrow(/1500 paths/)
    expect(() => summariseShortfall([...parts, part(0, 1)], base)).toThrow(BadInputError)
    expect(() => part(0, 4001)).toThrow(/split the run/)
  })
  test('behavior: positions whose price stands still ask for margin and are not closed', () => {
    // 10 of equity on 100 of ETH and 100 that stand still: 12.5 asked for, so it is due at once, and only ETH is closed.
    const still: StressAccount = { ...long, cash: -190, positions: [{ asset: 'ETH', value: 100 }, { asset: 'PAUSED', value: 100 }] }
    const source = { ...coin, residuals: [Float64Array.of(1)], sigmaPerBar: [0] }
    expect(simulateShortfall([still], { ...base, source, steps: 1, paths: 1, capacityPerStep: () => 1e9, rules: { ...rules, fullBelow: 1 } }).meanLiquidatedNotional).toBe(100)
    expect(simulateShortfall([long], { ...base, source, steps: 1, paths: 1, capacityPerStep: () => 1e9, rules: { ...rules, fullBelow: 1 } }).meanLiquidatedNotional).toBe(0)
  })
  test('behavior: blocks of the past come whole', () => {
    // Blocks of two: a fall always follows its rise, so no path ends away from where it began.
    const source = { kind: 'blockBootstrap' as const, returns: [Float64Array.of(0.5, -0.5)], blockBars: 2 }
    expect(simulateShortfall([long], { ...base, source, steps: 4, paths: 20 }).worst.changes['ETH']).toBeCloseTo(0, 12)
  })
  test('error: names the field of a simulation that cannot run', () => {
    expect(() => simulateShortfall([long], { ...base, paths: 0 })).toThrow(/paths/)
    expect(() => simulateShortfall([long], { ...base, assets: ['ETH', 'BTC'] })).toThrow(BadInputError)
    expect(() => simulateShortfall([long], { ...base, source: { kind: 'blockBootstrap', returns: [Float64Array.of(1)], blockBars: 2 } })).toThrow(/blocks of 2/)
  })
})

describe('quantile with its interval', () => {
  test('vector: the median of 20 lies between the 6th and the 15th at 95 % (David, Nagaraja, §7.1)', () => {
    const sample = Float64Array.from({ length: 20 }, (_, i) => i + 1)
    expect(quantileInterval(sample, 0.5, 0.95)).toEqual({ level: 0.5, value: 10, confidence: 0.95, lower: 6, upper: 15 })
  })
  test('behavior: no upper end where the sample does not reach it', () => {
    expect(quantileInterval(Float64Array.from({ length: 100 }, (_, i) => i), 0.999, 0.95).upper).toBeNull()
    // The number above the quantile is nearly Poisson(10): P(K ≥ 18) = 1.4 %, P(K ≥ 4) = 98.97 %, so the 9983rd and the 9997th of 0, 1, 2 …
    expect(quantileInterval(Float64Array.from({ length: 10_000 }, (_, i) => i), 0.999, 0.95)).toMatchObject({ value: 9989, lower: 9982, upper: 9996 })
  })
  test('second method: the interval holds the true quantile as often as it says', () => {
    let hits = 0
    const tries = 400
    for (let k = 0; k < tries; k++) {
      const random = createRandom(3, k)
      const found = quantileInterval(Float64Array.from({ length: 100 }, () => random.next()).sort(), 0.9, 0.9)
      if (found.lower <= 0.9 && 0.9 <= (found.upper ?? 1)) hits++
    }
    // At least 90 %, less three standard errors of 400 tries.
    expect(hits / tries).toBeGreaterThan(0.9 - 3 * Math.sqrt((0.9 * 0.1) / tries))
  })
})

describe('insurance target, runway and fee', () => {
  const stress = [{ id: 'a', total: 100, cover1: 40, cover2: 70, accountsInLoss: 3 }, { id: 'b', total: 60, cover1: 50, cover2: 55, accountsInLoss: 2 }]
  const input = { stress, simulation: null, openInterest: 5000, kappa: 0.01, fund: 20, incomePerDay: 0 }
  test('behavior: the largest of four, with which one and why', () => {
    // Of two scenarios the worst quarter is the worst one: 100.
    expect(insuranceTarget(input)).toMatchObject({ target: 100, binding: 'expected shortfall over scenarios', cover1: 50, cover2: 70, scenario: 'a', scenarioShortfall: 100, gap: 80, runwayDays: null })
    expect(insuranceTarget({ ...input, stress: stress.map((s) => ({ ...s, total: s.cover2 })) })).toMatchObject({ target: 70, binding: 'cover-2' })
    expect(insuranceTarget({ ...input, openInterest: 50_000 })).toMatchObject({ target: 500, binding: 'share of open interest' })
    const simulation = simulateShortfall([{ ...long, cash: -9000, positions: [{ asset: 'ETH', value: 10_000 }] }], base)
    const found = insuranceTarget({ ...input, simulation })
    expect(found).toMatchObject({ binding: 'simulated quantile', target: simulation.quantile.value })
    expect(found.runwayDays).toBeCloseTo(20 / simulation.meanPerDay, 12)
    expect(insuranceTarget({ ...input, simulation, incomePerDay: simulation.meanPerDay }).runwayDays).toBeNull()
    expect(insuranceTarget(input).why).toBe('expected shortfall over scenarios decides: cover-2 70 (a), worst quarter of scenarios 100, no simulation, history is too short, 1.0 % of open interest 50')
    expect(() => insuranceTarget({ ...input, fund: -1 })).toThrow(BadInputError)
    expect(() => insuranceTarget({ ...input, stress: [] })).toThrow(SampleTooSmallError)
  })
  test('behavior: 900 missing in 90 days beside 5 of losses and 3 of other income asks for 12 of 40 a day', () => {
    expect(feeToTarget({ gap: 900, days: 90, feesPerDay: 40, turnoverPerDay: 40_000, expectedLossPerDay: 5, otherIncomePerDay: 3 })).toEqual({ shareOfFees: 0.3, shareOfTurnover: 0.0003, reachable: true, neededPerDay: 12 })
    expect(feeToTarget({ gap: 9000, days: 90, feesPerDay: 40, turnoverPerDay: 1, expectedLossPerDay: 0, otherIncomePerDay: 0 }).reachable).toBe(false)
    expect(feeToTarget({ gap: -1, days: 90, feesPerDay: 0, turnoverPerDay: 0, expectedLossPerDay: 0, otherIncomePerDay: 0 }).shareOfFees).toBe(0)
    expect(() => feeToTarget({ gap: 1, days: 90, feesPerDay: 0, turnoverPerDay: 0, expectedLossPerDay: 0, otherIncomePerDay: 0 })).toThrow(SampleTooSmallError)
  })
  test('behavior: 3 bp of 40,000 a day and 3 of other income less 5 of losses fill 900 in 90 days', () => {
    const of = { feeOfTurnover: 0.0003, gap: 900, feesPerDay: 40, turnoverPerDay: 40_000, expectedLossPerDay: 5, otherIncomePerDay: 3 }
    const found = fillingAtFee(of)
    expect(found).toMatchObject({ reachable: true, shareOfFees: expect.closeTo(0.3, 12), incomePerDay: expect.closeTo(12, 12), netPerDay: expect.closeTo(10, 12), days: expect.closeTo(90, 9) })
    // 11 bp bring 44 of 40; 0.5 bp bring 2, which losses take, so that it is never filled; a surplus needs no time.
    expect(fillingAtFee({ ...of, feeOfTurnover: 0.0011 })).toMatchObject({ reachable: false, shareOfFees: expect.closeTo(1.1, 12) })
    expect(fillingAtFee({ ...of, feeOfTurnover: 0.00005 })).toMatchObject({ netPerDay: expect.closeTo(0, 12), days: null })
    expect(fillingAtFee({ ...of, gap: -1, feeOfTurnover: 0 })).toMatchObject({ days: 0 })
    expect(fillingAtFee({ ...of, feesPerDay: 0, turnoverPerDay: 0 })).toMatchObject({ shareOfFees: null, reachable: true, incomePerDay: 0 })
    for (const bad of [{ feeOfTurnover: -1e-9 }, { feeOfTurnover: 1.1 }, { gap: Number.NaN }, { turnoverPerDay: -1 }]) expect(() => fillingAtFee({ ...of, ...bad })).toThrow(BadInputError)
  })
  test('property: the fee that fills a gap in some days fills it in these days', () => {
    const amount = fc.double({ min: 0.01, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(amount, fc.double({ min: 1, max: 3650, noNaN: true }), amount, amount, (gap, days, turnoverPerDay, expectedLossPerDay) => {
        const of = { gap, feesPerDay: turnoverPerDay / 1000, turnoverPerDay, expectedLossPerDay, otherIncomePerDay: 0 }
        const { shareOfTurnover, shareOfFees } = feeToTarget({ ...of, days })
        fc.pre(shareOfTurnover <= 1)
        const found = fillingAtFee({ ...of, feeOfTurnover: shareOfTurnover })
        // What is left after the losses is a difference of two rounded numbers.
        fc.pre(gap / days > 1e-6 * expectedLossPerDay)
        expect(found.days).toBeCloseTo(days, 3)
        expect(found.shareOfFees).toBeCloseTo(shareOfFees, 6)
      }),
    )
  })
})

describe('distribution of losses', () => {
  test('vector: none, up to 1, and four bins to a decade, each with its upper edge', () => {
    // Edges 0, 1, 1.778…, 3.162…, 5.623…, 10: a loss on an edge belongs below it.
    const bins = lossHistogram(Float64Array.of(0, 0, 0.5, 1, 2, 10, 10.5))
    expect(bins.map(({ paths }) => paths)).toEqual([2, 2, 0, 1, 0, 1, 1])
    expect(bins.slice(0, 2).map(({ from, to }) => [from, to])).toEqual([[0, 0], [0, 1]])
    expect(bins[3]).toEqual({ from: expect.closeTo(1.7782794, 6), to: expect.closeTo(3.1622777, 6), paths: 1 })
    expect(bins[5]).toMatchObject({ to: 10, paths: 1 })
    expect(lossHistogram(new Float64Array(3))).toEqual([{ from: 0, to: 0, paths: 3 }])
  })
  test('property: every path is in one bin, which holds its loss, and bins follow each other', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant(0), fc.double({ min: 1e-9, max: 1e15, noNaN: true }), fc.integer({ min: 0, max: 48 }).map((k) => 10 ** (k / 4))), { maxLength: 40 }), (losses) => {
        const bins = lossHistogram(Float64Array.from(losses))
        for (const { from, to, paths } of bins) expect(losses.filter((x) => (to === 0 ? x === 0 : x > from && x <= to))).toHaveLength(paths)
        expect(bins.reduce((sum, { paths }) => sum + paths, 0)).toBe(losses.length)
        bins.slice(2).forEach(({ from }, i) => expect(from).toBe(bins[i + 1]?.to))
      }),
    )
  })
  test('behavior: a simulation tells it of all its paths', () => {
    const { histogram, paths, lossShare, quantile } = simulateShortfall([{ ...long, cash: -9000, positions: [{ asset: 'ETH', value: 10_000 }] }], base)
    expect(histogram?.reduce((sum, bin) => sum + bin.paths, 0)).toBe(paths)
    expect(1 - (histogram?.[0]?.paths ?? 0) / paths).toBeCloseTo(lossShare, 12)
    // No more than a share of 1 − level lies in the bins above the quantile's own.
    expect((histogram ?? []).reduce((sum, bin) => sum + (bin.from >= quantile.value ? bin.paths : 0), 0)).toBeLessThanOrEqual(paths * (1 - quantile.level))
  })
})

describe('joint returns', () => {
  const bars = (prices: readonly (readonly [number, number])[]) => toBars(prices.map(([timestampSec, price]) => ({ timestampSec, price })), { startSec: 0, endSec: 3000, barSec: 300 })
  test('behavior: only bars that all have, and the span between them', () => {
    const [a, b] = jointReturns([bars([[0, 100], [300, 110], [600, 121], [1500, 100]]), bars([[0, 10], [600, 20], [1500, 5]])], { maxSpan: 2 })
    expect([...(a?.values ?? [])].map((x) => Math.exp(x))).toEqual([expect.closeTo(1.21, 12)])
    expect([...(b?.values ?? [])].map((x) => Math.exp(x))).toEqual([expect.closeTo(2, 12)])
    expect(a).toMatchObject({ dropped: 1 })
    expect([...(a?.spans ?? [])]).toEqual([2])
  })
  test('behavior: residuals keep their rows, and too few are refused', () => {
    const random = createRandom(11)
    const walk = Array.from({ length: 700 }, (_, i): [number, number] => [i * 300, Math.exp(0.001 * i + 0.01 * random.normal())])
    const series = toBars(walk.map(([timestampSec, price]) => ({ timestampSec, price })), { startSec: 0, endSec: 700 * 300, barSec: 300 })
    const joint = jointReturns([series, series], { maxSpan: 12 })
    const found = jointResiduals(joint, 0.97)
    expect(found.residuals.map((r) => r.length)).toEqual([669, 669])
    expect(found.residuals[0]).toEqual(found.residuals[1])
    expect(() => jointResiduals(joint.map((r) => ({ ...r, values: r.values.slice(0, 300), spans: r.spans.slice(0, 300) })), 0.97)).toThrow(SampleTooSmallError)
  })
})
