/** Figures for people. A null is "unknown" wherever the API says that it is; a reader never sees a 0 for it. */
export const UNKNOWN = 'unknown'

/** A text that others wrote, safe for a terminal: but for line feeds, nothing that moves a cursor, hides or turns text around. */
export const visible = (text: string): string => text.replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD')

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ',')

/** `-1234.5` with 2 places is `−1,234.50`. */
export function number(value: number, places = 0): string {
  const text = Math.abs(value).toFixed(places)
  const [whole = '0', fraction] = text.split('.')
  return `${value < 0 && Number(text) !== 0 ? '−' : ''}${grouped(whole)}${fraction === undefined ? '' : `.${fraction}`}`
}

/** USD: whole from 1,000 on, cents below; what is not 0 never looks like it. */
export function money(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  const size = Math.abs(value)
  return size > 0 && size < 0.005 ? `${value < 0 ? '> −' : '< '}0.01` : number(value, size >= 1000 || size === 0 ? 0 : 2)
}

/** 0.0625 is `6.25 %`. */
export const percent = (ratio: number | null | undefined, places = 2): string => (ratio === null || ratio === undefined ? UNKNOWN : `${number(ratio * 100, places)} %`)

export const signedPercent = (ratio: number | null | undefined, places = 1): string => (ratio === null || ratio === undefined ? UNKNOWN : `${ratio > 0 ? '+' : ''}${percent(ratio, places)}`)

/** Four figures, for ratios of any size. */
export function figures(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  const size = Math.abs(value)
  return size === 0 ? '0' : size < 0.0001 ? '< 0.0001' : number(value, size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4)
}

/** 95 s, 12 min, 3.5 h, 4.2 d. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return UNKNOWN
  const s = Math.max(0, seconds)
  return s < 120 ? `${number(s)} s` : s < 7200 ? `${number(s / 60)} min` : s < 172_800 ? `${number(s / 3600, 1)} h` : `${number(s / 86_400, 1)} d`
}

/** Unix seconds as `2026-11-23 02:03:04 UTC`. */
export const time = (unixSec: string | number): string => `${new Date(Number(unixSec) * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** `0x12ab34cd…cd56ef78`: eight digits at each end. */
export const short = (hex: string): string => (hex.length > 22 ? `${hex.slice(0, 10)}…${hex.slice(-8)}` : hex)

/** `BAD_DEBT` is `bad debt`, `fundDrawdown` is `fund drawdown`. */
export const words = (name: string): string => (/^[A-Z0-9_]+$/.test(name) ? name.toLowerCase().replaceAll('_', ' ') : name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`))

export const plural = (count: number, one: string, many = `${one}s`): string => `${number(count)} ${count === 1 ? one : many}`

/** With a capital and a full stop; a symbol (`vETH`) keeps its own letters. */
export const sentence = (text: string): string => `${/^[a-z][A-Z]/.test(text) ? text : `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`}${/[.!?]$/.test(text) ? '' : '.'}`

/** Exact decimal text of USD, rounded for people. */
export const decimalUsd = (text: string): string => money(Number(text))
