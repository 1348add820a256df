import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import {
  BREAKER_LEVELS, BREAKER_TRIGGERS, DEFAULT_BREAKER, fundDrawdown, INITIAL_BREAKER_BOARD, INITIAL_BREAKER_STATE, intentsOf, marketValues, resetBreaker, severityOf, stepBoard, stepBreaker,
  type BreakerConfig, type BreakerLevel, type BreakerState, type BreakerStep, type BreakerValues,
} from '../../api/risk/index.ts'

const config: BreakerConfig = { entries: { deviation: { WATCH: 1, RESTRICT: 2, HALT: 4 }, utilisation: { WATCH: 0.9, RESTRICT: null, HALT: null } }, exitFactor: 0.6, confirmations: 2, cooldownSec: 60 }

/** One observation per block, 10 s apart. */
function run(values: readonly (BreakerValues | number | null)[], setting = config, from: BreakerState = INITIAL_BREAKER_STATE): BreakerStep[] {
  const steps: BreakerStep[] = []
  let state = from
  values.forEach((value) => {
    const block = state.block + 1
    const step = stepBreaker(setting, state, { block, timestampSec: state.timestampSec + 10, values: value === null || typeof value === 'number' ? { deviation: value } : value })
    steps.push(step)
    state = step.state
  })
  return steps
}
const levels = (steps: readonly BreakerStep[]): BreakerLevel[] => steps.map((s) => s.state.level)

