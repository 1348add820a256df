import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { DEFAULT_STOPS, replayBreaker, severityOf, type BreakerObservation, type ReplayEvent, type ReplayOptions } from '../../api/risk/index.ts'

const config = { entries: { deviation: { WATCH: 1, RESTRICT: 2, HALT: 4 } }, exitFactor: 0.6, confirmations: 1, cooldownSec: 100 }
/** One observation every 100 s. */
const observed = (...values: readonly number[]): BreakerObservation[] => values.map((deviation, block) => ({ block, timestampSec: block * 100, values: { deviation } }))
const event = (timestampSec: number, kind: ReplayEvent['kind'], amount: number, account = 'a'): ReplayEvent => ({ timestampSec, kind, amount, account })
const options: ReplayOptions = { config, observations: observed(0, 2.5, 0, 0, 0, 0, 0), events: [], reactionSec: 0, stops: DEFAULT_STOPS, assumedResetSec: null, harmHorizonSec: 0 }

describe('replay of a breaker', () => {
  test('behavior: a calm window trips nothing, and says over what', () => {
    expect(replayBreaker({ ...options, observations: observed(0, 0.5, 0) })).toMatchObject({ trips: [], secondsAt: { NORMAL: 200, WATCH: 0, RESTRICT: 0, HALT: 0 }, summary: 'would not have tripped in 3 observations over 200 s' })
  })
  test('behavior: when, how long at each level, and why', () => {
    const found = replayBreaker(options)
    // RESTRICT at 100 s, quiet since 200 s, WATCH at 300 s, NORMAL at 400 s.
    expect(found.transitions.map((t) => [t.timestampSec, t.to])).toEqual([[100, 'RESTRICT'], [300, 'WATCH'], [400, 'NORMAL']])
    expect(found.secondsAt).toEqual({ NORMAL: 300, WATCH: 100, RESTRICT: 200, HALT: 0 })
    expect(found.trips).toMatchObject([{ startSec: 100, endSec: 400, peak: 'RESTRICT', falseAlarm: true }])
    expect(found.falseAlarms).toBe(1)
  })
  test('behavior: what it would have stopped, let through and prevented, by hand', () => {
    const events = [event(50, 'increase', 100), event(150, 'increase', 300), event(160, 'decrease', 40), event(170, 'deposit', 7), event(250, 'liquidation', 60), event(350, 'increase', 999, 'b'), event(390, 'badDebt', 20), event(390, 'badDebt', 5, 'b')]
    const found = replayBreaker({ ...options, events })
    expect(found.stopped).toEqual({ increase: { count: 1, amount: 300 }, decrease: { count: 0, amount: 0 }, deposit: { count: 1, amount: 7 } })
    // 300 of a's 400 were stopped: three quarters of its 20. b opened in WATCH, which stops nothing.
    expect(found.preventedBadDebt).toBeCloseTo(15, 12)
    expect(found.liquidationsWhileTripped).toEqual({ count: 1, amount: 60 })
    expect(found.trips[0]).toMatchObject({ liquidated: 60, badDebt: 25, falseAlarm: false })
  })
  test('behavior: signatures take their time: an action is in force only then', () => {
    const events = [event(150, 'increase', 300)]
    expect(replayBreaker({ ...options, events, reactionSec: 60 }).stopped.increase.count).toBe(0)
    expect(replayBreaker({ ...options, events, reactionSec: 50 }).stopped.increase.count).toBe(1)
  })
  test('behavior: a HALT lasts, unless a person is assumed to lift it; it hinders closing', () => {
    const halted = { ...options, observations: observed(9, 0, 0, 0, 0, 0, 0, 0, 0), events: [event(150, 'decrease', 40)] }
    expect(replayBreaker(halted)).toMatchObject({ trips: [{ peak: 'HALT', endSec: null }], stopped: { decrease: { count: 1, amount: 40 } } })
    const lifted = replayBreaker({ ...halted, assumedResetSec: 300 })
    expect(lifted.transitions.map((t) => [t.timestampSec, t.to])).toEqual([[0, 'HALT'], [400, 'RESTRICT'], [500, 'WATCH'], [600, 'NORMAL']])
    expect(lifted.transitions[1]?.why).toBe('lifted by the replay: assumed after 300 s of quiet')
  })
  test('property: a tighter setting never trips less, and nothing is prevented that was not stopped', () => {
    const values = fc.array(fc.double({ min: 0, max: 6, noNaN: true }), { minLength: 1, maxLength: 40 })
    const events = fc.array(fc.record({ timestampSec: fc.integer({ min: 0, max: 4000 }), kind: fc.constantFrom('increase' as const, 'decrease' as const, 'deposit' as const, 'liquidation' as const, 'badDebt' as const), account: fc.constantFrom('a', 'b'), amount: fc.integer({ min: 0, max: 100 }) }), { maxLength: 40 })
    fc.assert(
      fc.property(values, events, fc.double({ min: 0.1, max: 1, noNaN: true }), (list, happened, tighter) => {
        const sorted = [...happened].sort((a, b) => a.timestampSec - b.timestampSec)
        const at = (k: number) => replayBreaker({ ...options, observations: observed(...list), events: sorted, config: { ...config, entries: { deviation: { WATCH: k, RESTRICT: 2 * k, HALT: 4 * k } } } })
        const [loose, tight] = [at(1), at(tighter)]
        const peak = (r: typeof loose): number => Math.max(0, ...r.trips.map((t) => severityOf(t.peak)))
        expect(peak(tight)).toBeGreaterThanOrEqual(peak(loose))
        expect(tight.secondsAt.NORMAL).toBeLessThanOrEqual(loose.secondsAt.NORMAL)
        expect(tight.stopped.increase.amount).toBeGreaterThanOrEqual(loose.stopped.increase.amount)
        const debt = sorted.reduce((sum, e) => sum + (e.kind === 'badDebt' ? e.amount : 0), 0)
        expect(tight.preventedBadDebt).toBeLessThanOrEqual(debt + 1e-9)
        expect(Object.values(loose.secondsAt).reduce((a, b) => a + b, 0)).toBe(loose.toSec - loose.fromSec)
      }),
    )
  })
  test('error: refuses an empty window and events out of order', () => {
    expect(() => replayBreaker({ ...options, observations: [] })).toThrow(BadInputError)
    expect(() => replayBreaker({ ...options, events: [event(5, 'deposit', 1), event(4, 'deposit', 1)] })).toThrow(/out of order/)
  })
})
