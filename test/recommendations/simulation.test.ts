import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { bookDigest, canonicalJson, digestOf, recompute, recomputeRun, type RecommendationContent } from '../../api/recommendations/index.ts'
import { createContext, shockFrom, stressAssetOf } from '../../api/recommendations/context.ts'
import type { RunInputs, SimulationInput } from '../../api/recommendations/inputs.ts'
import { simulateFund, simulationDue, type FundSimulation } from '../../api/recommendations/simulation.ts'
import { SampleTooSmallError, stressScenario } from '../../api/risk/index.ts'
import { AS_OF_SEC, book, ETH, FEEDS, PROTOCOL, walk, WETH } from './book.ts'

const TASK = { paths: 500, hours: 6, seed: 3, level: 0.99, confidence: 0.95 }
const at = (all: readonly RecommendationContent[], parameter: string, subject: string = PROTOCOL): RecommendationContent => {
  const found = all.find((r) => r.parameter === parameter && r.subject === subject)
  if (found === undefined) throw new Error(`no recommendation for ${parameter}`)
  return found
}
const evidence = (r: RecommendationContent, label: string) => r.evidence.find((e) => e.label.startsWith(label))

const inputs = book()
const simulated = simulateFund(createContext(inputs), TASK)
const done = (result: FundSimulation, ageSec = 0): SimulationInput => ({ state: 'DONE', block: '4711', timestampSec: AS_OF_SEC - ageSec, bookDigest: bookDigest(inputs), result })

describe('the fund’s simulation over a run’s book', () => {
  test('behavior: the same book and seed give the same bytes, another seed others; its parts are reported on', () => {
    const heard: number[] = []
    expect(canonicalJson(simulateFund(createContext(book()), TASK, (share) => heard.push(share)))).toBe(canonicalJson(simulated))
    expect(heard).toEqual([0.5, 1])
    expect(canonicalJson(simulateFund(createContext(inputs), { ...TASK, seed: 4 }))).not.toBe(canonicalJson(simulated))
    expect(simulated).toMatchObject({ paths: 500, horizonSec: 6 * 3_600, seed: 3, basis: { accounts: 4 } })
    expect(simulated.quantile.lower).toBeLessThanOrEqual(simulated.quantile.value)
    // Open interest: the larger side at index prices, 500 · 3,000 + 150,000 · 2.
    expect(simulated.basis.openInterest).toBeCloseTo(1_800_000, 6)
  })
  test('error: too little history in common is a sample too small', () => {
    const short: RunInputs = { ...inputs, series: inputs.series.map((s) => (s.feed === FEEDS.ETH ? walk(FEEDS.ETH, { sigma: 0.004, last: 3_000, everyBars: 4, seed: 13, updates: 300 }) : s)) }
    expect(() => simulateFund(createContext(short), TASK)).toThrow(SampleTooSmallError)
  })
  test('behavior: due when there is none, when it is old, when the book or a volatility has moved; not tried again at once', () => {
    const due = (simulation: SimulationInput, more: object = {}): string | null => simulationDue(createContext({ ...inputs, ...more, simulation }))
    expect(due({ state: 'NONE', why: '', triedSec: null })).toBe('there is none yet')
    expect(due({ state: 'NONE', why: '', triedSec: AS_OF_SEC - 3_600 })).toBeNull()
    expect(due({ state: 'NONE', why: '', triedSec: AS_OF_SEC - 21_601 })).toBe('there is none yet')
    expect(due(done(simulated))).toBeNull()
    expect(due(done(simulated, 21_600))).toBeNull()
    expect(due(done(simulated, 21_601))).toBe('it is older than 21600 s')
    const { basis } = simulated
    // 10 % of the larger of both.
    expect(due(done({ ...simulated, basis: { ...basis, openInterest: 1_630_000 } }))).toBeNull()
    expect(due(done({ ...simulated, basis: { ...basis, openInterest: 1_610_000 } }))).toBe('open interest went from 1610000 to 1800000')
    expect(due(done({ ...simulated, basis: { ...basis, dailyVolatility: { ...basis.dailyVolatility, [ETH]: (basis.dailyVolatility[ETH] ?? 0) * 1.26 } } }))).toContain(`the volatility of ${ETH}`)
  })
})

