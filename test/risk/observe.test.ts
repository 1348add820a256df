import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { BREAKER_TRIGGERS, createRandom, DEFAULT_BREAKER, DEFAULT_STOPS, notApplicable, observeFund, observeMarket, replayBreaker, type FundValue, type MarketHistory, type PricePoint } from '../../api/risk/index.ts'

const points = (...rows: readonly (readonly [number, number])[]): PricePoint[] => rows.map(([timestampSec, price]) => ({ timestampSec, price }))
const base: MarketHistory = { index: [], market: [], liquidations: [], capacityPer15Min: 1000, heartbeatSec: 1200, k: 6, floor: 0.02, halfLifeSec: 86_400 }
/** An index that alternates 100 and 101 every five minutes: |r| = ln 1.01 in each bar. */
const steady = (bars: number): PricePoint[] => Array.from({ length: bars }, (_, i) => ({ timestampSec: i * 300, price: i % 2 === 0 ? 100 : 101 }))

describe('what a breaker observes', () => {
  test('behavior: staleness, deviation and moves by hand, once the band is known', () => {
    const index = steady(41)
    const [found] = observeMarket({ ...base, index, market: points([11_000, 100], [12_200, 103]) }, { startSec: 12_300, endSec: 12_300, stepSec: 60 })
    // σ is ln 1.01 = 0.995 % in every bar, so the band is 6 of it.
    const band = 6 * Math.log(1.01)
    expect(found?.values['staleness']).toBeCloseTo(300 / 1200, 12)
    expect(found?.values['deviation']).toBeCloseTo(0.03 / band, 9)
    // The market went from 100 to 103 within five minutes, the index from 101 to 100.
    expect(found?.values['band']).toBeCloseTo(0.03 / band, 9)
    expect(found?.values['velocity']).toBe(0)
  })
  test('behavior: no band before 30 returns, and nothing that depends on it', () => {
    const found = observeMarket({ ...base, index: steady(40), market: points([0, 100]) }, { startSec: 30 * 300, endSec: 31 * 300, stepSec: 300 })
    // At the end of bar 30 there are 31 closes and so 30 returns.
    expect(found.map((o) => o.values['deviation'] === null)).toEqual([true, false])
    expect(observeMarket(base, { startSec: 0, endSec: 0, stepSec: 1 })[0]?.values).toMatchObject({ staleness: null, deviation: null, band: null, velocity: 0 })
  })
  test('behavior: what was liquidated in the last 15 minutes, over what could be', () => {
    const found = observeMarket({ ...base, liquidations: [{ timestampSec: 100, amount: 600 }, { timestampSec: 500, amount: 900 }] }, { startSec: 0, endSec: 1_500, stepSec: 500 })
    expect(found.map((o) => o.values['velocity'])).toEqual([0, 1.5, 0.9, 0])
    expect(observeMarket({ ...base, capacityPer15Min: null }, { startSec: 0, endSec: 0, stepSec: 1 })[0]?.values['velocity']).toBeNull()
  })
  test('behavior: the share of the fund lost in a day, against its highest value of that day', () => {
    const values = [{ timestampSec: 0, amount: 100 }, { timestampSec: 50_000, amount: 120 }, { timestampSec: 60_000, amount: 90 }]
    const at = (t: number): number | null | undefined => observeFund(values, { startSec: t, endSec: t, stepSec: 1 })[0]?.values['fundDrawdown']
    expect([at(10), at(55_000), at(60_000), at(140_000), at(146_400)]).toEqual([0, 0, 0.25, 0.25, 0])
    expect(observeFund([], { startSec: 0, endSec: 0, stepSec: 1 })[0]?.values['fundDrawdown']).toBeNull()
  })
  test('behavior: surplus paid out and transfers are no loss: what is lost is lost of what the fund holds without them', () => {
    const paid = [{ timestampSec: 0, amount: 100 }, { timestampSec: 100, amount: 60, external: -40 }, { timestampSec: 200, amount: 54 }, { timestampSec: 300, amount: 108, external: 54 }, { timestampSec: 400, amount: 97.2 }]
    const at = (t: number): number | null => observeFund(paid, { startSec: t, endSec: t, stepSec: 1 })[0]?.values['fundDrawdown'] ?? null
    expect([at(100), at(150)]).toEqual([0, 0])
    // 6 of 60, and then 10.8 of 108 on top: 1 − 0.9².
    expect(at(200)).toBeCloseTo(0.1, 12)
    expect(at(300)).toBeCloseTo(0.1, 12)
    expect(at(400)).toBeCloseTo(0.19, 12)
    // A fund that was lost is no better for what somebody gives it; one that was emptied by decision has lost nothing.
    const of = (...values: FundValue[]) => observeFund(values, { startSec: 10, endSec: 10, stepSec: 1 })[0]?.values['fundDrawdown']
    expect(of({ timestampSec: 0, amount: 100 }, { timestampSec: 5, amount: 0 }, { timestampSec: 6, amount: 50, external: 50 })).toBe(0.5)
    expect(of({ timestampSec: 0, amount: 100 }, { timestampSec: 5, amount: 0, external: -100 })).toBeNull()
  })
  test('behavior: each trigger applies to a market, to the protocol, or to neither, and says why', () => {
    for (const trigger of BREAKER_TRIGGERS) for (const subject of ['market', 'protocol'] as const) expect(notApplicable(trigger, subject) === null).toBe(trigger !== 'utilisation' && (trigger === 'fundDrawdown') === (subject === 'protocol'))
  })
  test('property: nothing looks ahead: what comes later changes no observation before it', () => {
    const series = fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 50, max: 150 })), { maxLength: 60 }).map((rows) => points(...[...rows].sort(([a], [b]) => a - b)))
    fc.assert(
      fc.property(series, series, fc.integer({ min: 0, max: 20_000 }), (index, market, cut) => {
        const window = { startSec: 0, endSec: cut, stepSec: 700 }
        const liquidations = market.map((p) => ({ timestampSec: p.timestampSec, amount: p.price }))
        const upTo = <T extends { timestampSec: number }>(list: readonly T[]): T[] => list.filter((p) => p.timestampSec <= cut)
        expect(observeMarket({ ...base, index: upTo(index), market: upTo(market), liquidations: upTo(liquidations) }, window)).toEqual(observeMarket({ ...base, index, market, liquidations }, window))
        const one = observeMarket({ ...base, index, market, liquidations }, { startSec: 0, endSec: 20_000, stepSec: 700 })
        expect(one.slice(0, Math.floor(cut / 700) + 1)).toEqual(observeMarket({ ...base, index, market, liquidations }, window))
      }),
      { numRuns: 60 },
    )
  })
  test('behavior: a calm week trips nothing above WATCH, and a crash of 15 % in it trips at once', () => {
    const walk = (crashAt: number | null): PricePoint[] => {
      const own = createRandom(4)
      let price = 2000
      return Array.from({ length: 2_000 }, (_, i) => {
        price *= Math.exp(0.002 * own.normal()) * (i === crashAt ? 0.85 : 1)
        return { timestampSec: i * 300, price }
      })
    }
    const replay = (crashAt: number | null) => {
      const index = walk(crashAt)
      const market = index.map((p) => ({ timestampSec: p.timestampSec + 5, price: p.price }))
      const observations = observeMarket({ ...base, index, market }, { startSec: 20_000, endSec: 599_000, stepSec: 60 })
      return replayBreaker({ config: DEFAULT_BREAKER, observations, events: [], reactionSec: 0, stops: DEFAULT_STOPS, assumedResetSec: 3_600, harmHorizonSec: 3_600 })
    }
    const calm = replay(null)
    expect(calm.trips.filter((t) => t.peak !== 'WATCH')).toEqual([])
    const crash = replay(1_000)
    const [first] = crash.trips.filter((t) => t.peak === 'HALT')
    // 15 % are more than six bands; two observations of 60 s confirm it.
    expect(first?.startSec).toBeGreaterThanOrEqual(300_000)
    expect(first?.startSec).toBeLessThanOrEqual(300_120)
    expect(first?.why).toContain('5-minute move in price bands')
  })
  test('error: refuses series out of order, prices at 0 and windows without end', () => {
    const window = { startSec: 0, endSec: 10, stepSec: 1 }
    expect(() => observeMarket({ ...base, index: points([5, 1], [4, 1]) }, window)).toThrow(/out of order/)
    expect(() => observeMarket({ ...base, index: points([5, 0]) }, window)).toThrow(BadInputError)
    expect(() => observeMarket({ ...base, liquidations: [{ timestampSec: 2, amount: 1 }, { timestampSec: 1, amount: 1 }] }, window)).toThrow(/liquidations out of order/)
    expect(() => observeMarket(base, { ...window, stepSec: 0 })).toThrow(BadInputError)
  })
})
