/**
 * Units and the only places where one unit becomes another.
 *
 * Chain units are bigint and carry their scale in the name: `E18` (1e18 = one unit), `E6` (a ratio: 1e6 = 100 %,
 * or an amount of a 6-decimal token), `X96` (Q64.96 fixed point). Statistics are float64 without a suffix.
 */
import { BadInputError } from './errors.ts'

export const E18 = 10n ** 18n
export const E6 = 10n ** 6n
export const X96 = 1n << 96n

/** Which way an inexact quotient goes. `trunc` is Solidity's signed division (towards zero). */
export type Rounding = 'floor' | 'ceil' | 'trunc'

/** `a · b / c` with one rounding at the end. Throws BadInputError when `c` is 0. */
export function mulDiv(a: bigint, b: bigint, c: bigint, rounding: Rounding = 'trunc'): bigint {
  if (c === 0n) throw new BadInputError('Found a division by 0, allowed is any other divisor; check the amounts given')
  const product = a * b
  const quotient = product / c
  const rest = product % c
  if (rest === 0n || rounding === 'trunc') return quotient
  const negative = rest < 0n !== c < 0n
  if (rounding === 'floor') return negative ? quotient - 1n : quotient
  return negative ? quotient : quotient + 1n
}

export const abs = (x: bigint): bigint => (x < 0n ? -x : x)
export const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)
export const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)

/** Amount of a token with `decimals` → 18 decimals. More than 18 decimals truncates towards zero. */
export function toE18(amount: bigint, decimals: number): bigint {
  return decimals <= 18 ? amount * 10n ** BigInt(18 - decimals) : amount / 10n ** BigInt(decimals - 18)
}

/** 18 decimals → amount of a token with `decimals`. Solidity's truncation unless told otherwise. */
export function fromE18(amountE18: bigint, decimals: number, rounding: Rounding = 'trunc'): bigint {
  return decimals >= 18 ? amountE18 * 10n ** BigInt(decimals - 18) : mulDiv(amountE18, 1n, 10n ** BigInt(18 - decimals), rounding)
}

/** Chain integer with `decimals` → float64, for statistics alone. Relative error below 2^-52. */
export function toFloat(amount: bigint, decimals: number): number {
  return Number(formatUnits(amount, decimals))
}

/** float64 → chain integer with `decimals`: the one crossing from a statistic to a unit that a chain accepts. */
export function fromFloat(value: number, decimals: number, rounding: 'floor' | 'ceil' | 'nearest'): bigint {
  if (!Number.isFinite(value)) throw new BadInputError(`Found ${value}, allowed is a finite number; check the statistic's inputs`)
  const scaled = value * 10 ** decimals
  const whole = rounding === 'floor' ? Math.floor(scaled) : rounding === 'ceil' ? Math.ceil(scaled) : Math.round(scaled)
  return BigInt(whole)
}

/** Exact decimal text of a chain integer, without trailing zeros: `formatUnits(1500000n, 6)` is `'1.5'`. */
export function formatUnits(amount: bigint, decimals: number): string {
  const digits = abs(amount).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return `${amount < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** A ratio in 1e6 as a percentage: `formatPercentE6(62500n)` is `'6.25 %'`. */
export const formatPercentE6 = (ratioE6: bigint): string => `${formatUnits(ratioE6, 4)} %`