describe('the fund’s recommendations with a simulation', () => {
  const large = { ...simulated, quantile: { level: 0.999, value: 700_000, confidence: 0.95, lower: 650_000, upper: 800_000 }, meanPerDay: 2_000 }
  const with_ = (simulation: SimulationInput): readonly RecommendationContent[] => recomputeRun({ ...inputs, simulation })

  test('behavior: the quantile decides where it is the largest, with its interval, block and age', () => {
    const threshold = at(with_(done(large, 1_800)), 'distributionThreshold')
    expect(threshold.modelValue).toBe(700_000)
    expect(threshold.reason).toMatch(/^99\.9 % of 500 simulated days leave at most 700,000 USDC unpaid \(95 % interval 650,000 USDC to 800,000 USDC\), more than any two accounts of \d+ stress scenarios, which asks for a threshold of 700,000 USDC, it is 250,000 USDC; this step goes to 500,000 USDC \(rate limit\)$/)
    expect(evidence(threshold, 'Simulated shortfall, 99.9 % quantile')).toMatchObject({ value: '700,000 USDC', source: expect.stringMatching(/seed 3, at block 4,711, 30 min before$/) })
    expect(evidence(threshold, 'Decided by')).toMatchObject({ value: 'simulated quantile', source: 'the largest of four' })
  })
  test('behavior: the runway is the fund over what it loses a day beyond its income, by hand', () => {
    const threshold = at(with_(done(large)), 'distributionThreshold')
    // Fees of 30,000 and 2,250 in 30 days: 1,000·10 % + 75·20 % = 115 a day; 50,000 / (2,000 − 115) = 26.5.
    expect(evidence(threshold, 'Runway')).toMatchObject({ value: '27', unit: 'days', source: '2,000 USDC of losses a day are expected, 115 USDC of fees a day come in' })
    expect(evidence(at(with_(done({ ...large, meanPerDay: 100 })), 'distributionThreshold'), 'Runway')?.value).toBe('does not shrink')
  })
  test('behavior: the fee fills the gap in 90 days and pays the losses on the way, each market by its share of open interest', () => {
    const fee = at(with_(done(large)), 'insuranceFundFeeRatio', ETH)
    // 1.5 of 1.8 M: 5/6 · (650,000 / 90 + 2,000) a day of 1,000 in fees: more than all of them.
    expect(fee.modelValue).toBe(1)
    expect(fee.reason).toContain('asks for a share of more than 100 %')
    const small = at(with_(done({ ...large, quantile: { ...large.quantile, value: 0 }, meanPerDay: 120 })), 'insuranceFundFeeRatio', ETH)
    expect(evidence(small, 'Expected losses')).toMatchObject({ value: '100 USDC' })
  })
  test('behavior: without one the target stands on the scenarios, the rest is said to be unknown, and confidence is lower', () => {
    const why = 'Found 120 observations of a kind, needed are 500'
    const none = at(with_({ state: 'NONE', why, triedSec: null }), 'distributionThreshold')
    expect(evidence(none, 'Simulated shortfall')).toMatchObject({ value: 'unknown', source: why })
    expect(evidence(none, 'Runway')).toMatchObject({ value: 'unknown', source: why })
    expect(evidence(none, 'Decided by')?.source).toBe('the largest of three')
    expect(none.confidence).toBeLessThan(at(with_(done(large)), 'distributionThreshold').confidence)
  })
})

