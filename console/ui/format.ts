/** Figures for people. Amounts arrive as exact decimal text and are rounded here, on the text, never through a float. */

/** `1234.5678` with 2 places is `1,234.57`: rounded half away from zero, grouped by thousands. */
export function decimal(value: string, places: number): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value)
  if (!match) return value
  const [, sign = '', whole = '0', fraction = ''] = match
  const digits = `${whole}${fraction.slice(0, places).padEnd(places, '0')}`
  const up = (fraction[places] ?? '0') >= '5' ? 1n : 0n
  const rounded = (BigInt(digits) + up).toString().padStart(places + 1, '0')
  const head = rounded.slice(0, rounded.length - places)
  const tail = places > 0 ? `.${rounded.slice(rounded.length - places)}` : ''
  const zero = /^0*$/.test(rounded)
  return `${sign && !zero ? '−' : ''}${head.replace(/\B(?=(\d{3})+$)/g, ',')}${tail}`
}

/** `decimal`, but what is not nought never reads as nought: `0.004` with 2 places is `< 0.01`. */
export function figure(value: string, places: number): string {
  const text = decimal(value, places)
  if (/[1-9]/.test(text) || !/[1-9]/.test(value)) return text
  const least = (1 / 10 ** places).toFixed(places)
  return value.startsWith('-') ? `> −${least}` : `< ${least}`
}

/** Places that keep about five figures of a price. */
export function price(value: string): string {
  const size = Math.abs(Number(value))
  return figure(value, size >= 10_000 ? 1 : size >= 10 ? 2 : size >= 1 ? 4 : 6)
}

export const usd = (value: string): string => figure(value, Math.abs(Number(value)) >= 100_000 ? 0 : 2)
export const size = (value: string): string => figure(value, Math.abs(Number(value)) >= 1000 ? 1 : Math.abs(Number(value)) >= 1 ? 3 : 5)
export const whole = (value: number | string): string => decimal(String(value), 0)

/** 0.0625 is `6.25 %`, 0.00003 is `< 0.01 %`. Beyond 10,000 % the figure says no more than that. */
export const percent = (ratio: number, places = 2): string => (ratio > 100 ? '> 10,000 %' : `${figure(plain(ratio * 100), places)} %`)

/** A part of what is allowed, with as many places from `places` on as tell it apart from all of it: 1.004 is `100.4 %`, 1.000004 is `> 100 %`. */
export function share(ratio: number, places = 0): string {
  const known = [places, places + 1, places + 2].map((more) => percent(ratio, more)).find((text, i) => ratio === 1 || text !== percent(1, places + i))
  return known ?? (ratio > 1 ? '> 100 %' : '< 100 %')
}

export const signedPercent = (ratio: number): string => `${ratio >= 0.00005 ? '+' : ''}${percent(ratio)}`

/** Three figures and a power of ten, for what nobody counts in: `1.2e30`. */
const scientific = (value: number): string => value.toExponential(2).replace(/\.?0*e\+/, 'e').replace('-', '−')

/** A float as decimal text without an exponent, to 12 places: what is below them is none of a person's. From 10^21 on, `scientific`. */
const plain = (value: number): string => (Math.abs(value) < 1e21 ? value.toFixed(12) : scientific(value))

/** 95 s, 12 min, 3 h, 4 d: one unit, rounded down. */
export function age(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds))
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.floor(s / 60)} min` : s < 172_800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} d`
}

/** Unix seconds as `2026-11-23 02:03:04 UTC`. */
export const time = (unixSec: string | number): string => `${new Date(Number(unixSec) * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** `0x12ab34…cd56ef`: six digits at each end, since look-alike addresses are made to match four. */
export const short = (hex: string): string => (hex.length > 18 ? `${hex.slice(0, 8)}…${hex.slice(-6)}` : hex)

/** `AWAITING_SIGNATURES` is `awaiting signatures`. */
export const words = (constant: string): string => constant.toLowerCase().replaceAll('_', ' ')

/** The API's own sentence, its amounts of five digits and more grouped by thousands: four may be a year. Without its full stop. */
export const grouped = (text: string): string => text.replace(/(?<![\d.,x-])\d{5,}(?![\d-])/g, (digits) => decimal(digits, 0)).replace(/\.$/, '')

/** A float for people: grouped by thousands, with as many places as its size asks for. Statistics only; amounts of the chain go through `decimal`. */
export function float(value: number, places = Math.abs(value) >= 1000 || value === 0 ? 0 : Math.abs(value) >= 1 ? 2 : 4): string {
  return value === Infinity ? '∞' : figure(plain(value), places)
}

/** 1,200,000 is `1.2M`, 2,746.3 is `2,746`, and from 10^15 on `1.2e15`: for axes and small spaces; the whole figure stands beside it or in its title. */
export function compact(value: number): string {
  const magnitude = Math.abs(value)
  // A unit begins where rounding to three figures would reach it: 999,999 is 1M, not 1,000k.
  if (magnitude >= 999.5e12) return value === Infinity ? '∞' : scientific(value)
  const [divisor, unit] = magnitude >= 999.5e9 ? [1e12, 'T'] : magnitude >= 999.5e6 ? [1e9, 'B'] : magnitude >= 999.5e3 ? [1e6, 'M'] : magnitude >= 9999.5 ? [1e3, 'k'] : [1, '']
  return `${value < 0 ? '−' : ''}${(magnitude / divisor).toLocaleString('en', { maximumSignificantDigits: divisor === 1 ? 4 : 3 })}${unit}`
}

/** Time of day of a unix time, `02:03 UTC`; with the date, `23 Jan 02:03 UTC`. */
export const clock = (unixSec: string | number): string => `${new Date(Number(unixSec) * 1000).toISOString().slice(11, 16)} UTC`
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
export function dateTime(unixSec: string | number): string {
  const at = new Date(Number(unixSec) * 1000)
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${clock(unixSec)}`
}

/** 9,000 s is `2.5 h`, 5,400 s `90 min`: a length of time, not an age. */
export const duration = (seconds: number): string => (seconds < 120 ? `${float(seconds, Number.isInteger(seconds) ? 0 : 1)} s` : seconds < 7200 ? `${float(seconds / 60, 1).replace('.0', '')} min` : seconds < 172_800 ? `${float(seconds / 3600, 1).replace('.0', '')} h` : `${float(seconds / 86_400, 1).replace('.0', '')} d`)
