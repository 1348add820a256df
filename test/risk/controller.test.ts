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
})