describe('what stands for a token', () => {
  test('behavior: stables are those that are meant to be worth a currency, whatever wraps them', () => {
    expect(['USDC', 'USDT', 'sUSD', 'LUSD', 'DAI', 'sDAI', 'FRAX', 'GHO', 'EURC', 'agEUR', 'USDC.e', 'crvUSD'].map(stressAssetOf)).toEqual(Array.from({ length: 12 }, () => 'STABLE'))
    expect(['frxETH', 'wstETH', 'vBTCUSD', 'OP', 'vSUSHI', 'MAINFRAME', 'PERP', 'FXS'].map(stressAssetOf)).toEqual(['ETH', 'ETH', 'BTC', 'OTHER', 'OTHER', 'OTHER', 'OTHER', 'OTHER'])
  })
  test('behavior: a depeg takes 12 % of stable collateral and leaves the rest, a crash the other way round', () => {
    const stable: RunInputs = { ...inputs, collaterals: [...inputs.collaterals, { ...(inputs.collaterals[0] as RunInputs['collaterals'][number]), id: '0x5', symbol: 'LUSD' }] }
    const change = (id: string, asset: string): number => shockFrom(createContext(stable), stressScenario(id, 'severe')).changeOf(asset)
    expect([change('stable-depeg', '0x5'), change('stable-depeg', WETH), change('stable-depeg', ETH)]).toEqual([-0.12, 0, 0])
    expect([change('covid-2020-03-12', '0x5'), change('covid-2020-03-12', WETH)]).toEqual([0, -0.285])
  })
})

describe('same inputs, same bytes', () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed)
    if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)]))
    return value
  }
  test('property: a run, and each of its recommendations, is computed again from what was stored, whatever the book, the breakers, the simulation and what stood recommended', () => {
    fc.assert(
      fc.property(
        fc.record({
          scale: fc.integer({ min: 50, max: 150 }), age: fc.integer({ min: 0, max: 4_000 }), breaker: fc.constantFrom(null, 'WATCH' as const, 'HALT' as const), simulation: fc.boolean(),
          raw: fc.array(fc.bigInt({ min: 0n, max: 1_000_000n }), { minLength: 14, maxLength: 14 }), standing: fc.array(fc.option(fc.bigInt({ min: 0n, max: 1_000_000n }), { nil: null }), { minLength: 14, maxLength: 14 }),
        }),
        ({ scale, age, breaker, simulation, raw, standing }) => {
          const scaled = (amount: string): string => ((BigInt(amount) * BigInt(scale)) / 100n).toString()
          const world: RunInputs = {
            ...inputs,
            simulation: simulation ? done(simulated) : inputs.simulation,
            breakers: breaker === null ? [] : [{ subject: 'protocol', level: breaker }],
            markets: inputs.markets.map((m) => ({ ...m, oracle: m.oracle && { ...m.oracle, priceE18: scaled(m.oracle.priceE18), priceTimestampSec: AS_OF_SEC - age } })),
            parameters: inputs.parameters.map((p, i) => ({ ...p, current: (p.name === 'distributionThreshold' ? (raw[i] as bigint) * 1_000_000n : p.name === 'mmRatio' ? 1n + ((raw[i] as bigint) % 999_999n) : (raw[i] as bigint) % (BigInt(p.max) + 1n)).toString(), standing: standing[i]?.toString() ?? null })),
          }
          const all = recomputeRun(world)
          const stored = reversed(JSON.parse(canonicalJson(world))) as RunInputs
          expect(digestOf(stored)).toBe(digestOf(world))
          expect(canonicalJson(recomputeRun(stored))).toBe(canonicalJson(all))
          for (const r of all) {
            const own = reversed(JSON.parse(canonicalJson(r.inputs))) as RecommendationContent['inputs']
            expect(digestOf(own)).toBe(r.inputsDigest)
            expect(canonicalJson(recompute(own))).toBe(canonicalJson(r))
            expect(breaker !== null && r.direction === 'LOOSEN').toBe(false)
          }
        },
      ),
      { numRuns: 25 },
    )
  })
  test('behavior: the book’s digest leaves out what was made of earlier books, and nothing else', () => {
    const stood: RunInputs = { ...inputs, simulation: done(simulated), parameters: inputs.parameters.map((p) => ({ ...p, standing: '1' })) }
    expect(bookDigest(stood)).toBe(bookDigest(inputs))
    expect(digestOf(stood)).not.toBe(digestOf(inputs))
    expect(bookDigest({ ...inputs, breakers: [{ subject: 'protocol', level: 'WATCH' }] })).not.toBe(bookDigest(inputs))
  })
})