describe('circuit breaker as a reducer', () => {
  test('behavior: a single bad block is no alarm, two in a row are', () => {
    expect(levels(run([1.5, 0, 1.5, 0]))).toEqual(['NORMAL', 'NORMAL', 'NORMAL', 'NORMAL'])
    const steps = run([1.5, 1])
    expect(levels(steps)).toEqual(['NORMAL', 'WATCH'])
    expect(steps[1]?.transition).toMatchObject({ from: 'NORMAL', to: 'WATCH', block: 1, timestampSec: 20, why: 'distance from the index in price bands is 1.00, enters at 1.00, leaves below 0.60' })
  })
  test('behavior: rises straight to the level asked for, and falls one level per quiet cooldown', () => {
    // Quiet from the fourth observation on; 60 s later WATCH, 60 s later NORMAL.
    const steps = run([2.5, 2.5, 2.5, ...Array.from({ length: 14 }, () => 0)])
    expect(levels(steps)).toEqual(['NORMAL', 'RESTRICT', 'RESTRICT', ...Array.from({ length: 6 }, () => 'RESTRICT'), ...Array.from({ length: 6 }, () => 'WATCH'), 'NORMAL', 'NORMAL'])
  })
  test('behavior: between exit and entry the level stays, and its cooldown does not run', () => {
    expect(levels(run([1, 1, ...Array.from({ length: 20 }, () => 0.61)])).at(-1)).toBe('WATCH')
    expect(levels(run([1, 1, ...Array.from({ length: 20 }, () => 0.59)])).at(-1)).toBe('NORMAL')
  })
  test('behavior: HALT stays until a person lifts it, and not while its cause stands', () => {
    const halted = run([9, 9, ...Array.from({ length: 50 }, () => 0)])
    expect(levels(halted).at(-1)).toBe('HALT')
    const state = halted.at(-1)?.state ?? INITIAL_BREAKER_STATE
    const by = { who: 'risk council', why: 'the feed is repaired', timestampSec: state.timestampSec }
    const lifted = resetBreaker(state, by)
    expect(lifted.transition).toMatchObject({ from: 'HALT', to: 'RESTRICT', why: 'lifted by risk council: the feed is repaired' })
    // 60 s each: RESTRICT → WATCH → NORMAL.
    expect(levels(run(Array.from({ length: 13 }, () => 0), config, lifted.state))).toEqual([...Array.from({ length: 5 }, () => 'RESTRICT'), ...Array.from({ length: 6 }, () => 'WATCH'), 'NORMAL', 'NORMAL'])
    const burning = run([9, 9]).at(-1)?.state ?? INITIAL_BREAKER_STATE
    expect(() => resetBreaker(burning, by)).toThrow(/still asking for HALT/)
    expect(() => resetBreaker(INITIAL_BREAKER_STATE, by)).toThrow(/allowed is HALT/)
    expect(() => resetBreaker(state, { ...by, who: ' ' })).toThrow(/who lifts/)
  })
  test('behavior: unknown is no alarm, and no proof of calm', () => {
    expect(levels(run([null, null, null])).at(-1)).toBe('NORMAL')
    const steps = run([1.5, 1.5, ...Array.from({ length: 20 }, () => null)])
    expect(levels(steps).at(-1)).toBe('WATCH')
    expect(steps.at(-1)?.reasons[0]?.text).toContain('unknown since it passed its limit')
  })
  test('behavior: a trigger without an entry for a level never asks for it', () => {
    expect(levels(run([{ utilisation: 99 }, { utilisation: 99 }, { utilisation: 99 }])).at(-1)).toBe('WATCH')
  })
  test('error: refuses blocks that repeat, time that runs backwards, values below 0 and settings that cannot work', () => {
    const state = run([0, 0]).at(-1)?.state ?? INITIAL_BREAKER_STATE
    expect(() => stepBreaker(config, state, { block: 1, timestampSec: 30, values: {} })).toThrow(/after a reorg/)
    expect(() => stepBreaker(config, state, { block: 2, timestampSec: 5, values: {} })).toThrow(BadInputError)
    expect(() => run([-1])).toThrow(/deviation: found -1/)
    expect(() => run([Number.NaN])).toThrow(BadInputError)
    for (const bad of [{ exitFactor: 1 }, { confirmations: 0 }, { cooldownSec: -1 }, { entries: {} }, { entries: { band: { WATCH: 2, RESTRICT: 1, HALT: null } } }, { entries: { band: { WATCH: 0, RESTRICT: null, HALT: null } } }]) {
      expect(() => run([0], { ...config, ...bad })).toThrow(BadInputError)
    }
  })

  const value = fc.oneof(fc.double({ min: 0, max: 6, noNaN: true }), fc.constant(null))
  const path = fc.array(value, { minLength: 1, maxLength: 60 })

  test('property: no way from RESTRICT to NORMAL within the cooldown, and never down by more than one level', () => {
    fc.assert(
      fc.property(path, (values) => {
        const steps = run(values)
        let restrictedAt = -Infinity
        let last: BreakerLevel = 'NORMAL'
        for (const { state } of steps) {
          if (severityOf(state.level) >= 2) restrictedAt = state.timestampSec
          expect(state.level !== 'NORMAL' || state.timestampSec - restrictedAt >= config.cooldownSec).toBe(true)
          expect(severityOf(last) - severityOf(state.level)).toBeLessThanOrEqual(1)
          expect(last === 'HALT' && state.level !== 'HALT').toBe(false)
          last = state.level
        }
      }),
    )
  })
  test('property: no flapping: a signal that moves by less than entry − exit enters each level at most once', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 5, noNaN: true }), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 80 }), (base, wiggle) => {
        // The narrowest distance is that of WATCH: 1 − 0.6.
        const steps = run(wiggle.map((w) => base + w * 0.399), { ...config, cooldownSec: 0, confirmations: 1 })
        const ups = steps.filter((s) => s.transition !== null && severityOf(s.transition.to) > severityOf(s.transition.from)).map((s) => s.transition?.to)
        expect(new Set(ups).size).toBe(ups.length)
      }),
    )
  })
  test('property: monotone: signals that are everywhere at least as bad never stand at a lower level', () => {
    const pairs = fc.array(fc.tuple(fc.double({ min: 0, max: 5, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true })), { maxLength: 60 })
    fc.assert(
      fc.property(pairs, (list) => {
        const calm = run(list.map(([a]) => a))
        const worse = run(list.map(([a, more]) => a + more))
        calm.forEach((step, i) => expect(severityOf(worse[i]?.state.level ?? 'NORMAL')).toBeGreaterThanOrEqual(severityOf(step.state.level)))
      }),
    )
  })
  test('property: going on from a stored state is the same as one go', () => {
    fc.assert(
      fc.property(path, fc.nat(60), (values, cut) => {
        const whole = run(values)
        const first = run(values.slice(0, cut))
        const stored = JSON.parse(JSON.stringify(first.at(-1)?.state ?? INITIAL_BREAKER_STATE)) as BreakerState
        expect([...first, ...run(values.slice(cut), config, stored)]).toEqual(whole)
      }),
    )
  })
  test('property: no state asks for anything that stops liquidations or takes free collateral away', () => {
    const allowed = ['hold-loosening', 'narrow-price-band', 'stop-increasing-risk', 'stop-collateral-deposits', 'keep-fund', 'stop-trading']
    const asked = BREAKER_LEVELS.flatMap((level) => intentsOf(level).map((i) => i.action))
    expect(asked.every((action) => allowed.includes(action))).toBe(true)
    expect(intentsOf('NORMAL')).toEqual([])
  })
})

