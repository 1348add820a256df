import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { adjust, type AdjustInput } from '../../api/risk/index.ts'

const input: AdjustInput = {
  model: 25_000n,
  current: 100_000n,
  onChainBounds: { min: 0n, max: 1_000_000n },
  policyBounds: { min: 10_000n, max: 200_000n },
  rateLimit: { tighten: 50_000n, loosen: 10_000n },
  deadband: 2_000n,
  cooldown: { tightenSec: 3600, loosenSec: 86_400 },
  quantum: 100n,
  tightWay: 'down',
  breaker: 'NORMAL',
  lastChangeTimestamp: null,
  now: 1_000_000,
}

describe('controller', () => {
  test('behavior: a tightening of 75 % goes half of the way, and says why', () => {
    const result = adjust(input)
    expect(result.value).toBe(50_000n)
    expect(result.direction).toBe('TIGHTEN')
    expect(result.adjustments).toEqual([{ step: 'rate limit', from: 25_000n, to: 50_000n, why: 'one tightening moves at most 50000' }])
  })
  test('behavior: loosening is slower', () => {
    expect(adjust({ ...input, model: 190_000n })).toMatchObject({ value: 110_000n, direction: 'LOOSEN' })
  })
  test('behavior: bounds of the chain, then of the policy', () => {
    const steps = adjust({ ...input, model: 2_000_000n, current: 195_000n }).adjustments.map((a) => a.step)
    expect(steps).toEqual(['on-chain bounds', 'policy bounds'])
  })
  test('behavior: a change within the deadband is held', () => {
    expect(adjust({ ...input, model: 98_000n })).toMatchObject({ value: 100_000n, direction: 'HOLD' })
    expect(adjust({ ...input, model: 97_900n }).value).toBe(97_900n)
  })
  test('behavior: the cooldown counts chain time, longer for loosening', () => {
    expect(adjust({ ...input, lastChangeTimestamp: 999_000 }).direction).toBe('HOLD')
    expect(adjust({ ...input, lastChangeTimestamp: 996_000 }).direction).toBe('TIGHTEN')
    expect(adjust({ ...input, model: 190_000n, lastChangeTimestamp: 996_000 }).direction).toBe('HOLD')
  })
  test('behavior: nothing is loosened in WATCH, tightening goes on', () => {
    expect(adjust({ ...input, model: 190_000n, breaker: 'WATCH' }).direction).toBe('HOLD')
    expect(adjust({ ...input, breaker: 'WATCH' }).direction).toBe('TIGHTEN')
  })
  test('behavior: values are whole quanta, rounded towards the current one', () => {
    expect(adjust({ ...input, model: 77_777n }).value).toBe(77_800n)
    expect(adjust({ ...input, model: 105_555n }).value).toBe(105_500n)
  })
  test('behavior: a value that is a switch is held, whatever the model and the limits say', () => {
    const why = 'trading is stopped'
    expect(adjust({ ...input, current: 0n, switchedOff: why })).toEqual({ value: 0n, direction: 'HOLD', adjustments: [{ step: 'switched off', from: 25_000n, to: 0n, why }] })
    expect(adjust({ ...input, switchedOff: null })).toEqual(adjust(input))
  })
  test('error: refuses a rate limit that the deadband would swallow', () => {
    expect(() => adjust({ ...input, deadband: 50_000n })).toThrow(BadInputError)
  })

  test('behavior: what was recommended stays until the model has left it, and is given up only within half of the deadband', () => {
    // 100,000 now, 96,000 recommended, deadband 2,000.
    const standing = { ...input, deadband: 2_000n, standing: 96_000n }
    expect(adjust({ ...standing, model: 94_000n })).toMatchObject({ value: 96_000n, adjustments: [{ step: 'standing', from: 94_000n, to: 96_000n, why: 'it was recommended before, and 2000 is what changes that' }] })
    expect(adjust({ ...standing, model: 93_900n }).value).toBe(93_900n)
    expect(adjust({ ...standing, model: 98_000n }).value).toBe(96_000n)
    // Nothing standing: 2,000 is not worth a transaction; standing: 1,001 still is.
    expect(adjust({ ...input, model: 98_500n }).direction).toBe('HOLD')
    expect(adjust({ ...standing, quantum: 1n, model: 98_999n })).toMatchObject({ value: 98_999n, direction: 'TIGHTEN' })
    expect(adjust({ ...standing, model: 99_000n }).direction).toBe('HOLD')
    // The other way it counts for nothing: 2,000 loosens nothing.
    expect(adjust({ ...standing, model: 102_000n }).direction).toBe('HOLD')
  })
  test('behavior: what stood outside of the limits stands no more', () => {
    expect(adjust({ ...input, model: 25_000n, standing: 49_000n }).value).toBe(50_000n)
    expect(adjust({ ...input, model: 48_100n, rateLimit: { tighten: 60_000n, loosen: 10_000n }, standing: 49_050n }).value).toBe(48_100n)
    expect(adjust({ ...input, policyBounds: { min: 96_500n, max: 200_000n }, model: 97_500n, standing: 96_000n }).value).toBe(97_500n)
  })

  const raw = fc.bigInt({ min: 0n, max: 1_000_000n })
  test('property: the result is within the chain’s bounds and the rate limit, and repeating it is stable', () => {
    fc.assert(
      fc.property(raw, raw, fc.constantFrom('up' as const, 'down' as const), (model, current, tightWay) => {
        const result = adjust({ ...input, model, current, tightWay })
        expect(result.value >= 0n && result.value <= 1_000_000n).toBe(true)
        const step = result.value > current ? result.value - current : current - result.value
        expect(step <= 50_000n).toBe(true)
        expect(adjust({ ...input, model, current, tightWay })).toEqual(result)
      }),
    )
  })
  test('property: no flapping: a model that jitters within the deadband around the current value never moves it', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 10_000n, max: 200_000n }), fc.bigInt({ min: -2_000n, max: 2_000n }), (current, jitter) => {
        const policyBounds = { min: 0n, max: 1_000_000n }
        expect(adjust({ ...input, policyBounds, current, model: current + jitter < 0n ? 0n : current + jitter }).direction).toBe('HOLD')
      }),
    )
  })
  test('property: nothing is loosened above NORMAL, at any level, and a tightening is not kept from', () => {
    fc.assert(
      fc.property(raw, raw, fc.constantFrom('WATCH' as const, 'RESTRICT' as const, 'HALT' as const), fc.constantFrom('up' as const, 'down' as const), (model, current, breaker, tightWay) => {
        const result = adjust({ ...input, model, current, breaker, tightWay })
        expect(result.direction).not.toBe('LOOSEN')
        const calm = adjust({ ...input, model, current, tightWay })
        expect(calm.direction === 'TIGHTEN' ? result.value : current).toBe(result.value)
      }),
    )
  })
  test('property: never two changes of one parameter within its cooldown, whatever the model says', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(raw, fc.integer({ min: 0, max: 40_000 })), { maxLength: 40 }), (rounds) => {
        let current = 100_000n
        let changed: number | null = null
        let now = 0
        for (const [model, wait] of rounds) {
          now += wait
          const result = adjust({ ...input, model, current, now, lastChangeTimestamp: changed })
          const needed = result.direction === 'TIGHTEN' ? 3600 : result.direction === 'LOOSEN' ? 86_400 : 0
          expect(changed === null || now - changed >= needed).toBe(true)
          if (result.direction !== 'HOLD') changed = now
          current = result.value
        }
      }),
    )
  })
  test('property: a constant model is reached and then held', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 10_000n, max: 200_000n }), raw, (model, start) => {
        let current = start
        for (let i = 0; i < 120; i++) current = adjust({ ...input, model, current }).value
        expect(adjust({ ...input, model, current }).direction).toBe('HOLD')
        const off = current > model ? current - model : model - current
        expect(off <= 2_100n).toBe(true)
      }),
    )
  })
  const way = fc.constantFrom('up' as const, 'down' as const)
  const level = fc.constantFrom('NORMAL' as const, 'NORMAL' as const, 'WATCH' as const)
  const standing = fc.option(raw, { nil: null })
  const age = fc.constantFrom(null, 999_000, 990_000, 900_000)
  test('property: monotone in the model, whatever stands recommended, however long ago the last change and whichever level the breaker has', () => {
    fc.assert(
      fc.property(raw, raw, raw, standing, way, level, age, (one, two, current, stands, tightWay, breaker, lastChangeTimestamp) => {
        const at = (model: bigint): bigint => adjust({ ...input, model, current, standing: stands, tightWay, breaker, lastChangeTimestamp }).value
        const [low, high] = one < two ? [one, two] : [two, one]
        expect(at(low) <= at(high)).toBe(true)
      }),
    )
  })
  test('property: idempotent: its own result standing, it says the same again', () => {
    fc.assert(
      fc.property(raw, raw, standing, way, level, age, (model, current, stands, tightWay, breaker, lastChangeTimestamp) => {
        const first = adjust({ ...input, model, current, standing: stands, tightWay, breaker, lastChangeTimestamp })
        const again = adjust({ ...input, model, current, standing: first.direction === 'HOLD' ? null : first.value, tightWay, breaker, lastChangeTimestamp })
        expect([again.value, again.direction]).toEqual([first.value, first.direction])
      }),
    )
  })
  test('property: with anything standing the result keeps bounds, rate limit and quantum', () => {
    fc.assert(
      fc.property(raw, raw, standing, way, (model, current, stands, tightWay) => {
        const { value, direction } = adjust({ ...input, model, current, standing: stands, tightWay })
        const step = value > current ? value - current : current - value
        expect(step <= (direction === 'TIGHTEN' ? 50_000n : 10_000n)).toBe(true)
        expect(value >= 0n && value <= 1_000_000n).toBe(true)
        expect(direction === 'HOLD' || value % 100n === 0n).toBe(true)
      }),
    )
  })
  test('property: no flapping: a model that stays within a deadband’s half of any level changes its direction at most once', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 20_000n, max: 190_000n }), fc.bigInt({ min: 12_000n, max: 180_000n }), fc.array(fc.bigInt({ min: -499n, max: 499n }), { minLength: 2, maxLength: 60 }), way, (current, centre, jitters, tightWay) => {
        let stands: bigint | null = null
        const said: string[] = []
        for (const jitter of jitters) {
          const { value, direction } = adjust({ ...input, quantum: 1n, model: centre + jitter, current, standing: stands, tightWay })
          stands = direction === 'HOLD' ? null : value
          if (said.at(-1) !== direction) said.push(direction)
        }
        expect(said.length).toBeLessThanOrEqual(2)
        expect(said.length === 2 ? said[0] : 'HOLD').toBe('HOLD')
      }),
    )
  })
})
