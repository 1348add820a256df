import { createHash } from 'node:crypto'
import { InvariantError } from '../../core/errors.ts'

/** What canonical JSON can hold. Raw chain amounts are decimal strings, statistics are finite numbers. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/**
 * The one text of a JSON value: keys sorted by code unit, no white space, numbers in their shortest form.
 * Throws InvariantError on what JSON cannot hold (undefined, NaN, infinity, functions).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value)
  if (typeof value === 'bigint') return `"${value}"`
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object') {
    const record = value as Record<string, unknown>
    return `{${Object.keys(record).sort().map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`).join(',')}}`
  }
  throw new InvariantError(`Found ${typeof value === 'number' ? String(value) : typeof value} in a canonical value, allowed is what JSON holds; convert it first`)
}

/** SHA-256 of the canonical JSON, hex without 0x. */
export const digestOf = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex')
