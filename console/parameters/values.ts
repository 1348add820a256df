/** Values of parameters: raw as the contract holds them, and as people write them (raw = value · 10^inputDecimals). */
import { decimal, percent } from '../ui/format.ts'

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

/** The step from one value to another: `−12.5 points (−50 %)`; null where the values are no amounts. */
export function step(fromRaw: string, toRaw: string, unit: string, inputDecimals: number | null | undefined): string | null {
  if (inputDecimals == null) return null
  const by = unscaled(String(BigInt(toRaw) - BigInt(fromRaw)), inputDecimals)
  if (by === '0') return 'none'
  const places = Math.min(placesOf(by), 6)
  const amount = `${by.startsWith('-') ? '' : '+'}${decimal(by, places)}`
  const name = unit.replace('%', 'points')
  const share = Number(toRaw) / Number(fromRaw) - 1
  const relative = Number.isFinite(share) ? ` (${share > 0 ? '+' : ''}${percent(share, Math.abs(share) < 0.1 ? 1 : 0)})` : ''
  return `${amount}${name ? ` ${name}` : ''}${relative}`
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
export function numberOf(display: string): number | null {
  const match = /^[−-]?\d[\d,]*(?:\.\d+)?(?=$| )/.exec(display)
  return match ? Number(match[0].replaceAll(',', '').replace('−', '-')) : null
}

/** A raw value on the axis of its unit; null, a gap, for a contract's "no limit", beside which all else would lie on 0. */
export const onAxis = (raw: string, inputDecimals: number): number | null => (BigInt(raw) >= NO_LIMIT ? null : Number(unscaled(raw, inputDecimals)))

/** Whether people write it as a number: not an address, not yes or no. */
export const isAmount = ({ inputDecimals }: { readonly inputDecimals: number | null }): boolean => inputDecimals !== null

/** Where a new value for it is typed and drafted. */
export const changeHref = ({ name, subject }: { readonly name: string; readonly subject: string }): string => `/proposals/new?parameter=${encodeURIComponent(name)}&subject=${encodeURIComponent(subject)}`
