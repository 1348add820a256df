/** What every answer of the risk engine shares: provenance, typed reasons for what is unknown, and faults that name their field. */
import { setImmediate as turn } from 'node:timers/promises'
import { BadInputError, BulwarkError } from '../../../core/errors.ts'
import { ModelFitError, SampleTooSmallError } from '../../risk/index.ts'
import { digestOf } from '../../recommendations/index.ts'
import type { IndexedBlock } from '../context.ts'
import type { ResolversParentTypes, UnknownReason } from '../generated/resolvers.ts'

/** An answer of a type of the schema, before its field resolvers. */
export type Answer<Type extends keyof ResolversParentTypes> = ResolversParentTypes[Type]

export type UnknownAnswer = { reason: UnknownReason; what: string; found: number | null; needed: number | null; message: string }

/** A scenario, book or setting that cannot be; `field` is the path of the argument at fault: `input.shocks.0.moves.vETH`. */
export class UserInputError extends BulwarkError {
  constructor(message: string, field: string) {
    super(message, { code: 'BAD_USER_INPUT', facts: { field } })
  }
}

/** Runs `compute`, and names the argument under `path` where it refuses one. A model's own field name is appended: `legs[0].size` becomes `input.legs.0.size`. */
export function atField<T>(path: string, compute: () => T): T {
  try {
    return compute()
  } catch (error) {
    throw named(path, error)
  }
}

const named = (path: string, error: unknown): unknown => {
  if (!(error instanceof BadInputError)) return error
  const own = typeof error.facts['field'] === 'string' ? error.facts['field'].replace(/\[(\d+)\]/g, '.$1') : ''
  return new UserInputError(error.message, own === '' || path === own || path.endsWith(`.${own}`) ? path : `${path}.${own}`)
}

/** Throws UserInputError unless the value is within the bounds, both included. */
export function within(field: string, value: number, low: number, high: number, hint: string): number {
  if (!(value >= low && value <= high)) throw new UserInputError(`${field}: found ${value}, allowed is ${low} to ${high}; ${hint}`, field)
  return value
}

export const wholeWithin = (field: string, value: number, low: number, high: number, hint: string): number => {
  if (!Number.isInteger(value)) throw new UserInputError(`${field}: found ${value}, allowed is a whole number from ${low} to ${high}; ${hint}`, field)
  return within(field, value, low, high, hint)
}

/** The typed reason for an error that says that something is unknown; null for every other error. */
export function unknownOf(error: unknown, what: string): UnknownAnswer | null {
  if (error instanceof SampleTooSmallError) return { reason: 'SAMPLE_TOO_SMALL', what, found: error.shortage.found, needed: error.shortage.needed, message: error.message }
  if (error instanceof ModelFitError) return { reason: 'MODEL_FIT', what, found: null, needed: null, message: error.message }
  return null
}

export const notMeasured = (what: string, message: string): UnknownAnswer => ({ reason: 'NOT_MEASURED', what, found: 0, needed: null, message })

/** A value, or the typed reason why there is none. Everything else is thrown on. */
export function tell<T>(what: string, compute: () => T): { readonly value: T; readonly unknown: null } | { readonly value: null; readonly unknown: UnknownAnswer } {
  try {
    return { value: compute(), unknown: null }
  } catch (error) {
    const unknown = unknownOf(error, what)
    if (unknown === null) throw error
    return { value: null, unknown }
  }
}

/** Canonical JSON has no undefined: an argument that was left out is none. */
const clean = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map((one) => clean(one) ?? null)
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [[key, clean(inner)]])))
  return value
}

export type Model = { readonly model: string; readonly version: string; readonly source: string }

/** `inputs`: digest of what the index gave, or the values themselves. */
export const provenance = (of: Model, block: IndexedBlock, inputs: unknown, args: unknown = {}) => ({ ...of, block, inputsDigest: digestOf(clean({ model: of.model, version: of.version, inputs, args })) })

const AT_ONCE = 2_000
/** Digests that stand for a long list in `inputs`, made a part at a time, so that others are answered meanwhile. */
export async function digestsOf(list: readonly unknown[]): Promise<readonly string[]> {
  const digests: string[] = []
  for (let from = 0; from < list.length; from += AT_ONCE) {
    digests.push(digestOf(clean(list.slice(from, from + AT_ONCE))))
    await turn()
  }
  return digests
}

/** Finite, or null: JSON holds no infinity. */
export const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

export const numbers = (record: Readonly<Record<string, number | null | undefined>>): { name: string; value: number }[] => Object.entries(record).flatMap(([name, value]) => (value == null ? [] : [{ name, value }]))
