import { BadInputError } from '../../core/errors.ts'
import { abs, max, min } from '../../core/units.ts'
import type { BreakerLevel } from './breaker.ts'

/** One step between what a model says and what is recommended. Raw units. */
export type Adjustment = { readonly step: 'switched off' | 'quantise' | 'on-chain bounds' | 'policy bounds' | 'rate limit' | 'deadband' | 'standing' | 'cooldown' | 'breaker'; readonly from: bigint; readonly to: bigint; readonly why: string }

export type Direction = 'TIGHTEN' | 'LOOSEN' | 'HOLD'

/** Which way a parameter's raw value moves when it protects more. */
export type TightWay = 'up' | 'down'

/** Inclusive raw values. */
export type Bounds = { readonly min: bigint; readonly max: bigint }

export type AdjustInput = {
  /** What the model says, raw units of the parameter. */
  readonly model: bigint
  readonly current: bigint
  readonly onChainBounds: Bounds
  readonly policyBounds: Bounds
  /** Largest step per change, raw units; null for no limit. */
  readonly rateLimit: { readonly tighten: bigint | null; readonly loosen: bigint | null }
  /** A change of at most this is not worth a transaction, raw units. */
  readonly deadband: bigint
  /** Seconds since the last change before the next one. */
  readonly cooldown: { readonly tightenSec: number; readonly loosenSec: number }
  /** Why the current value is a switch that people turned, and no amount; null where it is an amount. */
  readonly switchedOff?: string | null
  /** Recommendations are whole multiples of this, raw units; rounded towards the current value. */
  readonly quantum: bigint
  readonly tightWay: TightWay
  readonly breaker: BreakerLevel
  /** What was recommended last for this very current value, raw units; null or left out where nothing was, or it was held. */
  readonly standing?: bigint | null
  /** Chain time of the last change, s; null where there was none. */
  readonly lastChangeTimestamp: number | null
  /** Chain time, s. */
  readonly now: number
  /** Raw value → text for people, in the sentences of `why`; raw digits where left out. */
  readonly show?: (raw: bigint) => string
}

export type Adjusted = { readonly value: bigint; readonly direction: Direction; readonly adjustments: readonly Adjustment[] }

const clamp = (x: bigint, bounds: Bounds): bigint => max(bounds.min, min(bounds.max, x))

/** Direction of a move from `from` to `to`. */
export function directionOf(from: bigint, to: bigint, tightWay: TightWay): Direction {
  if (from === to) return 'HOLD'
  return to > from === (tightWay === 'up') ? 'TIGHTEN' : 'LOOSEN'
}

/**
 * Model value → recommended value: on-chain bounds → policy bounds → rate limit → quantise → deadband → standing → cooldown → breaker.
 *
 * A value that is a switch is held, whatever the model says. Every step that changes the value is listed. The result lies within the on-chain bounds whenever the current value does, and is never
 * further from `current` than the rate limit. A current value outside the policy bounds moves towards them at the rate limit.
 * What stands recommended stays until the model has left it: a change that was asked for is given up only within half of the deadband, and its
 * value moves only by more than the deadband, so that a model that jitters around an edge does not make a recommendation come and go.
 * Monotone in the model's value, and the same again where its own result stands. Tightening may be faster than loosening; nothing is loosened while the breaker is above NORMAL.
 * Throws BadInputError for bounds out of order, a quantum below 1, or a rate limit below deadband + quantum (it would never move).
 */
export function adjust(input: AdjustInput): Adjusted {
  const { current, onChainBounds, policyBounds, rateLimit, deadband, cooldown, quantum, tightWay } = input
  for (const bounds of [onChainBounds, policyBounds]) {
    if (bounds.min > bounds.max) throw new BadInputError(`Found bounds ${bounds.min} to ${bounds.max}, allowed is a minimum not above the maximum; correct the policy`)
  }
  if (quantum < 1n || deadband < 0n) throw new BadInputError(`Found quantum ${quantum} and deadband ${deadband}, allowed are a quantum from 1 and a deadband from 0; correct the policy`)
  for (const limit of [rateLimit.tighten, rateLimit.loosen]) {
    if (limit !== null && limit < deadband + quantum) throw new BadInputError(`Found a rate limit of ${limit}, allowed is at least deadband plus quantum, ${deadband + quantum}; correct the policy`)
  }

  const show = input.show ?? String
  const adjustments: Adjustment[] = []
  let value = input.model
  const step = (name: Adjustment['step'], to: bigint, why: string): void => {
    if (to === value) return
    adjustments.push({ step: name, from: value, to, why })
    value = to
  }

  if (input.switchedOff !== undefined && input.switchedOff !== null) {
    return { value: current, direction: 'HOLD', adjustments: [{ step: 'switched off', from: value, to: current, why: input.switchedOff }] }
  }

  step('on-chain bounds', clamp(value, onChainBounds), `the contract accepts ${show(onChainBounds.min)} to ${show(onChainBounds.max)}`)
  step('policy bounds', clamp(value, policyBounds), `the policy allows ${show(policyBounds.min)} to ${show(policyBounds.max)}`)

  const limit = directionOf(current, value, tightWay) === 'TIGHTEN' ? rateLimit.tighten : rateLimit.loosen
  if (limit !== null && abs(value - current) > limit) {
    step('rate limit', value > current ? current + limit : current - limit, `one ${directionOf(current, value, tightWay) === 'TIGHTEN' ? 'tightening' : 'loosening'} moves at most ${show(limit)}`)
  }

  const down = value - (((value % quantum) + quantum) % quantum)
  if (down !== value) {
    const rounded = value > current ? down : down + quantum
    // Rounding must not cross the current value: between it and the target there is then no multiple.
    const crossed = value > current ? rounded < current : rounded > current
    step('quantise', crossed ? current : rounded, `values are multiples of ${show(quantum)}`)
    step('on-chain bounds', clamp(value, onChainBounds), `the contract accepts ${show(onChainBounds.min)} to ${show(onChainBounds.max)}`)
  }

  // What the limits would no longer allow has lost its ground.
  const inPolicy = (x: bigint): boolean => x === clamp(x, policyBounds)
  const stands = (x: bigint): boolean =>
    directionOf(current, x, tightWay) === directionOf(current, value, tightWay) && x % quantum === 0n && x === clamp(x, onChainBounds) && (inPolicy(x) || !inPolicy(value)) && (limit === null || abs(x - current) <= limit)
  const standing = input.standing != null && stands(input.standing) ? input.standing : null
  const leastMove = standing === null ? deadband : deadband / 2n
  if (value !== current && abs(value - current) <= leastMove) step('deadband', current, `a change of at most ${show(leastMove)} is not worth a transaction`)
  else if (value !== current && standing !== null && abs(value - standing) <= deadband) step('standing', standing, `it was recommended before, and ${show(deadband)} is what changes that`)

  const direction = directionOf(current, value, tightWay)
  if (direction !== 'HOLD' && input.lastChangeTimestamp !== null) {
    const wait = direction === 'TIGHTEN' ? cooldown.tightenSec : cooldown.loosenSec
    const age = Math.max(0, input.now - input.lastChangeTimestamp)
    if (age < wait) step('cooldown', current, `changed ${age} s ago, the next ${direction === 'TIGHTEN' ? 'tightening' : 'loosening'} waits ${wait} s`)
  }
  if (directionOf(current, value, tightWay) === 'LOOSEN' && input.breaker !== 'NORMAL') step('breaker', current, `nothing is loosened in ${input.breaker}`)

  return { value, direction: directionOf(current, value, tightWay), adjustments }
}
