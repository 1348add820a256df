/** Values of parameters: raw as the contract holds them, and as people write them (raw = value · 10^inputDecimals). */
import { decimal, percent } from '../ui/format.ts'

/** What tells a parameter's raw values: their unit, the decimals of that (null where they are no amounts), and what a stored raw 0 is: another raw value, or no value of its own, in words. */
export type Measure = { readonly unit: string; readonly inputDecimals: number | null; readonly zeroMeansRaw: string | null; readonly zeroWords: string | null }

/** The raw value that the contract works with where `raw` is stored. */
export const effectiveOf = ({ zeroMeansRaw }: Pick<Measure, 'zeroMeansRaw'>, raw: string): string => (zeroMeansRaw !== null && BigInt(raw) === 0n ? zeroMeansRaw : raw)

/** Whether `raw` is a stored 0 that is no value of its own. */
const isSwitch = ({ zeroWords }: Pick<Measure, 'zeroWords'>, raw: string): boolean => zeroWords !== null && BigInt(raw) === 0n

/** A raw value in words where it is no value of its own, as the API tells it: `no distribution (raw 0)`; null for any other. */
export const switchWords = (of: Pick<Measure, 'zeroWords'>, raw: string): string | null => (isSwitch(of, raw) ? `${of.zeroWords} (raw ${raw})` : null)

/** A parameter of one subject, as text: `feeRatio:0x12…`. */
export const keyOf = (of: { readonly subject: string } & ({ readonly parameter: string } | { readonly name: string })): string => `${'parameter' in of ? of.parameter : of.name}:${of.subject}`

/** `62500` with 4 decimals is `6.25`. */
export function unscaled(raw: string, decimals: number): string {
  const negative = raw.startsWith('-')
  const digits = (negative ? raw.slice(1) : raw).padStart(decimals + 1, '0')
  const fraction = decimals > 0 ? digits.slice(-decimals).replace(/0+$/, '') : ''
  return `${negative ? '-' : ''}${digits.slice(0, digits.length - decimals)}${fraction ? `.${fraction}` : ''}`
}

const placesOf = (text: string): number => text.split('.')[1]?.length ?? 0

/** The step from one value to another, by what the contract works with, exact: `−12.5 points (−50 %)`; `switched` from or to a 0 that is no value of its own; null where the values are no amounts. */
export function step(fromRaw: string, toRaw: string, of: Measure | undefined): string | null {
  if (of === undefined || of.inputDecimals === null) return null
  const [from, to] = [BigInt(effectiveOf(of, fromRaw)), BigInt(effectiveOf(of, toRaw))]
  const by = unscaled(String(to - from), of.inputDecimals)
  if (by === '0') return 'none'
  if (isSwitch(of, fromRaw) || isSwitch(of, toRaw)) return 'switched'
  const amount = `${by.startsWith('-') ? '' : '+'}${decimal(by, placesOf(by))}`
  const name = of.unit.replace('%', 'points')
  return `${amount}${name ? ` ${name}` : ''}${from === 0n ? '' : ` (${shareOf(to - from, from)})`}`
}

/** A step as a share of where it begins: `+23 %`, `−2.5 %`, `less than 0.01 %`, `more than 10,000 %`. */
function shareOf(by: bigint, from: bigint): string {
  const share = Number(by) / Number(from)
  const size = Math.abs(share)
  if (size < 0.0001) return 'less than 0.01 %'
  if (size > 100) return 'more than 10,000 %'
  return `${share > 0 ? '+' : ''}${percent(share, size < 0.001 ? 2 : size < 0.1 ? 1 : 0)}`
}

/** From here on a contract's amount is its way to say that there is no limit. */
const NO_LIMIT = 2n ** 255n

/** Bounds for people: `0 to 100 %`, `at least 5,000 USDC`, `any`; raw where the values are no amounts. null is no bound. */
export function range(minRaw: string | null, maxRaw: string | null, inputDecimals: number | null | undefined, unit: string): string {
  const text = (raw: string): string => {
    if (inputDecimals == null) return raw
    const value = unscaled(raw, inputDecimals)
    return decimal(value, placesOf(value))
  }
  const most = maxRaw === null || BigInt(maxRaw) >= NO_LIMIT ? null : text(maxRaw)
  const named = unit && inputDecimals != null ? ` ${unit}` : ''
  if (minRaw === null) return most === null ? 'any' : `at most ${most}${named}`
  return most === null ? `from ${text(minRaw)}${named}, no upper limit` : `${text(minRaw)} to ${most}${named}`
}

/** The number that a value's text for people begins with: `355,839.556197 USDC` is 355839.556197; null for `no limit`, an address, `yes`. For places on an axis alone. */
export function leadingNumber(display: string): number | null {
  const match = /^[−-]?\d[\d,]*(?:\.\d+)?(?=$| )/.exec(display)
  return match ? Number(match[0].replaceAll(',', '').replace('−', '-')) : null
}

/** A raw value on the axis of its unit, by what the contract works with; null, a gap, for what is no value of its own, and for a contract's "no limit", beside which all else would lie on 0. */
export const onAxis = (raw: string, of: Measure): number | null => (BigInt(raw) >= NO_LIMIT || isSwitch(of, raw) ? null : Number(unscaled(effectiveOf(of, raw), of.inputDecimals ?? 0)))

/** Whether people write it as a number: not an address, not yes or no. */
export const isAmount = ({ inputDecimals }: { readonly inputDecimals: number | null }): boolean => inputDecimals !== null

/** Where a new value for it is typed and drafted. */
export const changeHref = ({ name, subject }: { readonly name: string; readonly subject: string }): string => `/proposals/new?parameter=${encodeURIComponent(name)}&subject=${encodeURIComponent(subject)}`