describe('breakers of a protocol', () => {
  const board = (protocol: readonly number[], market: readonly number[]) => {
    let state = INITIAL_BREAKER_BOARD
    return protocol.map((drawdown, i) => {
      const step = stepBoard({ protocol: DEFAULT_BREAKER, market: DEFAULT_BREAKER }, state, { block: i, timestampSec: i * 12, protocol: { fundDrawdown: drawdown }, markets: { ETH: { deviation: market[i] as number }, BTC: {} } })
      state = step.board
      return step
    })
  }
  test('behavior: a market stands at the higher of its own level and the protocol’s', () => {
    const last = board([0, 0.25, 0.25], [0, 1.1, 1.1]).at(-1)
    expect(last?.protocol.state.level).toBe('RESTRICT')
    expect(last?.markets['ETH']).toMatchObject({ effective: 'RESTRICT', state: { level: 'WATCH' } })
    expect(last?.markets['BTC']).toMatchObject({ effective: 'RESTRICT', state: { level: 'NORMAL' } })
    expect(last?.markets['BTC']?.intents).toEqual(intentsOf('RESTRICT'))
  })
  test('behavior: signals in the units of the default setting', () => {
    const moment = { oracleAgeSec: 2400, heartbeatSec: 1200, deviation: 0.05, priceBand: 0.025, move5Min: 0.025, liquidatedNotional: 300, liquidationCapacity: 400, utilisation: 0.5 }
    expect(marketValues(moment)).toEqual({ staleness: 2, deviation: 2, band: 1, velocity: 0.75, utilisation: 0.5 })
    expect(marketValues({ ...moment, priceBand: null, oracleAgeSec: null, liquidationCapacity: 0 })).toEqual({ staleness: null, deviation: null, band: null, velocity: 1e9, utilisation: 0.5 })
    expect(fundDrawdown(80, [90, 100, 95])).toBeCloseTo(0.2, 12)
    expect(fundDrawdown(80, [50])).toBe(0)
    expect(fundDrawdown(0, [])).toBeNull()
  })
  test('behavior: every trigger of the default setting trips, in order', () => {
    for (const trigger of BREAKER_TRIGGERS) {
      const entries = DEFAULT_BREAKER.entries[trigger]
      const reached = [entries?.WATCH, entries?.RESTRICT, entries?.HALT].map((entry) => run([{ [trigger]: entry ?? 0 }, { [trigger]: entry ?? 0 }], DEFAULT_BREAKER).at(-1)?.state.level)
      expect(reached).toEqual(['WATCH', 'RESTRICT', entries?.HALT === null ? 'NORMAL' : 'HALT'])
    }
  })
})
